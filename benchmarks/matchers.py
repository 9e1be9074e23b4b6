"""The contestants of `benchmarks.matching`: PortfolioMatcher, two other exact ways, and two libraries.

Every contestant returns pairs of rows (query, match) with a Jaccard similarity of at least 0.9. Preparation
that is done once before the first query is timed separately.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any
from unittest import mock

import numpy as np
from scipy import sparse
from sklearn.neighbors import NearestNeighbors

from benchmarks._arena import timed
from benchmarks._works import Task
from shapecluster import PortfolioMatcher
from shapecluster._core.matching import pairs as pairs_module
from shapecluster._core.sbd.blocks import row_blocks

Timed = Callable[[], dict[str, Any]]

MIN_MATCH = 0.9
PERMUTATIONS = 128
_BLOCK_CELLS = 1 << 23  # cells that a block of sparse products would have if it were dense


# -------------------------------------------------------------------------------------- matches of a trader


def ours_matches(task: Task) -> Timed:
    """`PortfolioMatcher.matches`, with its table of shared tickers."""
    return _one_by_one(
        task,
        lambda: PortfolioMatcher(MIN_MATCH).fit(task.X),
        lambda model, row: model.matches(row)["trader"].to_numpy(),
    )


def sklearn_matches(task: Task) -> Timed:
    """NearestNeighbors, which compares with all traders; its Jaccard distance needs dense rows."""
    dense = _dense(task)
    return _one_by_one(
        task,
        lambda: _nearest_neighbors(dense),
        lambda model, row: model.radius_neighbors(dense[[row]], return_distance=False)[0],
    )


def datasketch_matches(task: Task) -> Timed:
    """MinHashLSH; its candidates are compared as sets, so that no false match is returned."""
    return _one_by_one(task, lambda: _MinHashIndex(task), _MinHashIndex.matches)


def _one_by_one(
    task: Task, prepare: Callable[[], Any], matches: Callable[[Any, int], Iterable[int]]
) -> Timed:
    """Prepare, then search for the matches of `task.k` traders that are spread evenly over the data."""
    taken, peak, model = timed(prepare, "process_time")
    queries = np.linspace(0, task.X.shape[0] - 1, task.k).astype(int).tolist()

    def find() -> dict[str, Any]:
        found = [matches(model, row) for row in queries]
        return {"pairs": _pairs(queries, found), "prepare_seconds": taken, "prepare_mb": peak / 1e6}

    return find


# ----------------------------------------------------------------------------------------------- all pairs


def ours_pairs(task: Task, *, quantities: bool = False) -> Timed:
    """`PortfolioMatcher.fit` and `match_pairs`."""

    def find() -> dict[str, Any]:
        pairs = PortfolioMatcher(MIN_MATCH, quantities=quantities).fit(task.X).match_pairs()
        return {"pairs": pairs[["trader_a", "trader_b"]].to_numpy()}

    return find


def ours_quantities(task: Task) -> Timed:
    """`PortfolioMatcher.fit` and `match_pairs` with quantities."""
    return ours_pairs(task, quantities=True)


def ours_single_tickers(task: Task) -> Timed:
    """PortfolioMatcher with prefix indexes of level 1 only, which is the plain prefix filter."""
    return mock.patch.object(pairs_module, "_INDEX_COST", np.inf)(ours_pairs(task))


def sparse_products(task: Task) -> Timed:
    """Products of blocks of sparse rows with all rows of a size that can match, without other filters."""

    def find() -> dict[str, Any]:
        sizes = np.diff(task.X.indptr)
        order = np.argsort(sizes, kind="stable")
        rows, sizes = task.X[order], sizes[order]
        blocks = row_blocks(len(sizes), len(sizes), _BLOCK_CELLS)
        found = [_products(rows, sizes, block) for block in blocks]
        return {"pairs": _sorted(order[np.concatenate(found)])}

    return find


def sklearn_pairs(task: Task) -> Timed:
    """NearestNeighbors with all traders as queries."""
    dense = _dense(task)

    def find() -> dict[str, Any]:
        found = _nearest_neighbors(dense).radius_neighbors(return_distance=False)
        return {"pairs": _sorted(_pairs(range(len(dense)), found))}

    return find


def datasketch_pairs(task: Task) -> Timed:
    """MinHashLSH with all traders as queries, and the time to fill it; candidates are compared as sets."""
    rows = range(task.X.shape[0])

    def find() -> dict[str, Any]:
        index = _MinHashIndex(task)
        return {"pairs": _sorted(_pairs(rows, [index.matches(row) for row in rows]))}

    return find


# ------------------------------------------------------------------------------------------------ helpers


def _nearest_neighbors(dense: np.ndarray) -> NearestNeighbors:
    radius = 1.0 - MIN_MATCH + 1e-9  # and the rounding of distances
    return NearestNeighbors(metric="jaccard", algorithm="brute", radius=radius).fit(dense)


def _dense(task: Task) -> np.ndarray:
    return np.asarray(task.X.toarray() > 0)


def _pairs(queries: Iterable[int], found: Iterable[Iterable[int]]) -> np.ndarray:
    """Pairs of (query, match), without those of a trader with itself."""
    counts = [len(each) for each in found]
    query_column = np.repeat(np.asarray(queries, dtype=np.int64), counts)
    pairs = np.column_stack([query_column, np.fromiter(chain.from_iterable(found), np.int64, sum(counts))])
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    return pairs[np.lexsort(pairs.T[::-1])]


def _sorted(pairs: np.ndarray) -> np.ndarray:
    """Each pair once, the earlier row first."""
    return np.unique(np.sort(pairs, axis=1), axis=0).reshape(-1, 2)


def _products(rows: sparse.csr_matrix, sizes: np.ndarray, block: slice) -> np.ndarray:
    # In whole numbers, because 0.9 has no exact float.
    last = int(np.searchsorted(9 * sizes, 10 * sizes[block][-1], side="right"))
    shared = (rows[block] @ rows[block.start : last].T).tocoo()
    i, j = shared.row + block.start, shared.col + block.start
    good = (i < j) & (10 * shared.data >= 9 * (sizes[i] + sizes[j] - shared.data))
    return np.column_stack([i[good], j[good]])


class _MinHashIndex:
    """MinHashLSH of datasketch, and the sets of tickers with which its candidates are compared."""

    def __init__(self, task: Task) -> None:
        from datasketch import MinHash, MinHashLSH

        # Byte strings, because MinHash hashes bytes.
        names = [f"ticker {column}".encode() for column in range(task.X.shape[1])]
        bounds = zip(task.X.indptr, task.X.indptr[1:], strict=False)
        held = [[names[column] for column in task.X.indices[start:stop]] for start, stop in bounds]
        self.sets = [frozenset(each) for each in held]
        self.hashes = MinHash.bulk(held, num_perm=PERMUTATIONS, seed=1)
        self.index = MinHashLSH(threshold=MIN_MATCH, num_perm=PERMUTATIONS)
        for row, each in enumerate(self.hashes):
            self.index.insert(row, each)

    def matches(self, row: int) -> list[int]:
        """Return the traders that match, `row` included."""
        mine, candidates = self.sets[row], self.index.query(self.hashes[row])
        return [
            other
            for other in candidates
            if 10 * len(mine & self.sets[other]) >= 9 * len(mine | self.sets[other])
        ]
