"""Normalized cross-correlation of unit rows: the best shift of every pair, and the nearest center.

Transforms (for narrow windows: matrix products) in float32 screen, and never decide. Their rounding
depends on how rows are batched; so the shifts (and centers) that could win are evaluated again by one
direct float64 dot product each, whose rounding depends on the pair alone, and ties are settled on those
values. Results are therefore the same to the last bit for every block size and every number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy import fft

from shapecluster._core.sbd.blocks import BLOCK_BYTES, map_blocks, row_blocks
from shapecluster._core.sbd.shapes import Shapes, select, take
from shapecluster._typing import ComplexArray, Float64Array, FloatArray, IntArray

_MOST = 0.75
_DIRECT_BYTES = 1 << 21
_CROWDED = 6  # so many shifts near the peak cost more to evaluate directly than by a float64 transform


class Alignment(NamedTuple):
    """The best correlation of pairs of series, and the shift that reaches it."""

    ncc: Float64Array
    shifts: IntArray

    def at(self, pairs: IntArray) -> Alignment:
        """Some of the pairs."""
        return Alignment(self.ncc[pairs], self.shifts[pairs])


class Assignment(NamedTuple):
    """The nearest center of each series."""

    labels: IntArray
    shifts: IntArray
    ncc: Float64Array

    @classmethod
    def empty(cls, n_series: int) -> Assignment:
        """Label 0, shift 0 and correlation 0 for all: what flat series have."""
        return cls(np.zeros(n_series, np.intp), np.zeros(n_series, np.intp), np.zeros(n_series))

    def put(self, rows: IntArray, labels: IntArray | int, found: Alignment) -> None:
        """Assign some of the series."""
        self.labels[rows], self.shifts[rows], self.ncc[rows] = labels, found.shifts, found.ncc

    def at(self, rows: IntArray | slice) -> Assignment:
        """Some of the series."""
        return Assignment(self.labels[rows], self.shifts[rows], self.ncc[rows])


class Screened(NamedTuple):
    """What is known of all pairs of two sets once they were screened.

    Attributes
    ----------
    peak : ndarray of shape (len(x), len(y))
        Largest correlation, off by at most the screen's error.
    curves : callable
        Takes rows of x and of y, and gives their correlations at all shifts, shape (n_pairs, n_shifts).
    """

    peak: FloatArray
    curves: Callable[[IntArray, IntArray], FloatArray]


class Evaluated(NamedTuple):
    """What is known of listed pairs: the peak up to the screen's error, the rest where the pair may win.

    Attributes
    ----------
    peak : ndarray of shape (n_pairs,)
        Largest correlation.
    ncc, shifts : ndarray of shape (n_pairs,)
        Exact, where the peak came near the hurdle; else -inf and 0.
    elsewhere : ndarray of shape (n_pairs,)
        Where the pair was settled: the largest correlation at any other shift; 1 in narrow windows.
    """

    peak: FloatArray
    ncc: Float64Array
    shifts: IntArray
    elsewhere: FloatArray

    @classmethod
    def of(cls, peak: FloatArray) -> Evaluated:
        """Nothing but peaks: no pair is settled yet."""
        n_pairs = len(peak)
        nothing = np.full(n_pairs, -np.inf), np.zeros(n_pairs, dtype=np.intp)
        return cls(peak, *nothing, np.ones(n_pairs, dtype=np.float32))

    def at(self, pairs: IntArray) -> Evaluated:
        """Some of the pairs."""
        return Evaluated(self.peak[pairs], self.ncc[pairs], self.shifts[pairs], self.elsewhere[pairs])


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

    def align(rows: slice) -> None:
        block = take(x, rows)
        for columns in row_blocks(len(y), x.pair_bytes * len(block), block_bytes):
            centers = take(y, columns)
            first, second = np.nonzero(~(block.flat[:, None] | centers.flat))
            if len(first):
                curves = _tile_curves(block, centers)[first, second]
                found = settle(block, centers, first, second, curves)
                ncc[rows, columns][first, second] = found.ncc
                shifts[rows, columns][first, second] = found.shifts

    at_once = max(x.row_bytes, x.pair_bytes * min(len(y), 16))
    map_blocks(align, row_blocks(len(x), at_once, block_bytes), n_threads)
    return Alignment(ncc, shifts)


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


def rows_at_once(x: Shapes, y: Shapes) -> int:
    """Bytes per row of `x` for blocks whose curves with all of `y` are worth holding at once."""
    return max(x.row_bytes, x.pair_bytes * min(len(y), 64))


def screen(x: Shapes, y: Shapes, block_bytes: int = BLOCK_BYTES) -> Screened:
    """Screen all pairs of a block of series with some others."""
    peak = np.empty((len(x), len(y)), dtype=np.float32)
    tiles = list(row_blocks(len(y), x.pair_bytes * len(x), block_bytes))
    for columns in tiles:
        curves = _tile_curves(x, take(y, columns))
        curves.max(axis=-1, out=peak[:, columns])
    if len(tiles) == 1:
        return Screened(peak, lambda first, second: curves[first, second])
    return Screened(peak, partial(_pair_curves, x, y))


def candidate_centers(x: Shapes, centers: Shapes, peak: FloatArray) -> tuple[IntArray, IntArray]:
    """Pairs whose center may be the nearest, given the screened peaks of all pairs.

    A tie among the shifts of a pair, and one among pairs, cost a tie band each.
    """
    best = np.where(centers.flat, -np.inf, peak).max(axis=1, keepdims=True)
    near = peak >= best - 2 * (x.tie_band + x.screen_error)
    first, second = np.nonzero(near & ~(x.flat[:, None] | centers.flat))
    return first, second


def first_of_ties(rows: IntArray, columns: IntArray, ncc: Float64Array, tie_band: float) -> IntArray:
    """Positions of the winning pairs, one for each row that is listed; the lowest column wins a tie."""
    best = np.full(int(rows.max(initial=-1)) + 1, -np.inf)
    np.maximum.at(best, rows, ncc)
    tied = np.flatnonzero(ncc >= best[rows] - tie_band)
    tied = tied[np.lexsort((columns[tied], rows[tied]))]
    winners: IntArray = tied[np.diff(rows[tied], prepend=-1) > 0]
    return winners


def evaluate_pairs(
    x: Shapes,
    y: Shapes,
    first: IntArray,
    second: IntArray,
    hurdle: Float64Array,
    block_bytes: int = BLOCK_BYTES,
) -> Evaluated:
    """Transform listed pairs, none of them flat, and settle those that come near a hurdle.

    Parameters
    ----------
    x, y : Shapes
        Blocks of series and centers, with spectra.
    first, second : ndarray of shape (n_pairs,)
        Rows of `x` and of `y`.
    hurdle : ndarray of shape (n_pairs,)
        A pair whose peak is lower, by more than the screen's error, is not settled.
    block_bytes : int
        As everywhere; the exact values do not depend on it.
    """
    n_pairs = len(first)
    found = Evaluated.of(np.empty(n_pairs, dtype=np.float32))
    for part in row_blocks(n_pairs, x.pair_bytes, block_bytes):
        curves = _pair_curves(x, y, first[part], second[part])
        peak = curves.max(axis=-1, out=found.peak[part])
        near = np.flatnonzero(peak >= hurdle[part] - x.screen_error)
        if not len(near):
            continue
        if len(near) < len(peak):
            curves = curves[near]
        _settle_some(found, part.start + near, x, y, first, second, curves)
    return found


def evaluate(
    x: Shapes,
    y: Shapes,
    first: IntArray,
    second: IntArray,
    hurdle: Float64Array,
    block_bytes: int = BLOCK_BYTES,
) -> Evaluated:
    """As `evaluate_pairs`, by screening all pairs where most of them are listed, or the window is narrow."""
    if not x.narrow and len(first) <= _MOST * len(x) * len(y):
        return evaluate_pairs(x, y, first, second, hurdle, block_bytes)
    screened = screen(x, y, block_bytes)
    found = Evaluated.of(screened.peak[first, second])
    near = np.flatnonzero(found.peak >= hurdle - x.screen_error)
    for part in row_blocks(len(near), x.pair_bytes, block_bytes):
        mine = near[part]
        _settle_some(found, mine, x, y, first, second, screened.curves(first[mine], second[mine]))
    return found


def _settle_some(
    found: Evaluated,
    mine: IntArray,
    x: Shapes,
    y: Shapes,
    first: IntArray,
    second: IntArray,
    curves: FloatArray,
) -> None:
    """Enter what the given curves of some of the pairs tell."""
    found.ncc[mine], found.shifts[mine] = settle(x, y, first[mine], second[mine], curves)
    if not x.narrow:
        found.elsewhere[mine] = runner_up_peak(x, curves, found.shifts[mine])


def runner_up_peak(x: Shapes, curves: FloatArray, shifts: IntArray) -> FloatArray:
    """Largest correlation of each curve at any other shift than the given one, which it is made to forget."""
    curves[np.arange(len(curves)), shifts % x.length] = -np.inf
    return np.asarray(curves.max(axis=-1))


def peaks_between(x: Shapes) -> FloatArray:
    """Largest correlation of each series with each other of the same set, off by the screen's error."""
    peak = np.ones((len(x), len(x)), dtype=np.float32)
    first, second = np.triu_indices(len(x), 1)
    for part in row_blocks(len(first), x.pair_bytes):
        peak[first[part], second[part]] = _pair_curves(x, x, first[part], second[part]).max(axis=-1)
    peak[second, first] = peak[first, second]
    return peak


def direct_ncc(x: Shapes, y: Shapes, first: IntArray, second: IntArray, shifts: IntArray) -> Float64Array:
    """Correlate listed pairs at listed shifts, each by one float64 dot product.

    The sum runs over the whole row in a fixed order, so a pair has the same bits in any batch.
    """
    out = np.empty(len(first))
    few = len(y) * x.row_bytes <= BLOCK_BYTES
    for pairs in row_blocks(len(first), 24 * x.n_channels * x.n_timepoints, _DIRECT_BYTES):
        others, position = y, second[pairs]
        if not few:
            used, position = np.unique(position, return_inverse=True)
            others = select(y, used)
        product = others.moved[position, :, x.window - shifts[pairs], :]
        product *= x.unit[first[pairs]]
        out[pairs] = product.reshape(len(product), -1).sum(axis=-1)
    return np.clip(out, *x.ncc_range)


def settle(x: Shapes, y: Shapes, first: IntArray, second: IntArray, curves: FloatArray) -> Alignment:
    """Exact correlation and shift of listed pairs, given their screened correlations at all shifts.

    Shifts that come within a tie and two errors of the peak are evaluated directly; among those that tie,
    the smallest |s| wins, then the positive one.
    """
    if not len(first):
        return Alignment(np.empty(0), np.empty(0, dtype=np.intp))
    margin = 2 * x.screen_error + x.tie_band
    near = np.flatnonzero(curves >= (curves.max(axis=-1) - np.float32(margin))[:, None])
    pair, position = np.divmod(near, curves.shape[-1])
    if len(pair) > len(first) and x.dtype == np.float64 and not x.narrow:
        pair, position = _thinned(x, y, first, second, pair, position)
    shifts = x.shifts[position]
    values = direct_ncc(x, y, first[pair], second[pair], shifts)
    if len(pair) == len(first):  # no two shifts come near each other
        return Alignment(values, shifts)
    starts = np.flatnonzero(np.diff(pair, prepend=-1))
    best = np.maximum.reduceat(values, starts)
    rank = 2 * np.abs(shifts) + (shifts < 0)
    rank[values < best[pair] - x.tie_band] = 4 * x.length  # out of the tie
    winner = np.flatnonzero(rank == np.minimum.reduceat(rank, starts)[pair])
    return Alignment(values[winner], shifts[winner])


def _thinned(
    x: Shapes, y: Shapes, first: IntArray, second: IntArray, pair: IntArray, position: IntArray
) -> tuple[IntArray, IntArray]:
    """Candidates for the best shift, fewer of them: crowded peaks are transformed again in float64."""
    n_near = np.bincount(pair, minlength=len(first))
    crowded = np.flatnonzero(n_near > _CROWDED)
    if not len(crowded):
        return pair, position
    plain = n_near[pair] <= _CROWDED
    pairs, positions = [pair[plain]], [position[plain]]
    for part in row_blocks(len(crowded), 4 * x.pair_bytes):
        mine = crowded[part]
        ours, theirs = (
            fft.rfft(side.unit[rows].astype(np.float64, copy=False), n=x.length, axis=-1)
            for side, rows in ((x, first[mine]), (y, second[mine]))
        )
        curves = _inverse(ours * np.conj(theirs), x)
        near = np.nonzero(curves >= curves.max(axis=-1, keepdims=True) - 3 * x.tie_band)
        pairs.append(mine[near[0]])
        positions.append(near[1])
    joined, positioned = np.concatenate(pairs), np.concatenate(positions)
    order = np.argsort(joined, kind="stable")
    return joined[order], positioned[order]


def _tile_curves(x: Shapes, y: Shapes) -> FloatArray:
    """Correlations of all pairs of two blocks, shape (len(x), len(y), n_shifts)."""
    if x.narrow:
        moved = _moved_copies(y)  # (len(y), n_shifts, n_channels * n_timepoints)
        rows = x.unit.astype(np.float32, copy=False).reshape(len(x), -1)
        curves: FloatArray = rows @ moved.reshape(-1, rows.shape[1]).T
        return curves.reshape(len(x), len(y), -1)
    return _inverse(x.spectrum[:, None] * np.conj(y.spectrum), x)


def _pair_curves(x: Shapes, y: Shapes, first: IntArray, second: IntArray) -> FloatArray:
    """Correlations of listed pairs, shape (n_pairs, n_shifts)."""
    if not len(first):
        return np.empty((0, len(x.shifts)), dtype=np.float32)
    if x.narrow:
        used, position = np.unique(second, return_inverse=True)
        moved = _moved_copies(take(y, used))
        rows = x.unit[first].astype(np.float32, copy=False).reshape(len(first), -1)
        curves: FloatArray = np.einsum("psm,pm->ps", moved[position], rows)
        return curves
    if len(y) <= len(first):
        product = np.conj(y.spectrum)[second]
    else:
        product = y.spectrum[second]
        np.conj(product, out=product)
    product *= x.spectrum[first]
    return _inverse(product, x)


def _moved_copies(y: Shapes) -> FloatArray:
    """Every row shifted by every shift of the window, shape (len(y), n_shifts, n_channels * n_timepoints)."""
    moved = y.moved[:, :, ::-1].swapaxes(1, 2)
    return moved.astype(np.float32).reshape(len(y), len(y.shifts), y.n_channels * y.n_timepoints)


def _inverse(product: ComplexArray, x: Shapes) -> FloatArray:
    """Correlations from products of spectra: shift s stands at index s, shift -s at length - s."""
    summed = product[..., 0, :] if product.shape[-2] == 1 else product.sum(axis=-2)
    correlation: FloatArray = fft.irfft(summed, n=x.length, axis=-1, overwrite_x=True)
    if x.window + 1 < x.length - x.window:
        correlation[..., x.window + 1 : x.length - x.window] = -np.inf  # no shift of the window
    return correlation
