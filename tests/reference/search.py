"""Nearest neighbors by brute force, one pair at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np


def brute(
    queries: Iterable[Any], rows: Iterable[Any], distance: Callable[[Any, Any], float], k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Distances and positions of the k nearest rows; ties are in order of position."""
    rows = list(rows)
    found = [sorted((distance(query, row), i) for i, row in enumerate(rows))[:k] for query in queries]
    return np.array([[d for d, _ in hits] for hits in found]), np.array(
        [[i for _, i in hits] for hits in found]
    )


def euclidean(x: np.ndarray, y: np.ndarray) -> float:
    """Root of the sum of squared differences."""
    return math.sqrt(math.fsum((float(a) - float(b)) ** 2 for a, b in zip(x, y, strict=True)))


def jaccard(x: np.ndarray, y: np.ndarray) -> float:
    """One minus the size of the intersection over that of the union; 0 for two empty sets."""
    first, second = set(np.flatnonzero(x)), set(np.flatnonzero(y))
    return 1.0 - len(first & second) / len(first | second) if first | second else 0.0


def brute_within(
    queries: Iterable[Any], rows: Iterable[Any], distance: Callable[[Any, Any], float], radius: float
) -> list[list[tuple[float, int]]]:
    """Distances and positions of all rows within a radius of each query, nearest first."""
    rows = list(rows)
    pairs = [[(distance(query, row), i) for i, row in enumerate(rows)] for query in queries]
    return [sorted((d, i) for d, i in found if d <= radius) for found in pairs]


def neighbor_graph(
    queries: Iterable[Any], rows: Iterable[Any], distance: Callable[[Any, Any], float], k: int
) -> np.ndarray:
    """Distances to the k nearest rows of each query, as a dense matrix with infinity elsewhere."""
    rows = list(rows)
    distances, positions = brute(queries, rows, distance, k)
    graph = np.full((len(distances), len(rows)), np.inf)
    np.put_along_axis(graph, positions, distances, axis=1)
    return graph
