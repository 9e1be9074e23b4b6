"""Speed of write_recordio, also relative to one protobuf message per row.

    python -m benchmarks.recordio [--rows 200000] [--columns 251]

The slow writer of tests/reference/recordio.py gets a tenth of the rows. The bytes are compared, too.
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
import tracemalloc
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from benchmarks._arena import in_turns
from benchmarks._frame import Benchmark, Results
from benchmarks._report import Block, check
from shapecluster.formats import read_recordio, write_recordio
from tests.reference.recordio import write_rows

SLOW, FAST = "a message for every row, into memory", "write_recordio, the same rows"


def measure(results: Results, options: argparse.Namespace) -> Iterator[list[Block]]:
    """Compare the bytes, then measure speed and memory."""
    n_rows = options.rows // (100 if options.quick else 1)
    X = np.random.default_rng(0).standard_normal((n_rows, options.columns), dtype=np.float32)
    wide, some = X.astype(np.float64), X[: max(1, n_rows // 10)]
    slow, fast = io.BytesIO(), io.BytesIO()
    write_rows(slow, some)
    write_recordio(fast, some)
    differ = slow.getvalue() != fast.getvalue()
    with tempfile.TemporaryFile() as file, open(os.devnull, "wb") as nowhere:

        def rewound() -> BinaryIO:
            file.seek(0)
            return file

        def read() -> None:
            read_recordio(rewound())  # nothing is kept, so that every turn finds the same memory

        write_recordio(file, X)
        work = {
            SLOW: (some, lambda: write_rows(io.BytesIO(), some)),
            FAST: (some, lambda: write_recordio(io.BytesIO(), some)),
            "write_recordio, nowhere": (X, lambda: write_recordio(nowhere, X)),
            "write_recordio of float64, nowhere": (wide, lambda: write_recordio(nowhere, wide)),
            "write_recordio, into a file": (X, lambda: write_recordio(rewound(), X)),
            "read_recordio, from it": (X, read),
        }
        entries = in_turns({name: call for name, (_, call) in work.items()}, repeats=5)
        tracemalloc.start()  # after the timings, which it would slow down
        write_recordio(nowhere, X)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    rates = {name: rows.nbytes / 1e6 / min(entries[name].times) for name, (rows, _) in work.items()}
    results["checks"] = [check("slow and fast bytes that differ", float(differ), "<=", 0, must=True)]
    results["texts"] = [
        f"{n_rows:,} x {options.columns} float32, {X.nbytes / 1e6:,.0f} MB",
        [f"{name}: {rate:,.0f} MB/s" for name, rate in rates.items()],
        f"{FAST}: {rates[FAST] / rates[SLOW]:,.0f} times the rate of {SLOW}",
        f"peak memory above the input: {peak / 1e6:,.1f} MB",
    ]
    yield [*results["texts"], results["checks"]]


OPTIONS = {"--rows": {"type": int, "default": 200_000}, "--columns": {"type": int, "default": 251}}
BENCHMARK = Benchmark("recordio", __doc__, measure, options=OPTIONS)

if __name__ == "__main__":
    raise SystemExit(BENCHMARK.main())
