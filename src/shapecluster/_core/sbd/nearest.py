"""The nearest series of a universe, exactly, without transforming the pairs that bounds rule out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from shapecluster._core.sbd.blocks import map_blocks, row_blocks, shared_blocks
from shapecluster._core.sbd.bounds import (
    ANGLE_ROUNDING,
    SpectralBounds,
    angle_upper_bound,
    bounds_may_pay,
    choose_low_pass,
)
from shapecluster._core.sbd.correlation import Alignment, evaluate_pairs, resolve_best_shift, screen
from shapecluster._core.sbd.shapes import Shapes, materialize, profile_of
from shapecluster._typing import BoolArray, Float64Array, IntArray

_MAX_OPEN_SHARE = 0.75  # with more open pairs than this, screening all of them costs less
_MIN_UNIVERSE = 4  # bounds pay if the universe holds at least so many rows per neighbor
_PROMISING_ROUNDS = 3  # in which each query tries its most promising rows; then all that are left


class NearestRows(NamedTuple):
    """The nearest rows of each query, best first: correlations, rows and shifts, shape (n_queries, k)."""

    ncc: Float64Array
    rows: IntArray
    shifts: IntArray


def nearest_rows(
    queries: Shapes,
    universe: Shapes,
    k: int,
    *,
    exclude_self: bool = False,
    n_threads: int = 1,
) -> NearestRows:
    """Find the rows of a universe that each query correlates with most.

    Parameters
    ----------
    queries, universe : Shapes
        With spectra. Flat series correlate with nothing: 0.
    k : int
        Number of neighbors.
    exclude_self : bool, default=False
        Whether the queries are the universe, and a row is not its own neighbor.
    n_threads : int
        Results do not depend on it.

    Returns
    -------
    NearestRows
        If distances, 1 - ncc, are equal to the last bit, the lower row comes first.
    """
    bounds = None
    few = k * _MIN_UNIVERSE <= len(universe) and bounds_may_pay(universe, len(queries) * len(universe))
    if few and not universe.narrow:
        bounds = SpectralBounds(universe, profile_of(universe), choose_low_pass(universe))
        bounds = bounds if bounds.may_separate(queries) else None

    def search(rows: slice) -> NearestRows:
        excluded = rows.start + np.arange(rows.stop - rows.start) if exclude_self else None
        return _NearestSearch(materialize(queries, rows), universe, k, excluded, bounds).run()

    blocks = shared_blocks(len(queries), 32 * len(universe), n_threads)
    parts = map_blocks(search, blocks, n_threads)
    return NearestRows(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


class _NearestSearch:
    """State of the search for a block of queries: every row must beat the k-th best correlation so far."""

    def __init__(
        self,
        x: Shapes,
        universe: Shapes,
        k: int,
        excluded: IntArray | None,
        bounds: SpectralBounds | None,
    ) -> None:
        self.x, self.universe, self.k = x, universe, k
        self.bounds = bounds
        shape = (len(x), len(universe))
        self.best = np.full((len(x), k), -np.inf)  # the k best correlations so far, in no order
        self.lower_bounds = np.zeros(shape, dtype=np.float32)
        self.done: BoolArray = np.zeros(shape, dtype=np.bool_)
        self.found: list[tuple[IntArray, IntArray, Alignment]] = []
        if excluded is not None:
            self.done[np.arange(len(x)), excluded] = True
        flat = np.nonzero((x.flat[:, None] | universe.flat) & ~self.done)
        self.done[flat] = True
        nothing = Alignment(np.zeros(len(flat[0])), np.zeros(len(flat[0]), dtype=np.intp))
        self._add(flat[0], flat[1], nothing)

    def run(self) -> NearestRows:
        """Search until no pair is open."""
        if self.bounds is not None:
            self.lower_bounds = self.bounds.all_pairs(self.x)
            for _ in range(_PROMISING_ROUNDS):
                self._evaluate(*self._most_promising())
                if np.mean(self._open_pairs()) > _MAX_OPEN_SHARE:  # bounds do not pay here
                    break
        open_pairs = self._open_pairs()
        if self.x.narrow or np.mean(open_pairs) > _MAX_OPEN_SHARE:
            self._screen(open_pairs)
        else:
            self._evaluate(*np.nonzero(open_pairs))
        return self._result()

    def _screen(self, open_pairs: BoolArray) -> None:
        """Screen all pairs; resolve the k best peaks of the open ones, and all that may beat them."""
        screened = screen(self.x, self.universe)
        peak = np.where(open_pairs, screened.peak, -np.inf)
        known = np.concatenate([self.best - self.x.screen_error, peak], axis=1)
        threshold = np.partition(known, -self.k, axis=1)[:, -self.k]
        near = peak >= (threshold - 2 * self.x.screen_error - 2 * self.x.tie_band)[:, None]
        first, second = np.nonzero(near & open_pairs)
        for part in row_blocks(len(first), self.x.pair_bytes):
            rows, columns = first[part], second[part]
            curves = screened.curves(rows, columns)
            self._add(rows, columns, resolve_best_shift(self.x, self.universe, rows, columns, curves))

    def _open_pairs(self) -> BoolArray:
        """Pairs that may still be among the k nearest, and were not evaluated."""
        radius = (angle_upper_bound(self.best.min(axis=1), 0.0) + ANGLE_ROUNDING).astype(np.float32)
        return (self.lower_bounds <= radius[:, None]) & ~self.done

    def _most_promising(self) -> tuple[IntArray, IntArray]:
        """For each query the k open rows of the lowest bounds."""
        open_pairs = self._open_pairs()
        if self.k >= open_pairs.shape[1]:
            first, second = np.nonzero(open_pairs)
            return first, second
        bounds = np.where(open_pairs, self.lower_bounds, np.inf)
        columns = np.argpartition(bounds, self.k - 1, axis=1)[:, : self.k].ravel()
        rows = np.repeat(np.arange(len(self.x)), self.k)
        chosen = open_pairs[rows, columns]
        return rows[chosen], columns[chosen]

    def _evaluate(self, rows: IntArray, columns: IntArray) -> None:
        if not len(rows):
            return
        self.done[rows, columns] = True
        threshold = self.best.min(axis=1)[rows]
        found = evaluate_pairs(self.x, self.universe, rows, columns, threshold)
        # Distances are compared in the end: two correlations can have the same 1 - ncc.
        near = np.flatnonzero(1.0 - found.ncc <= 1.0 - threshold)
        self._add(rows[near], columns[near], Alignment(found.ncc[near], found.shifts[near]))

    def _add(self, rows: IntArray, columns: IntArray, found: Alignment) -> None:
        """Keep resolved pairs, and update the k best correlations of their queries."""
        self.found.append((rows, columns, found))
        ncc = found.ncc
        order = np.lexsort((-ncc, rows))
        rank = np.arange(len(rows)) - np.searchsorted(rows[order], rows[order])
        top = order[rank < self.k]
        new = np.full(self.best.shape, -np.inf)
        new[rows[top], rank[rank < self.k]] = ncc[top]
        both = np.concatenate([self.best, new], axis=1)
        self.best = np.partition(both, self.k, axis=1)[:, self.k :]

    def _result(self) -> NearestRows:
        rows, columns = (np.concatenate([part[i] for part in self.found]) for i in (0, 1))
        ncc, shifts = (np.concatenate([part[2][i] for part in self.found]) for i in (0, 1))
        order = np.lexsort((columns, 1.0 - ncc, rows))
        starts = np.searchsorted(rows[order], np.arange(len(self.x)))
        chosen = order[starts[:, None] + np.arange(self.k)]
        return NearestRows(ncc[chosen], columns[chosen], shifts[chosen])
