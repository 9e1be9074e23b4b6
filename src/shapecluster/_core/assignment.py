"""Nearest centres, step after step: what one step learned spares the next most of its transforms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shapecluster._core.blocks import BLOCK_BYTES
from shapecluster._core.bounds import beyond_own_centre, ceiling_of, drifted, floor_of
from shapecluster._core.correlation import Assignment, Shapes, align_nearest, evaluate_pairs
from shapecluster._typing import BoolArray, Float64Array, FloatArray, IntArray


@dataclass(frozen=True)
class Assigned:
    """An assignment to centres, and what it proves about all other pairs.

    Attributes
    ----------
    centres : Shapes
        What the series were assigned to.
    nearest : Assignment
        Nearest centre of each series, exact.
    floor : ndarray of shape (n_series, n_clusters)
        No angle between a series and a centre is smaller.
    n_correlations : int
        Pairs that were transformed to find out.
    """

    centres: Shapes
    nearest: Assignment
    floor: FloatArray
    n_correlations: int


def assign_first(
    x: Shapes, centres: Shapes, *, n_threads: int = 1, block_bytes: int = BLOCK_BYTES
) -> Assigned:
    """Assign series of which nothing is known: every pair is transformed."""
    peak = np.empty((len(x), len(centres)), dtype=x.unit.dtype)
    nearest = align_nearest(x, centres, n_threads=n_threads, block_bytes=block_bytes, peak_out=peak)
    n_correlations = int(np.count_nonzero(~x.flat) * np.count_nonzero(~centres.flat))
    return Assigned(centres, nearest, floor_of(peak.astype(np.float64), x.tie_band), n_correlations)


def assign_next(
    x: Shapes, centres: Shapes, before: Assigned, *, n_threads: int = 1, block_bytes: int = BLOCK_BYTES
) -> Assigned:
    """Assign series again after centres have moved; the result is that of `align_nearest`.

    Each series meets its own centre first (unless that has not moved). The correlation it has there rules
    out every centre whose floor is too high to win or tie; of the others the most promising comes first,
    and then whatever is still open.
    """
    search = _Search(x, centres, before, n_threads, block_bytes)
    search.own_centres()
    search.others(only_best=True)
    search.others(only_best=False)
    return search.result()


class _Search:
    """The state of one pruned assignment."""

    def __init__(
        self, x: Shapes, centres: Shapes, before: Assigned, n_threads: int, block_bytes: int
    ) -> None:
        self.x, self.centres, self.before = x, centres, before
        self.threads, self.block_bytes = n_threads, block_bytes
        self.floor = drifted(before.floor, before.centres, centres)
        self.best = before.nearest.ncc.copy()  # exact value of the best centre so far
        self.settled = [np.empty(0, dtype=np.intp)] * 3  # rows, centres and shifts of pairs that may win
        self.values: Float64Array = np.empty(0)
        self.done: BoolArray = np.broadcast_to(centres.flat, self.floor.shape) | x.flat[:, None]
        self.n_correlations = 0

    def own_centres(self) -> None:
        """Evaluate each series with the centre it belongs to; what has not moved is known already."""
        labels, shifts, ncc = self.before.nearest
        moved = (self.before.centres.unit != self.centres.unit).any(axis=(1, 2))
        rows = np.flatnonzero(~self.x.flat)
        stale = rows[moved[labels[rows]]]
        kept = rows[~moved[labels[rows]]]
        self.done[rows, labels[rows]] = True
        self._add(kept, labels[kept], shifts[kept], ncc[kept])
        self.best[stale] = -np.inf
        self._evaluate(stale, labels[stale])
        known = np.where(self.x.flat, 0.0, self.best)
        self.floor = beyond_own_centre(self.floor, known, labels, self.centres)

    def others(self, *, only_best: bool) -> None:
        """Evaluate what may still win: the most promising centre of each series, or all that are left."""
        reach = ceiling_of(self.best, 2 * self.x.tie_band)
        open_pairs = (self.floor <= reach[:, None]) & ~self.done
        if only_best:
            rows = np.flatnonzero(open_pairs.any(axis=1))
            columns = np.where(open_pairs[rows], self.floor[rows], np.inf).argmin(axis=1)
        else:
            rows, columns = np.nonzero(open_pairs)
        self.done[rows, columns] = True
        self._evaluate(rows, columns)

    def result(self) -> Assigned:
        """Settle ties between centres: the lowest index wins."""
        rows, columns, shifts = self.settled
        order = np.lexsort((columns, rows))
        order = order[self.values[order] >= self.best[rows[order]] - self.x.tie_band]
        winner = order[np.diff(rows[order], prepend=-1) > 0]
        n_series = len(self.x)
        labels, lags = np.zeros(n_series, dtype=np.intp), np.zeros(n_series, dtype=np.intp)
        ncc = np.zeros(n_series)
        labels[rows[winner]] = columns[winner]
        lags[rows[winner]] = shifts[winner]
        ncc[rows[winner]] = self.values[winner]
        return Assigned(self.centres, Assignment(labels, lags, ncc), self.floor, self.n_correlations)

    def _evaluate(self, rows: IntArray, columns: IntArray) -> None:
        hurdle = self.best[rows] - 2 * self.x.tie_band
        found = evaluate_pairs(
            self.x, self.centres, rows, columns, hurdle, n_threads=self.threads, block_bytes=self.block_bytes
        )
        self.n_correlations += len(rows)
        self.floor[rows, columns] = floor_of(found.peak, self.x.tie_band)
        near = np.flatnonzero(found.ncc > -np.inf)
        self._add(rows[near], columns[near], found.shifts[near], found.ncc[near])

    def _add(self, rows: IntArray, columns: IntArray, shifts: IntArray, values: Float64Array) -> None:
        new = (rows, columns, shifts)
        self.settled = [np.concatenate(both) for both in zip(self.settled, new, strict=True)]
        self.values = np.concatenate([self.values, values])
        np.maximum.at(self.best, rows, values)
