"""Speed of write_recordio, also relative to one protobuf message per row.

    python -m benchmarks.recordio [--rows 200000] [--columns 251]

The slow writer of tests/reference/recordio.py gets a tenth of the rows. The bytes are compared, too.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import tracemalloc
from collections.abc import Iterator

import numpy as np

from benchmarks._arena import in_turns
from benchmarks._frame import Benchmark, Results
from benchmarks._report import Block, Columns, Table, check
from shapecluster.formats import read_recordio, write_recordio
from tests.reference.recordio import write_rows

REPEATS = 5
SLOW, FAST = "a message for every row, into memory", "write_recordio, the same rows"


class NullFile:
    """A file that discards what is written to it."""

    def write(self, data: memoryview) -> int:
        """Discard the bytes."""
        return len(data)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--columns", type=int, default=251)


def measure(results: Results, options: argparse.Namespace) -> Iterator[list[Block]]:
    """Compare the bytes, then measure speed and memory."""
    n_rows = options.rows // (100 if options.quick else 1)
    X = np.random.default_rng(0).standard_normal((n_rows, options.columns), dtype=np.float32)
    wide, some = X.astype(np.float64), X[: max(1, n_rows // 10)]
    slow, fast = io.BytesIO(), io.BytesIO()
    write_rows(slow, some)
    write_recordio(fast, some)
    differ = slow.getvalue() != fast.getvalue()
    with tempfile.TemporaryFile() as file:

        def write() -> None:
            file.seek(0)
            write_recordio(file, X)

        def read() -> None:
            file.seek(0)
            read_recordio(file)

        write()
        work = {
            SLOW: (some.nbytes, lambda: write_rows(io.BytesIO(), some)),
            FAST: (some.nbytes, lambda: write_recordio(io.BytesIO(), some)),
            "write_recordio, nowhere": (X.nbytes, lambda: write_recordio(NullFile(), X)),
            "write_recordio of float64, nowhere": (wide.nbytes, lambda: write_recordio(NullFile(), wide)),
            "write_recordio, into a file": (X.nbytes, write),
            "read_recordio, from it": (X.nbytes, read),
        }
        entries = in_turns({name: call for name, (_, call) in work.items()}, repeats=REPEATS)
    rates = {name: work[name][0] / 1e6 / min(entry.times) for name, entry in entries.items()}
    tracemalloc.start()  # after the timings, which it would slow down
    write_recordio(NullFile(), X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    results |= {
        "shape": X.shape,
        "rates": [{"name": name, "rate": rate} for name, rate in rates.items()],
        "ratio": rates[FAST] / rates[SLOW],
        "peak": peak,
        "checks": [check("slow and fast bytes that differ", float(differ), "<=", 0, must=True)],
    }
    yield [*parts(results)["recordio"], results["checks"]]


RATES: Columns = {
    "": lambda row: row["name"],
    "MB/s": lambda row: f"{row['rate']:,.0f}",
}


def parts(results: Results) -> dict[str, list[Block]]:
    """A table of rates, the ratio to the slow writer, and the memory."""
    n_rows, n_columns = results["shape"]
    caption = f"{n_rows:,} x {n_columns} float32, {4 * n_rows * n_columns / 1e6:,.0f} MB"
    facts = [
        f"ratio on the same rows: {results['ratio']:,.0f}",
        f"peak memory above the input: {results['peak'] / 1e6:,.1f} MB",
    ]
    return {"recordio": [Table(caption, RATES, results["rates"]), facts]}


BENCHMARK = Benchmark("recordio", __doc__, measure, parts, add_options)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
