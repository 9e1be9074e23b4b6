"""From the fits of a sweep to what is told about them: scores, choices, near-ties, one table."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from shapecluster._sklearn_compat import _check_sample_weight, check_random_state
from shapecluster.model_selection._contract import (
    distances_between,
    last_step,
    n_rows,
    transform_rows,
)
from shapecluster.model_selection._criteria import CRITERIA, Measured
from shapecluster.model_selection._fits import Fit
from shapecluster.model_selection._silhouette import silhouette

if TYPE_CHECKING:
    from shapecluster._typing import ArrayLike, Float64Array, IntArray

logger = logging.getLogger("shapecluster")


@dataclass(frozen=True)
class SweepFindings:
    """What each criterion says of a sweep.

    Attributes
    ----------
    chosen : dict of str to int or None
        For each criterion the k that it chooses.
    near : dict of str to list of int
        For each criterion the other ks that are nearly as good.
    table : DataFrame
        `results_` of the sweep.
    """

    chosen: dict[str, int | None]
    near: dict[str, list[int]]
    table: pd.DataFrame

    @property
    def least_ssd(self) -> int:
        """The k that there always is."""
        k = self.chosen["ssd"]
        assert k is not None  # SSDs are finite
        return k

    def others(self, criterion: str) -> str:
        """Tell what the criteria other than this one and the SSD chose."""
        return "; ".join(
            f"{name} {self._told(name)}" for name in self.chosen if name not in {criterion, "ssd"}
        )

    def _told(self, name: str) -> str:
        if self.table[name].isna().all():
            return "has no value"
        if self.chosen[name] is None:
            return "chose none"
        near = ", ".join(map(str, self.near[name]))
        return f"chose k = {self.chosen[name]}" + (f" (nearly as good: {near})" if near else "")


def find(done: Sequence[Fit], silhouette_scores: Float64Array) -> SweepFindings:
    """Apply every criterion to the fits of a sweep.

    Parameters
    ----------
    done : sequence of Fit
        By increasing k.
    silhouette_scores : ndarray of shape (n_ks,)
        Mean silhouette of each.

    Returns
    -------
    findings : SweepFindings
        Choices, near-ties and the table.
    """
    ks = np.array([fit.k for fit in done])
    measured = Measured(ks, np.array([fit.ssd for fit in done]), silhouette_scores)
    columns: dict[str, Any] = {}
    chosen: dict[str, int | None] = {}
    near: dict[str, list[int]] = {}
    for name, criterion in CRITERIA.items():
        columns[name] = scores = criterion.scores(measured)
        chosen[name] = criterion.choose(ks, scores)
        near[name] = criterion.near_ties(ks, scores, chosen[name])
    columns["n_iter"] = pd.array([fit.n_iter for fit in done], dtype="Int64")
    columns["seconds"] = [fit.seconds for fit in done]
    columns["chosen_by"] = [", ".join(name for name in chosen if chosen[name] == k) for k in ks]
    columns["near_tie"] = [", ".join(name for name in near if k in near[name]) for k in ks]
    return SweepFindings(chosen, near, pd.DataFrame(columns, index=pd.Index(ks, name="k")))


def check_criterion_applies(criterion: str, ks: Sequence[int], sample_size: int | None, owner: str) -> None:
    """Refuse numbers of clusters among which the criterion could not choose, whatever the data."""
    if criterion == "silhouette" and sample_size == 0:
        raise ValueError(
            f"{owner} cannot choose by criterion='silhouette' when silhouette_sample_size=0 says not to "
            "compute it. Give the number of rows to compute it on, or None for all."
        )
    objection = CRITERIA[criterion].objection(np.asarray(ks))
    if objection:
        raise ValueError(
            f"The 'k' parameter of {owner} does not suit criterion={criterion!r}, which {objection}. "
            f"Got {list(ks)} instead."
        )


def weights_of_rows(sample_weight: ArrayLike, X: Any, owner: str) -> Float64Array:
    """Return one weight per row, from whatever estimators accept as sample weights, or refuse them."""
    rows = np.empty((n_rows(X), 1))  # all that the check needs of X
    weights: Float64Array = _check_sample_weight(sample_weight, rows, dtype=np.float64)
    if (weights < 0).any():
        row = int(np.flatnonzero(weights < 0)[0])
        raise ValueError(
            f"{owner}: sample_weight must not be negative. Got {weights[row]} for row {row} instead."
        )
    if not weights.any():
        raise ValueError(f"{owner}: sample_weight must have a positive entry. Got only zeros instead.")
    return weights


def rows_to_measure(
    n: int,
    weights: Float64Array | None,
    at_most: int | None,
    random_state: int | np.random.RandomState | None,
) -> IntArray:
    """Draw the rows for the silhouette among those that have a weight: all of them if they are few."""
    rows = np.arange(n) if weights is None else np.flatnonzero(weights > 0)
    if at_most is None or len(rows) <= at_most:
        return rows
    drawn: IntArray = np.sort(check_random_state(random_state).choice(rows, at_most, replace=False))
    return drawn


def silhouettes(
    done: Sequence[Fit], X: Any, rows: IntArray, weights: Float64Array | None, n_jobs: int | None
) -> Float64Array:
    """Compute the mean silhouette of every fit, from distances that are measured once.

    Parameters
    ----------
    done : sequence of Fit
        By increasing k.
    X : array-like, DataFrame or sparse matrix
        Input of the sweep.
    rows : ndarray of shape (n_sampled,)
        Rows to compute it on.
    weights : ndarray of shape (n_rows,) or None
        Weights of all rows.
    n_jobs : int or None
        Threads, where the metric is the clusterer's own.

    Returns
    -------
    scores : ndarray of shape (n_ks,)
        NaN where there is one cluster only, and everywhere when there are no rows to compute it on.
    """
    if len(rows) == 0 or done[-1].k == 1:
        return np.full(len(done), np.nan)
    logger.info("silhouette: measuring the distances of all pairs of %d rows", len(rows))
    seen = transform_rows(done[0].estimator, X, rows)
    distances = distances_between(last_step(done[0].estimator), seen, n_jobs)
    scores = []
    for fit in done:
        clusterer = last_step(fit.estimator)
        # MiniBatchKMeans(compute_labels=False) keeps none.
        labels = clusterer.labels_[rows] if hasattr(clusterer, "labels_") else clusterer.predict(seen)
        scores.append(silhouette(distances, np.asarray(labels), None if weights is None else weights[rows]))
    return np.array(scores)
