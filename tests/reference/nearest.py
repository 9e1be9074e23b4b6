"""Nearest centers without bounds: every pair is transformed."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from unittest.mock import patch

from shapecluster._core.kshape.assignment import assign
from shapecluster._core.sbd import blocks, bounds
from shapecluster._core.sbd.correlation import Assignment
from shapecluster._core.sbd.shapes import Shapes


def without_bounds() -> AbstractContextManager[object]:
    """Whatever is computed meanwhile transforms every pair."""
    return patch.object(bounds, "_MIN_POINTS", math.inf)


def blocks_of(n_bytes: int) -> AbstractContextManager[object]:
    """Whatever is computed meanwhile has blocks of so many bytes."""
    return patch.object(blocks, "BLOCK_BYTES", n_bytes)


def align_nearest(x: Shapes, centers: Shapes, n_threads: int = 1) -> Assignment:
    """The nearest center of each series."""
    with without_bounds():
        return assign(x, centers, keep=False, n_threads=n_threads).nearest
