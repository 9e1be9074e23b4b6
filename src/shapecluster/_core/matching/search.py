"""The search for all portfolios that match one portfolio, by way of an inverted index."""

from __future__ import annotations

import numpy as np

from shapecluster._core.matching.criterion import MatchCriterion, Weight, Weights
from shapecluster._core.matching.distinct import DistinctPortfolios
from shapecluster._typing import Float64Array, IntArray


def find_matches(
    distinct: DistinctPortfolios,
    criterion: MatchCriterion,
    tickers: IntArray,
    quantities: Float64Array,
    weight: Weight,
    own_group: int = -1,
) -> tuple[IntArray, Float64Array]:
    """Find the distinct portfolios that match a query.

    Parameters
    ----------
    distinct : DistinctPortfolios
        The portfolios to search.
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
    shared = _shared_weights(distinct, criterion, tickers, quantities, (begin, end))
    candidates = np.flatnonzero(shared >= lowest)
    weights = distinct.weights[begin + candidates]
    query_weights = np.full(len(candidates), weight)
    matched = shared[candidates] >= criterion.min_shared(query_weights, weights)
    similarity = criterion.similarity(shared[candidates], query_weights, weights)
    return begin + candidates[matched], similarity[matched]


def _shared_weights(
    distinct: DistinctPortfolios,
    criterion: MatchCriterion,
    tickers: IntArray,
    quantities: Float64Array,
    rows: tuple[int, int],
) -> Weights:
    """Shared weight of the query and each portfolio of a range of rows, summed ticker by ticker."""
    starts, all_holders, all_held = distinct.columns.indptr, distinct.columns.indices, distinct.columns.data
    # `searchsorted` converts the whole array if the types differ.
    bounds = np.asarray(rows, dtype=all_holders.dtype)
    holders, terms = [all_holders[:0]], [np.zeros(0)]
    for ticker, quantity in zip(tickers, quantities, strict=True):
        start, stop = starts[ticker : ticker + 2]
        # Holders are in increasing order, so in order of increasing weight.
        ticker_holders = all_holders[start:stop]
        inside = slice(*ticker_holders.searchsorted(bounds))
        holders.append(ticker_holders[inside])
        if criterion.uses_quantities:
            held = all_held[start:stop][inside]
            cosine = criterion.metric == "cosine"
            terms.append(held * quantity if cosine else np.minimum(held, quantity))
    values = np.concatenate(terms) if criterion.uses_quantities else None
    # One `bincount` for all tickers, instead of one pass over a dense array per ticker.
    return np.bincount(np.concatenate(holders) - rows[0], values, minlength=rows[1] - rows[0])
