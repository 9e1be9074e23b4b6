"""Shape clustering of market time series."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from shapecluster._programs import provide_programs as _provide_programs

if TYPE_CHECKING:
    from shapecluster import (
        analogues,
        cli,
        cluster,
        container,
        datasets,
        exceptions,
        formats,
        metrics,
        model_selection,
        neighbors,
        plotting,
        portfolios,
        preprocessing,
        prices,
        remote,
        report,
        sagemaker,
    )
    from shapecluster._programs import ContainerPrograms
    from shapecluster.analogues import HistoricalAnalogues
    from shapecluster.cluster import LocalKShape, MiniBatchLocalKShape
    from shapecluster.model_selection import KSweep
    from shapecluster.neighbors import ClusterIndex, ShapeNeighbors
    from shapecluster.portfolios import PortfolioMatcher
    from shapecluster.sagemaker import SageMakerKMeans, SageMakerKShape

    __version__: str

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
    "analogues",
    "cli",
    "cluster",
    "container",
    "datasets",
    "exceptions",
    "formats",
    "metrics",
    "model_selection",
    "neighbors",
    "plotting",
    "portfolios",
    "preprocessing",
    "prices",
    "remote",
    "report",
    "sagemaker",
]

_HOMES = {
    "ClusterIndex": "neighbors",
    "HistoricalAnalogues": "analogues",
    "KSweep": "model_selection",
    "LocalKShape": "cluster",
    "MiniBatchLocalKShape": "cluster",
    "PortfolioMatcher": "portfolios",
    "SageMakerKMeans": "sagemaker",
    "SageMakerKShape": "sagemaker",
    "ShapeNeighbors": "neighbors",
}


def _import_container() -> ContainerPrograms:
    # The one import of the container: `remote` rehearses its programs and must not import them.
    from shapecluster.container._handover import PROGRAMS

    return PROGRAMS


_provide_programs(_import_container)


def __getattr__(name: str) -> Any:
    """Import a public name or sub-module on its first use, so that `import shapecluster` costs little."""
    if name in _HOMES:
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    elif name == "__version__":
        value = version("shapecluster")
    elif name in __all__:
        return import_module(f"{__name__}.{name}")  # which sets the attribute itself
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    # Without what this module imports for itself, which completion would offer.
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
