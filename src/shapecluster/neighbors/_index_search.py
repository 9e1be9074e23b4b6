"""Search of an index by its prepared rows, and the choice of how many cells to probe."""

from __future__ import annotations

from numbers import Real
from typing import Any, NamedTuple, Self

import numpy as np

from shapecluster._arrays import take
from shapecluster._core.index.collect import Hits, RadiusCollector, TopK
from shapecluster._core.index.inverted_lists import Ids
from shapecluster._core.index.search import RowFilter, search_block, search_in_blocks
from shapecluster._sklearn_compat import check_is_fitted, check_random_state
from shapecluster._threads import n_threads
from shapecluster.neighbors._answers import check_count, check_n_neighbors
from shapecluster.neighbors._index_rows import IndexedRows
from shapecluster.neighbors._recall import Recall, cell_ranks, measure_recall


class IndexQueries(NamedTuple):
    """Queries of an index.

    Attributes
    ----------
    rows : object
        As the metric stores rows.
    ids : ndarray of shape (n_queries,) or None
        Ids of the queries, if they are rows of the index. None of them is its own neighbor.
    """

    rows: Any
    ids: Ids | None

    @property
    def row_filter(self) -> RowFilter | None:
        """Excludes each query from its own neighbors."""
        own = self.ids
        return None if own is None else lambda which, ids: own[which] != ids

    def by_id(self, hits: Hits) -> Hits:
        """Return hits in the order of the ids of the queries, if they are rows of the index."""
        if self.ids is None:
            return hits
        # Rows are searched in their stored order, without a copy: neighbors in a cell share its scan.
        place = np.empty(len(self.ids), dtype=np.intp)
        place[np.argsort(self.ids)] = np.arange(len(place))
        moved = place[hits.queries]
        order = np.argsort(moved, kind="stable")  # stable: the hits of a query stay sorted by distance
        return take(hits._replace(queries=moved), order)


class SearchableRows(IndexedRows):
    """Search the rows of an index. A subclass has the public methods that return neighbors."""

    def recall(
        self,
        X: Any = None,
        n_neighbors: int | None = None,
        *,
        n_probe: int | None = None,
        n_samples: int | None = 200,
    ) -> Recall:
        """Measure the share of the true neighbors that a search finds.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_queries, n_features[, n_channels]), \
default=None
            Queries like those you will ask. None takes rows of the index, none of which is its own neighbor.
        n_neighbors : int, default=None
            Neighbors of each query; None takes the estimator's.
        n_probe : int, default=None
            Number of cells to scan; None takes `n_probe_`.
        n_samples : int or None, default=200
            Number of queries drawn at random from X. None takes all.

        Returns
        -------
        Recall
            `recall`, its standard `error`, and `n_queries`.
        """
        check_is_fitted(self)
        k = self._check_n_neighbors(n_neighbors, is_own=X is None)
        queries = self._sample(X, n_samples)
        found = self._search(queries.rows, k=k, n_probe=n_probe, row_filter=queries.row_filter)
        return measure_recall(found, self._true_neighbors(queries, k), queries.rows.shape[0])

    def tune(
        self,
        recall: float = 0.95,
        X: Any = None,
        n_neighbors: int | None = None,
        *,
        n_samples: int | None = 200,
    ) -> Self:
        """Set the smallest number of cells that reaches a recall on a sample of queries.

        Parameters
        ----------
        recall : float, default=0.95
            Share of the true neighbors that a search shall find, on average.
        X : array-like, DataFrame or sparse matrix of shape (n_queries, n_features[, n_channels]), \
default=None
            Queries like those you will ask, as in `recall`.
        n_neighbors : int, default=None
            Neighbors of each query; None takes the estimator's.
        n_samples : int or None, default=200
            Number of queries drawn at random from X. None takes all.

        Returns
        -------
        self : ClusterIndex
            The index with `n_probe_` set.

        Notes
        -----
        A search finds a true neighbor if and only if it scans its cell. One exact search therefore gives
        the recall of every number of cells.
        """
        check_is_fitted(self)
        if not isinstance(recall, Real) or isinstance(recall, bool) or not 0 < recall <= 1:
            raise ValueError(f"recall must be in (0, 1]. Got {recall!r} instead.")
        k = self._check_n_neighbors(n_neighbors, is_own=X is None)
        queries = self._sample(X, n_samples)
        true = self._true_neighbors(queries, k)
        ranks = cell_ranks(self._space, self._cells, queries.rows, true)
        needed = int(np.ceil(recall * len(ranks) - 1e-9))  # 0.95 * 200 may round to above 190
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
        row_filter: RowFilter | None = None,
    ) -> Hits:
        """Search for prepared rows: the k nearest that `row_filter` allows, or all within a radius.

        `row_filter` takes queries (positions in `rows`) and ids that broadcast against each other. It returns
        which pairs count. A query with fewer than k such rows has fewer hits.
        """
        n_cells = len(self._cells)
        n_probe = min(self.n_probe_ if n_probe is None else check_count("n_probe", n_probe), n_cells)
        if exact and not self._space.exact:
            raise ValueError(
                "exact=True needs max_shift=None: within a shift window SBD has no triangle inequality, so "
                "no bound rules out any cell. Got "
                f"max_shift={self._metric.settings['max_shift']} instead; n_probe={n_cells} scans every cell."
            )
        threads = n_threads(self.n_jobs)
        # faiss proposes k nearest rows of probed cells and takes no filter.
        lists = self._lists if row_filter is None and not exact else None

        def search(part: slice) -> Hits:
            block, size = rows[part], part.stop - part.start
            if lists is not None and k is not None and lists.is_preferred(size, n_probe):
                return lists.search(block, k, n_probe, threads)
            collector = RadiusCollector(size, radius) if k is None else TopK(size, k)
            search_block(
                self._space,
                self._cells,
                self._space.prepare(block),
                collector,
                n_probe=n_probe,
                exact=exact,
                row_filter=_from(row_filter, part.start),
            )
            return collector.hits()

        return search_in_blocks(search, rows.shape[0], threads)

    def _true_neighbors(self, queries: IndexQueries, k: int) -> Hits:
        # Both are brute force; the exact search is faster, where it is possible.
        exact = self._space.exact
        n_probe = None if exact else len(self._cells)
        return self._search(queries.rows, k=k, n_probe=n_probe, exact=exact, row_filter=queries.row_filter)

    def _queries(self, X: Any) -> IndexQueries:
        """Check queries; None stands for all rows of the index, in their stored order."""
        if X is None:
            return IndexQueries(self._space.rows, self._cells.ids)
        return IndexQueries(self._check_rows(X, reset=False)[0], None)

    def _sample(self, X: Any, n_samples: int | None) -> IndexQueries:
        """Draw queries from X, or from the rows of the index."""
        queries = self._queries(X)
        n_all = queries.rows.shape[0]
        drawn = np.arange(n_all)
        n_drawn = n_all if n_samples is None else check_count("n_samples", n_samples)
        if n_drawn < n_all:
            drawn = np.sort(check_random_state(self.random_state).permutation(n_all)[:n_drawn])
        ids = None if queries.ids is None else queries.ids[drawn]
        return IndexQueries(queries.rows[drawn], ids)

    def _check_n_neighbors(self, n_neighbors: Any, *, is_own: bool) -> int:
        value = self.n_neighbors if n_neighbors is None else n_neighbors
        return check_n_neighbors(value, self.n_samples_fit_ - is_own, self.n_samples_fit_)


def _from(row_filter: RowFilter | None, start: int) -> RowFilter | None:
    """Count the queries of a filter from the start of a block."""
    return None if row_filter is None else lambda which, ids: row_filter(which + start, ids)
