"""Portfolios of many traders: a sparse table of holdings, its files, and the search for matching traders."""

from __future__ import annotations

from shapecluster.portfolios._matcher import PortfolioMatcher
from shapecluster.portfolios._portfolios import Portfolios

__all__ = ["PortfolioMatcher", "Portfolios"]
