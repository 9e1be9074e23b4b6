"""The pieces of work that `benchmarks.peers` times, and the targets of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from benchmarks._common import Task, factor_walks, panel_levels
from shapecluster import LocalKShape


@dataclass(frozen=True)
class Work:
    """One piece of work.

    Attributes
    ----------
    name, title : str
        Names for the command line and for tables.
    kind : str
        Kind of contestants.
    make : callable
        Function from "quick" to the task.
    min_ratios : dict
        Target: minimum time of each contestant relative to ours.
    max_pairs : float or None
        Target: maximum share of pairs that a fit transforms.
    """

    name: str
    title: str
    kind: str
    make: Callable[[bool], Task]
    min_ratios: dict[str, float] = field(default_factory=dict)
    max_pairs: float | None = None


def _levels(quick: bool) -> np.ndarray:
    levels = panel_levels()
    return levels[:80, :250] if quick else levels


def _returns(quick: bool) -> np.ndarray:
    return np.diff(np.log(_levels(quick)), axis=1)


def _fit_panel(rows: Callable[[bool], np.ndarray]) -> Callable[[bool], Task]:
    return lambda quick: Task(rows(quick), 5 if quick else 20)


# The first seed for each length at which the objective does not rise before the last step. With most other
# seeds it does, and tslearn stops there: it would do fewer steps than others, and times would not compare.
_EVENLY_FALLING = {256: 6, 1024: 23}


def _fit_walks(n_timepoints: int) -> Callable[[bool], Task]:
    def make(quick: bool) -> Task:
        n_series, length, k = (200, n_timepoints // 4, 4) if quick else (2000, n_timepoints, 10)
        return Task(factor_walks(n_series, length, seed=_EVENLY_FALLING[n_timepoints]), k)

    return make


def _assign_walks(quick: bool) -> Task:
    """Assignment to centers from the middle of a fit."""
    task = _fit_walks(256)(quick)
    model = LocalKShape(task.k, init=task.X[: task.k], max_iter=5).fit(task.X)
    return Task(task.X, task.k, model.cluster_centers_)


_PEERS_WALKS = {
    "tslearn": 150.0,
    "aeon": 150.0,
    "kshape": 50.0,
    "plain NumPy": 6.0,
    "ours (float32)": 1 / 1.5,
}

WORKS = [
    Work(
        "returns",
        "Fit: log returns of panel A",
        "fit",
        _fit_panel(_returns),
        {"tslearn": 350.0, "plain NumPy": 6.0, "ours (float32)": 1 / 1.5},
        0.25,
    ),
    Work(
        "levels",
        "Fit: price levels of panel A",
        "fit",
        _fit_panel(_levels),
        {"tslearn": 600.0, "plain NumPy": 6.0, "ours (float32)": 1 / 1.5},
        0.08,
    ),
    Work("walks-256", "Fit: random walks on common factors", "fit", _fit_walks(256), _PEERS_WALKS),
    Work("walks-1024", "Fit: longer random walks on common factors", "fit", _fit_walks(1024), _PEERS_WALKS),
    Work("predict", "Predict: nearest centers of random walks", "predict", _assign_walks, {"tslearn": 60.0}),
    Work(
        "kneighbors",
        "The 10 nearest neighbors of every stock, price levels of panel A",
        "kneighbors",
        lambda quick: Task(_levels(quick), 10),
        {"ours (brute force)": 3.0},
    ),
    Work(
        "sweep-returns",
        "All k from 2, log returns of panel A",
        "sweep",
        lambda quick: Task(_returns(quick), 5 if quick else 20),
        {"ours (separate fits)": 1 / 0.6},
    ),
    Work(
        "sweep-levels",
        "All k from 2, price levels of panel A",
        "sweep",
        lambda quick: Task(_levels(quick), 5 if quick else 20),
        {"ours (separate fits)": 1 / 0.6},
    ),
    Work(
        "baseline", "Nearest centers by transforming every pair", "baseline", lambda _: _assign_walks(False)
    ),
]
