"""What very many traders hold: a sparse table, its files, and who holds the same."""

from __future__ import annotations

from shapecluster.portfolios._matcher import PortfolioMatcher
from shapecluster.portfolios._portfolios import Portfolios

__all__ = ["PortfolioMatcher", "Portfolios"]
