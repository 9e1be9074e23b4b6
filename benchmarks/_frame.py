"""The frame of all benchmarks: the command line, one thread, results in files, and the report.

A benchmark declares how it measures and what it reports, as a `Benchmark`. Its `main` is the command.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._report import Block, check_text, failures, markdown

ROOT = Path(__file__).resolve().parents[1]
LIBRARIES = (
    *("shapecluster", "numpy", "scipy", "scikit-learn", "tslearn", "aeon", "kshape", "datasketch", "numba"),
    *("faiss-cpu", "pynndescent"),
)
ONE_THREAD = {
    f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "BLIS", "VECLIB_MAXIMUM", "NUMBA")
}

Results = dict[str, Any]


@dataclass(frozen=True)
class Benchmark:
    """A benchmark: how it measures, and what it reports.

    `measure` adds to the results so far, and yields blocks to print whenever it has a result that should be
    saved. `parts` gives the blocks of each part of the documentation, by the part's name; a benchmark that is
    on no page leaves its texts in the results. `draw` writes a picture to a path without its suffix.
    """

    name: str  # of the module, and of the files of its results
    about: str
    measure: Callable[[Results, argparse.Namespace], Iterator[list[Block]]]
    parts: Callable[[Results], dict[str, list[Block]]] = lambda results: {"texts": results["texts"]}
    options: Mapping[str, dict[str, Any]] = field(
        default_factory=dict
    )  # arguments of `add_argument`, by name
    draw: Callable[[Results, Path], None] | None = None

    def main(self) -> int:
        """Measure, print and save. The exit code is 1 if a result is wrong."""
        parser = parser_of(self.name, self.about)
        parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
        parser.add_argument("--afresh", action="store_true", help="forget the results of earlier runs")
        for option, about in self.options.items():
            parser.add_argument(option, **about)
        options = parser.parse_args()
        in_one_thread(self.name)
        out = options.out or ROOT / ("build/benchmarks" if options.quick else "benchmarks/results")
        results = {} if options.afresh else load(self.name, out)
        if results.get("quick", options.quick) != options.quick:
            results = {}  # small sizes and full sizes are never mixed in one file
        results |= {"quick": options.quick, "environment": environment()}
        wrong = []
        for blocks in self.measure(results, options):
            print(f"\n{markdown(blocks)}", flush=True)
            wrong += failures(blocks)
            self.save(results, out)
        print(f"\nWritten: {out / self.name}.json and .md")
        if self.draw:
            self.draw(results, out / self.name)
        for found in wrong:
            print(f"WRONG: {check_text(found)}", file=sys.stderr)
        return int(bool(wrong))

    def save(self, results: Results, folder: Path) -> None:
        """Write the results as JSON, and their report as Markdown."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(results, indent=1, ensure_ascii=False, default=np.generic.item)
        (folder / f"{self.name}.json").write_text(text + "\n", encoding="utf-8")
        (folder / f"{self.name}.md").write_text(markdown(self.report(results)) + "\n", encoding="utf-8")

    def report(self, results: Results) -> list[Block]:
        """The blocks of the complete report: the environment, all parts, and the checks."""
        blocks = [block for part in self.parts(results).values() for block in part]
        about, checks = environment_text(results), results.get("checks", [])
        # Some benchmarks have these among their parts.
        before = [about] if about not in blocks else []
        after = [checks] if checks not in blocks else []
        return [*before, *blocks, *after]


# ---------------------------------------------------------------------------------------------- commands


def parser_of(name: str, about: str) -> argparse.ArgumentParser:
    """Return the parser of a command, with the option for its folder."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        *("--out", "--from"),
        dest="out",
        type=Path,
        metavar="DIR",
        help="folder of results (default: benchmarks/results; with --quick: build/benchmarks)",
    )
    return parser


def in_one_thread(name: str) -> None:
    """Restart the command with BLAS, OpenMP and numba limited to one thread, unless they are already."""
    # The libraries read these variables when they are loaded, so setting them now would be too late.
    if any(os.environ.get(variable) != value for variable, value in ONE_THREAD.items()):
        sys.stdout.flush()
        command = [sys.executable, "-m", f"benchmarks.{name}", *sys.argv[1:]]
        os.execve(sys.executable, command, os.environ | ONE_THREAD)


# ----------------------------------------------------------------------------------------------- results


def load(name: str, folder: Path) -> Results:
    """Return the results of earlier runs; an empty dict if there are none."""
    path = folder / f"{name}.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def environment() -> dict[str, Any]:
    """The environment of the figures: versions, and a general description of the machine."""
    versions = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"versions": versions, "machine": f"{cores} cores of a shared machine, {platform.machine()}"}


def environment_text(*results: Results) -> str:
    """Machine and versions. They should be the same for all results."""
    paragraphs = []
    for found in results:
        versions = found["environment"]["versions"].items()
        there = ", ".join(f"{name} {number}" for name, number in versions if number != "not installed")
        paragraphs.append(f"Measured on {found['environment']['machine']}, with {there}.")
    if any(found.get("quick") for found in results):
        paragraphs.append("**Small sizes, which show that the commands work and not how fast anything is.**")
    return "\n\n".join(dict.fromkeys(paragraphs))
