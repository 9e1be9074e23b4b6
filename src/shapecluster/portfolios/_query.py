"""What `PortfolioMatcher` takes and returns: portfolios to search, a query, and the table of its matches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from shapecluster._core.matching.criterion import MatchCriterion, Weight
from shapecluster._core.matching.distinct import DistinctPortfolios, normalized_query
from shapecluster._sklearn_compat import BaseEstimator, validate_data
from shapecluster._text import listing
from shapecluster._typing import ArrayLike, Float64Array, IntArray
from shapecluster._validation import names_and_weights
from shapecluster._warnings import warn_user
from shapecluster.portfolios._portfolios import Portfolios

PortfoliosLike: TypeAlias = Portfolios | pd.DataFrame | ArrayLike | sparse.sparray | sparse.spmatrix

_COLUMNS = ("trader", "match", "shared", "missing", "extra")


def as_portfolios(
    estimator: BaseEstimator, X: PortfoliosLike, *, reset: bool, first_id: int = 0
) -> tuple[Portfolios, bool]:
    """Convert input to `Portfolios`, and report whether its tickers and traders are matched by name.

    Parameters
    ----------
    estimator : estimator
        The owner of the input. It gets `n_features_in_` and `feature_names_in_` if X is a matrix.
    X : Portfolios, DataFrame, or array-like or sparse matrix of shape (n_traders, n_tickers)
        A DataFrame with a column TRADER_ID is a table of portfolios. Any other has traders as its index and
        tickers as its columns.
    reset : bool
        True in `fit`. False: a matrix must have the columns seen in `fit`.
    first_id : int
        The id of the first trader of a matrix without names.
    """
    if isinstance(X, Portfolios):
        return X, True
    if isinstance(X, pd.DataFrame) and "trader_id" in [str(column).strip().lower() for column in X.columns]:
        return Portfolios.from_frame(X), True
    matrix = validate_data(
        estimator, X, reset=reset, accept_sparse="csr", dtype=[np.float64, np.float32], ensure_all_finite=True
    )
    minimum = matrix.min() if matrix.shape[0] else 0
    if minimum < 0:
        # The first words are scikit-learn's own: its estimator checks look for them.
        raise ValueError(
            f"Negative values in data passed to {type(estimator).__name__}: a quantity is at least 0. "
            f"Got {minimum} instead."
        )
    tickers = getattr(estimator, "feature_names_in_", None)
    ids = X.index if isinstance(X, pd.DataFrame) else np.arange(first_id, first_id + matrix.shape[0])
    return Portfolios(matrix, tickers, ids), False


def append_traders(before: Portfolios, new: Portfolios) -> Portfolios:
    """Both tables, one below the other; tickers that only the new traders hold become the last columns."""
    ids = pd.Index(before.trader_ids)
    repeated = pd.Index(new.trader_ids).intersection(ids)
    if len(repeated):
        raise ValueError(
            f"new traders need ids of their own, but these are in the data already: {listing(repeated)}."
        )
    known = pd.Index(before.tickers)
    added = new.tickers[known.get_indexer(pd.Index(new.tickers)) < 0]
    tickers = np.concatenate([before.tickers, added])
    columns = pd.Index(tickers).get_indexer(pd.Index(new.tickers))
    parts = new.matrix.data, columns[new.matrix.indices], new.matrix.indptr
    below = sparse.csr_matrix(parts, (len(new), len(tickers)))
    above: Any = before.matrix.copy()
    above.resize(len(before), len(tickers))
    # As lists, because NumPy would turn numbers into text where both occur. `Portfolios` refuses that.
    ids_of_all = [*before.trader_ids.tolist(), *new.trader_ids.tolist()]
    return Portfolios(sparse.vstack([above, below], format="csr"), tickers, ids_of_all)


class Query(NamedTuple):
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


_NO_HOLDINGS = Query(np.zeros(0, dtype=np.intp), np.zeros(0), 0)


def known_trader(trader_id: int | str, portfolios: Portfolios, distinct: DistinctPortfolios) -> Query:
    """The query for a trader in the data."""
    try:
        row = portfolios.position(trader_id)
    except KeyError as error:
        # A ticker given as plain text ends up here, too.
        raise KeyError(f"{error.args[0]}. A portfolio is given as a list of tickers.") from None
    group = int(distinct.group_of_trader[row])
    if group < 0:
        return _NO_HOLDINGS._replace(row=row)
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
        return _NO_HOLDINGS
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
    columns = dict(zip(_COLUMNS, (trader_ids, similarity, *tickers), strict=True))
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
