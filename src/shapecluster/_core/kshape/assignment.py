"""Nearest centers, exactly, without transforming the pairs that bounds rule out.

What one assignment learned spares the next most of its work. Whether bounds pay is seen on a sample of the
series before each assignment; where they do not, all pairs are screened, which costs less than to look.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from shapecluster._core.sbd.blocks import BLOCK_BYTES, map_blocks, shared_blocks
from shapecluster._core.sbd.bounds import (
    FLOAT32,
    SpectralBounds,
    angle_lower_bound,
    angle_upper_bound,
    bounds_may_pay,
    center_drift,
    center_separation_bounds,
    short_transforms_for,
    triangle_lower_bound,
)
from shapecluster._core.sbd.correlation import (
    Alignment,
    Assignment,
    candidate_centers,
    direct_ncc,
    evaluate_pairs,
    first_of_ties,
    rows_at_once,
    runner_up_peak,
    screen,
    settle,
)
from shapecluster._core.sbd.shapes import Shapes, profile_of, sample_of, take, with_spectra
from shapecluster._typing import BoolArray, Float64Array, FloatArray, IntArray

_SAMPLE = 64
_PILOT = 1 / 32
_LEAST_GAIN = 0.25  # of the pairs a short transform must close, to cost less than it saves
_WORTH_IT = 0.4  # bounds that leave a larger share of the pairs open cost more than they save
_ONE_BY_ONE = 3  # rounds in which each series tries its most promising center; then all that are left


@dataclass(frozen=True)
class Assigned:
    """An assignment to centers, and what it proves about all other pairs.

    Attributes
    ----------
    centers : Shapes
        What the series were assigned to.
    nearest : Assignment
        Nearest center of each series, exact.
    elsewhere : ndarray of shape (n_series,), float32
        No angle between a series and its own center is smaller at any other shift.
    floor : ndarray of shape (n_series, n_centers), float32, or None
        No angle between a series and a center is smaller; None where this was not kept.
    n_correlations : int
        Pairs that were transformed to find out, those between centers included.
    low_pass_gain : float
        Share of the pairs that a short transform closed, of those for which one was made.
    """

    centers: Shapes
    nearest: Assignment
    elsewhere: FloatArray
    floor: FloatArray | None
    n_correlations: int
    low_pass_gain: float = 1.0


@dataclass(frozen=True)
class _SearchPlan:
    """What is known before a search begins, the same for all series."""

    centers: Shapes
    before: Assigned | None
    steps: FloatArray
    apart: FloatArray | None
    spectral: SpectralBounds | None
    block_bytes: int


class _Found(NamedTuple):
    """Result for a block of series; see `Assigned`."""

    nearest: Assignment
    elsewhere: FloatArray
    floor: FloatArray | None
    counts: tuple[int, int, int]  # full transforms, short ones, and pairs that these closed


def assign(
    x: Shapes,
    centers: Shapes,
    before: Assigned | None = None,
    *,
    prune: bool = True,
    keep: bool = True,
    out: FloatArray | None = None,
    n_threads: int = 1,
    block_bytes: int = BLOCK_BYTES,
) -> Assigned:
    """Find the center that each series correlates with most; ties go to the lowest index.

    Flat series get label 0, shift 0 and correlation 0. The result is that of screening all pairs.

    Parameters
    ----------
    x, centers : Shapes
        Series and centers.
    before : Assigned, default=None
        An assignment of the same series to other positions of the same centers.
    prune : bool, default=True
        Whether to use bounds.
    keep : bool, default=True
        Whether to keep floors, which the next assignment can use.
    out : ndarray of shape (n_series, n_centers), float32, default=None
        Where to keep them; may be those of `before`.
    n_threads, block_bytes : int
        Results do not depend on them.
    """
    centers = with_spectra(centers)
    prune = prune and not x.narrow and bounds_may_pay(x, len(x) * len(centers))
    plan, n_spent = _plan(x, centers, before, block_bytes) if prune else (None, 0)
    n_series, keep = len(x), keep and prune
    floor = None
    if keep:
        floor = np.empty((n_series, len(centers)), dtype=np.float32) if out is None else out
    nearest = Assignment.empty(n_series)
    elsewhere = np.zeros(n_series, dtype=np.float32)

    def find(rows: slice) -> tuple[int, int, int]:
        block = take(x, rows)
        if plan is None:
            found = _screen_all(block, centers, keep, block_bytes)
        else:
            found = _AssignmentSearch(block, plan, rows).run()
        for whole, part in zip(nearest, found.nearest, strict=True):
            whole[rows] = part
        elsewhere[rows] = found.elsewhere
        if floor is not None:
            floor[rows] = found.floor
        return found.counts

    row_bytes = rows_at_once(x, centers) if plan is None else max(x.row_bytes // 8, 32 * len(centers))
    counts = map_blocks(find, shared_blocks(n_series, row_bytes, block_bytes, n_threads), n_threads)
    n_correlations, n_short, n_closed = (sum(column) for column in zip(*counts, strict=True))
    gain = 1.0 if before is None else before.low_pass_gain
    return Assigned(
        centers,
        nearest,
        elsewhere,
        floor,
        n_spent + n_correlations,
        n_closed / n_short if n_short else gain,
    )


def _plan(
    x: Shapes, centers: Shapes, before: Assigned | None, block_bytes: int
) -> tuple[_SearchPlan | None, int]:
    """Look at how centers lie and have moved; None where bounds would spare too little.

    Returns the number of pairs that were transformed for that as well.
    """
    if before is not None and before.floor is None:
        before = None
    spectral = None
    if before is None or before.low_pass_gain >= _LEAST_GAIN:
        low_pass = short_transforms_for(x)
        if before is None or low_pass is not None:
            spectral = SpectralBounds(centers, profile_of(centers), low_pass)
    if before is None and spectral is not None and not spectral.promising(x):
        return None, 0
    apart, n_spent = None, 0
    if len(centers) ** 2 <= len(x):  # else there are more pairs of centers than they could spare
        apart = center_separation_bounds(centers)
    if apart is not None:
        n_spent = len(centers) * (len(centers) - 1) // 2
    steps = np.zeros(len(centers), dtype=np.float32)
    if before is not None:
        steps = center_drift(before.centers, centers)
    plan = _SearchPlan(centers, before, steps, apart, spectral, block_bytes)
    if before is None:
        sample = sample_of(x, min(_SAMPLE, max(4, int(len(x) * _PILOT))))
        n_pilot = _AssignmentSearch(sample, plan, slice(0, 0)).run().counts[0]
        worth_it = n_pilot <= _WORTH_IT * len(sample) * len(centers)
        n_spent += n_pilot
    else:  # where short transforms paid in the last step, they do so wherever centers have gone since
        worth_it = spectral is not None or _share_open(x, plan, before) <= _WORTH_IT
    return (plan if worth_it else None), n_spent


def _share_open(x: Shapes, plan: _SearchPlan, before: Assigned) -> float:
    """Share of the pairs of a sample that the floors of the last assignment leave open."""
    if before.floor is None:
        return 1.0
    rows = np.linspace(0, len(x) - 1, _SAMPLE).astype(np.intp)
    labels, _, ncc = before.nearest.at(rows)
    reach = angle_upper_bound(ncc, 2 * x.tie_band) + plan.steps[labels]
    floor = before.floor[rows] - plan.steps
    if plan.apart is not None:
        np.maximum(floor, plan.apart[labels] - reach[:, None], out=floor)
    floor[np.arange(len(rows)), labels] = before.elsewhere[rows] - plan.steps[labels]
    return float(np.mean(floor <= reach[:, None]))


def _screen_all(x: Shapes, centers: Shapes, keep: bool, block_bytes: int) -> _Found:
    """Assign a block by screening all pairs."""
    screened = screen(x, centers, block_bytes)
    first, second = candidate_centers(x, centers, screened.peak)
    curves = screened.curves(first, second)
    found = settle(x, centers, first, second, curves)
    won = first_of_ties(first, second, found.ncc, x.tie_band)
    nearest = Assignment.empty(len(x))
    nearest.put(first[won], second[won], found.at(won))
    elsewhere, floor = np.zeros(len(x), dtype=np.float32), None
    if keep and not x.narrow:
        peak = runner_up_peak(x, curves[won], found.shifts[won])
        elsewhere[first[won]] = angle_lower_bound(peak, x.screen_error)
        floor = angle_lower_bound(screened.peak, x.screen_error)
    n_pairs = int(np.count_nonzero(~x.flat) * np.count_nonzero(~centers.flat))
    return _Found(nearest, elsewhere, floor, (n_pairs, 0, 0))


class _AssignmentSearch:
    """The pruned assignment of a block of series.

    Each series meets its own center first (unless that has not moved), or the one that promises most. The
    correlation it has there rules out every center whose floor is too high to win or tie; of the others
    the most promising comes first, until nothing is open.
    """

    def __init__(self, x: Shapes, plan: _SearchPlan, rows: slice) -> None:
        self.x, self.plan, self.rows = x, plan, rows
        self.best = np.full(len(x), -np.inf)  # exact value of the best center so far
        self.done: BoolArray = plan.centers.flat | x.flat[:, None]
        self.floor: FloatArray = np.zeros((len(x), len(plan.centers)), dtype=np.float32)
        nothing = np.empty(0, dtype=np.intp)
        self.settled = [(nothing, nothing, Alignment(np.empty(0), nothing), self.floor[:0, 0])]
        self.n_correlations = self.n_short = self.n_closed = 0

    def run(self) -> _Found:
        """Search until no pair is open."""
        if self.plan.before is None:
            self._start_from_nothing()
        else:
            self._start_from_before(self.plan.before)
        for attempt in range(len(self.plan.centers) + 1):
            open_pairs = self._open()
            if not open_pairs.any():
                break
            if attempt < _ONE_BY_ONE:
                self._evaluate(*self._most_promising(open_pairs))
            else:
                self._evaluate(*np.nonzero(open_pairs))
            if attempt == 0 and self.plan.before is None:
                self._apply_elkan_bounds(self._nearest_so_far())
        return self._result()

    def _start_from_nothing(self) -> None:
        if self.plan.spectral is not None:
            profile = profile_of(self.x)
            self.floor = self.plan.spectral.short_of_all(self.x, profile, self.plan.block_bytes)

    def _start_from_before(self, before: Assigned) -> None:
        """Evaluate each series with the center it belongs to; what has not moved is known already."""
        labels, shifts, ncc = before.nearest.at(self.rows)
        if before.floor is not None:
            self.floor = before.floor[self.rows] - self.plan.steps
        elsewhere = before.elsewhere[self.rows] - self.plan.steps[labels]
        rows = np.flatnonzero(~self.x.flat & ~self.plan.centers.flat[labels])
        self.done[rows, labels[rows]] = True
        moved = self.plan.steps[labels[rows]] > 0.0
        known, stale = rows[~moved], rows[moved]
        value = ncc.copy()
        value[stale] = direct_ncc(self.x, self.plan.centers, stale, labels[stale], shifts[stale])
        # Where no other shift can come near the old one's value, that value is the best one.
        sure = elsewhere[stale] > self._reach(value[stale])
        known = np.concatenate([known, stale[sure]])
        self._add(known, labels[known], Alignment(value[known], shifts[known]), elsewhere[known])
        unsure = stale[~sure]
        self._evaluate(unsure, labels[unsure])
        self._apply_elkan_bounds(labels)
        if self.plan.spectral is not None:
            self.n_short, self.n_closed = self._apply_lowpass_bounds(profile_of(self.x))

    def _apply_elkan_bounds(self, labels: IntArray) -> None:
        """Raise floors by way of the centers that `labels` name, whose values are the best so far."""
        if self.plan.apart is not None:
            own = np.where(self.x.flat, 0.0, self.best)
            floor = triangle_lower_bound(own, labels, self.plan.apart, 2 * self.x.tie_band)
            np.maximum(self.floor, floor, out=self.floor)

    def _reach(self, value: Float64Array) -> FloatArray:
        """Angles beyond which nothing can win or tie with the given values."""
        return (angle_upper_bound(value, 2 * self.x.tie_band) + FLOAT32).astype(np.float32)

    def _open(self) -> BoolArray:
        return (self.floor <= self._reach(self.best)[:, None]) & ~self.done

    def _apply_lowpass_bounds(self, profile: FloatArray) -> tuple[int, int]:
        """Raise the floors of open pairs by short transforms; returns how many were made, and closed."""
        if self.plan.spectral is None or self.plan.spectral.low_pass is None:
            return 0, 0
        first, second = np.nonzero(self._open())
        short = self.plan.spectral.short(self.x, profile, first, second, self.plan.block_bytes)
        self.floor[first, second] = np.maximum(self.floor[first, second], short)
        return len(first), int(np.count_nonzero(short > self._reach(self.best)[first]))

    def _most_promising(self, open_pairs: BoolArray) -> tuple[IntArray, IntArray]:
        rows = np.flatnonzero(open_pairs.any(axis=1))
        return rows, np.where(open_pairs[rows], self.floor[rows], np.inf).argmin(axis=1)

    def _nearest_so_far(self) -> IntArray:
        labels = np.zeros(len(self.x), dtype=np.intp)
        for rows, columns, found, _ in self.settled:
            top = found.ncc >= self.best[rows]
            labels[rows[top]] = columns[top]
        return labels

    def _evaluate(self, rows: IntArray, columns: IntArray) -> None:
        hurdle = self.best[rows] - 2 * self.x.tie_band
        found = evaluate_pairs(self.x, self.plan.centers, rows, columns, hurdle, self.plan.block_bytes)
        self.n_correlations += len(rows)
        self.done[rows, columns] = True
        self.floor[rows, columns] = angle_lower_bound(found.peak, self.x.screen_error)
        near = np.flatnonzero(found.ncc > -np.inf)
        elsewhere = angle_lower_bound(found.elsewhere[near], self.x.screen_error)
        self._add(rows[near], columns[near], Alignment(found.ncc[near], found.shifts[near]), elsewhere)

    def _add(self, rows: IntArray, columns: IntArray, found: Alignment, elsewhere: FloatArray) -> None:
        self.settled.append((rows, columns, found, elsewhere))
        np.maximum.at(self.best, rows, found.ncc)

    def _result(self) -> _Found:
        """Settle ties between centers."""
        rows, columns = (np.concatenate([part[i] for part in self.settled]) for i in (0, 1))
        found = Alignment(*(np.concatenate([part[2][i] for part in self.settled]) for i in (0, 1)))
        won = first_of_ties(rows, columns, found.ncc, self.x.tie_band)
        nearest = Assignment.empty(len(self.x))
        nearest.put(rows[won], columns[won], found.at(won))
        own_elsewhere = np.zeros(len(self.x), dtype=np.float32)
        own_elsewhere[rows[won]] = np.concatenate([part[3] for part in self.settled])[won]
        counts = (self.n_correlations, self.n_short, self.n_closed)
        return _Found(nearest, own_elsewhere, self.floor, counts)
