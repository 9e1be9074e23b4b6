"""What an index needs to know of each metric: input, cells, rows in the order of the cells, and arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from shapecluster._core.index.search import Space
from shapecluster._core.index.set_space import SetSpace, as_sets, nearest_centers_of_sets
from shapecluster._core.index.shape_space import ShapeSpace, angle_of
from shapecluster._core.index.vector_space import VectorSpace, nearest_centers
from shapecluster._core.kshape.assignment import assign
from shapecluster._core.sbd.shapes import Shapes, select, shapes_of
from shapecluster._sklearn_compat import BaseEstimator, validate_data
from shapecluster._typing import DType, Float64Array, IntArray
from shapecluster._validation import SeriesData, check_labels, check_series, warn_flat


class Checked(NamedTuple):
    """Checked input: rows as the metric stores them, and what they are called."""

    rows: Any
    names: pd.Index[Any] | None


class IndexMetric(ABC):
    """One metric with the centers of an index.

    Attributes
    ----------
    name : str
    centers : ndarray of shape (n_cells, ...)
        As the clusterer has them.
    dtype : dtype or None
        What rows are stored in; None for that of the first rows.
    settings : dict
        What else it takes to make the same metric again.
    """

    name: str
    settings: dict[str, Any]

    def __init__(self, centers: NDArray[Any], dtype: DType | None) -> None:
        self.centers = centers
        self.dtype = dtype
        self.settings = {}

    @abstractmethod
    def check(self, owner: BaseEstimator, X: Any, *, reset: bool, n_threads: int = 1) -> Checked:
        """Check input, and prepare it for storage."""

    @abstractmethod
    def assign(self, rows: Any, n_threads: int) -> tuple[IntArray, Float64Array]:
        """The cell of each row, and its reach."""

    @abstractmethod
    def space(self, rows: Any, n_threads: int) -> Space:
        """What is searched, from rows in the order of the cells."""

    def take(self, rows: Any, some: Any) -> Any:
        """Some of the rows."""
        return rows[some]

    def width(self, rows: Any) -> tuple[int, ...]:
        """Shape of a row, as that of a center."""
        shape: tuple[int, ...] = rows.shape[1:]
        return shape

    @abstractmethod
    def join(self, first: Any, second: Any) -> Any:
        """Rows of the one after those of the other."""

    @abstractmethod
    def arrays(self, rows: Any) -> dict[str, NDArray[Any]]:
        """Rows as plain arrays."""

    @abstractmethod
    def rows_of(self, arrays: dict[str, NDArray[Any]]) -> Any:
        """Rows from plain arrays."""

    def distances(self, values: Float64Array) -> NDArray[Any]:
        """Distances as they are returned."""
        return values


class ShapeMetric(IndexMetric):
    """Shape-based distance; rows are `Shapes` without spectra."""

    name = "sbd"

    def __init__(
        self,
        centers: NDArray[Any],
        dtype: DType | None,
        *,
        max_shift: int | None = None,
        missing: str = "error",
    ) -> None:
        super().__init__(centers, dtype)
        self.settings = {"max_shift": max_shift, "missing": missing}
        self.max_shift, self.missing = max_shift, missing

    def check(self, owner: BaseEstimator, X: Any, *, reset: bool, n_threads: int = 1) -> Checked:
        data = check_series(owner, X, reset=reset, allow_nan=self.missing == "mask", allow_3d=True)
        if data.values.shape[1:] != self.centers.shape[1:]:
            raise ValueError(
                f"X must have rows of shape {self.centers.shape[1:]}, as the centers of the index. Got "
                f"{data.values.shape[1:]} instead."
            )
        self.dtype = data.values.dtype if self.dtype is None else self.dtype
        spare = data.values.size * self.dtype.itemsize  # for unit rows, and not for spectra
        shapes = shapes_of(data.channels_first, self.max_shift, self.dtype, spare=spare, n_threads=n_threads)
        if shapes.flat.any():
            warn_flat(owner, data, shapes.flat, "are at distance 1 from all others")
        return Checked(replace(shapes, spectra=None, profiles=None), data.names)

    def _centers(self) -> Shapes:
        return shapes_of(SeriesData(self.centers).channels_first, self.max_shift, self.dtype)

    def assign(self, rows: Shapes, n_threads: int) -> tuple[IntArray, Float64Array]:
        nearest = assign(rows, self._centers(), keep=False, n_threads=n_threads).nearest
        return nearest.labels, angle_of(nearest.ncc)

    def space(self, rows: Shapes, n_threads: int) -> ShapeSpace:
        return ShapeSpace.of(rows, self._centers(), n_threads=n_threads)

    def take(self, rows: Shapes, some: Any) -> Shapes:
        return select(rows, some)

    def width(self, rows: Shapes) -> tuple[int, ...]:
        channels = (rows.n_channels,) if self.centers.ndim == 3 else ()
        return (rows.n_timepoints, *channels)

    def join(self, first: Shapes, second: Shapes) -> Shapes:
        series = np.concatenate([first.series, second.series])
        return replace(first, series=series, flat=np.concatenate([first.flat, second.flat]))

    def arrays(self, rows: Shapes) -> dict[str, NDArray[Any]]:
        return {"rows": rows.series, "flat": rows.flat}

    def rows_of(self, arrays: dict[str, NDArray[Any]]) -> Shapes:
        series, flat = arrays["rows"], arrays["flat"]
        window = series.shape[2] - 1 if self.max_shift is None else min(self.max_shift, series.shape[2] - 1)
        return Shapes(series, flat, window, series.dtype)

    def distances(self, values: Float64Array) -> NDArray[Any]:
        return values if self.dtype is None else values.astype(self.dtype, copy=False)


class VectorMetric(IndexMetric):
    """Euclidean distance; rows are a dense array."""

    name = "euclidean"

    def check(self, owner: BaseEstimator, X: Any, *, reset: bool, n_threads: int = 1) -> Checked:
        names = _names_of(X, owner)
        if sparse.issparse(X):
            raise TypeError(
                "The Euclidean index takes dense rows. Got a sparse matrix instead: use X.toarray(), or, for "
                "rows of zeros and ones, metric='jaccard'."
            )
        rows = validate_data(owner, X, reset=reset, dtype=[np.float64, np.float32])
        _check_width(rows, self.centers)
        self.dtype = rows.dtype if self.dtype is None else self.dtype
        return Checked(rows.astype(self.dtype, copy=False), names)

    def _centers(self) -> Float64Array:
        return self.centers.astype(np.float64)

    def assign(self, rows: Any, n_threads: int) -> tuple[IntArray, Float64Array]:
        cells, distances = nearest_centers(rows, self._centers(), n_threads=n_threads)
        return cells[:, 0], distances[:, 0]

    def space(self, rows: Any, n_threads: int) -> Space:
        return VectorSpace.of(np.ascontiguousarray(rows), self._centers())

    def join(self, first: Any, second: Any) -> Any:
        return np.concatenate([first, second])

    def arrays(self, rows: Any) -> dict[str, NDArray[Any]]:
        return {"rows": rows}

    def rows_of(self, arrays: dict[str, NDArray[Any]]) -> Any:
        return arrays["rows"]


class SetMetric(IndexMetric):
    """Jaccard distance; rows are a sparse matrix of ones."""

    name = "jaccard"

    def check(self, owner: BaseEstimator, X: Any, *, reset: bool, n_threads: int = 1) -> Checked:
        names = _names_of(X, owner)
        values = validate_data(
            owner,
            X,
            reset=reset,
            dtype=[np.float64, np.float32],
            accept_sparse="csr",
            accept_large_sparse=False,
        )
        _check_width(values, self.centers)
        stored: NDArray[Any] = values.data if hasattr(values, "tocsr") else values
        if not np.isin(stored, (0, 1)).all():
            wrong = stored[~np.isin(stored, (0, 1))].flat[0]
            raise ValueError(
                f"metric='jaccard' takes rows of zeros and ones: what is held, not how much of it. Got "
                f"{wrong:g} instead: pass X > 0."
            )
        self.dtype = np.dtype(np.float32)
        return Checked(as_sets(values), names)

    def assign(self, rows: Any, n_threads: int) -> tuple[IntArray, Float64Array]:
        cells, distances = nearest_centers_of_sets(rows, self.centers.astype(np.float64), n_threads=n_threads)
        return cells[:, 0], distances[:, 0]

    def space(self, rows: Any, n_threads: int) -> Space:
        return SetSpace.of(rows, self.centers.astype(np.float64))

    def join(self, first: Any, second: Any) -> Any:
        return sparse.vstack([first, second], format="csr")

    def arrays(self, rows: Any) -> dict[str, NDArray[Any]]:
        return {"indices": rows.indices.astype(np.int32), "indptr": rows.indptr.astype(np.int64)}

    def rows_of(self, arrays: dict[str, NDArray[Any]]) -> Any:
        indices, indptr = arrays["indices"], arrays["indptr"]
        shape = (len(indptr) - 1, self.centers.shape[1])
        rows = sparse.csr_matrix((np.ones(len(indices), np.float32), indices, indptr), shape=shape)
        rows.check_format(full_check=True)
        return rows


METRICS: dict[str, type[IndexMetric]] = {kind.name: kind for kind in (ShapeMetric, VectorMetric, SetMetric)}


def _names_of(X: Any, owner: BaseEstimator) -> pd.Index[Any] | None:
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
