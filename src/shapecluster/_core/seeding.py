"""The first centres: rows spread out by k-means++ under SBD^2, or rows drawn at random."""

from __future__ import annotations

import numpy as np

from shapecluster._core.correlation import align_all
from shapecluster._core.normalise import scaled_weights
from shapecluster._core.shapes import Shapes, take
from shapecluster._typing import Float64Array, IntArray

N_CANDIDATES = 4
"""Rows tried for each next seed. Not a function of k, so the seeds for k are the first k of a larger run."""


def k_shape_plus_plus(
    x: Shapes, n_clusters: int, weights: Float64Array, rng: np.random.RandomState, *, n_threads: int = 1
) -> IntArray:
    """Draw rows far from each other: greedy k-means++ with SBD^2 in the place of squared distance.

    Parameters
    ----------
    x : Shapes
        All series.
    n_clusters : int
        Number of seeds.
    weights : ndarray of shape (n_series,)
        Rows of weight zero and flat rows are never drawn.
    rng : numpy.random.RandomState
        Source of randomness.
    n_threads : int, default=1
        Threads for the correlations; the result does not depend on it.

    Returns
    -------
    ndarray of shape (n_clusters,)
        Row numbers. They repeat only when there are fewer distinct shapes than clusters.

    References
    ----------
    Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
    """
    usable = np.where(x.flat, 0.0, scaled_weights(weights))
    seeds = [int(_draw(usable, rng.uniform(size=1))[0])]
    closest = _square_distance(x, np.array(seeds), n_threads)[0]
    for _ in range(1, n_clusters):
        potential = usable * closest
        draws = rng.uniform(size=N_CANDIDATES)  # drawn in any case: seeds do not depend on what follows
        exhausted = not potential.any()  # every shape is a seed already
        candidates = _unused(usable, seeds) if exhausted else _draw(potential, draws)
        reached = np.minimum(closest, _square_distance(x, candidates, n_threads))
        best = int((usable * reached).sum(axis=-1).argmin())
        seeds.append(int(candidates[best]))
        closest = reached[best]
    return np.array(seeds, dtype=np.intp)


def random_rows(x: Shapes, n_clusters: int, weights: Float64Array, rng: np.random.RandomState) -> IntArray:
    """Draw distinct rows at random, by weight; flat rows and rows of weight zero are never drawn."""
    usable = np.where(x.flat, 0.0, scaled_weights(weights))
    shares = usable / usable.sum()
    rows = rng.choice(
        len(shares), size=min(n_clusters, int(np.count_nonzero(shares))), replace=False, p=shares
    )
    return np.resize(rows, n_clusters).astype(np.intp)


def _draw(potential: Float64Array, uniform: Float64Array) -> IntArray:
    """Rows at the given quantiles of the potential; never one whose potential is zero."""
    cumulative = np.cumsum(potential)
    rows = np.searchsorted(cumulative, uniform * cumulative[-1], side="right")
    drawn: IntArray = np.minimum(rows, np.flatnonzero(potential)[-1])
    return drawn


def _unused(usable: Float64Array, seeds: list[int]) -> IntArray:
    """The first usable row that is no seed yet, or the first usable row when all are."""
    rows = np.flatnonzero(usable)
    free = np.setdiff1d(rows, seeds)
    return (free if len(free) else rows)[:1]


def _square_distance(x: Shapes, rows: IntArray, n_threads: int) -> Float64Array:
    """SBD^2 of every series to some of them, shape (len(rows), n_series); ties with zero are zero."""
    sbd = 1.0 - align_all(x, take(x, rows), n_threads=n_threads).ncc
    sbd[sbd <= x.tie_band] = 0.0
    return np.ascontiguousarray((sbd * sbd).T)
