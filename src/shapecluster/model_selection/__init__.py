"""Choosing the number of clusters."""

from shapecluster.model_selection._sweep import KSweep, SweepProgress

__all__ = ["KSweep", "SweepProgress"]
