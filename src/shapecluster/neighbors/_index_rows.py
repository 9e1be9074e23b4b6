"""The rows that an index holds: which cell each is in, its id, and its name."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.exceptions import NotFittedError

from shapecluster._core.index.inverted_lists import Ids, InvertedLists, arrange
from shapecluster._core.index.search import Space
from shapecluster._sklearn_compat import (
    BaseEstimator,
    MetaEstimatorMixin,
    check_is_fitted,
    check_random_state,
    clone,
)
from shapecluster._threads import n_threads
from shapecluster._typing import BoolArray, Float64Array, IntArray
from shapecluster._validation import all_or_nothing, listing
from shapecluster.neighbors._faiss import FaissLists, lists_for
from shapecluster.neighbors._index_file import load_index, save_index
from shapecluster.neighbors._spaces import METRICS, IndexMetric, ShapeMetric

if TYPE_CHECKING:
    from typing import Self


class IndexedRows(MetaEstimatorMixin, BaseEstimator, ABC):
    """What an index does with rows beside searching them: takes, adds, removes and keeps them."""

    clusterer: Any
    n_neighbors: int
    n_probe: int
    metric: str
    train_size: float | None
    dtype: str | None
    backend: str
    random_state: Any
    n_jobs: int | None

    clusterer_: Any
    n_probe_: int
    metric_: str
    n_features_in_: int
    n_samples_fit_: int
    series_names_in_: np.ndarray[tuple[int], np.dtype[np.object_]]
    _metric: IndexMetric
    _cells: InvertedLists
    _space: Space
    _next_id: int
    _lists: FaissLists | None

    @abstractmethod
    def __init__(self, clusterer: Any) -> None:
        """Store parameters."""

    @all_or_nothing
    def fit(self, X: Any, y: None = None) -> Self:
        """Store rows by the cells of the clusterer.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_rows, n_features[, n_channels])
            Rows; series as rows for SBD. The index of a DataFrame gives them names.
        y : None
            Ignored.

        Returns
        -------
        self : ClusterIndex
            The fitted estimator.

        Raises
        ------
        ValueError
            For rows that the metric or the clusterer cannot take.
        """
        self._validate_params()
        self.clusterer_ = self._fitted_clusterer(X)
        self._metric = self._metric_of(self.clusterer_)
        self.metric_ = self._metric.name
        checked = self._metric.check(self, X, reset=True, n_threads=n_threads(self.n_jobs))
        self.n_probe_ = min(self.n_probe, len(self._metric.centers))
        n_rows = length(checked.rows)
        ids = np.arange(n_rows, dtype=np.int64)
        labels, reach = self._metric.assign(checked.rows, n_threads(self.n_jobs))
        self._store(checked.rows, labels, reach, ids)
        self._next_id = n_rows
        self._store_names(checked.names)
        return self

    @all_or_nothing
    def add(self, X: Any) -> IntArray:
        """Add rows; the cells stay as they are.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_rows, n_features[, n_channels])
            Rows like those of `fit`: with names, if those had names.

        Returns
        -------
        ids : ndarray of shape (n_rows,)
            The ids that the new rows have.

        Raises
        ------
        ValueError
            For rows unlike those of `fit`, and names that the index has already.
        """
        check_is_fitted(self)
        rows, names = self._metric.check(self, X, reset=False, n_threads=n_threads(self.n_jobs))
        self._check_new_names(names)
        labels, reach = self._metric.assign(rows, n_threads(self.n_jobs))
        ids = np.arange(self._next_id, self._next_id + len(labels), dtype=np.int64)
        if names is not None:
            self.series_names_in_ = np.concatenate([self.series_names_in_, np.asarray(names, dtype=object)])
        self._store(
            self._metric.join(self._space.rows, rows),
            np.concatenate([self._cells.labels, labels]),
            np.concatenate([self._cells.reach, reach]),
            np.concatenate([self._cells.ids, ids]),
        )
        self._next_id += len(ids)
        return ids

    @all_or_nothing
    def remove(self, ids: Any) -> Self:
        """Remove rows. Their ids are not given to others.

        Parameters
        ----------
        ids : int or array-like of int
            Ids of rows that the index has.

        Returns
        -------
        self : ClusterIndex
            Without them.

        Raises
        ------
        ValueError
            For ids that the index does not have (they are listed), and when no row would be left.
        """
        check_is_fitted(self)
        gone = np.unique(np.atleast_1d(np.asarray(ids)))
        if not np.issubdtype(gone.dtype, np.integer):
            raise ValueError(f"ids must be integers. Got {gone.dtype} instead.")
        unknown = gone[~np.isin(gone, self._cells.ids)]
        if len(unknown):
            raise ValueError(f"ids must be those of rows in the index. It does not have {listing(unknown)}.")
        stays: BoolArray = ~np.isin(self._cells.ids, gone)
        if not stays.any():
            raise ValueError("ids must leave at least one row in the index. Got all of them instead.")
        if hasattr(self, "series_names_in_"):
            self.series_names_in_ = self.series_names_in_[~np.isin(self.ids_, gone)]
        cells = self._cells
        rows = self._metric.take(self._space.rows, np.flatnonzero(stays))
        self._store(rows, cells.labels[stays], cells.reach[stays], cells.ids[stays])
        return self

    def names_of(self, ids: Any) -> np.ndarray[Any, np.dtype[np.object_]]:
        """Names of rows.

        Parameters
        ----------
        ids : array-like of int
            Ids, such as `kneighbors` gives; of any shape.

        Returns
        -------
        names : ndarray of the same shape
            Names where the rows came as a DataFrame, else the ids themselves.
        """
        check_is_fitted(self)
        ids = np.asarray(ids)
        known = self.ids_
        place = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        if (known[place] != ids).any():
            unknown = np.unique(ids[known[place] != ids])
            raise ValueError(f"ids must be those of rows in the index. It does not have {listing(unknown)}.")
        names = getattr(self, "series_names_in_", None)
        found: np.ndarray[Any, np.dtype[np.object_]] = ids.astype(object) if names is None else names[place]
        return found

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the index to one file.

        Parameters
        ----------
        path : str or path-like
            The file. It is replaced in one step once all is written; names must be strings or integers.

        Notes
        -----
        A versioned format with a checksum; nothing in it is ever executed. The clusterer itself is not
        kept, only its centers.
        """
        check_is_fitted(self)
        save_index(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read an index from a file.

        Parameters
        ----------
        path : str or path-like
            A file that `save` wrote.

        Returns
        -------
        index : ClusterIndex
            Ready to be searched; its `clusterer` is None.

        Raises
        ------
        ArtifactError
            When the file is damaged, cut short, of another version, or no index at all.
        """
        index = cls(None)
        load_index(index, path)
        return index

    @property
    def ids_(self) -> Ids:
        """The ids of all rows, increasing."""
        return np.sort(self._cells.ids)

    @property
    def cluster_centers_(self) -> np.ndarray[Any, np.dtype[Any]]:
        """The centers of the cells."""
        return self._metric.centers

    def _fitted_clusterer(self, X: Any) -> Any:
        try:
            check_is_fitted(self.clusterer)
        except (NotFittedError, TypeError):
            if not hasattr(self.clusterer, "fit"):
                raise TypeError(
                    f"clusterer must be an estimator. Got {self.clusterer!r} instead."
                    + (" A loaded index keeps no clusterer." if self.clusterer is None else "")
                ) from None
            fitted = clone(self.clusterer).fit(self._training_rows(X))
        else:
            fitted = self.clusterer
        if not hasattr(fitted, "cluster_centers_"):
            raise TypeError(
                "clusterer must have cluster_centers_ when it is fitted. Got "
                f"{type(fitted).__name__} instead."
            )
        return fitted

    def _training_rows(self, X: Any) -> Any:
        if self.train_size is None:
            return X
        X = X if hasattr(X, "shape") else np.asarray(X)
        n_rows = int(X.shape[0])
        size = self.train_size if isinstance(self.train_size, Integral) else np.ceil(self.train_size * n_rows)
        drawn = np.sort(check_random_state(self.random_state).permutation(n_rows)[: int(size)])
        return X.iloc[drawn] if isinstance(X, pd.DataFrame) else X[drawn]

    def _metric_of(self, clusterer: Any) -> IndexMetric:
        has_window = hasattr(clusterer, "max_shift")
        name = ("sbd" if has_window else "euclidean") if self.metric == "auto" else self.metric
        dtype = None if self.dtype is None else np.dtype(self.dtype)
        centers = np.asarray(clusterer.cluster_centers_)
        if name != "sbd":
            return METRICS[name](centers, dtype)
        missing = getattr(clusterer, "missing", "error")
        return ShapeMetric(centers, dtype, max_shift=getattr(clusterer, "max_shift", None), missing=missing)

    def _store(self, rows: Any, labels: IntArray, reach: Float64Array, ids: Ids) -> None:
        """Put rows into the order of their cells."""
        self._cells, order = arrange(labels, reach, ids, len(self._metric.centers))
        self._space = self._metric.space(self._metric.take(rows, order), n_threads(self.n_jobs))
        self._lists = lists_for(self.backend, self._space, self._cells)
        self.n_samples_fit_ = len(ids)

    def _store_names(self, names: pd.Index[Any] | None) -> None:
        if names is not None:
            self.series_names_in_ = np.asarray(names, dtype=object)
        elif hasattr(self, "series_names_in_"):
            del self.series_names_in_

    def _check_new_names(self, names: pd.Index[Any] | None) -> None:
        """New rows have names if the others have, and not the same."""
        named = hasattr(self, "series_names_in_")
        if named != (names is not None):
            raise ValueError(
                f"X must {'be a DataFrame as well' if named else 'have no names'}, like the rows of `fit`. "
                f"Got {'no names' if named else 'a DataFrame'} instead."
            )
        if names is not None:
            known = names[names.isin(self.series_names_in_)]
            if len(known):
                raise ValueError(f"The index has rows of these names already: {listing(known)}.")

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_lists"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_space" in state:
            self._lists = lists_for(self.backend, self._space, self._cells)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        if self.clusterer is not None:
            from sklearn.utils import get_tags

            tags.input_tags = get_tags(self.clusterer).input_tags
        tags.input_tags.sparse = self.metric == "jaccard"
        return tags


def length(rows: Any) -> int:
    """Number of rows, also of a sparse matrix."""
    return int(rows.shape[0]) if hasattr(rows, "shape") else len(rows)


def ragged(values: Any, bounds: IntArray) -> np.ndarray[Any, np.dtype[np.object_]]:
    """An array of arrays: the values cut at the bounds."""
    parts = np.split(values, bounds)
    out = np.empty(len(parts), dtype=object)
    out[:] = parts
    return out
