"""ShapeNeighbors: nearest neighbors under the shape-based distance, and look-alikes of a portfolio."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Literal, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from shapecluster._core.index.collect import RadiusCollector, TopK
from shapecluster._core.index.universe import search_universe
from shapecluster._sklearn_compat import check_is_fitted
from shapecluster._threads import n_threads
from shapecluster._typing import FloatArray, IntArray
from shapecluster.neighbors._answers import check_flags, check_n_neighbors, check_radius, radius_answer
from shapecluster.neighbors._look_alikes import find_look_alikes
from shapecluster.neighbors._universe import ShapeUniverse


class ShapeNeighbors(ShapeUniverse):
    """Find the series with the most similar shapes, under the shape-based distance.

    `kneighbors` and `radius_neighbors` answer as scikit-learn's NearestNeighbors does. `transform` returns a
    graph as KNeighborsTransformer does, for estimators that take `metric="precomputed"`. `similar` answers
    with a table of names.

    Parameters
    ----------
    n_neighbors : int, default=5
        Default number of neighbors of a query.
    max_shift : int or None, default=None
        Largest shift in timepoints; None allows all.
    missing : {"error", "mask"}, default="error"
        Treatment of NaN: an error, or a value that was not observed. With "mask", `similar` ranks by the
        correlation over jointly observed timepoints, because SBD counts every missing value against a
        pair.
    min_overlap : float, default=0.2
        With `missing="mask"`: smallest share of jointly observed timepoints with which `similar` ranks a
        pair.
    n_jobs : int or None, default=None
        Number of threads: None is 1, -1 all cores. Answers do not depend on it.

    Attributes
    ----------
    n_features_in_ : int
        Number of timepoints.
    n_samples_fit_ : int
        Number of series in the universe.
    series_names_in_ : ndarray of shape (n_samples_fit_,)
        Names of the series (tickers). Defined only when the universe is a DataFrame.

    See Also
    --------
    shapecluster.metrics.sbd_distances : The distances themselves.
    ClusterIndex : Faster search among very many series.

    Examples
    --------
    >>> from shapecluster import ShapeNeighbors
    >>> from shapecluster.datasets import make_market
    >>> from shapecluster.preprocessing import LogReturns
    >>> prices = make_market(n_stocks=30, n_sectors=3, random_state=0).prices
    >>> model = ShapeNeighbors(max_shift=2).fit(LogReturns().fit_transform(prices))
    >>> model.similar(list(prices.index[:2]), 3).shape
    (6, 6)

    The graph of neighbors serves estimators of scikit-learn:

    >>> from sklearn.cluster import DBSCAN
    >>> from sklearn.pipeline import make_pipeline
    >>> graph = ShapeNeighbors(n_neighbors=8, max_shift=2)
    >>> pipe = make_pipeline(LogReturns(), graph, DBSCAN(eps=0.7, metric="precomputed"))
    >>> pipe.fit_predict(prices).shape
    (30,)
    """

    @overload
    def kneighbors(
        self,
        X: Any = None,
        n_neighbors: int | None = None,
        return_distance: Literal[True] = True,
        *,
        return_shift: Literal[False] = False,
    ) -> tuple[FloatArray, IntArray]: ...

    @overload
    def kneighbors(
        self,
        X: Any = None,
        n_neighbors: int | None = None,
        return_distance: Literal[True] = True,
        *,
        return_shift: Literal[True],
    ) -> tuple[FloatArray, IntArray, IntArray]: ...

    @overload
    def kneighbors(
        self,
        X: Any = None,
        n_neighbors: int | None = None,
        return_distance: Literal[False] = ...,
        *,
        return_shift: Literal[False] = False,
    ) -> IntArray: ...

    @overload
    def kneighbors(
        self,
        X: Any = None,
        n_neighbors: int | None = None,
        return_distance: Literal[False] = ...,
        *,
        return_shift: Literal[True],
    ) -> tuple[IntArray, IntArray]: ...

    @overload
    def kneighbors(
        self,
        X: Any = None,
        n_neighbors: int | None = None,
        return_distance: bool = True,
        *,
        return_shift: bool = False,
    ) -> IntArray | tuple[FloatArray | IntArray, ...]: ...

    def kneighbors(
        self,
        X: Any = None,
        n_neighbors: int | None = None,
        return_distance: bool = True,
        *,
        return_shift: bool = False,
    ) -> IntArray | tuple[FloatArray | IntArray, ...]:
        """Find the nearest series of the universe.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_queries, n_timepoints[, n_channels]), default=None
            Queries. None takes each series of the universe, and excludes it from its own neighbors.
        n_neighbors : int, default=None
            Number of neighbors; None takes the estimator's.
        return_distance : bool, default=True
            Whether to return the distances.
        return_shift : bool, default=False
            Whether to return the shifts.

        Returns
        -------
        sbd : ndarray of shape (n_queries, n_neighbors)
            Distances in increasing order. Of equal distances (to the last bit of float64, before they are
            rounded for a float32 universe) the lower row comes first. Only with `return_distance`.
        indices : ndarray of shape (n_queries, n_neighbors)
            Rows of the universe.
        shifts : ndarray of shape (n_queries, n_neighbors)
            Timepoints by which the query trails its neighbor. Only with `return_shift`.

        Raises
        ------
        ValueError
            For queries unlike the universe, and for more neighbors than series.
        """
        check_is_fitted(self)
        check_flags(return_distance=return_distance, return_shift=return_shift)
        queries = self._queries(X)
        k = check_n_neighbors(
            self.n_neighbors if n_neighbors is None else n_neighbors,
            self.n_samples_fit_ - (X is None),
            self.n_samples_fit_,
        )
        hits = search_universe(
            queries,
            self._shapes,
            partial(TopK, wanted=k),
            exclude_self=X is None,
            n_threads=n_threads(self.n_jobs),
        )
        shape = (len(queries), k)
        sbd, rows = self._cast(hits.distances.reshape(shape)), hits.ids.reshape(shape)
        if return_shift:
            shifts = hits.shifts.reshape(shape)
            return (sbd, rows, shifts) if return_distance else (rows, shifts)
        return (sbd, rows) if return_distance else rows

    @overload
    def radius_neighbors(
        self,
        X: Any = None,
        radius: float | None = None,
        return_distance: Literal[True] = True,
        sort_results: bool = True,
    ) -> tuple[NDArray[np.object_], NDArray[np.object_]]: ...

    @overload
    def radius_neighbors(
        self,
        X: Any = None,
        radius: float | None = None,
        return_distance: Literal[False] = ...,
        sort_results: bool = True,
    ) -> NDArray[np.object_]: ...

    @overload
    def radius_neighbors(
        self,
        X: Any = None,
        radius: float | None = None,
        return_distance: bool = True,
        sort_results: bool = True,
    ) -> NDArray[np.object_] | tuple[NDArray[np.object_], NDArray[np.object_]]: ...

    def radius_neighbors(
        self,
        X: Any = None,
        radius: float | None = None,
        return_distance: bool = True,
        sort_results: bool = True,
    ) -> NDArray[np.object_] | tuple[NDArray[np.object_], NDArray[np.object_]]:
        """Find all series of the universe within a distance.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_queries, n_timepoints[, n_channels]), default=None
            Queries. None takes each series of the universe, and excludes it from its own neighbors.
        radius : float
            Largest SBD, itself included. It has no default, as in `ClusterIndex`.
        return_distance : bool, default=True
            Whether to return the distances.
        sort_results : bool, default=True
            Whether to sort the series of a query by distance and then by row. False sorts them by row.

        Returns
        -------
        sbd : ndarray of shape (n_queries,) of arrays
            Distances. Only with `return_distance`.
        indices : ndarray of shape (n_queries,) of arrays
            Rows of the universe.

        Raises
        ------
        ValueError
            For queries unlike the universe, and for a radius that is missing or negative.
        """
        check_is_fitted(self)
        check_flags(return_distance=return_distance, sort_results=sort_results)
        radius = check_radius(radius)
        queries = self._queries(X)
        hits = search_universe(
            queries,
            self._shapes,
            partial(RadiusCollector, radius=radius),
            exclude_self=X is None,
            n_threads=n_threads(self.n_jobs),
        )
        return radius_answer(
            hits, len(queries), self._cast, return_distance=return_distance, sort_results=sort_results
        )

    def kneighbors_graph(
        self,
        X: Any = None,
        n_neighbors: int | None = None,
        mode: Literal["connectivity", "distance"] = "connectivity",
    ) -> sparse.csr_matrix:
        """Compute the graph of nearest neighbors.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_queries, n_timepoints[, n_channels]), default=None
            As in `kneighbors`.
        n_neighbors : int, default=None
            As in `kneighbors`.
        mode : {"connectivity", "distance"}, default="connectivity"
            Weights of the edges: 1, or the SBD.

        Returns
        -------
        graph : sparse CSR matrix of shape (n_queries, n_samples_fit_)
            One row per query.
        """
        if mode not in ("connectivity", "distance"):
            raise ValueError(f'mode must be "connectivity" or "distance". Got {mode!r} instead.')
        sbd, indices = self.kneighbors(X, n_neighbors)
        n_queries, k = indices.shape
        # Distances of 0 are stored too: an absent entry would mean infinitely far.
        weights = sbd.ravel() if mode == "distance" else np.ones(indices.size)
        starts = np.arange(0, indices.size + 1, k)
        return sparse.csr_matrix((weights, indices.ravel(), starts), shape=(n_queries, self.n_samples_fit_))

    def transform(self, X: Any) -> sparse.csr_matrix:
        """Compute the graph of the nearest neighbors with their SBD, as KNeighborsTransformer does.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_queries, n_timepoints[, n_channels])
            Queries, such as the universe itself.

        Returns
        -------
        graph : sparse CSR matrix of shape (n_queries, n_samples_fit_)
            `n_neighbors` + 1 distances in each row, nearest first. The additional one is for a series of the
            universe, which is its own nearest neighbor here. A flat series is not: it is at distance 1 from
            all series, itself included.

        Raises
        ------
        ValueError
            When the universe has no more than `n_neighbors` series.
        """
        # Estimators that take precomputed graphs count a row among its own neighbors, and drop it.
        return self.kneighbors_graph(X, self.n_neighbors + 1, mode="distance")

    def fit_transform(self, X: Any, y: None = None) -> sparse.csr_matrix:  # type: ignore[override] # no fit_params
        """Store the universe, and compute the graph of its nearest neighbors.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_series, n_timepoints[, n_channels])
            Series as rows; a DataFrame has tickers as its index.
        y : None
            Ignored.

        Returns
        -------
        graph : sparse CSR matrix of shape (n_series, n_series)
            As `fit(X).transform(X)`: each series counts as one of its own `n_neighbors` + 1 neighbors.
        """
        return self.fit(X).transform(X)

    def similar(
        self,
        portfolio: str | int | Iterable[Any] | Mapping[Any, float],
        n_neighbors: int | None = None,
        *,
        basket: bool = False,
    ) -> pd.DataFrame:
        """Find the look-alikes of one stock, or of the stocks of a portfolio.

        Parameters
        ----------
        portfolio : str, int, iterable of names, or mapping or Series of name to weight
            One holding or several, by their names in the universe (row numbers when it had none). Only the
            basket uses weights, which may be negative.
        n_neighbors : int, default=None
            Number of look-alikes per holding; None takes the estimator's.
        basket : bool, default=False
            Whether to compare with the portfolio as a whole: the weighted mean of its z-normalized series.

        Returns
        -------
        look_alikes : DataFrame
            One row per holding and look-alike, best first, with columns

            - `holding`: the name, or "basket".
            - `look_alike`: the name of a series that is not in the portfolio.
            - `sbd`: shape-based distance.
            - `lag`: timepoints (trading days) by which the look-alike trails the holding.
            - `correlation`: Pearson correlation at that lag, over jointly observed timepoints.
            - `coverage`: share of all timepoints that are jointly observed at that lag.

            Ranked by `sbd`. With `missing="mask"` only pairs with a coverage of at least `min_overlap` count.
            They are ranked by `correlation` times the share of the timepoints that the lag leaves. A flat
            series is never a look-alike.

        Raises
        ------
        ValueError
            For unknown names (the message lists them all) and repeated names. For a portfolio that holds
            every series. For a basket whose series cancel each other.

        Warns
        -----
        FlatSeriesWarning
            When a holding never moves.
        """
        check_is_fitted(self)
        check_flags(basket=basket)
        n = self.n_neighbors if n_neighbors is None else n_neighbors
        return find_look_alikes(self, portfolio, n, basket=basket)
