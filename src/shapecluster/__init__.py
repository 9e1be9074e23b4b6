"""Shape clustering of market time series."""

from importlib.metadata import version

from shapecluster.cluster import LocalKShape, MiniBatchLocalKShape, SageMakerKMeans, SageMakerKShape
from shapecluster.model_selection import KSweep
from shapecluster.neighbors import ShapeNeighbors

__all__ = [
    "KSweep",
    "LocalKShape",
    "MiniBatchLocalKShape",
    "SageMakerKMeans",
    "SageMakerKShape",
    "ShapeNeighbors",
    "__version__",
]

__version__ = version("shapecluster")
