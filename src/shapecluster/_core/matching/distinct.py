"""Distinct portfolios: traders with identical holdings form a group, and each group is stored once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from shapecluster._core.matching.criterion import MatchCriterion, Weight, Weights
from shapecluster._typing import Float64Array, IntArray


@dataclass(frozen=True)
class DistinctPortfolios:
    """Portfolios without repeats and without empty ones, in order of increasing weight.

    Attributes
    ----------
    rows : csr_matrix of shape (n_groups, n_tickers)
        Holdings of each group; 1 for sets. For the cosine of quantities, rows have a norm of 1.
    columns : csc_matrix of shape (n_groups, n_tickers)
        The same matrix by ticker: the rows that hold each ticker, in increasing order.
    weights : ndarray of shape (n_groups,)
        Weights of the rows, increasing. For the cosine of quantities they are 1.
    group_of_trader : ndarray of shape (n_traders,)
        The row of each trader; -1 for an empty portfolio.
    traders : ndarray of shape (n_not_empty,)
        Traders sorted by their group, in increasing order within each group.
    starts : ndarray of shape (n_groups + 1,)
        Position in `traders` at which each group begins.
    """

    rows: Any
    columns: Any
    weights: Weights
    group_of_trader: IntArray
    traders: IntArray
    starts: IntArray

    def range_of_weights(self, low: Weight, high: Weight | None) -> tuple[int, int]:
        """First and last + 1 of the rows with weights from `low` to `high`; None: no upper bound."""
        first = self.weights.searchsorted(low, side="left")
        last = len(self.weights) if high is None else self.weights.searchsorted(high, side="right")
        return int(first), int(last)

    def traders_of(self, group: int | np.integer[Any]) -> IntArray:
        """The traders of a group, in increasing order."""
        return self.traders[self.starts[group] : self.starts[group + 1]]

    @property
    def group_sizes(self) -> IntArray:
        """Number of traders in each group."""
        return np.diff(self.starts)


def distinct_portfolios(matrix: Any, criterion: MatchCriterion) -> DistinctPortfolios:
    """Group traders with identical portfolios.

    Parameters
    ----------
    matrix : csr_matrix of shape (n_traders, n_tickers)
        Holdings, with sorted indices and no explicit zeros.
    criterion : MatchCriterion
        It decides whether quantities count, and so which portfolios are identical.

    Returns
    -------
    DistinctPortfolios
        Sorted by weight, then by the first trader of each group.
    """
    held = matrix if criterion.uses_quantities else _with_data(matrix, np.ones(matrix.nnz))
    first, labels = _identical_rows(held)
    empty = np.diff(held.indptr)[first] == 0
    rows = _normalized_rows(held[first], criterion)
    weights = _row_weights(rows, criterion)
    order = np.lexsort((first, weights))
    order = order[~empty[order]]
    place = np.full(len(first), -1, dtype=np.intp)
    place[order] = np.arange(len(order))
    group_of_trader = place[labels]
    # Empty portfolios have group -1, so they come first in the order and are cut off.
    traders = np.argsort(group_of_trader, kind="stable")[np.count_nonzero(group_of_trader < 0) :]
    sizes = np.bincount(group_of_trader[traders], minlength=len(order))
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.intp)
    rows = rows[order]
    return DistinctPortfolios(rows, rows.tocsc(), weights[order], group_of_trader, traders, starts)


def normalized_query(quantities: Float64Array, criterion: MatchCriterion) -> tuple[Float64Array, Weight]:
    """One portfolio's quantities in the form of `DistinctPortfolios.rows`, and its weight."""
    row = sparse.csr_matrix(quantities[None] if criterion.uses_quantities else np.ones((1, len(quantities))))
    row = _normalized_rows(row, criterion)
    weight: Weight = _row_weights(row, criterion)[0]
    return row.data, weight


def _with_data(matrix: Any, data: NDArray[Any]) -> Any:
    """A matrix with the same pattern and other values; it shares the index arrays."""
    return sparse.csr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def _normalized_rows(rows: Any, criterion: MatchCriterion) -> Any:
    """Quantities in float64, with a norm of 1 for the cosine."""
    data = rows.data.astype(np.float64)
    if criterion.uses_quantities and criterion.metric == "cosine":
        # Division by the maximum comes first, so that no square overflows or underflows to 0.
        for scale in (_row_maxima, _row_norms):
            data = data / np.repeat(scale(_with_data(rows, data)), np.diff(rows.indptr))
    return _with_data(rows, data)


def _row_maxima(rows: Any) -> Float64Array:
    return np.asarray(rows.max(axis=1).todense(), dtype=np.float64).ravel()


def _row_norms(rows: Any) -> Float64Array:
    return np.sqrt(row_sums(rows.multiply(rows)))


def _row_weights(rows: Any, criterion: MatchCriterion) -> Weights:
    if not criterion.uses_quantities:
        sizes: Weights = np.diff(rows.indptr).astype(np.int64)
        return sizes
    # Set to exactly 1 for the cosine: computed norms differ in the last digit.
    return np.ones(rows.shape[0]) if criterion.metric == "cosine" else row_sums(rows)


def row_sums(matrix: Any) -> Float64Array:
    """Sums along each row, always in the order of the columns."""
    # The sparse product adds from left to right, so identical rows have identical sums, bit for bit.
    return np.asarray(matrix @ np.ones(matrix.shape[1]), dtype=np.float64)


def _identical_rows(matrix: Any) -> tuple[IntArray, IntArray]:
    """The first row of each group of identical rows, and the group of each row."""
    rng = np.random.default_rng(0)
    # Rows with equal hashes are compared. If any differ, all rows are hashed again with new random numbers.
    while True:
        hashes = _row_hashes(matrix, rng)
        _, first, labels = np.unique(hashes, return_index=True, return_inverse=True)
        repeats = np.flatnonzero(first[labels] != np.arange(len(labels)))
        if _equal_rows(matrix[repeats], matrix[first[labels[repeats]]]):
            return first, labels


def _row_hashes(matrix: Any, rng: np.random.Generator) -> NDArray[np.uint64]:
    """A hash of each row's tickers and quantities."""
    codes = rng.integers(2**64, size=matrix.shape[1], dtype=np.uint64)[matrix.indices]
    codes ^= matrix.data.astype(np.float64).view(np.uint64)
    # Odd factors are invertible modulo 2**64; the shift brings high bits down, which products never do.
    codes *= rng.integers(2**64, dtype=np.uint64) | np.uint64(1)
    codes ^= codes >> np.uint64(32)
    codes *= rng.integers(2**64, dtype=np.uint64) | np.uint64(1)
    # Differences of cumulative sums, modulo 2**64. Unlike `reduceat` they are right for empty rows.
    totals = np.concatenate([np.zeros(1, np.uint64), np.cumsum(codes, dtype=np.uint64)])
    return np.asarray(totals[matrix.indptr[1:]] - totals[matrix.indptr[:-1]])


def _equal_rows(a: Any, b: Any) -> bool:
    return all(np.array_equal(getattr(a, part), getattr(b, part)) for part in ("indptr", "indices", "data"))
