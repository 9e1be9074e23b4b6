"""Nearest series by shape."""

from shapecluster.neighbors._shape import ShapeNeighbors

__all__ = ["ShapeNeighbors"]
