"""Analogues: the windows found for a query, and the returns after them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from shapecluster._typing import BoolArray, Float64Array, IntArray
from shapecluster.analogues._price_panel import PricePanel
from shapecluster.analogues._windows import Windows, forward_returns, horizon_returns, n_non_overlapping

_QUARTILES = {"q25": 0.25, "median": 0.5, "q75": 0.75}


@dataclass(frozen=True)
class Analogues:
    """Past windows that look like a query, and the returns after them.

    The returns after a few windows are no forecast: the windows overlap in time and share one market. Compare
    them with the two base rates in `summary`: all stocks on the same dates, and all eligible windows.

    Attributes
    ----------
    table : DataFrame of shape (n_analogues, 7)
        One row per analogue, the nearest first. `ticker`, `start` and `end` name the window by its first and
        last day. `sbd` is its distance. `shift` is the number of days by which the query trails it: the
        query's last day is compared with the day so many days before `end`.
        `followed` is the simple return over the `horizon` days after `end`, NaN if not known yet.
        `n_followed` counts the days among these with a known price.
    summary : DataFrame of shape (3, 7)
        Returns after the "analogues", of all stocks on the "same dates", and after "all windows" that were
        eligible. `n` and `n_unknown` count the known returns and the others. `n_apart` is the largest number
        of known ones of which no two share a day. `median`, `q25` and `q75` are quartiles, and `share_up` is
        the share above 0.
    query : Series of shape (window,)
        Prices of the query, by day if the days are known. Its name is the ticker, if it has one.
    as_of : object
        The last day whose prices were used, as a column of the prices.
    windows : DataFrame of shape (n_analogues, window)
        Prices of the analogues, in the rows of `table`, by day of the window.
    paths : DataFrame of shape (n_analogues, horizon)
        Simple returns from the last day of each analogue to each day after it; NaN if not known.
    same_dates : DataFrame of shape (3, horizon)
        Quartiles `q25`, `median` and `q75` of these returns for all stocks on the same dates.
    """

    table: pd.DataFrame
    summary: pd.DataFrame
    query: pd.Series[float]
    as_of: Any
    windows: pd.DataFrame
    paths: pd.DataFrame
    same_dates: pd.DataFrame

    def __repr__(self) -> str:
        name = "an outside query" if self.query.name is None else repr(self.query.name)
        return f"Analogues of {name} as of {self.as_of}: {len(self.table)}\n{self.table}\n{self.summary}"


class Outcomes(NamedTuple):
    """Returns after windows, as known on the last day of the panel.

    Attributes
    ----------
    ends : ndarray of int, shape (n_windows,)
        Position of the last day of each window.
    values : ndarray of shape (n_windows,)
        Simple returns over the `horizon` days after it; NaN if not known.
    """

    ends: IntArray
    values: Float64Array


def make_table(panel: PricePanel, hits: Windows, paths: Float64Array) -> pd.DataFrame:
    """Tabulate the windows found, and the returns after them, without the distances."""
    return pd.DataFrame(
        {
            "ticker": panel.tickers[hits.rows],
            "start": panel.days[hits.ends - panel.window + 1],
            "end": panel.days[hits.ends],
            "followed": paths[:, -1],
            "n_followed": (~np.isnan(paths)).sum(axis=1),
        }
    )


def make_summary(
    panel: PricePanel, hits: Windows, every: Outcomes, eligible: BoolArray, horizon: int, known: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Summarize the returns after the hits and both base rates; compute quartiles by day for the same dates.

    A date counts in the base rate as often as it occurs among the hits.
    """
    n_tickers = len(panel.tickers)
    others = Windows(np.tile(np.arange(n_tickers), len(hits)), np.repeat(hits.ends, n_tickers))
    paths = forward_returns(panel.prices, others, horizon, known)
    # Returns that end after the query's last day are known today, but were not known then.
    known_then = eligible & (every.ends <= known - horizon)
    rows = {
        "analogues": _summary_row(
            hits.ends, horizon_returns(panel.prices, hits, horizon, known), len(hits), horizon
        ),
        "same dates": _summary_row(others.ends, paths[:, -1], len(others), horizon),
        "all windows": _summary_row(
            every.ends[known_then], every.values[known_then], int(eligible.sum()), horizon
        ),
    }
    # Day by day, for fewer returns are known of later days, and np.nanquantile warns where there are none.
    by_day = np.full((len(_QUARTILES), horizon), np.nan)
    for day, column in enumerate(paths.T):
        by_day[:, day] = _quantiles(column[~np.isnan(column)])
    quartiles = pd.DataFrame(by_day, index=list(_QUARTILES), columns=np.arange(1, horizon + 1))
    summary = pd.DataFrame.from_dict(rows, orient="index")
    return summary.astype({"n": int, "n_unknown": int, "n_apart": int}), quartiles


def _summary_row(ends: IntArray, outcomes: Float64Array, n_all: int, horizon: int) -> dict[str, float]:
    known = ~np.isnan(outcomes)
    outcomes = outcomes[known]
    q25, median, q75 = _quantiles(outcomes)
    return {
        "n": len(outcomes),
        "n_unknown": n_all - len(outcomes),
        "n_apart": n_non_overlapping(ends[known], horizon),
        "median": median,
        "q25": q25,
        "q75": q75,
        "share_up": float((outcomes > 0).mean()) if len(outcomes) else np.nan,
    }


def _quantiles(values: Float64Array) -> Float64Array:
    levels = list(_QUARTILES.values())
    return np.quantile(values, levels) if len(values) else np.full(len(levels), np.nan)
