"""The scan of cells by faiss, where it is installed: it proposes neighbors, and never decides.

It computes in float32 and leaves ties to chance. Its candidates, a few more than are wanted, are evaluated
as everywhere here; a query for which rounding could have hidden a neighbor is searched again without it.
So answers are those of our own scan, to the last bit.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from shapecluster._core.index.collect import Hits, TopK
from shapecluster._core.index.inverted_lists import InvertedLists
from shapecluster._core.index.search import search_block
from shapecluster._core.index.vector_space import VectorQueries, VectorSpace
from shapecluster._optional import import_optional
from shapecluster._typing import BoolArray, Float64Array, FloatArray, IntArray

_SPARE = 2  # candidates beyond those wanted
_SCANNED = 1e6  # numbers that are scanned for each cell, from which on our own matrix products are quicker


class FaissLists:
    """The rows of an index in faiss' own lists, which take their size in float32 once more."""

    def __init__(self, space: VectorSpace, cells: InvertedLists, *, always: bool) -> None:
        self._space, self._cells, self._always = space, cells, always
        self._faiss = import_optional("faiss", extra="faiss", needed_for="ClusterIndex(backend='faiss')")
        width = space.rows.shape[1]
        # faiss wants a quantizer, and a trained one; which cells are searched is told to it each time.
        self._quantizer = self._faiss.IndexFlatL2(width)
        self._quantizer.add(space.centers.astype(np.float32))
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
        hits, again = self._propose(queries, k, n_probe, threads)
        if not len(again):
            return hits
        rest = TopK(len(again), k)
        search_block(space, self._cells, space.prepare(rows[again]), rest, n_probe=n_probe)
        found = rest.hits()
        found = found._replace(queries=again[found.queries])
        both = Hits(*(np.concatenate(columns) for columns in zip(hits, found, strict=True)))
        return both.at(np.argsort(both.queries, kind="stable"))

    def _propose(self, queries: VectorQueries, k: int, n_probe: int, threads: int) -> tuple[Hits, IntArray]:
        """What faiss finds, evaluated; and the queries that are to be searched without it."""
        space = self._space
        near, _ = space.nearest_cells(queries, n_probe)
        squares, rows = self._scan(queries.given, near, k + _SPARE, threads)
        listed = rows >= 0
        which, column = np.nonzero(listed)
        values = np.full(rows.shape, np.inf)
        hurdle = np.full(len(which), np.inf)
        values[which, column], _ = space.values(queries, which, rows[listed], hurdle)
        ids = self._cells.ids[rows]  # of no account where nothing is listed, which sorts last
        best = np.lexsort((ids, values), axis=1)[:, :k]
        values, ids = np.take_along_axis(values, best, axis=1), np.take_along_axis(ids, best, axis=1)
        good = self._sure(queries, values[:, -1], squares, rows)
        which = np.repeat(np.flatnonzero(good), k)
        nothing = np.zeros(len(which), dtype=np.intp)
        return Hits(which, values[good].ravel(), ids[good].ravel(), nothing), np.flatnonzero(~good)

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
            order = np.argsort(near[:, 0], kind="stable")  # cells stay in cache from query to query
            none = np.zeros(near.shape, dtype=np.float32)
            single = np.ascontiguousarray(values[order], dtype=np.float32)
            squares, rows = self._index.search_preassigned(single, k, near[order].astype(np.int64), none)
            back = np.empty_like(order)
            back[order] = np.arange(len(order))
            return squares[back], rows[back]
        finally:
            self._faiss.omp_set_num_threads(before)


def lists_for(backend: str, space: Any, cells: InvertedLists) -> FaissLists | None:
    """The lists, where faiss is wanted, and installed unless it is asked for by name."""
    if not isinstance(space, VectorSpace):
        if backend == "faiss":
            raise ValueError("backend='faiss' is for the Euclidean metric only.")
        return None
    if backend == "numpy" or (backend == "auto" and find_spec("faiss") is None):
        return None
    return FaissLists(space, cells, always=backend == "faiss")
