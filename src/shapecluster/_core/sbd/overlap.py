"""Correlation over the timepoints that two series have both observed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from shapecluster._core.sbd.alignment import align_members
from shapecluster._typing import BoolArray, Float64Array, FloatArray, IntArray


class Overlap(NamedTuple):
    """How series compare with one other where both are observed.

    Attributes
    ----------
    correlation : ndarray of shape (n_series,)
        Pearson correlation over the jointly observed timepoints; 0 where one of them is flat there.
    coverage : ndarray of shape (n_series,)
        Jointly observed timepoints, as a share of all.
    """

    correlation: Float64Array
    coverage: Float64Array


def overlap_correlation(
    x: FloatArray, x_observed: BoolArray, y: FloatArray, y_observed: BoolArray, shifts: IntArray
) -> Overlap:
    """Correlate series with one other at given shifts, over jointly observed timepoints only.

    Parameters
    ----------
    x : ndarray of shape (n_series, n_channels, n_timepoints)
        Zero where not observed.
    x_observed : ndarray of bool, same shape
        What was observed.
    y : ndarray of shape (n_channels, n_timepoints)
        The other series, zero where not observed.
    y_observed : ndarray of bool, same shape as `y`
        What was observed of it.
    shifts : ndarray of shape (n_series,)
        By how much each series trails the other.

    Returns
    -------
    Overlap
        Channels are centered each, and pooled.
    """
    joint = align_members(x_observed, shifts) * y_observed
    count = joint.sum(axis=-1, keepdims=True)
    moved = _centered(align_members(x, shifts), joint, count)
    other = _centered(y, joint, count)
    axes = (-2, -1)
    spread, other_spread = (moved * moved).sum(axis=axes), (other * other).sum(axis=axes)
    product = (moved * other).sum(axis=axes)
    moves = (spread > _rounding(x)) & (other_spread > _rounding(y))
    scale = np.sqrt(spread * other_spread)
    correlation = np.divide(product, scale, out=np.zeros_like(product), where=moves)
    return Overlap(np.clip(correlation, -1.0, 1.0), joint.mean(axis=axes))


def _rounding(values: FloatArray) -> Float64Array:
    """Sum of squares that a constant series may seem to have about its mean."""
    size = values.shape[-1] * values.shape[-2]
    largest = np.abs(values).max(axis=(-2, -1)).astype(np.float64)
    bound: Float64Array = size * (8 * float(np.finfo(values.dtype).eps) * largest) ** 2
    return bound


def _centered(values: FloatArray, joint: FloatArray, count: FloatArray) -> Float64Array:
    mean = (values * joint).sum(axis=-1, keepdims=True) / np.maximum(count, 1.0)
    centered: Float64Array = (values - mean) * joint
    return centered
