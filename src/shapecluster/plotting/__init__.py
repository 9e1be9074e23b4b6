"""Pictures of what was found, as Display objects in scikit-learn's way; needs matplotlib."""

from __future__ import annotations

from shapecluster.plotting._analogues import AnaloguesDisplay
from shapecluster.plotting._clusters import ClusterDisplay, ClusterGridDisplay
from shapecluster.plotting._ssd_curve import SSDCurveDisplay

__all__ = ["AnaloguesDisplay", "ClusterDisplay", "ClusterGridDisplay", "SSDCurveDisplay"]
