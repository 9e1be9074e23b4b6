"""ClusterIndex: nearest neighbors of very many rows by way of a clustering."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from shapecluster._core.index.inverted_lists import Ids
from shapecluster._sklearn_compat import check_is_fitted
from shapecluster._typing import FloatArray, IntArray
from shapecluster.neighbors._answers import check_flags, check_radius, radius_answer
from shapecluster.neighbors._index_search import SearchableRows


class ClusterIndex(SearchableRows):
    """Find the nearest of very many rows by a search of the clusters near a query.

    Every row is stored in the cell of its nearest cluster center (an inverted file). A query is compared with
    the rows of its `n_probe` nearest cells. Among these the answer is exact: the number of cells is the only
    approximation. `recall` measures it, `tune` chooses it, and `exact=True` removes it.

    Parameters
    ----------
    clusterer : estimator
        Its centers define the cells: any estimator with `cluster_centers_`, such as `KMeans`,
        `MiniBatchKMeans`, `LocalKShape`, `MiniBatchLocalKShape`, `SageMakerKMeans` or `SageMakerKShape`, or a
        Pipeline that ends in one. Rows and queries pass through the other steps of a Pipeline first. A fitted
        estimator is used as it is; otherwise a clone is fitted, on all rows or on `train_size` of them. About
        the square root of the number of rows is a good number of clusters.
    n_neighbors : int, default=5
        Default number of neighbors of a query.
    n_probe : int, default=8
        Default number of cells that a query scans.
    metric : {"auto", "euclidean", "jaccard", "sbd"}, default="auto"
        "auto" is "sbd" for a clusterer that has `max_shift`, and "euclidean" for any other. "sbd" takes
        `max_shift` and `missing` from the clusterer. "jaccard" takes rows of zeros and ones, best as a sparse
        matrix, and the cells of K-Means; the distance is one minus intersection over union.
    train_size : int, float or None, default=None
        Number or share of the rows that an unfitted clusterer is fitted on, drawn at random. None takes all.
    dtype : {"float32", "float64"} or None, default=None
        Type of stored rows; "float32" takes half the memory. None keeps the type that `fit` is given.
        Queries are rounded as the rows are. Distances between the rounded values are computed in float64.
    backend : {"auto", "numpy", "faiss"}, default="auto"
        Library that scans the cells of the Euclidean metric. faiss (`pip install "shapecluster[faiss]"`) is
        faster for few queries at a time, and keeps a second copy of the rows in float32. "auto" uses it then,
        if it is installed. Answers are the same.
    random_state : int, RandomState instance or None, default=None
        Seed of the samples of `train_size`, `recall` and `tune`.
    n_jobs : int or None, default=None
        Number of threads: None is 1, -1 all cores. Answers do not depend on it.

    Attributes
    ----------
    clusterer_ : estimator
        The fitted clusterer or Pipeline. A loaded index has none: it needs the centers only.
    cluster_centers_ : ndarray of shape (n_cells, n_features[, n_channels])
        The centers of the cells, in the space of the transformed rows for a Pipeline.
    n_probe_ : int
        Number of cells that a query scans: `n_probe`, at most the number of cells, or the choice of `tune`.
    metric_ : str
        The metric in use.
    ids_ : ndarray of shape (n_samples_fit_,)
        The ids of all rows, increasing. A row's id is its position among all that were ever added.
    n_samples_fit_ : int
        Number of rows.
    n_features_in_ : int
        Number of features, or timepoints, before any transformation.
    series_names_in_ : ndarray of shape (n_samples_fit_,)
        Names of the rows, in the order of `ids_`. Defined only when they came as a DataFrame.

    See Also
    --------
    ShapeNeighbors : Exact search among all series, with look-alike tables of portfolios.

    Notes
    -----
    The rows of a cell are stored together, sorted by their distance to its center. By the triangle inequality
    the rows within r of a query have distances to the center within r of the query's own distance. An exact
    search that has found near neighbors therefore skips most cells entirely. Under SBD the inequality holds
    for angles, and only when every shift is allowed. Matrix products (for SBD: of low frequencies) bound the
    distances of the other rows. The few rows that may count are evaluated one by one in float64. Answers
    are the same to the last bit for any number of threads and any batch of queries.

    `add` and `remove` copy all rows: add or remove many at a time.

    With a Pipeline, `save` raises, because a file keeps no transformers.

    References
    ----------
    J. Sivic and A. Zisserman, "Video Google: A Text Retrieval Approach to Object Matching in Videos", ICCV
    2003; H. Jegou, M. Douze and C. Schmid, "Product Quantization for TopK Neighbor Search", IEEE TPAMI
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

    @overload
    def kneighbors(
        self,
        X: Any = None,
        n_neighbors: int | None = None,
        return_distance: Literal[True] = True,
        *,
        n_probe: int | None = None,
        exact: bool = False,
        return_shift: Literal[False] = False,
    ) -> tuple[FloatArray, Ids]: ...

    @overload
    def kneighbors(
        self,
        X: Any = None,
        n_neighbors: int | None = None,
        return_distance: Literal[True] = True,
        *,
        n_probe: int | None = None,
        exact: bool = False,
        return_shift: Literal[True],
    ) -> tuple[FloatArray, Ids, IntArray]: ...

    @overload
    def kneighbors(
        self,
        X: Any = None,
        n_neighbors: int | None = None,
        return_distance: Literal[False] = ...,
        *,
        n_probe: int | None = None,
        exact: bool = False,
        return_shift: Literal[False] = False,
    ) -> Ids: ...

    @overload
    def kneighbors(
        self,
        X: Any = None,
        n_neighbors: int | None = None,
        return_distance: Literal[False] = ...,
        *,
        n_probe: int | None = None,
        exact: bool = False,
        return_shift: Literal[True],
    ) -> tuple[Ids, IntArray]: ...

    @overload
    def kneighbors(
        self,
        X: Any = None,
        n_neighbors: int | None = None,
        return_distance: bool = True,
        *,
        n_probe: int | None = None,
        exact: bool = False,
        return_shift: bool = False,
    ) -> Ids | tuple[FloatArray | Ids | IntArray, ...]: ...

    def kneighbors(
        self,
        X: Any = None,
        n_neighbors: int | None = None,
        return_distance: bool = True,
        *,
        n_probe: int | None = None,
        exact: bool = False,
        return_shift: bool = False,
    ) -> Ids | tuple[FloatArray | Ids | IntArray, ...]:
        """Find the nearest rows.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_queries, n_features[, n_channels]), \
default=None
            Queries. None takes each row of the index, in the order of `ids_`, and excludes it from its own
            neighbors.
        n_neighbors : int, default=None
            Number of neighbors; None takes the estimator's.
        return_distance : bool, default=True
            Whether to return the distances.
        n_probe : int, default=None
            Number of cells to scan, the nearest first; None takes `n_probe_`. More are scanned if these hold
            fewer rows than `n_neighbors`. The answer of all cells is that of brute force.
        exact : bool, default=False
            Whether to scan every cell that bounds leave open. The answer is that of brute force.
        return_shift : bool, default=False
            Whether to return the shifts. For SBD only.

        Returns
        -------
        distances : ndarray of shape (n_queries, n_neighbors)
            In increasing order. Of equal distances (to the last bit of float64) the lower id comes first.
            Only with `return_distance`.
        ids : ndarray of shape (n_queries, n_neighbors)
            Ids of the rows.
        shifts : ndarray of shape (n_queries, n_neighbors)
            Timepoints by which the query trails its neighbor. Only with `return_shift`.

        Raises
        ------
        ValueError
            For queries unlike the rows, for more neighbors than rows, and for `exact` with a shift window.
        """
        check_is_fitted(self)
        check_flags(return_distance=return_distance, exact=exact, return_shift=return_shift)
        k = self._check_n_neighbors(n_neighbors, is_own=X is None)
        if return_shift and self.metric_ != "sbd":
            raise ValueError(f"return_shift needs metric 'sbd'. Got {self.metric_!r} instead.")
        queries = self._queries(X)
        hits = self._search(queries.rows, k=k, n_probe=n_probe, exact=exact, row_filter=queries.row_filter)
        hits = queries.by_id(hits)
        shape = (queries.rows.shape[0], k)
        distances = self._metric.cast_distances(hits.distances).reshape(shape)
        ids, shifts = hits.ids.reshape(shape), hits.shifts.reshape(shape)
        if return_shift:
            return (distances, ids, shifts) if return_distance else (ids, shifts)
        return (distances, ids) if return_distance else ids

    @overload
    def radius_neighbors(
        self,
        X: Any = None,
        radius: float | None = None,
        return_distance: Literal[True] = True,
        sort_results: bool = True,
        *,
        n_probe: int | None = None,
        exact: bool = False,
    ) -> tuple[NDArray[np.object_], NDArray[np.object_]]: ...

    @overload
    def radius_neighbors(
        self,
        X: Any = None,
        radius: float | None = None,
        return_distance: Literal[False] = ...,
        sort_results: bool = True,
        *,
        n_probe: int | None = None,
        exact: bool = False,
    ) -> NDArray[np.object_]: ...

    @overload
    def radius_neighbors(
        self,
        X: Any = None,
        radius: float | None = None,
        return_distance: bool = True,
        sort_results: bool = True,
        *,
        n_probe: int | None = None,
        exact: bool = False,
    ) -> NDArray[np.object_] | tuple[NDArray[np.object_], NDArray[np.object_]]: ...

    def radius_neighbors(
        self,
        X: Any = None,
        radius: float | None = None,
        return_distance: bool = True,
        sort_results: bool = True,
        *,
        n_probe: int | None = None,
        exact: bool = False,
    ) -> NDArray[np.object_] | tuple[NDArray[np.object_], NDArray[np.object_]]:
        """Find all rows within a distance.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_queries, n_features[, n_channels]), \
default=None
            Queries. None takes each row of the index, in the order of `ids_`, and excludes it from its own
            neighbors.
        radius : float
            Largest distance, itself included. It has no default, because metrics differ in scale.
        return_distance : bool, default=True
            Whether to return the distances.
        sort_results : bool, default=True
            Whether to sort the rows of a query by distance and then by id. False sorts them by id.
        n_probe : int, default=None
            Number of cells to scan; None takes `n_probe_`.
        exact : bool, default=False
            Whether to scan every cell that bounds leave open, so that no row is missed.

        Returns
        -------
        distances : ndarray of shape (n_queries,) of arrays
            Distances to the rows. Only with `return_distance`.
        ids : ndarray of shape (n_queries,) of arrays
            Ids of the rows.

        Raises
        ------
        ValueError
            For queries unlike the rows, for a radius that is missing or negative, and for `exact` with a
            shift window.
        """
        check_is_fitted(self)
        check_flags(return_distance=return_distance, sort_results=sort_results, exact=exact)
        radius = check_radius(radius)
        queries = self._queries(X)
        hits = self._search(
            queries.rows, radius=radius, n_probe=n_probe, exact=exact, row_filter=queries.row_filter
        )
        return radius_answer(
            queries.by_id(hits),
            queries.rows.shape[0],
            self._metric.cast_distances,
            return_distance=return_distance,
            sort_results=sort_results,
        )
