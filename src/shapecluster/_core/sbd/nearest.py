"""The nearest series of a universe, exactly, without transforming the pairs that bounds rule out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from shapecluster._core.sbd.blocks import BLOCK_BYTES, map_blocks, row_blocks, shared_blocks
from shapecluster._core.sbd.bounds import (
    FLOAT32,
    SpectralBounds,
    angle_upper_bound,
    bounds_may_pay,
    short_transforms_for,
)
from shapecluster._core.sbd.correlation import Alignment, evaluate_pairs, screen, settle
from shapecluster._core.sbd.shapes import Shapes, profile_of, take
from shapecluster._typing import BoolArray, Float64Array, IntArray

_MOST = 0.75
_SHARE = 4  # bounds pay if fewer than one in so many are neighbors
_ROUNDS = 3  # in which each query tries its most promising rows; then all that are left


class Neighbors(NamedTuple):
    """The nearest rows of each query, best first: correlations, rows and shifts, shape (n_queries, k)."""

    ncc: Float64Array
    rows: IntArray
    shifts: IntArray


def nearest_rows(
    queries: Shapes,
    universe: Shapes,
    k: int,
    *,
    own: bool = False,
    prune: bool = True,
    n_threads: int = 1,
    block_bytes: int = BLOCK_BYTES,
) -> Neighbors:
    """Find the rows of a universe that each query correlates with most.

    Parameters
    ----------
    queries, universe : Shapes
        With spectra. Flat series correlate with nothing: 0.
    k : int
        Number of neighbors.
    own : bool, default=False
        Whether the queries are the universe, and a row is not to be its own neighbor.
    prune : bool, default=True
        Whether to use bounds; results do not depend on it.
    n_threads, block_bytes : int
        Results do not depend on them.

    Returns
    -------
    Neighbors
        Where distances, 1 - ncc, are equal to the last bit, the lower row comes first.
    """
    bounds = None
    few = k * _SHARE <= len(universe) and bounds_may_pay(universe, len(queries) * len(universe))
    if prune and few and not universe.narrow:
        bounds = SpectralBounds(universe, profile_of(universe), short_transforms_for(universe))
        bounds = bounds if bounds.promising(queries) else None

    def search(rows: slice) -> Neighbors:
        excluded = rows.start + np.arange(rows.stop - rows.start) if own else None
        return _NearestSearch(take(queries, rows), universe, k, excluded, bounds, block_bytes).run()

    blocks = shared_blocks(len(queries), 32 * len(universe), block_bytes, n_threads)
    parts = map_blocks(search, blocks, n_threads)
    return Neighbors(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


class _NearestSearch:
    """Neighbors of a block of queries: the k-th best correlation so far is the hurdle for all others."""

    def __init__(
        self,
        x: Shapes,
        universe: Shapes,
        k: int,
        excluded: IntArray | None,
        bounds: SpectralBounds | None,
        block_bytes: int,
    ) -> None:
        self.x, self.universe, self.k, self.block_bytes = x, universe, k, block_bytes
        self.bounds = bounds
        shape = (len(x), len(universe))
        self.best = np.full((len(x), k), -np.inf)  # the k best correlations so far, in no order
        self.floor = np.zeros(shape, dtype=np.float32)
        self.done: BoolArray = np.zeros(shape, dtype=np.bool_)
        self.found: list[tuple[IntArray, IntArray, Alignment]] = []
        if excluded is not None:
            self.done[np.arange(len(x)), excluded] = True
        flat = np.nonzero((x.flat[:, None] | universe.flat) & ~self.done)
        self.done[flat] = True
        nothing = Alignment(np.zeros(len(flat[0])), np.zeros(len(flat[0]), dtype=np.intp))
        self._add(flat[0], flat[1], nothing)

    def run(self) -> Neighbors:
        """Search until no row is open."""
        if self.bounds is not None:
            self._bound(self.bounds)
            for _ in range(_ROUNDS):
                self._evaluate(*self._most_promising())
                if np.mean(self._open()) > _MOST:  # then bounds do not pay here
                    break
        open_pairs = self._open()
        if self.x.narrow or np.mean(open_pairs) > _MOST:
            self._screen(open_pairs)
        else:
            self._evaluate(*np.nonzero(open_pairs))
        return self._result()

    def _screen(self, open_pairs: BoolArray) -> None:
        """Screen all pairs, and settle the k best peaks of what is open, and what may beat them."""
        screened = screen(self.x, self.universe, self.block_bytes)
        peak = np.where(open_pairs, screened.peak, -np.inf)
        known = np.concatenate([self.best - self.x.screen_error, peak], axis=1)
        hurdle = np.partition(known, -self.k, axis=1)[:, -self.k]
        near = peak >= (hurdle - 2 * self.x.screen_error - 2 * self.x.tie_band)[:, None]
        first, second = np.nonzero(near & open_pairs)
        for part in row_blocks(len(first), self.x.pair_bytes, self.block_bytes):
            rows, columns = first[part], second[part]
            curves = screened.curves(rows, columns)
            self._add(rows, columns, settle(self.x, self.universe, rows, columns, curves))

    def _bound(self, bounds: SpectralBounds) -> None:
        self.floor = bounds.short_of_all(self.x, profile_of(self.x), self.block_bytes)

    def _open(self) -> BoolArray:
        hurdle = self.best.min(axis=1)
        reach = (angle_upper_bound(hurdle, 0.0) + FLOAT32).astype(np.float32)
        return (self.floor <= reach[:, None]) & ~self.done

    def _most_promising(self) -> tuple[IntArray, IntArray]:
        """For each query the k open rows of the lowest floors."""
        open_pairs = self._open()
        if self.k >= open_pairs.shape[1]:
            first, second = np.nonzero(open_pairs)
            return first, second
        floor = np.where(open_pairs, self.floor, np.inf)
        columns = np.argpartition(floor, self.k - 1, axis=1)[:, : self.k].ravel()
        rows = np.repeat(np.arange(len(self.x)), self.k)
        chosen = open_pairs[rows, columns]
        return rows[chosen], columns[chosen]

    def _evaluate(self, rows: IntArray, columns: IntArray) -> None:
        if not len(rows):
            return
        self.done[rows, columns] = True
        hurdle = self.best.min(axis=1)[rows]
        found = evaluate_pairs(self.x, self.universe, rows, columns, hurdle, self.block_bytes)
        near = np.flatnonzero(1.0 - found.ncc <= 1.0 - hurdle)  # as distances are compared in the end
        self._add(rows[near], columns[near], Alignment(found.ncc[near], found.shifts[near]))

    def _add(self, rows: IntArray, columns: IntArray, found: Alignment) -> None:
        self.found.append((rows, columns, found))
        ncc = found.ncc
        order = np.lexsort((-ncc, rows))
        rank = np.arange(len(rows)) - np.searchsorted(rows[order], rows[order])
        top = order[rank < self.k]
        new = np.full(self.best.shape, -np.inf)
        new[rows[top], rank[rank < self.k]] = ncc[top]
        both = np.concatenate([self.best, new], axis=1)
        self.best = np.partition(both, self.k, axis=1)[:, self.k :]

    def _result(self) -> Neighbors:
        rows, columns = (np.concatenate([part[i] for part in self.found]) for i in (0, 1))
        ncc, shifts = (np.concatenate([part[2][i] for part in self.found]) for i in (0, 1))
        order = np.lexsort((columns, 1.0 - ncc, rows))
        starts = np.searchsorted(rows[order], np.arange(len(self.x)))
        chosen = order[starts[:, None] + np.arange(self.k)]
        return Neighbors(ncc[chosen], columns[chosen], shifts[chosen])
