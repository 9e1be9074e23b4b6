"""Rolling windows of a price panel: which are complete, their values, and the returns after them.

All functions are pure functions of arrays. A panel has one row per ticker and one column per day. A window is
identified by its row and the position of its last day, so two integer arrays describe a million windows.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from shapecluster._arrays import take
from shapecluster._typing import BoolArray, Float64Array, FloatArray, IntArray

ValueKind = Literal["levels", "returns"]


class Windows(NamedTuple):
    """Windows of a panel.

    Attributes
    ----------
    rows : ndarray of int, shape (n_windows,)
        Row of the panel; -1 for a series that is not in it.
    ends : ndarray of int, shape (n_windows,)
        Position of the last day.
    """

    rows: IntArray
    ends: IntArray


class WindowCounts(NamedTuple):
    """The windows of a panel that can be compared, and how many of each row cannot.

    Attributes
    ----------
    windows : Windows
        Sorted by row, then by day.
    n_missing : ndarray of int, shape (n_rows,)
        Number of windows with a missing value.
    n_flat : ndarray of int, shape (n_rows,)
        Number of complete windows in which no value changes.
    """

    windows: Windows
    n_missing: IntArray
    n_flat: IntArray


def comparable_values(prices: Float64Array, kind: ValueKind) -> FloatArray:
    """Convert prices to the values that are compared: prices, or log returns dated by the later day."""
    # In float32: distances need no more, and half a million windows take half the memory.
    if kind == "levels":
        return prices.astype(np.float32)
    returns = np.full(prices.shape, np.nan, dtype=np.float32)
    returns[:, 1:] = np.diff(np.log(prices), axis=1)
    return returns


def complete_windows(values: FloatArray, width: int, ends: IntArray) -> WindowCounts:
    """Find the windows that end on these days, have all their values, and are not flat."""
    starts = ends - width + 1
    # Cumulative counts count in constant time in windows of any width.
    missing = _cumulative_count(np.isnan(values))
    changes = _cumulative_count(values[:, 1:] != values[:, :-1])
    complete = missing[:, ends + 1] == missing[:, starts]
    flat = complete & (changes[:, ends] == changes[:, starts])
    rows, columns = np.nonzero(complete & ~flat)
    return WindowCounts(Windows(rows, ends[columns]), (~complete).sum(axis=1), flat.sum(axis=1))


def _cumulative_count(marks: BoolArray) -> IntArray:
    """Count the marks before each column."""
    total = np.zeros((marks.shape[0], marks.shape[1] + 1), dtype=np.intp)
    np.cumsum(marks, axis=1, out=total[:, 1:])
    return total


def window_values(values: FloatArray, windows: Windows, width: int) -> FloatArray:
    """Copy the values of windows, one row each."""
    # The view costs no memory, so the rows picked from it are the only copy.
    picked: FloatArray = sliding_window_view(values, width, axis=1)[windows.rows, windows.ends - width + 1]
    return picked


def forward_returns(
    prices: Float64Array, windows: Windows, horizon: int, known: int, *, first: int = 1
) -> Float64Array:
    """Compute simple returns from the last day of each window to each of the days after it.

    Parameters
    ----------
    prices : ndarray of shape (n_rows, n_days)
        Prices of the panel.
    windows : Windows
        Windows of rows of the panel.
    horizon : int
        Number of days to look ahead.
    known : int
        Position of the last day that may be looked at.
    first : int, default=1
        The first of these days.

    Returns
    -------
    ndarray of shape (n_windows, horizon - first + 1)
        NaN for days after `known`, and for days without a price.
    """
    days = windows.ends[:, None] + np.arange(first, horizon + 1)
    last = prices[windows.rows, windows.ends][:, None]
    paths: Float64Array = prices[windows.rows[:, None], np.minimum(days, prices.shape[1] - 1)] / last - 1.0
    paths[days > known] = np.nan
    return paths


def is_within_exclusion(windows: Windows, other: Windows, exclusion: int) -> BoolArray:
    """Whether windows are of the same ticker and within so many days; the two broadcast."""
    close: BoolArray = windows.rows == other.rows
    close &= np.abs(windows.ends - other.ends) <= exclusion
    return close


def suppress_overlaps(windows: Windows, n_max: int, exclusion: int) -> IntArray:
    """Select the best window of each episode, from windows sorted best first.

    A window belongs to the episode of a better window of the same ticker within `exclusion` days. Only better
    windows decide this. The episodes of the first few windows are therefore the first episodes of all.

    Returns
    -------
    ndarray of int, shape (n_episodes,)
        Positions in `windows`; at most `n_max`.
    """
    kept: list[int] = []
    left = np.arange(len(windows.ends))
    while len(left) and len(kept) < n_max:
        first = int(left[0])
        kept.append(first)
        best = take(windows, slice(first, first + 1))
        left = left[~is_within_exclusion(take(windows, left), best, exclusion)]
    return np.array(kept, dtype=np.intp)


def n_non_overlapping(ends: IntArray, horizon: int) -> int:
    """Count the most outcomes of `horizon` days after these ends of which no two share a day."""
    count, free = 0, -1
    # To take the earliest outcome that fits is optimal (interval scheduling).
    for end in np.flatnonzero(np.bincount(ends)).tolist():
        if end >= free:
            count, free = count + 1, end + horizon
    return count
