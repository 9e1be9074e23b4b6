"""A contest of libraries: each runs in its own process, and they take turns, one at a time.

Separate processes keep the libraries apart, and give the peak memory of each contestant. A process stays
alive between turns, so it imports and compiles once. Turns go round by round, so that a machine that slows
down affects all contestants alike.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from scipy import sparse

from benchmarks._common import Outcome, PeakMemory, Task, factor_walks, z_scores
from benchmarks.contestants import CONTESTANTS

_MIN_SECONDS = 0.1  # a turn repeats a faster call until it has taken about this long


@dataclass
class Entry:
    """The results of one contestant.

    Attributes
    ----------
    name : str
        Name of the contestant.
    times : list of float
        Seconds of one call, turn by turn.
    peak : int
        Peak memory in bytes, above the memory before the first call.
    outcome : dict
        Result of the last call.
    failure : str
        Why the contestant did not take part or did not finish; empty if it did.
    """

    name: str
    times: list[float] = field(default_factory=list)
    peak: int = 0
    outcome: Outcome = field(default_factory=dict)
    failure: str = ""

    @property
    def seconds(self) -> float | None:
        """Median time over the turns."""
        return statistics.median(self.times) if self.times else None


def contest(
    kind: str,
    task: Task,
    names: Iterable[str],
    *,
    repeats: int,
    budget: float,
    clock: str = "perf_counter",
) -> dict[str, Entry]:
    """Let contestants take turns until each has had `repeats` turns or used `budget` seconds.

    `clock` is a function of `time`; "process_time" excludes the time of other processes on the machine. If a
    library is missing or fails, its entry says why. A failure of a contestant of ours raises RuntimeError.
    """
    entries = {name: Entry(name) for name in names}
    processes = {name: _Process(kind, name, task, clock) for name in entries}
    try:
        for _ in range(repeats):
            for name, entry in entries.items():
                spent = sum(entry.times)
                # No turn that would exceed the budget if it took as long as those before.
                if not entry.failure and (not entry.times or spent + spent / len(entry.times) <= budget):
                    processes[name].take_turn(entry)
    finally:
        for process in processes.values():
            process.stop()  # also after an interrupt, or the processes would wait for ever
    for name, entry in entries.items():
        if entry.failure and name.startswith("ours"):
            raise RuntimeError(f"{name} failed:\n{entry.failure}")
    return entries


class _Process:
    """The process of a contestant, seen from the parent. It starts with the first turn."""

    def __init__(self, kind: str, name: str, task: Task, clock: str) -> None:
        # A forked process would inherit the parent's memory, and its imports.
        context = multiprocessing.get_context("spawn")
        self.here, there = context.Pipe()
        self.process = context.Process(target=_serve, args=(there, kind, name, task, clock))
        self.started = False

    def take_turn(self, entry: Entry) -> None:
        if not self.started:
            self.process.start()
            self.started = True
        self.here.send("go")
        # A process that was killed, for its memory for example, sends no answer.
        while not self.here.poll(1.0):
            if not self.process.is_alive():
                entry.failure = f"its process ended with code {self.process.exitcode}"
                return
        answer = self.here.recv()
        entry.failure = answer.get("trouble", "")
        if not entry.failure:
            entry.times.append(answer["seconds"])
            entry.peak = entry.peak or answer["peak"]
            entry.outcome = answer["outcome"]

    def stop(self) -> None:
        if self.started:
            if self.process.is_alive():
                self.here.send("stop")
            self.process.join(10)  # a turn that still runs does not read the message
            if self.process.is_alive():
                self.process.kill()


# ------------------------------------------------------------------------------- in the contestant's process


def _serve(pipe: Connection, kind: str, name: str, task: Task, clock: str) -> None:
    call, memory = None, None
    while pipe.recv() == "go":
        try:
            if call is None:
                CONTESTANTS[kind][name](small_task(kind))()  # imports and compiles
                call = CONTESTANTS[kind][name](task)
            with PeakMemory() as memory_now:
                outcome, once = _timed(call, clock)
            # Later calls reuse memory that the process keeps, so the first one counts.
            memory = memory or memory_now.bytes
            per_call = [once, *(_timed(call, clock)[1] for _ in range(min(50, int(_MIN_SECONDS / once))))]
            pipe.send({"seconds": statistics.median(per_call), "peak": memory, "outcome": outcome})
        except ModuleNotFoundError as error:
            pipe.send({"trouble": f"not installed ({error.name})"})
        except Exception as error:
            message = (
                traceback.format_exc() if name.startswith("ours") else f"{type(error).__name__}: {error}"
            )
            pipe.send({"trouble": message})


def _timed(call: Any, clock: str) -> tuple[Outcome, float]:
    now = getattr(time, clock)
    began = now()
    outcome = call()
    return outcome, now() - began


def small_task(kind: str) -> Task:
    """Return a tiny task, which makes libraries import and compile all that they need."""
    if kind.startswith("match"):
        return Task(sparse.csr_matrix(np.tri(8)), 4)
    waves = np.sin(np.arange(32) * np.linspace(0.1, 0.8, 4)[:, None])
    X = np.repeat(waves, 8, axis=0) + 0.1 * factor_walks(32, 32)
    X = X[np.argsort(np.arange(32) % 8, kind="stable")]
    return Task(X, 4, z_scores(X[:4]))
