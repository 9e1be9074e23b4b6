"""Works that contestants do in turns, each in a process of its own: the frame of peers and of matching."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any

import numpy as np

from benchmarks._arena import Contestant, Entry, contest
from benchmarks._frame import Results
from benchmarks._report import Block, Check, Columns, Row, Table, check, figure, seconds


@dataclass(frozen=True)
class Task:
    """The data of a work."""

    X: Any  # raw series in float64, or a CSR matrix of traders by tickers
    k: int  # number of clusters, of neighbors, or of queries; fits start from the first k rows
    centers: np.ndarray | None = None  # z-normalized, for tasks that assign series to them


Timed = Callable[[], dict[str, Any]]


def unprepared(work: Callable[..., dict[str, Any]]) -> Callable[..., Timed]:
    """Make a contestant of a function of a task that is timed as a whole."""

    @wraps(work)
    def contestant(task: Task, **options: Any) -> Timed:
        return partial(work, task, **options)

    return contestant


@dataclass(frozen=True)
class Target:
    """A bound for a figure of a contestant's row, at full size."""

    what: str
    contestant: str
    value: Callable[[Row], float]
    sense: str
    bound: float


def faster_than(contestant: str, factor: float) -> Target:
    """Return the target of a contestant's time relative to that of ours."""
    return Target(f"faster than {contestant} by", contestant, lambda row: row["ratio"], ">=", factor)


@dataclass(frozen=True)
class Work:
    """A work: a name for the command line, a title for its table, its kind, and its data by "quick"."""

    name: str
    title: str
    kind: str
    make: Callable[[bool], Task]
    targets: Sequence[Target] = ()
    contestants: Sequence[str] = ()  # all of the kind if empty


@dataclass(frozen=True)
class Kind:
    """A kind of works: contestants by name, columns of the table, and checks of outcomes and rows."""

    contestants: Mapping[str, Contestant]
    columns: Columns
    checks: Callable[[dict[str, Entry], dict[str, Row]], Iterable[Check]]


def columns_of_all(time: str = "time") -> Columns:
    """Return the columns that the tables of all works begin with."""
    return {
        "": lambda row: row["contestant"],
        time: lambda row: seconds(row["seconds"]),
        "turns": lambda row: str(len(row["times"])),
        "over ours": lambda row: figure(row["ratio"], 3),
    }


@dataclass(frozen=True)
class Contest:
    """Several works, how their contestants are timed, and how the results are described."""

    works: Sequence[Work]
    kinds: Mapping[str, Kind]
    small_task: Task  # makes libraries import and compile all that they need
    sizes: Sequence[str]  # names of the sizes in a report: of the shape of `X`, and of `k`
    caption: str  # of a work's table, a format string for the entries of its report
    figures: Callable[[Entry, dict[str, Entry], Task], dict[str, Any]]  # further figures of an entry's row
    clock: str  # see `benchmarks._arena.timed`
    repeats: int  # default number of turns

    def options(self) -> dict[str, dict[str, Any]]:
        """The options of the command."""
        names = [work.name for work in self.works]
        everybody = sorted({name for kind in self.kinds.values() for name in kind.contestants})
        turns = "turns each (default: %(default)s)"
        budget = "a contestant gets no further turn that would exceed this in a work (default: 60)"
        return {
            "--work": {"nargs": "+", "default": names, "choices": names, "help": "some works only"},
            "--skip": {"nargs": "+", "default": [], "choices": everybody, "help": "leave out"},
            "--repeats": {"type": int, "default": self.repeats, "help": turns},
            "--budget": {"type": float, "default": 60.0, "metavar": "SECONDS", "help": budget},
        }

    def measure(self, results: Results, options: argparse.Namespace) -> Iterator[list[Block]]:
        """Time the chosen works, and add a report of each to the results."""
        reports = results.setdefault("works", {})
        for work in self.works:
            if work.name in options.work:
                reports[work.name] = self.report(work, options)
                yield self.blocks(reports[work.name])

    def report(self, work: Work, options: argparse.Namespace) -> dict[str, Any]:
        """Time one work; the report holds all figures of its table."""
        kind, task = self.kinds[work.kind], work.make(options.quick)
        names = [name for name in work.contestants or kind.contestants if name not in options.skip]
        print(f"\n{work.title}: {' | '.join(names)} ...", flush=True)
        entries = contest(
            {name: kind.contestants[name] for name in names},
            task,
            self.small_task,
            repeats=options.repeats,
            budget=options.budget,
            clock=self.clock,
        )
        rows = [self.row(entry, entries, task) for entry in entries.values()]
        there = {row["contestant"]: row for row in rows if not row["trouble"]}
        checks = list(kind.checks(entries, there))
        if "ours" in there and not options.quick:  # small sizes only show that everything runs
            checks += [
                check(each.what, each.value(there[each.contestant]), each.sense, each.bound)
                for each in work.targets
                if each.contestant in there
            ]
        about = {"name": work.name, "title": work.title, "kind": work.kind}
        sizes = dict(zip(self.sizes, (*task.X.shape, task.k), strict=False))
        return {**about, **sizes, "rows": rows, "checks": checks}

    def row(self, entry: Entry, entries: dict[str, Entry], task: Task) -> dict[str, Any]:
        """The row of a contestant in the table of a work."""
        row: dict[str, Any] = {"contestant": entry.name, "trouble": entry.failure}
        if entry.failure:
            return row
        ours = entries.get("ours")
        row |= {"seconds": entry.seconds, "times": entry.times, "peak_mb": entry.peak / 1e6}
        row["ratio"] = entry.seconds / ours.seconds if ours else None
        return row | self.figures(entry, entries, task)

    def blocks(self, report: Row) -> list[Block]:
        """Table and checks of a work."""
        columns = self.kinds[report["kind"]].columns
        return [Table(self.caption.format(**report), columns, report["rows"]), report["checks"]]

    def reports(self, results: Results) -> list[dict[str, Any]]:
        """Reports of all works with results, in the usual order."""
        return [results["works"][work.name] for work in self.works if work.name in results["works"]]
