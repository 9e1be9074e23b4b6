"""Recall of an index: the share of the true neighbors that it finds, and the cells that this takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from shapecluster._core.index.collect import Hits
from shapecluster._core.index.inverted_lists import InvertedLists
from shapecluster._core.index.search import QUERY_BLOCK, Space
from shapecluster._core.sbd.blocks import row_blocks
from shapecluster._typing import IntArray


@dataclass(frozen=True)
class Recall:
    """Share of the true neighbors that an index finds, measured on a sample of queries.

    Attributes
    ----------
    recall : float
        Mean over the queries.
    error : float
        Standard error of that mean; NaN for one query.
    n_queries : int
        Size of the sample.
    """

    recall: float
    error: float
    n_queries: int


def measure_recall(found: Hits, true: Hits, n_queries: int) -> Recall:
    """Compute the share of the true hits that were found: for each query, then the mean."""
    pairs = [set(zip(hits.queries.tolist(), hits.ids.tolist(), strict=True)) for hits in (found, true)]
    n_true = np.bincount(true.queries, minlength=n_queries)
    n_found = np.bincount([query for query, _ in pairs[0] & pairs[1]], minlength=n_queries)
    # Queries without any true neighbor have no share, and are left out.
    per_query = (n_found / np.maximum(n_true, 1))[n_true > 0]
    error = per_query.std(ddof=1) / np.sqrt(len(per_query)) if len(per_query) > 1 else np.nan
    mean = per_query.mean() if len(per_query) else np.nan
    return Recall(float(mean), float(error), len(per_query))


def cell_ranks(space: Space, cells: InvertedLists, rows: Any, hits: Hits) -> IntArray:
    """Count the cells that are nearer to the query than the cell of each hit."""
    order = np.argsort(cells.ids)
    labels = cells.labels[order][np.searchsorted(cells.ids[order], hits.ids)]
    ranks = np.empty(len(labels), dtype=np.intp)
    for part in row_blocks(rows.shape[0], 1, QUERY_BLOCK):
        queries = space.prepare(rows[part])
        near, _ = space.nearest_cells(queries, len(cells))
        rank = np.argsort(near, axis=1)  # the inverse permutation: cell to rank
        of_part = slice(*np.searchsorted(hits.queries, [part.start, part.stop]))
        ranks[of_part] = rank[hits.queries[of_part] - part.start, labels[of_part]]
    return ranks
