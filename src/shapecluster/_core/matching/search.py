"""The search for the portfolios that match one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapecluster._core.matching.criterion import Masses, MatchCriterion
from shapecluster._core.matching.distinct import Distinct
from shapecluster._typing import Float64Array, IntArray


@dataclass(frozen=True)
class Postings:
    """Who holds each ticker: distinct portfolios in increasing order, and so from light to heavy."""

    starts: IntArray
    holders: NDArray[Any]
    amounts: Float64Array | None

    @classmethod
    def of(cls, distinct: Distinct, rule: MatchCriterion) -> Postings:
        """Turn holdings around."""
        columns = distinct.rows.tocsc()
        amounts = columns.data if rule.weighted else None
        return cls(columns.indptr.astype(np.intp), columns.indices, amounts)


def search(
    distinct: Distinct,
    postings: Postings,
    rule: MatchCriterion,
    tickers: IntArray,
    amounts: Float64Array,
    mass: Any,
    own: int = -1,
) -> tuple[IntArray, Float64Array]:
    """Find the distinct portfolios that match one.

    Parameters
    ----------
    distinct, postings : Distinct, Postings
        Where to look.
    rule : MatchCriterion
        What matches.
    tickers : ndarray of shape (n_known,)
        Columns of the asker's tickers that somebody may hold, in increasing order.
    amounts : ndarray of shape (n_known,)
        What the asker holds of them, as `as_query` has it.
    mass : int or float
        The asker's mass, with the tickers that nobody holds.
    own : int
        The asker's own distinct portfolio, if it has one; else -1.

    Returns
    -------
    found : ndarray of shape (n_found,)
        Distinct portfolios.
    match : ndarray of shape (n_found,)
        How well they match.
    """
    low, high = rule.window(mass)
    if own >= 0 and low == mass == high:  # who shares all of it, and holds no more, holds the same
        return np.array([own]), np.ones(1)
    begin, end = distinct.rows_between(low, high)
    if begin == end:
        return np.zeros(0, dtype=np.intp), np.zeros(0)
    least = low or rule.needed(np.asarray([mass]), distinct.masses[begin : begin + 1])[0]
    shared = _shared_with_all(postings, rule, tickers, amounts, (begin, end))
    found = np.flatnonzero(shared >= least)
    masses = distinct.masses[begin + found]
    asking = np.full(len(found), mass)
    reached = shared[found] >= rule.needed(asking, masses)
    match = rule.match(shared[found], asking, masses)
    return begin + found[reached], match[reached]


def _shared_with_all(
    postings: Postings,
    rule: MatchCriterion,
    tickers: IntArray,
    amounts: Float64Array,
    window: tuple[int, int],
) -> Masses:
    """What each portfolio of the window shares with one, ticker after ticker."""
    bounds = np.asarray(window, dtype=postings.holders.dtype)  # another dtype would convert them all
    holders, least = [postings.holders[:0]], [np.zeros(0)]
    for ticker, amount in zip(tickers, amounts, strict=True):
        start, stop = postings.starts[ticker : ticker + 2]
        who = postings.holders[start:stop]
        inside = slice(*who.searchsorted(bounds))
        holders.append(who[inside])
        if postings.amounts is not None:
            theirs = postings.amounts[start:stop][inside]
            least.append(theirs * amount if rule.metric == "cosine" else np.minimum(theirs, amount))
    weights = None if postings.amounts is None else np.concatenate(least)
    counted: Masses = np.bincount(
        np.concatenate(holders) - window[0], weights, minlength=window[1] - window[0]
    )
    return counted
