"""Precision and recall of clean_prices on suspect prices of the real panel.

    python -m benchmarks.clean_prices [--min-print 8] [--min-jump 16]

tests/prices/suspects.py explains the list of suspect returns.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial

from benchmarks._arena import timed
from benchmarks._data import data_folder, panel
from benchmarks._frame import Benchmark, Results
from benchmarks._report import Block
from shapecluster.prices import clean_prices
from tests.prices.suspects import measure as judge
from tests.prices.suspects import read_truth


def measure(results: Results, options: argparse.Namespace) -> Iterator[list[Block]]:
    """Clean the panel, and compare what was reported with the list."""
    prices = panel()
    truth = read_truth(data_folder("market") / "panel_a_suspect_returns.csv", prices.columns)
    floors = {"min_print": options.min_print, "min_jump": options.min_jump}
    # Nothing is dropped, so that every row of the list can be found.
    kept = timed(partial(clean_prices, prices, late_listings="keep", long_gaps="keep", **floors))
    usual = timed(partial(clean_prices, prices))
    results["texts"] = [
        f"{kept.seconds:.2f} s for {len(prices)} stocks x {prices.shape[1]} days, {floors}",
        judge(kept.outcome[1].events, truth).lines(),
        f"With the default policies ({usual.seconds:.2f} s):\n{usual.outcome[1]}",
    ]
    yield results["texts"]


FLOORS = {"--min-print": 8.0, "--min-jump": 16.0}
OPTIONS = {option: {"type": float, "default": default} for option, default in FLOORS.items()}
BENCHMARK = Benchmark("clean_prices", __doc__, measure, options=OPTIONS)

if __name__ == "__main__":
    raise SystemExit(BENCHMARK.main())
