"""The clusterer inside a fitted Pipeline or parameter search."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import Pipeline


def split_clusterer(fitted: Any) -> tuple[list[Any], Any]:
    """Split a fitted estimator into the transformers before its clusterer, and the clusterer.

    Parameters
    ----------
    fitted : estimator
        A clusterer, a Pipeline that ends in one, or a search over either, such as `KSweep`.

    Returns
    -------
    transformers : list of Pipeline
        Rows pass through all of them, in this order, before the clusterer takes them.
    clusterer : estimator
        The clusterer itself.
    """
    transformers: list[Any] = []
    while True:
        if isinstance(fitted, Pipeline):
            if len(fitted.steps) > 1:
                transformers.append(fitted[:-1])
            fitted = fitted.steps[-1][1]
        elif hasattr(fitted, "best_estimator_"):
            # The best estimator has the parameters that the metric depends on; the search itself has not.
            fitted = fitted.best_estimator_
        else:
            return transformers, fitted
