"""The rows of an index: fit, add and remove them, name them, save and load them."""

from __future__ import annotations

import os
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags

from shapecluster._core.index.inverted_lists import Ids, InvertedLists, build_lists
from shapecluster._core.index.search import Space
from shapecluster._pipelines import split_clusterer
from shapecluster._sklearn_compat import (
    BaseEstimator,
    Interval,
    MetaEstimatorMixin,
    StrOptions,
    check_is_fitted,
    check_n_features,
    check_random_state,
    clone,
)
from shapecluster._text import listing
from shapecluster._threads import n_threads
from shapecluster._typing import BoolArray, Float64Array, IntArray
from shapecluster._validation import all_or_nothing
from shapecluster.neighbors._answers import store_names
from shapecluster.neighbors._faiss import FaissLists, make_lists
from shapecluster.neighbors._index_file import read_index, write_index
from shapecluster.neighbors._index_metrics import METRICS, CheckedRows, IndexMetric, names_of


class IndexedRows(MetaEstimatorMixin, BaseEstimator):
    """The parameters and the rows of an index, sorted by cell. A subclass searches them."""

    metric: Literal["auto", "euclidean", "jaccard", "sbd"]
    dtype: Literal["float32", "float64"] | None
    backend: Literal["auto", "numpy", "faiss"]
    clusterer_: Any
    n_probe_: int
    metric_: Literal["euclidean", "jaccard", "sbd"]
    n_features_in_: int
    n_samples_fit_: int
    series_names_in_: np.ndarray[tuple[int], np.dtype[np.object_]]
    _transformers: list[Any]  # rows pass through them before the metric takes them
    _metric: IndexMetric
    _cells: InvertedLists
    _space: Space
    _next_id: int
    _lists: FaissLists | None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "clusterer": "no_validation",  # type: ignore[dict-item] # what scikit-learn writes for any estimator
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "n_probe": [Interval(Integral, 1, None, closed="left")],
        "metric": [StrOptions({"auto", *METRICS})],
        "train_size": [
            None,
            Interval(Integral, 1, None, closed="left"),
            Interval(Real, 0, 1, closed="right"),
        ],
        "dtype": [None, StrOptions({"float32", "float64"})],
        "backend": [StrOptions({"auto", "numpy", "faiss"})],
        "random_state": ["random_state"],
        "n_jobs": [None, Integral],
    }

    def __init__(
        self,
        clusterer: Any,
        *,
        n_neighbors: int = 5,
        n_probe: int = 8,
        metric: Literal["auto", "euclidean", "jaccard", "sbd"] = "auto",
        train_size: float | None = None,
        dtype: Literal["float32", "float64"] | None = None,
        backend: Literal["auto", "numpy", "faiss"] = "auto",
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.clusterer = clusterer
        self.n_neighbors = n_neighbors
        self.n_probe = n_probe
        self.metric = metric
        self.train_size = train_size
        self.dtype = dtype
        self.backend = backend
        self.random_state = random_state
        self.n_jobs = n_jobs

    @all_or_nothing
    def fit(self, X: Any, y: None = None) -> Self:
        """Store rows in the cells of the clusterer.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_rows, n_features[, n_channels])
            Rows; series as rows for SBD. The index of a DataFrame names them.
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
        self._transformers, clusterer = split_clusterer(self.clusterer_)
        self._metric = self._make_metric(clusterer)
        self.metric_ = self._metric.name
        rows, names = self._check_rows(X, reset=True, n_threads=n_threads(self.n_jobs))
        self.n_probe_ = min(self.n_probe, len(self._metric.centers))
        self._next_id = rows.shape[0]
        labels, distances = self._metric.assign(rows, n_threads(self.n_jobs))
        self._store(rows, labels, distances, np.arange(self._next_id, dtype=np.int64))
        store_names(self, names)
        return self

    @all_or_nothing
    def add(self, X: Any) -> Ids:
        """Add rows. The centers stay as they are.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_rows, n_features[, n_channels])
            Rows like those of `fit`: a DataFrame if that was one.

        Returns
        -------
        ids : ndarray of shape (n_rows,)
            Ids of the new rows.

        Raises
        ------
        ValueError
            For rows unlike those of `fit`, and for names that the index already has.
        """
        check_is_fitted(self)
        rows, names = self._check_rows(X, reset=False, n_threads=n_threads(self.n_jobs))
        self._check_new_names(names)
        labels, distances = self._metric.assign(rows, n_threads(self.n_jobs))
        ids = np.arange(self._next_id, self._next_id + len(labels), dtype=np.int64)
        if names is not None:
            self.series_names_in_ = np.concatenate([self.series_names_in_, np.asarray(names, dtype=object)])
        self._store(
            self._metric.concatenate(self._space.rows, rows),
            np.concatenate([self._cells.labels, labels]),
            np.concatenate([self._cells.center_distance, distances]),
            np.concatenate([self._cells.ids, ids]),
        )
        self._next_id += len(ids)
        return ids

    @all_or_nothing
    def remove(self, ids: Any) -> Self:
        """Remove rows. Their ids are not used again.

        Parameters
        ----------
        ids : int or array-like of int
            Ids of rows that the index has.

        Returns
        -------
        self : ClusterIndex
            The index without these rows.

        Raises
        ------
        ValueError
            For ids that the index does not have (the message lists them), and when no row would be left.
        """
        check_is_fitted(self)
        removed = np.unique(np.atleast_1d(ids))
        self._check_ids(removed)
        kept: BoolArray = ~np.isin(self._cells.ids, removed)
        if not kept.any():
            raise ValueError("ids must leave at least one row in the index. Got all of them instead.")
        if hasattr(self, "series_names_in_"):
            # Before `_store`, which changes `ids_`.
            self.series_names_in_ = self.series_names_in_[~np.isin(self.ids_, removed)]
        cells = self._cells
        rows = self._space.rows[np.flatnonzero(kept)]
        self._store(rows, cells.labels[kept], cells.center_distance[kept], cells.ids[kept])
        return self

    def names_of(self, ids: Any) -> NDArray[np.object_]:
        """Look up the names of rows.

        Parameters
        ----------
        ids : array-like of int
            Ids as `kneighbors` returns them; of any shape.

        Returns
        -------
        names : ndarray of the same shape
            Names if the rows came as a DataFrame, else the ids themselves.

        Raises
        ------
        ValueError
            For ids that are no integers, and for those that the index does not have.
        """
        check_is_fitted(self)
        ids = np.asarray(ids)
        if ids.size:  # an empty list is one of floats
            self._check_ids(ids)
        names = getattr(self, "series_names_in_", None)
        found: NDArray[np.object_] = (
            ids.astype(object) if names is None else names[np.searchsorted(self.ids_, ids)]
        )
        return found

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the index to one file.

        Parameters
        ----------
        path : str or path-like
            The file. It is replaced in one step when everything is written.

        Raises
        ------
        TypeError
            For names that are neither strings nor integers.
        ValueError
            When `clusterer` is a Pipeline that transforms rows, which no file can keep. Save an index of the
            transformed rows instead, or pickle this one.

        Notes
        -----
        The format has a version and a checksum, and nothing in it is ever executed. It keeps the centers but
        not the clusterer.
        """
        check_is_fitted(self)
        if self._transformers:
            # A loaded index would take raw queries for transformed ones, and answer wrongly in silence.
            raise ValueError(
                f"A file of {type(self).__name__} keeps no transformers, but rows pass through "
                f"{self._transformers[0]!r} before they are stored. Either transform rows and queries "
                f"yourself, with pipe = index.clusterer_: {type(self).__name__}(pipe[-1])"
                ".fit(pipe[:-1].transform(X)) can be saved. Or pickle the index."
            )
        write_index(path, vars(self))

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
            A fitted index whose `clusterer` is None.

        Raises
        ------
        ArtifactError
            When the file is damaged, truncated, of another version, or no index at all.
        """
        index = cls(None)
        index.__setstate__(vars(index) | read_index(path))  # which also makes the lists of faiss
        return index

    @property
    def ids_(self) -> Ids:
        """The ids of all rows, increasing."""
        return np.sort(self._cells.ids)

    @property
    def cluster_centers_(self) -> NDArray[Any]:
        """The centers of the cells."""
        return self._metric.centers

    def _check_ids(self, ids: NDArray[Any]) -> None:
        if not np.issubdtype(ids.dtype, np.integer):
            raise ValueError(f"ids must be integers. Got {ids.dtype} instead.")
        unknown = np.unique(ids[~np.isin(ids, self._cells.ids)])
        if len(unknown):
            raise ValueError(f"ids must be those of rows in the index. It does not have {listing(unknown)}.")

    def _check_rows(self, X: Any, *, reset: bool, n_threads: int = 1) -> CheckedRows:
        """Check rows or queries, transform them where the clusterer is a Pipeline, and keep their names."""
        if not self._transformers:
            return self._metric.check(self, X, reset=reset, n_threads=n_threads)
        names = names_of(X, self)  # a transformer may return an array for a DataFrame
        if np.ndim(X) > 1:  # of one dimension: the transformers raise
            check_n_features(self, X, reset=reset)
        if reset:
            vars(self).pop("feature_names_in_", None)  # of an earlier fit without a Pipeline
        for transformer in self._transformers:
            X = transformer.transform(X)
        # An index without features of its own: the transformed rows must fit the centers only.
        rows, _ = self._metric.check(type(self)(None), X, reset=True, n_threads=n_threads)
        return rows, names

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
        clusterer = split_clusterer(fitted)[1]
        if not hasattr(clusterer, "cluster_centers_"):
            raise TypeError(
                "clusterer must have cluster_centers_ when it is fitted. Got "
                f"{type(clusterer).__name__} instead."
            )
        return fitted

    def _training_rows(self, X: Any) -> Any:
        if self.train_size is None:
            return X
        X = X if hasattr(X, "shape") else np.asarray(X)
        n_all = int(X.shape[0])
        size = self.train_size if isinstance(self.train_size, Integral) else np.ceil(self.train_size * n_all)
        drawn = np.sort(check_random_state(self.random_state).permutation(n_all)[: int(size)])
        return X.iloc[drawn] if isinstance(X, pd.DataFrame) else X[drawn]

    def _make_metric(self, clusterer: Any) -> IndexMetric:
        name = self.metric
        if name == "auto":
            name = "sbd" if hasattr(clusterer, "max_shift") else "euclidean"
        settings = {}
        if name == "sbd":
            settings = {
                "max_shift": getattr(clusterer, "max_shift", None),
                "missing": getattr(clusterer, "missing", "error"),
            }
        dtype = None if self.dtype is None else np.dtype(self.dtype)
        return METRICS[name](np.asarray(clusterer.cluster_centers_), dtype, **settings)

    def _store(self, rows: Any, labels: IntArray, distances: Float64Array, ids: Ids) -> None:
        """Sort rows by their cells, and make everything that a search needs."""
        self._cells, order = build_lists(labels, distances, ids, len(self._metric.centers))
        self._space = self._metric.space(rows[order], n_threads(self.n_jobs))
        self._lists = make_lists(self.backend, self._space, self._cells)
        self.n_samples_fit_ = len(ids)

    def _check_new_names(self, names: pd.Index[Any] | None) -> None:
        """Check that new rows have names if the stored ones have, and other names than these."""
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
        # Objects of faiss cannot be pickled, and are soon made again.
        return {name: value for name, value in super().__getstate__().items() if name != "_lists"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_space" in state:
            self._lists = make_lists(self.backend, self._space, self._cells)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        if self.clusterer is not None:
            tags.input_tags = get_tags(self.clusterer).input_tags
        tags.input_tags.sparse = self.metric == "jaccard"
        return tags
