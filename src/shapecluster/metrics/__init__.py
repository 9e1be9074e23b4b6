"""Distances between series, and what clusterings are worth under them."""

from shapecluster.metrics._sbd import sbd_distances
from shapecluster.metrics._silhouette import SampledSilhouette, sampled_silhouette

__all__ = ["SampledSilhouette", "sampled_silhouette", "sbd_distances"]
