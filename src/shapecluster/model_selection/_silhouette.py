"""The mean silhouette from distances, so that it can be in an estimator's own metric."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from shapecluster._typing import Float64Array, IntArray

_BLOCK = 2**20  # entries handled at a time, 8 MB


def silhouette(distances: Float64Array, labels: IntArray, sample_weight: Float64Array | None = None) -> float:
    """Compute the mean silhouette of a clustering from all pairs of distances.

    Parameters
    ----------
    distances : ndarray of shape (n, n)
        Distance of each pair.
    labels : ndarray of shape (n,)
        Cluster of each row.
    sample_weight : ndarray of shape (n,), default=None
        Weight of each row, not negative, in the mean distances to clusters and in the mean over rows. A
        row of weight 0 has no influence; None, and any equal weights, give the usual silhouette.

    Returns
    -------
    silhouette : float
        In [-1, 1]; a row alone in its cluster counts 0. NaN when there are fewer than two clusters.

    Notes
    -----
    Sums run in a fixed order, by one thread, so that the result has the same bits wherever it runs.

    References
    ----------
    P. J. Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation of cluster
    analysis", Journal of Computational and Applied Mathematics 20, 1987.
    """
    weights = np.ones(len(labels)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    counted = weights > 0
    if not counted.all():
        distances, labels, weights = distances[np.ix_(counted, counted)], labels[counted], weights[counted]
    found, own = np.unique(labels, return_inverse=True)
    if len(found) < 2:
        return float("nan")
    order = np.argsort(own, kind="stable")  # members of a cluster side by side, to sum them in one go
    starts = np.searchsorted(own[order], np.arange(len(found)))
    masses = np.add.reduceat(weights[order], starts)
    sizes = np.bincount(own)

    values = np.zeros(len(labels))
    step = max(1, _BLOCK // len(labels))
    for first in range(0, len(labels), step):
        rows = np.arange(first, min(first + step, len(labels)))
        sums = np.add.reduceat(distances[rows][:, order] * weights[order], starts, axis=1)
        mine = own[rows]
        to_own = sums[np.arange(len(rows)), mine] - weights[rows] * distances[rows, rows]
        others = masses[mine] - weights[rows]
        means = sums / masses
        means[np.arange(len(rows)), mine] = np.inf
        nearest = means.min(axis=1)
        alone = (sizes[mine] == 1) | (others <= 0)
        within = to_own / np.where(alone, 1.0, others)
        scale = np.maximum(within, nearest)
        defined = ~alone & (scale > 0)
        values[rows[defined]] = (nearest[defined] - within[defined]) / scale[defined]
    return float(np.average(values, weights=weights))
