from __future__ import annotations

import pickle
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import pairwise_distances

from shapecluster import PortfolioMatcher
from shapecluster.datasets import Copycats, make_portfolios
from shapecluster.portfolios import Portfolios
from tests.reference import matching as oracle

METRICS = ["jaccard", "containment", "overlap", "cosine"]
COLUMNS = ["trader", "match", "shared", "missing", "extra"]


@pytest.fixture
def held():
    return Portfolios(
        [[1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 0, 0]],
        tickers=["AAPL", "KO", "MSFT", "XOM", "F"],
        trader_ids=["ann", "bob", "eve", "nil", "zoe"],
    )


def pairs_of(frame):
    return list(frame.itertuples(index=False, name=None))


class TestMatches:
    def test_the_table_has_trader_similarity_and_tickers(self, held):
        answer = PortfolioMatcher(0.7).fit(held).matches("ann")
        assert answer.columns.tolist() == COLUMNS
        assert pairs_of(answer) == [
            ("zoe", 1.0, ("AAPL", "KO", "MSFT"), (), ()),
            ("bob", 0.75, ("AAPL", "KO", "MSFT"), (), ("XOM",)),
        ]

    @pytest.mark.parametrize("metric", METRICS)
    @pytest.mark.parametrize("quantities", [False, True])
    def test_matches_equal_those_of_the_definition(self, rng, metric, quantities):
        table = rng.integers(0, 4, size=(60, 7)) * (rng.random((60, 7)) < 0.5)
        model = PortfolioMatcher(Fraction(2, 3), metric=metric, quantities=quantities).fit(table)
        expected = oracle.all_matches(table, metric, Fraction(2, 3), quantities=quantities)
        n_shared = 0
        for trader in range(60):
            answer = model.matches(trader)
            assert set(answer["trader"]) == {j for i, j in expected if i == trader}
            assert pairs_of(answer.sort_values(["match", "trader"], ascending=[False, True])) == pairs_of(
                answer
            )
            for other, match, shared, missing, extra in pairs_of(answer):
                mine, yours = table[trader] > 0, table[other] > 0
                exact = oracle.match(table[trader], table[other], metric, quantities=quantities)
                assert match == pytest.approx(exact, rel=1e-12)
                for names, which in (
                    (shared, mine & yours),
                    (missing, mine & ~yours),
                    (extra, ~mine & yours),
                ):
                    assert names == tuple(f"x{column}" for column in np.flatnonzero(which))
                n_shared += len(shared)
        assert n_shared > 0

    def test_an_external_portfolio_matches_as_a_trader_with_the_same_holdings(self, held):
        model = PortfolioMatcher(0.5).fit(held)
        inside = model.matches("bob")
        for outside in (
            ["XOM", "KO", "AAPL", "MSFT"],
            ("AAPL", "KO", "MSFT", "XOM"),
            np.array(["AAPL", "KO", "MSFT", "XOM"]),
            {"AAPL": 3, "KO": 1, "MSFT": 1.5, "XOM": 1, "F": 0},
            pd.Series([1.0, 1, 1, 1], index=["KO", "AAPL", "MSFT", "XOM"]),
        ):
            answer = model.matches(outside)
            assert answer["trader"].tolist() == ["bob", "ann", "zoe", "eve"]
            pd.testing.assert_frame_equal(answer.iloc[1:].reset_index(drop=True), inside)

    def test_a_ticker_outside_the_data_counts_as_held_and_is_named(self, held):
        model = PortfolioMatcher(0.75).fit(held)
        with pytest.warns(UserWarning, match=r"lack 1 of the 4 tickers of the portfolio: NOPE\.") as caught:
            answer = model.matches(["NOPE", "KO", "AAPL", "MSFT"])
        assert caught[0].filename == __file__
        assert answer["trader"].tolist() == ["ann", "zoe"]
        assert answer.loc[0, "match"] == 0.75
        assert answer.loc[0, "missing"] == ("NOPE",)
        with pytest.warns(UserWarning, match="2 of the 2 tickers"):
            assert model.matches(["NOPE", "NADA"]).empty

    @pytest.mark.parametrize("metric", METRICS)
    @pytest.mark.parametrize("quantities", [False, True])
    def test_an_empty_portfolio_has_no_match(self, held, metric, quantities):
        twice = Portfolios(sparse.vstack([held.matrix, held.matrix[3]]), held.tickers, [*"abcdef"])
        model = PortfolioMatcher(1e-9, metric=metric, quantities=quantities).fit(twice)
        for empty in ("d", "f", [], {}, {"KO": 0}):
            answer = model.matches(empty)
            assert answer.columns.tolist() == COLUMNS
            assert answer.empty
        assert not {"d", "f"} & {*model.match_pairs()[["trader_a", "trader_b"]].to_numpy().ravel()}
        assert model.groups_[[3, 5]].tolist() == [-1, -1]

    def test_tables_without_rows_have_the_types_of_others_and_are_copies(self, held):
        model = PortfolioMatcher(0.7).fit(held)
        empty, other = model.matches("eve"), model.matches("ann")
        assert empty.dtypes.to_dict() == other.dtypes.to_dict()
        empty["note"] = 1
        assert pairs_of(model.matches("nil")) == []
        assert model.matches("eve").columns.tolist() == COLUMNS

    def test_quantities_count_on_request(self):
        held = Portfolios([[3, 2], [3, 0], [6, 4]], ["A", "B"], ["ann", "bob", "eve"])
        model = PortfolioMatcher(0.5, quantities=True).fit(held)
        assert pairs_of(model.matches("ann")[["trader", "match"]]) == [("bob", 0.6), ("eve", 0.5)]
        assert pairs_of(model.matches({"A": 2.5})[["trader", "match"]])[0] == ("bob", 2.5 / 3)
        assert PortfolioMatcher(0.9).fit(held).matches("ann")["trader"].tolist() == ["eve"]
        shares = PortfolioMatcher(1, metric="cosine", quantities=True).fit(held)
        assert shares.matches("ann")["trader"].tolist() == ["eve"]

    def test_numpy_integers_are_trader_ids(self, rng):
        model = PortfolioMatcher(0.1).fit(rng.integers(0, 2, size=(9, 4)))
        pd.testing.assert_frame_equal(model.matches(3), model.matches(np.int64(3)))
        assert model.matches(3)["trader"].dtype == np.int64

    @pytest.mark.parametrize("trader", ["joe", "KO", 0, 1.0, None, True])
    def test_an_unknown_trader_is_named(self, held, trader):
        with pytest.raises(KeyError, match=rf"no trader {trader!r} among the 5 traders \(ann to zoe\)"):
            PortfolioMatcher().fit(held).matches(trader)

    @pytest.mark.parametrize(
        ("portfolio", "quantities", "message"),
        [
            (["KO", "F", "KO"], False, "name each ticker once, but these repeat: KO"),
            ({"KO": -1.0}, False, "Got -1.0 of 'KO'"),
            ({"KO": float("nan")}, False, "Got nan of 'KO'"),
            ({"KO": "many"}, True, "weights must be numbers"),
            (["KO"], True, "give a mapping or a Series of ticker to quantity. Got a list"),
            (pd.DataFrame({"KO": [1]}), False, "Got 'DataFrame'"),
        ],
    )
    def test_invalid_portfolios_raise(self, held, portfolio, quantities, message):
        with pytest.raises(ValueError, match=message):
            PortfolioMatcher(quantities=quantities).fit(held).matches(portfolio)

    def test_before_fit(self):
        with pytest.raises(NotFittedError):
            PortfolioMatcher().matches("ann")
        with pytest.raises(NotFittedError):
            PortfolioMatcher().match_pairs()


class TestMatchPairs:
    def test_pairs_equal_the_matches_of_each_trader(self, rng):
        held = make_portfolios(200, [*"ABCDEFGHIJK"], random_state=3)
        for metric in METRICS:
            model = PortfolioMatcher(0.8, metric=metric).fit(held)
            pairs = model.match_pairs()
            assert len(pairs) > 50
            one_by_one = [
                (a, b, match)
                for a in range(200)
                for b, match in model.matches(a)[["trader", "match"]].to_numpy()
            ]
            if metric != "containment":
                one_by_one = [pair for pair in one_by_one if pair[0] < pair[1]]
            assert pairs_of(pairs) == sorted(one_by_one)

    def test_containment_has_a_direction(self, held):
        pairs = PortfolioMatcher(0.9, metric="containment").fit(held).match_pairs()
        assert pairs_of(pairs[["trader_a", "trader_b"]]) == [
            *(("ann", "bob"), ("ann", "zoe"), ("eve", "bob"), ("zoe", "ann"), ("zoe", "bob"))
        ]

    def test_5000_traders_agree_with_brute_force(self):
        held, truth = make_portfolios(
            5000, copycats=Copycats(n_groups=100, size=5, match=0.9), return_truth=True, random_state=0
        )
        pairs = PortfolioMatcher(0.9).fit(held).match_pairs()
        dense = held.matrix.toarray().astype(np.float32)
        shared, sizes = dense @ dense.T, dense.sum(axis=1)  # whole numbers, exact in float32
        union = sizes[:, None] + sizes - shared
        expected = np.argwhere(np.triu(10 * shared >= 9 * union, 1))
        np.testing.assert_array_equal(pairs[["trader_a", "trader_b"]].to_numpy(), expected)
        i, j = expected.T
        np.testing.assert_allclose(pairs["match"], shared[i, j] / union[i, j], rtol=1e-7)
        groups = truth["group"].to_numpy()
        planted = (groups[i] >= 0) & (groups[i] == groups[j])
        assert planted.sum() > 300
        assert (pairs["match"] < 1).sum() > 50
        distance = pairwise_distances(dense[:300] > 0, dense > 0, metric="jaccard")
        near = np.argwhere(distance <= 0.1 + 1e-9)
        near = near[near[:, 0] < near[:, 1]]
        np.testing.assert_array_equal(near, expected[i < 300])

    def test_too_many_pairs_are_counted_and_not_built(self):
        model = PortfolioMatcher().fit(np.ones((300, 4)))
        with pytest.raises(ValueError, match="44850 pairs of traders match, and max_pairs is 44849"):
            model.match_pairs(max_pairs=44849)
        assert len(model.match_pairs(max_pairs=44850)) == 44850
        assert (model.groups_ == 0).all()
        with pytest.raises(ValueError, match=r"max_pairs must be an integer of at least 0. Got 1\.5"):
            model.match_pairs(max_pairs=1.5)

    def test_no_match_gives_no_pairs(self):
        for table in (np.ones((1, 3)), np.zeros((5, 3)), np.eye(4)):
            pairs = PortfolioMatcher().fit(table).match_pairs()
            assert pairs.columns.tolist() == ["trader_a", "trader_b", "match"]
            assert pairs.empty


class TestInput:
    def test_all_forms_of_input_give_the_same_pairs(self, held):
        wide = held.to_frame()
        expected = PortfolioMatcher(0.5).fit(held).match_pairs()
        table = pd.DataFrame(held.matrix.toarray(), index=held.trader_ids, columns=held.tickers)
        for X in (wide, held.to_frame("long"), table, table.astype(bool), table * 7):
            pd.testing.assert_frame_equal(PortfolioMatcher(0.5).fit(X).match_pairs(), expected)
        for X in (held.matrix, held.matrix.tocsc(), held.matrix.toarray(), held.matrix.toarray().tolist()):
            numbers = PortfolioMatcher(0.5).fit(X).match_pairs()
            assert numbers["match"].tolist() == expected["match"].tolist()
            assert numbers["trader_b"].tolist() == [1, 4, 2, 4]
        assert PortfolioMatcher().fit(table).feature_names_in_.tolist() == held.tickers.tolist()
        assert PortfolioMatcher().fit(table).fit(held).n_features_in_ == 5
        assert not hasattr(PortfolioMatcher().fit(table).fit(held), "feature_names_in_")

    def test_input_is_not_changed(self, held):
        before = held.matrix.copy()
        PortfolioMatcher(0.5, quantities=True, metric="cosine").fit(held).match_pairs()
        for part in ("data", "indices", "indptr"):
            np.testing.assert_array_equal(getattr(before, part), getattr(held.matrix, part))

    @pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
    def test_invalid_quantities_raise(self, value):
        with pytest.raises(ValueError, match=r"Negative values in data|NaN|infinity"):
            PortfolioMatcher().fit([[1.0, value], [1.0, 1.0]])

    def test_overflowing_sums_raise(self):
        with pytest.raises(ValueError, match=r"trader 1 .* too large to be added up"):
            PortfolioMatcher(quantities=True).fit([[1.0, 1.0], [1e308, 1e308]])

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"min_match": 0}, "min_match"),
            ({"min_match": 1.01}, "min_match"),
            ({"min_match": Fraction(11, 10)}, "min_match"),
            ({"min_match": Fraction(0)}, "min_match"),
            ({"min_match": "0.9"}, "min_match"),
            ({"metric": "dice"}, "metric"),
            ({"quantities": "yes"}, "quantities"),
        ],
    )
    def test_invalid_parameters_raise(self, held, parameters, message):
        with pytest.raises(ValueError, match=f"The '{message}' parameter of PortfolioMatcher must be"):
            PortfolioMatcher(**parameters).fit(held)

    @pytest.mark.parametrize("same", [0.9, np.float64(0.9), np.float32(0.9), Fraction(9, 10)])
    def test_a_float_threshold_means_its_decimal(self, same):
        table = np.ones((2, 10))
        table[1, 0] = 0
        assert len(PortfolioMatcher(same).fit(table).match_pairs()) == 1
        assert PortfolioMatcher(0.9 + 1e-12).fit(table).match_pairs().empty

    def test_clone_and_pickle(self, held):
        model = PortfolioMatcher(Fraction(1, 2), metric="overlap").fit(held)
        assert clone(model).get_params() == model.get_params()
        again = pickle.loads(pickle.dumps(model))
        pd.testing.assert_frame_equal(again.matches("eve"), model.matches("eve"))

    def test_parameters_set_after_fit_take_effect_at_the_next_fit(self, held):
        model = PortfolioMatcher(0.7).fit(held)
        before = model.match_pairs()
        model.set_params(min_match=0.1, metric="containment")
        pd.testing.assert_frame_equal(model.match_pairs(), before)
        assert len(model.fit(held).match_pairs()) > len(before)


class TestPartialFit:
    @settings(max_examples=40)
    @given(st.integers(0, 10_000), st.integers(1, 11), st.sampled_from(METRICS), st.booleans())
    def test_partial_fit_equals_one_fit_of_all(self, seed, cut, metric, quantities):
        rng = np.random.default_rng(seed)
        table = rng.integers(0, 3, size=(12, 5)).astype(float)
        parameters = {"min_match": 0.5, "metric": metric, "quantities": quantities}
        whole = PortfolioMatcher(**parameters).fit(table)
        parts = PortfolioMatcher(**parameters).partial_fit(table[:cut]).partial_fit(table[cut:])
        pd.testing.assert_frame_equal(parts.match_pairs(), whole.match_pairs())
        for trader in range(12):
            pd.testing.assert_frame_equal(parts.matches(trader), whole.matches(trader))
        np.testing.assert_array_equal(parts.groups_, whole.groups_)

    def test_new_tickers_come_last(self, held):
        model = PortfolioMatcher(0.5).fit(held)
        model.partial_fit(Portfolios([[1, 1, 0], [1, 0, 1]], ["XOM", "NEW", "AAPL"], ["may", "sam"]))
        assert model.portfolios_.tickers.tolist() == ["AAPL", "KO", "MSFT", "XOM", "F", "NEW"]
        assert model.n_features_in_ == 6
        assert model.portfolios_["may"].to_dict() == {"XOM": 1.0, "NEW": 1.0}
        assert model.portfolios_["bob"].index.tolist() == ["AAPL", "KO", "MSFT", "XOM"]
        assert model.matches(["NEW", "XOM"])["trader"].tolist() == ["may"]

    def test_repeated_traders_raise_and_change_nothing(self, held):
        model = PortfolioMatcher(0.5).fit(held)
        new = Portfolios([[1, 1], [1, 1]], ["KO", "NEW"], ["may", "bob"])
        with pytest.raises(ValueError, match="these are in the data already: bob"):
            model.partial_fit(new)
        assert len(model.portfolios_) == 5
        assert model.n_features_in_ == 5
        assert len(model.match_pairs()) == 4

    def test_a_matrix_without_names_cannot_follow_traders_with_names(self, held):
        with pytest.raises(ValueError, match="trader_ids must be whole numbers throughout, or text"):
            PortfolioMatcher().fit(held).partial_fit(np.ones((2, 5)))


@pytest.mark.parametrize(
    ("metric", "more", "less", "swapped"),
    [("jaccard", 9, 10, 19), ("containment", 1, 10, 10), ("overlap", 1, 2, 10), ("cosine", 5, 6, 10)],
)
def test_the_guide_says_how_many_holdings_90_percent_needs(metric, more, less, swapped):
    def least(n_less, n_more):
        for n_held in range(1 + n_less, 30):
            table = np.zeros((2, 40))
            table[0, :n_held] = 1
            table[1, n_less : n_held + n_more] = 1
            if PortfolioMatcher(metric=metric).fit(table).matches(0)["trader"].tolist() == [1]:
                return n_held
        return None

    assert (least(0, 1), least(1, 0), least(1, 1)) == (more, less, swapped)
    page = (Path(__file__).parents[2] / "docs" / "guide" / "matching.rst").read_text("utf-8")
    row = f'   * - "{metric}"\n     - {more}\n     - {less}\n     - {swapped}\n'
    assert row in page.partition(":name: least-holdings")[2]
