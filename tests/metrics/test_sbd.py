"""The shape-based distance against a slow oracle, its shifts, and its checks of the input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from shapecluster.exceptions import FlatSeriesWarning
from shapecluster.metrics import sbd_distances
from tests.reference.sbd import sbd


@pytest.mark.parametrize("max_shift", [None, 0, 4])
def test_distances_are_those_of_the_oracle(rng, max_shift):
    X, Y = rng.normal(size=(8, 30)).cumsum(1), rng.normal(size=(3, 30)).cumsum(1)
    expected = [[sbd(x, y, max_shift) for y in Y] for x in X]
    np.testing.assert_allclose(sbd_distances(X, Y, max_shift=max_shift), expected, atol=1e-12)


def test_with_itself_it_is_symmetric_with_a_zero_diagonal(rng):
    X = rng.normal(size=(20, 30)).cumsum(1)
    distances, shifts = sbd_distances(X, return_shift=True, n_jobs=2)
    np.testing.assert_array_equal(distances, distances.T)
    np.testing.assert_array_equal(distances.diagonal(), 0)
    np.testing.assert_array_equal(shifts, -shifts.T)
    np.testing.assert_array_equal(distances, sbd_distances(X))


def test_zero_shift_is_one_minus_pearson(rng):
    X = rng.normal(size=(10, 40))
    np.testing.assert_allclose(sbd_distances(X, max_shift=0), 1 - np.corrcoef(X), atol=1e-12)


def test_flat_series_are_named(rng):
    X = pd.DataFrame(rng.normal(size=(3, 20)), index=["A", "B", "C"])
    X.loc["B"] = 3.0
    with pytest.warns(FlatSeriesWarning, match="'B'"):
        distances = sbd_distances(X)
    assert distances[1].tolist() == [1.0, 0.0, 1.0]


def test_of_two_precisions_the_wider_decides_on_both_sides(rng):
    X, Y = rng.normal(size=(40, 200)).cumsum(1), rng.normal(size=(5, 200)).cumsum(1).astype(np.float32)
    forth, lags = sbd_distances(X, Y, return_shift=True)
    back, back_lags = sbd_distances(Y, X, return_shift=True)
    np.testing.assert_allclose(forth, back.T, atol=1e-14)
    np.testing.assert_array_equal(lags, -back_lags.T)
    np.testing.assert_array_equal(forth, sbd_distances(X, Y.astype(np.float64)))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"max_shift": -1}, "'max_shift' parameter of sbd_distances"),
        ({"missing": "no"}, "'missing' parameter of sbd_distances"),
        ({"Y": np.ones((2, 9))}, "9 features, but sbd_distances is expecting 20"),
        ({"Y": np.full((2, 20), np.nan)}, "contains NaN: sbd_distances"),
        ({"Y": np.ones((2, 20, 2))}, "same channels"),
    ],
)
def test_bad_input(rng, kwargs, message):
    with pytest.raises(ValueError, match=message):
        sbd_distances(rng.normal(size=(4, 20)), **kwargs)
