"""The silhouette of many rows from a sample of them, with the error that sampling makes."""

from __future__ import annotations

from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from shapecluster._sklearn_compat import Interval, check_array, check_random_state, validate_params
from shapecluster._typing import Float64Array, IntArray

_BLOCK_BYTES = 1 << 25  # distances at a time


class SampledSilhouette(NamedTuple):
    """A mean silhouette, and how far it may be from that of all rows.

    Parameters
    ----------
    mean : float
        Mean over the sampled rows; NaN where there is one cluster only.
    error : float
        Its standard error: 0 when every row was taken. The silhouette of all rows lies within two of them
        in some 95 of 100 samples.
    n_samples : int
        Rows that were sampled.

    Examples
    --------
    >>> from shapecluster.metrics import sampled_silhouette
    >>> sampled_silhouette([[0.0], [1.0], [10.0]], [0, 0, 1]).n_samples
    3
    """

    mean: float
    error: float
    n_samples: int


@validate_params(
    {
        "X": ["array-like", "sparse matrix"],
        "labels": ["array-like"],
        "n_samples": [Interval(Integral, 2, None, closed="left"), None],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def sampled_silhouette(
    X: Any,
    labels: Any,
    *,
    n_samples: int | None = 1000,
    random_state: int | np.random.RandomState | None = None,
) -> SampledSilhouette:
    """Estimate the mean silhouette of a Euclidean clustering of many rows.

    A sample of the rows is compared with *all* rows, so each sampled silhouette is exact, and their mean
    is unbiased. (Silhouettes within a sample are not: distances to small clusters are noisy, and the
    nearest of many noisy ones is too near. Where clusters are weak that can outweigh the silhouette itself.)

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_rows, n_features)
        Rows.
    labels : array-like of int of shape (n_rows,)
        Cluster of each row.
    n_samples : int or None, default=1000
        How many rows to sample, without replacement; None, or as many as there are, takes all.
    random_state : int, RandomState or None, default=None
        Draws the sample.

    Returns
    -------
    SampledSilhouette
        Mean, standard error and number of rows sampled.

    Raises
    ------
    ValueError
        If there are not as many labels as rows, or X is no table of finite numbers.

    See Also
    --------
    sklearn.metrics.silhouette_score : From all pairs, or within a sample.

    Notes
    -----
    It takes n_samples * n_rows distances, of which some 32 MB are kept at a time. The standard error counts
    that the sample is drawn without replacement.

    References
    ----------
    P. J. Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation of cluster
    analysis", Journal of Computational and Applied Mathematics 20, 1987. W. G. Cochran, "Sampling
    Techniques", 3rd edition, 1977, section 2.6.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from shapecluster.metrics import sampled_silhouette
    >>> X, y = make_blobs(n_samples=5000, centers=4, random_state=3)
    >>> found = sampled_silhouette(X, y, n_samples=500, random_state=0)
    >>> round(found.mean, 2), round(found.error, 3)
    (0.74, 0.003)
    """
    rows = check_array(X, accept_sparse="csr", dtype=[np.float64, np.float32])
    found, own = np.unique(np.asarray(labels), return_inverse=True)
    if own.shape != (rows.shape[0],):
        raise ValueError(
            f"sampled_silhouette needs a label for each of the {rows.shape[0]} rows of X. "
            f"Got shape {np.shape(labels)} instead."
        )
    n_rows = rows.shape[0]
    sampled = np.arange(n_rows)
    if n_samples is not None and n_samples < n_rows:
        sampled = np.sort(check_random_state(random_state).choice(n_rows, n_samples, replace=False))
    if len(found) < 2:
        return SampledSilhouette(float("nan"), float("nan"), len(sampled))
    values = _silhouettes(rows, own, sampled)
    unseen = 1.0 - len(sampled) / n_rows
    error = np.sqrt(unseen * values.var(ddof=1) / len(sampled))
    return SampledSilhouette(float(values.mean()), float(error), len(sampled))


def _silhouettes(rows: Any, own: IntArray, sampled: IntArray) -> Float64Array:
    """Silhouettes of some rows among all of them."""
    order = np.argsort(own, kind="stable")  # members of a cluster side by side, to sum them in one go
    sizes = np.bincount(own)
    starts = np.cumsum(sizes) - sizes
    asking, members = rows[sampled], rows[order]
    if not hasattr(rows, "indptr"):
        center = rows.mean(axis=0, dtype=np.float64)  # or squares would cancel far from the origin
        asking, members = asking - center, members - center
    norms = _squares(members)
    place = np.argsort(order)[sampled]  # of each sampled row among the members
    values = np.zeros(len(sampled))
    step = max(1, _BLOCK_BYTES // (8 * len(own)))
    for first in range(0, len(sampled), step):
        part = slice(first, min(first + step, len(sampled)))
        block = asking[part].toarray() if hasattr(asking, "indptr") else asking[part]
        distances = -2.0 * np.asarray(members @ block.T.astype(np.float64))
        distances += norms[:, None]
        distances += norms[place[part]]
        np.sqrt(np.maximum(distances, 0.0, out=distances), out=distances)
        distances[place[part], np.arange(distances.shape[1])] = 0.0  # to itself, but for rounding
        values[part] = _from_sums(np.add.reduceat(distances, starts, axis=0), sizes, own[sampled[part]])
    return values


def _squares(rows: Any) -> Float64Array:
    if hasattr(rows, "indptr"):
        return np.asarray(rows.multiply(rows).sum(axis=1), dtype=np.float64).ravel()
    squares: Float64Array = np.einsum("ij,ij->i", rows, rows)
    return squares


def _from_sums(sums: Float64Array, sizes: IntArray, mine: IntArray) -> Float64Array:
    """Silhouettes of the columns, from the sums of distances to each cluster."""
    at = (mine, np.arange(len(mine)))
    alone = sizes[mine] == 1
    within = sums[at] / np.where(alone, 1, sizes[mine] - 1)
    means = sums / sizes[:, None]
    means[at] = np.inf
    nearest = means.min(axis=0)
    scale = np.maximum(within, nearest)
    defined = ~alone & (scale > 0)
    values = np.zeros(len(mine))
    values[defined] = (nearest[defined] - within[defined]) / scale[defined]
    return values
