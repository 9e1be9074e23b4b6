"""Scan of cells by faiss, where it is installed: faiss proposes neighbors and never decides.

faiss computes in float32 and breaks ties arbitrarily. `FaissLists` therefore asks for a few more candidates
than wanted and computes their distances itself. It searches again, without faiss, for each query where
rounding may have hidden a neighbor. Answers equal those without faiss to the last bit.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from shapecluster._arrays import joined, take
from shapecluster._core.index.collect import Hits, TopK
from shapecluster._core.index.inverted_lists import InvertedLists
from shapecluster._core.index.search import search_block
from shapecluster._core.index.vector_space import VectorQueries, VectorSpace
from shapecluster._optional import import_optional
from shapecluster._typing import BoolArray, Float64Array, FloatArray, IntArray

_N_SPARE = 2  # candidates beyond those wanted
# Numbers scanned for each cell from which on the matrix products of NumPy were faster, as measured.
_MAX_SCANNED = 1e6


class FaissLists:
    """The rows of an index in the inverted lists of faiss: a second copy, in float32."""

    def __init__(self, space: VectorSpace, cells: InvertedLists, *, always: bool) -> None:
        self._space, self._cells, self._always = space, cells, always
        self._faiss = import_optional("faiss", extra="faiss", needed_for="ClusterIndex(backend='faiss')")
        width = space.rows.shape[1]
        # faiss requires a trained quantizer, though search_preassigned names the cells on each call.
        self._quantizer = self._faiss.IndexFlatL2(width)
        self._quantizer.add(space.centers.astype(np.float32))
        self._index = self._faiss.IndexIVFFlat(self._quantizer, width, len(cells), self._faiss.METRIC_L2)
        self._index.is_trained = True
        pointer = self._faiss.swig_ptr
        for cell in range(len(cells)):
            span = cells.span(cell)
            if span.stop > span.start:
                rows = np.ascontiguousarray(space.rows[span], dtype=np.float32)
                positions = np.arange(span.start, span.stop, dtype=np.int64)
                codes = rows.view(np.uint8)
                self._index.invlists.add_entries(cell, len(rows), pointer(positions), pointer(codes))
        self._index.ntotal = len(space)
        # Largest norm of a row; the squares are lowered by a rounding error, which the factor makes up for.
        self._largest_norm = float(np.sqrt(space.squares.max(initial=0.0)) * (1 + 1e-4))

    def is_preferred(self, n_queries: int, n_probe: int) -> bool:
        """Whether the user asked for faiss, or so few queries share a cell that faiss is faster."""
        n_rows, width = self._space.rows.shape
        n_cells = len(self._cells)
        scanned = n_queries * n_probe * n_rows / n_cells * width
        return self._always or scanned < _MAX_SCANNED * n_cells

    def search(self, rows: FloatArray, k: int, n_probe: int, n_threads: int) -> Hits:
        """Find the k nearest rows to each of a block of queries."""
        space = self._space
        queries = space.prepare(rows)
        hits, uncertain = self._propose(queries, k, n_probe, n_threads)
        if not len(uncertain):
            return hits
        collector = TopK(len(uncertain), k)
        search_block(space, self._cells, space.prepare(rows[uncertain]), collector, n_probe=n_probe)
        others = collector.hits()
        others = others._replace(queries=uncertain[others.queries])
        both = joined([hits, others])
        return take(both, np.argsort(both.queries, kind="stable"))

    def _propose(self, queries: VectorQueries, k: int, n_probe: int, n_threads: int) -> tuple[Hits, IntArray]:
        """Return the hits of faiss with exact distances, and the queries to search without it."""
        space = self._space
        near, _ = space.nearest_cells(queries, n_probe)
        squares, rows = self._scan(queries.given, near, k + _N_SPARE, n_threads)
        is_row = rows >= 0
        which, column = np.nonzero(is_row)
        distances = np.full(rows.shape, np.inf)
        threshold = np.full(len(which), np.inf)
        distances[which, column], _ = space.distances(queries, which, rows[is_row], threshold)
        ids = self._cells.ids[rows]  # of row -1 too, whose infinite distance sorts it last
        order = np.lexsort((ids, distances), axis=1)[:, :k]
        distances, ids = np.take_along_axis(distances, order, axis=1), np.take_along_axis(ids, order, axis=1)
        certain = self._is_certain(queries, distances[:, -1], squares, rows)
        which = np.repeat(np.flatnonzero(certain), k)
        no_shift = np.zeros(len(which), dtype=np.intp)
        hits = Hits(which, distances[certain].ravel(), ids[certain].ravel(), no_shift)
        return hits, np.flatnonzero(~certain)

    def _is_certain(self, queries: VectorQueries, kth: Float64Array, squares: Any, rows: Any) -> BoolArray:
        """Whether every row that faiss left out is farther than the k-th neighbor.

        Such a row is at least as far as the last candidate, up to the rounding errors of float32.
        """
        last = np.where(rows[:, -1] >= 0, squares[:, -1].astype(np.float64), np.inf)
        has_all_rows, eps = np.isinf(last), float(np.finfo(np.float32).eps)
        last[has_all_rows] = 0.0
        # Rounding of the sum of squares, and of both vectors to float32.
        error = 2 * (self._space.rows.shape[1] + 8) * eps * last
        error += 4 * eps * np.sqrt(last) * (np.sqrt(queries.squares) + self._largest_norm)
        certain: BoolArray = (kth < np.inf) & (has_all_rows | (kth * kth < last - error))
        return certain

    def _scan(self, values: Any, near: IntArray, k: int, n_threads: int) -> tuple[Any, Any]:
        """Return squared distances and positions of k candidates for each query; position -1 for none."""
        self._index.nprobe = near.shape[1]
        before = self._faiss.omp_get_max_threads()
        self._faiss.omp_set_num_threads(n_threads)  # for the whole process, so it is set back below
        try:
            order = np.argsort(near[:, 0], kind="stable")  # cells stay in cache from query to query
            unused = np.zeros(near.shape, dtype=np.float32)
            single = np.ascontiguousarray(values[order], dtype=np.float32)
            squares, rows = self._index.search_preassigned(single, k, near[order].astype(np.int64), unused)
            back = np.empty_like(order)
            back[order] = np.arange(len(order))
            return squares[back], rows[back]
        finally:
            self._faiss.omp_set_num_threads(before)


def make_lists(backend: str, space: Any, cells: InvertedLists) -> FaissLists | None:
    """Make the lists if `backend` allows faiss, and it is installed or required."""
    if not isinstance(space, VectorSpace):
        if backend == "faiss":
            raise ValueError("backend='faiss' is for the Euclidean metric only.")
        return None
    if backend == "numpy" or (backend == "auto" and find_spec("faiss") is None):
        return None
    return FaissLists(space, cells, always=backend == "faiss")
