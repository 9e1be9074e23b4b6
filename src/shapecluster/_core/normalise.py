"""z-normalised and unit rows: what makes a shape independent of level and scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from shapecluster._core.blocks import row_blocks
from shapecluster._typing import BoolArray, DType, Float64Array, FloatArray

_BLOCK_BYTES = 1 << 18  # many passes over a block: it should stay in the nearest cache
_FLAT_EPS = 8  # a standard deviation of so many roundings of the largest value is rounding, not movement


class Standardised(NamedTuple):
    """Rows with zero mean and unit standard deviation, and what was taken away.

    Attributes
    ----------
    z : ndarray of the input's shape
        float64; zero where the input was NaN, and all zero for flat rows.
    mean, std : ndarray of the input's shape without its last axis
        Over what was observed, in the input's units. NaN where nothing was observed.
    flat : ndarray of bool, same shape as `mean`
        Rows that never move, up to rounding in the input's own precision.
    """

    z: Float64Array
    mean: Float64Array
    std: Float64Array
    flat: BoolArray


def standardise(values: FloatArray) -> Standardised:
    """z-normalise along the last axis, over observed (not NaN) values.

    Each row is first scaled by a power of two, which is exact, so that neither 1e300 nor 1e-300
    overflows or loses digits.

    Parameters
    ----------
    values : ndarray of shape (..., n_timepoints)
        float32 or float64; NaN stands for a missing value. No infinities.

    Returns
    -------
    Standardised
        z-scores, means, standard deviations (ddof=0) and the flags of flat rows.
    """
    eps = float(np.finfo(values.dtype).eps)
    x = np.array(values, dtype=np.float64, order="C")
    missing = np.isnan(x)
    masked = bool(missing.any())
    count = np.full((*x.shape[:-1], 1), float(x.shape[-1]))
    if masked:
        x[missing] = 0.0
        count -= missing.sum(axis=-1, keepdims=True)
    empty = count == 0
    count[empty] = 1.0
    exponent = np.frexp(np.abs(x).max(axis=-1, keepdims=True, initial=0.0))[1]
    x = np.ldexp(x, -exponent)  # now within [-1, 1]
    mean = np.zeros_like(count)
    for _ in range(2):  # the second pass removes the rounding of the first
        step = x.sum(axis=-1, keepdims=True) / count
        x -= step
        if masked:
            x[missing] = 0.0
        mean += step
    std = np.sqrt((x * x).sum(axis=-1, keepdims=True) / count)
    flat = std <= _FLAT_EPS * eps
    np.divide(x, std, out=x, where=~flat)
    np.copyto(x, 0.0, where=flat)
    mean[empty] = np.nan
    std[empty] = np.nan
    return Standardised(x, np.ldexp(mean, exponent)[..., 0], np.ldexp(std, exponent)[..., 0], flat[..., 0])


@dataclass(frozen=True)
class UnitRows:
    """Series with zero mean per channel and joint norm one.

    Attributes
    ----------
    values : ndarray of shape (n_series, n_channels, n_timepoints)
        In the dtype of the input; zero where it was missing, and for channels that are flat.
    flat : ndarray of bool, shape (n_series,)
        Series without a shape: flat in every channel.
    """

    values: FloatArray
    flat: BoolArray


def znormalise(values: FloatArray) -> FloatArray:
    """z-normalise every channel of every series, keeping the dtype; see `standardise`."""
    return _by_blocks(values, values.dtype, unit=False).values


def unit_rows(values: FloatArray, dtype: DType | None = None) -> UnitRows:
    """z-normalise every channel, then scale each series to joint norm one.

    Every row is treated by itself, so the same row gives the same bits wherever it stands. The result
    has the given dtype, or that of `values`; which rows are flat is for the precision of `values` to say.
    """
    return _by_blocks(values, values.dtype if dtype is None else dtype, unit=True)


def _by_blocks(values: FloatArray, dtype: DType, *, unit: bool) -> UnitRows:
    n_series, n_channels, n_timepoints = values.shape
    out: FloatArray = np.empty(values.shape, dtype=dtype)
    flat = np.empty(n_series, dtype=np.bool_)
    for rows in row_blocks(n_series, 8 * n_channels * n_timepoints, _BLOCK_BYTES):
        z, _, _, flat_channels = standardise(values[rows])
        if unit:
            square_norm = (z * z).reshape(len(z), -1).sum(axis=-1)
            square_norm[square_norm == 0.0] = 1.0
            z /= np.sqrt(square_norm)[:, None, None]
        out[rows] = z
        flat[rows] = flat_channels.all(axis=-1)
    return UnitRows(out, flat)


def scaled_weights(weights: Float64Array) -> Float64Array:
    """Weights over a power of two that brings the largest near 1: exact, and safe to square and add up."""
    scaled: Float64Array = np.ldexp(weights, -np.frexp(weights.max(initial=0.0))[1])
    return scaled
