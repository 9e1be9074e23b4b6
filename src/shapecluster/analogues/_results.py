"""What is answered when one asks for historical analogues: the windows found, and what followed them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from shapecluster._typing import BoolArray, Float64Array, IntArray
from shapecluster.analogues._price_panel import Panel
from shapecluster.analogues._windows import Windows, apart, followed, futures

_QUARTILES = {"q25": 0.25, "median": 0.5, "q75": 0.75}


@dataclass(frozen=True)
class Analogues:
    """Past windows that look like a query, and what followed them.

    What followed a handful of windows, which overlap in time and move with one market, is no forecast. Hold
    it against `summary`: what followed all stocks on the same dates, and all windows to choose from.

    Attributes
    ----------
    table : DataFrame of shape (n_analogues, 7)
        One row an analogue, the nearest first: `ticker`; `start` and `end`, its first and last day; `sbd`,
        its distance; `shift`, the days by which the query trails it (the query's last day then stands beside
        the day so many days before `end`); `followed`, the simple
        return from its last day over the `horizon` days after it, NaN where that is not known yet;
        `n_followed`, how many of these days have a known price.
    summary : DataFrame of shape (3, 7)
        What followed, for the "analogues", for all stocks on the "same dates", and after "all windows" that
        were eligible: `n`, the known outcomes; `n_unknown`, those that are not; `n_apart`, the most of the
        known ones of which no two share a day; `median`, `q25`, `q75`; and `share_up`, the share above 0.
    query : Series of shape (window,)
        The prices that were asked about, by day where the days are known; its name is the ticker, if it has
        one.
    as_of : object
        The last day whose prices were looked at, as the columns of the prices name it.
    windows : DataFrame of shape (n_analogues, window)
        Prices of the analogues, row by row as in `table`, by day of the window.
    paths : DataFrame of shape (n_analogues, horizon)
        Simple returns from the last day of each analogue to each day after it; NaN where not known.
    same_dates : DataFrame of shape (3, horizon)
        Quartiles of the same for all stocks on the same dates: `q25`, `median`, `q75`.
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
    """What followed windows, as far as it is known on the last day of the panel.

    Attributes
    ----------
    ends : ndarray of int, shape (n_windows,)
    values : ndarray of shape (n_windows,)
        Simple returns, `horizon` days on; NaN where not known.
    """

    ends: IntArray
    values: Float64Array


def table_of(panel: Panel, hits: Windows, paths: Float64Array) -> pd.DataFrame:
    """Who, when and what followed; distances are put in by the caller."""
    return pd.DataFrame(
        {
            "ticker": panel.tickers[hits.rows],
            "start": panel.days[hits.ends - panel.window + 1],
            "end": panel.days[hits.ends],
            "followed": paths[:, -1],
            "n_followed": (~np.isnan(paths)).sum(axis=1),
        }
    )


def summary_of(
    panel: Panel, hits: Windows, every: Outcomes, eligible: BoolArray, horizon: int, known: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What followed the hits beside the two base rates, and the quartiles of the first by day.

    Every analogue counts once on its date, so a date that stands twice among them does so in the base rate.
    """
    n_tickers = len(panel.tickers)
    beside = Windows(np.tile(np.arange(n_tickers), len(hits)), np.repeat(hits.ends, n_tickers))
    paths = futures(panel.prices, beside, horizon, known)
    settled = eligible & (every.ends <= known - horizon)
    rows = {
        "analogues": _told(hits.ends, followed(panel.prices, hits, horizon, known), len(hits), horizon),
        "same dates": _told(beside.ends, paths[:, -1], len(beside), horizon),
        "all windows": _told(every.ends[settled], every.values[settled], int(eligible.sum()), horizon),
    }
    by_day = np.full((len(_QUARTILES), horizon), np.nan)
    for day, column in enumerate(paths.T):
        by_day[:, day] = _quantiles(column[~np.isnan(column)])
    quartiles = pd.DataFrame(by_day, index=list(_QUARTILES), columns=np.arange(1, horizon + 1))
    summary = pd.DataFrame.from_dict(rows, orient="index")
    return summary.astype({"n": int, "n_unknown": int, "n_apart": int}), quartiles


def _told(ends: IntArray, outcomes: Float64Array, n_all: int, horizon: int) -> dict[str, float]:
    known = ~np.isnan(outcomes)
    outcomes = outcomes[known]
    q25, median, q75 = _quantiles(outcomes)
    return {
        "n": len(outcomes),
        "n_unknown": n_all - len(outcomes),
        "n_apart": apart(ends[known], horizon),
        "median": median,
        "q25": q25,
        "q75": q75,
        "share_up": float((outcomes > 0).mean()) if len(outcomes) else np.nan,
    }


def _quantiles(values: Float64Array) -> Float64Array:
    levels = list(_QUARTILES.values())
    return np.quantile(values, levels) if len(values) else np.full(len(levels), np.nan)
