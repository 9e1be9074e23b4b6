"""The contestants of `benchmarks.peers`: LocalKShape and its peers do the same work from the same start.

A contestant is a function of a task. It imports its library and converts the data to the form that the
library expects. It returns a function without arguments, which is timed and returns an outcome: a dict.
"""

from __future__ import annotations

import math
import multiprocessing
import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any
from unittest import mock

import numpy as np

from benchmarks import plain
from benchmarks._data import z_scores
from benchmarks._works import Task, Timed, unprepared
from shapecluster import KSweep, LocalKShape, ShapeNeighbors
from shapecluster._core.index.collect import TopK
from shapecluster._core.index.universe import search_universe
from shapecluster._core.kshape.assignment import assign
from shapecluster._core.kshape.run import FitSettings, best_run
from shapecluster._core.kshape.seeding import Start
from shapecluster._core.sbd import bounds
from shapecluster._core.sbd.shapes import shapes_of

MAX_ITER = 100
NO_GAIN = 1e-12
"""`tol` for tslearn, whose default would end its runs before they converge."""


# ---------------------------------------------------------------------------------------------- ours: fits


# A function with this decorator transforms every pair.
_without_bounds = mock.patch.object(bounds, "_MIN_POINTS", math.inf)


def ours(task: Task, dtype: Any = np.float64) -> Timed:
    """LocalKShape."""
    X = task.X.astype(dtype)
    model = LocalKShape(task.k, init=X[: task.k], max_iter=MAX_ITER)
    more = ("shifts", "inertia", "n_correlations")
    return lambda: _outcome(model.fit(X), more=more)


@unprepared
@_without_bounds
def ours_unpruned(task: Task) -> dict[str, Any]:
    """LocalKShape without bounds: it transforms every pair in every step."""
    start, settings = Start(task.X[: task.k, None]), FitSettings(max_iter=MAX_ITER)
    done = best_run(shapes_of(task.X[:, None], None), [lambda: start], np.ones(len(task.X)), settings)
    found = {name: getattr(done.best, name) for name in ("labels", "shifts", "inertia")}
    found |= {"n_iter": done.n_iter, "n_correlations": done.n_correlations}
    return found | {"centers": done.best.centers[:, 0]}


@unprepared
def plain_numpy(task: Task, *, small_side: bool = False) -> dict[str, Any]:
    """k-Shape in plain NumPy; see `plain`."""
    done = plain.k_shape(task.X, task.X[: task.k], small_side=small_side, max_iter=MAX_ITER)
    return {"centers": done.centers, "labels": done.assigned.labels, "n_iter": done.n_iter}


@unprepared
def sweep(task: Task) -> dict[str, Any]:
    """KSweep up to k clusters, without the silhouette, which separate fits do not compute either."""
    numbers = range(2, task.k + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SSD is smallest at the largest k here, and KSweep warns of it
        done = KSweep(LocalKShape(random_state=0), k=numbers, n_samples=0).fit(task.X)
    return _path([done.estimators_[k] for k in numbers])


@unprepared
def separate_fits(task: Task) -> dict[str, Any]:
    """One separate fit per number of clusters."""
    return _path([LocalKShape(k, random_state=0).fit(task.X) for k in range(2, task.k + 1)])


def _path(models: list[LocalKShape]) -> dict[str, Any]:
    names = ("inertia", "labels", "shifts")
    return {name: np.stack([getattr(model, f"{name}_") for model in models]) for name in names}


# ------------------------------------------------------------------------- ours: nearest centers, neighbors


def ours_predict(task: Task) -> Timed:
    """LocalKShape.predict."""
    model = LocalKShape(task.k, init=task.centers, max_iter=1).fit(task.X)
    model.cluster_centers_ = task.centers  # all contestants must predict from the same centers
    return lambda: {"labels": model.predict(task.X)}


def plain_predict(task: Task) -> Timed:
    """Assignment in plain NumPy, from raw series as for the other contestants."""
    return lambda: {"labels": plain.assign(plain.spectra_of(plain.unit_rows(task.X)), task.centers).labels}


def ours_all_transforms(task: Task) -> Timed:
    """Nearest centers by our assignment without bounds."""
    x, centers = shapes_of(task.X[:, None], None), shapes_of(task.centers[:, None], None)
    return _without_bounds(lambda: {"labels": assign(x, centers, keep=False).nearest.labels})


def plain_all_transforms(task: Task) -> Timed:
    """Nearest centers by irfft and argmax in plain NumPy."""
    spectra = plain.spectra_of(plain.unit_rows(task.X))
    return lambda: {"labels": plain.assign(spectra, task.centers).labels}


def ours_neighbors(task: Task) -> Timed:
    """ShapeNeighbors.kneighbors of all series among themselves."""
    model, names = ShapeNeighbors(task.k).fit(task.X), ("sbd", "indices", "shifts")
    return lambda: dict(zip(names, model.kneighbors(return_shift=True), strict=True))


def all_pairs(task: Task) -> Timed:
    """Our search without bounds: it transforms every pair."""
    shapes = shapes_of(task.X[:, None], None)

    @_without_bounds
    def search() -> dict[str, Any]:
        found = search_universe(shapes, shapes, partial(TopK, wanted=task.k), exclude_self=True)
        distances, rows, shifts = (array.reshape(len(shapes), task.k) for array in found[1:])
        return {"sbd": distances, "indices": rows, "shifts": shifts}

    return search


def plain_neighbors(task: Task) -> Timed:
    """Transforms of every pair in plain NumPy, then a sort."""
    unit = plain.unit_rows(task.X)
    spectra = plain.spectra_of(unit)

    def search() -> dict[str, Any]:
        sbd = np.empty((len(unit), len(unit)))
        for rows, peak, _ in plain.correlations(spectra, unit):
            sbd[rows] = 1.0 - peak
        np.fill_diagonal(sbd, np.inf)
        return {"indices": np.argsort(sbd, axis=1, kind="stable")[:, : task.k]}

    return search


# --------------------------------------------------------------------------------------------------- peers


def tslearn(task: Task) -> Timed:
    """KShape of tslearn; it accepts starting centers."""
    KShape, z = tslearn_k_shape(), z_scores(task.X)[:, :, None]
    start = {"init": z[: task.k].copy(), "tol": NO_GAIN, "max_iter": MAX_ITER}
    return lambda: _outcome(KShape(task.k, **start).fit(z))


def tslearn_predict(task: Task) -> Timed:
    """KShape.predict of tslearn."""
    z, centers = z_scores(task.X)[:, :, None], task.centers[:, :, None]
    model = tslearn_k_shape()(task.k, init=centers.copy(), max_iter=1).fit(z)
    model.cluster_centers_ = centers.copy()
    # `fit` caches these norms, and `predict` uses them.
    model.norms_centroids_ = np.linalg.norm(centers, axis=(1, 2))
    return lambda: {"labels": model.predict(z)}


def tslearn_k_shape() -> Any:
    """Return the class KShape of tslearn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tslearn warns of optional packages that are missing
        from tslearn.clustering import KShape
    return KShape


def aeon(task: Task) -> Timed:
    """KShape of aeon; it starts from random labels, which are replaced by those of the starting centers."""
    from aeon.clustering import KShape

    z = z_scores(task.X)[:, None]
    start = _GivenLabels(_first_labels(task))
    random_draws = mock.patch("aeon.clustering._k_shape.check_random_state", return_value=start)

    def fit() -> dict[str, Any]:
        with random_draws:
            return _outcome(KShape(task.k, init=z[: task.k].copy(), max_iter=MAX_ITER).fit(z))

    return fit


def aeon_predict(task: Task) -> Timed:
    """KShape.predict of aeon."""
    from aeon.clustering import KShape

    z, centers = z_scores(task.X)[:, None], task.centers[:, None]
    model = KShape(task.k, init=centers, max_iter=1).fit(z)
    model.cluster_centres_ = centers.copy()
    return lambda: {"labels": model.predict(z)}


class _GivenLabels(np.random.RandomState):
    """A random state that returns given labels when asked for as many numbers."""

    def __init__(self, labels: np.ndarray) -> None:
        super().__init__(0)
        self.labels = labels

    def randint(self, low: int, high: int | None = None, size: int | None = None, dtype: Any = int) -> Any:
        if size == len(self.labels):
            return self.labels.copy()
        return super().randint(low, high, size, dtype)


def kshape(task: Task) -> Timed:
    """KShapeClusteringCPU of kshape with one worker; its random draws are replaced, as for aeon."""
    library = _forking_kshape()
    z = z_scores(task.X)[:, :, None]
    labels, choice = _first_labels(task), np.random.choice

    def given(n: int, size: int) -> np.ndarray:
        return np.arange(size) if size == task.k else choice(n, size)

    def fit() -> dict[str, Any]:
        extract = mock.patch.object(library, "_extract_shape", side_effect=library._extract_shape)
        start = mock.patch.object(library, "randint", return_value=labels)
        with start, extract as extractions, mock.patch.object(np.random, "choice", given):
            model = library.KShapeClusteringCPU(task.k, "random", MAX_ITER, n_jobs=1).fit(z)
        # kshape does not report its iterations; each one extracts every center once.
        n_iter = extractions.call_count // task.k
        return {"centers": model.centroids_[..., 0], "labels": model.labels_.astype(int), "n_iter": n_iter}

    return fit


def kshape_predict(task: Task) -> Timed:
    """KShapeClusteringCPU.predict of kshape."""
    model = _forking_kshape().KShapeClusteringCPU(task.k, n_jobs=1)
    z = z_scores(task.X)[:, :, None]
    model.centroids_ = task.centers[:, :, None].copy()
    return lambda: {"labels": model.predict(z)}


def _forking_kshape() -> Any:
    import kshape.core

    # kshape relies on forked processes, which are also the cheapest way to start one per step.
    multiprocessing.set_start_method("fork", force=True)
    return kshape.core


def k_means(task: Task) -> Timed:
    """KMeans of scikit-learn on the same rows, for scale: it has no shifts and another objective."""
    from sklearn.cluster import KMeans

    z = z_scores(task.X)
    model = KMeans(task.k, init=z[: task.k], n_init=1, max_iter=MAX_ITER)
    return lambda: _outcome(model.fit(z))


def _outcome(model: Any, more: Sequence[str] = ()) -> dict[str, Any]:
    """Centers as rows, labels, the number of steps, and `more` attributes of a model."""
    centers = model.cluster_centres_ if hasattr(model, "cluster_centres_") else model.cluster_centers_
    outcome = {name: getattr(model, f"{name}_") for name in ("labels", "n_iter", *more)}
    return outcome | {"centers": centers.reshape(len(centers), -1)}


def _first_labels(task: Task) -> np.ndarray:
    """The cluster of each series if the first k rows are the centers."""
    shapes = shapes_of(task.X[:, None], None)
    return assign(shapes, shapes_of(task.X[: task.k, None], None)).nearest.labels
