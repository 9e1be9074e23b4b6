"""Distances between series, and what clusterings are worth under them."""

from shapecluster.metrics._sbd import sbd_distances

__all__ = ["sbd_distances"]
