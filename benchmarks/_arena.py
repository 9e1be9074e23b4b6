"""Contestants side by side: each in a process of its own, one of them running at a time, in turns.

A process of its own keeps libraries apart and makes peak memory a matter of one contestant; staying
alive between turns, it imports and compiles once. Turns are taken round by round, so that a machine
which slows down slows everybody down.
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

_LEAST_SECONDS = 0.1  # a turn repeats what is faster than this


@dataclass
class Entry:
    """How one contestant fared.

    Attributes
    ----------
    name : str
        Of the contestant.
    times : list of float
        Seconds of one call, turn by turn.
    peak : int
        Bytes above what the process held before the first call.
    outcome : dict
        What its last call answered.
    trouble : str
        Why it did not take part, or did not finish; empty when it did.
    """

    name: str
    times: list[float] = field(default_factory=list)
    peak: int = 0
    outcome: Outcome = field(default_factory=dict)
    trouble: str = ""

    @property
    def seconds(self) -> float | None:
        """Median over the turns."""
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
    """Let contestants take turns until each had `repeats` of them, or has used `budget` seconds.

    `clock` is a function of `time`: "process_time" leaves out what others on the machine take.
    A contestant whose library is missing, or which fails, is entered with its trouble; ours may not fail.
    """
    entries = {name: Entry(name) for name in names}
    processes = {name: _Process(kind, name, task, clock) for name in entries}
    try:
        for _ in range(repeats):
            for name, entry in entries.items():
                spent = sum(entry.times)
                if not entry.trouble and (not entry.times or spent + spent / len(entry.times) <= budget):
                    processes[name].take_turn(entry)
    finally:
        for process in processes.values():
            process.stop()
    for name, entry in entries.items():
        if entry.trouble and name.startswith("ours"):
            raise RuntimeError(f"{name} failed:\n{entry.trouble}")
    return entries


class _Process:
    """A contestant's process, from this side; it starts with the contestant's first turn."""

    def __init__(self, kind: str, name: str, task: Task, clock: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.here, there = context.Pipe()
        self.process = context.Process(target=_serve, args=(there, kind, name, task, clock))
        self.started = False

    def take_turn(self, entry: Entry) -> None:
        if not self.started:
            self.process.start()
            self.started = True
        self.here.send("go")
        while not self.here.poll(1.0):
            if not self.process.is_alive():
                entry.trouble = f"its process ended with code {self.process.exitcode}"
                return
        answer = self.here.recv()
        entry.trouble = answer.get("trouble", "")
        if not entry.trouble:
            entry.times.append(answer["seconds"])
            entry.peak = entry.peak or answer["peak"]
            entry.outcome = answer["outcome"]

    def stop(self) -> None:
        if self.started:
            if self.process.is_alive():
                self.here.send("stop")
            self.process.join(10)
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
            memory = memory or memory_now.bytes
            per_call = [once, *(_timed(call, clock)[1] for _ in range(min(50, int(_LEAST_SECONDS / once))))]
            pipe.send({"seconds": statistics.median(per_call), "peak": memory, "outcome": outcome})
        except ModuleNotFoundError as error:
            pipe.send({"trouble": f"not installed ({error.name})"})
        except Exception as error:
            told = traceback.format_exc() if name.startswith("ours") else f"{type(error).__name__}: {error}"
            pipe.send({"trouble": told})


def _timed(call: Any, clock: str) -> tuple[Outcome, float]:
    now = getattr(time, clock)
    began = now()
    outcome = call()
    return outcome, now() - began


def small_task(kind: str) -> Task:
    """Work that takes no time: it makes libraries import and compile whatever they need."""
    if kind.startswith("match"):
        return Task(sparse.csr_matrix(np.tri(8)), 4)
    waves = np.sin(np.arange(32) * np.linspace(0.1, 0.8, 4)[:, None])
    X = np.repeat(waves, 8, axis=0) + 0.1 * factor_walks(32, 32)
    X = X[np.argsort(np.arange(32) % 8, kind="stable")]
    return Task(X, 4, z_scores(X[:4]))
