"""Ways to choose the number of clusters, as pure functions of what a sweep has measured.

A criterion has scores, one per k, and a rule that turns them into a choice. `CRITERIA` is the list of
those that exist; `KSweep` reads names, scores and rules from it and knows no criterion by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from shapecluster._typing import BoolArray, Float64Array, IntArray

_NEAR_SSD = 0.01  # of the least SSD
_NEAR_ELBOW = 0.03  # on a scale where the curve spans 1: a fit stuck in a local optimum moves it as much
_NEAR_SILHOUETTE = 0.01  # on the scale of the silhouette itself
"""How far a score may be from the chosen one's to count as nearly as good."""

_LEAST_BEND = 0.05
"""A curve that stays within 5 % of its height from a straight line has no elbow."""

_ROUNDING = 1e-12
"""Scores closer than this are equal, whatever order their sums ran in."""


@dataclass(frozen=True)
class Measured:
    """What the fits of a sweep gave, by increasing k.

    Attributes
    ----------
    ks : ndarray of shape (n_ks,)
        Numbers of clusters tried, increasing.
    ssd : ndarray of shape (n_ks,)
        Sum of squared distances to the centers.
    silhouette : ndarray of shape (n_ks,)
        Mean silhouette; NaN where there is one cluster only.
    """

    ks: IntArray
    ssd: Float64Array
    silhouette: Float64Array


@dataclass(frozen=True)
class Criterion:
    """A way to choose k.

    Attributes
    ----------
    scores : callable
        From what was measured to one score per k: a column of `results_`.
    choose : callable
        (ks, scores) -> k, or None where the scores do not say.
    near : callable
        (scores, score of the chosen k) -> which scores are nearly as good.
    objection : callable
        ks -> why this criterion cannot choose among them, or None.
    """

    scores: Callable[[Measured], Float64Array]
    choose: Callable[[IntArray, Float64Array], int | None]
    near: Callable[[Float64Array, float], BoolArray]
    objection: Callable[[IntArray], str | None]

    def near_ties(self, ks: IntArray, scores: Float64Array, chosen: int | None) -> list[int]:
        """List the ks, other than the chosen one, whose scores are nearly as good."""
        if chosen is None:
            return []
        best = float(scores[ks == chosen][0])
        return [int(k) for k in ks[self.near(scores, best)] if k != chosen]


def least_ssd(ks: IntArray, ssd: Float64Array) -> int | None:
    """Choose the k of least SSD; the smallest of those that tie.

    Parameters
    ----------
    ks : ndarray of shape (n_ks,)
        Numbers of clusters, increasing.
    ssd : ndarray of shape (n_ks,)
        Sum of squared distances of each.

    Returns
    -------
    k : int
        The choice.
    """
    return int(ks[np.argmin(ssd)])


def elbow_scores(ks: IntArray, ssd: Float64Array) -> Float64Array:
    """Measure how far an SSD curve sags below the straight line between its ends.

    This is the difference curve of Kneedle for a convex, decreasing curve, without smoothing: both axes
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
        0 at the first k, at most 1; NaN everywhere when there is no fall that could slow down: fewer
        than three points, or a last SSD that is not below the first.

    References
    ----------
    V. Satopaa, J. Albrecht, D. Irwin and B. Raghavan, "Finding a 'Kneedle' in a Haystack: Detecting Knee
    Points in System Behavior", ICDCS Workshops 2011.
    """
    if len(ks) < 3 or not ssd[-1] < ssd[0]:
        return np.full(len(ks), np.nan)
    across = (ks - ks[0]) / (ks[-1] - ks[0])
    least, greatest = ssd.min(), ssd.max()
    down: Float64Array = (greatest - ssd) / (greatest - least)
    scores: Float64Array = down - down[0] - across
    return scores


def elbow(ks: IntArray, scores: Float64Array) -> int | None:
    """Choose the k where the fall of the SSD slows down most.

    Parameters
    ----------
    ks : ndarray of shape (n_ks,)
        Numbers of clusters, increasing.
    scores : ndarray of shape (n_ks,)
        As `elbow_scores` gives them.

    Returns
    -------
    k : int or None
        The smallest k of greatest score; None for a curve that is flat, rises, or is nearly straight.
    """
    chosen = greatest_score(ks, scores)
    if chosen is None or float(scores[ks == chosen][0]) < _LEAST_BEND:
        return None
    return chosen


def greatest_score(ks: IntArray, scores: Float64Array) -> int | None:
    """Choose the smallest k of greatest score, leaving out the ks where the score is NaN.

    Parameters
    ----------
    ks : ndarray of shape (n_ks,)
        Numbers of clusters, increasing.
    scores : ndarray of shape (n_ks,)
        Score of each; NaN where it is undefined.

    Returns
    -------
    k : int or None
        The choice; None when no score is defined.
    """
    defined = np.isfinite(scores)
    if not defined.any():
        return None
    best = scores[defined].max()
    return int(ks[defined][scores[defined] >= best - _ROUNDING][0])


def _too_few_for_elbow(ks: IntArray) -> str | None:
    return "needs at least three values of k" if len(ks) < 3 else None


def _no_silhouette(ks: IntArray) -> str | None:
    return "is undefined for one cluster, so it needs a k of 2 or more" if ks[-1] < 2 else None


CRITERIA = {
    "ssd": Criterion(
        scores=lambda measured: measured.ssd,
        choose=least_ssd,
        near=lambda scores, best: scores <= best + _NEAR_SSD * abs(best),
        objection=lambda ks: None,
    ),
    "elbow": Criterion(
        scores=lambda measured: elbow_scores(measured.ks, measured.ssd),
        choose=elbow,
        near=lambda scores, best: scores >= best - _NEAR_ELBOW,
        objection=_too_few_for_elbow,
    ),
    "silhouette": Criterion(
        scores=lambda measured: measured.silhouette,
        choose=greatest_score,
        near=lambda scores, best: scores >= best - _NEAR_SILHOUETTE,
        objection=_no_silhouette,
    ),
}
