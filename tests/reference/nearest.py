"""Nearest centres by screening every pair, without bounds."""

from __future__ import annotations

from shapecluster._core.kshape.assignment import assign
from shapecluster._core.sbd.correlation import Assignment
from shapecluster._core.sbd.shapes import Shapes


def align_nearest(x: Shapes, centres: Shapes, **options: int) -> Assignment:
    """The nearest centre of each series."""
    return assign(x, centres, prune=False, keep=False, **options).nearest
