"""Analogues: the windows found for a query, and the returns after them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from shapecluster._arrays import take
from shapecluster._core.index.collect import Hits
from shapecluster._typing import BoolArray, Float64Array, IntArray
from shapecluster.analogues._price_panel import PricePanel, ResolvedQuery
from shapecluster.analogues._windows import Windows, forward_returns, n_non_overlapping, window_values

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


class BaseRate(NamedTuple):
    """All indexed windows, and the returns after them.

    Attributes
    ----------
    windows : Windows
        The windows.
    outcomes : ndarray of shape (n_windows,)
        Returns over `horizon` days after them, as known on the last day of the panel.
    eligible : ndarray of bool, shape (n_windows,)
        Which of them might have been found.
    """

    windows: Windows
    outcomes: Float64Array
    eligible: BoolArray


def make_answer(
    panel: PricePanel, query: ResolvedQuery, hits: Hits, every: BaseRate, horizon: int
) -> Analogues:
    """Describe the windows found for a query, and the returns after them."""
    found, known = take(every.windows, hits.ids), query.known
    paths = forward_returns(panel.prices, found, horizon, known)
    # A date counts in the base rate as often as it occurs among the windows found.
    n_tickers = len(panel.tickers)
    others = Windows(np.tile(np.arange(n_tickers), len(found.ends)), np.repeat(found.ends, n_tickers))
    other_paths = forward_returns(panel.prices, others, horizon, known)
    # Returns that end after the query's last day are known today, but were not known then.
    ended = every.eligible & (every.windows.ends <= known - horizon)
    n_eligible = int(every.eligible.sum())
    summary = {
        "analogues": _summary_row(found.ends, paths[:, -1], len(found.ends), horizon),
        "same dates": _summary_row(others.ends, other_paths[:, -1], len(others.ends), horizon),
        "all windows": _summary_row(every.windows.ends[ended], every.outcomes[ended], n_eligible, horizon),
    }
    counts = {"n": int, "n_unknown": int, "n_apart": int}
    # Day by day, for fewer returns are known of later days, and np.nanquantile warns where there are none.
    quartiles = [_quantiles(column[~np.isnan(column)]) for column in other_paths.T]
    days_ahead = np.arange(1, horizon + 1)
    is_dated = int(query.window.ends[0]) == known
    days = panel.days[known - panel.window + 1 : known + 1] if is_dated else pd.RangeIndex(panel.window)
    return Analogues(
        table=pd.DataFrame(
            {
                "ticker": panel.tickers[found.rows],
                "start": panel.days[found.ends - panel.window + 1],
                "end": panel.days[found.ends],
                "sbd": hits.distances,
                "shift": hits.shifts,
                "followed": paths[:, -1],
                "n_followed": (~np.isnan(paths)).sum(axis=1),
            }
        ),
        summary=pd.DataFrame.from_dict(summary, orient="index").astype(counts),
        query=pd.Series(query.prices, index=days, name=query.name),
        as_of=panel.days[known],
        windows=pd.DataFrame(window_values(panel.prices, found, panel.window)),
        paths=pd.DataFrame(paths, columns=days_ahead),
        same_dates=pd.DataFrame(np.transpose(quartiles), index=list(_QUARTILES), columns=days_ahead),
    )


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
