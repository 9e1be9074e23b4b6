"""Rolling windows of a panel of prices: which there are, what they hold, and what followed them.

Pure functions of arrays. A panel has one row a ticker and one column a day; a window is known by its row and
the position of its last day, so a million windows are two arrays of integers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from shapecluster._typing import BoolArray, Float64Array, FloatArray, IntArray

LEVELS, RETURNS = "levels", "returns"


@dataclass(frozen=True)
class Windows:
    """Some windows of a panel.

    Attributes
    ----------
    rows : ndarray of int, shape (n_windows,)
        Row of the panel; -1 for a series that is not in it.
    ends : ndarray of int, shape (n_windows,)
        Position of the last day.
    """

    rows: IntArray
    ends: IntArray

    def __len__(self) -> int:
        return len(self.rows)

    def at(self, some: IntArray | BoolArray | slice) -> Windows:
        """Some of them."""
        return Windows(self.rows[some], self.ends[some])

    def joined(self, other: Windows) -> Windows:
        """These and, after them, others."""
        return Windows(np.concatenate([self.rows, other.rows]), np.concatenate([self.ends, other.ends]))


@dataclass(frozen=True)
class Counted:
    """The windows of a panel that can be compared, and how many of each row cannot.

    Attributes
    ----------
    windows : Windows
        By row, then by day.
    n_missing : ndarray of int, shape (n_rows,)
        Windows left out for a day without a price.
    n_flat : ndarray of int, shape (n_rows,)
        Windows left out because nothing moves in them.
    """

    windows: Windows
    n_missing: IntArray
    n_flat: IntArray


def compared(prices: Float64Array, kind: str) -> FloatArray:
    """What windows are made of, in float32: the prices themselves, or log returns under the later day."""
    if kind == LEVELS:
        return prices.astype(np.float32)
    returns = np.full(prices.shape, np.nan, dtype=np.float32)
    returns[:, 1:] = np.diff(np.log(prices), axis=1)
    return returns


def width_of(window: int, kind: str) -> int:
    """Values in a window of so many days: a return takes two of them."""
    return window if kind == LEVELS else window - 1


def complete_windows(values: FloatArray, width: int, ends: IntArray) -> Counted:
    """The windows that end on these days, have all their values, and move."""
    starts = ends - width + 1
    missing = _running(np.isnan(values))
    moves = _running(values[:, 1:] != values[:, :-1])
    complete = missing[:, ends + 1] == missing[:, starts]
    flat = complete & (moves[:, ends] == moves[:, starts])
    rows, at = np.nonzero(complete & ~flat)
    return Counted(Windows(rows, ends[at]), (~complete).sum(axis=1), flat.sum(axis=1))


def _running(marks: BoolArray) -> IntArray:
    """How many marks stand before each column."""
    total = np.zeros((marks.shape[0], marks.shape[1] + 1), dtype=np.intp)
    np.cumsum(marks, axis=1, out=total[:, 1:])
    return total


def gather(values: FloatArray, windows: Windows, width: int) -> FloatArray:
    """The values of windows, each a row; the only copy that is made."""
    picked: FloatArray = sliding_window_view(values, width, axis=1)[windows.rows, windows.ends - width + 1]
    return picked


def futures(prices: Float64Array, windows: Windows, horizon: int, known: int) -> Float64Array:
    """Simple returns from the last day of each window to each of the days after it.

    Parameters
    ----------
    prices : ndarray of shape (n_rows, n_days)
    windows : Windows
    horizon : int
        Days to look ahead.
    known : int
        Position of the last day that may be looked at.

    Returns
    -------
    ndarray of shape (n_windows, horizon)
        NaN for days that lie after `known`, and for days without a price.
    """
    days = windows.ends[:, None] + np.arange(1, horizon + 1)
    last = prices[windows.rows, windows.ends][:, None]
    paths: Float64Array = prices[windows.rows[:, None], np.minimum(days, prices.shape[1] - 1)] / last - 1.0
    paths[days > known] = np.nan
    return paths


def followed(prices: Float64Array, windows: Windows, horizon: int, known: int) -> Float64Array:
    """The last column of `futures`, at a fraction of its cost."""
    days = windows.ends + horizon
    later = prices[windows.rows, np.minimum(days, prices.shape[1] - 1)]
    outcome: Float64Array = later / prices[windows.rows, windows.ends] - 1.0
    outcome[days > known] = np.nan
    return outcome


def near(windows: Windows, other: Windows, exclusion: int) -> BoolArray:
    """Whether windows are of the same ticker and within so many days; the two broadcast."""
    close: BoolArray = windows.rows == other.rows
    close &= np.abs(windows.ends - other.ends) <= exclusion
    return close


def episodes(windows: Windows, most: int, exclusion: int) -> IntArray:
    """The best window of each episode, from windows in order, the best first.

    A window belongs to the episode of a better one of the same ticker within `exclusion` days. Whether it
    does is decided by better windows alone, so the answer for the first few windows is the beginning of
    the answer for all.

    Returns
    -------
    ndarray of int, shape (n_episodes,)
        Positions in `windows`; at most `most`.
    """
    kept: list[int] = []
    left = np.arange(len(windows))
    while len(left) and len(kept) < most:
        first = int(left[0])
        kept.append(first)
        left = left[~near(windows.at(left), windows.at(slice(first, first + 1)), exclusion)]
    return np.array(kept, dtype=np.intp)


def apart(ends: IntArray, horizon: int) -> int:
    """The most outcomes of `horizon` days after these ends of which no two share a day."""
    count, free = 0, -1
    for end in np.flatnonzero(np.bincount(ends)).tolist():
        if end >= free:
            count, free = count + 1, end + horizon
    return count
