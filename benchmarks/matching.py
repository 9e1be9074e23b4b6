"""Traders whose portfolios match by 90 %: PortfolioMatcher, scikit-learn, datasketch and sparse products.

    python -m benchmarks.matching                    everything, which takes half an hour
    python -m benchmarks.matching --quick            small sizes, to see that it works
    python -m benchmarks.matching --work one pairs   some works only

Every contestant returns pairs of rows (query, match) with a Jaccard similarity of at least 0.9. Contestants
take turns in processes of their own, with one thread each. Figures are medians of processor times, because
other programs share the machine. Preparation that is done once before the first query is timed separately.
Recall is measured against scikit-learn's brute force if it takes part, else against ours. Results are added
to those of earlier runs in --out. The command fails if our result differs from that of an exact contestant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from typing import Any
from unittest import mock

import numpy as np
from scipy import sparse
from sklearn.neighbors import NearestNeighbors

from benchmarks._arena import Entry, processor_time
from benchmarks._frame import Benchmark, Results, environment_text
from benchmarks._report import Block, Check, Row, Table, check, figure, percent, seconds
from benchmarks._works import (
    Contest,
    Kind,
    Target,
    Task,
    Timed,
    Work,
    columns_of_all,
    faster_than,
    unprepared,
)
from shapecluster import PortfolioMatcher
from shapecluster._core.matching import pairs as pairs_module
from shapecluster._core.sbd.blocks import row_blocks
from shapecluster.datasets import Copycats, make_portfolios

EXACT = ("ours (single tickers)", "sparse products", "NearestNeighbors")
N_QUERIES = 100
MIN_MATCH = 0.9
PERMUTATIONS = 128
_BLOCK_CELLS = 1 << 23  # cells that a block of sparse products would have if it were dense


# ------------------------------------------------------------------------- contestants: matches of a trader


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
    taken, peak, model = processor_time(prepare)
    queries = np.linspace(0, task.X.shape[0] - 1, task.k).astype(int).tolist()

    def find() -> dict[str, Any]:
        found = [matches(model, row) for row in queries]
        return {"pairs": _pairs_of(queries, found), "prepare_seconds": taken, "prepare_mb": peak / 1e6}

    return find


# ---------------------------------------------------------------------------------- contestants: all pairs


@unprepared
def ours_pairs(task: Task, *, quantities: bool = False) -> dict[str, Any]:
    """`PortfolioMatcher.fit` and `match_pairs`."""
    pairs = PortfolioMatcher(MIN_MATCH, quantities=quantities).fit(task.X).match_pairs()
    return {"pairs": pairs[["trader_a", "trader_b"]].to_numpy()}


def ours_single_tickers(task: Task) -> Timed:
    """PortfolioMatcher with prefix indexes of level 1 only, which is the plain prefix filter."""
    return mock.patch.object(pairs_module, "_INDEX_COST", np.inf)(ours_pairs(task))


@unprepared
def sparse_products(task: Task) -> dict[str, Any]:
    """Products of blocks of sparse rows with all rows of a size that can match, without other filters."""
    sizes = np.diff(task.X.indptr)
    order = np.argsort(sizes, kind="stable")
    rows, sizes = task.X[order], sizes[order]
    blocks = row_blocks(len(sizes), len(sizes), _BLOCK_CELLS)
    found = [_products(rows, sizes, block) for block in blocks]
    return {"pairs": _sorted(order[np.concatenate(found)])}


def sklearn_pairs(task: Task) -> Timed:
    """NearestNeighbors with all traders as queries."""
    dense = _dense(task)

    def find() -> dict[str, Any]:
        found = _nearest_neighbors(dense).radius_neighbors(return_distance=False)
        return {"pairs": _sorted(_pairs_of(range(len(dense)), found))}

    return find


@unprepared
def datasketch_pairs(task: Task) -> dict[str, Any]:
    """MinHashLSH with all traders as queries, and the time to fill it; candidates are compared as sets."""
    index, rows = _MinHashIndex(task), range(task.X.shape[0])
    return {"pairs": _sorted(_pairs_of(rows, [index.matches(row) for row in rows]))}


def _nearest_neighbors(dense: np.ndarray) -> NearestNeighbors:
    radius = 1.0 - MIN_MATCH + 1e-9  # and the rounding of distances
    return NearestNeighbors(metric="jaccard", algorithm="brute", radius=radius).fit(dense)


def _dense(task: Task) -> np.ndarray:
    return np.asarray(task.X.toarray() > 0)


def _pairs_of(queries: Iterable[int], found: Iterable[Iterable[int]]) -> np.ndarray:
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


# ------------------------------------------------------------------------------------------ works and report


def _portfolios(n_traders: int, *, quantities: bool = False, **market: Any) -> Callable[[bool], Task]:
    """Portfolios of the lab's tickers, with a twentieth of the traders in groups of copycats."""

    def make(quick: bool) -> Task:
        n = min(n_traders, 2000) if quick else n_traders
        copycats = Copycats(n_groups=n // 100, size=5, match=0.9)
        matrix = make_portfolios(n, copycats=copycats, random_state=0, **market).matrix
        if quantities:  # by ticker and lot, so that copycats with the same lot stay identical
            rng = np.random.default_rng(0)
            lots = np.repeat(rng.choice([1, 2, 5, 10], n), np.diff(matrix.indptr))
            matrix.data[:] = lots * rng.integers(1, 500, matrix.shape[1])[matrix.indices]
        return Task(matrix, N_QUERIES)

    return make


def _pairs(entry: Entry) -> set[tuple[int, int]]:
    return set(map(tuple, entry.outcome["pairs"].tolist()))


def _figures(entry: Entry, entries: dict[str, Entry], task: Task) -> dict[str, Any]:
    there = (entries[name] for name in ("NearestNeighbors", "ours") if name in entries)
    truth = next((each for each in there if each.times), entry)
    found, true = _pairs(entry), _pairs(truth)
    figures = {"n_pairs": len(found), "recall": len(found & true) / len(true) if true else None}
    if "prepare_seconds" not in entry.outcome:
        return figures
    prepared = {key: entry.outcome[key] for key in ("prepare_seconds", "prepare_mb")}
    # A call answers all queries one by one.
    each = {"seconds": entry.seconds / task.k, "times": [taken / task.k for taken in entry.times]}
    return figures | prepared | each


def _checks(entries: dict[str, Entry], rows: dict[str, Row]) -> Iterator[Check]:
    """Check that exact contestants find the same pairs as ours."""
    for name in EXACT:
        if "ours" in rows and name in rows:
            apart = len(_pairs(entries["ours"]) ^ _pairs(entries[name]))
            yield check(f"pairs that ours and `{name}` do not both find", apart, "<=", 0, must=True)


_RECALL = {"recall": lambda row: percent(row["recall"])}
KINDS = {
    "matches": Kind(
        {
            "ours": ours_matches,
            "NearestNeighbors": sklearn_matches,
            "MinHashLSH": datasketch_matches,
        },
        {
            **columns_of_all("a trader"),
            **_RECALL,
            "prepared in": lambda row: seconds(row["prepare_seconds"]),
            "prepared memory": lambda row: f"{row['prepare_mb']:.0f} MB",
        },
        _checks,
    ),
    "match pairs": Kind(
        {
            "ours": ours_pairs,
            "ours (single tickers)": ours_single_tickers,
            "ours (quantities)": partial(ours_pairs, quantities=True),
            "sparse products": sparse_products,
            "NearestNeighbors": sklearn_pairs,
            "MinHashLSH": datasketch_pairs,
        },
        {
            **columns_of_all(),
            **_RECALL,
            "pairs": lambda row: f"{row['n_pairs']:,}",
            "peak memory": lambda row: f"{row['peak_mb']:.0f} MB",
        },
        _checks,
    ),
}

_OURS, _EXACT = ("ours",), ("NearestNeighbors",)
_MANY = ("ours", "ours (single tickers)", "sparse products", "MinHashLSH")
_ALL = ("ours", "ours (single tickers)", "sparse products", "NearestNeighbors", "MinHashLSH")
_MATCHES = [faster_than("NearestNeighbors", 100.0)]
_PAIRS = [
    Target("seconds", "ours", lambda row: row["seconds"], "<=", 10.0),
    Target("MB", "ours", lambda row: row["peak_mb"], "<=", 2000.0),
]
_ZIPF, _WIDE = {"popularity": "zipf"}, {"tickers": [f"T{number:03d}" for number in range(500)]}
_FULL, _MILLION = 100_000, 1_000_000
_POPULAR, _MILLION_POPULAR = _portfolios(_FULL, **_ZIPF), _portfolios(_MILLION, **_WIDE, **_ZIPF)
_QUANTITIES = _portfolios(_FULL, quantities=True)

WORKS = [
    Work("one", "One trader", "matches", _portfolios(_FULL), _MATCHES),
    Work("one-zipf", "One trader, popular tickers", "matches", _POPULAR, _MATCHES, _OURS + _EXACT),
    Work("one-million", "One trader of a million", "matches", _portfolios(_MILLION), (), _OURS),
    Work("pairs-10000", "All pairs", "match pairs", _portfolios(10_000), (), _ALL),
    Work("pairs", "All pairs", "match pairs", _portfolios(_FULL), _PAIRS, _MANY),
    Work("pairs-zipf", "All pairs, popular tickers", "match pairs", _POPULAR, _PAIRS, _MANY),
    Work("pairs-500", "All pairs, 500 tickers", "match pairs", _portfolios(_FULL, **_WIDE), _PAIRS, _MANY),
    Work("quantities", "All pairs, quantities", "match pairs", _QUANTITIES, (), ("ours (quantities)",)),
    Work("pairs-million", "All pairs", "match pairs", _portfolios(_MILLION), (), _OURS),
    Work("million-500", "All pairs, 500 tickers", "match pairs", _portfolios(_MILLION, **_WIDE), (), _OURS),
    Work("million-zipf", "All pairs, 500, popular ones", "match pairs", _MILLION_POPULAR, (), _OURS),
]


CONTEST = Contest(
    WORKS,
    KINDS,
    Task(sparse.csr_matrix(np.tri(8)), 4),
    sizes=("n_traders", "n_tickers"),
    caption="{title}: {n_traders:,} traders, {n_tickers} tickers",
    figures=_figures,
    clock="process_time",
    repeats=5,
)


def parts(results: Results) -> dict[str, list[Block]]:
    """All works, and a summary with one row per work: our time, and times of the others relative to it."""
    reports = CONTEST.reports(results)
    works = [block for report in reports for block in CONTEST.blocks(report)]
    by_name = [
        {"work": report, **{row["contestant"]: row for row in report["rows"] if not row["trouble"]}}
        for report in reports
    ]

    def ratio(name: str) -> Callable[[Row], str]:
        return lambda row: figure(row.get(name, {}).get("ratio"), 3)

    others = ("NearestNeighbors", "sparse products", "MinHashLSH")
    columns = {
        "": lambda row: CONTEST.caption.format(**row["work"]),
        "ours": lambda row: seconds(row["ours"]["seconds"]),
        **{f"{name}, over ours": ratio(name) for name in others},
        "recall of MinHashLSH": lambda row: percent(row.get("MinHashLSH", {}).get("recall")),
    }
    summary = Table("Matches of 90 %", columns, [row for row in by_name if "ours" in row])
    return {"matching": [environment_text(results), *works], "matching_summary": [summary]}


BENCHMARK = Benchmark("matching", __doc__, CONTEST.measure, parts, CONTEST.options())

if __name__ == "__main__":
    raise SystemExit(BENCHMARK.main())
