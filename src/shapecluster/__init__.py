"""Shape clustering of market time series."""

from importlib.metadata import version

from shapecluster.cluster import LocalKShape, MiniBatchLocalKShape
from shapecluster.model_selection import KSweep
from shapecluster.neighbors import ShapeNeighbors

__all__ = ["KSweep", "LocalKShape", "MiniBatchLocalKShape", "ShapeNeighbors", "__version__"]

__version__ = version("shapecluster")
