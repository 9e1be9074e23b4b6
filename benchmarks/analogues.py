"""Historical analogues on every window of panel A: time, memory, and recall with all exclusions.

    python -m benchmarks.analogues            half a million windows of 126 days, in some minutes
    python -m benchmarks.analogues --quick    a tenth of the stocks
    python -m benchmarks.analogues --page     writes the parts of docs/guide/analogues.rst, too

One thread; times are processor times. Recall is measured against the exact search, which is first compared
with a brute-force search over all distances.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd

from benchmarks._common import (
    ROOT,
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
from benchmarks.page import table
from shapecluster import HistoricalAnalogues
from shapecluster.analogues._windows import Windows, suppress_overlaps
from shapecluster.metrics import sbd_distances
from shapecluster.plotting import AnaloguesDisplay
from shapecluster.prices import load_prices

N_PROBE = (4, 8, 16, 32, 64, 128)
WANTED = 10
N_BRUTE = 5
HEADER = ("cells", "a search", "all distances, over it", "a question", "recall, last day", "recall, any day")
TICKER, AS_OF = "AAPL", "2018-02-07"
PAGE = ROOT / "docs" / "guide" / "_analogues"


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the processor time of a call in seconds, and its result."""
    began = time.process_time()
    outcome = work()
    return time.process_time() - began, outcome


def brute(past: HistoricalAnalogues, tickers: list[str]) -> tuple[float, list[pd.DataFrame]]:
    """Search by all distances: seconds per query, and the analogues."""
    panel, windows = past._panel, past._windows
    rows = panel.values_of(windows)
    answers, spent = [], 0.0
    end = len(panel.days) - 1
    for ticker in tickers:
        own = panel.tickers.get_loc(ticker)
        query = panel.query_values(panel.prices[own, -panel.window :])
        took, sbd = timed(lambda query=query: sbd_distances(query, rows, max_shift=past.max_shift)[0])
        spent += took
        eligible = (windows.ends < end) & ((windows.rows != own) | (end - windows.ends > panel.window // 2))
        order = np.flatnonzero(eligible)[np.argsort(sbd[eligible], kind="stable")]
        ordered: Windows = windows.subset(order)
        best = ordered.subset(suppress_overlaps(ordered, WANTED, panel.window // 2))
        answers.append(pd.DataFrame({"ticker": panel.tickers[best.rows], "end": panel.days[best.ends]}))
    return spent / len(tickers), answers


def measure(past: HistoricalAnalogues, prices: pd.DataFrame, n_queries: int) -> dict[str, Any]:
    """Fit the model, and measure all figures."""
    with PeakMemory() as fitting:
        took, _ = timed(lambda: past.fit(prices))
    results: dict[str, Any] = {
        "tickers": len(prices),
        "windows": past.n_windows_,
        "left_out": past.left_out_.sum().to_dict(),
        "cells": len(past.index_.cluster_centers_),
        "fit_seconds": took,
        "fit_peak_bytes": fitting.bytes,
        "n_queries": n_queries,
    }
    print(results)
    complete = prices.index[prices.iloc[:, -past.window :].notna().all(axis=1)]
    tickers = np.random.default_rng(0).permutation(complete)[:n_queries].tolist()
    brute_seconds, truth = brute(past, tickers[:N_BRUTE])
    exact = [past.analogues(ticker, WANTED, exact=True).table for ticker in tickers[:N_BRUTE]]
    same = [e[["ticker", "end"]].equals(t) for e, t in zip(exact, truth, strict=True)]
    results |= {"brute_seconds": brute_seconds, "exact_equals_brute": sum(same), "brute_queries": len(same)}
    results["searches"] = []
    for n_probe in (*(n for n in N_PROBE if n < results["cells"]), None):
        options = {"exact": True} if n_probe is None else {"n_probe": n_probe}
        times = [timed(lambda t=t, o=options: past.analogues(t, WANTED, **o))[0] for t in tickers]
        asked = [past._panel.resolve(ticker, None) for ticker in tickers]
        queries = [(one.window, past._panel.query_values(one.prices)) for one in asked]
        search = [
            timed(lambda q=q, o=options: past._past_windows().search(*q, WANTED, **o))[0] for q in queries
        ]
        row: dict[str, Any] = {
            "n_probe": n_probe,
            "search_seconds": float(np.median(search)),
            "query_seconds": float(np.median(times)),
        }
        if n_probe is not None:
            for name, as_of in (("last_day", prices.columns[-1]), ("any_day", None)):
                found = past.recall(WANTED, n_probe=n_probe, as_of=as_of, n_samples=n_queries)
                row[name] = found._asdict()
        results["searches"].append(row)
        print(row)
    return results


def in_words(results: dict[str, Any]) -> str:
    """Describe the data, the fit and the figures in sentences."""
    n_missing, n_flat = results["left_out"]["missing"], results["left_out"]["flat"]
    return (
        f"{results['windows']:,} windows of 126 days of {results['tickers']} stocks in {results['cells']} "
        f"cells; {n_missing:,} with a gap were left out, and {n_flat:,} without a move. To fit them took "
        f"{seconds(results['fit_seconds'])} of one processor and {results['fit_peak_bytes'] / 1e9:.2f} GB at "
        f"most. All distances of one query take {seconds(results['brute_seconds'])} by `sbd_distances`, "
        "which normalizes all windows each time; the exact search gave the same "
        f"{WANTED} analogues for {results['exact_equals_brute']} of {results['brute_queries']} "
        f"queries. Recall is that of {results['n_queries']} queries, with its standard error: of tickers "
        "asked about on the last day, and of windows of any ticker and day, asked about on their own last "
        "day. A question is a search, what followed, and the base rates."
    )


def lines_of(results: dict[str, Any]) -> list[list[str]]:
    """One row per search."""

    def share(found: dict[str, Any] | None) -> str:
        return f"{found['recall']:.3f} ± {found['error']:.3f}" if found else "1"

    return [
        [
            "exact" if row["n_probe"] is None else str(row["n_probe"]),
            seconds(row["search_seconds"]),
            figure(results["brute_seconds"] / row["search_seconds"], 3),
            seconds(row["query_seconds"]),
            share(row.get("last_day")),
            share(row.get("any_day")),
        ]
        for row in results["searches"]
    ]


def write_page(past: HistoricalAnalogues, results: dict[str, Any]) -> None:
    """Write the parts of the guide: the figures, and one answer as text and as a picture."""
    PAGE.mkdir(parents=True, exist_ok=True)
    caption = f"Recall at {WANTED} and time of a question"
    text = f"{in_words(results)}\n\n{table(caption, HEADER, lines_of(results))}"
    answer = past.analogues(TICKER, WANTED, as_of=AS_OF)
    asked = f'>>> answer = past.analogues("{TICKER}", as_of="{AS_OF}")'
    question = (
        f"{results['tickers']} stocks of the S&P 500 from {past.prices_.columns[0]:%B %Y} to "
        f"{past.prices_.columns[-1]:%B %Y}, with all defaults. Which half years looked like that of {TICKER} "
        f"until {answer.as_of:%d %B %Y}?\n\n.. code-block:: python\n\n   {asked}"
    )
    shown = [
        answer.table.to_string(index=False, float_format="{:.3f}".format),
        answer.summary.to_string(float_format="{:.3f}".format),
    ]
    parts = {"figures.inc": text, "question.inc": question, "answer.txt": "\n\n".join(shown)}
    for name, part in parts.items():
        (PAGE / name).write_text(part.rstrip() + "\n", encoding="utf-8")
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "shapecluster"}):
        figure_ = AnaloguesDisplay.from_answer(answer).figure_
        figure_.savefig(PAGE / "answer.svg", metadata={"Date": None})  # the same picture gives the same file
    print(f"Written: {PAGE.relative_to(ROOT)}")


def main() -> int:
    """Measure, print and save."""
    parser = parser_of("analogues", __doc__)
    parser.add_argument("--any-shift", action="store_true", help="let windows be moved by any number of days")
    parser.add_argument("--page", action="store_true", help="write the parts of the guide's page")
    options = parse(parser)
    if options.page and options.quick:
        parser.error("--page shows figures of full size: leave out --quick")
    in_one_thread("benchmarks.analogues")
    prices = load_prices(data_folder() / "market" / "panel_a_sp500_close_2013_2018.parquet")
    past = HistoricalAnalogues(max_shift=None if options.any_shift else 0, random_state=0)
    results = measure(past, prices.iloc[::10] if options.quick else prices, 30 if options.quick else 100)
    results["environment"] = environment()
    text = f"{in_words(results)}\n\n{markdown_table(HEADER, lines_of(results))}"
    print(f"\n{text}")
    save("analogues", results, text, options.out)
    if options.page:
        write_page(past, results)
    return 0 if results["exact_equals_brute"] == results["brute_queries"] else 1


if __name__ == "__main__":
    sys.exit(main())
