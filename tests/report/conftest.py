"""A small market with names that nobody should run, analyzed once."""

from __future__ import annotations

import pandas as pd
import pytest

from shapecluster.datasets import make_market
from shapecluster.report._analysis import Analysis, analyze
from shapecluster.report._findings import PriceSource, StocksSettings
from shapecluster.report._inputs import clean

SCRIPT = "<script>alert(1)</script>"
FORMULA = "=HYPERLINK(A1)"
SECTOR = '<img src=x onerror="alert(2)"> & $\\alpha'


@pytest.fixture(scope="session")
def market():
    """24 stocks in 3 sectors with one planted pair, a late listing and a bad print."""
    return make_market(24, 3, 90, n_pairs=1, n_late=1, n_bad_prints=1, random_state=1)


@pytest.fixture(scope="session")
def hostile_prices(market) -> pd.DataFrame:
    """The same prices, with markup, a formula and terminal codes for names."""
    complete = market.prices.dropna()
    names = {complete.index[0]: SCRIPT, complete.index[1]: FORMULA, complete.index[2]: "\x1b[31mRED"}
    return market.prices.rename(index=names)


@pytest.fixture(scope="session")
def sectors(market, hostile_prices) -> dict[str, str]:
    known = dict(zip(hostile_prices.index, market.sectors, strict=True))
    worst = next(iter(known.values()))
    return {ticker: SECTOR if sector == worst else sector for ticker, sector in known.items()}


@pytest.fixture(scope="session")
def analysis(hostile_prices, sectors) -> Analysis:
    prices, cleaning = clean(hostile_prices)
    settings = StocksSettings(k=(2, 3, 4, 5), max_shift=3, portfolio=(SCRIPT, FORMULA), n_look_alikes=3)
    source = PriceSource("file", "Prices from <b>file</b>.csv", sectors, "sectors.csv", ("A note & more.",))
    return analyze(prices, settings, source, cleaning.events)
