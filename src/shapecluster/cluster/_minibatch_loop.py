"""Passes over all series in random mini-batches: how they are taken, and when they no longer help."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from shapecluster._core.kshape.assignment import assign
from shapecluster._core.kshape.run import FitSettings, Iterate, assign_refill_empty, inertia
from shapecluster._core.kshape.sketch import MiniBatchState, advance_stream
from shapecluster._core.sbd.shapes import Shapes, materialize, shapes_of, subset
from shapecluster._typing import Float64Array, FloatArray, IntArray

logger = logging.getLogger("shapecluster")


@dataclass
class BatchSource:
    """The series of a fit, kept as memory allows, and the pairs that were transformed so far."""

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

    def assign(self, stream: MiniBatchState) -> tuple[MiniBatchState, Iterate]:
        """Assign all series; a cluster that would be empty starts anew."""
        found, _, n_correlations = assign_refill_empty(self.x, stream.centers, self.weights, self.settings)
        self.n_correlations += n_correlations
        new = np.flatnonzero((found.centers != stream.centers).any(axis=(1, 2)))
        return replace(stream.restarted(new, found.centers[new]), centers=found.centers), found


@dataclass
class EarlyStopping:
    """Decides when mini-batches no longer help: by their smoothed inertia, as MiniBatchKMeans does.

    Unlike there, every series is seen once in any case. A long input starts with a smoothed inertia that is
    hardly more than that of the first mini-batch, and if that is low by chance, it looks like no progress.
    """

    n_batches: int  # of a pass
    tol: float
    patience: int | None
    n_steps: int = 0
    smoothed: float = math.inf
    least: float = math.inf
    n_without: int = 0

    def stopped(self, mean_inertia: float, movement: float) -> str | None:
        """Take in one more mini-batch, and say why it was the last one, if it was."""
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
    """How the mini-batches of a fit went."""

    stream: MiniBatchState  # the best state
    n_steps: int
    n_passes: int
    stopped: str


def run_passes(
    source: BatchSource,
    stream: MiniBatchState,
    rows: IntArray,
    sample: IntArray,
    rng: np.random.RandomState,
    *,
    batch_size: int,
    tol: float,
    max_no_improvement: int | None,
    verbose: bool,
) -> FitHistory:
    """Take mini-batches until nothing is gained; the best of the states between passes is kept.

    Parameters
    ----------
    source : BatchSource
        The series.
    stream : MiniBatchState
        Where to start.
    rows, sample : ndarray
        The series that take part, and those of them by which states are compared.
    rng : numpy.random.RandomState
        Source of randomness.
    batch_size, tol, max_no_improvement, verbose
        As the estimator has them; `source.settings.max_iter` is the largest number of passes.
    """
    n_batches, settings = math.ceil(len(rows) / batch_size), source.settings
    progress = EarlyStopping(n_batches, tol, max_no_improvement)
    best, least = stream, math.inf
    if len(sample) == len(rows):  # else first centers look better than they are: they were fitted to it
        least = source.inertia(stream.centers, sample)
    stopped = None
    for step in range(settings.max_iter * n_batches):
        n_passes, position = divmod(step, n_batches)
        if position == 0:
            batches = np.array_split(rng.permutation(rows), n_batches)
        batch = np.sort(batches[position])  # files are read in their order
        fade = 1.0 if n_passes == 0 else 1.0 - 1.0 / n_batches
        before, weights = stream.centers, source.weights[batch]
        stream, ssd = advance_stream(
            stream, materialize(source.x, batch), weights, rng, fade=fade, n_threads=settings.n_threads
        )
        source.n_correlations += len(batch) * len(before)
        stopped = progress.stopped(ssd / weights.sum(), _movement(before, stream.centers))
        if verbose:
            logger.info("mini-batch %d: smoothed mean inertia %.6g", step + 1, progress.smoothed)
        if stopped or position == n_batches - 1:
            now = source.inertia(stream.centers, sample)
            best, least = (stream, now) if now < least else (best, least)
        if stopped:
            break
    return FitHistory(best, step + 1, math.ceil((step + 1) / n_batches), stopped or "max_iter")


def _movement(old: FloatArray, new: FloatArray) -> float:
    """Squared distance between old and new centers at unit norm, mean over the clusters."""
    a, b = (x.reshape(len(x), -1).astype(np.float64) for x in (old, new))
    norms = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return float((2.0 - 2.0 * (a * b).sum(axis=1) / norms).mean())
