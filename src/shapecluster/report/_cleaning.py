"""Cleaning for the command: nothing is left out that can be compared, and everything is accounted for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from shapecluster.prices import clean_prices
from shapecluster.report._findings import Cleaning


@dataclass(frozen=True)
class Cleaned:
    """Clean prices, with the account of what was done.

    Parameters
    ----------
    prices : DataFrame of shape (n_stocks, n_days)
        Tickers as rows; NaN where a stock was not listed yet or any more, or had a long gap.
    cleaning : Cleaning
        Everything that was dropped, filled or flagged.
    dropped : mapping of str to str
        Why, for each stock that was dropped.
    """

    prices: pd.DataFrame
    cleaning: Cleaning
    dropped: Mapping[str, str]


def clean(prices: pd.DataFrame, *, repair_prints: bool = False) -> Cleaned:
    """Clean prices, keeping late listings and long gaps as missing values, which the estimators mask.

    Parameters
    ----------
    prices : DataFrame of shape (n_stocks, n_days)
        Prices as they came, tickers as rows.
    repair_prints : bool, default=False
        Whether prices that jump away for one day and back are replaced, and not only reported.

    Returns
    -------
    Cleaned
        Prices and account.

    Raises
    ------
    ValueError
        When nothing is left.
    """
    cleaned, report = clean_prices(
        prices,
        late_listings="keep",
        long_gaps="keep",
        bad_prints="repair" if repair_prints else "flag",
    )
    events = report.events
    counts = (
        events.groupby(["kind", "action"], sort=False)
        .agg(events=("ticker", "size"), stocks=("ticker", "nunique"))
        .reset_index()
    )
    gone = events[events["action"] == "stock dropped"]
    dropped = dict(zip(gone["ticker"].astype(str), gone["kind"].astype(str), strict=True))
    return Cleaned(cleaned, Cleaning(counts, events), dropped)
