"""When `MiniBatchLocalKShape.fit` stops: no more gain, or centers that no longer move."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from shapecluster._typing import FloatArray


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


def movement(old: FloatArray, new: FloatArray) -> float:
    """Squared distance between old and new centers at unit norm, mean over the clusters."""
    a, b = (x.reshape(len(x), -1).astype(np.float64) for x in (old, new))
    norms = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return float((2.0 - 2.0 * (a * b).sum(axis=1) / norms).mean())
