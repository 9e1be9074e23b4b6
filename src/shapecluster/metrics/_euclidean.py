"""Euclidean distances between rows that stay accurate for values of any magnitude."""

from __future__ import annotations

from typing import Any

import numpy as np

from shapecluster._core.sbd.blocks import row_blocks
from shapecluster._sklearn_compat import check_array
from shapecluster._typing import Float64Array, IntArray

# A squared distance below this part of the squared norms has lost four digits or more.
_CANCELED = 1e-4
# Squares near the subnormal range have fewer digits than float64 normally has.
_SMALLEST_SQUARE = 1e-290
_CENTER_ROWS = 1000
_BLOCK_BYTES = 1 << 21


class EuclideanRows:
    """Rows whose pairwise distances can be measured block by block.

    A matrix product gives |x|^2 + |y|^2 - 2 x.y for all pairs. This form cancels where two rows are much
    nearer to each other than to the origin, and it overflows above 1e154. The distances of such pairs are
    computed again from the differences x - y.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_rows, n_features)
        Rows of finite numbers.
    """

    def __init__(self, X: Any) -> None:
        # scikit-learn looks for NaN and infinity in the sum of all values, which may overflow.
        with np.errstate(over="ignore", invalid="ignore"):
            self.rows = check_array(X, accept_sparse="csr", dtype=[np.float64, np.float32])
        self.sparse = hasattr(self.rows, "indptr")
        # Subtracting a center would fill a sparse matrix, so sparse rows keep their origin.
        self.center = np.zeros(self.rows.shape[1]) if self.sparse else _robust_center(self.rows)

    def __len__(self) -> int:
        return int(self.rows.shape[0])

    def distances(self, first: IntArray, second: IntArray) -> Float64Array:
        """Measure the distances between some rows and some others.

        Parameters
        ----------
        first, second : ndarray of shape (n_first,) and (n_second,)
            Positions of rows.

        Returns
        -------
        distances : ndarray of shape (n_first, n_second)
            Euclidean distances; inf where float64 cannot hold one.
        """
        distances = np.empty((len(first), len(second)))
        # Overflow in squares leaves inf or NaN, which marks a pair as inaccurate.
        with np.errstate(over="ignore", invalid="ignore"):
            others = self._values(second) - self.center
            other_norms = _squared_norms(others)
            for part in row_blocks(len(first), 8 * others.shape[1], _BLOCK_BYTES):
                rows = self._centered(first[part])
                norms = _squared_norms(rows)[:, None] + other_norms
                squared = norms - 2.0 * np.asarray(rows @ others.T)
                accurate = (squared > np.maximum(_CANCELED * norms, _SMALLEST_SQUARE)) & np.isfinite(norms)
                distances[part] = np.sqrt(np.where(accurate, squared, 0.0))
                row, column = np.nonzero(~accurate)
                distances[part][row, column] = self._from_differences(first[part][row], second[column])
        return distances

    def _from_differences(self, first: IntArray, second: IntArray) -> Float64Array:
        """Measure listed pairs of rows one by one."""
        distances = np.empty(len(first))
        for pairs in row_blocks(len(first), 8 * self.rows.shape[1], _BLOCK_BYTES):
            difference = np.abs(self._values(first[pairs]) - self._values(second[pairs]))
            largest = difference.max(axis=1, keepdims=True)
            # Scaled to at most 1, no square overflows, and the largest one does not vanish.
            difference /= np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
            distances[pairs] = largest[:, 0] * np.sqrt(_squared_norms(difference))
        return distances

    def _values(self, positions: IntArray) -> Float64Array:
        part = self.rows[positions]
        return np.asarray(part.toarray() if self.sparse else part, dtype=np.float64)

    def _centered(self, positions: IntArray) -> Any:
        return (
            self.rows[positions].astype(np.float64) if self.sparse else self._values(positions) - self.center
        )


def _robust_center(rows: Any) -> Float64Array:
    """Find a point near most rows: medians of some of them, which single huge values do not move."""
    with np.errstate(over="ignore", invalid="ignore"):
        center = np.median(rows[:: max(1, len(rows) // _CENTER_ROWS)].astype(np.float64), axis=0)
    return np.where(np.isfinite(center), center, 0.0)


def _squared_norms(rows: Any) -> Float64Array:
    if hasattr(rows, "indptr"):
        return np.asarray(rows.multiply(rows).sum(axis=1), dtype=np.float64).ravel()
    squares: Float64Array = np.einsum("ij,ij->i", rows, rows)
    return squares
