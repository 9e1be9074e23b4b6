"""Prices with their tickers and days, as windows: those to be indexed, and the one that a query means."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from shapecluster._typing import Float64Array, FloatArray, IntArray
from shapecluster._validation import listing
from shapecluster.analogues._windows import Counted, Windows, compared, complete_windows, gather, width_of


class Asked(NamedTuple):
    """What a query means.

    Attributes
    ----------
    prices : ndarray of shape (window,)
    name : object
        The ticker; None for prices from elsewhere without a name.
    window : Windows
        Whose window it is, and when it ends; after all days where nothing is said of its time.
    known : int
        Position of the last day that may be looked at.
    """

    prices: Float64Array
    name: Any
    window: Windows
    known: int


@dataclass(frozen=True)
class Panel:
    """Prices, and how they are cut into windows.

    Attributes
    ----------
    prices : ndarray of shape (n_tickers, n_days)
        float64, positive; NaN where missing.
    tickers, days : pandas.Index
    window : int
        Days in a window.
    kind : {"levels", "returns"}
        What is compared.
    """

    prices: Float64Array
    tickers: pd.Index[Any]
    days: pd.Index[Any]
    window: int
    kind: str

    def __post_init__(self) -> None:
        with np.errstate(invalid="ignore"):
            rows = np.flatnonzero((self.prices <= 0).any(axis=1))
        if len(rows):
            raise ValueError(f"prices must be positive. Those of {listing(self.tickers[rows])} are not.")

    def frame(self) -> pd.DataFrame:
        """The prices as they came."""
        return pd.DataFrame(self.prices, index=self.tickers, columns=self.days)

    def extended(self, prices: Float64Array, tickers: pd.Index[Any], days: pd.Index[Any]) -> Panel:
        """With the prices of later days, of the same tickers in any order."""
        if len(tickers) != len(self.tickers) or not tickers.isin(self.tickers).all():
            other = tickers.symmetric_difference(self.tickers)
            raise ValueError(
                f"prices must be of the {len(self.tickers)} tickers of `fit`, no more and no less. Got "
                f"{listing(other)} on one side only: fit anew for other tickers."
            )
        if not days[0] > self.days[-1]:
            raise ValueError(
                f"prices must be of days after {self.days[-1]}, the last one known. Got {days[0]} instead."
            )
        both = np.concatenate([self.prices, prices[tickers.get_indexer(self.tickers)]], axis=1)
        return replace(self, prices=both, days=self.days.append(days))

    @property
    def width(self) -> int:
        """Values in a window."""
        return width_of(self.window, self.kind)

    @cached_property
    def _values(self) -> FloatArray:
        return compared(self.prices, self.kind)

    def on_grid(self, step: int, first: int) -> Counted:
        """The windows that end on every `step`-th day, from the day `first` on."""
        ends = np.arange(self.window - 1, len(self.days), step)
        return self.ending(ends[ends >= first])

    def ending(self, ends: IntArray) -> Counted:
        """The windows that end on these days."""
        return complete_windows(self._values, self.width, ends)

    def gathered(self, windows: Windows) -> FloatArray:
        """Windows as they are compared."""
        return gather(self._values, windows, self.width)

    def compared(self, prices: Float64Array) -> FloatArray:
        """A window of prices as it is compared, in one row."""
        return compared(prices[None], self.kind)[:, -self.width :]

    def position(self, as_of: Any) -> int:
        """The last day on or before a date; the very label where days are no dates."""
        if isinstance(self.days, pd.DatetimeIndex):
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

    def asked(self, query: Any, as_of: Any) -> Asked:
        """What a query means: a ticker, or prices from elsewhere."""
        end = None if as_of is None else self.position(as_of)
        if np.ndim(query) == 0:
            return self._asked_of_ticker(query, end)
        prices = np.asarray(query, dtype=np.float64)
        self._check(prices, "the query")
        n_days = len(self.days)
        window = Windows(np.array([-1]), np.array([n_days - 1 + self.window if end is None else end]))
        name = query.name if isinstance(query, pd.Series) else None
        return Asked(prices, name, window, n_days - 1 if end is None else end)

    def _asked_of_ticker(self, ticker: Any, end: int | None) -> Asked:
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
        self._check(prices, f"{ticker!r} up to {self.days[end]}")
        return Asked(prices, ticker, Windows(np.array([row]), np.array([end])), end)

    def _check(self, prices: Float64Array, what: str) -> None:
        """Refuse a query that is no window of prices that move."""
        if prices.shape != (self.window,):
            raise ValueError(
                f"query must be a ticker, or {self.window} prices. Got shape {prices.shape} instead."
            )
        gaps = int((~np.isfinite(prices)).sum())
        if gaps:
            raise ValueError(
                f"query must have {self.window} prices. Got {gaps} missing ones of {what} instead."
            )
        if (prices <= 0).any():
            raise ValueError(f"query must be positive prices. Got {prices.min():g} of {what} instead.")
        values = self.compared(prices)
        if (values == values[0, 0]).all():
            raise ValueError(
                f"query must be prices that move. Those of {what} do not, so they have no shape."
            )
