"""The contestants: LocalKShape and its peers, which all do the same work from the same start.

A contestant is a function of a `Task`. It imports its library and converts the data to the form that the
library expects. It returns a function without arguments, which is timed and returns an `Outcome`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks import libraries, matchers, plain
from benchmarks._common import MAX_ITER, Outcome, Task
from shapecluster import KSweep, LocalKShape, ShapeNeighbors
from shapecluster._core.index.collect import TopK
from shapecluster._core.index.universe import search_universe
from shapecluster._core.kshape.assignment import assign
from shapecluster._core.kshape.run import FitSettings, best_run
from shapecluster._core.kshape.seeding import Start
from shapecluster._core.sbd import bounds
from shapecluster._core.sbd.shapes import shapes_of

Contestant = Callable[[Task], Callable[[], Outcome]]


# -------------------------------------------------------------------------------------------------- fits


def _without_bounds() -> AbstractContextManager[object]:
    """Whatever is computed meanwhile transforms every pair."""
    return patch.object(bounds, "_MIN_POINTS", math.inf)


def _fitted(model: LocalKShape) -> Outcome:
    return {
        "centers": model.cluster_centers_,
        "labels": model.labels_,
        "shifts": model.shifts_,
        "inertia": model.inertia_,
        "n_iter": model.n_iter_,
        "n_correlations": model.n_correlations_,
    }


def ours(task: Task, dtype: Any = np.float64) -> Callable[[], Outcome]:
    """LocalKShape."""
    X = task.X.astype(dtype)
    return lambda: _fitted(LocalKShape(task.k, init=X[: task.k], max_iter=MAX_ITER).fit(X))


def ours_float32(task: Task) -> Callable[[], Outcome]:
    """LocalKShape on float32 data."""
    return ours(task, np.float32)


def ours_unpruned(task: Task) -> Callable[[], Outcome]:
    """LocalKShape without bounds: it transforms every pair in every step."""

    def fit() -> Outcome:
        shapes = shapes_of(task.X[:, None], None)
        start = Start(task.X[: task.k, None])
        with _without_bounds():
            done = best_run(shapes, [lambda: start], np.ones(len(task.X)), FitSettings(max_iter=MAX_ITER))
        best = done.best
        return {
            "centers": best.centers[:, 0],
            "labels": best.labels,
            "shifts": best.shifts,
            "inertia": best.inertia,
            "n_iter": done.n_iter,
            "n_correlations": done.n_correlations,
        }

    return fit


def plain_numpy(task: Task, *, small_side: bool = False) -> Callable[[], Outcome]:
    """k-Shape in plain NumPy; see `plain`."""

    def fit() -> Outcome:
        done = plain.k_shape(task.X, task.X[: task.k], small_side=small_side, max_iter=MAX_ITER)
        return {"centers": done.centers, "labels": done.assigned.labels, "n_iter": done.n_iter}

    return fit


def plain_small_side(task: Task) -> Callable[[], Outcome]:
    """k-Shape in plain NumPy with the smaller of the two scatter matrices in the eigensolver."""
    return plain_numpy(task, small_side=True)


# --------------------------------------------------------------------------------------------- prediction


def ours_predict(task: Task) -> Callable[[], Outcome]:
    """LocalKShape.predict."""
    model = LocalKShape(task.k, init=task.centers, max_iter=1).fit(task.X)
    model.cluster_centers_ = task.centers  # all contestants must predict from the same centers
    return lambda: {"labels": model.predict(task.X)}


def plain_predict(task: Task) -> Callable[[], Outcome]:
    """Assignment in plain NumPy, from raw series as for the other contestants."""
    length = plain.transform_length(task.X.shape[1])

    def predict() -> Outcome:
        spectra = plain.fft.rfft(plain.unit_rows(task.X), n=length)
        return {"labels": plain.assign(spectra, task.centers).labels}

    return predict


# --------------------------------------------------------------------------------- neighbors and sweeps


def ours_neighbors(task: Task) -> Callable[[], Outcome]:
    """ShapeNeighbors.kneighbors of all series among themselves."""
    model = ShapeNeighbors(task.k).fit(task.X)
    return lambda: _neighbors(*model.kneighbors(return_shift=True))


def all_pairs(task: Task) -> Callable[[], Outcome]:
    """Our search without bounds: it transforms every pair."""
    shapes = shapes_of(task.X[:, None], None)

    def search() -> Outcome:
        with _without_bounds():
            found = search_universe(shapes, shapes, partial(TopK, wanted=task.k), exclude_self=True)
        distances, rows, shifts = (array.reshape(len(shapes), task.k) for array in found[1:])
        return _neighbors(distances, rows, shifts)

    return search


def plain_neighbors(task: Task) -> Callable[[], Outcome]:
    """Transforms of every pair in plain NumPy, then a sort."""
    unit = plain.unit_rows(task.X)
    spectra = plain.fft.rfft(unit, n=plain.transform_length(task.X.shape[1]))

    def search() -> Outcome:
        sbd = np.empty((len(unit), len(unit)))
        for rows, peak, _ in plain.correlations(spectra, unit, task.X.shape[1]):
            sbd[rows] = 1.0 - peak
        np.fill_diagonal(sbd, np.inf)
        return {"indices": np.argsort(sbd, axis=1, kind="stable")[:, : task.k]}

    return search


def sweep(task: Task) -> Callable[[], Outcome]:
    """KSweep up to k clusters, without the silhouette, which separate fits do not compute either."""

    def fit() -> Outcome:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SSD is smallest at the largest k here, and KSweep warns of it
            done = KSweep(_from_seed(), k=range(2, task.k + 1), n_samples=0).fit(task.X)
        return _path([done.estimators_[k] for k in range(2, task.k + 1)])

    return fit


def separate_fits(task: Task) -> Callable[[], Outcome]:
    """One separate fit per number of clusters."""
    return lambda: _path([_from_seed().set_params(n_clusters=k).fit(task.X) for k in range(2, task.k + 1)])


# ---------------------------------------------------------------------------------------------- baseline


def ours_all_transforms(task: Task) -> Callable[[], Outcome]:
    """Nearest centers by our assignment without bounds."""
    x, centers = shapes_of(task.X[:, None], None), shapes_of(task.centers[:, None], None)

    def nearest() -> Outcome:
        with _without_bounds():
            return {"labels": assign(x, centers, keep=False).nearest.labels}

    return nearest


def plain_all_transforms(task: Task) -> Callable[[], Outcome]:
    """Nearest centers by irfft and argmax in plain NumPy."""
    spectra = plain.fft.rfft(plain.unit_rows(task.X), n=plain.transform_length(task.X.shape[1]))
    return lambda: {"labels": plain.assign(spectra, task.centers).labels}


CONTESTANTS: dict[str, dict[str, Contestant]] = {
    "fit": {
        "ours": ours,
        "ours (float32)": ours_float32,
        "ours (bounds off)": ours_unpruned,
        "plain NumPy": plain_numpy,
        "plain NumPy (small side)": plain_small_side,
        "tslearn": libraries.tslearn,
        "aeon": libraries.aeon,
        "kshape": libraries.kshape,
        "KMeans": libraries.k_means,
    },
    "predict": {
        "ours": ours_predict,
        "plain NumPy": plain_predict,
        "tslearn": libraries.tslearn_predict,
        "aeon": libraries.aeon_predict,
        "kshape": libraries.kshape_predict,
    },
    "kneighbors": {"ours": ours_neighbors, "ours (brute force)": all_pairs, "plain NumPy": plain_neighbors},
    "sweep": {"ours": sweep, "ours (separate fits)": separate_fits},
    "matches": {
        "ours": matchers.ours_matches,
        "NearestNeighbors": matchers.sklearn_matches,
        "MinHashLSH": matchers.datasketch_matches,
    },
    "match pairs": {
        "ours": matchers.ours_pairs,
        "ours (single tickers)": matchers.ours_single_tickers,
        "ours (quantities)": matchers.ours_quantities,
        "sparse products": matchers.sparse_products,
        "NearestNeighbors": matchers.sklearn_pairs,
        "MinHashLSH": matchers.datasketch_pairs,
    },
    "baseline": {"ours (bounds off)": ours_all_transforms, "plain NumPy": plain_all_transforms},
}


# ----------------------------------------------------------------------------------------------- helpers


def _neighbors(sbd: np.ndarray, indices: np.ndarray, shifts: np.ndarray) -> Outcome:
    return {"sbd": sbd, "indices": indices, "shifts": shifts}


def _from_seed() -> LocalKShape:
    return LocalKShape(random_state=0)


def _path(models: list[LocalKShape]) -> Outcome:
    return {
        "inertia": np.array([model.inertia_ for model in models]),
        "labels": np.stack([model.labels_ for model in models]),
        "shifts": np.stack([model.shifts_ for model in models]),
    }
