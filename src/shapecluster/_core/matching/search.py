"""The search for all portfolios that match one portfolio, by way of an inverted index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapecluster._core.matching.criterion import MatchCriterion, Weight, Weights
from shapecluster._core.matching.distinct import DistinctPortfolios
from shapecluster._typing import Float64Array, IntArray


@dataclass(frozen=True)
class Postings:
    """The inverted index: for each ticker, the distinct portfolios that hold it.

    Attributes
    ----------
    starts : ndarray of shape (n_tickers + 1,)
        Position in `holders` at which each ticker begins.
    holders : ndarray of shape (n_holdings,)
        Distinct portfolios, in increasing order within each ticker, so in order of increasing weight.
    quantities : ndarray of shape (n_holdings,) or None
        What these portfolios hold. None for sets.
    """

    starts: IntArray
    holders: NDArray[Any]
    quantities: Float64Array | None

    @classmethod
    def from_portfolios(cls, distinct: DistinctPortfolios, criterion: MatchCriterion) -> Postings:
        """Build the index."""
        columns = distinct.rows.tocsc()
        quantities = columns.data if criterion.uses_quantities else None
        return cls(columns.indptr.astype(np.intp), columns.indices, quantities)


def find_matches(
    distinct: DistinctPortfolios,
    postings: Postings,
    criterion: MatchCriterion,
    tickers: IntArray,
    quantities: Float64Array,
    weight: Weight,
    own_group: int = -1,
) -> tuple[IntArray, Float64Array]:
    """Find the distinct portfolios that match a query.

    Parameters
    ----------
    distinct, postings : DistinctPortfolios, Postings
        The portfolios to search, and their index.
    criterion : MatchCriterion
        The criterion of a match.
    tickers : ndarray of shape (n_known,)
        Columns of the query's tickers, in increasing order. Tickers outside the data are left out.
    quantities : ndarray of shape (n_known,)
        Quantities of these tickers, as `normalized_query` returns them.
    weight : int or float
        The weight of the whole query, including tickers outside the data.
    own_group : int
        The distinct portfolio that is identical to the query; -1 if there is none.

    Returns
    -------
    groups : ndarray of shape (n_matches,)
        Distinct portfolios that match.
    similarity : ndarray of shape (n_matches,)
        Their similarity to the query.
    """
    low, high = criterion.weight_range(weight)
    if own_group >= 0 and low == weight == high:
        # A match shares the query's whole weight and has no other holding: it is identical.
        return np.array([own_group]), np.ones(1)
    begin, end = distinct.range_of_weights(low, high)
    if begin == end:
        return np.zeros(0, dtype=np.intp), np.zeros(0)
    # `min_shared` never decreases with the weight, so the lightest portfolio gives a bound for all. Most
    # portfolios fail this cheap test, and the exact one is computed for the rest only.
    lowest = low or criterion.min_shared(np.asarray([weight]), distinct.weights[begin : begin + 1])[0]
    shared = _shared_weights(postings, criterion, tickers, quantities, (begin, end))
    candidates = np.flatnonzero(shared >= lowest)
    weights = distinct.weights[begin + candidates]
    query_weights = np.full(len(candidates), weight)
    matched = shared[candidates] >= criterion.min_shared(query_weights, weights)
    similarity = criterion.similarity(shared[candidates], query_weights, weights)
    return begin + candidates[matched], similarity[matched]


def _shared_weights(
    postings: Postings,
    criterion: MatchCriterion,
    tickers: IntArray,
    quantities: Float64Array,
    rows: tuple[int, int],
) -> Weights:
    """Shared weight of the query and each portfolio of a range of rows, summed ticker by ticker."""
    # `searchsorted` converts the whole array if the types differ.
    bounds = np.asarray(rows, dtype=postings.holders.dtype)
    holders, terms = [postings.holders[:0]], [np.zeros(0)]
    for ticker, quantity in zip(tickers, quantities, strict=True):
        start, stop = postings.starts[ticker : ticker + 2]
        ticker_holders = postings.holders[start:stop]
        inside = slice(*ticker_holders.searchsorted(bounds))
        holders.append(ticker_holders[inside])
        if postings.quantities is not None:
            held = postings.quantities[start:stop][inside]
            cosine = criterion.metric == "cosine"
            terms.append(held * quantity if cosine else np.minimum(held, quantity))
    values = None if postings.quantities is None else np.concatenate(terms)
    # One `bincount` for all tickers, instead of one pass over a dense array per ticker.
    shared: Weights = np.bincount(np.concatenate(holders) - rows[0], values, minlength=rows[1] - rows[0])
    return shared
