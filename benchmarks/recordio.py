"""Speed of write_recordio, also relative to one protobuf message per row.

    python benchmarks/recordio.py [--rows 200000] [--columns 251]

The slow writer of tests/reference/recordio.py gets a tenth of the rows. The bytes are compared, too.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from shapecluster.formats import read_recordio, write_recordio  # noqa: E402
from tests.reference.recordio import write_rows  # noqa: E402

REPEATS = 5


class NullFile:
    """A file that discards what is written to it."""

    def write(self, data: memoryview) -> int:
        """Discard the bytes."""
        return len(data)


def fastest(work: Callable[[], object]) -> float:
    """Minimum time of several calls in seconds."""
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def main() -> int:
    """Measure and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--columns", type=int, default=251)
    options = parser.parse_args()
    X = np.random.default_rng(0).standard_normal((options.rows, options.columns), dtype=np.float32)
    wide = X.astype(np.float64)
    some = X[: max(1, options.rows // 10)]
    mb = X.nbytes / 1e6

    slow, fast = io.BytesIO(), io.BytesIO()
    write_rows(slow, some)
    write_recordio(fast, some)
    if slow.getvalue() != fast.getvalue():
        print("The bytes differ.", file=sys.stderr)
        return 1

    rates = {
        "a message for every row, into memory": some.nbytes
        / 1e6
        / fastest(lambda: write_rows(io.BytesIO(), some)),
        "write_recordio, the same rows": some.nbytes
        / 1e6
        / fastest(lambda: write_recordio(io.BytesIO(), some)),
        "write_recordio, nowhere": mb / fastest(lambda: write_recordio(NullFile(), X)),
        "write_recordio of float64, nowhere": 2 * mb / fastest(lambda: write_recordio(NullFile(), wide)),
    }
    with tempfile.TemporaryFile() as file:

        def write() -> None:
            file.seek(0)
            write_recordio(file, X)

        def read() -> None:
            file.seek(0)
            read_recordio(file)

        rates["write_recordio, into a file"] = mb / fastest(write)
        rates["read_recordio, from it"] = mb / fastest(read)
    tracemalloc.start()  # after the timings, which it would slow down
    write_recordio(NullFile(), X)
    peak = tracemalloc.get_traced_memory()[1]

    print(f"{options.rows:,} x {options.columns} float32, {mb:,.0f} MB")
    for name, rate in rates.items():
        print(f"{name:40s}{rate:10,.0f} MB/s")
    slowest, ours = list(rates.values())[:2]
    print(f"{'ratio on the same rows':40s}{ours / slowest:10,.0f}")
    print(f"{'peak memory above the input':40s}{peak / 1e6:10,.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
