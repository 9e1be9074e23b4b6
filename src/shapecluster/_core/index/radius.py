"""All series within a radius, exactly, by the screens of an index but without its cells."""

from __future__ import annotations

import numpy as np

from shapecluster._core.index.collect import Hits, RadiusCollector
from shapecluster._core.index.inverted_lists import InvertedLists
from shapecluster._core.index.search import IndexSearch, search_in_blocks
from shapecluster._core.index.shape_space import ShapeSpace
from shapecluster._core.sbd.shapes import Shapes, materialize, subset


def rows_within(
    queries: Shapes, universe: Shapes, radius: float, *, exclude_self: bool = False, n_threads: int = 1
) -> Hits:
    """Find all rows of a universe within a distance of each query.

    Parameters
    ----------
    queries, universe : Shapes
        Series of the same length, window and type.
    radius : float
        Largest distance, itself included.
    exclude_self : bool, default=False
        Whether the queries are the universe, and a row is not to be its own neighbor.
    n_threads : int, default=1
        Number of threads. Results do not depend on it.

    Returns
    -------
    Hits
        Sorted by query, distance and row.
    """
    # Only searches by cells use centers, so any row serves as the one center of the one cell.
    space = ShapeSpace.of(universe, materialize(universe, slice(0, 1)), n_threads=n_threads)
    n_rows = len(universe)
    one_cell = InvertedLists(np.array([0, n_rows]), np.arange(n_rows), np.zeros(n_rows))

    def search(part: slice) -> Hits:
        collector = RadiusCollector(part.stop - part.start, radius)
        others = (lambda which, ids: which + part.start != ids) if exclude_self else None
        prepared = space.prepare(subset(queries, part))
        IndexSearch(space, one_cell, prepared, collector, others).scan_all_rows()
        return collector.hits()

    return search_in_blocks(search, len(queries), n_threads)
