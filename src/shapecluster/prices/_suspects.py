"""Prices that look wrong: prints that revert on the next day, jumps that stay, and flat stretches.

A return is judged against the stock's own volatility around that day and against the market on that
day, so that neither a volatile stock nor a crash is suspicious. Nothing here changes a price.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from shapecluster._typing import BoolArray, Float64Array, FloatArray, IntArray

PRINT_SIZE = 0.03
"""The least log-return, market removed, of a bad print: below it, it hardly matters."""

JUMP_SIZE = 0.10
"""The least log-return, market removed, of a jump."""

_REVERTED = 0.5
"""A print has reverted when at most this part of the larger of its two moves is left."""

_WINDOW = 61
_MIN_OBSERVED = 20
_MIN_MARKET = 10
_LEAST_SCALE = 1e-3
_MAD_TO_STD = 1.4826


@dataclass(frozen=True)
class Scores:
    """How unusual each observed return is, and the one after it.

    Attributes
    ----------
    size, score : ndarray of shape (n_stocks, n_days)
        The log-return since the last observed price, with the market's removed, and its size in robust
        standard deviations of that stock around that day. NaN where there is none.
    next_size, next_score : ndarray of shape (n_stocks, n_days)
        The same for the next observed return.
    screened : ndarray of bool of shape (n_stocks,)
        Whether there were enough prices to judge a stock.
    """

    size: Float64Array
    score: Float64Array
    next_size: Float64Array
    next_score: Float64Array
    screened: BoolArray


@dataclass(frozen=True)
class Suspect:
    """One suspicious price; `row` and `day` are positions."""

    row: int
    day: int
    size: float
    score: float


def score_returns(prices: FloatArray, observed: BoolArray) -> Scores:
    """Score every observed return.

    Parameters
    ----------
    prices : ndarray of shape (n_stocks, n_days)
        Prices, positive wherever `observed`.
    observed : ndarray of bool of shape (n_stocks, n_days)
        Which of them are real: neither missing nor filled.

    Returns
    -------
    Scores
        With ten stocks or more, the median return of a day is taken as the market's; with fewer there
        is no market to speak of, and nothing is removed.
    """
    levels = np.log(np.where(observed, prices, 1.0).astype(np.float64))
    levels[~observed] = np.nan
    levels -= np.cumsum(_market(levels))
    last = _last_observed(observed)
    before = np.where(last >= 0, np.take_along_axis(levels, np.maximum(last, 0), axis=1), np.nan)
    size = levels - before
    span = np.arange(levels.shape[1]) - last
    typical = size / np.sqrt(span)  # a return over a gap of several days may be larger
    scale = _local_scale(typical)
    score = np.abs(typical) / np.maximum(scale, _LEAST_SCALE)
    return Scores(size, score, _next(size), _next(score), np.isfinite(score).any(axis=1))


def reverting_prints(scores: Scores, min_score: float) -> list[Suspect]:
    """Find prices that jump away on one day and back on the next.

    Both moves must be unusual and large, and what is left of them small. Where two neighbors would
    do, as both are one move away from each other, the one with the higher score is taken.
    """
    score = np.fmin(scores.score, scores.next_score)
    least = np.fmin(np.abs(scores.size), np.abs(scores.next_size))
    most = np.fmax(np.abs(scores.size), np.abs(scores.next_size))
    left = np.abs(scores.size + scores.next_size)
    found = np.isfinite(scores.score + scores.next_score)
    found &= (score >= min_score) & (least >= PRINT_SIZE) & (left <= _REVERTED * most)
    suspects = [_suspect(scores, row, day, score[row, day]) for row, day in np.argwhere(found)]
    taken: set[tuple[int, int]] = set()
    kept = []
    for one in sorted(suspects, key=lambda suspect: -suspect.score):
        after = next_observed(scores, one.row, one.day)
        if (one.row, one.day) not in taken and (one.row, after) not in taken:
            taken |= {(one.row, one.day), (one.row, after)}
            kept.append(one)
    return sorted(kept, key=lambda suspect: (suspect.row, suspect.day))


def lasting_jumps(scores: Scores, min_score: float, prints: list[Suspect]) -> list[Suspect]:
    """Find returns that are too large to be trading, and that are no part of a reverting print."""
    found = (scores.score >= min_score) & (np.abs(scores.size) >= JUMP_SIZE)
    for one in prints:
        found[one.row, [one.day, next_observed(scores, one.row, one.day)]] = False
    return [_suspect(scores, row, day, scores.score[row, day]) for row, day in np.argwhere(found)]


def next_observed(scores: Scores, row: int, day: int) -> int:
    """The day of the first observed return after a day; the day after it where there is none."""
    after = np.isfinite(scores.size[row, day + 1 :])
    return day + 1 + (int(np.argmax(after)) if after.size else 0)


def flat_stretches(prices: FloatArray, observed: BoolArray, min_days: int) -> list[tuple[int, int, int]]:
    """Find runs of at least `min_days` days that repeat the price before them, exactly.

    Returns (row, first, last) with the positions of the first and the last repeated day.
    """
    same = np.zeros(prices.shape, dtype=bool)
    same[:, 1:] = (prices[:, 1:] == prices[:, :-1]) & observed[:, 1:] & observed[:, :-1]
    return [(row, first, last) for row, first, last in runs(same) if last - first + 1 >= min_days]


def runs(mask: BoolArray) -> list[tuple[int, int, int]]:
    """The runs of True in each row, as (row, first, last)."""
    padded = np.zeros((mask.shape[0], mask.shape[1] + 2), dtype=np.int8)
    padded[:, 1:-1] = mask
    steps = np.diff(padded, axis=1)
    rows, firsts = np.nonzero(steps == 1)
    _, ends = np.nonzero(steps == -1)
    return [(int(row), int(first), int(end) - 1) for row, first, end in zip(rows, firsts, ends, strict=True)]


def _suspect(scores: Scores, row: int, day: int, score: float) -> Suspect:
    return Suspect(int(row), int(day), float(scores.size[row, day]), float(score))


def _market(levels: Float64Array) -> Float64Array:
    """The median return of each day; 0 on the first, and where too few stocks have one."""
    returns = np.diff(levels, axis=1)
    enough = np.isfinite(returns).sum(axis=0) >= _MIN_MARKET
    market = np.zeros(levels.shape[1])
    market[1:][enough] = np.nanmedian(returns[:, enough], axis=0)
    return market


def _last_observed(observed: BoolArray) -> IntArray:
    """For each day the position of the last observed price before it; -1 where there is none."""
    positions = np.where(observed, np.arange(observed.shape[1]), -1)
    last = np.maximum.accumulate(positions, axis=1)
    return np.concatenate([np.full((len(last), 1), -1), last[:, :-1]], axis=1)


def _local_scale(returns: Float64Array) -> Float64Array:
    """A robust standard deviation over the quarter around each day; two outliers do not move it."""
    rolling = pd.DataFrame(np.abs(returns).T).rolling(_WINDOW, center=True, min_periods=_MIN_OBSERVED)
    return _MAD_TO_STD * rolling.median().to_numpy().T


def _next(values: Float64Array) -> Float64Array:
    """For each day the next value that is there, NaN after the last."""
    filled = pd.DataFrame(values.T).bfill().to_numpy().T
    return np.concatenate([filled[:, 1:], np.full((len(values), 1), np.nan)], axis=1)
