"""Defects of real panels, planted in simulated prices: late listings, halts and bad prints.

Each function changes an array of prices in place, with tickers as rows, and returns the defects. A defect is
a tuple with the fields of the dicts below; tickers and dates are positions. The draws for a defect do not
depend on the number of defects, so asking for more keeps the first ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from shapecluster._typing import BoolArray, Float64Array
from shapecluster.datasets._parameters import require

Defect = tuple[Any, ...]

_LISTING_WINDOW = (0.10, 0.75)  # of late listings, as shares of the days

# Name and type of each column.
PAIRS = {"stock": "ticker", "twin": "ticker"}
LISTINGS = {"ticker": "ticker", "date": "date", "n_missing": "int64"}
HALTS = {"ticker": "ticker", "first": "date", "last": "date", "n_days": "int64", "kind": "str"}
BAD_PRINTS = {"ticker": "ticker", "date": "date", "factor": "float64"}


def plant_late_listings(shown: Float64Array, rng: np.random.Generator, n_late: int) -> list[Defect]:
    """Remove the prices of some stocks before their first day."""
    n_stocks, n_days = shown.shape
    # Draws for all stocks, so that the number of defects does not move any draw.
    order, when = rng.permutation(n_stocks), rng.random((n_stocks,))
    earliest, latest = _LISTING_WINDOW
    defects: list[Defect] = []
    for stock, draw in zip(order[:n_late], when, strict=False):
        first = int((earliest + draw * (latest - earliest)) * n_days)
        shown[stock, :first] = np.nan
        defects.append((stock, first, first))
    return defects


def plant_halts(
    shown: Float64Array, rng: np.random.Generator, n_halts: int, halt_days: tuple[int, int], halt_kind: str
) -> tuple[list[Defect], BoolArray]:
    """Halt some stocks for consecutive days, with trading before and after."""
    n_stocks, n_days = shown.shape
    order, draws = rng.permutation(n_stocks), rng.random((n_stocks, 3))
    halted = np.zeros(shown.shape, dtype=np.bool_)
    defects: list[Defect] = []
    shortest, longest = halt_days
    for stock, (length_draw, start_draw, coin) in zip(order[:n_halts], draws, strict=False):
        # Before this halt, only the days before a late listing are missing.
        listed = int(np.isnan(shown[stock]).sum())
        # At least one day of trading stays on either side.
        length = min(shortest + int(length_draw * (longest - shortest + 1)), n_days - listed - 2)
        first = listed + 1 + int(start_draw * (n_days - listed - length - 1))
        kind = halt_kind if halt_kind != "mixed" else ("flat" if coin < 0.5 else "missing")
        days = slice(first, first + length)
        halted[stock, days] = True
        shown[stock, days] = shown[stock, first - 1] if kind == "flat" else np.nan
        defects.append((stock, first, first + length - 1, length, kind))
    return defects, halted


def plant_bad_prints(
    shown: Float64Array,
    rng: np.random.Generator,
    n_bad_prints: int,
    size: tuple[float, float],
    halted: BoolArray,
) -> list[Defect]:
    """Make one price of some stocks wrong, on a day of trading between two others."""
    order, draws = rng.permutation(len(shown)), rng.random((len(shown), 3))
    trades = ~halted & ~np.isnan(shown)
    eligible = trades[:, :-2] & trades[:, 1:-1] & trades[:, 2:]  # of days 1 to n_days - 2
    order = order[eligible[order].any(axis=1)]
    expected = f"be at most {len(order)}, the number of stocks that trade three days in a row"
    require(n_bad_prints <= len(order), "make_market", "n_bad_prints", expected, n_bad_prints)
    defects: list[Defect] = []
    for stock, (when, sign, amount) in zip(order[:n_bad_prints], draws, strict=False):
        days = np.flatnonzero(eligible[stock]) + 1
        day = days[int(when * len(days))]
        jump = size[0] + amount * (size[1] - size[0])
        factor = float(np.exp(jump if sign < 0.5 else -jump))
        shown[stock, day] *= factor
        defects.append((stock, day, factor))
    return defects


def defect_table(
    defects: list[Defect], columns: Mapping[str, str], tickers: pd.Index[str], dates: pd.DatetimeIndex
) -> pd.DataFrame:
    """Defects as a table in the order of planting; an empty one has columns of the same types."""
    table: dict[str, Any] = {}
    for position, (name, kind) in enumerate(columns.items()):
        values = [defect[position] for defect in defects]
        if kind in ("ticker", "date"):
            labels = tickers if kind == "ticker" else dates
            table[name] = labels.take(np.array(values, dtype=np.intp)).rename(None)
        else:
            table[name] = pd.Series(values, dtype=kind)
    return pd.DataFrame(table)
