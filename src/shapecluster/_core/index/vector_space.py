"""Vectors and centers under the Euclidean distance, as an inverted file asks for them.

Matrix products in the precision of the rows screen, with a bound of their rounding; distances are decided by
differences in float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shapecluster._core.sbd.blocks import BLOCK_BYTES, map_blocks, row_blocks
from shapecluster._typing import Float64Array, FloatArray, IntArray


@dataclass(frozen=True)
class VectorQueries:
    """A block of queries, in float64 and in the precision of the rows."""

    values: Float64Array
    given: FloatArray  # in the precision of the rows
    single: FloatArray  # times -2, as the product wants them
    squares: Float64Array

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class VectorSpace:
    """Vectors by cell, and their centers.

    Attributes
    ----------
    rows : ndarray of shape (n_rows, n_features)
        float32 or float64.
    centers : ndarray of shape (n_cells, n_features)
        float64.
    squares : ndarray of shape (n_rows,)
        Squared norms of the rows, less what products may be off by.
    """

    rows: FloatArray
    centers: Float64Array
    squares: FloatArray

    exact = True

    @classmethod
    def of(cls, rows: FloatArray, centers: Float64Array) -> VectorSpace:
        """Compute the norms."""
        squares = squared_norms(rows) * (1.0 - _rounding(rows))
        return cls(rows, centers, squares.astype(rows.dtype))

    def __len__(self) -> int:
        return len(self.rows)

    def prepare(self, x: FloatArray) -> VectorQueries:
        """A block of queries."""
        given = x.astype(self.rows.dtype, copy=False)
        return VectorQueries(given.astype(np.float64), given, given * -2, squared_norms(given))

    def nearest_cells(self, queries: VectorQueries, n_cells: int) -> tuple[IntArray, Float64Array]:
        """The nearest centers of each query, and the distances to them."""
        return nearest_centers(queries.given, self.centers, n_cells)

    def reaches(self, queries: VectorQueries) -> Float64Array:
        """Distances to all centers, by a product."""
        squares = queries.squares[:, None] + squared_norms(self.centers)
        squares -= 2 * (queries.values @ self.centers.T)
        return np.sqrt(np.maximum(squares, 0.0))

    def reach_error(self, queries: VectorQueries) -> float:
        """A distance near 0 is off by the root of what its square is off by."""
        largest = squared_norms(self.centers).max(initial=0.0) + queries.squares.max(initial=0.0)
        return float(np.sqrt(2 * _rounding(queries.values) * float(largest)))

    def radius(self, queries: VectorQueries, hurdle: Float64Array) -> Float64Array:
        """Distances themselves; the reach is rounded as they are."""
        return hurdle * (1.0 + _rounding(queries.values))

    def limit(self, hurdle: Float64Array) -> FloatArray:
        """Squares, rounded up to the precision of the floors."""
        limit = np.square(hurdle) * (1.0 + 1e-12)
        return np.nextafter(limit.astype(self.rows.dtype), self.rows.dtype.type(np.inf))

    def sift(self, queries: VectorQueries, query: int, rows: IntArray, hurdle: float) -> IntArray:
        """All of the rows: nothing is cheaper than their floors."""
        return rows

    def floors(self, queries: VectorQueries, which: IntArray, rows: slice | IntArray) -> FloatArray:
        """Lower bounds of squared distances."""
        floor: FloatArray = queries.single[which] @ self.rows[rows].T
        floor += self.squares[rows]
        floor += (queries.squares[which] * (1.0 - _rounding(self.rows))).astype(floor.dtype)[:, None]
        return floor

    def tighten(
        self, queries: VectorQueries, which: IntArray, rows: IntArray, floor: FloatArray
    ) -> FloatArray:
        """There is nothing better than these floors."""
        return floor

    def values(
        self, queries: VectorQueries, which: IntArray, rows: IntArray, hurdle: Float64Array
    ) -> tuple[Float64Array, IntArray]:
        """Exact distances."""
        return direct_distances(queries.values, self.rows, which, rows), np.zeros(len(which), dtype=np.intp)


def nearest_centers(
    x: FloatArray, centers: Float64Array, n_cells: int = 1, *, n_threads: int = 1
) -> tuple[IntArray, Float64Array]:
    """The nearest centers of each vector, best first; the lowest index first where they are as near.

    Returns
    -------
    cells, distances : ndarray of shape (n_vectors, n_cells)
    """
    cells = np.empty((len(x), n_cells), dtype=np.intp)
    distances = np.empty((len(x), n_cells))
    columns = (centers.T * -2).astype(x.dtype)
    offsets = squared_norms(centers)
    error = 2 * _rounding(x) * (offsets.max(initial=0.0) + squared_norms(x))

    def find(rows: slice) -> None:
        values = x[rows] @ columns
        values += offsets.astype(x.dtype)
        kth = np.partition(values, n_cells - 1, axis=1)[:, n_cells - 1] if n_cells > 1 else values.min(axis=1)
        reach = np.nextafter((kth + 2 * error[rows]).astype(x.dtype), x.dtype.type(np.inf))
        near = np.flatnonzero(values <= reach[:, None])
        first, second = np.divmod(near, len(centers))
        exact = direct_distances(x[rows], centers, first, second)
        order = np.lexsort((second, exact, first))
        starts = np.searchsorted(first[order], np.arange(len(values)))
        best = order[starts[:, None] + np.arange(n_cells)]
        cells[rows], distances[rows] = second[best], exact[best]

    map_blocks(find, row_blocks(len(x), x.itemsize * len(centers), BLOCK_BYTES), n_threads)
    return cells, distances


def direct_distances(x: FloatArray, y: FloatArray, first: IntArray, second: IntArray) -> Float64Array:
    """Distances of listed pairs, each by one sum of squared differences in float64."""
    out = np.empty(len(first))
    for pairs in row_blocks(len(first), 16 * x.shape[1], BLOCK_BYTES // 4):
        difference = x[first[pairs]].astype(np.float64, copy=False) - y[second[pairs]]
        difference *= difference
        out[pairs] = difference.sum(axis=1)
    return np.sqrt(out, out=out)


def squared_norms(x: FloatArray) -> Float64Array:
    """Squared norm of each row, in float64."""
    out = np.empty(len(x))
    for rows in row_blocks(len(x), 8 * x.shape[1], BLOCK_BYTES // 4):
        wide = x[rows].astype(np.float64)
        wide *= wide
        out[rows] = wide.sum(axis=1)
    return out


def _rounding(x: FloatArray) -> float:
    """What |x|^2 - 2 x y + |y|^2 may be off by, as a share of the sum of both squared norms."""
    n_features: int = x.shape[1]
    return 2 * (n_features + 8) * float(np.finfo(x.dtype).eps)
