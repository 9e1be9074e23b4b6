"""Find suspicious prices: prints that revert on the next day, jumps that stay, and flat stretches.

A return is compared with the stock's own volatility around that day and with the market's return on that
day. Therefore neither a volatile stock nor a crash of the market is suspicious. Nothing here changes a price.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from shapecluster._typing import BoolArray, Float64Array, FloatArray

PRINT_SIZE = 0.03
"""Minimum absolute log return of a bad print, market removed; smaller ones hardly change a shape."""

JUMP_SIZE = 0.10
"""Minimum absolute log return of a jump, market removed."""

_REVERTED = 0.5
"""A print has reverted when at most this share of the larger of its two moves remains."""

_WINDOW = 61  # days, about a quarter
_MIN_OBSERVED = 20  # returns in the window, for a scale that one outlier does not dominate
_MIN_MARKET = 10  # stocks, for a median that stands for the market
_MIN_SCALE = 1e-3  # a stock that hardly moves would otherwise turn one tick into a jump
_MAD_TO_STD = 1.4826  # of a normal distribution


class Scores(NamedTuple):
    """How unusual each observed return is.

    Attributes
    ----------
    size, score : ndarray of shape (n_stocks, n_days)
        The log return since the last observed price without the market's return, and its absolute value in
        robust standard deviations of that stock around that day. NaN where there is none.
    """

    size: Float64Array
    score: Float64Array


def score_returns(prices: FloatArray, observed: BoolArray) -> Scores:
    """Score every observed return.

    Parameters
    ----------
    prices : ndarray of shape (n_stocks, n_days)
        Prices, positive wherever `observed`.
    observed : ndarray of bool of shape (n_stocks, n_days)
        Which of them were observed: neither missing nor filled.

    Returns
    -------
    Scores
        With ten stocks or more, the median return of a day is taken for the market's return and removed.
        With fewer stocks nothing is removed.
    """
    levels = np.log(np.where(observed, prices, 1.0).astype(np.float64))
    levels[~observed] = np.nan
    levels -= np.cumsum(_market(levels))
    size = levels - _previous(levels)
    days = np.arange(levels.shape[1])
    span = days - _previous(np.where(observed, days, np.nan))
    daily = size / np.sqrt(span)  # the variance of a return grows with the days that a gap spans
    scale = _local_scale(daily)
    score = np.abs(daily) / np.maximum(scale, _MIN_SCALE)
    return Scores(size, score)


def reverting_prints(scores: Scores, min_score: float) -> dict[tuple[int, int], float]:
    """Find prices that jump away on one day and back on the next: (row, day), and the lower score of both.

    Both moves must be unusual and large, and their sum must be small. Two neighboring days can both qualify,
    because each is one move away from the other; then the one with the higher score is taken.
    """
    next_size, next_score = _next(scores.size), _next(scores.score)
    score = np.fmin(scores.score, next_score)
    smaller = np.fmin(np.abs(scores.size), np.abs(next_size))
    larger = np.fmax(np.abs(scores.size), np.abs(next_size))
    found = np.isfinite(scores.score + next_score) & (score >= min_score) & (smaller >= PRINT_SIZE)
    found &= np.abs(scores.size + next_size) <= _REVERTED * larger
    taken: set[tuple[int, int]] = set()
    kept = {}
    for row, day in np.argwhere(found)[np.argsort(-score[found], kind="stable")].tolist():
        moves = {(row, day), (row, next_observed(scores, row, day))}
        if not moves & taken:
            taken |= moves
            kept[row, day] = float(score[row, day])
    return dict(sorted(kept.items()))


def lasting_jumps(
    scores: Scores, min_score: float, prints: Iterable[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Find returns that are too large for normal trading and belong to no reverting print: (row, day)."""
    found = (scores.score >= min_score) & (np.abs(scores.size) >= JUMP_SIZE)
    for row, day in prints:
        found[row, [day, next_observed(scores, row, day)]] = False
    return [(row, day) for row, day in np.argwhere(found).tolist()]


def next_observed(scores: Scores, row: int, day: int) -> int:
    """Return the day of the first observed return after a day; the following day when there is none."""
    after = np.isfinite(scores.size[row, day + 1 :])
    return day + 1 + (int(np.argmax(after)) if after.size else 0)


def flat_stretches(prices: FloatArray, observed: BoolArray, min_days: int) -> list[tuple[int, int, int]]:
    """Find runs of at least `min_days` days that repeat the price before them exactly.

    Returns (row, first, last) with the positions of the first and the last repeated day.
    """
    same = np.zeros(prices.shape, dtype=bool)
    same[:, 1:] = (prices[:, 1:] == prices[:, :-1]) & observed[:, 1:] & observed[:, :-1]
    return [(row, first, last) for row, first, last in runs(same) if last - first + 1 >= min_days]


def runs(mask: BoolArray) -> list[tuple[int, int, int]]:
    """Return the runs of True in each row, as (row, first, last)."""
    padded = np.zeros((mask.shape[0], mask.shape[1] + 2), dtype=np.int8)
    padded[:, 1:-1] = mask
    steps = np.diff(padded, axis=1)
    rows, firsts = np.nonzero(steps == 1)
    _, ends = np.nonzero(steps == -1)
    return [(int(row), int(first), int(end) - 1) for row, first, end in zip(rows, firsts, ends, strict=True)]


def _market(levels: Float64Array) -> Float64Array:
    """Return the median return of each day; 0 on the first day, and where too few stocks have a return."""
    returns = np.diff(levels, axis=1)
    enough = np.isfinite(returns).sum(axis=0) >= _MIN_MARKET
    market = np.zeros(levels.shape[1])
    market[1:][enough] = np.nanmedian(returns[:, enough], axis=0)
    return market


def _local_scale(returns: Float64Array) -> Float64Array:
    """Return a robust standard deviation over the quarter around each day.

    It is the median of absolute returns, which the two returns of a bad print hardly change.
    """
    rolling = pd.DataFrame(np.abs(returns).T).rolling(_WINDOW, center=True, min_periods=_MIN_OBSERVED)
    return _MAD_TO_STD * rolling.median().to_numpy().T


def _next(values: Float64Array) -> Float64Array:
    """Return for each day the next value that is not NaN; NaN after the last one."""
    filled = pd.DataFrame(values.T).bfill().to_numpy().T
    return np.concatenate([filled[:, 1:], np.full((len(values), 1), np.nan)], axis=1)


def _previous(values: Float64Array) -> Float64Array:
    """Return for each day the last value before it that is not NaN; NaN where there is none."""
    return _next(values[:, ::-1])[:, ::-1]
