from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

from shapecluster._core.matching import distinct as distinct_module
from shapecluster._core.matching import pairs as pairs_module
from shapecluster._core.matching.criterion import MatchCriterion
from shapecluster._core.matching.distinct import distinct_portfolios
from shapecluster._core.matching.pairs import expand_to_traders, identical_trader_pairs, matching_pairs
from shapecluster._core.matching.search import find_matches
from tests.reference import matching as oracle

METRICS = ["jaccard", "containment", "overlap", "cosine"]
THRESHOLDS = [
    *(Fraction(n, d) for n, d in [(9, 10), (2, 3), (1, 2), (1, 10), (1, 1), (4, 5), (3, 4)]),
    Fraction("0.7071067811865476"),  # a little above a cosine of 1 / sqrt(2); products exceed 64 bits
    Fraction("0.3333333333333333"),  # a little below a third
]
SETS = st.sampled_from([0.0, 0.0, 1.0])
QUANTITIES = st.sampled_from([0.0, 0.0, 1.0, 2.0, 3.0, 0.1, 0.7, 1e-9, 1e6])


def tables(elements):
    shapes = st.tuples(st.integers(1, 14), st.integers(1, 9))
    return shapes.flatmap(lambda shape: arrays(np.float64, shape, elements=elements))


def criteria(quantities):
    return st.builds(
        MatchCriterion, st.sampled_from(METRICS), st.sampled_from(THRESHOLDS), st.just(quantities)
    )


def found_one_by_one(table, criterion):
    """All (query, match) pairs, by one search per trader."""
    distinct = distinct_portfolios(sparse.csr_matrix(table), criterion)
    pairs = {}
    for trader, group in enumerate(distinct.group_of_trader):
        if group < 0:
            assert not table[trader].any()
            continue
        row = slice(*distinct.rows.indptr[group : group + 2])
        mine = distinct.rows.indices[row], distinct.rows.data[row], distinct.weights[group]
        outside = find_matches(distinct, criterion, *mine)
        np.testing.assert_array_equal(find_matches(distinct, criterion, *mine, int(group)), outside)
        for other, match in zip(*outside, strict=True):
            members = distinct.traders_of(other)
            pairs |= {(trader, int(member)): match for member in members if member != trader}
    return pairs


def found_together(table, criterion):
    """All pairs from the join, the earlier trader first."""
    distinct = distinct_portfolios(sparse.csr_matrix(table), criterion)
    first, second, _ = matching_pairs(distinct, criterion)
    assert (first < second).all()
    a, b, _ = expand_to_traders(distinct, first, second)
    same = identical_trader_pairs(distinct)
    assert (same[0] < same[1]).all()
    pairs = [tuple(sorted(pair)) for pair in zip(*(map(np.ndarray.tolist, (a, b))), strict=True)]
    pairs += zip(*(map(np.ndarray.tolist, same)), strict=True)
    assert len(pairs) == len(set(pairs))
    return set(pairs)


def check(table, criterion):
    expected = oracle.all_matches(
        table, criterion.metric, criterion.threshold, quantities=criterion.uses_quantities
    )
    answer = found_one_by_one(table, criterion)
    assert set(answer) == expected
    for (i, j), match in answer.items():
        exact = oracle.match(table[i], table[j], criterion.metric, quantities=criterion.uses_quantities)
        assert match == pytest.approx(exact, rel=1e-12)
    assert found_together(table, criterion) == {tuple(sorted(pair)) for pair in expected}
    return expected


@given(tables(SETS), criteria(quantities=False))
def test_sets_match_as_exact_fractions_do(table, criterion):
    check(table, criterion)


@given(tables(QUANTITIES), criteria(quantities=True))
def test_quantities_match_as_exact_fractions_do_up_to_the_tolerance(table, criterion):
    check(table, criterion)


@pytest.mark.parametrize("index_cost", [0.0, np.inf], ids=["highest level", "level 1"])
@given(tables(SETS), criteria(quantities=False), st.integers(1, 9))
def test_pairs_do_not_depend_on_prefix_level_blocks_or_order(index_cost, table, criterion, size):
    expected = found_together(table, criterion)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs_module, "_INDEX_COST", index_cost)
        patch.setattr(pairs_module, "_MAX_BANDS", size)
        patch.setattr(pairs_module, "_PAIRS_PER_BLOCK", size)
        assert found_together(table, criterion) == expected
    n = len(table) - 1
    reverse = {(n - j, n - i) for i, j in found_together(table[::-1, ::-1], criterion)}
    assert reverse == expected


def row(n_held, n_tickers=40, start=0):
    held = np.zeros(n_tickers)
    held[start : start + n_held] = 1
    return held


@pytest.mark.parametrize(
    ("metric", "threshold", "a", "b", "expected"),
    [
        ("jaccard", "0.9", row(10), row(9), True),  # 9 of 10
        ("jaccard", "0.9", row(10), row(10, start=1), False),  # one swap: 9 of 11
        ("jaccard", "0.9", row(20), row(20, start=1), True),  # 19 of 21
        ("jaccard", "0.9", row(19), row(19, start=1), True),  # 18 of 20
        ("jaccard", "0.9", row(18), row(18, start=1), False),  # 17 of 19
        ("jaccard", "0.9", row(8), row(9), False),
        ("jaccard", "2/3", row(2), row(3), True),
        ("jaccard", "0.6666666666666667", row(2), row(3), False),
        ("jaccard", "0.6666666666666666", row(2), row(3), True),
        ("containment", "0.9", row(10), row(10, start=1), True),
        ("containment", "0.9", row(10), row(30, start=2), False),
        ("containment", "0.9", row(9), row(9, start=1), False),
        ("overlap", "0.9", row(30), row(10, start=21), True),
        ("overlap", "0.9", row(30), row(9, start=22), False),
        ("cosine", "0.9", row(10), row(10, start=1), True),
        ("cosine", "0.5", row(4), row(1), True),  # 1 / sqrt(4)
        ("cosine", "0.5000000000000001", row(4), row(1), False),
        ("cosine", "0.9", row(10), row(8), False),  # 8 / sqrt(80) = 0.894
    ],
)
def test_a_threshold_is_reached_exactly_or_not(metric, threshold, a, b, expected):
    criterion = MatchCriterion(metric, Fraction(threshold))
    assert ((0, 1) in check(np.stack([a, b]), criterion)) is expected


@pytest.mark.parametrize("metric", METRICS)
def test_min_shared_weight_never_decreases_when_a_side_grows(metric):
    sizes = np.arange(1, 60)
    for threshold in THRESHOLDS:
        needed = MatchCriterion(metric, threshold).min_shared_either_way(sizes[:, None], sizes[None])
        assert (np.diff(needed, axis=0) >= 0).all()
        assert (np.diff(needed, axis=1) >= 0).all()


@given(st.integers(1, 10**9), st.integers(1, 10**9), st.sampled_from(THRESHOLDS), st.sampled_from(METRICS))
def test_min_shared_weight_is_the_smallest_that_is_enough_for_weights_of_any_size(a, b, threshold, metric):
    p, q = threshold.numerator, threshold.denominator
    needed = int(MatchCriterion(metric, threshold).min_shared(np.array([a]), np.array([b]))[0])

    def enough(shared):
        if metric == "jaccard":
            return shared * q >= p * (a + b - shared)
        if metric == "cosine":
            return shared**2 * q**2 >= p**2 * a * b
        return shared * q >= p * (a if metric == "containment" else min(a, b))

    assert enough(needed)
    assert not enough(needed - 1)


def test_identical_rows_are_found_despite_hash_collisions(rng, monkeypatch):
    table = rng.integers(0, 2, size=(60, 5)).astype(float)
    hashes, calls = distinct_module._row_hashes, []

    def colliding_at_first(matrix, generator):
        calls.append(len(calls))
        made = hashes(matrix, generator)
        return made % np.uint64(3) if len(calls) < 3 else made

    monkeypatch.setattr(distinct_module, "_row_hashes", colliding_at_first)
    distinct = distinct_portfolios(sparse.csr_matrix(table), MatchCriterion("jaccard", Fraction(1, 2)))
    assert len(calls) == 3
    kinds = {tuple(held) for held in table if held.any()}
    assert len(distinct.weights) == len(kinds)
    for number in range(len(kinds)):
        members = distinct.traders_of(number)
        assert (table[members] == table[members[0]]).all()
        assert (np.diff(members) > 0).all()


def test_scaled_quantities_have_a_cosine_of_1_and_nothing_overflows():
    table = np.array([[1.0, 2, 0], [1e200, 2e200, 0], [1e-200, 2e-200, 0], [1, 0, 2]])
    assert check(table, MatchCriterion("cosine", Fraction(1), uses_quantities=True)) == {
        (i, j) for i in range(3) for j in range(3) if i != j
    }


def test_many_sizes_are_joined_in_bands(rng):
    """More sizes than bands, and long portfolios, so that one index holds rows of many lengths."""
    core = rng.random((40, 300)) < 0.5
    table = np.repeat(core, 3, axis=0) ^ (rng.random((120, 300)) < rng.choice([0.0, 0.02, 0.2], (120, 1)))
    table = table.astype(float)
    assert len(np.unique(table.sum(axis=1))) > pairs_module._MAX_BANDS
    inner, sizes = table @ table.T, table.sum(axis=1)
    union = sizes[:, None] + sizes - inner
    for threshold in (Fraction(9, 10), Fraction(1, 2)):
        good = np.argwhere(np.triu(threshold.denominator * inner >= threshold.numerator * union, 1))
        expected = {tuple(pair) for pair in good.tolist()}
        assert found_together(table, MatchCriterion("jaccard", threshold)) == expected
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pairs_module, "_PAIRS_PER_BLOCK", 7)
            assert found_together(table, MatchCriterion("jaccard", threshold)) == expected
    assert 0 < len(expected) < 120 * 119 / 2


@pytest.mark.parametrize("level", [1, 2, 3])
@settings(max_examples=40)
@given(tables(QUANTITIES), criteria(quantities=True))
def test_pairs_with_quantities_do_not_depend_on_the_prefix_level(level, table, criterion):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs_module, "_QUANTITY_LEVEL", level)
        expected = oracle.all_matches(table, criterion.metric, criterion.threshold, quantities=True)
        assert found_together(table, criterion) == {tuple(sorted(pair)) for pair in expected}
