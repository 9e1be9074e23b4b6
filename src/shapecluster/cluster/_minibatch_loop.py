"""The loop of `MiniBatchLocalKShape.fit`: passes over all series in random mini-batches, and when to stop."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from shapecluster._core.kshape.assignment import assign
from shapecluster._core.kshape.run import FitSettings, Iterate, assign_refill_empty, inertia
from shapecluster._core.kshape.sketch import MiniBatchState, advance_batch
from shapecluster._core.sbd.shapes import Shapes, materialize, shapes_of, subset
from shapecluster._typing import Float64Array, FloatArray, IntArray

logger = logging.getLogger("shapecluster")


@dataclass
class BatchSource:
    """The series of a fit, and the number of pairs that were transformed so far."""

    x: Shapes
    weights: Float64Array
    settings: FitSettings
    n_correlations: int = 0

    def inertia(self, centers: FloatArray, rows: IntArray) -> float:
        """Inertia of some of the series under given centers."""
        targets = shapes_of(centers, self.x.window)
        part = subset(self.x, rows)
        assigned = assign(part, targets, keep=False, n_threads=self.settings.n_threads)
        self.n_correlations += assigned.n_correlations
        return inertia(1.0 - assigned.nearest.ncc, self.weights[rows])

    def assign(self, state: MiniBatchState) -> tuple[MiniBatchState, Iterate]:
        """Assign all series; a cluster that would be empty is restarted."""
        found, _, n_correlations = assign_refill_empty(self.x, state.centers, self.weights, self.settings)
        self.n_correlations += n_correlations
        new = np.flatnonzero((found.centers != state.centers).any(axis=(1, 2)))
        return replace(state.restarted(new, found.centers[new]), centers=found.centers), found


@dataclass
class EarlyStopping:
    """Stopping rule on the smoothed inertia of mini-batches, as in MiniBatchKMeans.

    Unlike there, the first pass is always completed. The smoothed inertia of a long input starts close to
    that of the first mini-batch. If that one is low by chance, later mini-batches look like no progress.
    """

    n_batches: int  # of a pass
    tol: float
    patience: int | None
    n_steps: int = 0
    smoothed: float = math.inf
    least: float = math.inf
    n_without: int = 0

    def stopped(self, mean_inertia: float, movement: float) -> str | None:
        """Record one more mini-batch; return why the fit stops here, or None."""
        share = max(1.0 / (self.n_steps + 1), min(1.0, 2.0 / self.n_batches))
        before = self.smoothed if self.n_steps else mean_inertia
        self.smoothed = before + share * (mean_inertia - before)
        self.n_steps += 1
        self.n_without = 0 if self.smoothed < self.least else self.n_without + 1
        self.least = min(self.least, self.smoothed)
        if self.n_steps < self.n_batches:
            return None
        if movement <= self.tol and self.tol > 0.0:
            return "tol"
        return "no gain" if self.patience is not None and self.n_without >= self.patience else None


class FitHistory(NamedTuple):
    """Result of the passes of a fit."""

    state: MiniBatchState  # the best state between passes
    n_steps: int
    n_passes: int
    stopped: str


def run_passes(
    source: BatchSource,
    state: MiniBatchState,
    rows: IntArray,
    sample: IntArray,
    rng: np.random.RandomState,
    *,
    batch_size: int,
    tol: float,
    max_no_improvement: int | None,
    verbose: bool,
) -> FitHistory:
    """Process mini-batches until the stopping rule says so; the best state between passes is kept.

    Parameters
    ----------
    source : BatchSource
        The series.
    state : MiniBatchState
        First state.
    rows, sample : ndarray
        The series that take part, and those on which states are compared.
    rng : numpy.random.RandomState
        Source of randomness.
    batch_size, tol, max_no_improvement, verbose
        As in the estimator; `source.settings.max_iter` is the largest number of passes.
    """
    n_batches, settings = math.ceil(len(rows) / batch_size), source.settings
    progress = EarlyStopping(n_batches, tol, max_no_improvement)
    best, least = state, math.inf
    if len(sample) == len(rows):  # first centers were fitted to a smaller sample, and look too good on it
        least = source.inertia(state.centers, sample)
    stopped = None
    for step in range(settings.max_iter * n_batches):
        n_passes, position = divmod(step, n_batches)
        if position == 0:
            batches = np.array_split(rng.permutation(rows), n_batches)
        batch = np.sort(batches[position])  # files are read in their order
        decay = 1.0 if n_passes == 0 else 1.0 - 1.0 / n_batches
        before, weights = state.centers, source.weights[batch]
        block = materialize(source.x, batch)
        state, ssd, n_correlations = advance_batch(
            state, block, weights, rng, decay=decay, n_threads=settings.n_threads
        )
        source.n_correlations += n_correlations
        stopped = progress.stopped(ssd / weights.sum(), _movement(before, state.centers))
        if verbose:
            logger.info("mini-batch %d: smoothed mean inertia %.6g", step + 1, progress.smoothed)
        if stopped or position == n_batches - 1:
            now = source.inertia(state.centers, sample)
            best, least = (state, now) if now < least else (best, least)
        if stopped:
            break
    return FitHistory(best, step + 1, math.ceil((step + 1) / n_batches), stopped or "max_iter")


def _movement(old: FloatArray, new: FloatArray) -> float:
    """Squared distance between old and new centers at unit norm, mean over the clusters."""
    a, b = (x.reshape(len(x), -1).astype(np.float64) for x in (old, new))
    norms = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return float((2.0 - 2.0 * (a * b).sum(axis=1) / norms).mean())
