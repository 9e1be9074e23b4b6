"""Euclidean distances of rows, dense or sparse, to a few centers: block by block, in float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from shapecluster._core.sbd.blocks import row_blocks
from shapecluster._typing import Float64Array, FloatArray, IntArray

_BLOCK_BYTES = 1 << 24  # of dense rows in float64 at a time


def dense(rows: Any, dtype: Any = np.float64) -> Any:
    """Return rows as a matrix, from any form that is accepted."""
    values = rows.toarray() if hasattr(rows, "toarray") else rows
    return values.astype(dtype, copy=False)


def blocks(n_rows: int, width: int) -> Iterator[slice]:
    """Slices of rows of so many values."""
    return row_blocks(n_rows, 8 * width, _BLOCK_BYTES)


def label_rows(values: Any, centers: FloatArray) -> tuple[IntArray, float]:
    """Nearest center of each row, and the inertia of K-Means: the sum of squared distances to them."""
    labels = nearest(values, centers)
    return labels, float(squared_distances(values, centers, labels).sum())


def nearest(values: Any, centers: FloatArray) -> IntArray:
    """The nearest center of each row; the first of those that are equally near."""
    # |x - c|^2 = |x|^2 - 2 x.c + |c|^2, and |x|^2 is the same for all centers.
    columns = centers.T.astype(np.float64)
    offsets = (columns * columns).sum(axis=0)
    n_rows, width = values.shape
    labels = np.empty(n_rows, dtype=np.intp)
    for part in blocks(n_rows, max(width, len(centers))):
        labels[part] = (offsets - 2.0 * (dense(values[part]) @ columns)).argmin(axis=1)
    return labels


def squared_distances(values: Any, centers: FloatArray, labels: IntArray) -> Float64Array:
    """Squared distance of each row to the center that it is labeled with."""
    n_rows, width = values.shape
    out = np.empty(n_rows)
    for part in blocks(n_rows, width):
        # Differences, not the expansion above: for near rows that would lose all digits.
        difference = dense(values[part]) - centers[labels[part]]
        out[part] = (difference * difference).sum(axis=1)
    return out


def distances(values: Any, centers: FloatArray) -> Float64Array:
    """Distance of each row to every center, shape (n_rows, n_centers)."""
    n_rows = values.shape[0]
    out = np.empty((n_rows, len(centers)))
    for cluster in range(len(centers)):
        labels = np.full(n_rows, cluster, dtype=np.intp)
        out[:, cluster] = squared_distances(values, centers, labels)
    return np.sqrt(out, out=out)
