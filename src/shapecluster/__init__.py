"""Shape clustering of market time series."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from shapecluster import cluster, neighbors
from shapecluster.cluster import LocalKShape, MiniBatchLocalKShape
from shapecluster.model_selection import KSweep
from shapecluster.neighbors import ShapeNeighbors

if TYPE_CHECKING:
    from shapecluster.cluster import SageMakerKMeans, SageMakerKShape
    from shapecluster.neighbors import ClusterIndex, HistoricalAnalogues, PortfolioMatcher

__all__ = [
    "ClusterIndex",
    "HistoricalAnalogues",
    "KSweep",
    "LocalKShape",
    "MiniBatchLocalKShape",
    "PortfolioMatcher",
    "SageMakerKMeans",
    "SageMakerKShape",
    "ShapeNeighbors",
    "__version__",
]

__version__ = version("shapecluster")


def __getattr__(name: str) -> Any:
    """Import what `cluster` and `neighbors` import late when it is first asked for."""
    if name in __all__:
        return getattr(cluster if name in cluster.__all__ else neighbors, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
