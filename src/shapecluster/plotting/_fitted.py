"""Find the fitted clusterer inside a sweep or a Pipeline, and the data as the clusterer saw them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from shapecluster._pipelines import split_clusterer

if TYPE_CHECKING:
    import pandas as pd

    from shapecluster._typing import ArrayLike, IntArray


class FittedClusterer(Protocol):
    """A clusterer after `fit`: what the displays of clusters need of it."""

    labels_: IntArray
    cluster_centers_: ArrayLike


def find_clusterer(estimator: Any, X: ArrayLike | pd.DataFrame) -> tuple[FittedClusterer, Any]:
    """Return the fitted clusterer of an estimator, and the data as the clusterer takes them.

    Parameters
    ----------
    estimator : estimator
        A clusterer, a sweep or search with `best_estimator_`, or a Pipeline that ends in one of these. They
        can be nested.
    X : array-like or DataFrame of shape (n_series, n_timepoints)
        The input of the estimator.

    Returns
    -------
    clusterer : FittedClusterer
        The clusterer itself.
    X : array-like or DataFrame
        The input of the clusterer: `pipe[:-1].transform(X)` for a Pipeline, X itself for a clusterer.

    Raises
    ------
    ValueError
        When the estimator is not fitted, or is not a clusterer.
    """
    transformers, clusterer = split_clusterer(estimator)
    for attribute in ("labels_", "cluster_centers_"):
        if not hasattr(clusterer, attribute):
            # Some clusterers, such as DBSCAN, have no centers after `fit` either.
            advice = "" if hasattr(clusterer, "labels_") else ": fit it first"
            raise ValueError(
                f"A display of clusters takes a fitted clusterer with centers, or a KSweep or Pipeline that "
                f"ends in one. Got {type(clusterer).__name__} without {attribute} instead{advice}."
            )
    for transformer in transformers:
        X = transformer.transform(X)
    return clusterer, X
