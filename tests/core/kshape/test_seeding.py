from __future__ import annotations

import numpy as np
import pytest

from shapecluster._core.kshape.seeding import Start, k_shape_plus_plus, random_rows
from shapecluster._core.sbd.correlation import align_all
from shapecluster._core.sbd.shapes import materialize, shapes_of


@pytest.fixture
def shapes(rng):
    X = rng.normal(size=(80, 1, 40)).cumsum(axis=-1)
    X[5] = 3.0  # flat
    return shapes_of(X, None)


def draw(function, shapes, k, weights=None, seed=0):
    weights = np.ones(len(shapes)) if weights is None else weights
    return function(shapes, k, weights, np.random.RandomState(seed)).rows


@pytest.mark.parametrize("function", [k_shape_plus_plus, random_rows])
def test_seeds_are_distinct_usable_rows(shapes, function):
    weights = np.ones(80)
    weights[40:] = 0
    for seed in range(10):
        rows = draw(function, shapes, 12, weights, seed)
        assert len(set(rows.tolist())) == 12
        assert 5 not in rows
        assert rows.max() < 40


def test_seeds_for_k_are_the_first_k_of_a_larger_run(shapes):
    for seed in range(5):
        larger = draw(k_shape_plus_plus, shapes, 15, seed=seed)
        np.testing.assert_array_equal(draw(k_shape_plus_plus, shapes, 6, seed=seed), larger[:6])


def test_seeds_do_not_depend_on_threads(shapes):
    a = k_shape_plus_plus(shapes, 9, np.ones(80), np.random.RandomState(1), n_threads=1)
    b = k_shape_plus_plus(shapes, 9, np.ones(80), np.random.RandomState(1), n_threads=3)
    np.testing.assert_array_equal(a.rows, b.rows)
    np.testing.assert_array_equal(a.assigned(9).nearest, b.assigned(9).nearest)


def test_one_seed_for_each_of_a_few_distinct_shapes(rng):
    three = rng.normal(size=(3, 1, 30)).cumsum(axis=-1)
    which = rng.integers(0, 3, 60)
    which[:3] = [0, 1, 2]
    shapes = shapes_of(three[which], None)
    for seed in range(10):
        assert sorted(which[draw(k_shape_plus_plus, shapes, 3, seed=seed)]) == [0, 1, 2]


@pytest.mark.parametrize("function", [k_shape_plus_plus, random_rows])
def test_more_clusters_than_usable_rows_repeats_rows(rng, function):
    X = np.full((6, 1, 20), 2.0)
    X[:2] = rng.normal(size=(2, 1, 20))
    rows = draw(function, shapes_of(X, None), 4)
    assert set(rows.tolist()) == {0, 1}


def test_spread_seeds_start_lower_than_random_ones(shapes):
    from shapecluster._core.kshape.run import FitSettings, start_run

    def first_inertia(function, seed):
        rows = draw(function, shapes, 8, seed=seed)
        return start_run(shapes, Start(shapes.unit[rows]), np.ones(80), FitSettings()).current.inertia

    spread = [first_inertia(k_shape_plus_plus, s) for s in range(20)]
    random = [first_inertia(random_rows, s) for s in range(20)]
    assert np.median(spread) < np.median(random)


def plain_seeds(x, k, weights, rng):
    """k-means++ under SBD^2 with several candidates, as one reads it in a book."""
    usable = np.where(x.flat, 0.0, weights)

    def draw(potential, uniform):
        total = np.cumsum(potential)
        at = np.searchsorted(total, uniform * total[-1], side="right")
        return np.minimum(at, np.flatnonzero(potential)[-1])

    def square(rows):
        sbd = 1.0 - align_all(x, materialize(x, rows)).ncc
        sbd[sbd <= x.tie_band] = 0.0
        return sbd.T**2

    seeds = [int(draw(usable, rng.uniform(size=1))[0])]
    closest = square(np.array(seeds))[0]
    while len(seeds) < k:
        rows = draw(usable * closest, rng.uniform(size=4))
        reached = np.minimum(closest, square(rows))
        best = int((usable * reached).sum(axis=-1).argmin())
        seeds.append(int(rows[best]))
        closest = reached[best]
    return seeds, closest


@pytest.mark.parametrize("kind", ["walk", "white", "smooth", "masked"])
@pytest.mark.parametrize("max_shift", [None, 2, 60])
def test_bounds_change_no_seed_and_know_the_nearest_one(rng, kind, max_shift):
    X = rng.normal(size=(150, 1, 100))
    if kind != "white":
        X = X.cumsum(axis=-1)
    if kind == "smooth":
        X = X.cumsum(axis=-1)
    if kind == "masked":
        X[::4, :, :50] = np.nan
    X[5] = 1.0
    x, weights = shapes_of(X, max_shift), rng.uniform(0.5, 2.0, 150)
    for seed in range(3):
        expected, closest = plain_seeds(x, 12, weights, np.random.RandomState(seed))
        found = k_shape_plus_plus(x, 12, weights, np.random.RandomState(seed))
        assert found.rows.tolist() == expected
        if found.lower_bounds is None:
            assert x.narrow
            continue
        known = found.assigned(12)
        np.testing.assert_allclose((1 - known.nearest.ncc[~x.flat]) ** 2, closest[~x.flat], atol=1e-12)
        exact = align_all(x, materialize(x, found.rows)).ncc
        assert (np.cos(np.maximum(known.lower_bounds, 0.0)) >= exact - 1e-6)[~x.flat].all()
