"""Historical analogues on every window of panel A: time, memory, and recall with all exclusions on.

    python -m benchmarks.analogues            half a million windows of 126 days, in about ten minutes
    python -m benchmarks.analogues --quick    a tenth of the stocks

One thread; times are the processor's. True analogues are those of the exact search, which is held against all
distances first.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._common import (
    PeakMemory,
    data_folder,
    environment,
    figure,
    in_one_thread,
    markdown_table,
    parse,
    parser_of,
    save,
    seconds,
)
from shapecluster import HistoricalAnalogues
from shapecluster.datasets import load_prices
from shapecluster.metrics import sbd_distances
from shapecluster.neighbors._windows import Windows, episodes

N_PROBE = (4, 8, 16, 32, 64, 128)
WANTED = 10


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of the processor that it took, and what came out."""
    began = time.process_time()
    outcome = work()
    return time.process_time() - began, outcome


def brute(past: HistoricalAnalogues, tickers: list[str]) -> tuple[float, list[pd.DataFrame]]:
    """Seconds a query for all distances, and the analogues that they give."""
    panel, windows = past._panel, past._windows
    rows = panel.gathered(windows)
    answers, spent = [], 0.0
    end = len(panel.days) - 1
    for ticker in tickers:
        own = panel.tickers.get_loc(ticker)
        query = panel.compared(panel.prices[own, -panel.window :])
        took, sbd = timed(lambda query=query: sbd_distances(query, rows)[0])
        spent += took
        eligible = (windows.ends < end) & ((windows.rows != own) | (end - windows.ends > panel.window // 2))
        order = np.flatnonzero(eligible)[np.argsort(sbd[eligible], kind="stable")]
        ordered: Windows = windows.at(order)
        best = ordered.at(episodes(ordered, WANTED, panel.window // 2))
        answers.append(pd.DataFrame({"ticker": panel.tickers[best.rows], "end": panel.days[best.ends]}))
    return spent / len(tickers), answers


def measure(prices: pd.DataFrame, n_queries: int) -> dict[str, Any]:
    """All figures."""
    past = HistoricalAnalogues(random_state=0)
    with PeakMemory() as fitting:
        took, _ = timed(lambda: past.fit(prices))
    last = prices.columns[-1]
    results: dict[str, Any] = {
        "tickers": len(prices),
        "windows": past.n_windows_,
        "left_out": past.left_out_.sum().to_dict(),
        "cells": len(past.index_.cluster_centers_),
        "fit_seconds": took,
        "fit_peak_bytes": fitting.bytes,
        "n_queries": n_queries,
    }
    print({**results})
    complete = prices.index[prices.iloc[:, -past.window :].notna().all(axis=1)]
    tickers = np.random.default_rng(0).permutation(complete)[:n_queries].tolist()
    brute_seconds, truth = brute(past, tickers[:5])
    exact = [past.analogues(ticker, WANTED, exact=True).table for ticker in tickers[:5]]
    same = [e[["ticker", "end"]].equals(t) for e, t in zip(exact, truth, strict=True)]
    results |= {"brute_seconds": brute_seconds, "exact_equals_brute": sum(same), "brute_queries": len(same)}
    results["searches"] = []
    for n_probe in (*(n for n in N_PROBE if n < results["cells"]), None):
        options = {"exact": True} if n_probe is None else {"n_probe": n_probe}
        times = [timed(lambda t=t, o=options: past.analogues(t, WANTED, **o))[0] for t in tickers]
        row: dict[str, Any] = {"n_probe": n_probe, "query_seconds": float(np.median(times))}
        if n_probe is not None:
            row["last_day"] = past.recall(WANTED, n_probe=n_probe, as_of=last, sample=n_queries)._asdict()
            row["any_day"] = past.recall(WANTED, n_probe=n_probe, sample=n_queries)._asdict()
        results["searches"].append(row)
        print(row)
    return results


def told(results: dict[str, Any]) -> str:
    """The figures as one reads them."""
    left_out = results["left_out"]
    lines = [
        f"{results['windows']:,} windows of {results['tickers']} stocks in {results['cells']} cells, "
        f"one thread. Left out: {left_out['missing']:,} with a gap, {left_out['flat']:,} without a move.",
        "",
        f"Fit: {seconds(results['fit_seconds'])}, {results['fit_peak_bytes'] / 1e6:,.0f} MB at most. All "
        f"distances of one query: {seconds(results['brute_seconds'])}; the exact search gave the same "
        f"{WANTED} analogues for {results['exact_equals_brute']} of {results['brute_queries']} queries.",
        "",
    ]

    def share(found: dict[str, Any] | None) -> str:
        return f"{found['recall']:.3f} ± {found['error']:.3f}" if found else "1"

    table = [
        [
            "exact" if row["n_probe"] is None else str(row["n_probe"]),
            seconds(row["query_seconds"]),
            figure(results["brute_seconds"] / row["query_seconds"], 3),
            share(row.get("last_day")),
            share(row.get("any_day")),
        ]
        for row in results["searches"]
    ]
    header = [
        "cells looked at",
        "a question",
        "times all distances",
        "recall@10, last day",
        "recall@10, any day",
    ]
    return "\n".join(lines) + markdown_table(header, table)


def main() -> int:
    """Measure, print and save."""
    options = parse(parser_of("analogues", __doc__))
    in_one_thread("benchmarks.analogues")
    prices = load_prices(data_folder() / "market" / "panel_a_sp500_close_2013_2018.parquet")
    results = measure(prices.iloc[::10] if options.quick else prices, 30 if options.quick else 100)
    results["environment"] = environment()
    text = told(results)
    print(f"\n{text}")
    save("analogues", results, text, options.out)
    return 0 if results["exact_equals_brute"] == results["brute_queries"] else 1


if __name__ == "__main__":
    sys.exit(main())
