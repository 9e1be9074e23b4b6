"""Clusterers of series by shape, with one contract: fit, predict, transform, inertia_."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shapecluster.cluster._local import LocalKShape
from shapecluster.cluster._minibatch import MiniBatchLocalKShape

if TYPE_CHECKING:
    from shapecluster.cluster._sagemaker import SageMakerKMeans, SageMakerKShape

__all__ = ["LocalKShape", "MiniBatchLocalKShape", "SageMakerKMeans", "SageMakerKShape"]


def __getattr__(name: str) -> Any:
    """Import the estimators of training jobs, with all that jobs need, when they are first asked for."""
    if name in {"SageMakerKMeans", "SageMakerKShape"}:
        from shapecluster.cluster import _sagemaker

        return getattr(_sagemaker, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
