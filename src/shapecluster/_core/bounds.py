"""Bounds on correlations, which say of most pairs that no transform is needed.

Let x and c be unit vectors and S_s the shift by s, which fills with zeros and so never lengthens a
vector. theta(x, c) = arccos max_s <x, S_s c> is the angle at the best shift within the window. Every function
here returns a lower bound of such angles, a *floor*: no correlation can exceed its cosine. Rounding goes
to the safe side by `slack`, which exceeds what transforms and unit norms are off by.
"""

from __future__ import annotations

import numpy as np

from shapecluster._core.correlation import Shapes, align_pairwise
from shapecluster._typing import Float64Array, FloatArray, IntArray


def floor_of(ncc: FloatArray, slack: float) -> FloatArray:
    """Floor of the angle whose cosine was computed to within `slack`."""
    floor: FloatArray = np.arccos(np.minimum(ncc + slack, 1.0))
    return floor


def ceiling_of(ncc: FloatArray, slack: float) -> FloatArray:
    """Upper bound of the angle whose cosine was computed to within `slack`."""
    ceiling: FloatArray = np.arccos(np.clip(ncc - slack, -1.0, 1.0))
    return ceiling


def drifted(floor: FloatArray, old: Shapes, new: Shapes) -> FloatArray:
    """Floors of the angles to centres that have moved, from those before.

    Proof: at each shift s the angles between S_-s x (whose norm is at most one), c and c' obey the triangle
    inequality, so angle_s(x, c') >= angle_s(x, c) - angle(c, c'); the least over the shifts of any window
    obeys it too. For |S_-s x| < 1 put the missing length into a coordinate of its own, orthogonal to c
    and c'. Channels are one long vector, and masked values are zeros of it.
    """
    moved = (old.unit.astype(np.float64) * new.unit).reshape(len(new), -1).sum(axis=-1)
    same = (old.unit == new.unit).all(axis=(1, 2))
    step = np.where(same, 0.0, ceiling_of(moved, new.tie_band)).astype(floor.dtype)
    lowered: FloatArray = floor - step
    return np.maximum(lowered, 0.0, out=lowered)


def beyond_own_centre(floor: FloatArray, own: Float64Array, labels: IntArray, centres: Shapes) -> FloatArray:
    """Raise floors by the angles between centres: theta(x, c) >= theta(c_own, c) - theta(x, c_own).

    Proof: with all shifts allowed, S_s is an isometry of zero-padded sequences, so theta is the distance of
    two orbits of a group of isometries of the sphere, and obeys the triangle inequality. With a
    narrower window it does not, and the floors are returned as they are.

    Parameters
    ----------
    floor : ndarray of shape (n_series, n_clusters)
        Floors known so far; updated in place.
    own : ndarray of shape (n_series,)
        Correlation with the centre that `labels` names.
    labels : ndarray of shape (n_series,)
        Any centre of each series; near ones help most.
    centres : Shapes
        The centres.
    """
    if centres.window < centres.unit.shape[-1] - 1:
        return floor
    slack = centres.tie_band
    apart = floor_of(align_pairwise(centres).ncc, slack)
    np.fill_diagonal(apart, 0.0)
    reach = ceiling_of(own, slack)
    return np.maximum(floor, apart[labels] - reach[:, None], out=floor)
