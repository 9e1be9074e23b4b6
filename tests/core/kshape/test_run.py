from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from shapecluster._core.kshape.run import FitSettings, advance, best_run, inertia, memory_plan, start_run
from shapecluster._core.kshape.seeding import Start, k_shape_plus_plus
from shapecluster._core.sbd.normalize import znormalize
from shapecluster._core.sbd.shapes import shapes_of
from tests.reference.kshape import kshape
from tests.reference.nearest import align_nearest, blocks_of, without_bounds


def run(x, centers, weights, settings, callback=None):
    return best_run(x, [lambda: Start(centers)], weights, settings, callback)


def run_without_bounds(x, centers, weights, settings):
    with without_bounds():
        return run(x, centers, weights, settings)


def start(x, centers, weights, settings):
    return start_run(x, Start(centers), weights, settings)


def walks(rng, n=40, channels=1, timepoints=26):
    return rng.normal(size=(n, channels, timepoints)).cumsum(axis=-1)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("max_shift", [None, 0, 3])
def test_a_run_agrees_with_the_oracle(rng, channels, max_shift):
    X = walks(rng, channels=channels)
    weights = rng.uniform(0.2, 2.0, len(X))
    expected = kshape(X, X[:3], weights=weights, max_shift=max_shift)
    best = run(shapes_of(X, max_shift), X[:3], weights, FitSettings(tol=0.0)).best
    assert best.inertia == pytest.approx(expected[0], rel=1e-10)
    np.testing.assert_array_equal(best.labels, expected[1])
    np.testing.assert_array_equal(best.shifts, expected[2])
    np.testing.assert_allclose(best.centers, expected[3], atol=1e-8)


def test_a_run_can_be_resumed_after_every_step(rng):
    X = walks(rng, 80)
    x, weights, settings = shapes_of(X, None), np.ones(80), FitSettings()
    whole = run(x, X[:6], weights, settings)
    state = start(x, X[:6], weights, settings)
    while state.stopped is None:
        state = advance(x, weights, settings, dataclasses.replace(state))
    assert (state.n_iter, state.stopped, state.best.inertia) == (
        whole.n_iter,
        whole.stopped,
        whole.best.inertia,
    )
    np.testing.assert_array_equal(state.best.centers, whole.best.centers)


def test_the_best_iterate_is_kept_with_the_assignment_to_exactly_its_centers(rng):
    """k-Shape's objective can rise; what is returned never does."""
    rises = 0
    for seed in range(30):
        X = walks(np.random.default_rng(seed), 60, timepoints=20)
        x, weights, settings = shapes_of(X, None), np.ones(60), FitSettings(tol=0.0)
        history = []
        result = run(x, X[:7], weights, settings, lambda p, h=history: h.append(p.state.current.inertia))
        rises += any(b > a for a, b in pairwise(history))
        assert result.best.inertia <= min(history)
        labels, shifts, ncc = align_nearest(x, shapes_of(result.best.centers, None))
        np.testing.assert_array_equal(labels, result.best.labels)
        np.testing.assert_array_equal(shifts, result.best.shifts)
        assert inertia(1.0 - ncc, weights) == result.best.inertia
    assert rises  # the case is really met


def test_reasons_to_stop(rng):
    X = walks(rng, 60)
    x, weights = shapes_of(X, None), np.ones(60)
    assert run(x, X[:5], weights, FitSettings(max_iter=1)).stopped == "max_iter"
    assert run(x, X[:1], weights, FitSettings()).stopped == "unchanged"
    lazy = run(x, X[:12], weights, FitSettings(tol=10.0))
    assert lazy.stopped in {"no gain", "unchanged", "cycle"}
    assert lazy.n_iter <= 5


def test_a_labeling_that_comes_back_ends_the_run(rng):
    X = walks(rng, 60)
    x, weights, settings = shapes_of(X, None), np.ones(60), FitSettings(tol=0.0)
    first = start(x, X[:6], weights, settings)
    second = advance(x, weights, settings, first)
    assert second.stopped is None
    third = advance(x, weights, settings, second)
    assert third.stopped is None
    # Pretend that the labeling of the third step had been seen at the start.
    pretended = dataclasses.replace(second, seen=second.seen | third.seen)
    assert advance(x, weights, settings, pretended).stopped == "cycle"


def test_an_empty_cluster_takes_the_series_farthest_from_its_center(rng):
    X = walks(rng, 30)
    x, weights, settings = shapes_of(X, None), np.ones(30), FitSettings()
    twice = np.stack([X[0, :], X[0, :]])  # the second can win nothing
    labels, _, ncc = align_nearest(x, shapes_of(twice, None))
    assert (labels == 0).all()
    state = start(x, twice, weights, settings)
    farthest = int((1 - ncc).argmax())
    assert state.current.labels[farthest] == 1
    np.testing.assert_allclose(
        state.current.centers[1], znormalize(X[farthest : farthest + 1])[0], atol=1e-12
    )
    assert state.current.sbd[farthest] < 1e-12


def test_several_empty_clusters_are_all_filled(rng):
    X = walks(rng, 30)
    x = shapes_of(X, None)
    result = run(x, np.repeat(X[:1], 6, axis=0), np.ones(30), FitSettings())
    assert set(result.best.labels) == set(range(6))


def test_fewer_distinct_rows_than_clusters_leaves_clusters_empty_without_nan(rng):
    X = np.repeat(walks(rng, 2), 10, axis=0)
    result = run(shapes_of(X, None), X[[0, 10, 0, 10]], np.ones(20), FitSettings())
    assert result.best.inertia < 1e-20
    assert result.n_iter == 1
    assert result.n_correlations <= 20 * 4 * 2  # nothing is left to re-seed with, so nothing is tried
    assert np.isfinite(result.best.centers).all()
    assert result.best.centers.any(axis=(1, 2)).all()


def test_a_flat_row_or_a_weightless_row_never_becomes_a_center(rng):
    X = walks(rng, 20)
    X[3] = 1.0
    weights = np.ones(20)
    weights[7] = 0.0
    X[7] = np.tile([1.0, -1.0], 13)  # the farthest of all, but it does not count
    result = run(shapes_of(X, 2), np.repeat(X[:1], 5, axis=0), weights, FitSettings())
    assert result.best.sbd[3] == 1.0
    assert result.best.labels[3] == 0
    assert result.best.sbd[7] > 0.1


def test_the_least_inertia_of_several_starts_wins_and_the_first_among_equals(rng):
    X = walks(rng, 40)
    x, weights, settings = shapes_of(X, None), np.ones(40), FitSettings()
    starts = [X[:4], X[10:14], X[20:24], X[10:14]]
    singles = [run(x, s, weights, settings) for s in starts]
    best = best_run(x, [lambda s=s: Start(s) for s in starts], weights, settings)
    assert best.best.inertia == min(r.best.inertia for r in singles)
    first = next(r for r in singles if r.best.inertia == best.best.inertia)
    np.testing.assert_array_equal(best.best.labels, first.best.labels)


def test_pairs_transformed_are_counted(rng):
    X = walks(rng, 80)
    X[1] = 0.0
    x, centers, weights = shapes_of(X, None), X[[0, 5, 9]], np.ones(80)
    every = run_without_bounds(x, centers, weights, FitSettings())
    assert every.n_correlations == 79 * 3 * (every.n_iter + 1)
    assert run(x, centers, weights, FitSettings()).n_correlations < every.n_correlations


KINDS = ["walks", "white", "tones", "smooth", "near-duplicates", "masked", "channels"]


def series(kind, rng):
    X = walks(rng, 120, 3 if kind == "channels" else 1, 64)
    if kind == "white":
        X = rng.normal(size=X.shape)
    elif kind == "tones":
        X = np.sin(np.arange(64) * rng.uniform(0.2, 1.5, (120, 1, 1)) + rng.uniform(0, 6, (120, 1, 1)))
    elif kind == "smooth":  # low frequencies only, so that short transforms say nearly everything
        t = np.arange(200) / 200
        X = np.sin(2 * np.pi * (t * rng.uniform(0.2, 2, (120, 1, 1)) + rng.uniform(0, 1, (120, 1, 1))))
    elif kind == "near-duplicates":
        X = X[rng.integers(0, 9, 120)] * (1 + 1e-7 * rng.normal(size=X.shape))
    elif kind == "masked":
        X[::3, :, :30] = np.nan
    X[17] = 1.0  # flat
    return X


def same(a, b):
    assert (a.n_iter, a.stopped) == (b.n_iter, b.stopped)
    assert a.best.inertia == b.best.inertia
    for name in ("labels", "shifts", "sbd", "centers"):
        np.testing.assert_array_equal(getattr(a.best, name), getattr(b.best, name))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("max_shift", [None, 0, 4, 25])
@pytest.mark.parametrize("kind", KINDS)
def test_bounds_and_memory_change_nothing_but_the_work(rng, kind, max_shift, dtype):
    X = series(kind, rng).astype(dtype)
    weights = np.ones(120)
    begin = np.nan_to_num(X[:10], nan=0.0)
    plain = run_without_bounds(shapes_of(X, max_shift), begin, weights, FitSettings())
    kept = shapes_of(X, max_shift)
    for settings in (FitSettings(), FitSettings(keep="last")):
        same(run(kept, begin, weights, settings), plain)
    with blocks_of(3000):
        same(run(kept, begin, weights, FitSettings(n_threads=2)), plain)
    for spare in (0, X.nbytes):  # nothing is kept, or unit rows alone
        same(run(shapes_of(X, max_shift, spare=spare), begin, weights, FitSettings(keep="none")), plain)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("max_shift", [None, 0, 25])
@pytest.mark.parametrize("kind", KINDS)
def test_what_seeding_learned_changes_nothing_but_the_work(rng, kind, max_shift, dtype):
    X = series(kind, rng).astype(dtype)
    x, weights = shapes_of(X, max_shift), np.ones(120)
    seeds = k_shape_plus_plus(x, 11, weights, np.random.RandomState(3))
    for k in (2, 7, 11):
        informed = best_run(x, [lambda k=k: seeds.start(k)], weights, FitSettings())
        plain = run_without_bounds(x, seeds.start(k).centers, weights, FitSettings())
        same(informed, plain)
        assert informed.n_correlations <= 1.02 * plain.n_correlations  # pairs of centers are counted too


def test_a_clustering_that_has_settled_costs_little(rng):
    X = np.repeat(walks(rng, 8, timepoints=128), 40, axis=0) + 0.3 * rng.normal(size=(320, 1, 128))
    x, weights = shapes_of(X, None), np.ones(320)
    pruned, plain = (fit(x, X[:8], weights, FitSettings(tol=0.0)) for fit in (run, run_without_bounds))
    assert pruned.n_correlations < 0.5 * plain.n_correlations


def test_white_noise_is_screened_as_if_there_were_no_bounds(rng):
    X = rng.normal(size=(300, 1, 100))
    x, weights = shapes_of(X, None), np.ones(300)
    pruned, plain = (fit(x, X[:10], weights, FitSettings(max_iter=4)) for fit in (run, run_without_bounds))
    assert pruned.n_correlations <= 1.05 * plain.n_correlations


@pytest.mark.parametrize(
    ("n", "k", "megabytes", "expected"),
    [
        (1_000, 20, 5, "all"),
        (1_000_000, 30, 512, "all"),
        (1_000_000, 50, 512, "last"),
        (1_000_000, 400, 512, "none"),
    ],
)
def test_what_is_kept_fits_the_budget(n, k, megabytes, expected):
    kept, floors = memory_plan(n, k, megabytes << 20, 1)
    assert kept >= 0
    taken = {"all": 2, "last": 1, "none": 0}[floors] * 4 * n * k
    assert kept + taken + 224 * n <= (megabytes + 64) << 20
    assert floors == expected


def test_small_data_is_not_worth_a_look(rng, monkeypatch):
    from shapecluster._core.kshape import assignment

    monkeypatch.undo()
    X = walks(rng, 60, timepoints=128)
    x, looked = shapes_of(X, None), []
    monkeypatch.setattr(assignment, "_plan", lambda *args: looked.append(args) or (None, 0))
    run(x, X[:3], np.ones(60), FitSettings())
    assert not looked
    large = np.tile(X, (20, 1, 1))
    run(shapes_of(large, None), X[:20], np.ones(len(large)), FitSettings(max_iter=1))
    assert looked
