"""The baseline of the benchmarks does no needless work, and its results equal those of the library."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import fft

from benchmarks import plain
from benchmarks.verdict import verdict
from shapecluster import LocalKShape
from shapecluster._core.kshape.run import FitSettings, best_run
from shapecluster._core.kshape.seeding import Start
from shapecluster._core.sbd import bounds
from shapecluster._core.sbd.shapes import shapes_of


@pytest.fixture
def walks(rng):
    """Random walks with three common factors."""
    factors = rng.normal(size=(3, 96)).cumsum(axis=1)
    return rng.normal(size=(150, 3)) @ factors + rng.normal(size=(150, 96)).cumsum(axis=1)


@pytest.fixture
def transformed(monkeypatch):
    """Number of inverse transforms and of their points so far."""
    counts = {"rows": 0, "points": 0}
    irfft = fft.irfft

    def counting(*args, **kwargs):
        out = irfft(*args, **kwargs)
        counts["rows"] += out.size // out.shape[-1]
        counts["points"] += out.size
        return out

    monkeypatch.setattr(fft, "irfft", counting)
    return counts


def test_a_fit_without_bounds_makes_as_many_transforms_as_the_baseline(walks, transformed, monkeypatch):
    k = 6
    theirs = plain.k_shape(walks, walks[:k])
    assert transformed["rows"] == len(walks) * k * (theirs.n_iter + 1)
    points = transformed["points"] / transformed["rows"]

    transformed.update(rows=0, points=0)
    shapes = shapes_of(walks[:, None], None)
    start = Start(walks[:k, None])
    ours = best_run(shapes, [lambda: start], np.ones(len(walks)), FitSettings())  # too few rows for bounds
    n_pairs = len(walks) * k * (ours.n_iter + 1)
    assert n_pairs <= transformed["rows"] <= 1.03 * n_pairs
    assert transformed["points"] <= 1.03 * n_pairs * points

    transformed.update(rows=0, points=0)
    monkeypatch.setattr(bounds, "_MIN_POINTS", 0)
    pruned = best_run(shapes, [lambda: start], np.ones(len(walks)), FitSettings())
    assert pruned.best.inertia == ours.best.inertia
    assert transformed["rows"] < 0.9 * n_pairs  # the count reacts to bounds


@pytest.mark.parametrize("small_side", [False, True])
def test_the_baseline_ends_at_the_same_result(walks, small_side):
    theirs = plain.k_shape(walks, walks[:6], small_side=small_side)
    ours = LocalKShape(6, init=walks[:6]).fit(walks)
    assert theirs.inertia == pytest.approx(ours.inertia_, rel=1e-10)
    np.testing.assert_array_equal(theirs.assigned.labels, ours.labels_)
    np.testing.assert_array_equal(theirs.assigned.shifts, ours.shifts_)
    assert theirs.n_iter == ours.n_iter_


def fits(ari, inertia):
    return [{"ari": a, "ri": a, "inertia": inertia, "seconds": 1.0} for a in ari]


def test_the_summary_of_sets_accounts_for_failures_and_missing_peers():
    ours = {"ours (random start)": fits([0.5], 2.0)}
    sets = {
        "won": ours | {"ours": fits([0.8, 0.6], 2.0), "ours (best of 10)": fits([0.8], 1.0)},
        "lost": ours | {"ours": fits([0.1, 0.3], 2.0), "ours (best of 10)": fits([0.3], 4.0)},
        "alone": ours | {"ours": fits([0.9], 2.0), "ours (best of 10)": fits([0.9], 2.0)},
    }
    sets["won"]["tslearn"] = [*fits([0.5], 2.0), {"trouble": "no centers", "seconds": 9.0}]
    sets["lost"]["tslearn"] = fits([0.4], 2.0)
    judged = verdict(sets)
    assert set(judged["sets"]) == {"won", "lost"}
    assert judged["inertia_ratio"] == pytest.approx(1.0)  # a half and twice
    assert (judged["not_above"], judged["above"]) == (1, ["lost"])
    assert judged["failed"] == {"won": 1, "lost": 0, "alone": 0}
    difference = judged["differences"]["ours"]["ari"]
    assert difference["mean"] == pytest.approx(0.0)
    assert difference["interval"] == pytest.approx([-0.2, 0.2])
    assert difference["losing"] == ["lost"]
