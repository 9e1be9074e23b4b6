"""Clusterers of series by shape, with one contract: `fit`, `predict`, `transform`, `inertia_`."""

from __future__ import annotations

from shapecluster.cluster._local import LocalKShape
from shapecluster.cluster._minibatch import MiniBatchLocalKShape

__all__ = ["LocalKShape", "MiniBatchLocalKShape"]
