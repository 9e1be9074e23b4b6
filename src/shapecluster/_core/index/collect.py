"""Collect search results: all rows within a radius of each query, or the k nearest rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from shapecluster._arrays import joined, rank_in_group, take
from shapecluster._core.index.inverted_lists import Ids
from shapecluster._typing import Float64Array, IntArray


class Hits(NamedTuple):
    """Pairs of a query and a row, sorted by query and then by distance."""

    queries: IntArray
    distances: Float64Array
    ids: Ids
    shifts: IntArray


class RadiusCollector:
    """Collect all rows within a radius of each query.

    Attributes
    ----------
    wanted : int or None
        Rows for each query; None for all within the radius.
    threshold : ndarray of shape (n_queries,)
        Largest distance that counts, for each query.
    """

    wanted: int | None = None

    def __init__(self, n_queries: int, radius: float) -> None:
        self.threshold: Float64Array = np.full(n_queries, radius)
        self._parts: list[Hits] = []

    def add(self, queries: IntArray, distances: Float64Array, ids: Ids, shifts: IntArray) -> Hits:
        """Add pairs, each once, and return those that count.

        A distance may be infinite if it is known to be above the threshold.
        """
        # Pairs at the threshold itself are kept: for the k nearest, a lower id may displace a row as far.
        near = np.flatnonzero((distances <= self.threshold[queries]) & (distances < np.inf))
        hits = take(Hits(queries, distances, ids, shifts), near)
        self._parts.append(hits)
        return hits

    def hits(self) -> Hits:
        """Return the pairs that count."""
        empty = np.empty(0, dtype=np.intp)
        # The empty part gives the result its types when nothing was found.
        found = joined([*self._parts, Hits(empty, np.empty(0), np.empty(0, dtype=np.int64), empty)])
        return take(found, np.lexsort((found.ids, found.distances, found.queries)))


class TopK(RadiusCollector):
    """Collect the `wanted` nearest rows of each query: the radius shrinks as nearer rows are found.

    Of equal distances (to the last bit) the lower id comes first.
    """

    wanted: int

    def __init__(self, n_queries: int, wanted: int) -> None:
        super().__init__(n_queries, np.inf)
        self.wanted = wanted
        self.best = np.full((n_queries, wanted), np.inf)  # unordered

    def add(self, queries: IntArray, distances: Float64Array, ids: Ids, shifts: IntArray) -> Hits:
        """Add pairs, and lower the thresholds to the distances of the k-th nearest rows."""
        hits = super().add(queries, distances, ids, shifts)
        ordered = take(hits, np.lexsort((hits.distances, hits.queries)))
        rank = rank_in_group(ordered.queries)
        top = np.flatnonzero(rank < self.wanted)
        rows = np.unique(ordered.queries)
        new = np.full((len(rows), self.wanted), np.inf)
        new[np.searchsorted(rows, ordered.queries[top]), rank[top]] = ordered.distances[top]
        both = np.concatenate([self.best[rows], new], axis=1)
        self.best[rows] = np.partition(both, self.wanted - 1, axis=1)[:, : self.wanted]
        self.threshold[rows] = self.best[rows].max(axis=1)
        return hits

    def hits(self) -> Hits:
        """Return `wanted` pairs for each query, or fewer if fewer were added."""
        found = super().hits()
        return take(found, rank_in_group(found.queries) < self.wanted)
