"""Nearest rows by way of a clustering: an inverted file over its cells."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from shapecluster._core.index.collect import Hits, RadiusCollector, TopK
from shapecluster._core.index.search import QUERIES, RowFilter, search_block
from shapecluster._core.sbd.blocks import map_blocks, row_blocks
from shapecluster._sklearn_compat import Interval, StrOptions, check_is_fitted, check_random_state
from shapecluster._threads import n_threads
from shapecluster.neighbors._index_rows import IndexedRows, length, ragged
from shapecluster.neighbors._recall import Recall, cell_ranks, recall_of
from shapecluster.neighbors._spaces import METRICS

if TYPE_CHECKING:
    from typing import Self


class ClusterIndex(IndexedRows):
    """Find the nearest of very many rows by looking only at the clusters near a query.

    An inverted file: every row is stored in the cell of its nearest cluster center, and a query is compared
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
        Number of neighbors when a query does not say.
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
        What rows are stored in; "float32" takes half the memory. None keeps what `fit` is given. Queries
        are rounded as the rows are; distances are computed in float64 from there.
    backend : {"auto", "numpy", "faiss"}, default="auto"
        What scans the cells of the Euclidean metric. faiss (`pip install "shapecluster[faiss]"`) keeps the
        rows once more, in float32, and is quicker where few queries are asked together; "auto" takes it
        then, if it is installed. Answers are the same.
    random_state : int, RandomState instance or None, default=None
        Draws samples, for `train_size`, `recall` and `tune`.
    n_jobs : int or None, default=None
        Threads: None is 1, -1 all cores. Answers do not depend on it.

    Attributes
    ----------
    clusterer_ : estimator
        What gave the cells. Absent from a loaded index, which needs the centers only.
    cluster_centers_ : ndarray of shape (n_cells, n_features[, n_channels])
        The centers.
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
    The rows of a cell are stored side by side, by their distance to its center. By the triangle inequality a
    row within r of a query lies in the ring of all rows whose distance to the center is within r of the
    query's own; so an exact search, once it has found good neighbors, skips most cells as a whole. Under SBD
    the inequality holds for angles, and only when every shift is allowed. What is left is screened by
    matrix products (for SBD: of low frequencies), with bounds of what these leave out, and the few rows
    that may count are evaluated one by one in float64. Answers are the same to the last bit whichever queries
    are asked together, and for any number of threads.

    `add` and `remove` copy all rows once: add many at a time.

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
            Number of neighbors; None takes the estimator's.
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
            Timepoints by which the query trails its neighbor. Only with `return_shift`.

        Raises
        ------
        ValueError
            For queries unlike the rows, more neighbors than rows, and `exact` with a shift window.
        """
        check_is_fitted(self)
        k = self._count("n_neighbors", self.n_neighbors if n_neighbors is None else n_neighbors)
        if return_shift and self.metric_ != "sbd":
            raise ValueError(f"return_shift needs metric 'sbd'. Got {self.metric_!r} instead.")
        rows = self._metric.check(self, X, reset=False).rows
        hits = self._search(rows, k=k, n_probe=n_probe, exact=exact)
        shape = (length(rows), k)
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
        bounds = np.searchsorted(hits.queries, np.arange(1, length(rows)))
        ids = ragged(hits.ids, bounds)
        return (ragged(self._metric.distances(hits.values), bounds), ids) if return_distance else ids

    def recall(
        self,
        X: Any = None,
        n_neighbors: int | None = None,
        n_probe: int | None = None,
        *,
        sample: int | None = 200,
    ) -> Recall:
        """Measure the share of the true neighbors that a search finds.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_queries, n_features[, n_channels]), \
default=None
            Queries like those to come. None takes rows of the index, none of which is its own neighbor.
        n_neighbors : int, default=None
            Neighbors of each query; None takes the estimator's.
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
        return recall_of(found, true, length(rows))

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
            Share of the true neighbors to be found, on average.
        X : array-like, DataFrame or sparse matrix of shape (n_queries, n_features[, n_channels]), \
default=None
            Queries like those to come, as in `recall`.
        n_neighbors : int, default=None
            Neighbors of each query; None takes the estimator's.
        sample : int or None, default=200
            Queries drawn at random from X. None takes all.

        Returns
        -------
        self : ClusterIndex
            With `n_probe_` set.

        Notes
        -----
        One exact search answers for every number of cells: a true neighbor is found if and only if its cell
        is looked at.
        """
        check_is_fitted(self)
        if not isinstance(recall, Real) or not 0 < recall <= 1:
            raise ValueError(f"recall must be in (0, 1]. Got {recall!r} instead.")
        k = self._count("n_neighbors", self.n_neighbors if n_neighbors is None else n_neighbors, X is None)
        rows, keep = self._sample(X, sample)
        ranks = cell_ranks(self._metric, self._space, self._cells, rows, self._brute(rows, k, keep))
        needed = int(np.ceil(recall * len(ranks) - 1e-9))
        self.n_probe_ = int(np.sort(ranks)[max(needed, 1) - 1]) + 1
        return self

    def _search(
        self,
        rows: Any,
        *,
        k: int | None = None,
        radius: float = np.inf,
        n_probe: int | None = None,
        exact: bool = False,
        keep: RowFilter | None = None,
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
                "nothing tells which cells could be skipped. Got "
                f"max_shift={self._metric.settings['max_shift']} instead; n_probe={n_cells} looks at every "
                "cell."
            )
        threads, n_queries = n_threads(self.n_jobs), length(rows)
        together = min(QUERIES, -(-n_queries // threads)) if threads > 1 else QUERIES

        n_probe, lists = min(n_probe, n_cells), self._lists

        def find(part: slice) -> Hits:
            block, size = self._metric.take(rows, part), part.stop - part.start
            if (
                lists is not None
                and k is not None
                and keep is None
                and not exact
                and lists.pays(size, n_probe)
            ):
                hits = lists.search(block, k, n_probe, threads)
            else:
                found: RadiusCollector | TopK = RadiusCollector(size, radius) if k is None else TopK(size, k)
                mine = None if keep is None else lambda which, ids: keep(which + part.start, ids)
                queries = self._space.prepare(block)
                search_block(
                    self._space, self._cells, queries, found, n_probe=n_probe, exact=exact, keep=mine
                )
                hits = found.hits()
            return hits._replace(queries=hits.queries + part.start)

        parts = map_blocks(find, row_blocks(n_queries, 1, together), threads)
        return Hits(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def _brute(self, rows: Any, k: int, keep: RowFilter | None) -> Hits:
        """The true neighbors."""
        exact = self._space.exact
        return self._search(rows, k=k, n_probe=None if exact else len(self._cells), exact=exact, keep=keep)

    def _sample(self, X: Any, size: int | None) -> tuple[Any, RowFilter | None]:
        """Queries drawn from X, or from the rows of the index, which are not to find themselves."""
        rows = self._space.rows if X is None else self._metric.check(self, X, reset=False).rows
        n_rows = length(rows)
        drawn = np.arange(n_rows)
        n_drawn = n_rows if size is None else self._count("sample", size)
        if n_drawn < n_rows:
            drawn = np.sort(check_random_state(self.random_state).permutation(n_rows)[:n_drawn])
        if X is not None:
            return self._metric.take(rows, drawn), None
        own = self._cells.ids[drawn]
        return self._metric.take(rows, drawn), lambda which, ids: own[which] != ids

    def _count(self, name: str, value: Any, own: bool = False) -> int:
        if not isinstance(value, Integral):
            raise TypeError(f"{name} must be an integer. Got {value!r} instead.")
        count, available = int(value), self.n_samples_fit_ - own
        if count < 1 or (name == "n_neighbors" and count > available):
            most = f" <= {available}, the number of rows to choose from" if name == "n_neighbors" else ""
            raise ValueError(f"Expected 1 <= {name}{most}. Got {count} instead.")
        return count
