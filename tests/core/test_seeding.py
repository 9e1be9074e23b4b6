from __future__ import annotations

import numpy as np
import pytest

from shapecluster._core.correlation import shapes_of
from shapecluster._core.seeding import k_shape_plus_plus, random_rows


@pytest.fixture
def shapes(rng):
    X = rng.normal(size=(80, 1, 40)).cumsum(axis=-1)
    X[5] = 3.0  # flat
    return shapes_of(X, None)


def draw(function, shapes, k, weights=None, seed=0):
    weights = np.ones(len(shapes)) if weights is None else weights
    return function(shapes, k, weights, np.random.RandomState(seed))


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
    np.testing.assert_array_equal(a, b)


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
    from shapecluster._core.kshape import Settings, start

    def first_inertia(function, seed):
        rows = draw(function, shapes, 8, seed=seed)
        return start(shapes, shapes.unit[rows], np.ones(80), Settings()).current.inertia

    spread = [first_inertia(k_shape_plus_plus, s) for s in range(20)]
    random = [first_inertia(random_rows, s) for s in range(20)]
    assert np.median(spread) < np.median(random)
