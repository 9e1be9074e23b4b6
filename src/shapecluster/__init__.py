"""Shape clustering of market time series."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from shapecluster import cluster
from shapecluster.cluster import LocalKShape, MiniBatchLocalKShape
from shapecluster.model_selection import KSweep
from shapecluster.neighbors import ClusterIndex, HistoricalAnalogues, ShapeNeighbors

if TYPE_CHECKING:
    from shapecluster.cluster import SageMakerKMeans, SageMakerKShape

__all__ = [
    "ClusterIndex",
    "HistoricalAnalogues",
    "KSweep",
    "LocalKShape",
    "MiniBatchLocalKShape",
    "SageMakerKMeans",
    "SageMakerKShape",
    "ShapeNeighbors",
    "__version__",
]

__version__ = version("shapecluster")


def __getattr__(name: str) -> Any:
    """Import the estimators of training jobs when they are first asked for: see `shapecluster.cluster`."""
    if name in __all__:
        return getattr(cluster, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
