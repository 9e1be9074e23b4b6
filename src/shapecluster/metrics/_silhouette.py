"""The mean silhouette of many rows, estimated from a sample, with its standard error."""

from __future__ import annotations

from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from shapecluster._sklearn_compat import Interval, validate_params
from shapecluster._typing import ArrayLike
from shapecluster.metrics._euclidean import EuclideanRows
from shapecluster.metrics._silhouette_values import draw_rows, silhouette_values


class SampledSilhouette(NamedTuple):
    """An estimated mean silhouette and its standard error.

    Parameters
    ----------
    mean : float
        Mean over the sampled rows; NaN for a single cluster.
    error : float
        Standard error of the mean; 0 if every row was sampled. The mean over all rows lies within two
        standard errors in about 95 of 100 samples.
    n_samples : int
        Number of sampled rows.

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
    labels: ArrayLike,
    *,
    n_samples: int | None = 1000,
    random_state: int | np.random.RandomState | None = None,
) -> SampledSilhouette:
    """Estimate the mean silhouette of a Euclidean clustering of many rows.

    Each sampled row is compared with *all* rows, so its silhouette is exact, and the mean is unbiased.
    Silhouettes within a sample are biased downwards: mean distances to few members are noisy, and the
    minimum of many noisy distances is too small. For weak clusters this bias can exceed the silhouette.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_rows, n_features)
        Rows.
    labels : array-like of int of shape (n_rows,)
        Cluster of each row.
    n_samples : int or None, default=1000
        Number of rows to sample without replacement; None takes all.
    random_state : int, RandomState or None, default=None
        Seeds the sample.

    Returns
    -------
    SampledSilhouette
        Mean, standard error and number of rows sampled.

    Raises
    ------
    ValueError
        If there are not as many labels as rows, if X is no table of finite numbers, or if sums of distances
        overflow float64.

    See Also
    --------
    sklearn.metrics.silhouette_score : The mean silhouette from all pairs, or within a sample.
    shapecluster.KSweep : Computes silhouettes in the same way, in the metric of its clusterer.

    Notes
    -----
    The cost is n_samples * n_rows distances, half as many if all rows are sampled. They are measured in
    blocks: the extra memory is about 10 MB for 20,000 rows, and grows with the number of rows, not of pairs.
    Distances stay accurate next to rows of any magnitude. The standard error takes into account that the
    sample is drawn without replacement.

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
    rows = EuclideanRows(X)
    given = np.asarray(labels)
    if given.shape != (len(rows),):
        raise ValueError(
            f"sampled_silhouette needs a label for each of the {len(rows)} rows of X. Got shape "
            f"{given.shape} instead."
        )
    sampled = draw_rows(np.arange(len(rows)), n_samples, random_state)
    (values,) = silhouette_values(rows.distances, [given], sampled)
    unseen = 1.0 - len(sampled) / len(rows)
    # The share of unseen rows is the finite population correction. A single row has no variance with ddof=1.
    error = np.sqrt(unseen * values.var(ddof=min(1, len(sampled) - 1)) / len(sampled))
    return SampledSilhouette(float(values.mean()), float(error), len(sampled))
