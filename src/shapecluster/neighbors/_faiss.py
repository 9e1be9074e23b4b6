"""The scan of cells by faiss, where it is installed: it proposes neighbours, and never decides.

It computes in float32 and leaves ties to chance. Its candidates, a few more than are wanted, are evaluated
as everywhere here; a query for which rounding could have hidden a neighbour is searched again without it.
So answers are those of our own scan, to the last bit.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from shapecluster._core.cells import Cells
from shapecluster._core.collect import Hits, Nearest
from shapecluster._core.inverted import search_block
from shapecluster._core.vector_space import VectorQueries, VectorSpace
from shapecluster._optional import import_optional
from shapecluster._typing import BoolArray, Float64Array, FloatArray, IntArray

_SPARE = 2  # candidates beyond those wanted
_SCANNED = 1e6  # numbers that are scanned for each cell, from which on our own matrix products are quicker


class FaissLists:
    """The rows of an index in faiss' own lists, which take their size in float32 once more."""

    def __init__(self, space: VectorSpace, cells: Cells, *, always: bool) -> None:
        self._space, self._cells, self._always = space, cells, always
        self._faiss = import_optional("faiss", extra="faiss", needed_for="ClusterIndex(backend='faiss')")
        width = space.rows.shape[1]
        # faiss wants a quantiser, and a trained one; which cells are searched is told to it each time.
        self._quantizer = self._faiss.IndexFlatL2(width)
        self._quantizer.add(space.centres.astype(np.float32))
        self._index = self._faiss.IndexIVFFlat(self._quantizer, width, len(cells), self._faiss.METRIC_L2)
        self._index.is_trained = True
        pointer = self._faiss.swig_ptr
        for cell in range(len(cells)):
            span = cells.span(cell)
            if span.stop > span.start:
                rows = np.ascontiguousarray(space.rows[span], dtype=np.float32)
                ids = np.arange(span.start, span.stop, dtype=np.int64)
                codes = rows.view(np.uint8)
                self._index.invlists.add_entries(cell, len(rows), pointer(ids), pointer(codes))
        self._index.ntotal = len(space)
        self._largest = float(np.sqrt(space.squares.max(initial=0.0)) * (1 + 1e-4))

    def pays(self, n_queries: int, n_probe: int) -> bool:
        """Whether it was asked for, or so few queries share a cell that it is quicker."""
        n_rows, width = self._space.rows.shape
        n_cells = len(self._cells)
        return self._always or n_queries * n_probe * n_rows / n_cells * width < _SCANNED * n_cells

    def search(self, rows: FloatArray, k: int, n_probe: int, threads: int) -> Hits:
        """The k nearest rows to each of a block of queries."""
        space = self._space
        queries = space.prepare(rows)
        found = Nearest(len(rows), k)
        again = self._propose(queries, n_probe, found, threads)
        if len(again):
            rest = Nearest(len(again), k)
            search_block(space, self._cells, space.prepare(rows[again]), rest, n_probe=n_probe)
            hits = rest.hits()
            found.offer(again[hits.queries], hits.values, hits.ids, hits.shifts)
        return found.hits()

    def _propose(self, queries: VectorQueries, n_probe: int, found: Nearest, threads: int) -> IntArray:
        """Offer what faiss finds; the queries that are returned are to be searched without it."""
        space, (n_queries, k) = self._space, (len(queries), found.wanted + _SPARE)
        near, _ = space.nearest_cells(queries, n_probe)
        squares, rows = self._scan(queries.given, near, k, threads)
        which = np.repeat(np.arange(n_queries), k)
        listed = rows.ravel() >= 0
        which, at = which[listed], rows.ravel()[listed]
        values, shifts = space.values(queries, which, at, found.hurdle[which])
        ranked = np.full(rows.size, np.inf)
        ranked[listed] = values
        kth = np.partition(ranked.reshape(rows.shape), found.wanted - 1, axis=1)[:, found.wanted - 1]
        good = self._sure(queries, kth, squares, rows)
        offered = good[which]
        found.offer(which[offered], values[offered], self._cells.ids[at[offered]], shifts[offered])
        return np.flatnonzero(~good)

    def _sure(self, queries: VectorQueries, kth: Float64Array, squares: Any, rows: Any) -> BoolArray:
        """Whether all that was left out is farther than what counts.

        It is at least as far as the last candidate, but for the rounding of float32.
        """
        last = np.where(rows[:, -1] >= 0, squares[:, -1].astype(np.float64), np.inf)
        everything, eps = np.isinf(last), float(np.finfo(np.float32).eps)
        last[everything] = 0.0
        error = 2 * (self._space.rows.shape[1] + 8) * eps * last
        error += 4 * eps * np.sqrt(last) * (np.sqrt(queries.squares) + self._largest)
        sure: BoolArray = (kth < np.inf) & (everything | (kth * kth < last - error))
        return sure

    def _scan(self, values: Any, near: IntArray, k: int, threads: int) -> tuple[Any, Any]:
        """Squared distances and positions of k candidates of each query; -1 where there are no more."""
        self._index.nprobe = near.shape[1]
        before = self._faiss.omp_get_max_threads()
        self._faiss.omp_set_num_threads(threads)
        try:
            none = np.zeros(near.shape, dtype=np.float32)
            single = np.ascontiguousarray(values, dtype=np.float32)
            squares, rows = self._index.search_preassigned(single, k, near.astype(np.int64), none)
            return squares, rows
        finally:
            self._faiss.omp_set_num_threads(before)


def lists_for(backend: str, space: Any, cells: Cells) -> FaissLists | None:
    """The lists, where faiss is wanted, and installed unless it is asked for by name."""
    if not isinstance(space, VectorSpace):
        if backend == "faiss":
            raise ValueError("backend='faiss' is for the Euclidean metric only.")
        return None
    if backend == "numpy" or (backend == "auto" and find_spec("faiss") is None):
        return None
    return FaissLists(space, cells, always=backend == "faiss")
