"""Growth of a fit's cost with the number of series, timepoints, clusters and threads.

    python -m benchmarks.scaling                curves of ours and of plain NumPy, and one or two threads
    python -m benchmarks.scaling --million      cost per pair and memory at a million series as well
    python -m benchmarks.scaling --quick        small sizes, to see that it works

Fits run for a fixed number of steps from given centers, on random walks on common factors. The figures are
times per step. With an exponent of 1, twice the size takes twice the time.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from scipy import fft

from benchmarks import plain
from benchmarks._arena import contest, in_turns
from benchmarks._data import factor_walks
from benchmarks._frame import Benchmark, Results
from benchmarks._pictures import draw_scaling
from benchmarks._report import Block, Check, Columns, Row, Table, check, figure, megabytes, percent, seconds
from shapecluster import LocalKShape

STEPS = 10
MEMORY_BEYOND_INPUT = 64e6
"""Bytes of extra memory that a fit may need, in addition to the size of the input."""

SIZES = {
    "series": (500, 1000, 2000, 4000, 8000, 16000),
    "timepoints": (64, 128, 256, 512, 1024),
    "clusters": (2, 5, 10, 20, 40, 80),
}


OPTIONS = {
    "--repeats": {"type": int, "default": 3, "help": "turns each (default: 3)"},
    "--million": {"action": "store_true", "help": "a million series of 128 points as well"},
}


def measure(results: Results, options: argparse.Namespace) -> Iterator[list[Block]]:
    """Measure the curves, threads, and very many series if asked; former ones of these stay."""
    shrink = 10 if options.quick else 1
    results["steps"] = STEPS
    results["curves"] = {name: curve(name, options.repeats, shrink) for name in SIZES}
    results["threads"] = threads((20000 // shrink, 256, 20), options.repeats)
    if options.million:
        results["million"] = million(10000 // shrink, 1000000 // shrink)
    results["checks"] = [] if options.quick else checks_of(results)
    yield [*parts(results)["scaling"], results["checks"]]


# ------------------------------------------------------------------------------------------------ measures


def ours(X: np.ndarray, k: int, n_jobs: int = 1) -> int:
    """Fit LocalKShape, and return its steps including the first assignment."""
    return LocalKShape(k, init=X[:k], max_iter=STEPS, tol=0.0, n_jobs=n_jobs).fit(X).n_iter_ + 1


def plain_numpy(X: np.ndarray, k: int) -> int:
    """Fit k-Shape in plain NumPy, and return its steps including the first assignment."""
    return plain.k_shape(X, X[:k], max_iter=STEPS, tol=0.0).n_iter + 1


def per_step(fits: dict[str, Callable[[], int]], repeats: int) -> dict[str, float]:
    """Median time per step of each fit. They take turns, and the first turn does not count."""
    entries = in_turns(fits, repeats=repeats + 1)
    return {name: statistics.median(entry.times[1:]) / entry.outcome for name, entry in entries.items()}


def curve(name: str, repeats: int, shrink: int) -> dict[str, Any]:
    """Time per step over one of the sizes, and the exponent of the best fit."""
    points = []
    for size in SIZES[name] if shrink == 1 else SIZES[name][:3]:
        usual = {"series": 2000 // shrink, "timepoints": 256, "clusters": 10}
        n_series, n_timepoints, k = (usual | {name: size}).values()
        X = factor_walks(n_series, n_timepoints)
        fits = {"ours": partial(ours, X, k), "plain NumPy": partial(plain_numpy, X, k)}
        points.append({"size": size, **per_step(fits, repeats)})
        times = ", ".join(f"{who} {seconds(points[-1][who])}" for who in fits)
        print(f"{size} {name}: {times}", flush=True)
    # A straight line on logarithmic axes has the exponent as its slope.
    logs = np.log([[point["size"], *(point[who] for who in fits)] for point in points])
    slopes = np.polyfit(logs[:, 0], logs[:, 1:], 1)[0]
    return {"points": points, "exponents": dict(zip(fits, slopes, strict=True))}


def threads(size: tuple[int, int, int], repeats: int) -> dict[str, Any]:
    """Time per step with one and two threads, and of plain transforms, which show the machine's limit."""
    n_series, n_timepoints, k = size
    X = factor_walks(n_series, n_timepoints)
    spectra = fft.rfft(X, n=2 * n_timepoints)

    def plain_transforms(workers: int) -> int:
        return sum(len(fft.irfft(spectra, workers=workers)) > 0 for _ in range(10))

    taken = per_step(
        {
            **{f"{n}": partial(ours, X, k, n) for n in (1, 2)},
            **{f"plain {n}": partial(plain_transforms, n) for n in (1, 2)},
        },
        repeats,
    )
    ratios = {"ratio": taken["1"] / taken["2"], "plain ratio": taken["plain 1"] / taken["plain 2"]}
    return {"size": size, "seconds": taken, **ratios}


def million(few: int, many: int) -> dict[str, Any]:
    """Cost per pair of series and center, and memory, for few series and for very many."""
    points = []
    for n_series, repeats in ((few, 5), (many, 1)):
        size = {"n_series": n_series, "n_timepoints": 128, "k": 50}
        small = size | {"n_series": 200}
        entry = contest({"ours": fit_of_size}, size, small, repeats=repeats, budget=math.inf)["ours"]
        n_pairs, n_correlations, n_bytes = entry.outcome
        figures = {
            "seconds": entry.seconds,
            "seconds_per_pair": entry.seconds / n_pairs,
            "pairs": n_correlations / n_pairs,
            "input_bytes": n_bytes,
            "peak_bytes": entry.peak,
            "allowed_bytes": n_bytes + MEMORY_BEYOND_INPUT,
        }
        points.append(size | figures)
        print(f"{n_series} series: {points[-1]}", flush=True)
    return {"points": points, "ratio": points[1]["seconds_per_pair"] / points[0]["seconds_per_pair"]}


def fit_of_size(size: dict[str, int]) -> Callable[[], tuple[int, int, int]]:
    """Draw float32 series, and return their fit: numbers of pairs and of correlations, and bytes of input."""
    n_series, n_timepoints, k = size.values()
    X = factor_walks(n_series, n_timepoints, dtype=np.float32)
    model = LocalKShape(k, init=X[:k].copy(), max_iter=STEPS, tol=0.0)

    def fit() -> tuple[int, int, int]:
        model.fit(X)
        return n_series * k * (model.n_iter_ + 1), model.n_correlations_, X.nbytes

    return fit


def checks_of(results: Results) -> list[Check]:
    """Targets of threads, and of very many series."""
    checks = [check("two threads faster than one by", results["threads"]["ratio"], ">=", 1.7)]
    if "million" in results:
        ratio, many = results["million"]["ratio"], results["million"]["points"][1]
        peak, allowed = many["peak_bytes"] / 1e6, many["allowed_bytes"] / 1e6
        checks.append(check("cost per pair, very many series over few", ratio, "<=", 1.2))
        checks.append(check("MB above the input of very many series", peak, "<=", allowed))
    return checks


# -------------------------------------------------------------------------------------------------- report


def _exponent(who: str) -> Callable[[Row], str]:
    return lambda row: figure(row["exponents"][who], 3)


EXPONENTS: Columns = {
    "grows": lambda row: row["name"],
    "from, to": lambda row: f"{row['points'][0]['size']} to {row['points'][-1]['size']}",
    "exponent, ours": _exponent("ours"),
    "exponent, plain NumPy": _exponent("plain NumPy"),
}
MILLION: Columns = {
    "series": lambda row: f"{row['n_series']:,}",
    "time": lambda row: seconds(row["seconds"]),
    "per pair": lambda row: f"{1e9 * row['seconds_per_pair']:.0f} ns",
    "pairs transformed": lambda row: percent(row["pairs"]),
    "input": lambda row: megabytes(row["input_bytes"]),
    "peak above it": lambda row: megabytes(row["peak_bytes"]),
    "allowed": lambda row: megabytes(row["allowed_bytes"]),
}


def parts(results: Results) -> dict[str, list[Block]]:
    """Exponents, threads, and very many series if they were measured."""
    found = results["threads"]
    n_series, n_timepoints, k = found["size"]
    blocks: list[Block] = [
        Table("Exponents", EXPONENTS, [{"name": name, **each} for name, each in results["curves"].items()]),
        f"{n_series:,} series of {n_timepoints} points, k = {k}: two threads are {found['ratio']:.2f} times "
        "as fast as one. Plain transforms, which share nothing, are "
        f"{found['plain ratio']:.2f} times as fast on two threads of this machine.",
    ]
    if "million" in results:
        blocks += [
            Table("Very many series, float32", MILLION, results["million"]["points"]),
            f"Cost per pair, very many series over few: {results['million']['ratio']:.2f}.",
        ]
    return {"scaling": blocks}


BENCHMARK = Benchmark("scaling", __doc__, measure, parts, OPTIONS, draw_scaling)

if __name__ == "__main__":
    raise SystemExit(BENCHMARK.main())
