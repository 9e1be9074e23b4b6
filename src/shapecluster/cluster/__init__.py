"""Clusterers of series by shape, with one contract: fit, predict, transform, inertia_."""

from shapecluster.cluster._local import LocalKShape
from shapecluster.cluster._minibatch import MiniBatchLocalKShape
from shapecluster.cluster._sagemaker import SageMakerKMeans, SageMakerKShape

__all__ = ["LocalKShape", "MiniBatchLocalKShape", "SageMakerKMeans", "SageMakerKShape"]
