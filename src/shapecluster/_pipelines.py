"""Where the clusterer is: at the end of a Pipeline, or inside a fitted search such as `KSweep`."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import Pipeline


def last_step(estimator: Any) -> Any:
    """Return the clusterer: the estimator itself, or the last step of a Pipeline, also of a nested one."""
    while isinstance(estimator, Pipeline) and estimator.steps:
        estimator = estimator.steps[-1][1]
    return estimator


def first_steps(estimator: Any) -> list[Pipeline]:
    """Return the steps before the clusterer: one Pipeline for each nested Pipeline that has any."""
    parts = []
    while isinstance(estimator, Pipeline) and estimator.steps:
        # A slice without steps has no `transform`.
        if len(estimator.steps) > 1:
            parts.append(estimator[:-1])
        estimator = estimator.steps[-1][1]
    return parts


def split_clusterer(fitted: Any) -> tuple[list[Pipeline], Any]:
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
    transformers, clusterer = first_steps(fitted), last_step(fitted)
    # The best estimator has the parameters that the metric depends on; the search itself has not.
    while hasattr(clusterer, "best_estimator_"):
        best = clusterer.best_estimator_
        transformers, clusterer = [*transformers, *first_steps(best)], last_step(best)
    return transformers, clusterer
