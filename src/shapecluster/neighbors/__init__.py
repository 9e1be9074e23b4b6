"""Nearest series by shape, and traders whose portfolios match."""

from shapecluster.neighbors._matcher import PortfolioMatcher
from shapecluster.neighbors._shape import ShapeNeighbors

__all__ = ["PortfolioMatcher", "ShapeNeighbors"]
