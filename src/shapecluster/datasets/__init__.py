"""Simulated data with known truth: a stock market, and the portfolios of many traders."""

from __future__ import annotations

from shapecluster.datasets._copycats import Copycats
from shapecluster.datasets._make_portfolios import make_portfolios
from shapecluster.datasets._market import Market, make_market

__all__ = ["Copycats", "Market", "make_market", "make_portfolios"]
