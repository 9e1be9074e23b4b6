"""Timing in turns: contestants run one at a time, round by round, in this process or each in its own.

With turns, a machine that slows down affects all contestants alike. Separate processes keep libraries apart,
and give the peak memory of each contestant. A process stays alive between turns, so it imports and compiles
once.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

Contestant = Callable[[Any], Callable[[], Any]]
"""A function of a task, which imports, prepares, and returns the function to time."""

_MIN_SECONDS = 0.1  # a turn of a process repeats a faster call until it has taken about this long


class Turn(NamedTuple):
    """Seconds of one call, its peak memory in bytes above the memory before it, and what it returned."""

    seconds: float
    peak: int
    outcome: Any


class Failure(Exception):
    """Why a contestant does not take part any more."""


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
        Peak memory of the first turn. Later ones reuse memory that the process keeps.
    outcome : object
        Result of the last call.
    failure : str
        Why the contestant did not take part or did not finish; empty if it did.
    """

    name: str
    times: list[float] = field(default_factory=list)
    peak: int = 0
    outcome: Any = None
    failure: str = ""

    @property
    def seconds(self) -> float | None:
        """Median time over the turns."""
        return statistics.median(self.times) if self.times else None


def timed(work: Callable[[], Any], clock: str = "perf_counter") -> Turn:
    """Measure one call. `clock` is a function of `time`; "process_time" excludes other processes' time.

    Linux can reset the peak of memory. On other systems, only a peak above all earlier ones is seen.
    """
    now = getattr(time, clock)
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    before = _memory("VmRSS")
    began = now()
    outcome = work()
    seconds = now() - began
    return Turn(seconds, max(0, _memory("VmHWM") - before), outcome)


def in_turns(
    contestants: Mapping[str, Any],
    *,
    repeats: int,
    budget: float = math.inf,
    take_turn: Callable[[Any], Turn] = timed,
) -> dict[str, Entry]:
    """Let contestants take turns until each has had `repeats` turns or used `budget` seconds."""
    entries = {name: Entry(name) for name in contestants}
    for _ in range(repeats):
        for name, entry in entries.items():
            spent = sum(entry.times)
            # No turn that would exceed the budget if it took as long as those before.
            if entry.failure or (entry.times and spent + spent / len(entry.times) > budget):
                continue
            try:
                turn = take_turn(contestants[name])
            except Failure as failure:
                entry.failure = str(failure)
            else:
                entry.peak = turn.peak if not entry.times else entry.peak
                entry.times.append(turn.seconds)
                entry.outcome = turn.outcome
    return entries


def contest(
    contestants: Mapping[str, Contestant],
    task: Any,
    small_task: Any,
    *,
    repeats: int,
    budget: float,
    clock: str = "perf_counter",
) -> dict[str, Entry]:
    """Let contestants do a task `in_turns`, each in its own process, after a small task to warm up.

    If a library is missing or fails, its entry says why. A failure of a contestant of ours raises
    RuntimeError.
    """
    processes = {name: _Process(work, small_task, task, clock) for name, work in contestants.items()}
    try:
        entries = in_turns(processes, repeats=repeats, budget=budget, take_turn=_Process.take_turn)
    finally:
        for process in processes.values():
            process.stop()  # also after an interrupt, or the processes would wait for ever
    for name, entry in entries.items():
        if entry.failure and name.startswith("ours"):
            raise RuntimeError(f"{name} failed: {entry.failure}")
    return entries


class _Process:
    """The process of a contestant, seen from the parent. It starts with the first turn."""

    def __init__(self, contestant: Contestant, small_task: Any, task: Any, clock: str) -> None:
        # A forked process would inherit the parent's memory, and its imports.
        context = multiprocessing.get_context("spawn")
        self.here, there = context.Pipe()
        self.process = context.Process(target=_serve, args=(there, contestant, small_task, task, clock))
        self.started = False

    def take_turn(self) -> Turn:
        if not self.started:
            self.process.start()
            self.started = True
        self.here.send("go")
        try:
            # The pipe of a killed process stays open as long as a process lives that it forked.
            while not self.here.poll(1.0):
                if not self.process.is_alive():
                    raise EOFError
            answer = self.here.recv()
        except EOFError:  # killed, for its memory for example
            self.process.join()
            raise Failure(f"its process ended with code {self.process.exitcode}") from None
        if isinstance(answer, Failure):
            raise answer
        return answer

    def stop(self) -> None:
        if self.started:
            if self.process.is_alive():
                self.here.send("stop")
            self.process.join(10)  # a turn that still runs does not read the message
            if self.process.is_alive():
                self.process.kill()


# ------------------------------------------------------------------------------- in the contestant's process


def _serve(pipe: Connection, contestant: Contestant, small_task: Any, task: Any, clock: str) -> None:
    call = None
    while pipe.recv() == "go":
        try:
            if call is None:
                contestant(small_task)()  # imports and compiles
                call = contestant(task)
            turn = timed(call, clock)
            more = [timed(call, clock).seconds for _ in range(min(50, int(_MIN_SECONDS / turn.seconds)))]
            pipe.send(turn._replace(seconds=statistics.median([turn.seconds, *more])))
        except ModuleNotFoundError as error:
            pipe.send(Failure(f"not installed ({error.name})"))
        except Exception as error:
            traceback.print_exc()
            pipe.send(Failure(f"{type(error).__name__}: {error}"))


def _memory(entry: str) -> int:
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith(entry):
                return 1024 * int(line.split()[1])
    import resource  # not available on Windows

    # macOS reports bytes, other systems kilobytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
