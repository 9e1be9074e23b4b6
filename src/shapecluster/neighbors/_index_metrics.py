"""Metrics of an index: how each checks input, assigns rows to cells, and stores them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from shapecluster._core.index.search import Space
from shapecluster._core.index.set_space import SetSpace, as_sets, nearest_centers_of_sets
from shapecluster._core.index.shape_space import ShapeSpace, angle_of
from shapecluster._core.index.vector_space import VectorSpace, nearest_centers
from shapecluster._core.kshape.assignment import assign
from shapecluster._core.sbd.shapes import Shapes, shapes_of
from shapecluster._sklearn_compat import BaseEstimator, validate_data
from shapecluster._typing import DType, Float64Array, FloatArray, IntArray
from shapecluster._validation import SeriesData, check_labels, check_series, warn_flat

CheckedRows: TypeAlias = tuple[Any, "pd.Index[Any] | None"]
"""Rows as a metric stores them, and their names."""


class IndexMetric(ABC):
    """A metric, and the centers of an index. Rows are an array, unless a subclass says otherwise.

    Attributes
    ----------
    name : str
        Value of the parameter `metric`.
    centers : ndarray of shape (n_cells, ...)
        The centers of the clusterer.
    dtype : dtype or None
        Type of stored rows. None means that of the first rows.
    settings : dict
        Other arguments that make the same metric again.
    """

    name: Literal["euclidean", "jaccard", "sbd"]
    settings: dict[str, Any]

    def __init__(self, centers: NDArray[Any], dtype: DType | None) -> None:
        self.centers = centers
        self.dtype = dtype
        self.settings = {}

    @abstractmethod
    def check(self, owner: BaseEstimator, X: Any, *, reset: bool, n_threads: int = 1) -> CheckedRows:
        """Check input, convert it to rows as they are stored, and return these with their names."""

    @abstractmethod
    def assign(self, rows: Any, n_threads: int) -> tuple[IntArray, Float64Array]:
        """Return the cell of each row, and its distance to the center."""

    @abstractmethod
    def space(self, rows: Any, n_threads: int) -> Space:
        """Make the space to search, from rows sorted by cell."""

    def row_shape(self, rows: Any) -> tuple[int, ...]:
        """Return the shape of one row, in the layout of a center."""
        shape: tuple[int, ...] = rows.shape[1:]
        return shape

    def concatenate(self, first: Any, second: Any) -> Any:
        """Append the second rows to the first."""
        return np.concatenate([first, second])

    def to_arrays(self, rows: Any) -> dict[str, NDArray[Any]]:
        """Convert rows to plain arrays, for a file."""
        return {"rows": rows}

    def from_arrays(self, arrays: dict[str, NDArray[Any]]) -> Any:
        """Convert plain arrays back to rows."""
        return arrays["rows"]

    def cast_distances(self, distances: Float64Array) -> FloatArray:
        """Convert distances to the type in which they are returned."""
        return distances

    @property
    def _float64_centers(self) -> Float64Array:
        return self.centers.astype(np.float64)


class ShapeMetric(IndexMetric):
    """Shape-based distance. Rows are `Shapes` without spectra."""

    name = "sbd"

    def __init__(
        self,
        centers: NDArray[Any],
        dtype: DType | None,
        *,
        max_shift: int | None = None,
        missing: Literal["error", "mask"] = "error",
    ) -> None:
        super().__init__(centers, dtype)
        self.settings = {"max_shift": max_shift, "missing": missing}
        self.max_shift, self.missing = max_shift, missing

    def check(self, owner: BaseEstimator, X: Any, *, reset: bool, n_threads: int = 1) -> CheckedRows:
        data = check_series(owner, X, reset=reset, allow_nan=self.missing == "mask", allow_3d=True)
        if data.values.shape[1:] != self.centers.shape[1:]:
            raise ValueError(
                f"X must have rows of shape {self.centers.shape[1:]}, as the centers of the index. Got "
                f"{data.values.shape[1:]} instead."
            )
        self.dtype = data.values.dtype if self.dtype is None else self.dtype
        # Memory for unit rows and none for spectra, which take three times as much. Searches make them again.
        spare = data.values.size * self.dtype.itemsize
        shapes = shapes_of(data.channels_first, self.max_shift, self.dtype, spare=spare, n_threads=n_threads)
        if shapes.flat.any():
            warn_flat(owner, data, shapes.flat, "are at distance 1 from all others")
        return replace(shapes, spectra=None, profiles=None), data.names

    def _centers(self) -> Shapes:
        return shapes_of(SeriesData(self.centers).channels_first, self.max_shift, self.dtype)

    def assign(self, rows: Shapes, n_threads: int) -> tuple[IntArray, Float64Array]:
        nearest = assign(rows, self._centers(), keep=False, n_threads=n_threads).nearest
        return nearest.labels, angle_of(nearest.ncc)

    def space(self, rows: Shapes, n_threads: int) -> ShapeSpace:
        return ShapeSpace.of(rows, self._centers(), n_threads=n_threads)

    def row_shape(self, rows: Shapes) -> tuple[int, ...]:
        channels = (rows.n_channels,) if self.centers.ndim == 3 else ()
        return (rows.n_timepoints, *channels)

    def concatenate(self, first: Shapes, second: Shapes) -> Shapes:
        series = np.concatenate([first.series, second.series])
        return replace(first, series=series, flat=np.concatenate([first.flat, second.flat]))

    def to_arrays(self, rows: Shapes) -> dict[str, NDArray[Any]]:
        return {"rows": rows.series, "flat": rows.flat}

    def from_arrays(self, arrays: dict[str, NDArray[Any]]) -> Shapes:
        series, flat = arrays["rows"], arrays["flat"]
        window = series.shape[2] - 1 if self.max_shift is None else min(self.max_shift, series.shape[2] - 1)
        return Shapes(series, flat, window, series.dtype)

    def cast_distances(self, distances: Float64Array) -> FloatArray:
        return distances if self.dtype is None else distances.astype(self.dtype, copy=False)


class VectorMetric(IndexMetric):
    """Euclidean distance. Rows are a dense array."""

    name = "euclidean"

    def check(self, owner: BaseEstimator, X: Any, *, reset: bool, n_threads: int = 1) -> CheckedRows:
        names = names_of(X, owner)
        if sparse.issparse(X):
            raise TypeError(
                "The Euclidean index takes dense rows. Got a sparse matrix instead: use X.toarray(), or, for "
                "rows of zeros and ones, metric='jaccard'."
            )
        rows = validate_data(owner, X, reset=reset, dtype=[np.float64, np.float32])
        _check_width(rows, self.centers)
        self.dtype = rows.dtype if self.dtype is None else self.dtype
        return rows.astype(self.dtype, copy=False), names

    def assign(self, rows: Any, n_threads: int) -> tuple[IntArray, Float64Array]:
        cells, distances = nearest_centers(rows, self._float64_centers, n_threads=n_threads)
        return cells[:, 0], distances[:, 0]

    def space(self, rows: Any, n_threads: int) -> Space:
        # A fancy index may leave columns contiguous, and BLAS would copy the rows for each product.
        return VectorSpace.of(np.ascontiguousarray(rows), self._float64_centers)


class SetMetric(IndexMetric):
    """Jaccard distance. Rows are a sparse matrix of ones."""

    name = "jaccard"

    def check(self, owner: BaseEstimator, X: Any, *, reset: bool, n_threads: int = 1) -> CheckedRows:
        names = names_of(X, owner)
        values = validate_data(
            owner,
            X,
            reset=reset,
            dtype=[np.float64, np.float32],
            accept_sparse="csr",
            accept_large_sparse=False,  # indices are saved as int32
        )
        _check_width(values, self.centers)
        stored: NDArray[Any] = values.data if hasattr(values, "tocsr") else values
        if not np.isin(stored, (0, 1)).all():
            wrong = stored[~np.isin(stored, (0, 1))].flat[0]
            raise ValueError(
                f"metric='jaccard' takes rows of zeros and ones, without quantities. Got "
                f"{wrong:g} instead: pass X > 0."
            )
        self.dtype = np.dtype(np.float32)  # ones, and counts of them below 2^24, are exact
        return as_sets(values), names

    def assign(self, rows: Any, n_threads: int) -> tuple[IntArray, Float64Array]:
        cells, distances = nearest_centers_of_sets(rows, self._float64_centers, n_threads=n_threads)
        return cells[:, 0], distances[:, 0]

    def space(self, rows: Any, n_threads: int) -> Space:
        return SetSpace.of(rows, self._float64_centers)

    def concatenate(self, first: Any, second: Any) -> Any:
        return sparse.vstack([first, second], format="csr")

    def to_arrays(self, rows: Any) -> dict[str, NDArray[Any]]:
        return {"indices": rows.indices.astype(np.int32), "indptr": rows.indptr.astype(np.int64)}

    def from_arrays(self, arrays: dict[str, NDArray[Any]]) -> Any:
        indices, indptr = arrays["indices"], arrays["indptr"]
        shape = (len(indptr) - 1, self.centers.shape[1])
        rows = sparse.csr_matrix((np.ones(len(indices), np.float32), indices, indptr), shape=shape)
        rows.check_format(full_check=True)  # a damaged file must not lead to reads out of bounds
        return rows


METRICS: dict[str, type[IndexMetric]] = {kind.name: kind for kind in (ShapeMetric, VectorMetric, SetMetric)}


def names_of(X: Any, owner: BaseEstimator) -> pd.Index[Any] | None:
    """Return the index of a DataFrame after a check that it names series; None for other input."""
    if not isinstance(X, pd.DataFrame):
        return None
    check_labels(X, type(owner).__name__)
    return X.index


def _check_width(rows: Any, centers: NDArray[Any]) -> None:
    if rows.shape[1] != centers.shape[1]:
        raise ValueError(
            f"X must have {centers.shape[1]} features, as the centers of the index. Got {rows.shape[1]} "
            "instead."
        )
