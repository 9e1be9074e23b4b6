"""Collect search results: the k nearest rows of each query, or all rows within a radius."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from shapecluster._core.index.inverted_lists import Ids
from shapecluster._typing import BoolArray, Float64Array, IntArray


class Hits(NamedTuple):
    """Pairs of a query and a row, sorted by query and then by distance."""

    queries: IntArray
    distances: Float64Array
    ids: Ids
    shifts: IntArray

    def subset(self, selected: IntArray | BoolArray) -> Hits:
        """Return the selected pairs."""
        return Hits(
            self.queries[selected], self.distances[selected], self.ids[selected], self.shifts[selected]
        )


class Collector(Protocol):
    """Receive evaluated pairs, and tell how near a row must be to count."""

    @property
    def wanted(self) -> int | None:
        """Rows for each query; None for all within a radius."""

    @property
    def threshold(self) -> Float64Array:
        """Largest distance that counts, for each query. At that very distance the id decides."""

    def add(self, queries: IntArray, distances: Float64Array, ids: Ids, shifts: IntArray) -> None:
        """Add pairs, each once. A distance may be infinite if it is known to be above the threshold."""


class TopK:
    """Collect the `wanted` nearest rows of each query.

    Of equal distances (to the last bit) the lower id comes first.
    """

    wanted: int

    def __init__(self, n_queries: int, wanted: int) -> None:
        self.wanted = wanted
        self.best = np.full((n_queries, wanted), np.inf)  # unordered
        self.threshold: Float64Array = np.full(n_queries, np.inf)
        self._parts: list[Hits] = []

    def add(self, queries: IntArray, distances: Float64Array, ids: Ids, shifts: IntArray) -> None:
        """Add pairs, and lower the thresholds to the distances of the k-th nearest rows."""
        # Pairs at the threshold itself are kept: a lower id may still displace a row that is as far.
        near = np.flatnonzero((distances <= self.threshold[queries]) & (distances < np.inf))
        if not len(near):
            return
        near = near[np.lexsort((distances[near], queries[near]))]
        hits = Hits(queries, distances, ids, shifts).subset(near)
        self._parts.append(hits)
        rank = np.arange(len(near)) - np.searchsorted(hits.queries, hits.queries)
        top = np.flatnonzero(rank < self.wanted)
        rows = np.unique(hits.queries)
        new = np.full((len(rows), self.wanted), np.inf)
        new[np.searchsorted(rows, hits.queries[top]), rank[top]] = hits.distances[top]
        both = np.concatenate([self.best[rows], new], axis=1)
        self.best[rows] = np.partition(both, self.wanted - 1, axis=1)[:, : self.wanted]
        self.threshold[rows] = self.best[rows].max(axis=1)

    def hits(self) -> Hits:
        """Return `wanted` pairs for each query, or fewer if fewer were added."""
        found = _sorted(self._parts)
        rank = np.arange(len(found.queries)) - np.searchsorted(found.queries, found.queries)
        return found.subset(rank < self.wanted)


class RadiusCollector:
    """Collect all rows within a radius of each query."""

    wanted = None

    def __init__(self, n_queries: int, radius: float) -> None:
        self.threshold: Float64Array = np.full(n_queries, radius)
        self._parts: list[Hits] = []

    def add(self, queries: IntArray, distances: Float64Array, ids: Ids, shifts: IntArray) -> None:
        """Add pairs, and keep those within the radius."""
        near = np.flatnonzero(distances <= self.threshold[queries])
        self._parts.append(Hits(queries, distances, ids, shifts).subset(near))

    def hits(self) -> Hits:
        """Return all pairs within the radius."""
        return _sorted(self._parts)


def _sorted(parts: list[Hits]) -> Hits:
    empty = np.empty(0, dtype=np.intp)
    # The empty part gives the result its types when nothing was found.
    parts = [*parts, Hits(empty, np.empty(0), np.empty(0, dtype=np.int64), empty)]
    found = Hits(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    return found.subset(np.lexsort((found.ids, found.distances, found.queries)))
