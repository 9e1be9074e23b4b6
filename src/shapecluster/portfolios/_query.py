"""A trader or a portfolio for which matches are sought."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from shapecluster._core.matching.criterion import MatchCriterion
from shapecluster._core.matching.distinct import Distinct, as_query
from shapecluster._typing import Float64Array, IntArray
from shapecluster._validation import caller_level, listing, names_and_weights
from shapecluster.portfolios._portfolios import Portfolios

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
        warnings.warn(
            f"the data lack {len(unknown)} of the {len(names)} tickers of the portfolio: {listing(unknown)}. "
            "They count as holdings that nobody shares.",
            UserWarning,
            stacklevel=caller_level(),
        )
    order = np.argsort(columns)[len(unknown) :]
    return Query(columns[order], amounts[order], mass, unknown=unknown)
