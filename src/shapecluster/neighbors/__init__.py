"""Nearest neighbors by shape: exact among all series, or among very many rows by way of a clustering."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from shapecluster.neighbors._shape import ShapeNeighbors

if TYPE_CHECKING:
    from shapecluster.neighbors._index import ClusterIndex
    from shapecluster.neighbors._recall import Recall

__all__ = ["ClusterIndex", "Recall", "ShapeNeighbors"]

_HOMES = {"ClusterIndex": "_index", "Recall": "_recall"}


def __getattr__(name: str) -> Any:
    """Import the index on first use, because it needs many modules."""
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
