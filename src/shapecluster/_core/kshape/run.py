"""One run of k-Shape as a chain of states: `start_run`, then `advance` until the state says why it stopped.

A state is frozen and complete, so a run can be watched, interrupted and resumed after any step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Literal

import numpy as np

from shapecluster._core.kshape.assignment import Assigned, assign
from shapecluster._core.kshape.extraction import HELD_BYTES, extract_shape
from shapecluster._core.kshape.seeding import Start
from shapecluster._core.sbd.blocks import map_blocks, row_blocks
from shapecluster._core.sbd.normalize import znormalize
from shapecluster._core.sbd.shapes import SPARE_BYTES, Shapes, shapes_of, unit_rows_of
from shapecluster._typing import BoolArray, Float64Array, FloatArray, IntArray

_PATIENCE = 5  # steps without gain; k-Shape's objective can rise for a while before it falls again
_STATE_BYTES = 224  # per series: labels, shifts and distances of three iterates, and the state of seeding
_WORK_BYTES = 24 << 20  # per thread: one block of series, and the arrays computed from it
_WORK_ROWS = 64  # per thread, if series are long: the aligned members of a small cluster, a few spectra

KeepBounds = Literal["all", "last", "none"]
"""States that keep their bounds, 4 bytes a pair: all, only the last (earlier ones cannot resume), or none."""


@dataclass(frozen=True)
class FitSettings:
    """Settings that do not change during a run.

    Attributes
    ----------
    max_iter : int
        Largest number of steps.
    tol : float
        Smallest relative gain in the best inertia within 5 steps.
    n_threads : int
        Threads for the correlations; results do not depend on it.
    keep : {"all", "last", "none"}
        Which states keep their bounds; results do not depend on it.
    held_bytes : int
        Aligned members of one cluster that each thread may hold; results do not depend on it.
    """

    max_iter: int = 100
    tol: float = 1e-6
    n_threads: int = 1
    keep: KeepBounds = "all"
    held_bytes: int = HELD_BYTES


@dataclass(frozen=True)
class Iterate:
    """Centers, the assignment to exactly these centers, and its inertia.

    Attributes
    ----------
    centers : ndarray of shape (n_clusters, n_channels, n_timepoints)
        z-normalized.
    labels, shifts : ndarray of shape (n_series,)
        Nearest center, and by how much the series trails it.
    sbd : ndarray of shape (n_series,)
        Shape-based distance to that center; 1 for flat series.
    inertia : float
        Sum of weight * SBD^2.
    """

    centers: FloatArray
    labels: IntArray
    shifts: IntArray
    sbd: Float64Array
    inertia: float


@dataclass(frozen=True)
class RunState:
    """Everything that the next step of a run needs.

    Attributes
    ----------
    current, best : Iterate
        The last iterate, and the one of least inertia so far; k-Shape's objective can rise.
    previous : Iterate or None
        The iterate before, whose members formed the current centers; None at the start.
    n_iter : int
        Steps done.
    n_correlations : int
        Pairs of series and center that were transformed.
    anchor : float
        Inertia at the last gain of at least `tol`.
    stalled : int
        Steps since then.
    seen : frozenset of bytes
        Digests of all labels and shifts so far.
    stopped : str or None
        Why the run ended: "unchanged", "cycle", "no gain" or "max_iter"; None before that.
    assigned : Assigned
        The last assignment, with the bounds that spare the next one most of its work.
    """

    current: Iterate
    best: Iterate
    previous: Iterate | None = field(repr=False)
    n_iter: int
    n_correlations: int
    anchor: float
    stalled: int
    seen: frozenset[bytes] = field(repr=False)
    stopped: str | None
    assigned: Assigned = field(repr=False)


@dataclass(frozen=True)
class ClusterRun:
    """Result of one run: its best iterate, and how it went."""

    best: Iterate
    n_iter: int
    n_correlations: int
    stopped: str


@dataclass(frozen=True)
class FitProgress:
    """How far the runs of a fit have come.

    Attributes
    ----------
    n_done : int
        Runs that have ended.
    best : ClusterRun or None
        The best of them.
    state : RunState or None
        State of the current run; None before it starts.
    """

    n_done: int = 0
    best: ClusterRun | None = None
    state: RunState | None = None


def inertia(sbd: Float64Array, weights: Float64Array) -> float:
    """Sum of squares of the distances to the nearest centers: sum_i weights_i * sbd_i^2, in float64."""
    return float((weights * (sbd * sbd)).sum())


def participating(x: Shapes, weights: Float64Array) -> BoolArray:
    """Flags of the series that take part in a fit: not flat, with a positive weight."""
    return (weights > 0) & ~x.flat


def memory_plan(n_series: int, n_clusters: int, input_bytes: int, n_threads: int) -> tuple[int, KeepBounds]:
    """Bytes that prepared series may keep, and which states may keep their bounds.

    Together with its working memory a fit needs at most the size of its input plus 64 MB of extra memory.
    """
    work = n_threads * max(_WORK_BYTES, _WORK_ROWS * input_bytes // n_series)
    spare = input_bytes + SPARE_BYTES - _STATE_BYTES * n_series - work
    bounds = 4 * n_series * n_clusters
    if 2 * bounds <= spare:  # those of the last step and those of the next
        return spare - 2 * bounds, "all"
    if bounds <= spare:
        return spare - bounds, "last"
    return max(0, spare), "none"


def start_run(x: Shapes, first: Start, weights: Float64Array, settings: FitSettings) -> RunState:
    """First state of a run: the assignment to the given centers.

    Parameters
    ----------
    x : Shapes
        The series.
    first : Start
        First centers; they are z-normalized here.
    weights : ndarray of shape (n_series,)
        Not negative, at least one positive.
    settings : FitSettings
        Limits of the run.
    """
    centers = znormalize(first.centers)
    iterate, assigned, n_correlations = assign_refill_empty(x, centers, weights, settings, first.assigned)
    return RunState(
        current=iterate,
        best=iterate,
        previous=None,
        n_iter=0,
        n_correlations=n_correlations,
        anchor=iterate.inertia,
        stalled=0,
        seen=frozenset([_digest(iterate, participating(x, weights))]),
        stopped=None,
        assigned=assigned,
    )


def advance(x: Shapes, weights: Float64Array, settings: FitSettings, state: RunState) -> RunState:
    """One step: extract every center from its members, assign all series, and decide whether to go on."""
    centers = _new_centers(x, state, weights, settings)
    iterate, assigned, n_correlations = assign_refill_empty(x, centers, weights, settings, state.assigned)
    n_iter = state.n_iter + 1
    gained = iterate.inertia < state.anchor and iterate.inertia <= (1.0 - settings.tol) * state.anchor
    stalled = 0 if gained else state.stalled + 1
    taking_part = participating(x, weights)
    digest = _digest(iterate, taking_part)
    stopped = None
    if digest == _digest(state.current, taking_part):
        stopped = "unchanged"
    elif digest in state.seen:  # the run would repeat itself from here on
        stopped = "cycle"
    elif stalled >= _PATIENCE:
        stopped = "no gain"
    elif n_iter >= settings.max_iter:
        stopped = "max_iter"
    return replace(
        state,
        current=iterate,
        best=iterate if iterate.inertia < state.best.inertia else state.best,
        previous=state.current,
        n_iter=n_iter,
        n_correlations=state.n_correlations + n_correlations,
        anchor=iterate.inertia if gained else state.anchor,
        stalled=stalled,
        seen=state.seen | {digest},
        stopped=stopped,
        assigned=assigned,
    )


def best_run(
    x: Shapes,
    starts: Iterable[Callable[[], Start]],
    weights: Float64Array,
    settings: FitSettings,
    callback: Callable[[FitProgress], None] | None = None,
    progress: FitProgress | None = None,
) -> ClusterRun:
    """Run from each of the given starts; the least inertia wins, and among equals the first.

    Parameters
    ----------
    x : Shapes
        The series.
    starts : iterable of callables
        Each makes the start of one run, when that run begins.
    weights : ndarray of shape (n_series,)
        Not negative, at least one positive.
    settings : FitSettings
        Limits of each run.
    callback : callable, default=None
        Gets a `FitProgress` after each step.
    progress : FitProgress, default=None
        Where to go on; the result is that of the uninterrupted call.
    """
    resumed = FitProgress() if progress is None else progress
    best = resumed.best
    for n_done, make_start in islice(enumerate(starts), resumed.n_done, None):
        state = resumed.state if n_done == resumed.n_done else None
        if state is None:
            # No name holds the start, so that its bounds are freed after the first step.
            state = start_run(x, make_start(), weights, settings)
        while state.stopped is None:
            state = advance(x, weights, settings, state)
            if callback is not None:
                callback(FitProgress(n_done, best, state))
        if best is None or state.best.inertia < best.best.inertia:
            best = ClusterRun(state.best, state.n_iter, state.n_correlations, state.stopped)
    if best is None:
        raise ValueError("There must be at least one start.")
    return best


def _new_centers(x: Shapes, state: RunState, weights: Float64Array, settings: FitSettings) -> FloatArray:
    """Extract centers from their members; a center whose members did not change is kept."""
    now, before = state.current, state.previous
    taking_part = participating(x, weights)
    centers, extracted = now.centers.copy(), np.zeros(len(now.centers), dtype=np.bool_)
    changed = np.arange(len(centers))
    if before is not None:
        moved = taking_part & ((now.labels != before.labels) | (now.shifts != before.shifts))
        changed = np.union1d(now.labels[moved], before.labels[moved])

    def extract(part: slice) -> None:
        label = changed[part.start]
        members = np.flatnonzero(taking_part & (now.labels == label))
        if len(members):  # an empty cluster keeps its center
            shape = extract_shape(
                lambda rows: unit_rows_of(x, members[rows]),
                now.shifts[members],
                weights[members],
                now.centers[label],
                held_bytes=settings.held_bytes,
            )
            if shape is not None:
                centers[label] = shape
                extracted[label] = True

    map_blocks(extract, row_blocks(len(changed), 1, 1), settings.n_threads)
    new = znormalize(centers[extracted])
    flat = ~new.any(axis=(1, 2))  # the members share only a level, which is no shape
    new[flat] = now.centers[extracted][flat]
    centers[extracted] = new
    return centers


def assign_refill_empty(
    x: Shapes,
    centers: FloatArray,
    weights: Float64Array,
    settings: FitSettings,
    before: Assigned | None = None,
) -> tuple[Iterate, Assigned, int]:
    """Assign all series; an empty cluster takes the series farthest from its own center, then again.

    Returns the iterate, its bounds, and the number of pairs that were transformed.
    """
    taking_part = participating(x, weights)
    n_correlations = 0
    # With "last" the new bounds overwrite the old ones in place, which halves their memory.
    out = before.lower_bounds if before is not None and settings.keep == "last" else None
    for attempt in range(len(centers) + 1):
        assigned = assign(
            x,
            shapes_of(centers, x.window),
            before,
            keep=settings.keep != "none",
            out=out,
            n_threads=settings.n_threads,
        )
        out = assigned.lower_bounds  # the bounds of a further attempt replace them
        n_correlations += assigned.n_correlations
        labels, shifts, ncc = assigned.nearest
        sbd = 1.0 - ncc
        empty = np.flatnonzero(np.bincount(labels[taking_part], minlength=len(centers)) == 0)
        farthest = int(np.where(taking_part, sbd, -1.0).argmax())
        if attempt == len(centers) or not len(empty) or sbd[farthest] <= 2 * x.tie_band:
            break
        centers = centers.copy()
        centers[empty[0]] = znormalize(unit_rows_of(x, slice(farthest, farthest + 1)))[0]
        before = assigned
    return Iterate(centers, labels, shifts, sbd, inertia(sbd, weights)), assigned, n_correlations


def _digest(iterate: Iterate, taking_part: BoolArray) -> bytes:
    """Fingerprint of the labels and shifts, from which the next centers follow."""
    digest = hashlib.sha256()
    for part in (iterate.labels, iterate.shifts):
        digest.update(part[taking_part].data)
    return digest.digest()
