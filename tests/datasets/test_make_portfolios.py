"""Synthetic portfolios: the distribution of the draws, bounds, sectors, copycats, and seeds."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from shapecluster.datasets import Copycats, _copycats, _weighted_sampling, make_portfolios
from shapecluster.datasets._lab import LAB_SECTORS, LAB_TICKERS
from shapecluster.portfolios import Portfolios
from tests.reference.weighted_sampling import set_probabilities

WEIGHTS = [8.0, 4.0, 2.0, 1.0, 1.0, 0.5]
LETTERS = list("ABCDEF")
PINNED = ["JPM WMT TMO AMT MMM FIS UPS REGN AXP", "FB CSCO AMGN ORCL CVS MDLZ BKNG ADP AXP"]
CHANCE = 1e-6  # a test of a distribution fails by bad luck once in a million seeds


def sets_of(portfolios: Portfolios, size: int) -> Counter[tuple[int, ...]]:
    rows = portfolios.matrix[portfolios.n_holdings == size]
    return Counter(tuple(row.tolist()) for row in rows.indices.reshape(-1, size))


def assert_distribution(counts: Counter[tuple[int, ...]], expected: dict[tuple[int, ...], float]) -> None:
    assert set(counts) <= {chosen for chosen, chance in expected.items() if chance > 0}
    possible = [chosen for chosen, chance in expected.items() if chance > 0]
    seen = np.array([counts[chosen] for chosen in possible])
    frequencies = np.array([expected[chosen] for chosen in possible]) * seen.sum()
    assert stats.chisquare(seen, frequencies).pvalue > CHANCE


def same_matrix(one: Portfolios, other: Portfolios) -> bool:
    return one.matrix.shape == other.matrix.shape and (one.matrix != other.matrix).nnz == 0


# 0: all by arrival times; 3: arrival times complete most rows; 12: hardly any; None: the default choice.
@pytest.mark.parametrize("n_draws", [0, 3, 12, None])
def test_every_set_has_the_probability_of_successive_draws(monkeypatch, global_random_seed, n_draws):
    if n_draws is not None:
        monkeypatch.setattr(_weighted_sampling, "_best_number_of_draws", lambda shares, wanted: n_draws)
    drawn = make_portfolios(
        60_000, LETTERS, min_holdings=1, max_holdings=3, popularity=WEIGHTS, random_state=global_random_seed
    )
    for size in (1, 2, 3):
        assert_distribution(sets_of(drawn, size), set_probabilities(WEIGHTS, size))


def test_sets_are_as_frequent_as_those_of_numpy(rng, global_random_seed):
    shares = np.array(WEIGHTS) / sum(WEIGHTS)
    theirs = Counter(
        tuple(sorted(rng.choice(6, size=3, replace=False, p=shares).tolist())) for _ in range(10_000)
    )
    ours = sets_of(
        make_portfolios(
            40_000,
            LETTERS,
            min_holdings=3,
            max_holdings=3,
            popularity=WEIGHTS,
            random_state=global_random_seed,
        ),
        3,
    )
    assert_distribution(theirs, set_probabilities(WEIGHTS, 3))
    keys = sorted(set(ours) | set(theirs))
    table = np.array([[ours[key] for key in keys], [theirs[key] for key in keys]])
    assert stats.chi2_contingency(table).pvalue > CHANCE


def test_numbers_of_holdings_are_uniform_with_both_ends_included(global_random_seed):
    counts = np.bincount(make_portfolios(80_000, random_state=global_random_seed).n_holdings)
    assert not counts[:3].any()
    assert len(counts) == 11
    assert stats.chisquare(counts[3:]).pvalue > CHANCE


def test_tickers_are_held_as_often_as_numpy_would_draw_them(rng, global_random_seed):
    weights = 1.0 / np.arange(1, 31)
    drawn = make_portfolios(
        40_000,
        [f"T{i}" for i in range(30)],
        min_holdings=8,
        max_holdings=8,
        popularity="zipf",
        random_state=global_random_seed,
    )
    ours = np.asarray(drawn.matrix.sum(axis=0)).ravel() / 40_000
    n = 5_000
    theirs = np.zeros(30)
    for _ in range(n):
        theirs[rng.choice(30, size=8, replace=False, p=weights / weights.sum())] += 1 / n
    spread = np.sqrt(theirs * (1 - theirs) * (1 / n + 1 / 40_000)) + 1e-4
    assert np.all(np.abs(ours - theirs) < 6 * spread)


@settings(max_examples=25)
@given(
    n_tickers=st.integers(1, 40),
    low=st.integers(1, 40),
    high=st.integers(1, 40),
    seed=st.integers(0, 1000),
    popularity=st.sampled_from(["uniform", "zipf"]),
)
def test_rows_are_distinct_sorted_and_within_bounds(n_tickers, low, high, seed, popularity):
    low, high = min(low, high, n_tickers), min(max(low, high), n_tickers)
    names = [f"T{i}" for i in range(n_tickers)]
    drawn = make_portfolios(
        60, names, min_holdings=low, max_holdings=high, popularity=popularity, random_state=seed
    )
    matrix = drawn.matrix
    assert np.all((drawn.n_holdings >= low) & (drawn.n_holdings <= high))
    for row in range(60):
        assert np.all(np.diff(matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]]) > 0)
    assert set(matrix.data) == {1.0}


def test_a_dominant_weight_does_not_stop_other_tickers_from_being_drawn():
    drawn = make_portfolios(
        500, LETTERS, min_holdings=3, max_holdings=3, popularity=[1e12, 1, 1, 1, 0, 1e-300], random_state=0
    )
    assert set(drawn.n_holdings) == {3}
    held = np.asarray(drawn.matrix.sum(axis=0)).ravel()
    assert held[0] == 500
    assert held[4] == held[5] == 0
    assert stats.chisquare(held[1:4]).pvalue > CHANCE


@pytest.mark.parametrize("popularity", ["uniform", "zipf"])
def test_results_do_not_depend_on_the_block_size(monkeypatch, popularity):
    def make() -> Portfolios:
        return make_portfolios(
            700,
            min_holdings=2,
            max_holdings=30,
            popularity=popularity,
            sectors="lab",
            copycats=Copycats(40, (2, 5), 0.7),
            random_state=5,
        )

    whole = make()
    for module in (_weighted_sampling, _copycats):
        monkeypatch.setattr(module, "BLOCK_CELLS", 300)
    assert same_matrix(make(), whole)


def test_equal_seeds_give_equal_portfolios_and_others_do_not():
    assert same_matrix(make_portfolios(500, random_state=1), make_portfolios(500, random_state=1))
    assert not same_matrix(make_portfolios(500, random_state=1), make_portfolios(500, random_state=2))
    generators = [np.random.default_rng(3) for _ in range(2)]
    assert same_matrix(*(make_portfolios(50, random_state=generator) for generator in generators))
    assert not same_matrix(*(make_portfolios(50, random_state=generators[0]) for _ in range(2)))


def test_the_first_portfolios_of_seed_0_stay_what_they_are():
    drawn = make_portfolios(random_state=0)
    assert [" ".join(drawn[trader].index) for trader in (0, 99_999)] == PINNED


def test_default_tickers_are_the_labs():
    drawn = make_portfolios(10, random_state=0)
    assert drawn.tickers.tolist() == list(LAB_TICKERS)
    assert len(LAB_TICKERS) == 99
    assert set(LAB_SECTORS) == set(LAB_TICKERS)


def test_the_labs_tickers_and_sectors_are_those_of_its_files(shared_data):
    prices = pd.read_csv(shared_data / "market" / "seed_lab_2020_adj_close.csv.gz", nrows=1)
    assert prices.columns[1:].tolist() == list(LAB_TICKERS)
    sectors = pd.read_csv(shared_data / "market" / "seed_lab_sectors_2020-05-29.csv")
    assert dict(zip(sectors["ticker"], sectors["sector"], strict=True)) == LAB_SECTORS


def test_a_home_sector_multiplies_the_weights_of_its_tickers(global_random_seed):
    drawn, truth = make_portfolios(
        40_000,
        LETTERS,
        min_holdings=1,
        max_holdings=1,
        popularity=WEIGHTS,
        sectors=["odd", "even"] * 3,
        sector_tilt=3.0,
        return_truth=True,
        random_state=global_random_seed,
    )
    even = np.array([False, True] * 3)
    for home, favored in (("even", even), ("odd", ~even)):
        weights = np.array(WEIGHTS) * np.where(favored, 3.0, 1.0)
        held = drawn.matrix[(truth["home"] == home).to_numpy()]
        seen = np.asarray(held.sum(axis=0)).ravel()
        assert stats.chisquare(seen, weights / weights.sum() * seen.sum()).pvalue > CHANCE
    share = np.array(WEIGHTS)[even].sum() / sum(WEIGHTS)
    assert stats.binomtest(int((truth["home"] == "even").sum()), 40_000, share).pvalue > CHANCE


def test_sectors_and_weights_with_names_are_matched_by_ticker():
    weights = pd.Series([0.0, 1.0, 2.0], index=["C", "B", "A"])
    drawn = make_portfolios(
        100, ["A", "B", "C"], min_holdings=1, max_holdings=2, popularity=weights, random_state=0
    )
    assert not drawn.matrix[:, 2].nnz
    made = [
        make_portfolios(
            50, LETTERS, min_holdings=1, max_holdings=4, sectors=sectors, return_truth=True, random_state=0
        )
        for sectors in (
            ["x", "x", "y", "y", "x", "y"],
            pd.Series(["y", "x", "y", "y", "x", "x"], index=list("FEDCBA")),
            {"F": "y", "A": "x", "B": "x", "C": "y", "D": "y", "E": "x"},
        )
    ]
    assert same_matrix(made[0][0], made[1][0])
    assert made[0][1].equals(made[2][1])


def jaccard(one: pd.Series, other: pd.Series) -> Fraction:
    mine, theirs = set(one.index), set(other.index)
    return Fraction(len(mine & theirs), len(mine | theirs))


@pytest.mark.parametrize("match", [1.0, 0.9, 0.6])
def test_copies_match_their_leader_within_the_bounds(match):
    held, truth = make_portfolios(
        3_000, copycats=Copycats(80, (2, 6), match), return_truth=True, random_state=0
    )
    assert held.n_holdings.min() >= 3
    assert held.n_holdings.max() <= 10
    matches = []
    for _, group in truth[truth["group"] >= 0].groupby("group"):
        assert 2 <= len(group) <= 6
        (leader,) = group.index[group["leader"]]
        matches += [jaccard(held[leader], held[copy]) for copy in group.index[~group["leader"]]]
    assert truth["group"].max() == 79
    assert min(matches) >= Fraction(str(match))
    assert (min(matches) < 1) is (match < 1)
    assert not truth.loc[truth["group"] < 0, "leader"].any()


def test_every_allowed_edit_is_equally_likely(global_random_seed):
    held, truth = make_portfolios(
        8_000,
        [f"T{i}" for i in range(30)],
        min_holdings=9,
        max_holdings=10,
        popularity="zipf",
        copycats=Copycats(800, 10, 0.9),
        return_truth=True,
        random_state=global_random_seed,
    )
    seen = Counter()
    for _, group in truth.groupby("group"):
        (leader,) = group.index[group["leader"]]
        sets = {trader: set(held[trader].index) for trader in group.index}
        for copy in group.index[~group["leader"]]:
            seen[len(sets[leader] - sets[copy]), len(sets[copy] - sets[leader]), len(sets[leader])] += 1
    # Nine tickers: one more is 9/10, one less 8/9; ten: one less is 9/10, and no more are allowed.
    assert set(seen) == {(0, 0, 9), (0, 1, 9), (0, 0, 10), (1, 0, 10)}
    for size, edits in ((9, [(0, 0), (0, 1)]), (10, [(0, 0), (1, 0)])):
        assert stats.chisquare([seen[*edit, size] for edit in edits]).pvalue > CHANCE


def test_copies_change_no_other_trader():
    plain = make_portfolios(2_000, sectors="lab", random_state=4)
    copied, truth = make_portfolios(
        2_000, sectors="lab", copycats=Copycats(100, 3, 0.8), return_truth=True, random_state=4
    )
    others = ((truth["group"] < 0) | truth["leader"]).to_numpy()
    assert others.sum() == 1_800
    assert same_matrix(plain.take(others), copied.take(others))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_holdings": 2}, "'max_holdings' .* at least min_holdings = 3. Got 2 instead"),
        ({"max_holdings": 100}, "at most the number of tickers .* 99. Got 100"),
        ({"tickers": ["A", "B"]}, "which is 2. Got 10"),
        ({"tickers": ["A", "B", "A"]}, "tickers must differ .*: A"),
        ({"tickers": []}, "tickers is empty"),
        ({"popularity": [1.0, 2.0]}, r"weight for each of the 99 tickers. Got shape \(2,\)"),
        ({"popularity": [-1.0] + [1.0] * 98}, "Got -1.0 for 'FB'"),
        ({"popularity": [1.0] * 9 + [0.0] * 90}, "weight above 0, which is 9. Got 10"),
        ({"popularity": pd.Series({"FB": 1.0})}, "'popularity' .* lacks AAPL"),
        ({"popularity": "often"}, "'popularity' parameter"),
        ({"sectors": {"FB": "Tech"}}, "'sectors' .* lacks AAPL"),
        ({"sectors": ["Tech"]}, "sector for each of the 99 tickers. Got 1"),
        ({"sectors": [None] + ["Tech"] * 98}, "other values for FB"),
        ({"sectors": "lab", "tickers": LETTERS, "max_holdings": 3}, "pass the sector of each"),
        ({"copycats": Copycats(3, 4), "n_traders": 11}, "n_traders = 11 instead of at least 12"),
        ({"copycats": 3}, "'copycats' parameter"),
        ({"n_traders": 0}, "'n_traders' parameter"),
        ({"sector_tilt": 0}, "'sector_tilt' parameter"),
    ],
)
def test_invalid_arguments_raise(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_portfolios(**{"n_traders": 100, **arguments})


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"n_groups": 0}, "n_groups"),
        ({"n_groups": 1, "size": 1}, "size"),
        ({"n_groups": 1, "size": (4, 3)}, "size"),
        ({"n_groups": 1, "match": 0.0}, "match"),
        ({"n_groups": 1, "match": 1.1}, "match"),
    ],
)
def test_invalid_copycats_raise(arguments, name):
    with pytest.raises(ValueError, match=f"'{name}' parameter of Copycats"):
        Copycats(**arguments)
