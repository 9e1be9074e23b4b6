"""Criteria for the number of clusters, as pure functions of what a sweep has measured.

A criterion has scores, one per k, a column of `results_`. `CHOICES` holds the rules that turn scores into a
choice; `KSweep` takes the names of the criteria from it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np

from shapecluster._typing import Float64Array, IntArray

CriterionName: TypeAlias = Literal["ssd", "elbow", "silhouette"]

# Differences from the chosen score up to which another k is nearly as good.
_NEAR_SSD = 0.01  # relative to the minimum SSD
# The scaled SSD curve spans 1. A fit stuck in a local optimum moves its elbow score by about this much.
_NEAR_SCORES = {"elbow": 0.03, "silhouette": 0.01}

# A curve that stays within 5 % of its height from a straight line has no elbow.
_LEAST_BEND = 0.05

# Scores closer than this are equal: the order in which sums run may change the last bits.
_ROUNDING = 1e-12


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


CHOICES: dict[str, Callable[[IntArray, Float64Array], int | None]] = {
    "ssd": minimum_ssd,
    "elbow": elbow,
    "silhouette": maximum_score,
}
"""For each criterion: (ks, scores) -> the chosen k, or None if the scores single out none."""


def near_ties(criterion: str, ks: IntArray, scores: Float64Array, chosen: int | None) -> list[int]:
    """List the ks, other than the chosen one, whose scores are nearly as good."""
    if chosen is None:
        return []
    best = float(scores[ks == chosen][0])
    near = scores >= best - _NEAR_SCORES.get(criterion, 0.0)
    if criterion == "ssd":
        near = scores <= best + _NEAR_SSD * abs(best)
    return [int(k) for k in ks[near] if k != chosen]


def check_criterion_applies(
    criterion: CriterionName, ks: list[int], n_samples: int | None, owner: str
) -> None:
    """Raise if the criterion could not choose among these numbers of clusters for any data."""
    if criterion == "elbow" and len(ks) < 3:
        objection = f"needs at least three values of k. Got {ks} instead"
    elif criterion == "silhouette" and n_samples == 0:
        objection = "needs rows. Got n_samples=0 instead: give their number, or None for all"
    elif criterion == "silhouette" and ks[-1] < 2:
        objection = f"is undefined for one cluster, so it needs a k of 2 or more. Got {ks} instead"
    else:
        return
    raise ValueError(f"{owner} cannot choose by criterion={criterion!r}, which {objection}.")
