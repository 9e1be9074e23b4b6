"""Search among past windows: which of them are eligible, and the best one of each episode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from shapecluster._arrays import joined, take
from shapecluster._core.index.collect import Hits
from shapecluster._typing import BoolArray, FloatArray, IntArray
from shapecluster.analogues._windows import Windows, is_within_exclusion, suppress_overlaps
from shapecluster.neighbors._index import ClusterIndex

# Windows searched for each that is wanted: those a day apart from a hit are nearly as near, and are dropped.
_CANDIDATES_PER_RESULT = 10

WindowFilter = Callable[[IntArray, IntArray], BoolArray]


@dataclass(frozen=True)
class PastWindows:
    """All indexed windows, and the rules that make some of them eligible.

    Attributes
    ----------
    index : ClusterIndex
        The index of the windows.
    windows : Windows
        The windows by their ids in the index.
    exclusion : int
        Windows of one ticker whose ends are at most so many days apart are one episode.
    lead : int
        A window must end more than so many days before the last day of the query.
    """

    index: ClusterIndex
    windows: Windows
    exclusion: int
    lead: int

    def eligible(self, queries: Windows) -> WindowFilter:
        """Return a filter of positions in `queries` and ids, which broadcast."""

        def row_filter(which: IntArray, ids: IntArray) -> BoolArray:
            past, own = take(self.windows, ids), take(queries, which)
            is_past: BoolArray = past.ends < own.ends - self.lead
            return is_past & ~is_within_exclusion(past, own, self.exclusion)

        return row_filter

    def search(
        self,
        queries: Windows,
        values: FloatArray,
        n_neighbors: int,
        *,
        n_probe: int | None = None,
        exact: bool = False,
    ) -> Hits:
        """Find the nearest eligible windows, one of each episode, or fewer if there are no more.

        `values` has the values that are compared, one row for each query. Where no bounds can shorten an
        exact search, as within a shift window, it scans every cell.
        """
        index = self.index
        if exact and not index._space.exact:
            n_probe, exact = len(index.cluster_centers_), False
        k = min(_CANDIDATES_PER_RESULT * n_neighbors, len(self.windows.ends))
        rows = index._check_rows(values, reset=False)[0]
        parts: list[Hits] = []
        found_ids = np.full((len(queries.ends), n_neighbors), -1, dtype=np.int64)
        left = np.arange(len(queries.ends))
        # A round excludes the episodes found before and adds one to each query that is left, so rounds end.
        while len(left):
            new_episodes = self._new_episodes(queries, left, found_ids)
            hits = index._search(rows[left], k=k, n_probe=n_probe, exact=exact, row_filter=new_episodes)
            bounds = np.searchsorted(hits.queries, np.arange(len(left) + 1))
            again = []
            for place, query in enumerate(left.tolist()):
                own = slice(int(bounds[place]), int(bounds[place + 1]))
                candidates = take(self.windows, hits.ids[own])
                free = np.flatnonzero(found_ids[query] < 0)
                best = suppress_overlaps(candidates, len(free), self.exclusion)
                new = take(hits, own.start + best)._replace(queries=np.full(len(best), query))
                parts.append(new)
                found_ids[query, free[: len(best)]] = new.ids
                # Fewer than k hits: there are no more eligible windows.
                if len(best) < len(free) and own.stop - own.start == k:
                    again.append(query)
            left = np.array(again, dtype=np.intp)
        found = joined(parts)
        return take(found, np.lexsort((found.ids, found.distances, found.queries)))

    def _new_episodes(self, queries: Windows, left: IntArray, found_ids: IntArray) -> WindowFilter:
        """Return a filter of windows that are eligible, and in no episode found for these queries."""
        eligible = self.eligible(take(queries, left))
        columns = [column for column in found_ids[left].T if (column >= 0).any()]

        def row_filter(which: IntArray, ids: IntArray) -> BoolArray:
            counts = eligible(which, ids)
            for column in columns:
                hit = column[which]
                same = is_within_exclusion(take(self.windows, ids), take(self.windows, hit), self.exclusion)
                counts &= ~(same & (hit >= 0))  # -1 is no hit, though it indexes the last window
            return counts

        return row_filter
