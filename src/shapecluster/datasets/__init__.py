"""Prices and portfolios to work on: from files, from Yahoo, cleaned, and simulated."""

from shapecluster.datasets._clean import clean_prices
from shapecluster.datasets._copycats import Copycats
from shapecluster.datasets._fetch import fetch_prices
from shapecluster.datasets._files import load_prices, load_sectors
from shapecluster.datasets._make_portfolios import make_portfolios
from shapecluster.datasets._market import Market, make_market
from shapecluster.datasets._portfolios import Portfolios

__all__ = [
    "Copycats",
    "Market",
    "Portfolios",
    "clean_prices",
    "fetch_prices",
    "load_prices",
    "load_sectors",
    "make_market",
    "make_portfolios",
]
