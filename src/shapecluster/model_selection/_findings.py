"""From the fits of a sweep to its results: silhouettes, scores, choices, near ties, one table."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from shapecluster._pipelines import last_step
from shapecluster._validation import check_weights
from shapecluster.metrics._silhouette_values import silhouette_values
from shapecluster.model_selection._contract import distances_between, n_rows, transform_rows
from shapecluster.model_selection._criteria import CHOICES, elbow_scores, near_ties
from shapecluster.model_selection._fits import Fit

if TYPE_CHECKING:
    from shapecluster._typing import ArrayLike, Float64Array, IntArray

logger = logging.getLogger("shapecluster")


@dataclass(frozen=True)
class SweepFindings:
    """Choices of all criteria in a sweep.

    Attributes
    ----------
    chosen : dict of str to int or None
        The k that each criterion chooses.
    near : dict of str to list of int
        For each criterion the other ks that are nearly as good.
    table : DataFrame
        `results_` of the sweep.
    """

    chosen: dict[str, int | None]
    near: dict[str, list[int]]
    table: pd.DataFrame

    @property
    def minimum_ssd(self) -> int:
        """The k of minimum SSD, which every sweep has."""
        k = self.chosen["ssd"]
        assert k is not None  # SSDs are finite
        return k

    def other_choices(self, criterion: str) -> str:
        """Say in words what the criteria other than this one and the SSD chose."""
        return "; ".join(
            f"{name} {self._choice_in_words(name)}" for name in self.chosen if name not in {criterion, "ssd"}
        )

    def _choice_in_words(self, name: str) -> str:
        if self.table[name].isna().all():
            return "has no value"
        if self.chosen[name] is None:
            return "chose none"
        near = ", ".join(map(str, self.near[name]))
        return f"chose k = {self.chosen[name]}" + (f" (nearly as good: {near})" if near else "")


def apply_criteria(fits: Sequence[Fit], silhouettes: Float64Array) -> SweepFindings:
    """Apply every criterion to the fits of a sweep.

    Parameters
    ----------
    fits : sequence of Fit
        Fits by increasing k.
    silhouettes : ndarray of shape (n_ks,)
        Mean silhouette of each.

    Returns
    -------
    findings : SweepFindings
        Choices, near ties and the table.
    """
    ks = np.array([fit.k for fit in fits])
    ssd = np.array([fit.ssd for fit in fits])
    scores = {"ssd": ssd, "elbow": elbow_scores(ks, ssd), "silhouette": silhouettes}
    chosen = {name: choose(ks, scores[name]) for name, choose in CHOICES.items()}
    near = {name: near_ties(name, ks, scores[name], k) for name, k in chosen.items()}
    columns: dict[str, Any] = dict(scores)
    # Not every clusterer counts iterations; this type has integers and missing values.
    columns["n_iter"] = pd.array([fit.n_iter for fit in fits], dtype="Int64")
    columns["seconds"] = [fit.seconds for fit in fits]
    columns["chosen_by"] = [", ".join(name for name in chosen if chosen[name] == k) for k in ks]
    columns["near_tie"] = [", ".join(name for name in near if k in near[name]) for k in ks]
    return SweepFindings(chosen, near, pd.DataFrame(columns, index=pd.Index(ks, name="k")))


def weights_of_rows(sample_weight: ArrayLike, X: Any, owner: str) -> Float64Array:
    """Return one weight per row, from any form that estimators accept as sample weights."""
    rows = np.empty((n_rows(X), 1))  # the check looks at the number of rows only; X may be anything
    return check_weights(sample_weight, rows, owner, "row {}".format)


def mean_silhouettes(
    fits: Sequence[Fit], X: Any, sampled: IntArray, weights: Float64Array | None, n_jobs: int | None
) -> Float64Array:
    """Compute the mean silhouette of every fit, from distances that are measured once.

    Parameters
    ----------
    fits : sequence of Fit
        Fits by increasing k.
    X : array-like, DataFrame or sparse matrix
        Input of the sweep.
    sampled : ndarray of shape (n_sampled,)
        Positions of the rows to average over, each with a positive weight.
    weights : ndarray of shape (n_rows,) or None
        Weights of all rows.
    n_jobs : int or None
        Threads, for clusterers with a metric of their own.

    Returns
    -------
    silhouettes : ndarray of shape (n_ks,)
        NaN for a single cluster; all are NaN when no rows are sampled.
    """
    if len(sampled) == 0 or fits[-1].k == 1:
        return np.full(len(fits), np.nan)
    # Rows of weight 0 would still count as members: they are left out.
    rows = np.arange(n_rows(X)) if weights is None else np.flatnonzero(weights > 0)
    seen = transform_rows(fits[0].estimator, X, rows)
    logger.info(
        "silhouette: measuring the distances between %d sampled rows and all %d", len(sampled), len(rows)
    )
    values = silhouette_values(
        distances_between(last_step(fits[0].estimator), seen, n_jobs),
        [_labels(last_step(fit.estimator), seen, rows) for fit in fits],
        np.searchsorted(rows, sampled),
        None if weights is None else weights[rows],
    )
    return np.array(
        [np.average(of_fit, weights=None if weights is None else weights[sampled]) for of_fit in values]
    )


def _labels(clusterer: Any, seen: Any, rows: IntArray) -> IntArray:
    # MiniBatchKMeans(compute_labels=False) keeps no labels.
    labels = clusterer.labels_[rows] if hasattr(clusterer, "labels_") else clusterer.predict(seen)
    return np.asarray(labels)
