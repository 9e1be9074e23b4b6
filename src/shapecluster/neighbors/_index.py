"""Nearest rows by way of a clustering: an inverted file over its cells."""

from __future__ import annotations

import os
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np
import pandas as pd
from sklearn.exceptions import NotFittedError

from shapecluster._core.blocks import map_blocks, row_blocks
from shapecluster._core.cells import Cells, Ids, arrange
from shapecluster._core.collect import Hits, Nearest, Within
from shapecluster._core.inverted import QUERIES, Keep, Space, search_block
from shapecluster._sklearn_compat import (
    BaseEstimator,
    Interval,
    MetaEstimatorMixin,
    StrOptions,
    check_is_fitted,
    check_random_state,
    clone,
)
from shapecluster._threads import n_threads
from shapecluster._typing import BoolArray, Float64Array, IntArray
from shapecluster._validation import all_or_nothing, listing
from shapecluster.neighbors._index_file import load_index, save_index
from shapecluster.neighbors._spaces import METRICS, Metric, ShapeMetric

if TYPE_CHECKING:
    from typing import Self


class Recall(NamedTuple):
    """Share of the true neighbours that an index finds, measured on a sample of queries.

    Attributes
    ----------
    recall : float
        Mean over the queries.
    error : float
        Standard error of that mean; NaN for one query.
    n_queries : int
        Size of the sample.
    """

    recall: float
    error: float
    n_queries: int


class ClusterIndex(MetaEstimatorMixin, BaseEstimator):
    """Find the nearest of very many rows by looking only at the clusters near a query.

    An inverted file: every row is stored in the cell of its nearest cluster centre, and a query is compared
    with the rows of its `n_probe` nearest cells. Among these the answer is exact, so how many cells are
    looked at is the only approximation; `recall` measures it, `tune` chooses it, and `exact=True` does
    without.

    Parameters
    ----------
    clusterer : estimator
        Gives the cells: anything with `cluster_centers_`, such as `KMeans`, `MiniBatchKMeans`, `LocalKShape`,
        `MiniBatchLocalKShape`, `SageMakerKMeans` or `SageMakerKShape`. A fitted one is used as it stands;
        otherwise a clone is fitted, on all rows or on `train_size` of them. About the root of the number of
        rows is a good number of clusters.
    n_neighbors : int, default=5
        Number of neighbours when a query does not say.
    n_probe : int, default=8
        Cells looked at when a query does not say.
    metric : {"auto", "euclidean", "jaccard", "sbd"}, default="auto"
        "auto" is "sbd" for a clusterer that has `max_shift`, whose `max_shift` and `missing` then hold here
        too, and "euclidean" for any other. "jaccard" takes rows of zeros and ones, best as a sparse matrix,
        and cells of K-Means; its distance is one minus the share of what either row holds that both hold.
    train_size : int, float or None, default=None
        Rows that an unfitted clusterer is fitted on: so many, or this share, drawn at random. None takes
        all.
    dtype : {"float32", "float64"} or None, default=None
        What rows are stored in; "float32" takes half the memory. None keeps what `fit` is given. Distances
        are computed in float64 from the rows as they are stored.
    random_state : int, RandomState instance or None, default=None
        Draws samples, for `train_size`, `recall` and `tune`.
    n_jobs : int or None, default=None
        Threads: None is 1, -1 all cores. Answers do not depend on it.

    Attributes
    ----------
    clusterer_ : estimator
        What gave the cells. Absent from a loaded index, which needs the centres only.
    cluster_centers_ : ndarray of shape (n_cells, n_features[, n_channels])
        The centres.
    n_probe_ : int
        Cells looked at: `n_probe`, at most the number of cells, or what `tune` chose.
    metric_ : str
        The metric in use.
    ids_ : ndarray of shape (n_samples_fit_,)
        The ids of all rows, increasing. A row's id is its position among all that were ever added.
    n_samples_fit_ : int
        Number of rows.
    n_features_in_ : int
        Number of features, or timepoints.
    series_names_in_ : ndarray of shape (n_samples_fit_,)
        Names of the rows, in the order of `ids_`. Defined only when they came as a DataFrame.

    See Also
    --------
    ShapeNeighbors : Exact search among all series, with look-alike tables of portfolios.

    Notes
    -----
    The rows of a cell are stored side by side, by their distance to its centre. By the triangle inequality a
    row within r of a query lies in the ring of all rows whose distance to the centre is within r of the
    query's own; so an exact search, once it has found good neighbours, skips most cells as a whole. Under SBD
    the inequality holds for angles, and only when every shift is allowed. What is left is screened by
    matrix products (for SBD: of low frequencies), with bounds of what these leave out, and the few rows
    that may count are evaluated one by one in float64. Answers are the same to the last bit whichever queries
    are asked together, and for any number of threads.

    `add` and `remove` copy all rows once: add many at a time.

    References
    ----------
    J. Sivic and A. Zisserman, "Video Google: A Text Retrieval Approach to Object Matching in Videos", ICCV
    2003; H. Jegou, M. Douze and C. Schmid, "Product Quantization for Nearest Neighbor Search", IEEE TPAMI
    33(1), 2011.

    Examples
    --------
    >>> from shapecluster import ClusterIndex, LocalKShape
    >>> from shapecluster.datasets import make_market
    >>> prices = make_market(n_stocks=60, n_sectors=3, random_state=0).prices
    >>> index = ClusterIndex(LocalKShape(6, random_state=0), n_probe=2).fit(prices)
    >>> sbd, ids = index.kneighbors(prices.iloc[:3], n_neighbors=2)
    >>> ids[:, 0].tolist()
    [0, 1, 2]
    >>> index.tune(recall=0.9).recall(n_neighbors=5).recall >= 0.9
    True
    """

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
        "random_state": ["random_state"],
        "n_jobs": [None, Integral],
    }

    clusterer_: Any
    n_probe_: int
    metric_: str
    n_features_in_: int
    n_samples_fit_: int
    series_names_in_: np.ndarray[tuple[int], np.dtype[np.object_]]
    _metric: Metric
    _cells: Cells
    _space: Space
    _next_id: int

    def __init__(
        self,
        clusterer: Any,
        *,
        n_neighbors: int = 5,
        n_probe: int = 8,
        metric: Literal["auto", "euclidean", "jaccard", "sbd"] = "auto",
        train_size: float | None = None,
        dtype: Literal["float32", "float64"] | None = None,
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.clusterer = clusterer
        self.n_neighbors = n_neighbors
        self.n_probe = n_probe
        self.metric = metric
        self.train_size = train_size
        self.dtype = dtype
        self.random_state = random_state
        self.n_jobs = n_jobs

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
        self.n_probe_ = min(self.n_probe, len(self._metric.centres))
        n_rows = _length(checked.rows)
        ids = np.arange(n_rows, dtype=np.int64)
        labels, reach = self._metric.assign(checked.rows, n_threads(self.n_jobs))
        self._store(checked.rows, labels, reach, ids)
        self._next_id = n_rows
        self._store_names(checked.names)
        return self

    def kneighbors(
        self,
        X: Any,
        n_neighbors: int | None = None,
        n_probe: int | None = None,
        return_distance: bool = True,
        *,
        exact: bool = False,
        return_shift: bool = False,
    ) -> Any:
        """Find the nearest rows.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_queries, n_features[, n_channels])
            Rows to look for.
        n_neighbors : int, default=None
            Number of neighbours; None takes the estimator's.
        n_probe : int, default=None
            Cells looked at, the nearest first; None takes `n_probe_`. Where these hold fewer rows than are
            asked for, more are looked at. With all cells the answer is that of brute force.
        return_distance : bool, default=True
            Whether to return the distances.
        exact : bool, default=False
            Whether to go on through every cell that bounds leave open: the answer of brute force.
        return_shift : bool, default=False
            Whether to return the shifts. For SBD only.

        Returns
        -------
        distances : ndarray of shape (n_queries, n_neighbors)
            In increasing order; where they are equal to the last bit (of float64), the lower id comes
            first. Only with `return_distance`.
        ids : ndarray of shape (n_queries, n_neighbors)
            Ids of the rows.
        shifts : ndarray of shape (n_queries, n_neighbors)
            Timepoints by which the query trails its neighbour. Only with `return_shift`.

        Raises
        ------
        ValueError
            For queries unlike the rows, more neighbours than rows, and `exact` with a shift window.
        """
        check_is_fitted(self)
        k = self._count("n_neighbors", self.n_neighbors if n_neighbors is None else n_neighbors)
        if return_shift and self.metric_ != "sbd":
            raise ValueError(f"return_shift needs metric 'sbd'. Got {self.metric_!r} instead.")
        rows = self._metric.check(self, X, reset=False).rows
        hits = self._search(rows, k=k, n_probe=n_probe, exact=exact)
        shape = (_length(rows), k)
        distances = self._metric.distances(hits.values).reshape(shape)
        answer = (distances, hits.ids.reshape(shape), hits.shifts.reshape(shape))
        wanted = (return_distance, True, return_shift)
        chosen = [column for column, is_wanted in zip(answer, wanted, strict=True) if is_wanted]
        return tuple(chosen) if len(chosen) > 1 else chosen[0]

    def radius_neighbors(
        self,
        X: Any,
        radius: float,
        n_probe: int | None = None,
        return_distance: bool = True,
        *,
        exact: bool = False,
    ) -> Any:
        """Find all rows within a distance.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_queries, n_features[, n_channels])
            Rows to look for.
        radius : float
            Largest distance, itself included.
        n_probe : int, default=None
            Cells looked at; None takes `n_probe_`.
        return_distance : bool, default=True
            Whether to return the distances.
        exact : bool, default=False
            Whether to look at every cell that bounds leave open, so that no row is missed.

        Returns
        -------
        distances : ndarray of shape (n_queries,) of arrays
            In increasing order. Only with `return_distance`.
        ids : ndarray of shape (n_queries,) of arrays
            Ids of the rows.
        """
        check_is_fitted(self)
        if not isinstance(radius, Real) or not radius >= 0:
            raise ValueError(f"radius must be a number that is not negative. Got {radius!r} instead.")
        rows = self._metric.check(self, X, reset=False).rows
        hits = self._search(rows, radius=float(radius), n_probe=n_probe, exact=exact)
        bounds = np.searchsorted(hits.queries, np.arange(1, _length(rows)))
        ids = _ragged(hits.ids, bounds)
        return (_ragged(self._metric.distances(hits.values), bounds), ids) if return_distance else ids

    def recall(
        self,
        X: Any = None,
        n_neighbors: int | None = None,
        n_probe: int | None = None,
        *,
        sample: int | None = 200,
    ) -> Recall:
        """Measure the share of the true neighbours that a search finds.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_queries, n_features[, n_channels]), default=None
            Queries like those to come. None takes rows of the index, none of which is its own neighbour.
        n_neighbors : int, default=None
            Neighbours of each query; None takes the estimator's.
        n_probe : int, default=None
            Cells looked at; None takes `n_probe_`.
        sample : int or None, default=200
            Queries drawn at random from X. None takes all.

        Returns
        -------
        Recall
            `recall`, its standard `error`, and `n_queries`.
        """
        check_is_fitted(self)
        k = self._count("n_neighbors", self.n_neighbors if n_neighbors is None else n_neighbors, X is None)
        rows, keep = self._sample(X, sample)
        found = self._search(rows, k=k, n_probe=n_probe, keep=keep)
        true = self._brute(rows, k, keep)
        n_queries = _length(rows)
        pairs = [set(zip(hits.queries.tolist(), hits.ids.tolist(), strict=True)) for hits in (found, true)]
        per_query = np.bincount([query for query, _ in pairs[0] & pairs[1]], minlength=n_queries) / k
        error = per_query.std(ddof=1) / np.sqrt(n_queries) if n_queries > 1 else np.nan
        return Recall(float(per_query.mean()), float(error), n_queries)

    def tune(
        self,
        recall: float = 0.95,
        X: Any = None,
        n_neighbors: int | None = None,
        *,
        sample: int | None = 200,
    ) -> Self:
        """Choose the least number of cells that reaches a recall on a sample of queries.

        Parameters
        ----------
        recall : float, default=0.95
            Share of the true neighbours to be found, on average.
        X : array-like, DataFrame or sparse matrix of shape (n_queries, n_features[, n_channels]), default=None
            Queries like those to come, as in `recall`.
        n_neighbors : int, default=None
            Neighbours of each query; None takes the estimator's.
        sample : int or None, default=200
            Queries drawn at random from X. None takes all.

        Returns
        -------
        self : ClusterIndex
            With `n_probe_` set.

        Notes
        -----
        One exact search answers for every number of cells: a true neighbour is found if and only if its cell
        is looked at.
        """
        check_is_fitted(self)
        if not isinstance(recall, Real) or not 0 < recall <= 1:
            raise ValueError(f"recall must be in (0, 1]. Got {recall!r} instead.")
        k = self._count("n_neighbors", self.n_neighbors if n_neighbors is None else n_neighbors, X is None)
        rows, keep = self._sample(X, sample)
        ranks = self._cell_ranks(rows, self._brute(rows, k, keep))
        needed = int(np.ceil(recall * len(ranks) - 1e-9))
        self.n_probe_ = int(np.sort(ranks)[max(needed, 1) - 1]) + 1
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

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the index to one file.

        Parameters
        ----------
        path : str or path-like
            The file. It is replaced in one step once all is written; names must be strings or integers.

        Notes
        -----
        A versioned format with a checksum; nothing in it is ever executed. The clusterer itself is not
        kept, only its centres.
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
        """The centres of the cells."""
        return self._metric.centres

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
        return ids.astype(object) if names is None else names[place]

    def _search(
        self,
        rows: Any,
        *,
        k: int | None = None,
        radius: float = np.inf,
        n_probe: int | None = None,
        exact: bool = False,
        keep: Keep | None = None,
    ) -> Hits:
        """Search for prepared rows: the k nearest that `keep` allows, or all within a radius.

        `keep` takes queries (positions in `rows`) and ids that broadcast against each other, and says which
        pairs count. A query with fewer than k such rows in all has fewer hits.
        """
        n_cells = len(self._cells)
        n_probe = self.n_probe_ if n_probe is None else self._count("n_probe", n_probe)
        if exact and not self._space.exact:
            raise ValueError(
                "exact=True needs max_shift=None: within a shift window SBD has no triangle inequality, so "
                f"nothing tells which cells could be skipped. Got max_shift={self._metric.settings['max_shift']} "
                f"instead; n_probe={n_cells} looks at every cell."
            )
        threads, n_queries = n_threads(self.n_jobs), _length(rows)
        together = min(QUERIES, -(-n_queries // threads)) if threads > 1 else QUERIES

        def find(part: slice) -> Hits:
            queries = self._space.prepare(self._metric.take(rows, part))
            size = part.stop - part.start
            found = Within(size, radius) if k is None else Nearest(size, k)
            mine = None if keep is None else lambda which, ids: keep(which + part.start, ids)
            search_block(
                self._space,
                self._cells,
                queries,
                found,
                n_probe=min(n_probe, n_cells),
                exact=exact,
                keep=mine,
            )
            hits = found.hits()
            return hits._replace(queries=hits.queries + part.start)

        parts = map_blocks(find, row_blocks(n_queries, 1, together), threads)
        return Hits(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def _brute(self, rows: Any, k: int, keep: Keep | None) -> Hits:
        """The true neighbours."""
        exact = self._space.exact
        return self._search(rows, k=k, n_probe=None if exact else len(self._cells), exact=exact, keep=keep)

    def _cell_ranks(self, rows: Any, hits: Hits) -> IntArray:
        """How many cells are nearer to the query than that of each hit."""
        order = np.argsort(self._cells.ids)
        labels = self._cells.labels[order][np.searchsorted(self._cells.ids[order], hits.ids)]
        ranks = np.empty(len(labels), dtype=np.intp)
        for part in row_blocks(_length(rows), 1, QUERIES):
            queries = self._space.prepare(self._metric.take(rows, part))
            near, _ = self._space.nearest_cells(queries, len(self._cells))
            place = np.argsort(near, axis=1)
            mine = slice(*np.searchsorted(hits.queries, [part.start, part.stop]))
            ranks[mine] = place[hits.queries[mine] - part.start, labels[mine]]
        return ranks

    def _sample(self, X: Any, size: int | None) -> tuple[Any, Keep | None]:
        """Queries drawn from X, or from the rows of the index, which are not to find themselves."""
        if size is not None and (not isinstance(size, Integral) or size < 1):
            raise ValueError(f"sample must be a positive integer or None. Got {size!r} instead.")
        rows = self._space.rows if X is None else self._metric.check(self, X, reset=False).rows
        drawn = np.arange(_length(rows))
        if size is not None and size < len(drawn):
            drawn = np.sort(check_random_state(self.random_state).permutation(len(drawn))[:size])
        if X is not None:
            return self._metric.take(rows, drawn), None
        own = self._cells.ids[drawn]
        return self._metric.take(rows, drawn), lambda which, ids: own[which] != ids

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
                f"clusterer must have cluster_centers_ when it is fitted. Got {type(fitted).__name__} instead."
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

    def _metric_of(self, clusterer: Any) -> Metric:
        has_window = hasattr(clusterer, "max_shift")
        name = ("sbd" if has_window else "euclidean") if self.metric == "auto" else self.metric
        dtype = None if self.dtype is None else np.dtype(self.dtype)
        centres = np.asarray(clusterer.cluster_centers_)
        if name != "sbd":
            return METRICS[name](centres, dtype)
        missing = getattr(clusterer, "missing", "error")
        return ShapeMetric(centres, dtype, max_shift=getattr(clusterer, "max_shift", None), missing=missing)

    def _store(self, rows: Any, labels: IntArray, reach: Float64Array, ids: Ids) -> None:
        """Put rows into the order of their cells."""
        self._cells, order = arrange(labels, reach, ids, len(self._metric.centres))
        self._space = self._metric.space(self._metric.take(rows, order), n_threads(self.n_jobs))
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
                f"X must be a DataFrame, whose index gives names, {'as' if named else 'only if'} that of `fit` "
                f"{'was' if named else 'was one'}. Got {'no names' if named else 'names'} instead."
            )
        if names is not None:
            known = names[names.isin(self.series_names_in_)]
            if len(known):
                raise ValueError(f"The index has rows of these names already: {listing(known)}.")

    def _count(self, name: str, value: Any, own: bool = False) -> int:
        if not isinstance(value, Integral):
            raise TypeError(f"{name} must be an integer. Got {value!r} instead.")
        available = self.n_samples_fit_ - own
        if value < 1 or (name == "n_neighbors" and value > available):
            most = f" <= {available}, the number of rows to choose from" if name == "n_neighbors" else ""
            raise ValueError(f"Expected 1 <= {name}{most}. Got {value} instead.")
        return int(value)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        if self.clusterer is not None:
            from sklearn.utils import get_tags

            tags.input_tags = get_tags(self.clusterer).input_tags
        return tags


def _length(rows: Any) -> int:
    return int(rows.shape[0]) if hasattr(rows, "shape") else len(rows)


def _ragged(values: Any, bounds: IntArray) -> np.ndarray[Any, np.dtype[np.object_]]:
    parts = np.split(values, bounds)
    out = np.empty(len(parts), dtype=object)
    out[:] = parts
    return out
