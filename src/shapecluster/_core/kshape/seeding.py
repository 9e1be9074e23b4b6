"""The first centers: rows spread out by k-means++ under SBD^2, or rows drawn at random."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from shapecluster._arrays import joined, take
from shapecluster._core.kshape.assignment import Assigned, Resolved
from shapecluster._core.sbd.blocks import map_blocks, shared_blocks
from shapecluster._core.sbd.bounds import (
    ANGLE_ROUNDING,
    SpectralBounds,
    angle_lower_bound,
    angle_upper_bound,
    choose_low_pass,
)
from shapecluster._core.sbd.correlation import evaluate_pairs
from shapecluster._core.sbd.normalize import scaled_weights
from shapecluster._core.sbd.shapes import Shapes, materialize, profile_of, unit_rows_of
from shapecluster._typing import Float64Array, FloatArray, IntArray

N_CANDIDATES = 4
"""Rows tried for each next seed. Not a function of k, so the seeds for k are the first k of a larger run."""


@dataclass(frozen=True)
class Start:
    """Start of a run: centers of shape (n_clusters, n_channels, n_timepoints), and an earlier assignment.

    `assigned` is an assignment of the series to these centers or to nearby ones, or None.
    """

    centers: FloatArray
    assigned: Assigned | None = None


@dataclass(frozen=True)
class Seeds:
    """Rows to start from, and the bounds that choosing them gave for all others.

    Attributes
    ----------
    x : Shapes
        All series.
    rows : ndarray of shape (n_seeds,)
        The seeds, in the order in which they were drawn.
    lower_bounds : ndarray of shape (n_series, n_seeds), float32, or None
        Lower bounds of the angles between series and seeds; None if they were not kept.
    nearer : list of Resolved
        For each seed, the series that are nearer to it than to any seed before.
    """

    x: Shapes
    rows: IntArray
    lower_bounds: FloatArray | None
    nearer: list[Resolved]

    def start(self, n_clusters: int) -> Start:
        """Start of a run with so many clusters, at the first seeds."""
        return Start(unit_rows_of(self.x, self.rows[:n_clusters]), self.assigned(n_clusters))

    def assigned(self, n_clusters: int) -> Assigned | None:
        """Assignment to the first seeds; None if no bounds were kept."""
        if self.lower_bounds is None:
            return None
        seeds = materialize(self.x, self.rows[:n_clusters])
        result = Assigned.empty(seeds, len(self.x), self.lower_bounds[:, :n_clusters])
        for found in self.nearer[:n_clusters]:
            result.put(found)
        return result


def k_shape_plus_plus(
    x: Shapes,
    n_clusters: int,
    weights: Float64Array,
    rng: np.random.RandomState,
    *,
    keep: bool = True,
    n_threads: int = 1,
) -> Seeds:
    """Draw rows far from each other: greedy k-means++ with SBD^2 in place of the squared distance.

    A candidate matters only to the series that are nearer to it than to any seed so far. Bounds rule out
    most others: the triangle inequality with the nearest seed, and short transforms.

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
    keep : bool, default=True
        Whether to keep bounds for the first assignment, n_series x n_clusters numbers.
    n_threads : int, default=1
        Threads for the correlations; the result does not depend on it.

    Returns
    -------
    Seeds
        Row numbers repeat only if there are fewer distinct shapes than clusters.

    References
    ----------
    Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
    """
    usable = np.where(x.flat, 0.0, scaled_weights(weights))
    search = _SeedSearch(x, n_clusters, keep and not x.narrow, n_threads)
    search.add_best(_draw(usable, rng.uniform(size=1)), usable)
    for _ in range(1, n_clusters):
        potential = usable * search.square_distance
        # Drawn in any case, so that seeds do not depend on later steps.
        draws = rng.uniform(size=N_CANDIDATES)
        exhausted = not potential.any()  # every shape is a seed already
        search.add_best(_unused(usable, search.seeds) if exhausted else _draw(potential, draws), usable)
    return Seeds(x, np.array(search.seeds, dtype=np.intp), search.lower_bounds, search.nearer)


class _SeedSearch:
    """The seeds so far, and the nearest of them to each series."""

    def __init__(self, x: Shapes, n_clusters: int, keep: bool, n_threads: int) -> None:
        self.x, self.n_threads = x, n_threads
        self.seeds: list[int] = []
        self.nearer: list[Resolved] = []
        self.lower_bounds = np.zeros((len(x), n_clusters), dtype=np.float32) if keep else None
        self.labels = np.zeros(len(x), dtype=np.intp)
        self.ncc = np.full(len(x), -np.inf)
        self.square_distance = np.where(x.flat, 1.0, np.inf)
        self.low_pass = None if x.narrow else choose_low_pass(x)

    def add_best(self, candidates: IntArray, usable: Float64Array) -> None:
        """Make that candidate the next seed which leaves the smallest sum of SBD^2 to the nearest seeds."""
        y, label = materialize(self.x, candidates), len(self.seeds)
        separation = None
        if self.lower_bounds is not None and self.seeds and self.x.all_shifts:
            separation = self.lower_bounds[candidates, :label]
        spectral = None if self.low_pass is None else SpectralBounds(y, profile_of(y), self.low_pass)
        compare = partial(self._compare_block, y, separation, spectral)
        blocks = shared_blocks(len(self.x), self.x.row_bytes // 8, self.n_threads)
        lower_bounds, parts = zip(*map_blocks(compare, blocks, self.n_threads), strict=True)
        found = joined(parts)
        sbd = 1.0 - found.ncc
        sbd[sbd <= self.x.tie_band] = 0.0  # a copy of a seed must never be drawn
        reached = np.repeat(self.square_distance[None], len(candidates), axis=0)
        nearer_by = found.labels, found.rows
        reached[nearer_by] = np.minimum(reached[nearer_by], sbd * sbd)
        best = int((usable * reached).sum(axis=-1).argmin())
        nearer = take(found, found.labels == best)
        self.seeds.append(int(candidates[best]))
        self.labels[nearer.rows], self.ncc[nearer.rows] = label, nearer.ncc
        self.square_distance = reached[best]
        if self.lower_bounds is not None:
            self.lower_bounds[:, label] = np.concatenate([bounds[:, best] for bounds in lower_bounds])
            self.nearer.append(nearer._replace(labels=np.full(len(nearer.rows), label)))

    def _compare_block(
        self, y: Shapes, separation: FloatArray | None, spectral: SpectralBounds | None, rows: slice
    ) -> tuple[FloatArray, Resolved]:
        """Bounds of all pairs with candidates, and the exact values of those in which one is nearer.

        `separation` bounds the angles between the candidates and the seeds.
        """
        x, threshold = materialize(self.x, rows), self.ncc[rows]
        radius = angle_upper_bound(threshold, 0.0).astype(np.float32) + ANGLE_ROUNDING
        bounds = np.full((len(x), len(y)), -np.inf, dtype=np.float32)
        if separation is not None:
            np.subtract(separation.T[self.labels[rows]], radius[:, None], out=bounds)
        possible = ~(x.flat[:, None] | y.flat)
        first, second = np.nonzero((bounds <= radius[:, None]) & possible)
        if spectral is not None and len(first):
            tighter = spectral.listed_pairs(x, first, second)
            bounds[first, second] = np.maximum(bounds[first, second], tighter)
            first, second = np.nonzero((bounds <= radius[:, None]) & possible)
        found = evaluate_pairs(x, y, first, second, threshold[first])
        bounds[first, second] = angle_lower_bound(found.peak, x.screen_error)
        other_shift_bound = angle_lower_bound(found.runner_up, x.screen_error)
        nearer = Resolved(rows.start + first, second, found.ncc, found.shifts, other_shift_bound)
        return bounds, take(nearer, found.ncc > threshold[first])


def random_rows(x: Shapes, n_clusters: int, weights: Float64Array, rng: np.random.RandomState) -> Seeds:
    """Draw distinct rows at random, by weight; flat rows and rows of weight zero are never drawn."""
    usable = np.where(x.flat, 0.0, scaled_weights(weights))
    shares = usable / usable.sum()
    rows = rng.choice(
        len(shares), size=min(n_clusters, int(np.count_nonzero(shares))), replace=False, p=shares
    )
    return Seeds(x, np.resize(rows, n_clusters).astype(np.intp), None, [])


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
