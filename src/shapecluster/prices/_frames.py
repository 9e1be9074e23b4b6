"""Convert tables with dates as rows to frames with tickers as rows.

Price files have one line per day, and this library takes one row per stock. Every source of prices uses the
functions here, so tickers and dates are checked in one place. A frame of prices has tickers as its index
("ticker") and increasing days without a time zone as its columns ("date").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from shapecluster._tables import days
from shapecluster._text import listing
from shapecluster._typing import FloatArray
from shapecluster._validation import check_labels, frame_values

SourceLocation = Callable[[int], str]
"""Describes a position in the input: "line 7" or "column 3"."""


def price_frame(values: FloatArray, tickers: Iterable[object], dates: pd.DatetimeIndex) -> pd.DataFrame:
    """Return a frame of prices of shape (n_tickers, n_dates); the dtype is kept."""
    return pd.DataFrame(values, index=pd.Index(list(tickers), name="ticker"), columns=dates.rename("date"))


def rows_from_series(series: Mapping[str, pd.Series[Any]]) -> pd.DataFrame:
    """Stack one series per ticker (indexed by day) as rows over the union of their days."""
    dates = [days(prices.index) for prices in series.values()]
    union = days(np.unique(np.concatenate([days([]).asi8, *(own.asi8 for own in dates)])))
    rows = np.full((len(series), len(union)), np.nan)
    for row, (prices, own) in enumerate(zip(series.values(), dates, strict=True)):
        rows[row, union.get_indexer(own)] = prices.to_numpy(dtype=np.float64)
    return price_frame(rows, series, union)


def rows_from_triples(
    names: Sequence[str], dates: pd.DatetimeIndex, values: FloatArray, where: SourceLocation
) -> pd.DataFrame:
    """Convert a long table (a ticker, a day and a price per line) to a frame with tickers as rows.

    Tickers keep their order, and days are sorted. Two prices of one ticker on one day are an error.
    """
    ticker_codes, tickers = pd.factorize(np.array(names, dtype=object))
    date_codes, columns = pd.factorize(dates, sort=True)
    # One number per (ticker, day): equal neighbors after sorting are repeated prices.
    cells = ticker_codes * len(columns) + date_codes
    by_cell = np.argsort(cells, kind="stable")
    twice = np.flatnonzero(np.diff(cells[by_cell]) == 0)
    if twice.size:
        first, second = (int(line) for line in by_cell[twice[0] : twice[0] + 2])
        raise ValueError(
            f"{where(second)}: {names[second]!r} has a second price for {dates[second].date()} "
            f"(the first: {where(first)}). One price per ticker and day is expected."
        )
    grid = np.full(len(tickers) * len(columns), np.nan, dtype=values.dtype)
    grid[cells] = values
    return price_frame(grid.reshape(len(tickers), -1), tickers, pd.DatetimeIndex(columns))


def check_tickers(tickers: Sequence[str], where: SourceLocation) -> None:
    """Raise for empty tickers, and for tickers that occur twice."""
    seen: dict[str, int] = {}
    for position, ticker in enumerate(tickers):
        if not ticker:
            raise ValueError(f"{where(position)} has no ticker.")
        if ticker in seen:
            raise ValueError(
                f"the ticker {ticker!r} occurs twice: in {where(seen[ticker])} and in {where(position)}."
            )
        seen[ticker] = position


def check_day_order(dates: pd.DatetimeIndex, where: SourceLocation, *, remedy: str) -> None:
    """Raise for days that occur twice or do not increase; `remedy` ends the message about the order."""
    before, after = dates.asi8[:-1], dates.asi8[1:]  # compared, because differences of centuries overflow
    if (before < after).all():
        return
    repeated = np.flatnonzero(dates.duplicated())
    if repeated.size:
        second = int(repeated[0])
        first = int(np.flatnonzero(dates == dates[second])[0])
        raise ValueError(
            f"the date {dates[second].date()} occurs twice: in {where(first)} and in {where(second)}. "
            "One line per trading day is expected."
        )
    late = int(np.flatnonzero(before > after)[0]) + 1
    raise ValueError(
        f"the dates are not sorted: {where(late)} has {dates[late].date()} after "
        f"{dates[late - 1].date()}. {remedy}"
    )


def check_price_frame(prices: Any, owner: str) -> pd.DataFrame:
    """Check that a frame holds numbers with tickers as rows and increasing days as columns.

    Returns float32 when all columns are float32, else float64. The values may be those of the frame given.
    """
    if not isinstance(prices, pd.DataFrame):
        raise TypeError(
            f"{owner} takes a DataFrame with tickers as rows and dates as columns, as load_prices returns. "
            f"Got {type(prices).__name__} instead."
        )
    check_labels(prices, owner)
    if not isinstance(prices.columns, pd.DatetimeIndex):
        periods = isinstance(prices.columns, pd.PeriodIndex)
        remedy = "prices.columns.to_timestamp()" if periods else "pd.to_datetime(prices.columns)"
        raise ValueError(
            f"{owner}: the columns of prices must be dates (a DatetimeIndex). "
            f"Got {type(prices.columns).__name__} instead; convert them: prices.columns = {remedy}."
        )
    if prices.shape[0] == 0 or prices.shape[1] < 2:
        raise ValueError(f"{owner} needs at least one stock and two days. Got shape {prices.shape} instead.")
    values = frame_values(prices, owner, "prices")
    infinite = np.isinf(values).any(axis=1)
    if infinite.any():
        raise ValueError(
            f"{owner}: infinite prices for {listing(prices.index[infinite])}. Replace them by NaN."
        )
    dates = prices.columns
    if dates.tz is not None or not dates.is_normalized:
        dates = days(dates)
    if dates.has_duplicates:
        repeated = listing(day.date() for day in dates[dates.duplicated()].unique())
        raise ValueError(f"{owner} takes one price per stock and day, but these days repeat: {repeated}.")
    return price_frame(values, prices.index, dates)
