"""Requirements of a sweep on its estimator: where the clusterer is, and what it must have.

An estimator is either a clusterer, or a Pipeline whose last step is one; Pipelines may be nested. A
clusterer has a parameter `n_clusters`, and its `fit` sets `inertia_`. Two methods are optional:

`_distances_between(X)`
    Returns a function of two arrays of row positions, which measures the distances between these rows of X
    in the clusterer's own metric. The silhouette then uses this metric instead of the Euclidean one. The
    metric must be symmetric and must not depend on `n_clusters`. X holds rows given to `fit`, in the same
    container. A parameter `n_jobs` that is None takes the sweep's value for this call.
`_fit_path(X, ks, *, sample_weight=None, n_jobs=None)`
    Returns an iterable of fitted estimators, one for each k of the increasing list `ks`, in that order. Each
    equals `clone(self).set_params(n_clusters=k).fit(X, sample_weight=sample_weight)` to the last bit. It is
    meant for clusterers that can share work between ks, and is called on a clone. With a generator, the
    sweep reports each k as it ends. `n_jobs` is the sweep's.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from shapecluster._pipelines import first_steps, last_step
from shapecluster._sklearn_compat import clone
from shapecluster._typing import is_integer
from shapecluster.metrics._euclidean import EuclideanRows

if TYPE_CHECKING:
    from shapecluster._typing import Float64Array, IntArray
    from shapecluster.metrics._silhouette_values import PairDistances


def parameter_prefix(estimator: Any) -> str:
    """Return what comes before the names of the clusterer's parameters: "" or "<last step>__"."""
    prefix = ""
    while isinstance(estimator, Pipeline):
        name, estimator = estimator.steps[-1]
        prefix += f"{name}__"
    return prefix


def with_first_steps(template: Any, parts: list[Pipeline], fitted: Any) -> Any:
    """Return a copy of a template that has fitted first steps, one part for each level, and a clusterer."""
    if not isinstance(template, Pipeline):
        return fitted
    whole = clone(template)
    name, last = template.steps[-1]
    has_steps = len(template.steps) > 1
    steps = parts[0].steps if has_steps else []
    whole.steps = [*steps, (name, with_first_steps(last, parts[has_steps:], fitted))]
    return whole


def check_estimator(estimator: Any, owner: str) -> None:
    """Raise unless this is a clusterer with `n_clusters`, or a Pipeline that ends in one."""
    if isinstance(estimator, type):
        raise TypeError(
            f"The 'estimator' parameter of {owner} must be an instance. Got the class "
            f"{estimator.__name__} instead: pass {estimator.__name__}()."
        )
    clusterer = last_step(estimator)
    if not hasattr(clusterer, "fit") or not hasattr(clusterer, "get_params"):
        raise TypeError(
            f"The 'estimator' parameter of {owner} must be a clusterer with a parameter n_clusters, or a "
            f"Pipeline whose last step is one. Got {_described(estimator)} instead."
        )
    if "n_clusters" not in clusterer.get_params(deep=False):
        raise ValueError(
            f"{owner} sets the parameter n_clusters of its estimator, or of the last step of a Pipeline, but "
            f"{type(clusterer).__name__} has no such parameter. Got {_described(estimator)} instead of, say, "
            "LocalKShape() or KMeans()."
        )


def check_ks(k: Any, n: int, owner: str) -> list[int]:
    """Check the numbers of clusters to try against the number of rows, and sort them."""
    where = f"The 'k' parameter of {owner}"
    if not isinstance(k, Iterable) or isinstance(k, (str, bytes)):
        raise TypeError(f"{where} must be an iterable of integers, such as range(2, 21). Got {k!r} instead.")
    if isinstance(k, Iterator):
        # `clone` and a second `fit` would find an iterator empty.
        raise TypeError(
            f"{where} must be an iterable that can be read more than once. Got the iterator {k!r} instead: "
            "pass list(k)."
        )
    for value in k:
        if not is_integer(value):
            raise TypeError(f"{where} must hold integers. Got {value!r} instead.")
    ks = sorted(map(int, k))
    if not ks:
        raise ValueError(f"{where} must hold at least one number of clusters. Got {k!r} instead.")
    if ks[0] < 1:
        raise ValueError(f"{where} must hold numbers of clusters of 1 or more. Got {ks[0]} instead.")
    repeated = sorted({one for one, after in pairwise(ks) if one == after})
    if repeated:
        raise ValueError(f"{where} must hold each number once. Got {repeated} more than once instead.")
    if ks[-1] > n:
        raise ValueError(
            f"{where} must hold no number of clusters above the number of rows of X. Got k={ks[-1]} with "
            f"n_samples={n} instead."
        )
    return ks


def check_takes_weights(estimator: Any, owner: str) -> None:
    """Raise if the clusterer's `fit` does not take sample weights."""
    clusterer = last_step(estimator)
    if not has_fit_parameter(clusterer, "sample_weight"):
        raise ValueError(
            f"{owner} was given sample_weight, but {type(clusterer).__name__}.fit does not take it. Leave it "
            "out, or use an estimator that does."
        )


def protected_input(estimator: Any, X: Any) -> Any:
    """Return X for one fit: X itself, or a copy if the estimator may write into its input.

    KMeans(copy_x=False) and the like change their input while they run. Fits that share X would see each
    other's changes.
    """
    writes = any(
        name.rpartition("__")[2] in {"copy", "copy_x"} and value is False
        for name, value in estimator.get_params(deep=True).items()
    )
    return copy.deepcopy(X) if writes else X


def clusterer_input(fitted: Any, X: Any) -> Any:
    """Return what the clusterer is given: X after the first steps of a fitted Pipeline, else X itself."""
    for part in first_steps(fitted):
        X = part.transform(protected_input(part, X))
    return X


def transform_rows(fitted: Any, X: Any, rows: IntArray) -> Any:
    """Return some rows of what the clusterer was fitted on."""
    # A step may compare rows, so it must be given all of them.
    return take_rows(clusterer_input(fitted, X), rows)


def take_rows(X: Any, rows: IntArray) -> Any:
    """Select rows of an array, a DataFrame, a sparse matrix or a list."""
    if len(rows) == n_rows(X):
        return X
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    if hasattr(X, "tocsr"):
        return X.tocsr()[rows]  # COO and DIA matrices cannot be indexed
    return np.asarray(X)[rows]


def n_rows(X: Any) -> int:
    """Count the rows of an array, a DataFrame, a sparse matrix or a list."""
    if not hasattr(X, "shape") and hasattr(X, "__len__"):
        return len(X)  # a list may be ragged; the estimator's own error says so better than NumPy's
    shape = X.shape if hasattr(X, "shape") else np.asarray(X).shape
    if len(shape) == 0:
        raise ValueError(f"X must have rows. Got a single value instead: {X!r}.")
    return int(shape[0])


def distances_between(clusterer: Any, X: Any, n_jobs: int | None) -> PairDistances:
    """Return the function that measures distances between rows of X in the clusterer's metric.

    The metric is Euclidean where the clusterer has no `_distances_between`.
    """
    if not hasattr(clusterer, "_distances_between"):
        return EuclideanRows(X).distances
    if "n_jobs" in clusterer.get_params(deep=False) and clusterer.n_jobs is None:
        # The copy keeps the fitted estimator, which users see, unchanged.
        clusterer = copy.copy(clusterer).set_params(n_jobs=n_jobs)
    measure = clusterer._distances_between(X)

    def checked(first: IntArray, second: IntArray) -> Float64Array:
        distances = np.asarray(measure(first, second), dtype=np.float64)
        if distances.shape != (len(first), len(second)):
            raise ValueError(
                f"{type(clusterer).__name__}._distances_between must measure all pairs of the rows given, "
                f"shape {(len(first), len(second))}. Got shape {distances.shape} instead."
            )
        return distances

    return checked


def _described(estimator: Any) -> str:
    # The repr of a Pipeline may fill a page.
    text = repr(estimator)
    return text if len(text) <= 80 else f"a {type(estimator).__name__}"
