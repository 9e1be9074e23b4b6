"""Turn results into the tables of docs/guide/benchmarks.rst and docs/guide/portfolios.rst.

    python -m benchmarks.page

Reads the results of the other commands (--from) and writes docs/guide/_benchmarks. No file there is edited by
hand, so that every figure on the page was measured.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks import accuracy, index_report, matching, peers, portfolios_clustering, scaling
from benchmarks._common import ROOT, check_text, figure, load, parse, parser_of, seconds

PAGE = ROOT / "docs" / "guide" / "_benchmarks"
COMMANDS = ("peers", "scaling", "accuracy")
OTHERS = ("portfolios_clustering", "matching", "index")
PICTURES = ("scaling.svg", "index.svg")


def main() -> int:
    """Write all parts of the page."""
    options = parse(parser_of("page", __doc__))
    results = {name: load(name, options.out) for name in (*COMMANDS, *OTHERS)}
    # All or nothing, so that the page never mixes old parts with new ones.
    missing = [name for name, found in results.items() if found is None]
    if missing:
        message = f"There are no results in {options.out} of: {', '.join(missing)}. Run them first."
        print(message, file=sys.stderr)
        return 1
    PAGE.mkdir(parents=True, exist_ok=True)
    for name, text in parts_of(results).items():
        (PAGE / f"{name}.inc").write_text(text.rstrip() + "\n", encoding="utf-8")
    for picture in PICTURES:
        if (options.out / picture).exists():  # else the page keeps the one it has
            shutil.copy(options.out / picture, PAGE / picture)
    print(f"Written: {PAGE.relative_to(ROOT)}")
    return 0


def parts_of(results: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Text of each part by its name."""
    works = peers.works_of(results["peers"])
    fits = [work for work in works if work["kind"] == "fit"]
    return {
        "environment": environment_part({name: results[name] for name in COMMANDS}),
        "portfolios_environment": environment_part({"": results["portfolios_clustering"]}),
        "targets": targets_part(works, results["scaling"], results["accuracy"]),
        "fits": "\n\n".join(work_part(work) for work in fits),
        "others": "\n\n".join(work_part(work) for work in works if work not in fits),
        "scaling": scaling_part(results["scaling"]),
        "accuracy": accuracy_part(results["accuracy"]),
        "portfolios_drawn": drawn_part(results["portfolios_clustering"]),
        "portfolios_clustered": clustered_part(results["portfolios_clustering"]),
        "matching": matching_part(results["matching"]),
        "matching_summary": matching_summary(results["matching"]),
        "index": index_part(results["index"]),
    }


def environment_part(results: dict[str, dict[str, Any]]) -> str:
    """Versions and machine. They should be the same for all commands."""
    found = {str(result["environment"]): result["environment"] for result in results.values()}
    lines = []
    for environment in found.values():
        there = {
            name: number for name, number in environment["versions"].items() if number != "not installed"
        }
        versions = ", ".join(f"{name} {number}" for name, number in there.items())
        lines.append(f"Measured on {environment['machine']}, with {versions}.")
    if any(result["quick"] for result in results.values()):
        lines.append("**Small sizes, which show that the commands work and not how fast anything is.**")
    return "\n\n".join(lines)


def targets_part(works: list[dict[str, Any]], growth: dict[str, Any], sets: dict[str, Any]) -> str:
    """The targets that were missed, or "None."."""
    titled = [*((work["title"], work) for work in works), ("Growth", growth), ("Accuracy", sets)]
    missed = [(title, each) for title, found in titled for each in found["checks"] if not each["met"]]
    if not missed:
        return "None."
    return "\n".join(f"- {title}: {check_text(each)}" for title, each in missed)


def work_part(work: dict[str, Any]) -> str:
    """Table and checks of a work."""
    checks = "\n".join(f"- {check_text(each)}" for each in work["checks"])
    caption = f"{work['title']}. {peers.size_of(work)}"
    return f"{table(caption, peers.header_of(work), peers.lines_of(work))}\n\n{checks}".rstrip()


def scaling_part(results: dict[str, Any]) -> str:
    """Exponents, threads, and very many series if they were measured."""
    parts = [
        table("Exponents", scaling.EXPONENTS_HEADER, scaling.exponent_lines(results)),
        scaling.threads_in_words(results),
    ]
    if "million" in results:
        caption = "Very many series, float32"
        parts.append(table(caption, scaling.MILLION_HEADER, scaling.million_lines(results)))
        parts.append(scaling.million_in_words(results))
    return "\n\n".join(parts)


def accuracy_part(results: dict[str, Any]) -> str:
    """One row per set, and a summary."""
    caption = f"Ours / tslearn. ARI and RI: means over {results['n_seeds']} seeds"
    found = "\n".join(f"- {line}" for line in accuracy.findings(results))
    return f"{found}\n\n{table(caption, accuracy.HEADER, accuracy.lines_of(results))}"


def drawn_part(results: dict[str, Any]) -> str:
    """Time and memory of drawing portfolios."""
    header, lines = portfolios_clustering.GENERATION_HEADER, portfolios_clustering.generation_lines(results)
    return table("Drawing portfolios, one thread", header, lines)


def clustered_part(results: dict[str, Any]) -> str:
    """One table per kind of traders."""
    header = portfolios_clustering.CLUSTERING_HEADER
    return "\n\n".join(
        table(f"With {title}", header, portfolios_clustering.clustering_lines(found))
        for title, found in results["clusterings"].items()
    )


def matching_part(results: dict[str, Any]) -> str:
    """Table and checks of each work."""
    parts = [environment_part({"matching": results})]
    for work in matching.works_of(results):
        checks = "\n".join(f"- {check_text(each)}" for each in work["checks"])
        found = table(matching.caption_of(work), matching.header_of(work), matching.lines_of(work))
        parts.append(f"{found}\n\n{checks}".rstrip())
    return "\n\n".join(parts)


def index_part(results: dict[str, Any]) -> str:
    """The tables of docs/guide/search.rst."""
    parts = []
    for name in (name for name in index_report.PARTS if name in results):
        for caption, header, rows in index_report.tables_of(name, results[name]):
            parts.append(table(caption, header, rows))
        parts.append("\n".join(f"- {line}" for line in index_report.facts_of(name, results[name])))
    parts.append("\n".join(f"- {check_text(each)}" for each in results["checks"]))
    return "\n\n".join(parts)


def matching_summary(results: dict[str, Any]) -> str:
    """One row per work: our time, and times of the others relative to it."""
    others = ("NearestNeighbors", "sparse products", "MinHashLSH")
    lines = []
    for work in matching.works_of(results):
        rows = {row["contestant"]: row for row in work["rows"] if "seconds" in row}
        if "ours" in rows:
            ratios = [figure(rows[name]["ratio"], 3) if name in rows else "" for name in others]
            recall = f"{rows['MinHashLSH']['recall']:.1%}" if "MinHashLSH" in rows else ""
            lines.append([matching.caption_of(work), seconds(rows["ours"]["seconds"]), *ratios, recall])
    header = ["", "ours", *(f"{name}, over ours" for name in others), "recall of MinHashLSH"]
    return table("Matches of 90 %", header, lines)


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in reStructuredText."""
    lines = [f".. list-table:: {caption}", "   :header-rows: 1", "   :class: benchmark", ""]
    for row in (header, *rows):
        lines += [f"   {'* -' if i == 0 else '  -'} {cell}".rstrip() for i, cell in enumerate(row)]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
