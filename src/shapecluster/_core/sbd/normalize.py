"""z-normalized rows and unit rows, which make a shape independent of level and scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from shapecluster._core.sbd.blocks import row_blocks
from shapecluster._typing import BoolArray, DType, Float64Array, FloatArray, IntArray

_BLOCK_BYTES = 1 << 18  # normalizing passes over a block many times, so it should stay in the cache
_FLAT_EPS = 8  # a standard deviation of so many roundings of the largest value is no movement

_SAFE_EXPONENT = 400  # squares of values up to 2^400 can be summed; scaling them would change no bit


class Standardized(NamedTuple):
    """Rows with zero mean and unit standard deviation, and the statistics that were removed.

    Attributes
    ----------
    z : ndarray of the input's shape
        float64; zero where the input was NaN, and all zero for flat rows.
    mean, std : ndarray of the input's shape without its last axis
        Over the observed values, in the input's units; NaN for rows without any.
    flat : ndarray of bool, same shape as `mean`
        Rows that never move, up to rounding in the input's own precision.
    """

    z: Float64Array
    mean: Float64Array
    std: Float64Array
    flat: BoolArray


def standardize(values: FloatArray) -> Standardized:
    """z-normalize along the last axis, over observed (not NaN) values.

    Very large and very small rows are first scaled by a power of two, which is exact. Values
    near 1e300 or 1e-300 therefore neither overflow nor lose digits.

    Parameters
    ----------
    values : ndarray of shape (..., n_timepoints)
        float32 or float64; NaN stands for a missing value. No infinities.

    Returns
    -------
    Standardized
        z-scores, means, standard deviations (ddof=0) and the flags of flat rows.
    """
    x, mean, std, exponent, flat, n_values = _centered(values)
    _over(x, std, flat, x)
    mean[n_values == 0], std[n_values == 0] = np.nan, np.nan
    return Standardized(x, np.ldexp(mean, exponent)[..., 0], np.ldexp(std, exponent)[..., 0], flat[..., 0])


class _Centered(NamedTuple):
    """Rows divided by 2^exponent, minus their mean; all arrays but `x` have a last axis of one."""

    x: Float64Array
    mean: Float64Array
    std: Float64Array
    exponent: IntArray
    flat: BoolArray
    n_values: Float64Array


def _centered(values: FloatArray) -> _Centered:
    x = np.array(values, dtype=np.float64, order="C")
    n_values = np.full((*x.shape[:-1], 1), float(x.shape[-1]))
    top, missing = _largest(x), None
    if np.isnan(top).any():
        missing = np.isnan(x)
        x[missing] = 0.0
        n_values -= missing.sum(axis=-1, keepdims=True)
        top = _largest(x)
    divisor = np.maximum(n_values, 1.0)
    exponent = np.frexp(top)[1]
    if np.abs(exponent).max(initial=0) > _SAFE_EXPONENT:
        x = np.ldexp(x, -exponent)
        top = np.ldexp(top, -exponent)
    else:
        exponent[...] = 0
    mean = np.zeros_like(n_values)
    for _ in range(2):  # the second pass removes the rounding of the first
        step = x.sum(axis=-1, keepdims=True) / divisor
        x -= step
        if missing is not None:
            x[missing] = 0.0
        mean += step
    std = np.sqrt((x * x).sum(axis=-1, keepdims=True) / divisor)
    flat = std <= _FLAT_EPS * float(np.finfo(values.dtype).eps) * top
    return _Centered(x, mean, std, exponent, flat, n_values)


def _largest(x: Float64Array) -> Float64Array:
    """Largest magnitude of each row; NaN for rows that contain one."""
    highest: Float64Array = x.max(axis=-1, keepdims=True, initial=0.0)
    np.maximum(highest, -x.min(axis=-1, keepdims=True, initial=0.0), out=highest)
    return highest


def _over(x: Float64Array, divisor: Float64Array, flat: BoolArray, out: FloatArray) -> None:
    """Divide rows by their divisors; flat rows become zero."""
    if flat.any():
        divisor = np.where(flat, 1.0, divisor)
        x[flat[..., 0]] = 0.0
    np.divide(x, divisor, out=out, casting="same_kind")


@dataclass(frozen=True)
class UnitRows:
    """Series with zero mean per channel and joint norm one.

    Attributes
    ----------
    values : ndarray of shape (n_series, n_channels, n_timepoints)
        In the dtype of the input; zero for missing values and for flat channels.
    flat : ndarray of bool, shape (n_series,)
        Series without a shape: flat in every channel.
    """

    values: FloatArray
    flat: BoolArray


def znormalize(values: FloatArray) -> FloatArray:
    """z-normalize every channel of every series, keeping the dtype; see `standardize`."""
    return _by_blocks(values, values.dtype, unit=False).values


def unit_rows(values: FloatArray, dtype: DType | None = None) -> UnitRows:
    """z-normalize every channel, then scale each series to joint norm one.

    Every row is treated by itself, so a row gives the same bits in any batch. The result has the given dtype,
    or that of `values`. Whether a row is flat depends on the precision of `values`, not on that dtype.
    """
    return _by_blocks(values, values.dtype if dtype is None else dtype, unit=True)


def _by_blocks(values: FloatArray, dtype: DType, *, unit: bool) -> UnitRows:
    n_series, n_channels, n_timepoints = values.shape
    out: FloatArray = np.empty(values.shape, dtype=dtype)
    flat = np.empty(n_series, dtype=np.bool_)
    for rows in row_blocks(n_series, 8 * n_channels * n_timepoints, _BLOCK_BYTES):
        x, _, std, _, flat_channels, n_values = _centered(values[rows])
        if unit:  # the square norm of a z-normalized channel is the number of its values
            std *= np.sqrt(np.where(flat_channels, 0.0, n_values).sum(axis=1, keepdims=True))
        _over(x, std, flat_channels, out[rows])
        flat[rows] = flat_channels.all(axis=(1, 2))
    return UnitRows(out, flat)


def scaled_weights(weights: Float64Array) -> Float64Array:
    """Weights divided by a power of two that brings the largest near 1: exact, and safe to square and sum."""
    scaled: Float64Array = np.ldexp(weights, -np.frexp(weights.max(initial=0.0))[1])
    return scaled
