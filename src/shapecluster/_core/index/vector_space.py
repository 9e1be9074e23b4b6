"""Euclidean space: vectors and the centers of their cells.

Matrix products in the precision of the rows give lower bounds, less a bound of their rounding errors.
Distances are sums of squared differences in float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shapecluster._core.index.search import Space
from shapecluster._core.sbd.blocks import BLOCK_BYTES, map_blocks, row_blocks
from shapecluster._typing import Float64Array, FloatArray, IntArray


@dataclass(frozen=True)
class VectorQueries:
    """A block of queries, in float64 and in the precision of the rows."""

    values: Float64Array
    given: FloatArray  # in the precision of the rows
    scaled: FloatArray  # times -2, for the matrix product
    squares: Float64Array

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class VectorSpace(Space):
    """Vectors sorted by cell, and their centers.

    Attributes
    ----------
    rows : ndarray of shape (n_rows, n_features)
        float32 or float64.
    centers : ndarray of shape (n_cells, n_features)
        float64.
    squares : ndarray of shape (n_rows,)
        Squared norms of the rows, less the rounding error of the products.
    """

    rows: FloatArray
    centers: Float64Array
    squares: FloatArray

    @classmethod
    def of(cls, rows: FloatArray, centers: Float64Array) -> VectorSpace:
        """Make a space from rows sorted by cell."""
        squares = squared_norms(rows) * (1.0 - _rounding(rows))
        return cls(rows, centers, squares.astype(rows.dtype))

    def prepare(self, x: FloatArray) -> VectorQueries:
        """Prepare a block of queries."""
        # Queries are rounded as the rows are, so that a stored row finds itself at distance 0.
        given = x.astype(self.rows.dtype, copy=False)
        return VectorQueries(given.astype(np.float64), given, given * -2, squared_norms(given))

    def nearest_cells(self, queries: VectorQueries, n_cells: int) -> tuple[IntArray, Float64Array]:
        """Return the nearest centers of each query, and the distances to them."""
        return nearest_centers(queries.given, self.centers, n_cells)

    def center_distances(self, queries: VectorQueries) -> Float64Array:
        """Return distances to all centers, by a matrix product."""
        squares = queries.squares[:, None] + squared_norms(self.centers)
        squares -= 2 * (queries.values @ self.centers.T)
        return np.sqrt(np.maximum(squares, 0.0))

    def center_distance_error(self, queries: VectorQueries) -> float:
        """Return the largest rounding error of a difference of two distances to a center."""
        # A distance near 0 has the root of the error of its square.
        largest = squared_norms(self.centers).max(initial=0.0) + queries.squares.max(initial=0.0)
        return float(np.sqrt(2 * _rounding(queries.values) * float(largest)))

    def triangle_radius(self, queries: VectorQueries, threshold: Float64Array) -> Float64Array:
        """Return the thresholds, rounded up: centers and rows have the same geometry here."""
        return threshold * (1.0 + _rounding(queries.values))

    def bound_threshold(self, threshold: Float64Array) -> FloatArray:
        """Return the squared thresholds, rounded up to the precision of the bounds."""
        limit = np.square(threshold) * (1.0 + 1e-12)
        return np.nextafter(limit.astype(self.rows.dtype), self.rows.dtype.type(np.inf))

    def lower_bounds(self, queries: VectorQueries, which: IntArray, rows: slice | IntArray) -> FloatArray:
        """Bound squared distances from below."""
        bounds: FloatArray = queries.scaled[which] @ self.rows[rows].T
        bounds += self.squares[rows]
        bounds += (queries.squares[which] * (1.0 - _rounding(self.rows))).astype(bounds.dtype)[:, None]
        return bounds

    def distances(
        self, queries: VectorQueries, which: IntArray, rows: IntArray, threshold: Float64Array
    ) -> tuple[Float64Array, IntArray]:
        """Return exact distances."""
        return direct_distances(queries.values, self.rows, which, rows), np.zeros(len(which), dtype=np.intp)


def nearest_centers(
    x: FloatArray, centers: Float64Array, n_cells: int = 1, *, n_threads: int = 1
) -> tuple[IntArray, Float64Array]:
    """Return the nearest centers of each vector, nearest first; of equal distances the lower index first.

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
        # The product only screens: rows that may be among the nearest within its rounding are computed again.
        kth = np.partition(values, n_cells - 1, axis=1)[:, n_cells - 1] if n_cells > 1 else values.min(axis=1)
        limit = np.nextafter((kth + 2 * error[rows]).astype(x.dtype), x.dtype.type(np.inf))
        near = np.flatnonzero(values <= limit[:, None])
        first, second = np.divmod(near, len(centers))
        exact = direct_distances(x[rows], centers, first, second)
        order = np.lexsort((second, exact, first))
        starts = np.searchsorted(first[order], np.arange(len(values)))
        best = order[starts[:, None] + np.arange(n_cells)]
        cells[rows], distances[rows] = second[best], exact[best]

    map_blocks(find, row_blocks(len(x), x.itemsize * len(centers)), n_threads)
    return cells, distances


def direct_distances(x: FloatArray, y: FloatArray, first: IntArray, second: IntArray) -> Float64Array:
    """Compute distances of listed pairs, each by one sum of squared differences in float64."""
    out = np.empty(len(first))
    for pairs in row_blocks(len(first), 16 * x.shape[1], BLOCK_BYTES // 4):
        difference = x[first[pairs]].astype(np.float64, copy=False) - y[second[pairs]]
        difference *= difference
        out[pairs] = difference.sum(axis=1)
    return np.sqrt(out, out=out)


def squared_norms(x: FloatArray) -> Float64Array:
    """Compute the squared norm of each row in float64."""
    out = np.empty(len(x))
    for rows in row_blocks(len(x), 8 * x.shape[1], BLOCK_BYTES // 4):
        wide = x[rows].astype(np.float64)
        wide *= wide
        out[rows] = wide.sum(axis=1)
    return out


def _rounding(x: FloatArray) -> float:
    """Bound the error of |x|^2 - 2 x y + |y|^2, relative to the sum of both squared norms."""
    n_features: int = x.shape[1]
    return 2 * (n_features + 8) * float(np.finfo(x.dtype).eps)
