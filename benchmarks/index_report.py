"""Report of the index benchmark: targets, tables and sentences."""

from __future__ import annotations

from typing import Any

from benchmarks._common import check, check_text, figure, markdown_table

PARTS = ("levels", "returns", "peer", "vectors")


def checks_of(results: dict[str, Any]) -> list[dict[str, Any]]:
    """The figures that have a target."""
    found = []
    if "levels" in results:
        levels = results["levels"]
        good = [p["times"] for p in levels["curve"] if p["recall"] >= 0.95]
        found.append(
            check("price levels, times exact search at recall 0.95", max(good, default=0.0), ">=", 20)
        )
        times = levels["exact_search_ms"] / levels["exact_mode_ms"]
        found.append(check("price levels, exact mode, times exact search", times, ">=", 3))
    for name in ("levels", "returns"):
        if name in results:
            same = float(results[name]["exact_mode_same"])
            found.append(
                check(f"{name}, exact mode gives the bits of exact search", same, ">=", 1, must=True)
            )
    if "vectors" in results and results["vectors"]["curves"]["faiss"]:
        curves = results["vectors"]["curves"]
        pairs = list(zip(curves["ours"], curves["faiss"], strict=True))
        slower = max(a["ms"] / b["ms"] for a, b in pairs)
        found.append(check("vectors, our time over that of faiss where it is largest", slower, "<=", 1.1))
        lost = max(b["recall"] - a["recall"] for a, b in pairs)
        found.append(check("vectors, recall that faiss has and ours has not", lost, "<=", 0.001))
    return found


HEADERS = {
    "levels": "Price levels",
    "returns": "Log returns",
    "peer": "A small set of price levels",
    "vectors": "Vectors",
}


def sections(results: dict[str, Any]) -> str:
    """The complete result page."""
    parts = ["# ClusterIndex"]
    for name in PARTS:
        if name in results:
            parts.append(f"## {HEADERS[name]}")
            parts += [
                f"{caption}\n\n{markdown_table(*rest)}" for caption, *rest in tables_of(name, results[name])
            ]
            parts.append("\n".join(f"- {line}" for line in facts_of(name, results[name])))
    return "\n\n".join([*parts, "## Targets", *(f"- {check_text(found)}" for found in results["checks"])])


def tables_of(name: str, found: dict[str, Any]) -> list[tuple[str, list[str], list[list[str]]]]:
    """Caption, header and rows of each curve."""
    curves = found.get("curves") or {"ClusterIndex": found["curve"]}
    if "pynndescent" in found:
        curves = curves | {"pynndescent": found["pynndescent"]}
    out = []
    for who, points in curves.items():
        rows = [
            [
                str(p["n_probe"]),
                figure(p["ms"], 3),
                figure(p["times"], 3),
                f"{p['recall']:.3f} ± {p['error']:.3f}",
            ]
            for p in points
        ]
        if rows:
            setting = "epsilon, hundredths" if who == "pynndescent" else "cells"
            size = f"{found['n_rows']:,} rows, {found['n_queries']:,} queries"
            header = [setting, "ms a query", "times brute force", "recall at 10"]
            out.append((f"{HEADERS[name]}: {who}, {size}", header, rows))
    return out


def facts_of(name: str, found: dict[str, Any]) -> list[str]:
    """Further figures, in words."""
    facts = []
    if "exact_search_ms" in found:
        facts.append(f"exact search (ShapeNeighbors): {figure(found['exact_search_ms'], 3)} ms a query")
    if "exact_mode_ms" in found:
        times = found["exact_search_ms"] / found["exact_mode_ms"]
        same = "the same bits" if found["exact_mode_same"] else "OTHER ANSWERS"
        facts.append(f"exact mode: {figure(found['exact_mode_ms'], 3)} ms, {figure(times, 3)} times, {same}")
        low, middle, high = (figure(value, 2) for value in found["tenth_sbd"])
        facts.append(
            f"SBD of the tenth neighbor: {middle}; from {low} to {high} for the middle 80 % of queries"
        )
        facts.append(
            f"{found['n_cells']:,} cells: {found['training_s']:.0f} s to train, "
            f"{found['storing_s']:.0f} s to store"
        )
    if "scikit_learn_ms" in found:
        times_ms = ", ".join(f"{how} {figure(ms, 3)} ms" for how, ms in found["scikit_learn_ms"].items())
        facts.append(
            f"scikit-learn: {times_ms} a query; {found['agrees_with_scikit_learn']:.2%} of ids agree"
        )
        seconds = ", ".join(f"{who} {taken:.1f} s" for who, taken in found["storing_s"].items())
        facts.append(f"storing: {seconds}")
    if "fit_s" in found:
        seconds = ", ".join(f"{who} {taken:.0f} s" for who, taken in found["fit_s"].items())
        facts.append(f"to build: {seconds}")
    return facts
