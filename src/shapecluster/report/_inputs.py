"""Prices and sectors of a run, from files, from Yahoo, or from the simulated market; and their cleaning."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from shapecluster.datasets import make_market
from shapecluster.preprocessing import LogReturns
from shapecluster.prices import clean_prices, fetch_prices, load_prices, load_sectors
from shapecluster.prices._clean import CleanedPrices
from shapecluster.report._findings import PriceSource, StageCallback, ignore_progress

_N_EXAMPLE_HOLDINGS = 5


def read_inputs(
    path: Path | None,
    *,
    tickers: tuple[str, ...] | None = None,
    start: date | None = None,
    end: date | None = None,
    sectors: Path | None = None,
    seed: int = 0,
    progress: StageCallback = ignore_progress,
) -> tuple[pd.DataFrame, PriceSource]:
    """Read prices from a file, fetch those of tickers from Yahoo, or simulate a market when neither is given.

    Returns
    -------
    prices : DataFrame of shape (n_stocks, n_days)
        Prices before cleaning, tickers as rows.
    source : PriceSource
        Their source, with the sectors if a file is given.

    Raises
    ------
    MissingPricesError
        When Yahoo has no prices of some tickers. It holds the prices that arrived.
    """
    with collect_warnings() as notes:
        if path is not None:
            prices = load_prices(path)
            source = PriceSource("file", f"Prices from {path.name}")
        elif tickers is not None and start is not None:
            prices = fetch_prices(
                tickers, start, end, progress=lambda done, total, _: progress("Fetching prices", done, total)
            )
            source = PriceSource("yahoo", f"Prices from Yahoo, {start} to {end or 'today'}")
        else:
            return _simulate(seed)
    source = replace(source, notes=tuple(notes))
    if sectors is not None:
        known = _as_strings(load_sectors(sectors))
        source = replace(source, sectors=known, sectors_from=sectors.name)
    return prices, source


def _simulate(seed: int) -> tuple[pd.DataFrame, PriceSource]:
    """Simulate a market, with a note that says so."""
    # Every kind of defect that real panels have, so that the report shows how each is handled.
    market = make_market(n_pairs=3, n_late=6, n_halts=6, n_bad_prints=6, random_state=seed)
    twins = ", ".join(f"{pair.stock} and {pair.twin}" for pair in market.pairs.itertuples())
    source = PriceSource(
        "simulated",
        f"A simulated market (seed {seed})",
        sectors=_as_strings(market.sectors),
        sectors_from="the simulated market",
        notes=(
            "No prices were given, so these are simulated: no such stocks exist. "
            f"Planted as near-identical: {twins}.",
        ),
    )
    return market.prices, source


def add_example_portfolio(source: PriceSource, tickers: pd.Index[Any]) -> tuple[PriceSource, tuple[str, ...]]:
    """Choose holdings on the simulated market, one from each of the first sectors, with a note."""
    by_sector: dict[str, str] = {}
    for ticker in tickers:
        by_sector.setdefault(source.sectors[str(ticker)], str(ticker))
    holdings = tuple(by_sector.values())[:_N_EXAMPLE_HOLDINGS]
    note = f"No portfolio was given, so this one is an example: {', '.join(holdings)}."
    return replace(source, notes=(*source.notes, note)), holdings


def _as_strings(sectors: pd.Series[Any]) -> dict[str, str]:
    # All tables of the findings have tickers as text, for an index of any type.
    return {str(ticker): str(sector) for ticker, sector in sectors.items()}


@contextmanager
def collect_warnings() -> Iterator[list[str]]:
    """Yield a list that gets the messages of all warnings at the end, as notes for the report."""
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")  # the report must not depend on the user's filters
        yield notes
    notes.extend(dict.fromkeys(str(warning.message) for warning in caught))


def clean(
    prices: pd.DataFrame, *, incomplete: Literal["keep", "drop"] = "keep", repair_prints: bool = False
) -> CleanedPrices:
    """Clean prices.

    Parameters
    ----------
    prices : DataFrame of shape (n_stocks, n_days)
        Prices as loaded, tickers as rows.
    incomplete : {"keep", "drop"}, default="keep"
        Whether to keep stocks with late listings and long gaps, whose missing days estimators can mask.
        Dropping them would hide a late-listed twin.
    repair_prints : bool, default=False
        Whether to replace bad prints (prices that jump for one day and back) or only report them.

    Returns
    -------
    CleanedPrices
        The prices, and the report of everything that was dropped, filled or flagged.

    Raises
    ------
    ValueError
        When no prices are left.
    """
    bad_prints: Literal["repair", "flag"] = "repair" if repair_prints else "flag"
    return clean_prices(prices, late_listings=incomplete, long_gaps=incomplete, bad_prints=bad_prints)


def make_series(
    prices: pd.DataFrame, on: Literal["log-returns", "levels"]
) -> tuple[pd.DataFrame, Literal["error", "mask"]]:
    """Return the series to compare, and the parameter `missing` of estimators for them."""
    missing: Literal["error", "mask"] = "mask" if bool(prices.isna().to_numpy().any()) else "error"
    return LogReturns(missing=missing).fit_transform(prices) if on == "log-returns" else prices, missing
