"""Jaccard space: sets (sparse rows of ones) and the centers of their cells.

The distance is one minus intersection over union, and 0 for two empty sets. Sparse products count
intersections, exactly in float32 below 2^24. Every lower bound is therefore the distance itself.

Cells are those of K-Means, so distances to centers are Euclidean: |x - y|^2 = |x| + |y| - 2 I for an
intersection of size I. A pair of similarity t or more has I >= t / (1 + t) (|x| + |y|) and |y| <= |x| / t,
hence |x - y|^2 <= |x| (1 - t) / t.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from shapecluster._core.index.search import Space
from shapecluster._core.sbd.blocks import map_blocks, row_blocks
from shapecluster._typing import Float64Array, FloatArray, IntArray

_ROUNDING = 1e-9  # relative error of a squared distance to a center: far above that of float64 sums


@dataclass(frozen=True)
class SetQueries:
    """A block of queries: as sparse rows, as columns of a dense matrix, and their sizes."""

    rows: Any
    columns: FloatArray
    sizes: Float64Array

    def __len__(self) -> int:
        return len(self.sizes)


@dataclass(frozen=True)
class SetSpace(Space):
    """Sets sorted by cell, and the centers of the cells.

    Attributes
    ----------
    rows : CSR matrix of shape (n_rows, n_features), float32
        All values are one.
    centers : ndarray of shape (n_cells, n_features)
        float64.
    sizes : ndarray of shape (n_rows,)
        Number of members of each set.
    """

    rows: Any
    centers: Float64Array
    sizes: Float64Array

    @classmethod
    def of(cls, rows: Any, centers: Float64Array) -> SetSpace:
        """Make a space from rows sorted by cell."""
        return cls(rows, centers, sizes_of(rows))

    def prepare(self, x: Any) -> SetQueries:
        """Prepare a block of queries."""
        return SetQueries(x, np.ascontiguousarray(x.T.toarray()), sizes_of(x))

    def nearest_cells(self, queries: SetQueries, n_cells: int) -> tuple[IntArray, Float64Array]:
        """Return the nearest centers of each query, and the Euclidean distances to them."""
        return nearest_centers_of_sets(queries.rows, self.centers, n_cells)

    def center_distances(self, queries: SetQueries) -> Float64Array:
        """Return the Euclidean distances to all centers."""
        return _distances(queries.rows, self.centers)

    def center_distance_error(self, queries: SetQueries) -> float:
        """Return the largest rounding error of a difference of two distances to a center."""
        # A distance near 0 has the root of the error of its square.
        largest = queries.sizes.max(initial=0.0) + np.square(self.centers).sum(axis=1).max(initial=0.0)
        return float(2 * np.sqrt(_ROUNDING * (largest + self.sizes.max(initial=0.0))))

    def triangle_radius(self, queries: SetQueries, threshold: Float64Array) -> Float64Array:
        """Return the largest Euclidean distance of a set within the threshold."""
        similarity = 1.0 - threshold
        some = similarity > 1e-9  # sets that share nothing may be arbitrarily far apart
        out = np.full(len(threshold), np.inf)
        squares = queries.sizes[some] * np.maximum(1.0 - similarity[some], 0.0) / similarity[some]
        out[some] = np.sqrt(squares) * (1.0 + 1e-9)
        return out

    def prefilter(self, queries: SetQueries, query: int, rows: IntArray, threshold: float) -> IntArray:
        """Keep rows of similar size: similarity is at most the smaller size over the larger."""
        similarity, size = (1.0 - threshold) * (1.0 - 1e-9), queries.sizes[query]
        if not similarity > 0.0:
            return rows
        sizes = self.sizes[rows]
        near: IntArray = rows[(sizes >= similarity * size) & (sizes * similarity <= size)]
        return near

    def lower_bounds(self, queries: SetQueries, which: IntArray, rows: slice | IntArray) -> FloatArray:
        """Return the distances of all pairs."""
        common = self.rows[rows] @ queries.columns[:, which]
        return jaccard_distances(common.astype(np.float64), self.sizes[rows][:, None], queries.sizes[which]).T

    def distances(
        self, queries: SetQueries, which: IntArray, rows: IntArray, threshold: Float64Array
    ) -> tuple[Float64Array, IntArray]:
        """Return the distances of listed pairs."""
        common = np.empty(len(which))
        for part in row_blocks(len(which), 64):
            product = queries.rows[which[part]].multiply(self.rows[rows[part]])
            common[part] = np.asarray(product.sum(axis=1)).ravel()
        values = jaccard_distances(common, self.sizes[rows], queries.sizes[which])
        return values, np.zeros(len(which), dtype=np.intp)


def jaccard_distances(common: Float64Array, first: Float64Array, second: Float64Array) -> Float64Array:
    """Compute one minus intersection over union from the sizes of both sets; 0 for two empty sets."""
    union = first + second - common
    return 1.0 - np.divide(common, union, out=np.ones_like(union), where=union > 0)


def nearest_centers_of_sets(
    x: Any, centers: Float64Array, n_cells: int = 1, *, n_threads: int = 1
) -> tuple[IntArray, Float64Array]:
    """Return the nearest centers of each set, nearest first; of equal distances the lower index first."""
    cells = np.empty((x.shape[0], n_cells), dtype=np.intp)
    distances = np.empty((x.shape[0], n_cells))

    def find(rows: slice) -> None:
        values = _distances(x[rows], centers)
        if n_cells == 1:
            order = values.argmin(axis=1)[:, None]
        else:
            order = np.argsort(values, axis=1, kind="stable")[:, :n_cells]
        cells[rows], distances[rows] = order, np.take_along_axis(values, order, axis=1)

    map_blocks(find, row_blocks(x.shape[0], 8 * len(centers)), n_threads)
    return cells, distances


def sizes_of(x: Any) -> Float64Array:
    """Count the members of each set."""
    sizes: Float64Array = np.diff(x.indptr).astype(np.float64)
    return sizes


def _distances(x: Any, centers: Float64Array) -> Float64Array:
    """Compute Euclidean distances between sets and centers."""
    # A sparse product sums the members of a row in their order, so results do not depend on the block.
    squares = x.astype(np.float64) @ np.ascontiguousarray(centers.T)
    squares *= -2
    squares += sizes_of(x)[:, None] + np.square(centers).sum(axis=1)
    distances: Float64Array = np.sqrt(np.maximum(squares, 0.0))
    return distances


def as_sets(x: Any) -> Any:
    """Convert to CSR rows of float32 ones with sorted indices."""
    rows = sparse.csr_matrix(x, dtype=np.float32, copy=True)
    rows.eliminate_zeros()
    rows.sum_duplicates()
    return rows
