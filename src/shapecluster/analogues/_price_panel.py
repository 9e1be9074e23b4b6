"""PricePanel: prices with their tickers and days, their windows, and the window that a query names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from shapecluster._text import listing
from shapecluster._typing import Float64Array, FloatArray, IntArray
from shapecluster.analogues._windows import (
    ValueKind,
    WindowCounts,
    Windows,
    comparable_values,
    complete_windows,
    window_values,
)


class ResolvedQuery(NamedTuple):
    """The window that a query names.

    Attributes
    ----------
    prices : ndarray of shape (window,)
        Its prices.
    name : object
        The ticker; None for external prices without a name.
    window : Windows
        Its row and last day. External prices without a date end after all days.
    known : int
        Position of the last day that may be looked at.
    """

    prices: Float64Array
    name: Any
    window: Windows
    known: int


@dataclass(frozen=True)
class PricePanel:
    """Prices, and the way they are cut into windows.

    Attributes
    ----------
    prices : ndarray of shape (n_tickers, n_days)
        float64, positive; NaN where missing.
    tickers, days : pandas.Index
        Labels of the rows and columns.
    window : int
        Number of days in a window.
    kind : {"levels", "returns"}
        The values that are compared.
    """

    prices: Float64Array
    tickers: pd.Index[Any]
    days: pd.Index[Any]
    window: int
    kind: ValueKind

    def __post_init__(self) -> None:
        with np.errstate(invalid="ignore"):
            rows = np.flatnonzero((self.prices <= 0).any(axis=1))
        if len(rows):
            raise ValueError(f"prices must be positive. Those of {listing(self.tickers[rows])} are not.")

    def extend(self, prices: Float64Array, tickers: pd.Index[Any], days: pd.Index[Any]) -> PricePanel:
        """Return a panel with the prices of later days, of the same tickers in any order."""
        if len(tickers) != len(self.tickers) or not tickers.isin(self.tickers).all():
            other = tickers.symmetric_difference(self.tickers)
            raise ValueError(
                f"prices must be of the {len(self.tickers)} tickers of `fit`, no more and no less. Got "
                f"{listing(other)} on one side only: fit again for other tickers."
            )
        if not days[0] > self.days[-1]:
            raise ValueError(
                f"prices must be of days after {self.days[-1]}, the last one known. Got {days[0]} instead."
            )
        both = np.concatenate([self.prices, prices[tickers.get_indexer(self.tickers)]], axis=1)
        return replace(self, prices=both, days=self.days.append(days))

    @property
    def width(self) -> int:
        """Number of values in a window: a return takes two days."""
        return self.window if self.kind == "levels" else self.window - 1

    @cached_property
    def _values(self) -> FloatArray:
        return comparable_values(self.prices, self.kind)

    def windows_on_grid(self, step: int, first: int) -> tuple[Windows, pd.DataFrame]:
        """Find the windows that end on every `step`-th day, from the day `first` on.

        Also count those of each ticker that are left out, as `missing` or `flat`.
        """
        ends = np.arange(self.window - 1, len(self.days), step)
        found = self.windows_ending(ends[ends >= first])
        left_out = {"missing": found.n_missing, "flat": found.n_flat}
        return found.windows, pd.DataFrame(left_out, index=self.tickers)

    def windows_ending(self, ends: IntArray) -> WindowCounts:
        """Find the windows that end on these days."""
        return complete_windows(self._values, self.width, ends)

    def values_of(self, windows: Windows) -> FloatArray:
        """Return the values of windows that are compared."""
        return window_values(self._values, windows, self.width)

    def query_values(self, prices: Float64Array) -> FloatArray:
        """Convert a window of prices to the values that are compared, in one row."""
        return comparable_values(prices[None], self.kind)[:, -self.width :]

    def day_position(self, as_of: Any) -> int:
        """Find the last day on or before a date. Days that are no dates must equal `as_of`."""
        if isinstance(self.days, pd.DatetimeIndex):
            # The market may be closed on that date: the last day of trade before it counts.
            found = int(self.days.searchsorted(pd.Timestamp(as_of), side="right")) - 1
        else:
            found = int(self.days.get_indexer(pd.Index([as_of]))[0])
            if found < 0:
                raise ValueError(f"as_of must be a column of the prices. Got {as_of!r} instead.")
        if found < self.window - 1:
            raise ValueError(
                f"as_of must leave {self.window} days up to it: it must be {self.days[self.window - 1]} or "
                f"later. Got {as_of} instead."
            )
        return found

    def resolve(self, query: Any, as_of: Any) -> ResolvedQuery:
        """Find the window that a query names: a ticker, or external prices."""
        end = None if as_of is None else self.day_position(as_of)
        if np.ndim(query) == 0:
            return self._resolve_ticker(query, end)
        prices = np.asarray(query, dtype=np.float64)
        self._check_query(prices, "the query")
        n_days = len(self.days)
        # Without a date the query ends so late that every window of the panel ended before its first day.
        window = Windows(np.array([-1]), np.array([n_days - 1 + self.window if end is None else end]))
        name = query.name if isinstance(query, pd.Series) else None
        return ResolvedQuery(prices, name, window, n_days - 1 if end is None else end)

    def _resolve_ticker(self, ticker: Any, end: int | None) -> ResolvedQuery:
        row = int(self.tickers.get_indexer(pd.Index([ticker]))[0])
        if row < 0:
            raise ValueError(
                f"query must be a ticker of `fit`, or {self.window} prices. Got {ticker!r} instead."
            )
        if end is None:
            every = np.arange(self.window - 1, len(self.days))
            ends = complete_windows(self._values[[row]], self.width, every).windows.ends
            if not len(ends):
                raise ValueError(
                    f"{ticker!r} never has {self.window} prices in a row that move: it has no window."
                )
            end = int(ends[-1])
        prices = self.prices[row, end - self.window + 1 : end + 1]
        self._check_query(prices, f"{ticker!r} up to {self.days[end]}")
        return ResolvedQuery(prices, ticker, Windows(np.array([row]), np.array([end])), end)

    def _check_query(self, prices: Float64Array, source: str) -> None:
        """Raise an error for a query that is no window of prices that move."""
        if prices.shape != (self.window,):
            raise ValueError(
                f"query must be a ticker, or {self.window} prices. Got shape {prices.shape} instead."
            )
        gaps = int((~np.isfinite(prices)).sum())
        if gaps:
            raise ValueError(
                f"query must have {self.window} prices. Got {gaps} missing ones of {source} instead."
            )
        if (prices <= 0).any():
            raise ValueError(f"query must be positive prices. Got {prices.min():g} of {source} instead.")
        values = self.query_values(prices)  # returns of exponential growth do not move, though prices do
        if (values == values[0, 0]).all():
            raise ValueError(
                f"query must be prices that move. Those of {source} do not, so they have no shape."
            )
