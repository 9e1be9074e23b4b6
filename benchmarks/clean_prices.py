"""Precision and recall of clean_prices on suspect prices of the real panel.

    python benchmarks/clean_prices.py [FOLDER] [--min-print 8] [--min-jump 16]

FOLDER contains market/panel_a_*. Its default is $SHAPECLUSTER_TEST_DATA, or ../shared/data next to the
repository. tests/prices/suspects.py explains the list of suspect returns.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from shapecluster.prices import clean_prices, load_prices  # noqa: E402
from tests.prices.suspects import measure, read_truth  # noqa: E402


def main() -> int:
    """Measure and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = os.environ.get("SHAPECLUSTER_TEST_DATA", ROOT.parent / "shared" / "data")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(default))
    parser.add_argument("--min-print", type=float, default=8.0)
    parser.add_argument("--min-jump", type=float, default=16.0)
    options = parser.parse_args()
    market = options.folder / "market"
    if not market.is_dir():
        print(f"There is no {market}: name the folder that holds market/.", file=sys.stderr)
        return 2
    panel = load_prices(market / "panel_a_sp500_close_2013_2018.parquet")
    truth = read_truth(market / "panel_a_suspect_returns.csv", panel.columns)
    began = time.perf_counter()
    # Nothing is dropped, so that every row of the list can be found.
    _, report = clean_prices(
        panel,
        late_listings="keep",
        long_gaps="keep",
        min_print=options.min_print,
        min_jump=options.min_jump,
    )
    print(f"{time.perf_counter() - began:.2f} s for {panel.shape[0]} stocks x {panel.shape[1]} days")
    print("\n".join(measure(report.events, truth).lines()))
    began = time.perf_counter()
    _, report = clean_prices(panel)
    print(f"\nWith the default policies ({time.perf_counter() - began:.2f} s):\n{report}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
