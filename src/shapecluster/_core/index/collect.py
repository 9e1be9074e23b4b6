"""What a search has found so far: the nearest rows of each query, or all within a radius."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from shapecluster._core.index.inverted_lists import Ids
from shapecluster._typing import BoolArray, Float64Array, IntArray


class Hits(NamedTuple):
    """Pairs of query and row, by query; the best first."""

    queries: IntArray
    values: Float64Array
    ids: Ids
    shifts: IntArray

    def at(self, some: IntArray | BoolArray) -> Hits:
        """Some of them."""
        return Hits(self.queries[some], self.values[some], self.ids[some], self.shifts[some])


class Collector(Protocol):
    """Takes evaluated pairs, and says what a row must reach to count."""

    @property
    def wanted(self) -> int | None:
        """Rows for each query; None for all that count."""

    @property
    def hurdle(self) -> Float64Array:
        """For each query: a row that is farther does not count. One that is as far may, by its id."""

    def offer(self, queries: IntArray, values: Float64Array, ids: Ids, shifts: IntArray) -> None:
        """Take pairs, each once; values may be infinite where they were seen to be beyond the hurdle."""


class TopK:
    """The `wanted` nearest rows of each query.

    Where distances are equal to the last bit, the lower id comes first.
    """

    wanted: int

    def __init__(self, n_queries: int, wanted: int) -> None:
        self.wanted = wanted
        self.best = np.full((n_queries, wanted), np.inf)  # in no order
        self.hurdle: Float64Array = np.full(n_queries, np.inf)
        self._found: list[Hits] = []

    def offer(self, queries: IntArray, values: Float64Array, ids: Ids, shifts: IntArray) -> None:
        """Take pairs."""
        near = np.flatnonzero((values <= self.hurdle[queries]) & (values < np.inf))
        if not len(near):
            return
        near = near[np.lexsort((values[near], queries[near]))]
        hits = Hits(queries, values, ids, shifts).at(near)
        self._found.append(hits)
        rank = np.arange(len(near)) - np.searchsorted(hits.queries, hits.queries)
        top = np.flatnonzero(rank < self.wanted)
        rows = np.unique(hits.queries)
        new = np.full((len(rows), self.wanted), np.inf)
        new[np.searchsorted(rows, hits.queries[top]), rank[top]] = hits.values[top]
        both = np.concatenate([self.best[rows], new], axis=1)
        self.best[rows] = np.partition(both, self.wanted - 1, axis=1)[:, : self.wanted]
        self.hurdle[rows] = self.best[rows].max(axis=1)

    def hits(self) -> Hits:
        """At most `wanted` for each query; fewer where so few were offered."""
        found = _sorted(self._found)
        rank = np.arange(len(found.queries)) - np.searchsorted(found.queries, found.queries)
        return found.at(rank < self.wanted)


class RadiusCollector:
    """All rows that are no farther from a query than a radius."""

    wanted = None

    def __init__(self, n_queries: int, radius: float) -> None:
        self.hurdle: Float64Array = np.full(n_queries, radius)
        self._found: list[Hits] = []

    def offer(self, queries: IntArray, values: Float64Array, ids: Ids, shifts: IntArray) -> None:
        """Take pairs."""
        near = np.flatnonzero(values <= self.hurdle[queries])
        self._found.append(Hits(queries, values, ids, shifts).at(near))

    def hits(self) -> Hits:
        """All of them."""
        return _sorted(self._found)


def _sorted(parts: list[Hits]) -> Hits:
    nothing = np.empty(0, dtype=np.intp)
    parts = [*parts, Hits(nothing, np.empty(0), np.empty(0, dtype=np.int64), nothing)]
    found = Hits(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    order = np.lexsort((found.ids, found.values, found.queries))
    return found.at(order)
