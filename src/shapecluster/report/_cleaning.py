"""Cleaning for the command: stocks with missing days are kept, and every event is reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from shapecluster.prices import clean_prices
from shapecluster.report._findings import CleaningSummary


@dataclass(frozen=True)
class CleaningResult:
    """Clean prices, with a summary of the cleaning.

    Parameters
    ----------
    prices : DataFrame of shape (n_stocks, n_days)
        Tickers as rows; NaN before a late listing, after an early end, and in long gaps.
    summary : CleaningSummary
        Everything that was dropped, filled or flagged.
    dropped : mapping of str to str
        The reason for each stock that was dropped.
    """

    prices: pd.DataFrame
    summary: CleaningSummary
    dropped: Mapping[str, str]


def clean(prices: pd.DataFrame, *, repair_prints: bool = False) -> CleaningResult:
    """Clean prices, and keep late listings and long gaps as missing values.

    Parameters
    ----------
    prices : DataFrame of shape (n_stocks, n_days)
        Prices as loaded, tickers as rows.
    repair_prints : bool, default=False
        Whether to replace bad prints (prices that jump for one day and back) or only report them.

    Returns
    -------
    CleaningResult
        Prices and summary.

    Raises
    ------
    ValueError
        When no prices are left.
    """
    cleaned, report = clean_prices(
        prices,
        # The estimators mask missing days. Dropping these stocks would hide a late-listed twin.
        late_listings="keep",
        long_gaps="keep",
        bad_prints="repair" if repair_prints else "flag",
    )
    events = report.events
    counts = (
        # Unsorted: the report orders events by how much they change the data.
        events.groupby(["kind", "action"], sort=False)
        .agg(events=("ticker", "size"), stocks=("ticker", "nunique"))
        .reset_index()
    )
    drops = events[events["action"] == "stock dropped"]
    dropped = dict(zip(drops["ticker"].astype(str), drops["kind"].astype(str), strict=True))
    return CleaningResult(cleaned, CleaningSummary(counts, events), dropped)
