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

import argparse
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks._arena import Entry, contest
from benchmarks._common import (
    Check,
    Task,
    check,
    check_text,
    environment,
    figure,
    in_one_thread,
    load,
    markdown_table,
    parse,
    parser_of,
    save,
    seconds,
)
from shapecluster.datasets import Copycats, make_portfolios

EXACT = ("ours", "ours (single tickers)", "sparse products", "NearestNeighbors")
MAX_SECONDS, MAX_MB = 10.0, 2000.0  # targets of match_pairs for 100,000 traders
MIN_RATIO = 100.0  # target of matches relative to NearestNeighbors


@dataclass(frozen=True)
class Work:
    """One piece of work, and its contestants."""

    name: str
    title: str
    kind: str
    n_traders: int
    contestants: tuple[str, ...]
    market: dict[str, Any] = field(default_factory=dict)
    quantities: bool = False
    n_queries: int = 100

    def make(self, quick: bool) -> Task:
        """Make portfolios of the lab's tickers, with a twentieth of the traders in groups of copycats."""
        n = min(self.n_traders, 2000) if quick else self.n_traders
        market = dict(self.market)
        if "n_tickers" in market:
            market["tickers"] = [f"T{number:03d}" for number in range(market.pop("n_tickers"))]
        copycats = Copycats(n_groups=n // 100, size=5, match=0.9)
        matrix = make_portfolios(n, copycats=copycats, random_state=0, **market).matrix
        if self.quantities:  # by ticker and lot, so that copycats with the same lot stay identical
            rng = np.random.default_rng(0)
            lots = np.repeat(rng.choice([1, 2, 5, 10], n), np.diff(matrix.indptr))
            matrix.data[:] = lots * rng.integers(1, 500, matrix.shape[1])[matrix.indices]
        return Task(matrix, self.n_queries)


_ALL = ("ours", "ours (single tickers)", "sparse products", "NearestNeighbors", "MinHashLSH")
_WITHOUT_BRUTE_FORCE = ("ours", "ours (single tickers)", "sparse products", "MinHashLSH")
_ZIPF = {"popularity": "zipf"}
_WIDE = {"n_tickers": 500}

WORKS = [
    Work("one", "One trader", "matches", 100_000, ("ours", "NearestNeighbors", "MinHashLSH")),
    Work("one-zipf", "One trader, popular tickers", "matches", 100_000, ("ours", "NearestNeighbors"), _ZIPF),
    Work("one-million", "One trader of a million", "matches", 1_000_000, ("ours",)),
    Work("pairs-10000", "All pairs", "match pairs", 10_000, _ALL),
    Work("pairs", "All pairs", "match pairs", 100_000, _WITHOUT_BRUTE_FORCE),
    Work("pairs-zipf", "All pairs, popular tickers", "match pairs", 100_000, _WITHOUT_BRUTE_FORCE, _ZIPF),
    Work("pairs-500", "All pairs, 500 tickers", "match pairs", 100_000, _WITHOUT_BRUTE_FORCE, _WIDE),
    Work("quantities", "All pairs, quantities", "match pairs", 100_000, ("ours (quantities)",), {}, True),
    Work("pairs-million", "All pairs", "match pairs", 1_000_000, ("ours",)),
    Work("million-500", "All pairs, 500 tickers", "match pairs", 1_000_000, ("ours",), _WIDE),
    Work("million-zipf", "All pairs, 500, popular ones", "match pairs", 1_000_000, ("ours",), _WIDE | _ZIPF),
]


def main() -> int:
    """Run the given works."""
    options = _options()
    in_one_thread("benchmarks.matching")
    results = load("matching", options.out)
    # Small sizes and full sizes are never mixed in one file.
    if results is None or results["quick"] != options.quick:
        results = {"quick": options.quick, "works": {}}
    results["environment"] = environment()
    wrong = 0
    for work in WORKS:
        if options.work and work.name not in options.work:
            continue
        report = results["works"][work.name] = run_work(work, options)
        print(f"\n{markdown_of(report)}", flush=True)
        wrong += sum(each["must"] and not each["met"] for each in report["checks"])
        save("matching", results, markdown_of_all(results), options.out)
    return 1 if wrong else 0


def _options() -> argparse.Namespace:
    parser = parser_of("matching", __doc__)
    parser.add_argument("--work", nargs="+", choices=[w.name for w in WORKS], help="some works only")
    parser.add_argument("--repeats", type=int, default=5, help="turns each (default: 5)")
    parser.add_argument(
        "--budget",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="a contestant gets no further turn that would exceed this in a work (default: 60)",
    )
    return parse(parser)


def run_work(work: Work, options: argparse.Namespace) -> dict[str, Any]:
    """Time one work; the report holds all figures of the tables."""
    task = work.make(options.quick)
    print(f"\n{work.title}, {task.X.shape[0]:,} traders: {' | '.join(work.contestants)} ...", flush=True)
    entries = contest(
        work.kind,
        task,
        work.contestants,
        repeats=options.repeats,
        budget=options.budget,
        clock="process_time",
    )
    n_calls = task.k if work.kind == "matches" else 1
    rows = [_row(entry, entries, n_calls) for entry in entries.values()]
    return {
        "name": work.name,
        "title": work.title,
        "kind": work.kind,
        "n_traders": task.X.shape[0],
        "n_tickers": task.X.shape[1],
        "rows": rows,
        "checks": [*_answers(entries), *_demands(work, rows, quick=options.quick)],
    }


def _row(entry: Entry, entries: dict[str, Entry], n_calls: int) -> dict[str, Any]:
    row: dict[str, Any] = {"contestant": entry.name, "trouble": entry.failure}
    if not entry.times:
        return row
    truth = next((entries[name] for name in ("NearestNeighbors", "ours") if name in entries), entry)
    ours = entries.get("ours")
    found, true = _as_set(entry), _as_set(truth)
    return row | {
        "seconds": entry.seconds / n_calls,
        "times": [time / n_calls for time in entry.times],
        "peak_mb": entry.peak / 1e6,
        "ratio": entry.seconds / ours.seconds if ours else None,
        "n_pairs": len(found),
        "recall": len(found & true) / len(true) if true else None,
        "prepare_seconds": entry.outcome.get("prepare_seconds"),
        "prepare_mb": entry.outcome.get("prepare_mb"),
    }


def _as_set(entry: Entry) -> set[tuple[int, int]]:
    return set(map(tuple, entry.outcome["pairs"].tolist())) if entry.outcome else set()


def _answers(entries: dict[str, Entry]) -> Iterable[Check]:
    """Check that exact contestants find the same pairs as ours."""
    ours = entries.get("ours")
    for name in EXACT[1:]:
        if ours and name in entries and entries[name].times:
            apart = len(_as_set(ours) ^ _as_set(entries[name]))
            yield check(f"pairs that ours and `{name}` do not both find", apart, "<=", 0, must=True)


def _demands(work: Work, rows: list[dict[str, Any]], *, quick: bool) -> Iterable[Check]:
    by_name = {row["contestant"]: row for row in rows if "seconds" in row}
    if quick or "ours" not in by_name:
        return
    if work.kind == "matches" and "NearestNeighbors" in by_name:
        ratio = by_name["NearestNeighbors"]["ratio"]
        yield check("faster than NearestNeighbors by", ratio, ">=", MIN_RATIO)
    if work.kind == "match pairs" and work.n_traders == 100_000:
        yield check("seconds", by_name["ours"]["seconds"], "<=", MAX_SECONDS)
        yield check("MB", by_name["ours"]["peak_mb"], "<=", MAX_MB)


# ------------------------------------------------------------------------------------------------ tables


def header_of(report: dict[str, Any]) -> list[str]:
    """Header of a work's table."""
    if report["kind"] == "matches":
        return ["", "a trader", "turns", "over ours", "recall", "prepared in", "prepared memory"]
    return ["", "time", "turns", "over ours", "recall", "pairs", "peak memory"]


def lines_of(report: dict[str, Any]) -> list[list[str]]:
    """Rows of a work's table, as text."""
    lines = []
    for row in report["rows"]:
        if "seconds" not in row:
            lines.append([row["contestant"], row["trouble"], *[""] * (len(header_of(report)) - 2)])
            continue
        cells = [row["contestant"], seconds(row["seconds"]), str(len(row["times"])), figure(row["ratio"], 3)]
        cells.append("" if row["recall"] is None else f"{row['recall']:.1%}")
        if report["kind"] == "matches":
            cells += [seconds(row["prepare_seconds"]), f"{row['prepare_mb']:.0f} MB"]
        else:
            cells += [f"{row['n_pairs']:,}", f"{row['peak_mb']:.0f} MB"]
        lines.append(cells)
    return lines


def caption_of(report: dict[str, Any]) -> str:
    """Title and size of a work."""
    return f"{report['title']}: {report['n_traders']:,} traders, {report['n_tickers']} tickers"


def markdown_of(report: dict[str, Any]) -> str:
    """A work's heading, table and checks."""
    checks = "\n".join(f"- {check_text(each)}" for each in report["checks"])
    table = markdown_table(header_of(report), lines_of(report))
    return f"### {caption_of(report)}\n\n{table}\n\n{checks}".rstrip()


def works_of(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Reports of all works with results, in the usual order."""
    return [results["works"][work.name] for work in WORKS if work.name in results["works"]]


def markdown_of_all(results: dict[str, Any]) -> str:
    """The complete result page."""
    versions = ", ".join(f"{name} {number}" for name, number in results["environment"]["versions"].items())
    about = f"One thread, {results['environment']['machine']}. {versions}."
    return "\n\n".join([about, *(markdown_of(report) for report in works_of(results))])


if __name__ == "__main__":
    sys.exit(main())
