"""Where the prices of a run come from: a file, Yahoo, or the simulated market; and their sectors."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from shapecluster.datasets import make_market
from shapecluster.prices import fetch_prices, load_prices, load_sectors
from shapecluster.report._analysis import StageProgress
from shapecluster.report._findings import PriceSource

_N_EXAMPLE_HOLDINGS = 5


@dataclass(frozen=True)
class Inputs:
    """Prices as they came.

    Parameters
    ----------
    prices : DataFrame of shape (n_stocks, n_days)
        Tickers as rows; not cleaned.
    source : PriceSource
        Where they came from.
    """

    prices: pd.DataFrame
    source: PriceSource


def from_file(path: Path, sectors: Path | None) -> Inputs:
    """Load prices, and sectors if there are any, from files."""
    with _noted() as notes:
        prices = load_prices(path)
    return _with_sectors(prices, PriceSource("file", f"Prices from {path.name}", notes=tuple(notes)), sectors)


def from_yahoo(
    tickers: tuple[str, ...],
    start: str,
    end: str | None,
    sectors: Path | None,
    *,
    progress: StageProgress | None = None,
) -> Inputs:
    """Fetch prices from Yahoo, all of them or none: `MissingPricesError` holds what did arrive."""
    told = progress or (lambda stage, done, total: None)
    with _noted() as notes:
        prices = fetch_prices(
            tickers, start, end, progress=lambda done, total, ticker: told("Fetching prices", done, total)
        )
    source = PriceSource("yahoo", f"Prices from Yahoo, {start} to {end or 'today'}", notes=tuple(notes))
    return _with_sectors(prices, source, sectors)


def from_simulation(seed: int) -> Inputs:
    """Simulate a market, and say so."""
    # A little of everything that real panels have.
    market = make_market(n_pairs=3, n_late=6, n_halts=6, n_bad_prints=6, random_state=seed)
    twins = ", ".join(f"{pair.stock} and {pair.twin}" for pair in market.pairs.itertuples())
    source = PriceSource(
        "simulated",
        f"A simulated market (seed {seed})",
        sectors=_as_text(market.sectors),
        sectors_from="the simulated market",
        notes=(
            "No prices were given, so these are simulated: no such stocks exist. "
            f"Planted as near-identical: {twins}.",
        ),
    )
    return Inputs(market.prices, source)


def with_example_portfolio(
    source: PriceSource, tickers: pd.Index[Any]
) -> tuple[PriceSource, tuple[str, ...]]:
    """Pick holdings on the simulated market, one from each of the first sectors, and say so."""
    by_sector: dict[str, str] = {}
    for ticker in tickers:
        by_sector.setdefault(source.sectors[str(ticker)], str(ticker))
    holdings = tuple(by_sector.values())[:_N_EXAMPLE_HOLDINGS]
    note = f"No portfolio was given, so this one is an example: {', '.join(holdings)}."
    return replace(source, notes=(*source.notes, note)), holdings


def _with_sectors(prices: pd.DataFrame, source: PriceSource, path: Path | None) -> Inputs:
    if path is None:
        return Inputs(prices, source)
    return Inputs(prices, replace(source, sectors=_as_text(load_sectors(path)), sectors_from=path.name))


def _as_text(sectors: pd.Series[Any]) -> dict[str, str]:
    return {str(ticker): str(sector) for ticker, sector in sectors.items()}


@contextmanager
def _noted() -> Iterator[list[str]]:
    """Collect warnings as notes for the report."""
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield notes
    notes.extend(dict.fromkeys(str(warning.message) for warning in caught))
