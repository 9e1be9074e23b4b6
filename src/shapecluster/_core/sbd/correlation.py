"""Normalized cross-correlation of unit rows: the best shift of every pair, and the nearest center.

Float32 transforms (for narrow windows: matrix products) screen pairs and never decide. Their rounding
depends on how rows are batched. The shifts and centers that could win are therefore evaluated again, each by
one direct float64 dot product, whose rounding depends on the pair alone. Ties are decided on those values.
So results are the same to the last bit for every block size and every number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy import fft

from shapecluster._core.sbd.blocks import BLOCK_BYTES, map_blocks, row_blocks
from shapecluster._core.sbd.shapes import Shapes, materialize
from shapecluster._typing import ComplexArray, Float64Array, FloatArray, IntArray

_MAX_LISTED_SHARE = 0.75  # of all pairs within a narrow window; when more are listed, all cost less
_DIRECT_BYTES = 1 << 21  # of products at a time: they should stay in the cache until they are summed
_CROWDED = 6  # so many shifts near the peak cost more to evaluate directly than by a float64 transform


class Alignment(NamedTuple):
    """The best correlation of pairs of series, and the shift that reaches it."""

    ncc: Float64Array
    shifts: IntArray


class Assignment(NamedTuple):
    """The nearest center of each series."""

    labels: IntArray
    shifts: IntArray
    ncc: Float64Array

    @classmethod
    def empty(cls, n_series: int) -> Assignment:
        """Label 0, shift 0 and correlation 0 for all: the values of flat series."""
        return cls(np.zeros(n_series, np.intp), np.zeros(n_series, np.intp), np.zeros(n_series))


class Screened(NamedTuple):
    """Result of screening all pairs of two sets.

    Attributes
    ----------
    peak : ndarray of shape (len(x), len(y))
        Largest correlation, off by at most the screening error.
    curves : callable
        Takes rows of x and of y, and returns their correlations at all shifts, shape (n_pairs, n_shifts).
    """

    peak: FloatArray
    curves: Callable[[IntArray, IntArray], FloatArray]


class Evaluated(NamedTuple):
    """Result of evaluating listed pairs: peaks of all, exact values of those that may win.

    Attributes
    ----------
    peak : ndarray of shape (n_pairs,)
        Largest correlation, off by at most the screening error.
    ncc, shifts : ndarray of shape (n_pairs,)
        Exact if the peak reached the threshold; else -inf and 0.
    runner_up : ndarray of shape (n_pairs,)
        For resolved pairs the largest correlation at any other shift; 1 in narrow windows.
    """

    peak: FloatArray
    ncc: Float64Array
    shifts: IntArray
    runner_up: FloatArray


def align_all(x: Shapes, y: Shapes, *, n_threads: int = 1) -> Alignment:
    """Align every series of `x` with every series of `y`.

    Returns
    -------
    Alignment
        Arrays of shape (len(x), len(y)). A shift s > 0 means that the series of `x` trails that of `y`
        by s timepoints. Pairs with a flat series have correlation 0 and shift 0.

    Notes
    -----
    The cost is O(len(x) len(y) L log L), with L about twice the number of timepoints.
    """
    ncc = np.zeros((len(x), len(y)))
    shifts = np.zeros((len(x), len(y)), dtype=np.intp)

    def align(rows: slice) -> None:
        block = materialize(x, rows)
        for columns in row_blocks(len(y), x.pair_bytes * len(block)):
            centers = materialize(y, columns)
            first, second = np.nonzero(~(block.flat[:, None] | centers.flat))
            if len(first):
                curves = _tile_curves(block, centers)[first, second]
                found = resolve_best_shift(block, centers, first, second, curves)
                ncc[rows, columns][first, second] = found.ncc
                shifts[rows, columns][first, second] = found.shifts

    row_bytes = max(x.row_bytes, x.pair_bytes * min(len(y), 16))
    map_blocks(align, row_blocks(len(x), row_bytes), n_threads)
    return Alignment(ncc, shifts)


def align_pairwise(x: Shapes, *, n_threads: int = 1) -> Alignment:
    """Align every series with every other of the same set, each pair once.

    Returns
    -------
    Alignment
        Arrays of shape (len(x), len(x)): symmetric correlations with ones on the diagonal, and
        antisymmetric shifts. A tie between a shift and its opposite is decided for the earlier row.
    """
    ncc = np.zeros((len(x), len(x)))
    shifts = np.zeros((len(x), len(x)), dtype=np.intp)

    def fill(rows: slice) -> None:
        later = slice(rows.start, len(x))
        ncc[rows, later], shifts[rows, later] = align_all(materialize(x, rows), materialize(x, later))

    map_blocks(fill, row_blocks(len(x), 1, 16), n_threads)
    ncc, shifts = np.triu(ncc, 1), np.triu(shifts, 1)
    return Alignment(ncc + ncc.T + np.eye(len(x)), shifts - shifts.T)


def screening_row_bytes(x: Shapes, y: Shapes) -> int:
    """Bytes per row of `x` for blocks whose curves with all of `y` are worth holding at once."""
    return max(x.row_bytes, x.pair_bytes * min(len(y), 64))


def screen(x: Shapes, y: Shapes) -> Screened:
    """Screen all pairs of a block of series with some others."""
    peak = np.empty((len(x), len(y)), dtype=np.float32)
    tiles = list(row_blocks(len(y), x.pair_bytes * len(x)))
    for columns in tiles:
        curves = _tile_curves(x, materialize(y, columns))
        curves.max(axis=-1, out=peak[:, columns])
    if len(tiles) == 1:
        return Screened(peak, lambda first, second: curves[first, second])
    # The curves of several tiles would not fit; those of the few pairs that matter are transformed again.
    return Screened(peak, partial(_pair_curves, x, y))


def candidate_centers(x: Shapes, centers: Shapes, peak: FloatArray) -> tuple[IntArray, IntArray]:
    """Pairs whose center may be the nearest, given the screened peaks of all pairs."""
    best = np.where(centers.flat, -np.inf, peak).max(axis=1, keepdims=True)
    # A tie among the shifts of a pair and a tie among pairs cost a tie band each.
    near = peak >= best - 2 * (x.tie_band + x.screen_error)
    first, second = np.nonzero(near & ~(x.flat[:, None] | centers.flat))
    return first, second


def first_of_ties(rows: IntArray, columns: IntArray, ncc: Float64Array, tie_band: float) -> IntArray:
    """Positions of the winning pairs, one for each row that is listed; the lowest column wins a tie."""
    best = np.full(int(rows.max(initial=-1)) + 1, -np.inf)
    np.maximum.at(best, rows, ncc)
    tied = np.flatnonzero(ncc >= best[rows] - tie_band)
    tied = tied[np.lexsort((columns[tied], rows[tied]))]
    return tied[np.diff(rows[tied], prepend=-1) > 0]


def evaluate_pairs(
    x: Shapes, y: Shapes, first: IntArray, second: IntArray, threshold: Float64Array
) -> Evaluated:
    """Transform listed pairs, none of them flat, and resolve those that reach a threshold.

    Parameters
    ----------
    x, y : Shapes
        Blocks of series and centers, with spectra.
    first, second : ndarray of shape (n_pairs,)
        Rows of `x` and of `y`.
    threshold : ndarray of shape (n_pairs,)
        A pair whose peak is lower, by more than the screening error, is not resolved.
    """
    n_pairs = len(first)
    found = Evaluated(
        np.empty(n_pairs, dtype=np.float32),
        np.full(n_pairs, -np.inf),
        np.zeros(n_pairs, dtype=np.intp),
        np.ones(n_pairs, dtype=np.float32),
    )
    for part in row_blocks(n_pairs, x.pair_bytes):
        curves = _pair_curves(x, y, first[part], second[part])
        peak = curves.max(axis=-1, out=found.peak[part])
        near = np.flatnonzero(peak >= threshold[part] - x.screen_error)
        if not len(near):
            continue
        if len(near) < len(peak):
            curves = curves[near]
        near += part.start
        found.ncc[near], found.shifts[near] = resolve_best_shift(x, y, first[near], second[near], curves)
        if not x.narrow:
            found.runner_up[near] = runner_up_peak(x, curves, found.shifts[near])
    return found


def runner_up_peak(x: Shapes, curves: FloatArray, shifts: IntArray) -> FloatArray:
    """Largest correlation of each curve at any other shift than the given one.

    The curves are overwritten at the given shifts.
    """
    curves[np.arange(len(curves)), shifts % x.length] = -np.inf
    return np.asarray(curves.max(axis=-1))


def peaks_between(x: Shapes) -> FloatArray:
    """Largest correlation of each series with each other of the same set, off by the screening error."""
    peak = np.ones((len(x), len(x)), dtype=np.float32)
    first, second = np.triu_indices(len(x), 1)
    for part in row_blocks(len(first), x.pair_bytes):
        peak[first[part], second[part]] = _pair_curves(x, x, first[part], second[part]).max(axis=-1)
    peak[second, first] = peak[first, second]
    return peak


def direct_ncc(x: Shapes, y: Shapes, first: IntArray, second: IntArray, shifts: IntArray) -> Float64Array:
    """Correlate listed pairs at listed shifts, each by one float64 dot product."""
    out = np.empty(len(first))
    few = len(y) * x.row_bytes <= BLOCK_BYTES
    for pairs in row_blocks(len(first), 24 * x.n_channels * x.n_timepoints, _DIRECT_BYTES):
        others, position = y, second[pairs]
        if not few:
            used, position = np.unique(position, return_inverse=True)
            others = y[used]
        product = others.shifted_copies[position, :, x.window - shifts[pairs], :]
        product *= x.unit[first[pairs]]
        # The sum runs over the whole row in a fixed order, so a pair has the same bits in any batch.
        out[pairs] = product.reshape(len(product), -1).sum(axis=-1)
    return np.clip(out, *x.ncc_range)


def resolve_best_shift(
    x: Shapes, y: Shapes, first: IntArray, second: IntArray, curves: FloatArray
) -> Alignment:
    """Exact correlation and shift of listed pairs, given their screened correlations at all shifts.

    Shifts within a tie band and two screening errors of the peak are evaluated directly. Among those that
    tie, the smallest |s| wins, then the positive one.
    """
    if not len(first):
        return Alignment(np.empty(0), np.empty(0, dtype=np.intp))
    margin = 2 * x.screen_error + x.tie_band
    near = np.flatnonzero(curves >= (curves.max(axis=-1) - np.float32(margin))[:, None])
    pair, position = np.divmod(near, curves.shape[-1])
    if len(pair) > len(first) and x.dtype == np.float64 and not x.narrow:
        n_near = np.bincount(pair, minlength=len(first))
        crowded = np.flatnonzero(n_near > _CROWDED)
        if len(crowded):
            plain = n_near[pair] <= _CROWDED
            pairs, positions = [pair[plain]], [position[plain]]
            # float32 does not separate the shifts of a broad peak; a float64 transform does.
            for part in row_blocks(len(crowded), 4 * x.pair_bytes):
                some = crowded[part]
                product = _spectrum64(x, first[some]) * np.conj(_spectrum64(y, second[some]))
                curves = fft.irfft(_over_channels(product), n=x.length, axis=-1, overwrite_x=True)
                curves = _within_window(curves, x)
                near_peak = np.nonzero(curves >= curves.max(axis=-1, keepdims=True) - 3 * x.tie_band)
                pairs.append(some[near_peak[0]])
                positions.append(near_peak[1])
            pair = np.concatenate(pairs)
            order = np.argsort(pair, kind="stable")
            pair, position = pair[order], np.concatenate(positions)[order]
    shifts = x.shifts[position]
    values = direct_ncc(x, y, first[pair], second[pair], shifts)
    if len(pair) == len(first):  # one candidate for each pair, so there are no ties
        return Alignment(values, shifts)
    starts = np.flatnonzero(np.diff(pair, prepend=-1))
    best = np.maximum.reduceat(values, starts)
    rank = 2 * np.abs(shifts) + (shifts < 0)
    rank[values < best[pair] - x.tie_band] = 4 * x.length  # above every rank within the tie
    winner = np.flatnonzero(rank == np.minimum.reduceat(rank, starts)[pair])
    return Alignment(values[winner], shifts[winner])


def _tile_curves(x: Shapes, y: Shapes) -> FloatArray:
    """Correlations of all pairs of two blocks, shape (len(x), len(y), n_shifts)."""
    if x.narrow:
        copies = _single_copies(y)
        rows = x.unit.astype(np.float32, copy=False).reshape(len(x), -1)
        curves: FloatArray = rows @ copies.reshape(-1, rows.shape[1]).T
        return curves.reshape(len(x), len(y), -1)
    product = _over_channels(x.spectrum[:, None] * np.conj(y.spectrum))
    return _within_window(fft.irfft(product, n=x.length, axis=-1, overwrite_x=True), x)


def _pair_curves(x: Shapes, y: Shapes, first: IntArray, second: IntArray) -> FloatArray:
    """Correlations of listed pairs, shape (n_pairs, n_shifts)."""
    if not len(first):
        return np.empty((0, len(x.shifts)), dtype=np.float32)
    if x.narrow:
        if len(first) > _MAX_LISTED_SHARE * len(x) * len(y):
            return _tile_curves(x, y)[first, second]
        used, position = np.unique(second, return_inverse=True)
        copies = _single_copies(materialize(y, used))
        rows = x.unit[first].astype(np.float32, copy=False).reshape(len(first), -1)
        curves: FloatArray = np.einsum("psm,pm->ps", copies[position], rows)
        return curves
    if len(y) <= len(first):  # conjugate whichever array is smaller
        product = np.conj(y.spectrum)[second]
    else:
        product = y.spectrum[second]
        np.conj(product, out=product)
    product *= x.spectrum[first]
    return _within_window(fft.irfft(_over_channels(product), n=x.length, axis=-1, overwrite_x=True), x)


def _single_copies(y: Shapes) -> FloatArray:
    """Every row at every shift in float32, shape (len(y), n_shifts, n_channels * n_timepoints)."""
    copies = y.shifted_copies[:, :, ::-1].swapaxes(1, 2)
    return copies.astype(np.float32).reshape(len(y), len(y.shifts), y.n_channels * y.n_timepoints)


def _spectrum64(x: Shapes, rows: IntArray) -> ComplexArray:
    """Spectra of some rows in float64; those that are kept are float32."""
    unit = x.unit[rows].astype(np.float64, copy=False)
    return fft.rfft(unit, n=x.length, axis=-1)


def _over_channels(product: ComplexArray) -> ComplexArray:
    """Sum of products of spectra over the channels."""
    return product[..., 0, :] if product.shape[-2] == 1 else product.sum(axis=-2)


def _within_window(curves: FloatArray, x: Shapes) -> FloatArray:
    """Set correlations at shifts outside the window to -inf.

    Shift s stands at index s of a curve, and shift -s at index length - s.
    """
    if x.window + 1 < x.length - x.window:
        curves[..., x.window + 1 : x.length - x.window] = -np.inf
    return curves
