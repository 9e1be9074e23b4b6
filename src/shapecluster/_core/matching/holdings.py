"""Which portfolios match: the rule, portfolios without repeats, and the search for one of them.

A portfolio has a *mass*: the number of its holdings or, where quantities count, their sum. What two
portfolios share has a mass as well, and every metric says how much of it a pair needs. For sets these are
whole numbers, so that nothing is rounded before it is decided.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from shapecluster._typing import Float64Array, IntArray

MatchMetric: TypeAlias = Literal["jaccard", "containment", "overlap", "cosine"]
Masses: TypeAlias = NDArray[Any]
"""int64 for sets, float64 for quantities."""

TOLERANCE = 1e-12
"""With quantities, sums are rounded: so much less than what is needed, relatively, is still enough."""

_WIDEST = 2**62  # products beyond this are taken in Python's own integers
_SLACK = 1e-9  # windows and prefixes are wider than they need be by this, which covers all rounding


@dataclass(frozen=True)
class MatchCriterion:
    """When one portfolio matches another.

    Attributes
    ----------
    metric : {"jaccard", "containment", "overlap", "cosine"}
        How a match is measured.
    threshold : Fraction
        The least match that counts, above 0 and at most 1.
    weighted : bool
        Whether quantities count.
    """

    metric: MatchMetric
    threshold: Fraction
    weighted: bool = False

    def needed(self, a: Masses, b: Masses) -> Masses:
        """The least mass that portfolios of mass `a` (who asks) and `b` must share, pair by pair."""
        if self.weighted:
            return self._needed_weight(a, b) * (1.0 - TOLERANCE)
        p, q = self.threshold.numerator, self.threshold.denominator
        if self.metric == "jaccard":  # q I >= p (a + b - I)
            return _ceil_divide(a + b, p, p + q)
        if self.metric == "containment":
            return _ceil_divide(a + np.zeros_like(b), p, q)
        if self.metric == "overlap":
            return _ceil_divide(np.minimum(a, b), p, q)
        return _ceil_root(a * b, p * p, q * q)

    def needed_either_way(self, a: Masses, b: Masses) -> Masses:
        """The same, for a pair of which either may ask; never falls when `a` or `b` grows."""
        return self.needed(np.minimum(a, b), np.maximum(a, b))

    def match(self, shared: Masses, a: Masses, b: Masses) -> Float64Array:
        """How well `a` is matched by `b`, from 0 to 1."""
        if self.metric == "jaccard":
            whole = a + b - shared
        elif self.metric == "containment":
            whole = a + np.zeros_like(b)
        elif self.metric == "overlap":
            whole = np.minimum(a, b)
        else:
            whole = np.sqrt(np.multiply(a, b, dtype=np.float64))
        return np.asarray(np.minimum(shared / whole, 1.0), dtype=np.float64)

    def window(self, mass: Any) -> tuple[Any, Any]:
        """No portfolio lighter or heavier than this matches one that has this mass and asks.

        Who matches it shares at least the first of these two masses with it. 0 or None: there is no bound.
        """
        if self.metric == "overlap" or (self.metric == "cosine" and self.weighted):
            return 0, None
        lightest: Any
        heaviest: Any
        if self.weighted:
            s = float(self.threshold)
            lightest, heaviest = s * mass * (1.0 - _SLACK), mass / s * (1.0 + _SLACK)
        else:
            power = 2 if self.metric == "cosine" else 1
            p, q = self.threshold.numerator**power, self.threshold.denominator**power
            lightest, heaviest = -(-p * int(mass) // q), q * int(mass) // p
        return lightest, None if self.metric == "containment" else heaviest

    def prefix_share(self) -> float:
        """With quantities: a part of a portfolio below this share of its mass cannot make a match alone.

        The lighter of the two, of `overlap` and `containment`, or either, of the others. Mass is the squared
        quantity for the cosine, where |x_part . y| <= |x_part| |y|.
        """
        s = float(self.threshold)
        return (s * s if self.metric == "cosine" else s) * (1.0 - _SLACK)

    def _needed_weight(self, a: Masses, b: Masses) -> Masses:
        s = float(self.threshold)
        if self.metric == "jaccard":
            return s / (1.0 + s) * (a + b)
        if self.metric == "containment":
            return s * (a + np.zeros_like(b))
        if self.metric == "overlap":
            return s * np.minimum(a, b)
        return np.asarray(s * np.sqrt(a * b))


def _times(values: Masses, factor: int) -> NDArray[Any]:
    """Integers times a factor, in Python's own where 64 bits do not hold them."""
    wide = factor * int(np.max(values, initial=1)) > _WIDEST
    return np.asarray(values).astype(object if wide else np.int64) * factor


def _ceil_divide(values: NDArray[Any], p: int, q: int) -> NDArray[np.int64]:
    """The least integers that are not below values * p / q."""
    return np.asarray(-(-_times(values, p) // q), dtype=np.int64)


def _ceil_root(values: NDArray[Any], p: int, q: int) -> NDArray[np.int64]:
    """The least integers whose squares are not below values * p / q."""
    below = (_times(values, p) - 1) // q
    if below.dtype == object:
        return np.asarray(np.frompyfunc(math.isqrt, 1, 1)(below), dtype=np.int64) + 1
    root: NDArray[np.int64] = np.sqrt(below.astype(np.float64)).astype(np.int64)
    root -= root * root > below
    root += (root + 1) * (root + 1) <= below
    return root + 1


@dataclass(frozen=True)
class Distinct:
    """Portfolios without repeats and without empty ones, the lightest first.

    Attributes
    ----------
    rows : csr_matrix of shape (n_distinct, n_tickers)
        Holdings; 1 for sets. Divided by their norm for the cosine of quantities, whose masses are 1.
    masses : ndarray of shape (n_distinct,)
        In increasing order.
    of_trader : ndarray of shape (n_traders,)
        The distinct portfolio of each trader; -1 for an empty one.
    traders : ndarray of shape (n_not_empty,)
        Traders by their distinct portfolio, in increasing order within each.
    starts : ndarray of shape (n_distinct + 1,)
        Where in `traders` each distinct portfolio begins.
    """

    rows: Any
    masses: Masses
    of_trader: IntArray
    traders: IntArray
    starts: IntArray

    def rows_between(self, low: Any, high: Any) -> tuple[int, int]:
        """The rows from a mass of `low` to one of `high`; None: to the end."""
        first = self.masses.searchsorted(low, side="left")
        last = len(self.masses) if high is None else self.masses.searchsorted(high, side="right")
        return int(first), int(last)

    @property
    def counts(self) -> IntArray:
        """How many traders hold each distinct portfolio."""
        counts: IntArray = np.diff(self.starts)
        return counts


def distinct_holdings(matrix: Any, rule: MatchCriterion) -> Distinct:
    """Put identical portfolios together.

    Parameters
    ----------
    matrix : csr_matrix of shape (n_traders, n_tickers)
        Holdings, with sorted indices and no explicit zeros.
    rule : MatchCriterion
        Says whether quantities count, and so what is identical.

    Returns
    -------
    Distinct
        Sorted by mass, then by the first trader.
    """
    held = matrix if rule.weighted else _with_data(matrix, np.ones(matrix.nnz))
    first, labels = _identical_rows(held)
    empty = np.diff(held.indptr)[first] == 0
    rows = _unit_rows(held[first], rule)
    masses = _masses(rows, rule)
    order = np.lexsort((first, masses))
    order = order[~empty[order]]
    place = np.full(len(first), -1, dtype=np.intp)
    place[order] = np.arange(len(order))
    of_trader = place[labels]
    traders = np.argsort(of_trader, kind="stable")[np.count_nonzero(of_trader < 0) :]
    starts = np.concatenate([[0], np.cumsum(np.bincount(of_trader[traders], minlength=len(order)))])
    return Distinct(rows[order], masses[order], of_trader, traders, starts.astype(np.intp))


def as_query(amounts: Float64Array, rule: MatchCriterion) -> tuple[Float64Array, Any]:
    """What somebody holds, in every ticker that they hold, as `Distinct.rows` has it; and its mass."""
    row = sparse.csr_matrix(amounts[None] if rule.weighted else np.ones((1, len(amounts))))
    row = _unit_rows(row, rule)
    return row.data, _masses(row, rule)[0]


def _with_data(matrix: Any, data: NDArray[Any]) -> Any:
    return sparse.csr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def _unit_rows(rows: Any, rule: MatchCriterion) -> Any:
    """Quantities in float64, with a norm of 1 for the cosine."""
    data = rows.data.astype(np.float64)
    if rule.weighted and rule.metric == "cosine":
        # The largest is 1 first, so that no square overflows.
        for norm in (_largest, _norms):
            data = data / np.repeat(norm(_with_data(rows, data)), np.diff(rows.indptr))
    return _with_data(rows, data)


def _largest(rows: Any) -> Float64Array:
    return np.asarray(rows.max(axis=1).todense(), dtype=np.float64).ravel()


def _norms(rows: Any) -> Float64Array:
    norms: Float64Array = np.sqrt(row_sums(rows.multiply(rows)))
    return norms


def _masses(rows: Any, rule: MatchCriterion) -> Masses:
    if not rule.weighted:
        sizes: Masses = np.diff(rows.indptr).astype(np.int64)
        return sizes
    return np.ones(rows.shape[0]) if rule.metric == "cosine" else row_sums(rows)


def row_sums(matrix: Any) -> Float64Array:
    """Sums along each row, always in the order of the columns."""
    return np.asarray(matrix @ np.ones(matrix.shape[1]), dtype=np.float64)


def _identical_rows(matrix: Any) -> tuple[IntArray, IntArray]:
    """The first row of each kind, and the kind of each row. Rows with equal keys are compared."""
    rng = np.random.default_rng(0)
    while True:
        keys = _row_keys(matrix, rng)
        _, first, labels = np.unique(keys, return_index=True, return_inverse=True)
        labels = labels.ravel()
        again = np.flatnonzero(first[labels] != np.arange(len(labels)))
        if _equal_rows(matrix[again], matrix[first[labels[again]]]):
            return first, labels


def _row_keys(matrix: Any, rng: np.random.Generator) -> NDArray[np.uint64]:
    """A number per row that is equal for equal rows, and hardly ever for others."""
    codes = rng.integers(2**64, size=matrix.shape[1], dtype=np.uint64)[matrix.indices]
    codes ^= matrix.data.astype(np.float64).view(np.uint64)
    codes *= rng.integers(2**64, dtype=np.uint64) | np.uint64(1)
    codes ^= codes >> np.uint64(32)
    codes *= rng.integers(2**64, dtype=np.uint64) | np.uint64(1)
    totals = np.concatenate([np.zeros(1, np.uint64), np.cumsum(codes, dtype=np.uint64)])
    return np.asarray(totals[matrix.indptr[1:]] - totals[matrix.indptr[:-1]])


def _equal_rows(a: Any, b: Any) -> bool:
    return all(np.array_equal(getattr(a, part), getattr(b, part)) for part in ("indptr", "indices", "data"))


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
