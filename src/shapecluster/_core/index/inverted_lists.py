"""Inverted lists: rows stored cell by cell, and the part of a cell that a distance leaves open.

A cell holds the rows that are nearest to one center, sorted by their distance to it. Rows whose distance
to the center lies between two values are therefore adjacent. By the triangle inequality

    |d(q, c) - d(x, c)| <= d(q, x)

every row x within a radius of a query q lies in such an annulus around each center c.
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
        The id of the row at each position.
    center_distance : ndarray of shape (n_rows,)
        Distance of that row to the center of its cell; increasing within a cell.
    """

    starts: IntArray
    ids: Ids
    center_distance: Float64Array

    @classmethod
    def one_cell(cls, n_rows: int) -> InvertedLists:
        """All rows in one cell, for searches that scan every row."""
        return cls(np.array([0, n_rows]), np.arange(n_rows), np.zeros(n_rows))

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def sizes(self) -> IntArray:
        """Number of rows in each cell."""
        return np.diff(self.starts)

    @property
    def labels(self) -> IntArray:
        """The cell of each position."""
        return np.repeat(np.arange(len(self)), self.sizes)

    def span(self, cell: int) -> slice:
        """Positions of a cell."""
        return slice(int(self.starts[cell]), int(self.starts[cell + 1]))

    def annuli(self, low: Float64Array, high: Float64Array) -> tuple[IntArray, IntArray]:
        """Return the rows of each cell whose distance to the center is between `low` and `high`.

        Parameters
        ----------
        low, high : ndarray of shape (n_queries, n_cells)
            Smallest and largest distance to the center, both included.

        Returns
        -------
        first, stop : ndarray of shape (n_queries, n_cells)
            Ranges of positions. An empty annulus has `stop` <= `first`.
        """
        first, stop = (np.empty(low.shape, dtype=np.intp) for _ in range(2))
        for cell in range(len(self)):
            span = self.span(cell)
            distance = self.center_distance[span]
            first[:, cell] = span.start + np.searchsorted(distance, low[:, cell], side="left")
            stop[:, cell] = span.start + np.searchsorted(distance, high[:, cell], side="right")
        return first, stop


def build_lists(
    labels: IntArray, center_distance: Float64Array, ids: Ids, n_cells: int
) -> tuple[InvertedLists, IntArray]:
    """Sort rows by their cells.

    Returns
    -------
    cells : InvertedLists
        The stored order.
    order : ndarray of shape (n_rows,)
        Which of the given rows comes to each position.
    """
    # The id is the last key, so that the order does not depend on how rows were added.
    order = np.lexsort((ids, center_distance, labels))
    starts = np.searchsorted(labels[order], np.arange(n_cells + 1))
    return InvertedLists(starts, ids[order], center_distance[order]), order
