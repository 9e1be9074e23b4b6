"""Nearest series by shape, among all or by way of a clustering."""

from shapecluster.neighbors._analogues import HistoricalAnalogues
from shapecluster.neighbors._index import ClusterIndex
from shapecluster.neighbors._outlook import Analogues
from shapecluster.neighbors._recall import Recall
from shapecluster.neighbors._shape import ShapeNeighbors

__all__ = ["Analogues", "ClusterIndex", "HistoricalAnalogues", "Recall", "ShapeNeighbors"]
