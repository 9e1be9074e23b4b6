"""A trader or an external portfolio for which matches are searched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from shapecluster._core.matching.criterion import MatchCriterion, Weight
from shapecluster._core.matching.distinct import DistinctPortfolios, normalized_query
from shapecluster._text import listing
from shapecluster._typing import Float64Array, IntArray
from shapecluster._validation import names_and_weights
from shapecluster._warnings import warn_user
from shapecluster.portfolios._portfolios import Portfolios


@dataclass(frozen=True)
class Query:
    """A portfolio for which matches are searched.

    Attributes
    ----------
    columns : ndarray of shape (n_known,)
        Columns of its tickers, in increasing order. Tickers outside the data have none.
    quantities : ndarray of shape (n_known,)
        Quantities of these tickers, normalized as `DistinctPortfolios.rows` are.
    weight : int or float
        Weight of the whole portfolio; 0 for an empty one.
    row : int
        The row of a known trader; -1 for an external portfolio.
    group : int
        The distinct portfolio of a known trader; -1 for an external or an empty portfolio.
    unknown_tickers : tuple of str
        Tickers outside the data.
    """

    columns: IntArray
    quantities: Float64Array
    weight: Weight
    row: int = -1
    group: int = -1
    unknown_tickers: tuple[str, ...] = ()

    @classmethod
    def empty(cls, row: int = -1) -> Query:
        """A portfolio without holdings."""
        return cls(np.zeros(0, dtype=np.intp), np.zeros(0), 0, row)


def known_trader(trader_id: int | str, portfolios: Portfolios, distinct: DistinctPortfolios) -> Query:
    """The query for a trader in the data."""
    try:
        row = portfolios.position(trader_id)
    except KeyError as error:
        # A ticker given as plain text ends up here, too.
        raise KeyError(f"{error.args[0]}. A portfolio is given as a list of tickers.") from None
    group = int(distinct.group_of_trader[row])
    if group < 0:
        return Query.empty(row)
    held = slice(*distinct.rows.indptr[group : group + 2])
    columns, quantities = distinct.rows.indices[held], distinct.rows.data[held]
    return Query(columns, quantities, distinct.weights[group], row, group)


def external_portfolio(
    portfolio: Iterable[str] | Mapping[str, float] | pd.Series[float],
    portfolios: Portfolios,
    criterion: MatchCriterion,
) -> Query:
    """The query for a portfolio outside the data."""
    names, quantities = names_and_weights(portfolio)
    if criterion.uses_quantities and not isinstance(portfolio, (Mapping, pd.Series)) and names:
        raise ValueError(
            "with quantities=True, a portfolio must have quantities: give a mapping or a Series of "
            f"ticker to quantity. Got a {type(portfolio).__name__} instead."
        )
    wrong = ~(np.isfinite(quantities) & (quantities >= 0))
    if wrong.any():
        at = int(wrong.argmax())
        raise ValueError(
            f"a quantity must be finite and at least 0. Got {quantities[at]} of {names[at]!r} instead."
        )
    index = pd.Index(names, dtype=object)
    if not index.is_unique:
        repeated = listing(index[index.duplicated()].unique())
        raise ValueError(f"portfolio must name each ticker once, but these repeat: {repeated}.")
    # A quantity of 0 is not a holding, so it must not count as a ticker outside the data either.
    names = [name for name, quantity in zip(names, quantities, strict=True) if quantity]
    quantities = quantities[quantities > 0]
    if not names:
        return Query.empty()
    quantities, weight = normalized_query(quantities, criterion)
    columns = pd.Index(portfolios.tickers).get_indexer(pd.Index(names, dtype=object))
    unknown = tuple(name for name, column in zip(names, columns, strict=True) if column < 0)
    if unknown:
        warn_user(
            "PortfolioMatcher",
            f"the data lack {len(unknown)} of the {len(names)} tickers of the portfolio: {listing(unknown)}. "
            "They count as holdings that no trader shares.",
        )
    # Unknown tickers have column -1, so they come first in the order and are cut off.
    order = np.argsort(columns)[len(unknown) :]
    return Query(columns[order], quantities[order], weight, unknown_tickers=unknown)
