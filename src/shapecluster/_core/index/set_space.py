"""Sets (sparse rows of ones) and centers under the Jaccard distance, as an inverted file asks for them.

Intersections are counted by sparse products, which are exact in float32 below 2^24, so every floor is the
distance itself: one minus intersection over union, and 0 for two empty sets. Cells are those of K-Means, so
the reach is Euclidean: |x - y|^2 = |x| + |y| - 2 I. A pair of similarity t or more has I >= t / (1 + t)
(|x| + |y|) and |y| <= |x| / t, hence |x - y|^2 <= |x| (1 - t) / t.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from shapecluster._core.sbd.blocks import BLOCK_BYTES, map_blocks, row_blocks
from shapecluster._typing import Float64Array, FloatArray, IntArray

_ROUNDING = 1e-9  # what a squared distance to a center may be off by, as a share of what it is made of


@dataclass(frozen=True)
class SetQueries:
    """A block of queries: sparse, as columns of a dense matrix, and their sizes."""

    rows: Any
    columns: FloatArray
    sizes: Float64Array

    def __len__(self) -> int:
        return len(self.sizes)


@dataclass(frozen=True)
class SetSpace:
    """Sets by cell, and the centers of the cells.

    Attributes
    ----------
    rows : CSR matrix of shape (n_rows, n_features), float32
        Ones only.
    centers : ndarray of shape (n_cells, n_features)
        float64.
    sizes : ndarray of shape (n_rows,)
    """

    rows: Any
    centers: Float64Array
    sizes: Float64Array

    exact = True

    @classmethod
    def of(cls, rows: Any, centers: Float64Array) -> SetSpace:
        """Count the sizes."""
        return cls(rows, centers, sizes_of(rows))

    def __len__(self) -> int:
        return int(self.rows.shape[0])

    def prepare(self, x: Any) -> SetQueries:
        """A block of queries."""
        return SetQueries(x, np.ascontiguousarray(x.T.toarray()), sizes_of(x))

    def nearest_cells(self, queries: SetQueries, n_cells: int) -> tuple[IntArray, Float64Array]:
        """The nearest centers of each query, and the Euclidean distances to them."""
        return nearest_centers_of_sets(queries.rows, self.centers, n_cells)

    def reaches(self, queries: SetQueries) -> Float64Array:
        """Euclidean distances to all centers."""
        return _distances(queries.rows, self.centers)

    def reach_error(self, queries: SetQueries) -> float:
        """A distance near 0 is off by the root of what its square is off by."""
        largest = queries.sizes.max(initial=0.0) + np.square(self.centers).sum(axis=1).max(initial=0.0)
        return float(2 * np.sqrt(_ROUNDING * (largest + self.sizes.max(initial=0.0))))

    def radius(self, queries: SetQueries, hurdle: Float64Array) -> Float64Array:
        """Largest Euclidean distance of a set that is similar enough."""
        similarity = 1.0 - hurdle
        some = similarity > 1e-9
        out = np.full(len(hurdle), np.inf)
        squares = queries.sizes[some] * np.maximum(1.0 - similarity[some], 0.0) / similarity[some]
        out[some] = np.sqrt(squares) * (1.0 + 1e-9)
        return out

    def limit(self, hurdle: Float64Array) -> FloatArray:
        """Floors are distances."""
        return hurdle

    def sift(self, queries: SetQueries, query: int, rows: IntArray, hurdle: float) -> IntArray:
        """Rows of a size near enough: similarity is at most the smaller size over the larger."""
        similarity, size = (1.0 - hurdle) * (1.0 - 1e-9), queries.sizes[query]
        if not similarity > 0.0:
            return rows
        sizes = self.sizes[rows]
        near: IntArray = rows[(sizes >= similarity * size) & (sizes * similarity <= size)]
        return near

    def floors(self, queries: SetQueries, which: IntArray, rows: slice | IntArray) -> FloatArray:
        """The distances of all pairs."""
        common = self.rows[rows] @ queries.columns[:, which]
        return jaccard_distances(common.astype(np.float64), self.sizes[rows][:, None], queries.sizes[which]).T

    def tighten(self, queries: SetQueries, which: IntArray, rows: IntArray, floor: FloatArray) -> FloatArray:
        """There is nothing better than distances."""
        return floor

    def values(
        self, queries: SetQueries, which: IntArray, rows: IntArray, hurdle: Float64Array
    ) -> tuple[Float64Array, IntArray]:
        """The distances of listed pairs."""
        common = np.empty(len(which))
        for part in row_blocks(len(which), 64, BLOCK_BYTES):
            product = queries.rows[which[part]].multiply(self.rows[rows[part]])
            common[part] = np.asarray(product.sum(axis=1)).ravel()
        values = jaccard_distances(common, self.sizes[rows], queries.sizes[which])
        return values, np.zeros(len(which), dtype=np.intp)


def jaccard_distances(common: Float64Array, first: Float64Array, second: Float64Array) -> Float64Array:
    """One minus intersection over union, from the sizes of both sets; two empty sets are the same."""
    union = first + second - common
    return 1.0 - np.divide(common, union, out=np.ones_like(union), where=union > 0)


def nearest_centers_of_sets(
    x: Any, centers: Float64Array, n_cells: int = 1, *, n_threads: int = 1
) -> tuple[IntArray, Float64Array]:
    """The nearest centers of each set, best first; the lowest index first where they are as near."""
    cells = np.empty((x.shape[0], n_cells), dtype=np.intp)
    distances = np.empty((x.shape[0], n_cells))

    def find(rows: slice) -> None:
        values = _distances(x[rows], centers)
        if n_cells == 1:
            order = values.argmin(axis=1)[:, None]
        else:
            order = np.argsort(values, axis=1, kind="stable")[:, :n_cells]
        cells[rows], distances[rows] = order, np.take_along_axis(values, order, axis=1)

    map_blocks(find, row_blocks(x.shape[0], 8 * len(centers), BLOCK_BYTES), n_threads)
    return cells, distances


def sizes_of(x: Any) -> Float64Array:
    """Number of members of each set."""
    sizes: Float64Array = np.diff(x.indptr).astype(np.float64)
    return sizes


def _distances(x: Any, centers: Float64Array) -> Float64Array:
    """Euclidean distances; a sparse product adds up the members of a row in their order, in any block."""
    squares = x.astype(np.float64) @ np.ascontiguousarray(centers.T)
    squares *= -2
    squares += sizes_of(x)[:, None] + np.square(centers).sum(axis=1)
    distances: Float64Array = np.sqrt(np.maximum(squares, 0.0))
    return distances


def as_sets(x: Any) -> Any:
    """CSR rows of float32 ones in order, whatever they came as."""
    rows = sparse.csr_matrix(x, dtype=np.float32, copy=True)
    rows.eliminate_zeros()
    rows.sum_duplicates()
    return rows
