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
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
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
    """The results of one contestant."""

    name: str
    times: list[float] = field(default_factory=list)  # seconds of one call, turn by turn
    peak: int = 0  # of the first turn, because later ones reuse memory that the process keeps
    outcome: Any = None  # of the last call
    failure: str = ""  # why the contestant did not take part or did not finish

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


processor_time = partial(timed, clock="process_time")


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
    # A forked process would inherit the parent's memory, and its imports.
    context = multiprocessing.get_context("spawn")
    with contextlib.ExitStack() as stack:
        pools = {
            name: stack.enter_context(
                ProcessPoolExecutor(1, context, _receive, (contestant, small_task, task, clock))
            )
            for name, contestant in contestants.items()
        }
        entries = in_turns(pools, repeats=repeats, budget=budget, take_turn=_turn_in)
    for name, entry in entries.items():
        if entry.failure and name.startswith("ours"):
            raise RuntimeError(f"{name} failed: {entry.failure}")
    return entries


def _turn_in(pool: ProcessPoolExecutor) -> Turn:
    try:
        return pool.submit(_turn).result()
    except ModuleNotFoundError as error:
        raise Failure(f"not installed ({error.name})") from error
    except BrokenProcessPool as error:
        raise Failure("its process was killed, perhaps for its memory") from error
    except Exception as error:
        traceback.print_exception(error)
        raise Failure(f"{type(error).__name__}: {error}") from error


# ------------------------------------------------------------------------------- in the contestant's process

_work: dict[str, Any] = {}


def _receive(contestant: Contestant, small_task: Any, task: Any, clock: str) -> None:
    _work.update(contestant=contestant, small_task=small_task, task=task, clock=clock)


def _turn() -> Turn:
    contestant, clock = _work["contestant"], _work["clock"]
    if "call" not in _work:
        contestant(_work["small_task"])()  # imports and compiles
        _work["call"] = contestant(_work["task"])
    turn = timed(_work["call"], clock)
    n_more = min(50, int(_MIN_SECONDS / turn.seconds))
    more = [timed(_work["call"], clock).seconds for _ in range(n_more)]
    return turn._replace(seconds=statistics.median([turn.seconds, *more]))


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
