"""Traders whose portfolios match by 90 %: PortfolioMatcher, scikit-learn, datasketch and sparse products.

    python -m benchmarks.matching                    everything, which takes half an hour
    python -m benchmarks.matching --quick            small sizes, to see that it works
    python -m benchmarks.matching --work one pairs   some works only

Contestants take turns in processes of their own, with one thread each. Figures are medians of processor
times, because other programs share the machine. Recall is measured against scikit-learn's brute force if it
takes part, else against ours. Results are added to those of earlier runs in --out. The command fails if our
result differs from that of an exact contestant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy import sparse

from benchmarks import matchers
from benchmarks._arena import Entry
from benchmarks._frame import Benchmark, Results, environment_text
from benchmarks._report import Block, Check, Row, Table, check, figure, percent, seconds
from benchmarks._works import Contest, Kind, Target, Task, Work, columns_of_all, faster_than
from shapecluster.datasets import Copycats, make_portfolios

EXACT = ("ours (single tickers)", "sparse products", "NearestNeighbors")
N_QUERIES = 100


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
            "ours": matchers.ours_matches,
            "NearestNeighbors": matchers.sklearn_matches,
            "MinHashLSH": matchers.datasketch_matches,
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
            "ours": matchers.ours_pairs,
            "ours (single tickers)": matchers.ours_single_tickers,
            "ours (quantities)": matchers.ours_quantities,
            "sparse products": matchers.sparse_products,
            "NearestNeighbors": matchers.sklearn_pairs,
            "MinHashLSH": matchers.datasketch_pairs,
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
