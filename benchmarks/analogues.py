"""Historical analogues on every window of panel A: time, memory, and recall with all exclusions.

    python -m benchmarks.analogues            half a million windows of 126 days, in some minutes
    python -m benchmarks.analogues --quick    a tenth of the stocks
    python -m benchmarks.analogues --page     writes the example of docs/guide/analogues.rst, too

One thread; times are processor times. Recall is measured against the exact search, which is first compared
with a brute-force search over all distances.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd

from benchmarks._arena import processor_time
from benchmarks._data import panel
from benchmarks._frame import ROOT, Benchmark, Results
from benchmarks._report import Block, Columns, Table, check, figure, seconds, with_error
from shapecluster import HistoricalAnalogues
from shapecluster._arrays import take
from shapecluster.analogues._windows import suppress_overlaps
from shapecluster.metrics import sbd_distances
from shapecluster.plotting import AnaloguesDisplay

N_PROBE = (4, 8, 16, 32, 64, 128)
WANTED = 10
N_BRUTE = 5
TICKER, AS_OF = "AAPL", "2018-02-07"

OPTIONS = {
    "--any-shift": {"action": "store_true", "help": "let windows be moved by any number of days"},
    "--page": {"action": "store_true", "help": "write the example of the guide's page"},
}


def measure(results: Results, options: argparse.Namespace) -> Iterator[list[Block]]:
    """Fit the model, and measure all figures."""
    if options.page and options.quick:
        sys.exit("--page shows an answer at full size: leave out --quick")
    prices = panel().iloc[:: 10 if options.quick else 1]
    n_queries = 30 if options.quick else 100
    past = HistoricalAnalogues(max_shift=None if options.any_shift else 0, random_state=0)
    fitting = processor_time(lambda: past.fit(prices))
    complete = prices.index[prices.iloc[:, -past.window :].notna().all(axis=1)]
    tickers = np.random.default_rng(0).permutation(complete)[:n_queries].tolist()
    brute_seconds, truth = brute(past, tickers[:N_BRUTE])
    exact = [past.analogues(ticker, WANTED, exact=True).table for ticker in tickers[:N_BRUTE]]
    same = [e[["ticker", "end"]].equals(t) for e, t in zip(exact, truth, strict=True)]
    cells = len(past.index_.cluster_centers_)
    results |= {
        "tickers": len(prices),
        "windows": past.n_windows_,
        "left_out": past.left_out_.sum().to_dict(),
        "cells": cells,
        "fit_seconds": fitting.seconds,
        "fit_peak_bytes": fitting.peak,
        "n_queries": n_queries,
        "brute_seconds": brute_seconds,
        "exact_equals_brute": sum(same),
        "brute_queries": len(same),
    }
    probes = [{"n_probe": n} for n in N_PROBE if n < cells]
    results["searches"] = [search(past, tickers, **how) for how in (*probes, {"exact": True})]
    if options.page:
        write_example(past)
    apart = len(same) - sum(same)
    wrong = check("exact searches that brute force contradicts", apart, "<=", 0, must=True)
    yield [*parts(results)["analogues"], [wrong]]


def brute(past: HistoricalAnalogues, tickers: list[str]) -> tuple[float, list[pd.DataFrame]]:
    """Search by all distances: seconds per query, and the analogues."""
    panel, windows = past._panel, past._windows
    rows = panel.values_of(windows)
    answers, spent = [], 0.0
    end = len(panel.days) - 1
    for ticker in tickers:
        own = panel.tickers.get_loc(ticker)
        query = panel.query_values(panel.prices[own, -panel.width :])
        turn = processor_time(partial(sbd_distances, query, rows, max_shift=past.max_shift))
        sbd = turn.outcome[0]
        spent += turn.seconds
        eligible = (windows.ends < end) & ((windows.rows != own) | (end - windows.ends > panel.width // 2))
        order = np.flatnonzero(eligible)[np.argsort(sbd[eligible], kind="stable")]
        ordered = take(windows, order)
        best = take(ordered, suppress_overlaps(ordered, WANTED, panel.width // 2))
        answers.append(pd.DataFrame({"ticker": panel.tickers[best.rows], "end": panel.days[best.ends]}))
    return spent / len(tickers), answers


def search(past: HistoricalAnalogues, tickers: list[str], **how: Any) -> dict[str, Any]:
    """Time of a question and of its search, and recall."""
    asked = [past._panel.resolve(ticker, None) for ticker in tickers]
    queries = [(one.window, past._panel.query_values(one.prices)) for one in asked]
    index = past._past_windows()

    def median(ask: Callable[..., Any], questions: list[Any]) -> float:
        taken = [processor_time(partial(ask, each, WANTED, **how)).seconds for each in questions]
        return float(np.median(taken))

    row: dict[str, Any] = {
        "n_probe": how.get("n_probe"),
        "search_seconds": median(lambda query, *rest, **how: index.search(*query, *rest, **how), queries),
        "query_seconds": median(past.analogues, tickers),
    }
    if row["n_probe"] is not None:
        for name, as_of in (("last_day", past.prices_.columns[-1]), ("any_day", None)):
            found = past.recall(WANTED, as_of=as_of, n_samples=len(tickers), **how)
            row[name] = asdict(found)
    print(row, flush=True)
    return row


# ------------------------------------------------------------------------------------------------ report

COLUMNS: Columns = {
    "cells": lambda row: "exact" if row["n_probe"] is None else str(row["n_probe"]),
    "a search": lambda row: seconds(row["search_seconds"]),
    "all distances, over it": lambda row: figure(row["brute_seconds"] / row["search_seconds"], 3),
    "a question": lambda row: seconds(row["query_seconds"]),
    "recall, last day": lambda row: with_error(row.get("last_day"), "recall") or "1",
    "recall, any day": lambda row: with_error(row.get("any_day"), "recall") or "1",
}


def parts(results: Results) -> dict[str, list[Block]]:
    """The data, the fit and the figures in sentences, and a table with one row per search."""
    n_missing, n_flat = results["left_out"]["missing"], results["left_out"]["flat"]
    text = (
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
    rows = [row | {"brute_seconds": results["brute_seconds"]} for row in results["searches"]]
    table = Table(f"Recall at {WANTED} and time of a question", COLUMNS, rows)
    return {"analogues": [text, table]}


def write_example(past: HistoricalAnalogues) -> None:
    """Write the example of docs/guide/analogues.rst: a question, and its answer as text and as a picture."""
    folder = ROOT / "docs" / "guide" / "_analogues"
    answer = past.analogues(TICKER, WANTED, as_of=AS_OF)
    days = past.prices_.columns
    question = (
        f"{len(past.prices_)} stocks of the S&P 500 from {days[0]:%B %Y} to {days[-1]:%B %Y}, with all "
        f"defaults. Which half years looked like that of {TICKER} until {answer.as_of:%d %B %Y}?\n\n"
        f'.. code-block:: python\n\n   >>> answer = past.analogues("{TICKER}", as_of="{AS_OF}")\n'
    )
    table = answer.table.to_string(index=False, float_format="{:.3f}".format)
    summary = answer.summary.to_string(float_format="{:.3f}".format)
    (folder / "question.inc").write_text(question, encoding="utf-8")
    (folder / "answer.txt").write_text(f"{table}\n\n{summary}\n", encoding="utf-8")
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "shapecluster"}):
        figure_ = AnaloguesDisplay.from_answer(answer).figure_
        # Without a date, the same picture gives the same file.
        figure_.savefig(folder / "answer.svg", metadata={"Date": None})
    print(f"Written: {folder.relative_to(ROOT)}")


BENCHMARK = Benchmark("analogues", __doc__, measure, parts, OPTIONS)

if __name__ == "__main__":
    raise SystemExit(BENCHMARK.main())
