"""Searches for matching portfolios: PortfolioMatcher, two other exact ways, scikit-learn and datasketch.

Every contestant returns pairs of rows (query, match) with a Jaccard similarity of at least 0.9. Preparation
that is done once before the first query is timed separately.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import chain
from unittest import mock

import numpy as np
from scipy import sparse

from benchmarks._common import Outcome, PeakMemory, Task
from shapecluster import PortfolioMatcher
from shapecluster._core.matching import pairs as pairs_module

MIN_MATCH = 0.9
PERMUTATIONS = 128
_BLOCK_CELLS = 1 << 23  # cells that a block of sparse products would have if it were dense


def query_rows(task: Task) -> np.ndarray:
    """The `task.k` traders to search for, spread evenly over the data."""
    return np.linspace(0, task.X.shape[0] - 1, task.k).astype(int)


class Preparation:
    """Measures the time and memory of a `with` block that runs before the first query."""

    def __enter__(self) -> Preparation:
        self._memory = PeakMemory().__enter__()
        self._began = time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.outcome = {"prepare_seconds": time.process_time() - self._began}
        self._memory.__exit__()
        self.outcome["prepare_mb"] = self._memory.bytes / 1e6


# -------------------------------------------------------------------------------------- matches of a trader


def ours_matches(task: Task) -> Callable[[], Outcome]:
    """`PortfolioMatcher.matches`, with its table of shared tickers."""
    with Preparation() as preparation:
        model = PortfolioMatcher(MIN_MATCH).fit(task.X)
    queries = query_rows(task).tolist()

    def find() -> Outcome:
        found = [model.matches(row)["trader"].to_numpy() for row in queries]
        return {"pairs": _pairs(queries, found)} | preparation.outcome

    return find


def sklearn_matches(task: Task) -> Callable[[], Outcome]:
    """NearestNeighbors, which compares with all traders; its Jaccard distance needs dense rows."""
    from sklearn.neighbors import NearestNeighbors

    dense = _dense(task)
    with Preparation() as preparation:
        model = NearestNeighbors(metric="jaccard", algorithm="brute", radius=_radius()).fit(dense)
    queries = query_rows(task)

    def find() -> Outcome:
        found = [model.radius_neighbors(dense[[row]], return_distance=False)[0] for row in queries]
        return {"pairs": _pairs(queries, found)} | preparation.outcome

    return find


def datasketch_matches(task: Task) -> Callable[[], Outcome]:
    """MinHashLSH; its candidates are compared as sets, so that no false match is returned."""
    with Preparation() as preparation:
        sets, hashes, index = _min_hash_index(task)
    queries = query_rows(task).tolist()

    def find() -> Outcome:
        found = [_matches_among(sets, row, index.query(hashes[row])) for row in queries]
        return {"pairs": _pairs(queries, found)} | preparation.outcome

    return find


# ----------------------------------------------------------------------------------------------- all pairs


def ours_pairs(task: Task) -> Callable[[], Outcome]:
    """`PortfolioMatcher.fit` and `match_pairs`."""

    def find() -> Outcome:
        pairs = PortfolioMatcher(MIN_MATCH).fit(task.X).match_pairs()
        return {"pairs": pairs[["trader_a", "trader_b"]].to_numpy()}

    return find


def ours_quantities(task: Task) -> Callable[[], Outcome]:
    """`PortfolioMatcher.fit` and `match_pairs` with quantities."""

    def find() -> Outcome:
        pairs = PortfolioMatcher(MIN_MATCH, quantities=True).fit(task.X).match_pairs()
        return {"pairs": pairs[["trader_a", "trader_b"]].to_numpy()}

    return find


def ours_single_tickers(task: Task) -> Callable[[], Outcome]:
    """PortfolioMatcher with prefix indexes of level 1 only, which is the plain prefix filter."""
    find = ours_pairs(task)

    def find_at_level_1() -> Outcome:
        with mock.patch.object(pairs_module, "_INDEX_COST", np.inf):
            return find()

    return find_at_level_1


def sparse_products(task: Task) -> Callable[[], Outcome]:
    """Products of blocks of sparse rows with all rows of a size that can match, without other filters."""

    def find() -> Outcome:
        sizes = np.diff(task.X.indptr)
        order = np.argsort(sizes, kind="stable")
        rows, sizes = task.X[order], sizes[order]
        found = [_products(rows, sizes, block) for block in _blocks(len(sizes))]
        return {"pairs": _sorted(order[np.concatenate(found)])}

    return find


def sklearn_pairs(task: Task) -> Callable[[], Outcome]:
    """NearestNeighbors with all traders as queries."""
    from sklearn.neighbors import NearestNeighbors

    dense = _dense(task)

    def find() -> Outcome:
        model = NearestNeighbors(metric="jaccard", algorithm="brute", radius=_radius()).fit(dense)
        found = model.radius_neighbors(return_distance=False)
        return {"pairs": _sorted(_pairs(range(len(dense)), found))}

    return find


def datasketch_pairs(task: Task) -> Callable[[], Outcome]:
    """MinHashLSH with all traders as queries, and the time to fill it; candidates are compared as sets."""

    def find() -> Outcome:
        sets, hashes, index = _min_hash_index(task)
        found = [_matches_among(sets, row, index.query(hashes[row])) for row in range(len(sets))]
        return {"pairs": _sorted(_pairs(range(len(sets)), found))}

    return find


# ------------------------------------------------------------------------------------------------ helpers


def _radius() -> float:
    """The distance for a similarity of 0.9, plus the rounding of distances."""
    return 1.0 - MIN_MATCH + 1e-9


def _dense(task: Task) -> np.ndarray:
    return np.asarray(task.X.toarray() > 0)


def _pairs(queries: object, found: object) -> np.ndarray:
    """Pairs of (query, match), without those of a trader with itself."""
    counts = [len(each) for each in found]
    query_column = np.repeat(np.asarray(queries, dtype=np.int64), counts)
    pairs = np.column_stack([query_column, np.fromiter(chain.from_iterable(found), np.int64, sum(counts))])
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    return pairs[np.lexsort(pairs.T[::-1])]


def _sorted(pairs: np.ndarray) -> np.ndarray:
    """Each pair once, the earlier row first."""
    return np.unique(np.sort(pairs, axis=1), axis=0).reshape(-1, 2)


def _blocks(n_rows: int) -> Iterator[slice]:
    step = max(1, _BLOCK_CELLS // n_rows)
    return (slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step))


def _products(rows: sparse.csr_matrix, sizes: np.ndarray, block: slice) -> np.ndarray:
    # In whole numbers, because 0.9 has no exact float.
    last = int(np.searchsorted(9 * sizes, 10 * sizes[block][-1], side="right"))
    shared = (rows[block] @ rows[block.start : last].T).tocoo()
    i, j = shared.row + block.start, shared.col + block.start
    good = (i < j) & (10 * shared.data >= 9 * (sizes[i] + sizes[j] - shared.data))
    return np.column_stack([i[good], j[good]])


def _min_hash_index(task: Task) -> tuple[list[frozenset[bytes]], list[object], object]:
    from datasketch import MinHash, MinHashLSH

    names = [f"ticker {column}".encode() for column in range(task.X.shape[1])]
    # Byte strings, because MinHash hashes bytes.
    bounds = zip(task.X.indptr, task.X.indptr[1:], strict=False)
    held = [[names[column] for column in task.X.indices[start:stop]] for start, stop in bounds]
    hashes = MinHash.bulk(held, num_perm=PERMUTATIONS, seed=1)
    index = MinHashLSH(threshold=MIN_MATCH, num_perm=PERMUTATIONS)
    for row, each in enumerate(hashes):
        index.insert(row, each)
    return [frozenset(each) for each in held], hashes, index


def _matches_among(sets: list[frozenset[bytes]], row: int, candidates: list[int]) -> list[int]:
    mine = sets[row]
    return [other for other in candidates if 10 * len(mine & sets[other]) >= 9 * len(mine | sets[other])]
