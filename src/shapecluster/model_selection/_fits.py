"""The fits of a sweep: one after the other, on several threads, or shared by the clusterer itself.

Whichever way they run, a fit for k is a clone of the estimator with `n_clusters=k`, fitted on the input as
it came. That is what makes every entry of a sweep equal to a separate fit.
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

from shapecluster._threads import n_threads, single_threaded_blas
from shapecluster._warnings import with_user_line
from shapecluster.model_selection._contract import first_steps, input_for, last_step, prefix


@dataclass(frozen=True)
class Fit:
    """One fitted estimator, and what the sweep reports of it.

    Attributes
    ----------
    k : int
        Number of clusters.
    estimator : estimator
        Fitted clone.
    ssd : float
        `inertia_` of the clusterer.
    n_iter : int or None
        `n_iter_` of the clusterer, where it has one.
    seconds : float
        Wall time of the fit.
    """

    k: int
    estimator: Any
    ssd: float
    n_iter: int | None
    seconds: float


@dataclass(frozen=True)
class Task:
    """What all fits of a sweep have in common.

    Attributes
    ----------
    template : estimator
        Unfitted; every fit starts from a clone of it.
    X, y : object
        Input, untouched.
    sample_weight : array-like or None
        Passed on as it came, in `fit_params` too.
    fit_params : dict
        Keywords of `fit`.
    """

    template: Any
    X: Any
    y: Any
    sample_weight: Any
    fit_params: dict[str, Any]


def fits(task: Task, ks: Sequence[int], n_jobs: int | None) -> Generator[Fit, None, None]:
    """Fit once for every k, and hand each fit over in the order of `ks`.

    Parameters
    ----------
    task : Task
        What to fit, and on what.
    ks : sequence of int
        Numbers of clusters, increasing.
    n_jobs : int or None
        Fits that run side by side, as joblib counts.

    Yields
    ------
    fit : Fit
        In the calling thread, as soon as it and those before it have ended.
    """
    if _can_share(task):
        yield from _shared(task, ks, n_jobs)
    elif n_threads(n_jobs) == 1:
        for k in ks:
            yield _fit_one(task, k)
    else:
        yield from _side_by_side(task, ks, n_jobs)


def _fit_one(task: Task, k: int) -> Fit:
    start = perf_counter()
    estimator = clone(task.template).set_params(**{f"{prefix(task.template)}n_clusters": k})
    X = input_for(estimator, task.X)
    with _naming(estimator, k):
        if task.y is None:  # not every clusterer's fit has a y
            estimator.fit(X, **task.fit_params)
        else:
            estimator.fit(X, task.y, **task.fit_params)
        return _ended(estimator, k, perf_counter() - start)


def _side_by_side(task: Task, ks: Sequence[int], n_jobs: int | None) -> Iterator[Fit]:
    """Run fits on threads.

    BLAS stays at one thread meanwhile. KMeans sets and resets that limit, which belongs to the process, in
    each of its fits; overlapping fits would otherwise leave it wherever the last one put it.
    """
    settings, openmp = get_config(), _openmp_threads()

    def fit_one(k: int) -> Fit:
        return _fit_in_worker(task, k, settings, openmp)

    pool = ThreadPoolExecutor(n_threads(n_jobs))
    with single_threaded_blas():
        try:
            yield from pool.map(with_user_line(fit_one), ks)
        finally:
            # After Ctrl-C, or an error, `map` has canceled the fits that had not begun, and the caller goes
            # on at once. Those that run cannot be stopped; the interpreter waits for them before it ends.
            pool.shutdown(wait=False)


def _fit_in_worker(task: Task, k: int, settings: dict[str, Any], openmp: dict[str, int]) -> Fit:
    """Fit with the caller's settings, which scikit-learn and OpenMP keep per thread.

    The number of OpenMP threads decides in which order KMeans adds up its centers, so with another number
    the last bits would differ from a fit in the calling thread.
    """
    only_openmp = ThreadpoolController().select(user_api="openmp")  # BLAS is held by the calling thread
    with config_context(**settings), only_openmp.limit(limits=openmp):
        return _fit_one(task, k)


def _openmp_threads() -> dict[str, int]:
    return {lib["prefix"]: lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "openmp"}


def _can_share(task: Task) -> bool:
    """Whether the clusterer can fit all ks itself.

    With metadata routing the first steps of a Pipeline may ask for weights, which only the Pipeline's own
    `fit` knows how to hand out.
    """
    routed = get_config()["enable_metadata_routing"] and first_steps(task.template) is not None
    return hasattr(last_step(task.template), "_fit_path") and not (routed and task.fit_params)


def _shared(task: Task, ks: Sequence[int], n_jobs: int | None) -> Iterator[Fit]:
    """Let the clusterer fit all ks, after the first steps of a Pipeline have run once."""
    template = clone(task.template)
    before = first_steps(template)
    seen = input_for(template, task.X)
    if before is not None:
        seen = before.fit_transform(seen, task.y)
    path = iter(
        last_step(template)._fit_path(seen, list(ks), sample_weight=task.sample_weight, n_jobs=n_jobs)
    )
    for k in ks:
        start = perf_counter()
        with _naming(template, k):
            fitted = next(path, None)
            if fitted is None or fitted.get_params(deep=False)["n_clusters"] != k:
                raise RuntimeError(
                    f"{type(last_step(template)).__name__}._fit_path must give one fitted estimator for each "
                    f"of ks={list(ks)}, in that order. Got {fitted!r} instead."
                )
            fit = _ended(_assembled(template, before, fitted), k, perf_counter() - start)
        yield fit


def _assembled(template: Any, before: Any | None, fitted: Any) -> Any:
    """Put a fitted clusterer where a separate fit would have it."""
    if template is last_step(template):
        return fitted
    whole = clone(template)
    steps = [] if before is None else copy.deepcopy(before).steps  # each k owns its Pipeline
    whole.steps = [*steps, (template.steps[-1][0], fitted)]
    return whole


def _ended(estimator: Any, k: int, seconds: float) -> Fit:
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
def _naming(estimator: Any, k: int) -> Iterator[None]:
    """Say in any error for which k it came.

    The plain built-in types are raised anew with the k in front, chained to the original. Others may carry
    more than a text, so they stay as they are and get a note.
    """
    where = f"{type(last_step(estimator)).__name__} with n_clusters={k}"
    try:
        yield
    except Exception as error:
        if type(error) in {ValueError, TypeError, RuntimeError}:
            raise type(error)(f"{where} could not be fitted: {error}") from error
        error.add_note(f"{where} could not be fitted.")
        raise
