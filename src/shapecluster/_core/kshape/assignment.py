"""Assign each series to its nearest center, exactly, without transforming the pairs that bounds rule out.

Each assignment passes its bounds on to the next one. A sample of the series shows before each assignment
whether bounds pay. If they do not, all pairs are screened, which costs less than the bookkeeping.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from shapecluster._arrays import joined, take
from shapecluster._core.sbd.blocks import map_blocks, shared_blocks
from shapecluster._core.sbd.bounds import (
    ANGLE_ROUNDING,
    SpectralBounds,
    angle_lower_bound,
    angle_upper_bound,
    bounds_may_pay,
    center_drift,
    center_separation_bounds,
    choose_low_pass,
    triangle_lower_bound,
)
from shapecluster._core.sbd.correlation import (
    Assignment,
    candidate_centers,
    direct_ncc,
    evaluate_pairs,
    first_of_ties,
    resolve_best_shift,
    runner_up_peak,
    screen,
    screening_row_bytes,
)
from shapecluster._core.sbd.shapes import Shapes, materialize, profile_of, sample_of, with_spectra
from shapecluster._typing import BoolArray, Float64Array, FloatArray, IntArray

_SAMPLE_SIZE = 64
_PILOT_SHARE = 1 / 32  # of the series: a trial search over more would cost what it may save
_MIN_LOW_PASS_GAIN = 0.25  # of the pairs a short transform must rule out, to cost less than it saves
_MAX_OPEN_SHARE = 0.4  # bounds that leave a larger share of the pairs open cost more than they save
_SINGLE_ROUNDS = 3  # in which each series tries its most promising center; then all that are left


class Resolved(NamedTuple):
    """Series and a center: the exact correlation, its shift, and a bound of the angle at other shifts."""

    rows: IntArray
    labels: IntArray
    ncc: Float64Array
    shifts: IntArray
    other_shift_bound: FloatArray


@dataclass(frozen=True)
class Assigned:
    """An assignment to centers, and the bounds that it proves for all other pairs.

    Attributes
    ----------
    centers : Shapes
        The centers that the series were assigned to.
    nearest : Assignment
        Nearest center of each series, exact.
    other_shift_bound : ndarray of shape (n_series,), float32
        Lower bound of the angle between a series and its own center at any other shift.
    lower_bounds : ndarray of shape (n_series, n_centers), float32, or None
        Lower bounds of the angles between series and centers; None if they were not kept.
    n_correlations : int
        Pairs that were transformed, those between centers included.
    low_pass_gain : float
        Share of the pairs that a short transform ruled out, of those for which one was computed.
    """

    centers: Shapes
    nearest: Assignment
    other_shift_bound: FloatArray
    lower_bounds: FloatArray | None
    n_correlations: int = 0
    low_pass_gain: float = 1.0

    @classmethod
    def empty(cls, centers: Shapes, n_series: int, lower_bounds: FloatArray | None = None) -> Assigned:
        """Values of flat series for all: label 0, shift 0, correlation 0. Blocks of series write theirs."""
        other_shift_bound = np.zeros(n_series, dtype=np.float32)
        return cls(centers, Assignment.empty(n_series), other_shift_bound, lower_bounds)

    def put(self, found: Resolved) -> None:
        """Assign some of the series."""
        rows, labels, ncc, shifts, other_shift_bound = found
        self.nearest.labels[rows], self.nearest.shifts[rows], self.nearest.ncc[rows] = labels, shifts, ncc
        self.other_shift_bound[rows] = other_shift_bound


@dataclass(frozen=True)
class _SearchPlan:
    """Inputs of a search that all series share."""

    centers: Shapes
    before: Assigned | None
    drift: FloatArray
    separation: FloatArray | None
    spectral: SpectralBounds | None


class _Counts(NamedTuple):
    """Work done for a block: full transforms, short transforms, and pairs that the short ones ruled out."""

    full: int
    short: int
    ruled_out: int


def assign(
    x: Shapes,
    centers: Shapes,
    before: Assigned | None = None,
    *,
    keep: bool = True,
    out: FloatArray | None = None,
    n_threads: int = 1,
) -> Assigned:
    """Find the center that each series correlates with most; ties go to the lowest index.

    Flat series get label 0, shift 0 and correlation 0. The result equals that of screening all pairs.

    Parameters
    ----------
    x, centers : Shapes
        Series and centers.
    before : Assigned, default=None
        An assignment of the same series to other positions of the same centers.
    keep : bool, default=True
        Whether to keep lower bounds for the next assignment.
    out : ndarray of shape (n_series, n_centers), float32, default=None
        Where to keep them; may be those of `before`.
    n_threads : int
        The result does not depend on it.
    """
    centers = with_spectra(centers)
    may_pay = not x.narrow and bounds_may_pay(x, len(x) * len(centers))
    plan, n_spent = _plan(x, centers, before) if may_pay else (None, 0)
    lower_bounds = None
    if keep and may_pay:
        lower_bounds = np.empty((len(x), len(centers)), dtype=np.float32) if out is None else out
    result = Assigned.empty(centers, len(x), lower_bounds)
    if plan is None:
        search = partial(_screen_block, x, result)
        row_bytes = screening_row_bytes(x, centers)
    else:
        search = partial(_search_block, x, plan, result)
        row_bytes = max(x.row_bytes // 8, 32 * len(centers))
    counts = map_blocks(search, shared_blocks(len(x), row_bytes, n_threads), n_threads)
    full, short, ruled_out = (sum(column) for column in zip(*counts, strict=True))
    # If no short transform was tried, the last known gain stands.
    known_gain = 1.0 if before is None else before.low_pass_gain
    gain = ruled_out / short if short else known_gain
    return replace(result, n_correlations=n_spent + full, low_pass_gain=gain)


def _plan(x: Shapes, centers: Shapes, before: Assigned | None) -> tuple[_SearchPlan | None, int]:
    """Plan a search by how centers lie and have moved; None if bounds would spare too little.

    Returns the number of pairs that were transformed for that as well.
    """
    if before is not None and before.lower_bounds is None:
        before = None
    spectral = None
    if before is None or before.low_pass_gain >= _MIN_LOW_PASS_GAIN:
        low_pass = choose_low_pass(x)
        if before is None or low_pass is not None:
            spectral = SpectralBounds(centers, profile_of(centers), low_pass)
    if before is None and spectral is not None and not spectral.may_separate(x):
        return None, 0
    separation, n_spent = None, 0
    if len(centers) ** 2 <= len(x):  # else there are more pairs of centers than they could spare
        separation = center_separation_bounds(centers)
    if separation is not None:
        n_spent = len(centers) * (len(centers) - 1) // 2
    drift = np.zeros(len(centers), dtype=np.float32)
    if before is not None:
        drift = center_drift(before.centers, centers)
    plan = _SearchPlan(centers, before, drift, separation, spectral)
    if before is None:
        sample = sample_of(x, min(_SAMPLE_SIZE, max(4, int(len(x) * _PILOT_SHARE))))
        # The trial search is thrown away; its transforms are counted all the same.
        trial = Assigned.empty(centers, len(sample))
        n_pilot = _search_block(sample, plan, trial, slice(0, len(sample))).full
        pays = n_pilot <= _MAX_OPEN_SHARE * len(sample) * len(centers)
        n_spent += n_pilot
    else:  # short transforms that paid in the last step pay wherever the centers have moved since
        pays = spectral is not None or _open_share(x, plan, before) <= _MAX_OPEN_SHARE
    return (plan if pays else None), n_spent


def _open_share(x: Shapes, plan: _SearchPlan, before: Assigned) -> float:
    """Share of the pairs of a sample that the bounds of the last assignment leave open."""
    if before.lower_bounds is None:
        return 1.0
    rows = np.linspace(0, len(x) - 1, _SAMPLE_SIZE).astype(np.intp)
    labels, _, ncc = take(before.nearest, rows)
    radius = angle_upper_bound(ncc, 2 * x.tie_band) + plan.drift[labels]
    bounds = before.lower_bounds[rows] - plan.drift
    if plan.separation is not None:
        np.maximum(bounds, plan.separation[labels] - radius[:, None], out=bounds)
    bounds[np.arange(len(rows)), labels] = before.other_shift_bound[rows] - plan.drift[labels]
    return float(np.mean(bounds <= radius[:, None]))


def _screen_block(x: Shapes, result: Assigned, rows: slice) -> _Counts:
    """Assign a block of series by screening all pairs."""
    block, centers = materialize(x, rows), result.centers
    screened = screen(block, centers)
    first, second = candidate_centers(block, centers, screened.peak)
    curves = screened.curves(first, second)
    found = resolve_best_shift(block, centers, first, second, curves)
    won = first_of_ties(first, second, found.ncc, block.tie_band)
    other_shift_bound = np.zeros(len(won), dtype=np.float32)
    if result.lower_bounds is not None:
        runner_up = runner_up_peak(block, curves[won], found.shifts[won])
        other_shift_bound = angle_lower_bound(runner_up, block.screen_error)
        result.lower_bounds[rows] = angle_lower_bound(screened.peak, block.screen_error)
    result.put(Resolved(rows.start + first[won], second[won], *take(found, won), other_shift_bound))
    n_pairs = int(np.count_nonzero(~block.flat) * np.count_nonzero(~centers.flat))
    return _Counts(n_pairs, 0, 0)


def _search_block(x: Shapes, plan: _SearchPlan, result: Assigned, rows: slice) -> _Counts:
    """Assign a block of series with the bounds of a plan.

    Each series meets its own center first (unless that has not moved), or the most promising one. The
    correlation there rules out every center whose bound is too high to win or tie. The most promising of
    the others follows, until no pair is open.
    """
    search = _AssignmentSearch(materialize(x, rows), plan)
    if plan.before is not None:
        labels = plan.before.nearest.labels[rows]
        stale = search.resolve_own_centers(plan.before, rows)
        search.evaluate(stale, labels[stale])
        search.apply_elkan_bounds(labels)
        search.apply_lowpass_bounds()
    elif plan.spectral is not None:
        search.lower_bounds = plan.spectral.all_pairs(search.x)
    for attempt in range(len(plan.centers) + 1):
        open_pairs = search.open_pairs()
        if not open_pairs.any():
            break
        if attempt < _SINGLE_ROUNDS:
            search.evaluate(*search.most_promising(open_pairs))
        else:
            search.evaluate(*np.nonzero(open_pairs))
        if attempt == 0 and plan.before is None:
            search.apply_elkan_bounds(search.nearest_so_far())
    return search.finish(result, rows)


class _AssignmentSearch:
    """State of the pruned assignment of a block of series."""

    def __init__(self, x: Shapes, plan: _SearchPlan) -> None:
        self.x, self.plan = x, plan
        self.best = np.full(len(x), -np.inf)  # exact correlation with the best center so far
        self.done: BoolArray = plan.centers.flat | x.flat[:, None]
        self.lower_bounds: FloatArray = np.zeros((len(x), len(plan.centers)), dtype=np.float32)
        nothing = np.empty(0, dtype=np.intp)
        self.resolved = [Resolved(nothing, nothing, np.empty(0), nothing, self.lower_bounds[:0, 0])]
        self.n_full = self.n_short = self.n_ruled_out = 0

    def resolve_own_centers(self, before: Assigned, rows: slice) -> IntArray:
        """Reuse correlations of the last assignment; return the series whose own center must be evaluated."""
        plan = self.plan
        labels, shifts, ncc = take(before.nearest, rows)
        if before.lower_bounds is not None:
            self.lower_bounds = before.lower_bounds[rows] - plan.drift
        other_shift_bound = before.other_shift_bound[rows] - plan.drift[labels]
        own = np.flatnonzero(~self.x.flat & ~plan.centers.flat[labels])
        self.done[own, labels[own]] = True
        moved = plan.drift[labels[own]] > 0.0
        known, stale = own[~moved], own[moved]
        value = ncc.copy()
        value[stale] = direct_ncc(self.x, plan.centers, stale, labels[stale], shifts[stale])
        # If no other shift can come near the value at the old shift, that value is the best one.
        sure = other_shift_bound[stale] > self._pruning_radius(value[stale])
        known = np.concatenate([known, stale[sure]])
        everyone = Resolved(np.arange(len(self.x)), labels, value, shifts, other_shift_bound)
        self._add(take(everyone, known))
        return stale[~sure]

    def apply_elkan_bounds(self, labels: IntArray) -> None:
        """Raise bounds by the triangle inequality with the centers that `labels` name."""
        if self.plan.separation is not None:
            own = np.where(self.x.flat, 0.0, self.best)
            bounds = triangle_lower_bound(own, labels, self.plan.separation, 2 * self.x.tie_band)
            np.maximum(self.lower_bounds, bounds, out=self.lower_bounds)

    def apply_lowpass_bounds(self) -> None:
        """Raise the bounds of open pairs by short transforms."""
        if self.plan.spectral is None or self.plan.spectral.low_pass is None:
            return
        first, second = np.nonzero(self.open_pairs())
        bounds = self.plan.spectral.listed_pairs(self.x, first, second)
        self.lower_bounds[first, second] = np.maximum(self.lower_bounds[first, second], bounds)
        self.n_short = len(first)
        self.n_ruled_out = int(np.count_nonzero(bounds > self._pruning_radius(self.best)[first]))

    def open_pairs(self) -> BoolArray:
        """Pairs that may still win or tie, and were not evaluated."""
        return (self.lower_bounds <= self._pruning_radius(self.best)[:, None]) & ~self.done

    def most_promising(self, open_pairs: BoolArray) -> tuple[IntArray, IntArray]:
        """For each series with an open pair, the center with the lowest bound."""
        rows = np.flatnonzero(open_pairs.any(axis=1))
        return rows, np.where(open_pairs[rows], self.lower_bounds[rows], np.inf).argmin(axis=1)

    def nearest_so_far(self) -> IntArray:
        """The center of the best correlation so far; 0 for series that have none."""
        labels = np.zeros(len(self.x), dtype=np.intp)
        for found in self.resolved:
            top = found.ncc >= self.best[found.rows]
            labels[found.rows[top]] = found.labels[top]
        return labels

    def evaluate(self, rows: IntArray, columns: IntArray) -> None:
        """Transform listed pairs, and resolve those that may win or tie."""
        threshold = self.best[rows] - 2 * self.x.tie_band
        found = evaluate_pairs(self.x, self.plan.centers, rows, columns, threshold)
        self.n_full += len(rows)
        self.done[rows, columns] = True
        self.lower_bounds[rows, columns] = angle_lower_bound(found.peak, self.x.screen_error)
        near = np.flatnonzero(found.ncc > -np.inf)
        other_shift_bound = angle_lower_bound(found.runner_up, self.x.screen_error)
        self._add(take(Resolved(rows, columns, found.ncc, found.shifts, other_shift_bound), near))

    def finish(self, result: Assigned, block: slice) -> _Counts:
        """Decide ties between centers, and write the block's part of the result."""
        found = joined(self.resolved)
        won = take(found, first_of_ties(found.rows, found.labels, found.ncc, self.x.tie_band))
        result.put(won._replace(rows=block.start + won.rows))
        if result.lower_bounds is not None:
            result.lower_bounds[block] = self.lower_bounds
        return _Counts(self.n_full, self.n_short, self.n_ruled_out)

    def _pruning_radius(self, value: Float64Array) -> FloatArray:
        """Angles beyond which no center can win or tie with the given correlations."""
        return (angle_upper_bound(value, 2 * self.x.tie_band) + ANGLE_ROUNDING).astype(np.float32)

    def _add(self, found: Resolved) -> None:
        self.resolved.append(found)
        np.maximum.at(self.best, found.rows, found.ncc)
