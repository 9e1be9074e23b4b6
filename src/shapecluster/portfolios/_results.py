"""The table of the traders who match a query."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shapecluster._core.matching.distinct import DistinctPortfolios
from shapecluster._typing import Float64Array, IntArray
from shapecluster.portfolios._portfolios import Portfolios
from shapecluster.portfolios._query import Query


def match_table(
    query: Query,
    groups: IntArray,
    similarity: Float64Array,
    portfolios: Portfolios,
    distinct: DistinctPortfolios,
    empty_table: pd.DataFrame,
) -> pd.DataFrame:
    """The traders of the matching groups, without the trader of the query, in order of similarity."""
    holders = [distinct.traders_of(group) for group in groups]
    n_self = 1 if query.group >= 0 else 0
    if sum(map(len, holders)) == n_self:
        # This is the usual case, and building a table takes longer than everything else.
        return empty_table.copy()
    rows = np.concatenate(holders)
    which = np.repeat(np.arange(len(groups)), [len(each) for each in holders])
    order = np.lexsort((rows, -similarity[which]))
    order = order[rows[order] != query.row]
    rows, which = rows[order], which[order]
    # Tickers are compared once per group, because all its traders hold the same.
    tickers = _compare_tickers(query, groups, portfolios, distinct)[:, which]
    return _to_frame(portfolios.trader_ids[rows], similarity[which], tickers)


def empty_match_table(portfolios: Portfolios) -> pd.DataFrame:
    """The table without rows."""
    # Cut from a table with one row, because pandas then gives the columns the types of a full table.
    one_row = _to_frame(portfolios.trader_ids[:1], np.ones(1), np.empty((3, 1), dtype=object))
    return one_row.iloc[:0].copy()


def _to_frame(trader_ids: NDArray[Any], similarity: Float64Array, tickers: NDArray[Any]) -> pd.DataFrame:
    shared, missing, extra = tickers
    columns = {
        "trader": trader_ids,
        "match": similarity,
        "shared": shared,
        "missing": missing,
        "extra": extra,
    }
    # With an index given, pandas does not look for one in the columns, which takes longer.
    return pd.DataFrame(columns, index=pd.RangeIndex(len(trader_ids)), copy=False)


def _compare_tickers(
    query: Query, groups: IntArray, portfolios: Portfolios, distinct: DistinctPortfolios
) -> NDArray[np.object_]:
    """Tuples of tickers of shape (3, n_groups): shared with the query, missing from the group, and extra."""
    own = portfolios.tickers[query.columns].tolist()
    cells = np.empty((3, len(groups)), dtype=object)
    starts = distinct.rows.indptr
    for at, group in enumerate(groups):
        held = portfolios.tickers[distinct.rows.indices[starts[group] : starts[group + 1]]].tolist()
        shared = {*held}.intersection(own)
        cells[0, at] = tuple(name for name in held if name in shared)
        cells[1, at] = (*(name for name in own if name not in shared), *query.unknown_tickers)
        cells[2, at] = tuple(name for name in held if name not in shared)
    return cells
