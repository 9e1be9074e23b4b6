"""Criteria for the number of clusters, as pure functions of what a sweep has measured.

A criterion has scores, one per k, and a rule that turns them into a choice. `CRITERIA` holds all of them;
`KSweep` takes their names, scores and rules from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from shapecluster._typing import BoolArray, Float64Array, IntArray

CriterionName: TypeAlias = Literal["ssd", "elbow", "silhouette"]

# Differences from the chosen score up to which another k is nearly as good.
_NEAR_SSD = 0.01  # relative to the minimum SSD
# The scaled SSD curve spans 1. A fit stuck in a local optimum moves its elbow score by about this much.
_NEAR_ELBOW = 0.03
_NEAR_SILHOUETTE = 0.01

# A curve that stays within 5 % of its height from a straight line has no elbow.
_LEAST_BEND = 0.05

# Scores closer than this are equal: the order in which sums run may change the last bits.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class SweepScores:
    """Measurements of the fits of a sweep, by increasing k.

    Attributes
    ----------
    ks : ndarray of shape (n_ks,)
        Numbers of clusters tried, increasing.
    ssd : ndarray of shape (n_ks,)
        Sum of squared distances to the centers.
    silhouette : ndarray of shape (n_ks,)
        Mean silhouette; NaN for a single cluster.
    """

    ks: IntArray
    ssd: Float64Array
    silhouette: Float64Array


@dataclass(frozen=True)
class Criterion:
    """A rule that chooses k.

    Attributes
    ----------
    scores : callable
        Measurements -> one score per k, a column of `results_`.
    choose : callable
        (ks, scores) -> the chosen k, or None if the scores single out none.
    near : callable
        (scores, score of the chosen k) -> which scores are nearly as good.
    objection : callable
        (ks, n_samples) -> the reason why this criterion cannot choose with these parameters, or None.
    """

    scores: Callable[[SweepScores], Float64Array]
    choose: Callable[[IntArray, Float64Array], int | None]
    near: Callable[[Float64Array, float], BoolArray]
    objection: Callable[[list[int], int | None], str | None]

    def near_ties(self, ks: IntArray, scores: Float64Array, chosen: int | None) -> list[int]:
        """List the ks, other than the chosen one, whose scores are nearly as good."""
        if chosen is None:
            return []
        best = float(scores[ks == chosen][0])
        return [int(k) for k in ks[self.near(scores, best)] if k != chosen]


def minimum_ssd(ks: IntArray, ssd: Float64Array) -> int | None:
    """Choose the k of minimum SSD; among ties, the smallest k.

    Parameters
    ----------
    ks : ndarray of shape (n_ks,)
        Numbers of clusters, increasing.
    ssd : ndarray of shape (n_ks,)
        Sum of squared distances of each.

    Returns
    -------
    k : int
        The chosen k.
    """
    return int(ks[np.argmin(ssd)])


def elbow_scores(ks: IntArray, ssd: Float64Array) -> Float64Array:
    """Measure how far an SSD curve lies below the straight line between its ends.

    This is the difference curve of Kneedle for a convex, decreasing curve, without smoothing. Both axes
    are scaled to [0, 1], and the score is (1 - ssd) - k.

    Parameters
    ----------
    ks : ndarray of shape (n_ks,)
        Numbers of clusters, increasing; they need not be evenly spaced.
    ssd : ndarray of shape (n_ks,)
        Sum of squared distances of each.

    Returns
    -------
    scores : ndarray of shape (n_ks,)
        0 at the first k, at most 1. All are NaN for fewer than three points, or if the last SSD is not
        below the first.

    References
    ----------
    V. Satopaa, J. Albrecht, D. Irwin and B. Raghavan, "Finding a 'Kneedle' in a Haystack: Detecting Knee
    Points in System Behavior", ICDCS Workshops 2011.
    """
    if len(ks) < 3 or not ssd[-1] < ssd[0]:
        return np.full(len(ks), np.nan)
    across = (ks - ks[0]) / (ks[-1] - ks[0])
    lowest, highest = ssd.min(), ssd.max()
    down: Float64Array = (highest - ssd) / (highest - lowest)
    # Fits in local optima can make a later SSD the highest. Subtracting down[0] keeps the first score at 0.
    scores: Float64Array = down - down[0] - across
    return scores


def elbow(ks: IntArray, scores: Float64Array) -> int | None:
    """Choose the k after which the SSD falls much more slowly.

    Parameters
    ----------
    ks : ndarray of shape (n_ks,)
        Numbers of clusters, increasing.
    scores : ndarray of shape (n_ks,)
        Scores from `elbow_scores`.

    Returns
    -------
    k : int or None
        The smallest k of maximum score; None for a curve that is flat, rises, or is nearly straight.
    """
    chosen = maximum_score(ks, scores)
    if chosen is None or float(scores[ks == chosen][0]) < _LEAST_BEND:
        return None
    return chosen


def maximum_score(ks: IntArray, scores: Float64Array) -> int | None:
    """Choose the smallest k of maximum score, without the ks whose score is NaN.

    Parameters
    ----------
    ks : ndarray of shape (n_ks,)
        Numbers of clusters, increasing.
    scores : ndarray of shape (n_ks,)
        Score of each; NaN if undefined.

    Returns
    -------
    k : int or None
        The chosen k; None if no score is defined.
    """
    defined = np.isfinite(scores)
    if not defined.any():
        return None
    best = scores[defined].max()
    return int(ks[defined][scores[defined] >= best - _ROUNDING][0])


def _too_few_for_elbow(ks: list[int], n_samples: int | None) -> str | None:
    return f"needs at least three values of k. Got {ks} instead" if len(ks) < 3 else None


def _no_silhouette(ks: list[int], n_samples: int | None) -> str | None:
    if n_samples == 0:
        return "needs rows. Got n_samples=0 instead: give their number, or None for all"
    if ks[-1] < 2:
        return f"is undefined for one cluster, so it needs a k of 2 or more. Got {ks} instead"
    return None


CRITERIA: dict[CriterionName, Criterion] = {
    "ssd": Criterion(
        scores=lambda sweep: sweep.ssd,
        choose=minimum_ssd,
        near=lambda scores, best: scores <= best + _NEAR_SSD * abs(best),
        objection=lambda ks, n_samples: None,
    ),
    "elbow": Criterion(
        scores=lambda sweep: elbow_scores(sweep.ks, sweep.ssd),
        choose=elbow,
        near=lambda scores, best: scores >= best - _NEAR_ELBOW,
        objection=_too_few_for_elbow,
    ),
    "silhouette": Criterion(
        scores=lambda sweep: sweep.silhouette,
        choose=maximum_score,
        near=lambda scores, best: scores >= best - _NEAR_SILHOUETTE,
        objection=_no_silhouette,
    ),
}
