"""The table of matches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from shapecluster._core.matching.distinct import Distinct
from shapecluster._typing import Float64Array, IntArray
from shapecluster.portfolios._portfolios import Portfolios
from shapecluster.portfolios._query import Query


def answer(
    asker: Query,
    found: IntArray,
    match: Float64Array,
    portfolios: Portfolios,
    distinct: Distinct,
    nobody: pd.DataFrame,
) -> pd.DataFrame:
    """The traders of the portfolios that were found, without the asker, the best first."""
    starts = distinct.starts
    holders = [distinct.traders[starts[number] : starts[number + 1]] for number in found]
    if sum(map(len, holders)) == (asker.number >= 0):
        return nobody.copy()  # the usual case; making a table takes longer than all else
    rows = np.concatenate(holders)
    which = np.repeat(np.arange(len(found)), [len(each) for each in holders])
    order = np.lexsort((rows, -match[which]))
    order = order[rows[order] != asker.row]
    rows, which = rows[order], which[order]
    cells = _compared(asker, found, portfolios, distinct)[:, which]
    return _table(portfolios.trader_ids[rows], match[which], cells)


def answer_of_nobody(portfolios: Portfolios) -> pd.DataFrame:
    """The table without rows; made of one with a row, which tells pandas the type of the ids."""
    one = _table(portfolios.trader_ids[:1], np.ones(1), np.empty((3, 1), dtype=object))
    return one.iloc[:0].copy()


def _table(traders: Any, match: Float64Array, cells: Any) -> pd.DataFrame:
    shared, missing, extra = cells
    columns = {"trader": traders, "match": match, "shared": shared, "missing": missing, "extra": extra}
    # An index that is there already spares pandas a look at all columns.
    return pd.DataFrame(columns, index=pd.RangeIndex(len(traders)), copy=False)


def _compared(
    asker: Query, found: IntArray, portfolios: Portfolios, distinct: Distinct
) -> np.ndarray[Any, np.dtype[np.object_]]:
    """Tuples of tickers, (3, n_found): what each found shares with the asker, lacks, and has beyond."""
    own = portfolios.tickers[asker.columns].tolist()
    cells = np.empty((3, len(found)), dtype=object)
    starts = distinct.rows.indptr
    for at, number in enumerate(found):
        theirs = portfolios.tickers[distinct.rows.indices[starts[number] : starts[number + 1]]].tolist()
        shared = {*theirs}.intersection(own)
        cells[0, at] = tuple(name for name in theirs if name in shared)
        cells[1, at] = (*(name for name in own if name not in shared), *asker.unknown)
        cells[2, at] = tuple(name for name in theirs if name not in shared)
    return cells
