"""Growth of a fit's cost with the number of series, timepoints, clusters and threads.

    python -m benchmarks.scaling                curves of ours and of plain NumPy, and one or two threads
    python -m benchmarks.scaling --million      cost per pair and memory at a million series as well
    python -m benchmarks.scaling --quick        small sizes, to see that it works

Fits run for a fixed number of steps from given centers, on random walks on common factors. The figures are
times per step. With an exponent of 1, twice the size takes twice the time.
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import fft

from benchmarks import plain
from benchmarks._common import (
    Check,
    PeakMemory,
    check,
    check_text,
    environment,
    factor_walks,
    figure,
    in_one_thread,
    load,
    markdown_table,
    parse,
    parser_of,
    save,
    seconds,
)
from benchmarks.curves import draw
from shapecluster import LocalKShape

STEPS = 10
MEMORY_BEYOND_INPUT = 64e6
"""Bytes of extra memory that a fit may need, in addition to the size of the input."""

Size = tuple[int, int, int]  # series, timepoints, clusters
SIZES: dict[str, tuple[int, Sequence[int]]] = {
    "series": (0, (500, 1000, 2000, 4000, 8000, 16000)),
    "timepoints": (1, (64, 128, 256, 512, 1024)),
    "clusters": (2, (2, 5, 10, 20, 40, 80)),
}
USUAL: Size = (2000, 256, 10)


def main() -> int:
    """Measure, draw and write."""
    parser = parser_of("scaling", __doc__)
    parser.add_argument("--repeats", type=int, default=3, help="turns each (default: 3)")
    parser.add_argument("--million", action="store_true", help="a million series of 128 points as well")
    options = parse(parser)
    in_one_thread("benchmarks.scaling")
    shrink = 10 if options.quick else 1
    former = load("scaling", options.out) or {}
    results: dict[str, Any] = {"quick": options.quick, "environment": environment(), "steps": STEPS}
    results["curves"] = {name: curve(name, options.repeats, shrink) for name in SIZES}
    results["threads"] = threads((20000 // shrink, 256, 20), options.repeats)
    if options.million:
        results["million"] = million(10000 // shrink, 1000000 // shrink)
    elif "million" in former and former["quick"] == options.quick:
        results["million"] = former["million"]
    results["checks"] = [] if options.quick else checks_of(results)
    text = markdown_of(results)
    print(f"\n{text}")
    save("scaling", results, text, options.out)
    draw(results["curves"], options.out / "scaling")
    return 0


# ------------------------------------------------------------------------------------------------ measures


def ours(X: np.ndarray, k: int, n_jobs: int = 1) -> int:
    """Fit LocalKShape, and return its steps including the first assignment."""
    return LocalKShape(k, init=X[:k], max_iter=STEPS, tol=0.0, n_jobs=n_jobs).fit(X).n_iter_ + 1


def plain_numpy(X: np.ndarray, k: int) -> int:
    """Fit k-Shape in plain NumPy, and return its steps including the first assignment."""
    return plain.k_shape(X, X[:k], max_iter=STEPS, tol=0.0).n_iter + 1


def per_step(fits: dict[str, Callable[[], int]], repeats: int) -> dict[str, float]:
    """Median time per step of each fit. They take turns, and the first turn does not count."""
    times: dict[str, list[float]] = {name: [] for name in fits}
    for turn in range(repeats + 1):  # turn 0 warms caches up
        for name, fit in fits.items():
            began = time.perf_counter()
            steps = fit()
            if turn:
                times[name].append((time.perf_counter() - began) / steps)
    return {name: statistics.median(taken) for name, taken in times.items()}


def curve(name: str, repeats: int, shrink: int) -> dict[str, Any]:
    """Time per step over one of the sizes, and the exponent of the best fit."""
    position, sizes = SIZES[name]
    n_series, n_timepoints, k = USUAL
    points = []
    for size in sizes if shrink == 1 else sizes[:3]:
        chosen = [n_series // shrink, n_timepoints, k]
        chosen[position] = size
        X = factor_walks(chosen[0], chosen[1])
        fits = {
            "ours": lambda X=X, k=chosen[2]: ours(X, k),
            "plain NumPy": lambda X=X, k=chosen[2]: plain_numpy(X, k),
        }
        points.append({"size": size, **per_step(fits, repeats)})
        print(
            f"{size} {name}: {seconds(points[-1]['ours'])}, plain {seconds(points[-1]['plain NumPy'])}",
            flush=True,
        )
    logs = np.log([[p["size"], p["ours"], p["plain NumPy"]] for p in points])
    # A straight line on logarithmic axes has the exponent as its slope.
    slopes = np.polyfit(logs[:, 0], logs[:, 1:], 1)[0]
    return {"points": points, "exponents": {"ours": slopes[0], "plain NumPy": slopes[1]}}


def threads(size: Size, repeats: int) -> dict[str, Any]:
    """Time per step with one and two threads, and of plain transforms, which show the machine's limit."""
    X = factor_walks(size[0], size[1])
    spectra = fft.rfft(X, n=2 * size[1])

    def plain_transforms(workers: int) -> int:
        return sum(len(fft.irfft(spectra, workers=workers)) > 0 for _ in range(10))

    taken = per_step(
        {
            "1": lambda: ours(X, size[2], 1),
            "2": lambda: ours(X, size[2], 2),
            "plain 1": lambda: plain_transforms(1),
            "plain 2": lambda: plain_transforms(2),
        },
        repeats,
    )
    return {
        "size": size,
        "seconds": taken,
        "ratio": taken["1"] / taken["2"],
        "plain ratio": taken["plain 1"] / taken["plain 2"],
    }


def million(few: int, many: int) -> dict[str, Any]:
    """Cost per pair of series and center, and memory, for few series and for very many."""
    context = multiprocessing.get_context("spawn")
    points = []
    for n_series, repeats in ((few, 5), (many, 1)):
        with context.Pool(1) as pool:  # a new process, because peak memory is counted per process
            points.append(pool.apply(_cost_per_pair, (n_series, 128, 50, repeats)))
        print(f"{n_series} series: {points[-1]}", flush=True)
    return {"points": points, "ratio": points[1]["seconds_per_pair"] / points[0]["seconds_per_pair"]}


def _cost_per_pair(n_series: int, n_timepoints: int, k: int, repeats: int) -> dict[str, Any]:
    small = factor_walks(200, n_timepoints, dtype=np.float32)
    LocalKShape(k, init=small[:k], max_iter=2).fit(small)  # so that imports count neither as time nor memory
    X = factor_walks(n_series, n_timepoints, dtype=np.float32)
    model = LocalKShape(k, init=X[:k].copy(), max_iter=STEPS, tol=0.0)
    times, peaks = [], []
    for _ in range(repeats):
        began = time.perf_counter()
        with PeakMemory() as memory:
            model.fit(X)
        times.append(time.perf_counter() - began)
        peaks.append(memory.bytes)
    n_pairs = n_series * k * (model.n_iter_ + 1)
    return {
        "n_series": n_series,
        "n_timepoints": n_timepoints,
        "k": k,
        "seconds": statistics.median(times),
        "seconds_per_pair": statistics.median(times) / n_pairs,
        "pairs": model.n_correlations_ / n_pairs,
        "input_bytes": X.nbytes,
        "peak_bytes": peaks[0],
        "allowed_bytes": X.nbytes + MEMORY_BEYOND_INPUT,
    }


def checks_of(results: dict[str, Any]) -> list[Check]:
    """Targets of threads, and of very many series."""
    checks = [check("two threads faster than one by", results["threads"]["ratio"], ">=", 1.7)]
    if "million" in results:
        many = results["million"]["points"][1]
        memory = (many["peak_bytes"] / 1e6, "<=", many["allowed_bytes"] / 1e6)
        checks.append(
            check("cost per pair, very many series over few", results["million"]["ratio"], "<=", 1.2)
        )
        checks.append(check("MB above the input of very many series", *memory))
    return checks


# -------------------------------------------------------------------------------------------------- tables


def exponent_lines(results: dict[str, Any]) -> list[list[str]]:
    """One row per size: its range, and the exponents."""
    lines = []
    for name, found in results["curves"].items():
        sizes = [point["size"] for point in found["points"]]
        exponents = [figure(found["exponents"][who], 3) for who in ("ours", "plain NumPy")]
        lines.append([name, f"{sizes[0]} to {sizes[-1]}", *exponents])
    return lines


def million_lines(results: dict[str, Any]) -> list[list[str]]:
    """One row per number of series: time, cost per pair, memory."""
    return [
        [
            f"{point['n_series']:,}",
            seconds(point["seconds"]),
            f"{1e9 * point['seconds_per_pair']:.0f} ns",
            f"{point['pairs']:.1%}",
            *(f"{point[key] / 1e6:,.0f} MB" for key in ("input_bytes", "peak_bytes", "allowed_bytes")),
        ]
        for point in results["million"]["points"]
    ]


EXPONENTS_HEADER = ["grows", "from, to", "exponent, ours", "exponent, plain NumPy"]
MILLION_HEADER = ["series", "time", "per pair", "pairs transformed", "input", "peak above it", "allowed"]


def threads_in_words(results: dict[str, Any]) -> str:
    """The gain of a second thread, in words."""
    n_series, n_timepoints, k = results["threads"]["size"]
    return (
        f"{n_series:,} series of {n_timepoints} points, k = {k}: two threads are "
        f"{results['threads']['ratio']:.2f} times as fast as one. Plain transforms, which share nothing, are "
        f"{results['threads']['plain ratio']:.2f} times as fast on two threads of this machine."
    )


def million_in_words(results: dict[str, Any]) -> str:
    """The two costs per pair, in words."""
    return f"Cost per pair, very many series over few: {results['million']['ratio']:.2f}."


def markdown_of(results: dict[str, Any]) -> str:
    """The complete result page."""
    parts = [markdown_table(EXPONENTS_HEADER, exponent_lines(results)), threads_in_words(results)]
    if "million" in results:
        parts.append(markdown_table(MILLION_HEADER, million_lines(results)))
        parts.append(million_in_words(results))
    parts.append("\n".join(f"- {check_text(each)}" for each in results["checks"]))
    return "\n\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
