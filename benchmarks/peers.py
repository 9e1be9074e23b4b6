"""Time, inertia and peak memory of LocalKShape and its peers.

    python -m benchmarks.peers                      everything, which takes the better part of an hour
    python -m benchmarks.peers --quick              small sizes, to see that it works
    python -m benchmarks.peers --work levels walks-256 --skip aeon kshape

Contestants take turns with one thread each, from the same starting centers until convergence. Times are
medians. All inertias are computed by the same function in float64, from the final centers of a contestant. A
library that is not installed is reported as such. Results are added to those of earlier runs in --out. The
command fails if a result of ours is wrong or our own baseline is slow. A ratio that misses its target is
reported only.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np

from benchmarks._arena import Entry, contest
from benchmarks._common import (
    Check,
    Task,
    check,
    check_text,
    environment,
    figure,
    in_one_thread,
    inertia_of,
    load,
    markdown_table,
    parse,
    parser_of,
    save,
    seconds,
)
from benchmarks.contestants import CONTESTANTS
from benchmarks.works import WORKS, Work

SLOWEST_BASELINE = 1.5
"""Maximum time of our assignment without bounds, relative to plain batched transforms."""


def main() -> int:
    """Run the given works."""
    options = _options()
    in_one_thread("benchmarks.peers")
    results = load("peers", options.out)
    # Small sizes and full sizes are never mixed in one file.
    if results is None or results["quick"] != options.quick:
        results = {"quick": options.quick, "works": {}}
    results["environment"] = environment()
    wrong = 0
    for work in WORKS:
        if options.work and work.name not in options.work:
            continue
        report = results["works"][work.name] = run_work(work, options)
        print(f"\n{markdown_of(report)}", flush=True)
        for broken in (each for each in report["checks"] if each["must"] and not each["met"]):
            print(f"WRONG: {check_text(broken)}", file=sys.stderr, flush=True)
            wrong += 1
        save("peers", results, markdown_of_all(results), options.out)
    return 1 if wrong else 0


def _options() -> argparse.Namespace:
    parser = parser_of("peers", __doc__)
    everybody = sorted({name for kind in CONTESTANTS.values() for name in kind})
    parser.add_argument("--work", nargs="+", choices=[w.name for w in WORKS], help="some works only")
    parser.add_argument("--skip", nargs="+", default=[], choices=everybody, metavar="PEER", help="leave out")
    parser.add_argument("--repeats", type=int, default=7, help="turns each (default: 7)")
    parser.add_argument(
        "--budget",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="a contestant gets no further turn that would exceed this in a work (default: 60)",
    )
    return parse(parser)


def run_work(work: Work, options: argparse.Namespace) -> dict[str, Any]:
    """Time one work; the report holds all figures of the tables."""
    task = work.make(options.quick)
    names = [name for name in CONTESTANTS[work.kind] if name not in options.skip]
    print(f"\n{work.title}: {' | '.join(names)} ...", flush=True)
    entries = contest(work.kind, task, names, repeats=options.repeats, budget=options.budget)
    n_series, n_timepoints = task.X.shape
    rows = [_row(entry, entries.get("ours"), task) for entry in entries.values()]
    return {
        "name": work.name,
        "title": work.title,
        "kind": work.kind,
        "n_series": n_series,
        "n_timepoints": n_timepoints,
        "k": task.k,
        "rows": rows,
        "checks": [*_answers(work, entries), *_demands(work, rows, quick=options.quick)],
    }


def _row(entry: Entry, ours: Entry | None, task: Task) -> dict[str, Any]:
    row: dict[str, Any] = {"contestant": entry.name, "trouble": entry.failure}
    if not entry.times:
        return row
    outcome = entry.outcome
    row |= {
        "seconds": entry.seconds,
        "times": entry.times,
        "peak_mb": entry.peak / 1e6,
        "n_iter": outcome.get("n_iter"),
        "ratio": entry.seconds / ours.seconds if ours and ours.seconds else None,
    }
    if "centers" in outcome:
        row["inertia"] = inertia_of(task.X, outcome["centers"])
    if "n_correlations" in outcome:
        row["pairs"] = outcome["n_correlations"] / (len(task.X) * task.k * (outcome["n_iter"] + 1))
    if ours and ours.times and "labels" in outcome and entry.name != "ours":
        row["same_labels"] = float(np.mean(outcome["labels"] == ours.outcome["labels"]))
    return row


# ------------------------------------------------------------------------------------------------ checks


def _answers(work: Work, entries: dict[str, Entry]) -> list[Check]:
    """Checks for any machine: equal results to the last bit, and a baseline that is not slow."""
    pairs = {
        "fit": ("ours (bounds off)", ["labels", "shifts", "inertia", "centers", "n_iter"]),
        "kneighbors": ("ours (brute force)", ["sbd", "indices", "shifts"]),
        "sweep": ("ours (separate fits)", ["labels", "shifts", "inertia"]),
    }
    checks = []
    other, keys = pairs.get(work.kind, ("", []))
    if other in entries and "ours" in entries:
        one, two = entries["ours"].outcome, entries[other].outcome
        unequal = [key for key in keys if np.asarray(one[key]).tobytes() != np.asarray(two[key]).tobytes()]
        what = f"differences in any bit from `{other}` in {', '.join(keys)}"
        checks.append(check(what, len(unequal), "<=", 0, must=True))
    if work.kind == "baseline" and len(entries) == 2:
        ours, plain = (
            min(entry.times) for entry in entries.values()
        )  # the minimum, so that a busy machine is no failure
        what = "least time of our engine without bounds over that of plain batched transforms"
        checks.append(check(what, ours / plain, "<=", SLOWEST_BASELINE, must=True))
    return checks


def _demands(work: Work, rows: list[dict[str, Any]], *, quick: bool) -> list[Check]:
    """Targets of ours for full sizes; small sizes only show that everything runs."""
    by_name = {row["contestant"]: row for row in rows if "seconds" in row}
    checks = []
    if {"ours", "tslearn"} <= set(by_name) and work.kind == "fit":
        excess = by_name["ours"]["inertia"] / by_name["tslearn"]["inertia"] - 1
        checks.append(check("inertia above tslearn's, relative", excess, "<=", 1e-9))
    if quick or "ours" not in by_name:
        return checks
    for name, factor in work.min_ratios.items():
        if name in by_name:
            faster, ratio = name.startswith("ours (float32)"), by_name[name]["ratio"]
            what = "float32 faster than float64 by" if faster else f"faster than {name} by"
            value, least = (1 / ratio, 1 / factor) if faster else (ratio, factor)
            checks.append(check(what, value, ">=", least))
    if work.max_pairs is not None:
        checks.append(check("share of pairs transformed", by_name["ours"]["pairs"], "<=", work.max_pairs))
    return checks


# ------------------------------------------------------------------------------------------------ tables


def header_of(report: dict[str, Any]) -> list[str]:
    """Header of a work's table."""
    always = ["", "time", "turns", "over ours"]
    if report["kind"] == "fit":
        return [*always, "inertia", "steps", "a step", "pairs", "peak memory"]
    return (
        [*always, "same labels", "peak memory"] if report["kind"] == "predict" else [*always, "peak memory"]
    )


def lines_of(report: dict[str, Any]) -> list[list[str]]:
    """Rows of a work's table, as text."""
    lines = []
    width = len(header_of(report))
    for row in report["rows"]:
        if "seconds" not in row:
            lines.append([row["contestant"], row["trouble"], *[""] * (width - 2)])
            continue
        ratio = row["ratio"]
        cells = [row["contestant"], seconds(row["seconds"]), str(len(row["times"]))]
        cells.append(figure(ratio, 3))
        if report["kind"] == "fit":
            share = row.get("pairs")
            step = seconds(row["seconds"] / (row["n_iter"] + 1))
            cells += [figure(row["inertia"], 7), str(row["n_iter"]), step]
            cells.append("" if share is None else f"{share:.1%}")
        if report["kind"] == "predict":
            cells.append("" if "same_labels" not in row else f"{row['same_labels']:.1%}")
        lines.append([*cells, f"{row['peak_mb']:.1f} MB"])
    return lines


def size_of(report: dict[str, Any]) -> str:
    """Size of a work."""
    return f"{report['n_series']} series of {report['n_timepoints']} points, k = {report['k']}"


def markdown_of(report: dict[str, Any]) -> str:
    """A work's heading, table and checks."""
    heading = f"### {report['title']}\n\n{size_of(report)}\n"
    checks = "\n".join(f"- {check_text(each)}" for each in report["checks"])
    return f"{heading}\n{markdown_table(header_of(report), lines_of(report))}\n\n{checks}".rstrip()


def works_of(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Reports of all works with results, in the usual order."""
    return [results["works"][work.name] for work in WORKS if work.name in results["works"]]


def markdown_of_all(results: dict[str, Any]) -> str:
    """The complete result page."""
    versions = ", ".join(f"{name} {number}" for name, number in results["environment"]["versions"].items())
    about = f"One thread, {results['environment']['machine']}. {versions}."
    return "\n\n".join([about, *(markdown_of(report) for report in works_of(results))])


if __name__ == "__main__":
    sys.exit(main())
