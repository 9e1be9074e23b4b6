from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shapecluster.analogues._windows import (
    Windows,
    comparable_values,
    complete_windows,
    forward_returns,
    n_non_overlapping,
    suppress_overlaps,
    window_values,
)

PLACES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60)), unique=True, max_size=60)


def windows_of(places):
    pairs = np.array(places, dtype=np.intp).reshape(-1, 2)
    return Windows(pairs[:, 0], pairs[:, 1])


def is_near(one, other, exclusion):
    return one[0] == other[0] and abs(one[1] - other[1]) <= exclusion


@given(PLACES, st.integers(0, 20))
def test_episodes_keep_apart_and_leave_nothing_that_a_better_one_does_not_cover(places, exclusion):
    kept = suppress_overlaps(windows_of(places), len(places), exclusion).tolist()
    assert kept == sorted(kept)
    for position, place in enumerate(places):
        better = [k for k in kept if k < position and is_near(places[k], place, exclusion)]
        assert (position in kept) != bool(better)


@given(PLACES, st.integers(0, 20), st.integers(0, 60), st.integers(0, 10))
def test_episodes_of_the_first_few_windows_begin_those_of_all(places, exclusion, n, most):
    every = suppress_overlaps(windows_of(places), len(places), exclusion)
    some = suppress_overlaps(windows_of(places[:n]), most, exclusion)
    np.testing.assert_array_equal(some, every[every < n][:most])


@given(st.lists(st.integers(0, 25), max_size=6), st.integers(1, 8))
def test_outcomes_apart_are_the_most_that_share_no_day(ends, horizon):
    def most(left, free):
        return max((1 + most(left[i + 1 :], e + horizon) for i, e in enumerate(left) if e >= free), default=0)

    assert n_non_overlapping(np.array(ends, dtype=np.intp), horizon) == most(sorted(set(ends)), 0)


@given(st.data())
def test_windows_are_complete_and_move_or_are_counted(data):
    cells = st.sampled_from([1.0, 1.0, 2.0, np.nan])
    prices = np.array(data.draw(st.lists(st.lists(cells, min_size=12, max_size=12), min_size=1, max_size=3)))
    kind, step = data.draw(st.sampled_from(["levels", "returns"])), data.draw(st.integers(1, 4))
    width, ends = (4 if kind == "levels" else 3), np.arange(3, 12, step)
    counted = complete_windows(comparable_values(prices, kind), width, ends)
    rows = window_values(comparable_values(prices, kind), counted.windows, width)
    expected, n_missing, n_flat = [], np.zeros(len(prices)), np.zeros(len(prices))
    for row, series in enumerate(prices):
        for end in ends:
            past = series[end - 3 : end + 1]
            past = past if kind == "levels" else np.diff(np.log(past))
            if np.isnan(past).any():
                n_missing[row] += 1
            elif (past == past[0]).all():
                n_flat[row] += 1
            else:
                expected.append((row, end, past))
    assert list(zip(counted.windows.rows, counted.windows.ends, strict=True)) == [e[:2] for e in expected]
    np.testing.assert_array_equal(counted.n_missing, n_missing)
    np.testing.assert_array_equal(counted.n_flat, n_flat)
    if expected:
        np.testing.assert_allclose(rows, [past for *_, past in expected], rtol=1e-6)
    assert rows.dtype == np.float32


def test_futures_end_where_knowledge_does():
    prices = np.array([[1.0, 2.0, 3.0, np.nan, 5.0], [2.0, 2.0, 1.0, 4.0, 8.0]])
    windows = Windows(np.array([0, 1, 1]), np.array([1, 1, 3]))
    paths = forward_returns(prices, windows, 2, known=3)
    np.testing.assert_array_equal(paths, [[0.5, np.nan], [-0.5, 1.0], [np.nan, np.nan]])
    np.testing.assert_array_equal(forward_returns(prices, windows, 2, known=3, first=2), paths[:, 1:])
    assert forward_returns(prices, windows, 1, known=4)[2, 0] == pytest.approx(1.0)
