"""Nearest series by shape, among all or by way of a clustering, and traders whose portfolios match."""

from shapecluster.neighbors._index import ClusterIndex
from shapecluster.neighbors._matcher import PortfolioMatcher
from shapecluster.neighbors._recall import Recall
from shapecluster.neighbors._shape import ShapeNeighbors

__all__ = ["ClusterIndex", "PortfolioMatcher", "Recall", "ShapeNeighbors"]
