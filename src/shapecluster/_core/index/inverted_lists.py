"""Rows stored cell by cell: where each cell begins, and which part of it a distance leaves open.

A cell holds the rows that are nearest to one center, in the order of their distance to it. So the rows whose
distance to the center lies between two values stand side by side, and by the triangle inequality

    |d(q, c) - d(x, c)| <= d(q, x)

all rows x that can be within a radius of a query q are such a ring around each center c.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shapecluster._typing import Float64Array, IntArray

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class InvertedLists:
    """The order in which rows are stored.

    Attributes
    ----------
    starts : ndarray of shape (n_cells + 1,)
        Position of the first row of each cell, and the number of rows.
    ids : ndarray of shape (n_rows,), int64
        Which row stands at each position.
    reach : ndarray of shape (n_rows,)
        Its distance to the center of its cell; increasing within a cell.
    """

    starts: IntArray
    ids: Ids
    reach: Float64Array

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def sizes(self) -> IntArray:
        """Number of rows in each cell."""
        sizes: IntArray = np.diff(self.starts)
        return sizes

    @property
    def labels(self) -> IntArray:
        """The cell of each position."""
        labels: IntArray = np.repeat(np.arange(len(self)), self.sizes)
        return labels

    def span(self, cell: int) -> slice:
        """Positions of a cell."""
        return slice(int(self.starts[cell]), int(self.starts[cell + 1]))

    def rings(self, low: Float64Array, high: Float64Array) -> tuple[IntArray, IntArray]:
        """Positions of the rows of each cell whose reach lies between `low` and `high`.

        Parameters
        ----------
        low, high : ndarray of shape (n_queries, n_cells)

        Returns
        -------
        first, stop : ndarray of shape (n_queries, n_cells)
            Empty rings have `stop` not above `first`.
        """
        first, stop = (np.empty(low.shape, dtype=np.intp) for _ in range(2))
        for cell in range(len(self)):
            span = self.span(cell)
            reach = self.reach[span]
            first[:, cell] = span.start + np.searchsorted(reach, low[:, cell], side="left")
            stop[:, cell] = span.start + np.searchsorted(reach, high[:, cell], side="right")
        return first, stop


def arrange(labels: IntArray, reach: Float64Array, ids: Ids, n_cells: int) -> tuple[InvertedLists, IntArray]:
    """Put rows into the order of their cells.

    Returns
    -------
    cells : InvertedLists
    order : ndarray of shape (n_rows,)
        The row (of those given) that comes to each position.
    """
    order = np.lexsort((ids, reach, labels))
    starts = np.searchsorted(labels[order], np.arange(n_cells + 1))
    return InvertedLists(starts, ids[order], reach[order]), order


def positions(first: IntArray, stop: IntArray) -> IntArray:
    """All positions of some ranges, one after the other."""
    sizes = np.maximum(stop - first, 0)
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if len(ends) else 0
    out: IntArray = np.arange(total) + np.repeat(first - (ends - sizes), sizes)
    return out
