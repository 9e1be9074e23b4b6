"""Exact silhouettes of some rows of one or more clusterings, from distances measured block by block.

Each sampled row is compared with all rows. The distances of a block serve every clustering, and are then
dropped, so memory does not grow with the square of the number of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from scipy import sparse

from shapecluster._core.sbd.blocks import row_blocks
from shapecluster._sklearn_compat import check_random_state
from shapecluster._typing import Float64Array, IntArray

PairDistances: TypeAlias = Callable[[IntArray, IntArray], Float64Array]
"""From positions of rows and of other rows to distances of shape (n_rows, n_others)."""

# Blocks have constant sizes, so that sums run in the same order on every machine. Narrow blocks waste few
# distances on pairs of sampled rows that are measured twice.
_BLOCK_ROWS = 2048
_BLOCK_COLUMNS = 64


def draw_rows(
    candidates: IntArray, n_samples: int | None, random_state: int | np.random.RandomState | None
) -> IntArray:
    """Draw rows without replacement.

    Parameters
    ----------
    candidates : ndarray of shape (n_candidates,)
        Positions of the rows to draw from.
    n_samples : int or None
        Number of rows to draw; None draws all.
    random_state : int, RandomState or None
        Seeds the draw.

    Returns
    -------
    rows : ndarray
        Positions, increasing; all candidates where there are at most `n_samples`.
    """
    if n_samples is None or len(candidates) <= n_samples:
        return candidates
    return np.sort(check_random_state(random_state).choice(candidates, n_samples, replace=False))


def silhouette_values(
    distances: PairDistances,
    labelings: Sequence[IntArray],
    sampled: IntArray,
    weights: Float64Array | None = None,
) -> list[Float64Array]:
    """Compute the silhouettes of sampled rows among all rows, for several clusterings of the same rows.

    Parameters
    ----------
    distances : callable
        Measures blocks of distances. It must be symmetric; a row's distance to itself is not used.
    labelings : sequence of ndarray of shape (n_rows,)
        Cluster of each row, for each clustering.
    sampled : ndarray of shape (n_sampled,)
        Positions of the rows to compute silhouettes for.
    weights : ndarray of shape (n_rows,), default=None
        Positive weight of each row in the mean distances to clusters. None, and any equal weights, give the
        usual silhouette.

    Returns
    -------
    values : list of ndarray of shape (n_sampled,)
        One array per clustering, in [-1, 1]. A row alone in its cluster has 0. All are NaN for a
        clustering with fewer than two clusters.

    Raises
    ------
    ValueError
        If distances or their sums are too large for float64.

    Notes
    -----
    Each pair of sampled rows is measured once. The memory needed is that of one block of 2048 x 64 distances,
    and of one number per sampled row and cluster of every clustering.
    """
    n_rows = len(labelings[0])
    rest = np.ones(n_rows, dtype=bool)
    rest[sampled] = False
    # With the sampled rows first, the pairs not measured yet are those from a block's first row on.
    order = np.concatenate([sampled, np.flatnonzero(rest)])
    # Relative weights keep their sums from overflowing.
    weighing = np.ones(n_rows) if weights is None else (weights / weights.max())[order]
    clusterings = [_ClusterSums(labels[order], weighing, len(sampled)) for labels in labelings]
    for columns in row_blocks(len(sampled), 1, _BLOCK_COLUMNS):
        for part in row_blocks(n_rows - columns.start, 1, _BLOCK_ROWS):
            rows = slice(columns.start + part.start, columns.start + part.stop)
            block = distances(order[rows], order[columns])
            if rows.start == columns.start:
                np.fill_diagonal(block, 0.0)  # of a row to itself
            for sums in clusterings:
                sums.add(rows, columns, block)
            later = slice(max(rows.start, columns.stop), min(rows.stop, len(sampled)))
            # Sampled rows of later blocks: their distances to these are known now.
            if later.start < later.stop:
                back = np.ascontiguousarray(block[later.start - rows.start : later.stop - rows.start].T)
                for sums in clusterings:
                    sums.add(columns, later, back)
    return [sums.silhouettes() for sums in clusterings]


class _ClusterSums:
    """Weighted sums of the distances from sampled rows to each cluster of one clustering."""

    def __init__(self, labels: IntArray, weights: Float64Array, n_sampled: int) -> None:
        found, self.own = np.unique(labels, return_inverse=True)
        self.weights = weights
        self.sums = np.zeros((len(found), n_sampled))  # the sampled rows come first

    def add(self, rows: slice, columns: slice, block: Float64Array) -> None:
        """Add the distances from the sampled rows in `columns` to the rows in `rows`."""
        # A sparse product adds in the order of the rows, whereas BLAS orders sums by its threads.
        n_clusters, n_rows = len(self.sums), rows.stop - rows.start
        entries = (self.weights[rows], self.own[rows], np.arange(n_rows + 1))
        indicators = sparse.csc_array(entries, shape=(n_clusters, n_rows))
        self.sums[:, columns] += np.asarray(indicators @ block)

    def silhouettes(self) -> Float64Array:
        """Turn the sums into silhouettes."""
        if len(self.sums) < 2:
            return np.full(self.sums.shape[1], np.nan)
        if not np.isfinite(self.sums).all():
            raise ValueError(
                "The silhouette sums distances in float64, which holds up to about 1.8e308. Got larger sums "
                "instead: scale the rows down, or drop those with huge values."
            )
        n_sampled = self.sums.shape[1]
        sizes = np.bincount(self.own)
        cluster_weights = np.bincount(self.own, weights=self.weights)
        own, each = self.own[:n_sampled], np.arange(n_sampled)
        others = cluster_weights[own] - self.weights[:n_sampled]
        # Weights that rounding loses next to a huge one leave no other member either.
        alone = (sizes[own] == 1) | (others <= 0)
        within = self.sums[own, each] / np.where(alone, 1.0, others)
        means = self.sums / cluster_weights[:, None]
        means[own, each] = np.inf
        nearest = means.min(axis=0)
        scale = np.maximum(within, nearest)
        defined = ~alone & (scale > 0)
        values = np.zeros(n_sampled)
        values[defined] = (nearest[defined] - within[defined]) / scale[defined]
        return values
