"""A fit as plain arrays: what goes on from them ends where the fit would have ended."""

from __future__ import annotations

import numpy as np
import pytest

from shapecluster._core.kshape.run import FitProgress, FitSettings, best_run
from shapecluster._core.kshape.seeding import Start, k_shape_plus_plus
from shapecluster._core.kshape.snapshot import from_arrays, to_arrays
from shapecluster._core.sbd.shapes import shapes_of

K = 6


def problem(rng, channels=1, max_shift=None, dtype=np.float64):
    X = rng.normal(size=(90, channels, 70)).cumsum(axis=-1).astype(dtype)
    X[4] = 2.0  # flat
    x, weights = shapes_of(X, max_shift), rng.uniform(0.1, 2, 90)
    seeds = [k_shape_plus_plus(x, K, weights, np.random.RandomState(seed)) for seed in (0, 1)]
    return x, [lambda s=s: s.start(K) for s in seeds], weights


@pytest.mark.parametrize("keep", ["all", "last", "none"])
@pytest.mark.parametrize(("channels", "max_shift", "dtype"), [(1, None, "f4"), (2, 9, "f8"), (1, 0, "f8")])
def test_going_on_from_any_step_ends_with_the_same_bits(rng, channels, max_shift, dtype, keep):
    x, starts, weights = problem(rng, channels, max_shift, dtype)
    settings = FitSettings(keep=keep)
    snapshots = []
    whole = best_run(
        x,
        starts,
        weights,
        settings,
        lambda p: snapshots.append({name: array.copy() for name, array in to_arrays(p).items()}),
    )
    assert {int(snapshot["n_done"]) for snapshot in snapshots} == {0, 1}
    for snapshot in snapshots:
        assert not any(array.dtype.hasobject for array in snapshot.values())
        again = best_run(x, starts, weights, settings, progress=from_arrays(snapshot, x, K))
        assert (again.n_iter, again.stopped, again.best.inertia) == (
            whole.n_iter,
            whole.stopped,
            whole.best.inertia,
        )
        for name in ("centers", "labels", "shifts", "sbd"):
            np.testing.assert_array_equal(getattr(again.best, name), getattr(whole.best, name))


def test_there_is_no_snapshot_before_the_first_step():
    with pytest.raises(ValueError, match="only after a step"):
        to_arrays(FitProgress())


def test_without_a_start_there_is_no_run(rng):
    x, _, weights = problem(rng)
    with pytest.raises(ValueError, match="at least one start"):
        best_run(x, [], weights, FitSettings())


@pytest.fixture
def snapshot(rng):
    """The last one of two runs, and its series."""
    x, starts, weights = problem(rng)
    last: dict[str, np.ndarray] = {}
    best_run(x, starts, weights, FitSettings(), lambda p: last.update(to_arrays(p)))
    return last, x


def test_each_array_must_be_there(snapshot):
    arrays, x = snapshot
    assert from_arrays(arrays, x, K).n_done == 1
    optional = {"previous.labels"}  # there is none before the second step
    for name in set(arrays) - optional:
        rest = {other: array for other, array in arrays.items() if other != name}
        with pytest.raises(ValueError, match=r"missing|which does not fit"):
            from_arrays(rest, x, K)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("current.labels", lambda a: a[1:]),
        ("current.labels", lambda a: a.astype(np.int32)),
        ("best.labels", lambda a: a - 1),
        ("best.labels", lambda a: a + K),
        ("previous.shifts", lambda a: a + 70),
        ("current.centres", lambda a: a.astype(np.float32)),
        ("current.centres", lambda a: a * np.nan),
        ("found.sbd", lambda a: a * np.inf),
        ("found.inertia", lambda a: a * np.nan),
        ("n_iter", lambda a: -a),
        ("n_done", lambda a: a * 0),
        ("stopped", lambda a: a + 9),
        ("found.stopped", lambda a: a * 0),
        ("seen", lambda a: a[:, 1:]),
        ("anchor", lambda a: a[None]),
    ],
)
def test_arrays_that_make_no_sense_are_refused(snapshot, name, change):
    arrays, x = snapshot
    with pytest.raises(ValueError, match=rf"^({name}|{name.split('.')[0]}:|0 runs|A run that is over)"):
        from_arrays(arrays | {name: np.asarray(change(arrays[name]))}, x, K)


def test_a_snapshot_of_other_series_is_refused(snapshot, rng):
    arrays, x = snapshot
    other = shapes_of(rng.normal(size=(90, 1, 71)), None)
    with pytest.raises(ValueError, match=r"current.centres must have shape \(6, 1, 71\)"):
        from_arrays(arrays, other, K)
    with pytest.raises(ValueError, match="current"):
        from_arrays(arrays, x, K + 1)
    assert Start(arrays["current.centres"]).assigned is None
