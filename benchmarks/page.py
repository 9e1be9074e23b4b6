"""Turn results into the tables of docs/guide: of benchmarks, portfolios, matching, search and analogues.

    python -m benchmarks.page

Reads the results of the other commands (--from) and writes docs/guide/_benchmarks. No file there is edited by
hand, so that every figure on the page was measured.
"""

from __future__ import annotations

import shutil
import sys

from benchmarks import accuracy, analogues, index, matching, peers, portfolios_clustering, scaling
from benchmarks._frame import ROOT, Results, environment_text, load, parser_of
from benchmarks._report import Block, check_text, restructured

PAGE = ROOT / "docs" / "guide" / "_benchmarks"
PICTURES = ("scaling.svg", "index.svg")
BENCHMARKS = [
    module.BENCHMARK
    for module in (peers, scaling, accuracy, portfolios_clustering, matching, index, analogues)
]


def main() -> int:
    """Write all parts of the page."""
    folder = parser_of("page", __doc__).parse_args().out or ROOT / "benchmarks" / "results"
    results = {benchmark.name: load(benchmark.name, folder) for benchmark in BENCHMARKS}
    # All or nothing, so that the page never mixes old parts with new ones.
    missing = [name for name, found in results.items() if not found]
    if missing:
        message = f"There are no results in {folder} of: {', '.join(missing)}. Run them first."
        print(message, file=sys.stderr)
        return 1
    PAGE.mkdir(parents=True, exist_ok=True)
    for name, blocks in parts_of(results).items():
        (PAGE / f"{name}.inc").write_text(restructured(blocks) + "\n", encoding="utf-8")
    for picture in PICTURES:
        if (folder / picture).exists():  # else the page keeps the one it has
            shutil.copy(folder / picture, PAGE / picture)
    print(f"Written: {PAGE.relative_to(ROOT)}")
    return 0


def parts_of(results: dict[str, Results]) -> dict[str, list[Block]]:
    """Blocks of each part by its name."""
    found = {"environment": [environment_text(*(results[name] for name in ("peers", "scaling", "accuracy")))]}
    found["targets"] = [missed(results) or "None."]
    for benchmark in BENCHMARKS:
        found |= benchmark.parts(results[benchmark.name])
    return found


def missed(results: dict[str, Results]) -> list[str]:
    """The targets of docs/guide/benchmarks.rst that were missed."""
    works = [(report["title"], report) for report in peers.CONTEST.reports(results["peers"])]
    titled = [*works, ("Growth", results["scaling"]), ("Accuracy", results["accuracy"])]
    checks = [(title, each) for title, found in titled for each in found["checks"]]
    return [f"{title}: {check_text(each)}" for title, each in checks if not each["met"]]


if __name__ == "__main__":
    raise SystemExit(main())
