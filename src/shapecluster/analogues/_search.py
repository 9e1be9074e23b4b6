"""Search among the past windows of a query: which of them count, and the best of each episode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from shapecluster._core.index.collect import Hits
from shapecluster._typing import BoolArray, FloatArray, IntArray
from shapecluster.analogues._windows import Windows, episodes, near
from shapecluster.neighbors._index import ClusterIndex

_CROWD = 10  # windows looked for, for each that is wanted: those next to a hit are nearly as near

WindowFilter = Callable[[IntArray, IntArray], BoolArray]


@dataclass(frozen=True)
class Queries:
    """Windows to look for.

    Attributes
    ----------
    windows : Windows
        Whose they are, and when they end.
    values : ndarray of shape (n_queries, n_values)
        What is compared.
    """

    windows: Windows
    values: FloatArray


@dataclass(frozen=True)
class Past:
    """All windows, and the rules by which some of them count.

    Attributes
    ----------
    index : ClusterIndex
    windows : Windows
        By the ids of the index.
    exclusion : int
        Windows of one ticker whose ends are at most so many days apart are one episode.
    lead : int
        Days that a window must have ended before the last day of the query, and one more.
    """

    index: ClusterIndex
    windows: Windows
    exclusion: int
    lead: int

    def eligible(self, asked: Windows) -> WindowFilter:
        """Takes positions in `asked` and ids that broadcast; says which pairs count."""

        def keep(which: IntArray, ids: IntArray) -> BoolArray:
            past, mine = self.windows.at(ids), asked.at(which)
            counts: BoolArray = past.ends < mine.ends - self.lead
            return counts & ~near(past, mine, self.exclusion)

        return keep

    def find(self, queries: Queries, n: int, *, n_probe: int | None = None, exact: bool = False) -> Hits:
        """The nearest windows that count, one of each episode; fewer than n where there are no more.

        An exact search that no bounds can shorten, as within a shift window, looks at every cell.
        """
        if exact and not self.index._space.exact:
            n_probe, exact = len(self.index.cluster_centers_), False
        metric, k = self.index._metric, min(_CROWD * n, len(self.windows))
        rows = metric.check(self.index, queries.values, reset=False).rows
        n_queries = len(queries.windows)
        parts: list[Hits] = []
        taken = np.full((n_queries, n), -1, dtype=np.int64)  # ids
        count = np.zeros(n_queries, dtype=np.intp)
        left = np.arange(n_queries)
        while len(left):
            hits = self.index._search(
                metric.take(rows, left),
                k=k,
                n_probe=n_probe,
                exact=exact,
                keep=self._fresh(queries, left, taken),
            )
            bounds = np.searchsorted(hits.queries, np.arange(len(left) + 1))
            again = []
            for place, query in enumerate(left.tolist()):
                mine = slice(int(bounds[place]), int(bounds[place + 1]))
                best = episodes(self.windows.at(hits.ids[mine]), n - count[query], self.exclusion)
                new = _at(hits, mine.start + best)._replace(queries=np.full(len(best), query))
                parts.append(new)
                taken[query, count[query] : count[query] + len(best)] = new.ids
                count[query] += len(best)
                if count[query] < n and mine.stop - mine.start == k:
                    again.append(query)
            left = np.array(again, dtype=np.intp)
        found = _joined(parts)
        return _at(found, np.lexsort((found.ids, found.values, found.queries)))

    def _fresh(self, queries: Queries, left: IntArray, taken: IntArray) -> WindowFilter:
        """What counts, and is in no episode that was found for these queries."""
        eligible = self.eligible(queries.windows.at(left))
        columns = [column for column in taken[left].T if (column >= 0).any()]

        def keep(which: IntArray, ids: IntArray) -> BoolArray:
            counts = eligible(which, ids)
            for column in columns:
                hit = column[which]
                counts &= ~(near(self.windows.at(ids), self.windows.at(hit), self.exclusion) & (hit >= 0))
            return counts

        return keep


def _at(hits: Hits, some: IntArray) -> Hits:
    return Hits(hits.queries[some], hits.values[some], hits.ids[some], hits.shifts[some])


def _joined(parts: list[Hits]) -> Hits:
    return Hits(
        np.concatenate([part.queries for part in parts]),
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.shifts for part in parts]),
    )
