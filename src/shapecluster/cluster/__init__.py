"""Clusterers of series by shape, with one contract: fit, predict, transform, inertia_."""

from shapecluster.cluster._local import LocalKShape

__all__ = ["LocalKShape"]
