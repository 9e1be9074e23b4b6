"""Find the fitted clusterer inside a sweep or a Pipeline, and the data as the clusterer saw them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

from sklearn.pipeline import Pipeline

if TYPE_CHECKING:
    import pandas as pd

    from shapecluster._typing import ArrayLike, IntArray


class FittedClusterer(Protocol):
    """A clusterer after `fit`: what the displays of clusters need of it."""

    labels_: IntArray
    cluster_centers_: ArrayLike


def find_clusterer(estimator: Any) -> FittedClusterer:
    """Return the fitted clusterer of an estimator.

    Parameters
    ----------
    estimator : estimator
        A clusterer, a sweep or search with `best_estimator_`, or a Pipeline that ends in one of these. They
        can be nested.

    Returns
    -------
    FittedClusterer
        The clusterer itself.

    Raises
    ------
    ValueError
        When the estimator is not fitted, or is not a clusterer.
    """
    clusterer = estimator
    while (inner := _inner(clusterer)) is not None:
        clusterer = inner
    for attribute in ("labels_", "cluster_centers_"):
        if not hasattr(clusterer, attribute):
            # Some clusterers, such as DBSCAN, have no centers after `fit` either.
            advice = "" if hasattr(clusterer, "labels_") else ": fit it first"
            raise ValueError(
                f"A display of clusters takes a fitted clusterer with centers, or a KSweep or Pipeline that "
                f"ends in one. Got {type(clusterer).__name__} without {attribute} instead{advice}."
            )
    return cast("FittedClusterer", clusterer)


def transform_for_clusterer(estimator: Any, X: ArrayLike | pd.DataFrame) -> Any:
    """Apply all steps that come before the clusterer of a fitted estimator.

    Parameters
    ----------
    estimator : estimator
        As in `find_clusterer`.
    X : array-like or DataFrame of shape (n_series, n_timepoints)
        The input of the estimator.

    Returns
    -------
    array-like or DataFrame
        The input of the clusterer: `pipe[:-1].transform(X)` for a Pipeline, X itself for a clusterer.
    """
    while estimator is not None:
        # A slice without steps has no `transform`.
        if isinstance(estimator, Pipeline) and len(estimator.steps) > 1:
            X = estimator[:-1].transform(X)
        estimator = _inner(estimator)
    return X


def _inner(estimator: Any) -> Any:
    """Return the last step of a Pipeline or the best fit of a search; None when there is neither."""
    if isinstance(estimator, Pipeline):
        return estimator.steps[-1][1]
    return getattr(estimator, "best_estimator_", None)
