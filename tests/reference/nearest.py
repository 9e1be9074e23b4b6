"""Nearest centers without bounds: every pair is transformed."""

from __future__ import annotations

from shapecluster._core.kshape.assignment import assign
from shapecluster._core.sbd.correlation import Assignment
from shapecluster._core.sbd.shapes import Shapes


def align_nearest(x: Shapes, centers: Shapes, **options: int) -> Assignment:
    """The nearest center of each series."""
    return assign(x, centers, prune=False, keep=False, **options).nearest
