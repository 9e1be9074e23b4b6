"""Precision and recall of clean_prices on suspect prices of the real panel.

    python -m benchmarks.clean_prices [--min-print 8] [--min-jump 16]

tests/prices/suspects.py explains the list of suspect returns.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from functools import partial

from benchmarks._arena import timed
from benchmarks._data import data_folder, panel
from benchmarks._frame import Benchmark, Results
from benchmarks._report import Block
from shapecluster.prices import clean_prices
from tests.prices.suspects import measure as judge
from tests.prices.suspects import read_truth


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--min-print", type=float, default=8.0)
    parser.add_argument("--min-jump", type=float, default=16.0)


def measure(results: Results, options: argparse.Namespace) -> Iterator[list[Block]]:
    """Clean the panel, and compare what was reported with the list."""
    prices = panel()
    truth = read_truth(data_folder("market") / "panel_a_suspect_returns.csv", prices.columns)
    floors = {"min_print": options.min_print, "min_jump": options.min_jump}
    # Nothing is dropped, so that every row of the list can be found.
    kept = timed(partial(clean_prices, prices, late_listings="keep", long_gaps="keep", **floors))
    usual = timed(partial(clean_prices, prices))
    results |= {
        "shape": prices.shape,
        "options": floors,
        "seconds": kept.seconds,
        "figures": judge(kept.outcome[1].events, truth).lines(),
        "default_seconds": usual.seconds,
        "default_report": str(usual.outcome[1]),
    }
    yield parts(results)["clean_prices"]


def parts(results: Results) -> dict[str, list[Block]]:
    """Times, what was found of the list, and the report with default policies."""
    n_stocks, n_days = results["shape"]
    return {
        "clean_prices": [
            f"{results['seconds']:.2f} s for {n_stocks} stocks x {n_days} days",
            results["figures"],
            f"With the default policies ({results['default_seconds']:.2f} s):\n{results['default_report']}",
        ]
    }


BENCHMARK = Benchmark("clean_prices", __doc__, measure, parts, add_options)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
