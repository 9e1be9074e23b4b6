"""Who asks for matches, and how the answer reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from shapecluster._core.matching.holdings import Distinct, MatchCriterion, as_query
from shapecluster._typing import Float64Array, IntArray
from shapecluster._validation import listing, names_and_weights
from shapecluster._warnings import warn_user

if TYPE_CHECKING:
    from shapecluster.portfolios import Portfolios

_Tickers = tuple[Any, ...]


@dataclass(frozen=True)
class Query:
    """A portfolio for which matches are sought.

    Attributes
    ----------
    columns : ndarray of shape (n_known,)
        Tickers that the data have, in increasing order.
    amounts : ndarray of shape (n_known,)
        What is held of them, as the core wants it.
    mass : int or float
        Of the whole portfolio; 0 for an empty one.
    row : int
        The trader, if it is one of the data; else -1.
    number : int
        The trader's distinct portfolio; else -1.
    unknown : tuple of str
        Tickers that the data lack.
    """

    columns: IntArray
    amounts: Float64Array
    mass: Any
    row: int = -1
    number: int = -1
    unknown: _Tickers = ()


def insider(trader: Any, portfolios: Portfolios, distinct: Distinct) -> Query:
    """A trader of the data."""
    try:
        row = portfolios.position(trader)
    except KeyError as error:
        raise KeyError(f"{error.args[0]}. A portfolio is given as a list of tickers.") from None
    number = int(distinct.of_trader[row])
    if number < 0:
        return Query(np.zeros(0, dtype=np.intp), np.zeros(0), 0, row)
    held = slice(*distinct.rows.indptr[number : number + 2])
    return Query(distinct.rows.indices[held], distinct.rows.data[held], distinct.masses[number], row, number)


def outsider(portfolio: Any, portfolios: Portfolios, rule: MatchCriterion) -> Query:
    """A portfolio from elsewhere."""
    names, amounts = names_and_weights(portfolio)
    if rule.weighted and not isinstance(portfolio, (Mapping, pd.Series)) and names:
        raise ValueError(
            "with quantities=True, a portfolio must say how much it holds: give a mapping or a Series of "
            f"ticker to quantity. Got a {type(portfolio).__name__} instead."
        )
    wrong = ~(np.isfinite(amounts) & (amounts >= 0))
    if wrong.any():
        at = int(wrong.argmax())
        raise ValueError(
            f"a quantity must be finite and at least 0. Got {amounts[at]} of {names[at]!r} instead."
        )
    index = pd.Index(names, dtype=object)
    if not index.is_unique:
        repeated = listing(index[index.duplicated()].unique())
        raise ValueError(f"portfolio must name each ticker once, but these repeat: {repeated}.")
    names, amounts = (
        [name for name, amount in zip(names, amounts, strict=True) if amount],
        amounts[amounts > 0],
    )
    if not names:
        return Query(np.zeros(0, dtype=np.intp), np.zeros(0), 0)
    amounts, mass = as_query(amounts, rule)
    columns = pd.Index(portfolios.tickers).get_indexer(pd.Index(names, dtype=object))
    unknown = tuple(name for name, column in zip(names, columns, strict=True) if column < 0)
    if unknown:
        warn_user(
            "PortfolioMatcher",
            f"the data lack {len(unknown)} of the {len(names)} tickers of the portfolio: {listing(unknown)}. "
            "They count as holdings that nobody shares.",
        )
    order = np.argsort(columns)[len(unknown) :]
    return Query(columns[order], amounts[order], mass, unknown=unknown)


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
