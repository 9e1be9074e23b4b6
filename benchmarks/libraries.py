"""The peers, which do the same work from the same start as LocalKShape; see `contestants`."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np

from benchmarks._common import MAX_ITER, Outcome, Task, z_scores
from shapecluster._core.kshape.assignment import assign
from shapecluster._core.sbd.shapes import shapes_of

NO_GAIN = 1e-12
"""`tol` for tslearn, whose default would end its runs before they converge."""


def tslearn(task: Task) -> Callable[[], Outcome]:
    """KShape of tslearn; it accepts starting centers."""
    KShape = _tslearn_k_shape()
    z = z_scores(task.X)[:, :, None]

    def fit() -> Outcome:
        model = KShape(task.k, init=z[: task.k].copy(), tol=NO_GAIN, max_iter=MAX_ITER).fit(z)
        return {"centers": model.cluster_centers_[..., 0], "labels": model.labels_, "n_iter": model.n_iter_}

    return fit


def aeon(task: Task) -> Callable[[], Outcome]:
    """KShape of aeon; it starts from random labels, which are replaced by those of the starting centers."""
    from aeon.clustering import KShape

    z = z_scores(task.X)[:, None]
    start = _GivenLabels(_first_labels(task))
    random_draws = mock.patch("aeon.clustering._k_shape.check_random_state", return_value=start)

    def fit() -> Outcome:
        with random_draws:
            model = KShape(task.k, init=z[: task.k].copy(), max_iter=MAX_ITER).fit(z)
        return {"centers": model.cluster_centres_[:, 0], "labels": model.labels_, "n_iter": model.n_iter_}

    return fit


def kshape(task: Task) -> Callable[[], Outcome]:
    """KShapeClusteringCPU of kshape with one worker; its random draws are replaced, as for aeon."""
    import kshape.core as library

    _fork_workers()
    z = z_scores(task.X)[:, :, None]
    labels, choice = _first_labels(task), np.random.choice

    def given(n: int, size: int) -> np.ndarray:
        return np.arange(size) if size == task.k else choice(n, size)

    def fit() -> Outcome:
        extract = mock.patch.object(library, "_extract_shape", side_effect=library._extract_shape)
        start = mock.patch.object(library, "randint", return_value=labels)
        with start, extract as extractions, mock.patch.object(np.random, "choice", given):
            model = library.KShapeClusteringCPU(task.k, "random", MAX_ITER, n_jobs=1).fit(z)
        # kshape does not report its iterations; each one extracts every center once.
        n_iter = extractions.call_count // task.k
        return {"centers": model.centroids_[..., 0], "labels": model.labels_.astype(int), "n_iter": n_iter}

    return fit


def k_means(task: Task) -> Callable[[], Outcome]:
    """KMeans of scikit-learn on the same rows, for scale: it has no shifts and another objective."""
    from sklearn.cluster import KMeans

    z = z_scores(task.X)

    def fit() -> Outcome:
        model = KMeans(task.k, init=z[: task.k], n_init=1, max_iter=MAX_ITER).fit(z)
        return {"centers": model.cluster_centers_, "labels": model.labels_, "n_iter": model.n_iter_}

    return fit


def tslearn_predict(task: Task) -> Callable[[], Outcome]:
    """KShape.predict of tslearn."""
    z = z_scores(task.X)[:, :, None]
    model = _tslearn_k_shape()(task.k, init=task.centers[:, :, None].copy(), max_iter=1).fit(z)
    model.cluster_centers_ = task.centers[:, :, None].copy()
    # `fit` caches these norms, and `predict` uses them.
    model.norms_centroids_ = np.linalg.norm(model.cluster_centers_, axis=(1, 2))
    return lambda: {"labels": model.predict(z)}


def aeon_predict(task: Task) -> Callable[[], Outcome]:
    """KShape.predict of aeon."""
    from aeon.clustering import KShape

    z = z_scores(task.X)[:, None]
    model = KShape(task.k, init=task.centers[:, None], max_iter=1).fit(z)
    model.cluster_centres_ = task.centers[:, None].copy()
    return lambda: {"labels": model.predict(z)}


def kshape_predict(task: Task) -> Callable[[], Outcome]:
    """KShapeClusteringCPU.predict of kshape."""
    from kshape.core import KShapeClusteringCPU

    _fork_workers()
    z = z_scores(task.X)[:, :, None]
    model = KShapeClusteringCPU(task.k, n_jobs=1)
    model.centroids_ = task.centers[:, :, None].copy()
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


def _first_labels(task: Task) -> np.ndarray:
    """The cluster of each series if the first k rows are the centers."""
    shapes = shapes_of(task.X[:, None], None)
    return assign(shapes, shapes_of(task.X[: task.k, None], None)).nearest.labels


def _tslearn_k_shape() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tslearn warns of optional packages that are missing
        from tslearn.clustering import KShape
    return KShape


def _fork_workers() -> None:
    """Let kshape fork its processes: it relies on that, and it is the cheapest way to start one per step."""
    import multiprocessing

    multiprocessing.set_start_method("fork", force=True)
