"""Who finds matching portfolios: ours, two other ways to do it exactly, scikit-learn and datasketch.

Every contestant answers with pairs of rows (who asks, who matches) at a Jaccard similarity of 0.9. What is
prepared once, before anybody asks, is timed apart.
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
_BLOCK_CELLS = 1 << 23  # of a block of sparse products, if it were dense


def askers_of(task: Task) -> np.ndarray:
    """The traders who ask: as many as `task.k` says, all over the data."""
    return np.linspace(0, task.X.shape[0] - 1, task.k).astype(int)


class Prepared:
    """Notes what a `with` block takes: what is made before anybody asks."""

    def __enter__(self) -> Prepared:
        self._memory = PeakMemory().__enter__()
        self._began = time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.outcome = {"prepare_seconds": time.process_time() - self._began}
        self._memory.__exit__()
        self.outcome["prepare_mb"] = self._memory.bytes / 1e6


# ---------------------------------------------------------------------------------------- one trader asks


def ours_matches(task: Task) -> Callable[[], Outcome]:
    """`matches`, with its table of who shares what."""
    with Prepared() as prepared:
        model = PortfolioMatcher(MIN_MATCH).fit(task.X)
    askers = askers_of(task).tolist()

    def ask() -> Outcome:
        found = [model.matches(asker)["trader"].to_numpy() for asker in askers]
        return {"pairs": _pairs(askers, found)} | prepared.outcome

    return ask


def sklearn_matches(task: Task) -> Callable[[], Outcome]:
    """NearestNeighbors, which compares with everybody; its Jaccard distance wants dense rows."""
    from sklearn.neighbors import NearestNeighbors

    dense = _dense(task)
    with Prepared() as prepared:
        model = NearestNeighbors(metric="jaccard", algorithm="brute", radius=_radius()).fit(dense)
    askers = askers_of(task)

    def ask() -> Outcome:
        found = [model.radius_neighbors(dense[[asker]], return_distance=False)[0] for asker in askers]
        return {"pairs": _pairs(askers, found)} | prepared.outcome

    return ask


def datasketch_matches(task: Task) -> Callable[[], Outcome]:
    """MinHashLSH, whose candidates are compared as sets, so that what it returns is right."""
    with Prepared() as prepared:
        sets, hashes, index = _min_hash_index(task)
    askers = askers_of(task).tolist()

    def ask() -> Outcome:
        found = [_among(sets, asker, index.query(hashes[asker])) for asker in askers]
        return {"pairs": _pairs(askers, found)} | prepared.outcome

    return ask


# ------------------------------------------------------------------------------------------ everyone asks


def ours_pairs(task: Task) -> Callable[[], Outcome]:
    """`fit` and `match_pairs`."""

    def find() -> Outcome:
        pairs = PortfolioMatcher(MIN_MATCH).fit(task.X).match_pairs()
        return {"pairs": pairs[["trader_a", "trader_b"]].to_numpy()}

    return find


def ours_quantities(task: Task) -> Callable[[], Outcome]:
    """The same with quantities."""

    def find() -> Outcome:
        pairs = PortfolioMatcher(MIN_MATCH, quantities=True).fit(task.X).match_pairs()
        return {"pairs": pairs[["trader_a", "trader_b"]].to_numpy()}

    return find


def ours_single_tickers(task: Task) -> Callable[[], Outcome]:
    """Ours, with portfolios filed under single tickers only: the plain prefix filter."""
    find = ours_pairs(task)

    def find_so() -> Outcome:
        with mock.patch.object(pairs_module, "_INDEX_COST", np.inf):
            return find()

    return find_so


def sparse_products(task: Task) -> Callable[[], Outcome]:
    """Products of blocks of sparse rows with all rows of a size that may match, without other filters."""

    def find() -> Outcome:
        sizes = np.diff(task.X.indptr)
        order = np.argsort(sizes, kind="stable")
        rows, sizes = task.X[order], sizes[order]
        found = [_products(rows, sizes, block) for block in _blocks(len(sizes))]
        return {"pairs": _sorted(order[np.concatenate(found)])}

    return find


def sklearn_pairs(task: Task) -> Callable[[], Outcome]:
    """NearestNeighbors for everybody at once."""
    from sklearn.neighbors import NearestNeighbors

    dense = _dense(task)

    def find() -> Outcome:
        model = NearestNeighbors(metric="jaccard", algorithm="brute", radius=_radius()).fit(dense)
        found = model.radius_neighbors(return_distance=False)
        return {"pairs": _sorted(_pairs(range(len(dense)), found))}

    return find


def datasketch_pairs(task: Task) -> Callable[[], Outcome]:
    """MinHashLSH for everybody, filled and asked; candidates are compared as sets."""

    def find() -> Outcome:
        sets, hashes, index = _min_hash_index(task)
        found = [_among(sets, asker, index.query(hashes[asker])) for asker in range(len(sets))]
        return {"pairs": _sorted(_pairs(range(len(sets)), found))}

    return find


# ------------------------------------------------------------------------------------------------ helpers


def _radius() -> float:
    """The distance that 0.9 is, and the rounding of distances."""
    return 1.0 - MIN_MATCH + 1e-9


def _dense(task: Task) -> np.ndarray:
    return np.asarray(task.X.toarray() > 0)


def _pairs(askers: object, found: object) -> np.ndarray:
    """Pairs without those of a trader with itself."""
    counts = [len(each) for each in found]
    asking = np.repeat(np.asarray(askers, dtype=np.int64), counts)
    pairs = np.column_stack([asking, np.fromiter(chain.from_iterable(found), np.int64, sum(counts))])
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    return pairs[np.lexsort(pairs.T[::-1])]


def _sorted(pairs: np.ndarray) -> np.ndarray:
    """Each pair once, the earlier row first."""
    return np.unique(np.sort(pairs, axis=1), axis=0).reshape(-1, 2)


def _blocks(n_rows: int) -> Iterator[slice]:
    step = max(1, _BLOCK_CELLS // n_rows)
    return (slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step))


def _products(rows: sparse.csr_matrix, sizes: np.ndarray, block: slice) -> np.ndarray:
    last = int(np.searchsorted(9 * sizes, 10 * sizes[block][-1], side="right"))
    shared = (rows[block] @ rows[block.start : last].T).tocoo()
    i, j = shared.row + block.start, shared.col + block.start
    good = (i < j) & (10 * shared.data >= 9 * (sizes[i] + sizes[j] - shared.data))
    return np.column_stack([i[good], j[good]])


def _min_hash_index(task: Task) -> tuple[list[frozenset[bytes]], list[object], object]:
    from datasketch import MinHash, MinHashLSH

    names = [f"ticker {column}".encode() for column in range(task.X.shape[1])]
    bounds = zip(task.X.indptr, task.X.indptr[1:], strict=False)
    held = [[names[column] for column in task.X.indices[start:stop]] for start, stop in bounds]
    hashes = MinHash.bulk(held, num_perm=PERMUTATIONS, seed=1)
    index = MinHashLSH(threshold=MIN_MATCH, num_perm=PERMUTATIONS)
    for row, each in enumerate(hashes):
        index.insert(row, each)
    return [frozenset(each) for each in held], hashes, index


def _among(sets: list[frozenset[bytes]], asker: int, candidates: list[int]) -> list[int]:
    mine = sets[asker]
    return [other for other in candidates if 10 * len(mine & sets[other]) >= 9 * len(mine | sets[other])]
