"""Portfolios without repeats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from shapecluster._core.matching.criterion import Masses, MatchCriterion
from shapecluster._typing import Float64Array, IntArray


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
