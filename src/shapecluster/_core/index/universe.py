"""Neighbors in a universe of series, exactly, by the screens of an index but without its cells."""

from __future__ import annotations

from collections.abc import Callable

from shapecluster._core.index.collect import Hits, RadiusCollector
from shapecluster._core.index.inverted_lists import InvertedLists
from shapecluster._core.index.search import IndexSearch, search_in_blocks
from shapecluster._core.index.shape_space import ShapeSpace
from shapecluster._core.sbd.bounds import bounds_may_pay
from shapecluster._core.sbd.shapes import Shapes


def search_universe(
    queries: Shapes,
    universe: Shapes,
    collector: Callable[[int], RadiusCollector],
    *,
    exclude_self: bool = False,
    n_threads: int = 1,
) -> Hits:
    """Find the rows of a universe that a collector asks for.

    Parameters
    ----------
    queries, universe : Shapes
        Series of the same length, window and type.
    collector : callable
        Makes the collector for a number of queries.
    exclude_self : bool, default=False
        Whether the queries are the universe, and a row is not to be its own neighbor.
    n_threads : int, default=1
        Number of threads. Results do not depend on it.

    Returns
    -------
    Hits
        Sorted by query, distance and row.
    """
    may_pay = bounds_may_pay(universe, len(queries) * len(universe))
    space = ShapeSpace.of(universe, low_pass=may_pay, n_threads=n_threads)
    cell = InvertedLists.one_cell(len(universe))

    def search(part: slice) -> Hits:
        found = collector(part.stop - part.start)
        others = (lambda which, ids: which + part.start != ids) if exclude_self else None
        prepared = space.prepare(queries[part])
        IndexSearch(space, cell, prepared, found, others).scan_all_rows()
        return found.hits()

    return search_in_blocks(search, len(queries), n_threads)
