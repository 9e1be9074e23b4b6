"""What real panels suffer from, planted in simulated prices: late listings, halts, bad prints.

Each function changes an array of prices, tickers as rows, in place, and returns what it did as events:
tuples whose fields stand in the dicts of columns below, with tickers and dates by position. The draws for
an event do not depend on how many are asked for, so asking for more keeps the first ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from shapecluster._typing import BoolArray, Float64Array

Defect = tuple[Any, ...]

_LISTING_WINDOW = (0.10, 0.75)  # when late stocks list, as shares of the days

PAIRS = {"stock": "ticker", "twin": "ticker"}
LISTINGS = {"ticker": "ticker", "date": "date", "n_missing": "int64"}
HALTS = {"ticker": "ticker", "first": "date", "last": "date", "n_days": "int64", "kind": "str"}
BAD_PRINTS = {"ticker": "ticker", "date": "date", "factor": "float64"}


def list_late(shown: Float64Array, rng: np.random.Generator, n_late: int) -> list[Defect]:
    """Blank the days before the first price of some stocks."""
    n_stocks, n_days = shown.shape
    order, when = rng.permutation(n_stocks), rng.random((n_stocks,))
    earliest, latest = _LISTING_WINDOW
    events: list[Defect] = []
    for stock, draw in zip(order[:n_late], when, strict=False):
        first = int((earliest + draw * (latest - earliest)) * n_days)
        shown[stock, :first] = np.nan
        events.append((stock, first, first))
    return events


def halt(
    shown: Float64Array, rng: np.random.Generator, n_halts: int, halt_days: tuple[int, int], halt_kind: str
) -> tuple[list[Defect], BoolArray]:
    """Halt some stocks for a stretch of days, with trading before and after it."""
    n_stocks, n_days = shown.shape
    order, draws = rng.permutation(n_stocks), rng.random((n_stocks, 3))
    halted = np.zeros(shown.shape, dtype=np.bool_)
    events: list[Defect] = []
    shortest, longest = halt_days
    for stock, (length_draw, start_draw, coin) in zip(order[:n_halts], draws, strict=False):
        listed = int(np.isnan(shown[stock]).sum())  # so far, only days before the listing are missing
        length = min(shortest + int(length_draw * (longest - shortest + 1)), n_days - listed - 2)
        first = listed + 1 + int(start_draw * (n_days - listed - length - 1))
        kind = halt_kind if halt_kind != "mixed" else ("flat" if coin < 0.5 else "missing")
        stretch = slice(first, first + length)
        halted[stock, stretch] = True
        shown[stock, stretch] = shown[stock, first - 1] if kind == "flat" else np.nan
        events.append((stock, first, first + length - 1, length, kind))
    return events, halted


def misprint(
    shown: Float64Array,
    rng: np.random.Generator,
    n_bad_prints: int,
    size: tuple[float, float],
    halted: BoolArray,
) -> list[Defect]:
    """Make one price wrong for some stocks, on a day that trades between two others."""
    order, draws = rng.permutation(len(shown)), rng.random((len(shown), 3))
    trades = ~halted & ~np.isnan(shown)
    eligible = trades[:, :-2] & trades[:, 1:-1] & trades[:, 2:]  # of days 1 to n_days - 2
    order = order[eligible[order].any(axis=1)]
    if n_bad_prints > len(order):
        raise ValueError(
            f"The 'n_bad_prints' parameter of make_market must be at most {len(order)}, the number of stocks "
            f"that trade three days in a row. Got {n_bad_prints} instead."
        )
    events: list[Defect] = []
    for stock, (when, sign, amount) in zip(order[:n_bad_prints], draws, strict=False):
        days = np.flatnonzero(eligible[stock]) + 1
        day = days[int(when * len(days))]
        jump = size[0] + amount * (size[1] - size[0])
        factor = float(np.exp(jump if sign < 0.5 else -jump))
        shown[stock, day] *= factor
        events.append((stock, day, factor))
    return events


def tidy(
    events: list[Defect], columns: Mapping[str, str], tickers: pd.Index[str], dates: pd.DatetimeIndex
) -> pd.DataFrame:
    """A table of events in the order in which they were planted; its columns keep their types when empty."""
    table: dict[str, Any] = {}
    for position, (name, kind) in enumerate(columns.items()):
        values = [event[position] for event in events]
        if kind in ("ticker", "date"):
            labels = tickers if kind == "ticker" else dates
            table[name] = labels.take(np.array(values, dtype=np.intp)).rename(None)
        else:
            table[name] = pd.Series(values, dtype=kind)
    return pd.DataFrame(table)
