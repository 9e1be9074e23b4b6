"""Normalised cross-correlation of unit rows: the best shift of every pair, and the nearest centre.

Fast Fourier transforms screen, and never decide. Their rounding depends on how rows are batched; so the
shifts (and centres) that could win are evaluated again by one direct float64 dot product each, whose
rounding depends on the pair alone, and ties are settled on those values. Results are therefore the same
to the last bit for every block size and every number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft

from shapecluster._core.blocks import BLOCK_BYTES, map_blocks, row_blocks
from shapecluster._core.normalise import unit_rows
from shapecluster._typing import BoolArray, ComplexArray, DType, Float64Array, FloatArray, IntArray

_DIRECT_BYTES = 1 << 22


@dataclass(frozen=True)
class Shapes:
    """Unit rows with their spectra, ready to be correlated.

    Attributes
    ----------
    unit : ndarray of shape (n_series, n_channels, n_timepoints)
        Zero mean per channel, joint norm one.
    flat : ndarray of bool, shape (n_series,)
        Series without a shape.
    window : int
        Largest shift considered, at most n_timepoints - 1.
    spectra : complex ndarray of shape (n_series, n_channels, n_frequencies)
        Real FFT of the zero-padded rows.
    """

    unit: FloatArray
    flat: BoolArray
    window: int
    spectra: ComplexArray

    def __len__(self) -> int:
        return len(self.unit)

    @property
    def length(self) -> int:
        """Length of the transforms: nothing wraps around within the window."""
        return _transform_length(self.unit.shape[-1], self.window)

    @property
    def row_bytes(self) -> int:
        """Memory for the transforms of one series, all channels, in both domains."""
        n_channels: int = self.unit.shape[1]
        return 8 * self.length * (n_channels + 1)

    @property
    def tie_band(self) -> float:
        """Correlations that differ by less are equal: 16 eps log2(length)."""
        return 16 * float(np.finfo(self.unit.dtype).eps) * float(np.log2(max(2, self.length)))

    @property
    def ncc_range(self) -> tuple[float, float]:
        """Range of the best correlation: over all shifts the correlations of zero-mean rows sum to 0."""
        return (0.0, 1.0) if self.window == self.unit.shape[-1] - 1 else (-1.0, 1.0)


class Alignment(NamedTuple):
    """The best correlation of pairs of series, and the shift that reaches it."""

    ncc: Float64Array
    shifts: IntArray


class Assignment(NamedTuple):
    """The nearest centre of each series."""

    labels: IntArray
    shifts: IntArray
    ncc: Float64Array


def shapes_of(values: FloatArray, max_shift: int | None, dtype: DType | None = None) -> Shapes:
    """Normalise series and transform them, once for all their comparisons.

    Parameters
    ----------
    values : ndarray of shape (n_series, n_channels, n_timepoints)
        float32 or float64; NaN where missing.
    max_shift : int or None
        Largest shift in timepoints; None for all.
    dtype : dtype, default=None
        What to compute in; None for that of `values`. Series that are compared must have the same.
    """
    n_timepoints = values.shape[-1]
    window = n_timepoints - 1 if max_shift is None else min(max_shift, n_timepoints - 1)
    rows = unit_rows(values, dtype)
    return with_spectra(Shapes(rows.values, rows.flat, window, np.empty((0, 0, 0), dtype=np.complex128)))


def with_spectra(shapes: Shapes) -> Shapes:
    """The same series with their spectra computed."""
    return replace(shapes, spectra=fft.rfft(shapes.unit, n=shapes.length, axis=-1))


def take(shapes: Shapes, rows: IntArray | BoolArray | slice) -> Shapes:
    """Some of the series, with the spectra they already have."""
    return Shapes(shapes.unit[rows], shapes.flat[rows], shapes.window, shapes.spectra[rows])


def align_all(x: Shapes, y: Shapes, *, n_threads: int = 1, block_bytes: int = BLOCK_BYTES) -> Alignment:
    """Align every series of `x` with every series of `y`.

    Returns
    -------
    Alignment
        Arrays of shape (len(x), len(y)). A shift s > 0 means that the series of `x` trails that of `y`
        by s timepoints. Pairs with a flat series have correlation 0 and shift 0.

    Notes
    -----
    O(len(x) len(y) L log L) with L about twice the number of timepoints.
    """
    ncc = np.zeros((len(x), len(y)))
    shifts = np.zeros((len(x), len(y)), dtype=np.intp)

    tiles = [
        (rows, columns)
        for rows in row_blocks(len(x), x.row_bytes * min(len(y), 16), block_bytes)
        for columns in row_blocks(len(y), x.row_bytes * (rows.stop - rows.start), block_bytes)
    ]

    def align(tile: slice) -> None:
        rows, columns = tiles[tile.start]
        block, centres = take(x, rows), take(y, columns)
        correlation = _correlate_block(block, centres)
        first, second = np.nonzero(~(block.flat[:, None] | centres.flat))
        pairs = correlation.reshape(-1, x.length)[first * len(centres) + second]
        exact = _settle(block, centres, first, second, pairs, pairs.max(axis=-1))
        ncc[rows, columns][first, second] = exact.ncc
        shifts[rows, columns][first, second] = exact.shifts

    map_blocks(align, row_blocks(len(tiles), 1, 1), n_threads)
    return Alignment(ncc, shifts)


def align_nearest(
    x: Shapes,
    centres: Shapes,
    *,
    n_threads: int = 1,
    block_bytes: int = BLOCK_BYTES,
    peak_out: FloatArray | None = None,
) -> Assignment:
    """Find the centre that each series correlates with most; ties go to the lowest index.

    Flat series get label 0, shift 0 and correlation 0. `peak_out`, of shape (len(x), len(centres)), takes
    the largest correlation of every pair, off by at most a tie band.
    """
    peak = np.empty((len(x), len(centres)), dtype=x.unit.dtype) if peak_out is None else peak_out
    blocks = row_blocks(len(x), x.row_bytes * len(centres), block_bytes)
    parts = map_blocks(partial(_nearest_of_block, x, centres, block_bytes, peak), blocks, n_threads)
    return Assignment(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


class Evaluated(NamedTuple):
    """What is known of listed pairs: the peak up to rounding, and the rest only where the pair may win.

    Attributes
    ----------
    peak : ndarray of shape (n_pairs,)
        Largest correlation, off by at most a tie band.
    ncc, shifts : ndarray of shape (n_pairs,)
        Exact, where the peak came near the hurdle; else -inf and 0.
    """

    peak: Float64Array
    ncc: Float64Array
    shifts: IntArray


def evaluate_pairs(
    x: Shapes,
    y: Shapes,
    first: IntArray,
    second: IntArray,
    hurdle: Float64Array,
    *,
    n_threads: int = 1,
    block_bytes: int = BLOCK_BYTES,
) -> Evaluated:
    """Correlate listed pairs, none of them flat, and settle those that come near a hurdle.

    Parameters
    ----------
    x, y : Shapes
        Series and centres.
    first, second : ndarray of shape (n_pairs,)
        Rows of `x` and of `y`.
    hurdle : ndarray of shape (n_pairs,)
        A pair with a lower peak is not settled.
    n_threads, block_bytes : int
        As everywhere; the exact values do not depend on them.
    """
    found = Evaluated(np.empty(len(first)), np.full(len(first), -np.inf), np.zeros(len(first), dtype=np.intp))
    by_centre = np.argsort(second, kind="stable")
    starts = np.searchsorted(second[by_centre], np.arange(len(y) + 1))
    conjugate = np.conj(y.spectra)
    jobs = [
        (j, by_centre[starts[j] : starts[j + 1]][part])
        for j in range(len(y))
        for part in row_blocks(int(starts[j + 1] - starts[j]), 2 * x.row_bytes, block_bytes)
    ]

    def evaluate(job: slice) -> None:
        j, pairs = jobs[job.start]
        product = x.spectra[first[pairs]]
        product *= conjugate[j]
        correlation = _inverse(product, x)
        peak = correlation.max(axis=-1)
        found.peak[pairs] = peak
        near = np.flatnonzero(peak >= hurdle[pairs])
        if len(near):
            mine = pairs[near]
            if len(near) < len(pairs):
                correlation, peak = correlation[near], peak[near]
            exact = _settle(x, y, first[mine], second[mine], correlation, peak)
            found.ncc[mine], found.shifts[mine] = exact

    map_blocks(evaluate, row_blocks(len(jobs), 1, 1), n_threads)
    return found


def align_pairwise(x: Shapes, *, n_threads: int = 1) -> Alignment:
    """Align every series with every other of the same set; each pair once, earlier with later.

    Returns
    -------
    Alignment
        Arrays of shape (len(x), len(x)): symmetric correlations with ones on the diagonal, and
        antisymmetric shifts, so ties between a shift and its opposite are settled for the earlier row.
    """
    ncc = np.zeros((len(x), len(x)))
    shifts = np.zeros((len(x), len(x)), dtype=np.intp)

    def fill(rows: slice) -> None:
        later = slice(rows.start, len(x))
        ncc[rows, later], shifts[rows, later] = align_all(take(x, rows), take(x, later))

    map_blocks(fill, row_blocks(len(x), 1, 16), n_threads)
    ncc, shifts = np.triu(ncc, 1), np.triu(shifts, 1)
    return Alignment(ncc + ncc.T + np.eye(len(x)), shifts - shifts.T)


def direct_ncc(x: Shapes, y: Shapes, first: IntArray, second: IntArray, shifts: IntArray) -> Float64Array:
    """Correlate listed pairs at listed shifts, each by one float64 dot product.

    The sum runs over the whole row in a fixed order, so a pair has the same bits in any batch.
    """
    out = np.empty(len(first))
    if not len(first):
        return out
    _, n_channels, n_timepoints = x.unit.shape
    reach = int(np.abs(shifts).max())
    used, position = np.unique(second, return_inverse=True)
    padded = np.zeros((len(used), n_channels, n_timepoints + 2 * reach))
    padded[..., reach : reach + n_timepoints] = y.unit[used]
    moved = sliding_window_view(padded, n_timepoints, axis=-1)  # moved[j, :, reach - s, u] = y[j, :, u - s]
    for pairs in row_blocks(len(first), 24 * n_channels * n_timepoints, _DIRECT_BYTES):
        product = moved[position[pairs], :, reach - shifts[pairs], :]
        product *= x.unit[first[pairs]]
        out[pairs] = product.reshape(len(product), -1).sum(axis=-1)
    return np.clip(out, *x.ncc_range)


def _transform_length(n_timepoints: int, window: int) -> int:
    return int(fft.next_fast_len(n_timepoints + window, real=True))


def _correlate_block(x: Shapes, y: Shapes) -> FloatArray:
    """Cross-correlations of all pairs of two blocks, shape (len(x), len(y), length)."""
    return _inverse(x.spectra[:, None] * np.conj(y.spectra), x)


def _correlate_pairs(x: Shapes, y: Shapes, first: IntArray, second: IntArray) -> FloatArray:
    """Cross-correlations of listed pairs, shape (n_pairs, length)."""
    return _inverse(x.spectra[first] * np.conj(y.spectra[second]), x)


def _inverse(product: ComplexArray, x: Shapes) -> FloatArray:
    """Correlations from products of spectra: shift s stands at index s, shift -s at length - s."""
    summed = product[..., 0, :] if product.shape[-2] == 1 else product.sum(axis=-2)
    correlation: FloatArray = fft.irfft(summed, n=x.length, axis=-1, overwrite_x=True)
    if x.window + 1 < x.length - x.window:
        correlation[..., x.window + 1 : x.length - x.window] = -np.inf  # no shift of the window
    return correlation


def _settle(
    x: Shapes, y: Shapes, first: IntArray, second: IntArray, correlation: FloatArray, peak: FloatArray
) -> Alignment:
    """Exact correlation and shift of listed pairs, given what the transforms say of them.

    Shifts that come within a tie and two roundings of the peak are evaluated directly; among those that
    tie, the smallest |s| wins, then the positive one.
    """
    pair, position = np.nonzero(correlation >= (peak - 3 * x.tie_band)[:, None])
    shifts = np.where(position <= x.window, position, position - x.length)
    values = direct_ncc(x, y, first[pair], second[pair], shifts)
    if len(pair) == len(first):  # no two shifts come near each other
        return Alignment(values, shifts)
    starts = np.flatnonzero(np.diff(pair, prepend=-1))
    best = np.maximum.reduceat(values, starts)
    rank = 2 * np.abs(shifts) + (shifts < 0)
    rank[values < best[pair] - x.tie_band] = 4 * x.length  # out of the tie
    winner = np.flatnonzero(rank == np.minimum.reduceat(rank, starts)[pair])
    return Alignment(values[winner], shifts[winner])


def _nearest_of_block(
    x: Shapes, centres: Shapes, block_bytes: int, peak_out: FloatArray, rows: slice
) -> Assignment:
    block = take(x, rows)
    labels = np.zeros(len(block), dtype=np.intp)
    shifts = np.zeros(len(block), dtype=np.intp)
    ncc = np.zeros(len(block))
    peak = peak_out[rows]
    for columns in row_blocks(len(centres), x.row_bytes * len(block), block_bytes):
        correlation = _correlate_block(block, take(centres, columns))
        correlation.max(axis=-1, out=peak[:, columns])
    # A centre can win only if its peak is within two bands and two roundings of the row's best.
    best = np.where(centres.flat, -np.inf, peak).max(axis=1, keepdims=True)
    first, second = np.nonzero((peak >= best - 4 * x.tie_band) & ~(block.flat[:, None] | centres.flat))
    if not len(first):
        return Assignment(labels, shifts, ncc)
    if correlation.shape[1] == len(centres):  # one tile holds them all
        near = correlation[first, second]
    else:
        near = _correlate_pairs(block, centres, first, second)
    exact = _settle(block, centres, first, second, near, near.max(axis=-1))
    starts = np.flatnonzero(np.diff(first, prepend=-1))
    best_of_row = np.repeat(np.maximum.reduceat(exact.ncc, starts), np.diff(starts, append=len(first)))
    tied = np.flatnonzero(exact.ncc >= best_of_row - x.tie_band)
    winner = tied[np.diff(first[tied], prepend=-1) > 0]  # pairs are ordered by row, then centre
    labels[first[winner]] = second[winner]
    shifts[first[winner]] = exact.shifts[winner]
    ncc[first[winner]] = exact.ncc[winner]
    return Assignment(labels, shifts, ncc)
