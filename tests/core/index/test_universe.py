from __future__ import annotations

from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest

from shapecluster._core.index import shape_space
from shapecluster._core.index.collect import TopK
from shapecluster._core.index.universe import search_universe
from shapecluster._core.sbd.correlation import align_all
from shapecluster._core.sbd.shapes import materialize, shapes_of
from tests.reference.nearest import blocks_of, without_bounds


def nearest(queries, universe, k, **options):
    return search_universe(queries, universe, partial(TopK, wanted=k), **options)


def series(kind, rng, n=130, m=90):
    X = rng.normal(size=(n, 2 if kind == "channels" else 1, m))
    if kind in {"walks", "masked", "channels", "duplicates"}:
        X = X.cumsum(axis=-1)
    if kind == "smooth":
        X = X.cumsum(axis=-1).cumsum(axis=-1)
    if kind == "masked":
        X[::3, :, : m // 2] = np.nan
    if kind == "duplicates":
        X = X[rng.integers(0, 9, n)]
    X[[4, 50]] = 1.0  # flat
    return X


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("max_shift", [None, 0, 3, 40])
@pytest.mark.parametrize("kind", ["walks", "white", "smooth", "masked", "channels", "duplicates"])
def test_the_answer_is_that_of_sorting_all_distances(rng, kind, max_shift, dtype):
    x = shapes_of(series(kind, rng).astype(dtype), max_shift)
    every = align_all(x, x)
    sbd = 1.0 - every.ncc
    np.fill_diagonal(sbd, np.inf)
    for k in (1, 7, 129):
        expected = np.argsort(sbd, axis=1, kind="stable")[:, :k]
        for n_threads, circumstances in ((1, nullcontext()), (1, without_bounds()), (2, blocks_of(20_000))):
            with circumstances:
                found = nearest(x, x, k, exclude_self=True, n_threads=n_threads)
            np.testing.assert_array_equal(found.ids.reshape(-1, k), expected)
            np.testing.assert_array_equal(
                found.distances.reshape(-1, k), np.take_along_axis(sbd, expected, 1)
            )
            shifts = np.take_along_axis(every.shifts, expected, 1)
            np.testing.assert_array_equal(found.shifts.reshape(-1, k), shifts)


def test_queries_may_be_others_than_the_universe(rng):
    x = shapes_of(series("walks", rng), None)
    found = nearest(materialize(x, np.array([3, 77])), x, 4)
    assert found.ids.reshape(2, 4)[:, 0].tolist() == [3, 77]


def test_smooth_series_need_few_full_transforms(rng, monkeypatch):
    transformed = []
    original = shape_space.evaluate_pairs

    def count(x, y, first, *rest):
        transformed.append(len(first))
        return original(x, y, first, *rest)

    monkeypatch.setattr(shape_space, "evaluate_pairs", count)
    X = series("walks", rng, n=300, m=400)
    nearest(shapes_of(X, None), shapes_of(X, None), 5, exclude_self=True)
    assert 0 < sum(transformed) < 0.35 * 300 * 299
