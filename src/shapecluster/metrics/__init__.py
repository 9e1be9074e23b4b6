"""Distances between series, and the quality of clusterings."""

from shapecluster.metrics._sbd import sbd_distances
from shapecluster.metrics._silhouette import SampledSilhouette, sampled_silhouette

__all__ = ["SampledSilhouette", "sampled_silhouette", "sbd_distances"]
