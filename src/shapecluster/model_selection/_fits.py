"""The fits of a sweep: one after the other, on several threads, or shared by the clusterer itself.

In all three cases, a fit for k is a clone of the estimator with `n_clusters=k`, fitted on the unchanged
input. Every entry of a sweep is therefore equal to a separate fit.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from sklearn import config_context, get_config
from sklearn.base import clone
from threadpoolctl import ThreadpoolController, threadpool_info

from shapecluster._pipelines import first_steps, last_step
from shapecluster._threads import n_threads, single_threaded_blas
from shapecluster._warnings import with_user_line
from shapecluster.model_selection._contract import (
    parameter_prefix,
    protected_input,
    with_first_steps,
)


@dataclass(frozen=True)
class Fit:
    """One fitted estimator, and the numbers that a sweep reports about it.

    Attributes
    ----------
    k : int
        Number of clusters.
    estimator : estimator
        Fitted clone.
    ssd : float
        `inertia_` of the clusterer.
    n_iter : int or None
        `n_iter_` of the clusterer, if it has one.
    seconds : float
        Wall time of the fit.
    """

    k: int
    estimator: Any
    ssd: float
    n_iter: int | None
    seconds: float


@dataclass(frozen=True)
class SweepTask:
    """The estimator and the input that all fits of a sweep share.

    Attributes
    ----------
    template : estimator
        Unfitted estimator; every fit starts from a clone of it.
    X, y : object
        Input of the sweep, unchanged.
    sample_weight : array-like or None
        Weights as given, which `fit_params` holds too.
    fit_params : dict
        Keyword arguments of `fit`.
    """

    template: Any
    X: Any
    y: Any
    sample_weight: Any
    fit_params: dict[str, Any]


def fits(task: SweepTask, ks: Sequence[int], n_jobs: int | None) -> Generator[Fit, None, None]:
    """Fit once for every k, and yield each fit in the order of `ks`.

    Parameters
    ----------
    task : SweepTask
        The estimator and its input.
    ks : sequence of int
        Numbers of clusters, increasing.
    n_jobs : int or None
        Number of fits that run side by side, as joblib counts.

    Returns
    -------
    fits : generator of Fit
        It yields in the calling thread, as soon as a fit and those before it have ended.
    """
    # Returned, and not yielded from: each generator in between is one more frame above every fit.
    if _can_share(task):
        return _shared(task, ks, n_jobs)
    if n_threads(n_jobs) == 1:
        return _one_by_one(task, ks)
    return _side_by_side(task, ks, n_jobs)


def _one_by_one(task: SweepTask, ks: Sequence[int]) -> Generator[Fit, None, None]:
    for k in ks:
        yield _fit_one(task, k)


def _fit_one(task: SweepTask, k: int) -> Fit:
    start = perf_counter()
    estimator = clone(task.template).set_params(**{f"{parameter_prefix(task.template)}n_clusters": k})
    X = protected_input(estimator, task.X)
    with _k_in_errors(estimator, k):
        if task.y is None:  # not every clusterer's `fit` takes y
            estimator.fit(X, **task.fit_params)
        else:
            estimator.fit(X, task.y, **task.fit_params)
        return _finished(estimator, k, perf_counter() - start)


def _side_by_side(task: SweepTask, ks: Sequence[int], n_jobs: int | None) -> Generator[Fit, None, None]:
    """Run fits on threads.

    Meanwhile BLAS is limited to one thread. KMeans sets and resets this limit of the process in each fit;
    overlapping fits could otherwise leave it changed.
    """
    # Settings of the caller that scikit-learn and OpenMP keep per thread. The number of OpenMP threads
    # determines in which order KMeans sums up its centers, and so the last bits.
    settings = get_config()
    openmp = {lib["prefix"]: lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "openmp"}

    def fit_one(k: int) -> Fit:
        only_openmp = ThreadpoolController().select(user_api="openmp")  # the calling thread limits BLAS
        with config_context(**settings), only_openmp.limit(limits=openmp):
            return _fit_one(task, k)

    pool = ThreadPoolExecutor(n_threads(n_jobs))
    with single_threaded_blas():
        try:
            yield from pool.map(with_user_line(fit_one), ks)
        finally:
            # After Ctrl-C or an error, `map` has canceled the fits that had not begun, and the caller goes on
            # at once. Running fits cannot be stopped; the interpreter waits for them before it exits.
            pool.shutdown(wait=False)


def _can_share(task: SweepTask) -> bool:
    """Whether the clusterer can fit all ks itself.

    With metadata routing, the first steps of a Pipeline may request weights. Only the Pipeline's own `fit`
    passes them on.
    """
    routed = get_config()["enable_metadata_routing"] and bool(first_steps(task.template))
    return hasattr(last_step(task.template), "_fit_path") and not (routed and task.fit_params)


def _shared(task: SweepTask, ks: Sequence[int], n_jobs: int | None) -> Generator[Fit, None, None]:
    """Let the clusterer fit all ks, after the first steps of a Pipeline have run once."""
    template = clone(task.template)
    before = first_steps(template)
    seen = protected_input(template, task.X)
    for part in before:
        seen = part.fit_transform(seen, task.y)
    path = iter(
        last_step(template)._fit_path(seen, list(ks), sample_weight=task.sample_weight, n_jobs=n_jobs)
    )
    for k in ks:
        start = perf_counter()
        with _k_in_errors(template, k):
            fitted = next(path, None)
            if fitted is None or fitted.get_params(deep=False)["n_clusters"] != k:
                raise RuntimeError(
                    f"{type(last_step(template)).__name__}._fit_path must give one fitted estimator for each "
                    f"of ks={list(ks)}, in that order. Got {fitted!r} instead."
                )
            # A copy of the first steps for each k: changing one Pipeline leaves the others as they are.
            whole = with_first_steps(template, copy.deepcopy(before), fitted)
            fit = _finished(whole, k, perf_counter() - start)
        yield fit


def _finished(estimator: Any, k: int, seconds: float) -> Fit:
    clusterer = last_step(estimator)
    if not hasattr(clusterer, "inertia_"):
        raise TypeError(
            f"a sweep compares the SSD that fit leaves in inertia_, which {type(clusterer).__name__} does "
            "not have"
        )
    ssd = float(clusterer.inertia_)
    if not math.isfinite(ssd):
        raise ValueError(f"inertia_ must be a finite number. Got {ssd} instead")
    n_iter = getattr(clusterer, "n_iter_", None)
    return Fit(k, estimator, ssd, None if n_iter is None else int(n_iter), seconds)


@contextmanager
def _k_in_errors(estimator: Any, k: int) -> Iterator[None]:
    """Add to any error the k of its fit.

    Plain built-in errors are raised again with the k in front, chained to the original. Other errors may
    carry more than a text, so they are kept and get a note.
    """
    where = f"{type(last_step(estimator)).__name__} with n_clusters={k}"
    try:
        yield
    except Exception as error:
        if type(error) in {ValueError, TypeError, RuntimeError}:
            raise type(error)(f"{where} could not be fitted: {error}") from error
        error.add_note(f"{where} could not be fitted.")
        raise
