"""Plots of clusters, of the SSD curve and of historical analogues, as scikit-learn Display objects.

All of them need matplotlib.
"""

from __future__ import annotations

from shapecluster.plotting._analogues import AnaloguesDisplay
from shapecluster.plotting._clusters import ClusterDisplay, ClusterGridDisplay
from shapecluster.plotting._ssd_curve import SSDCurveDisplay

__all__ = ["AnaloguesDisplay", "ClusterDisplay", "ClusterGridDisplay", "SSDCurveDisplay"]
