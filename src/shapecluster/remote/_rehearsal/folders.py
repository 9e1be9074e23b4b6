"""Supervisors of a rehearsal: start one, ask it to stop, find out whether it is alive, read its log."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shapecluster.remote._rehearsal import supervisor
from shapecluster.remote._rehearsal.programs import environment
from shapecluster.remote._rehearsal.supervisor import write_json


def start_supervisor(folder: Path, plan: dict[str, Any], announce: Callable[[], None] | None = None) -> None:
    """Start a supervisor in a folder; it outlives this process.

    `announce` makes the job visible to other processes. From then on they find the supervisor alive.
    """
    write_json(folder / "plan.json", plan)
    with locked(folder) as lock:
        # The lock belongs to the open file, which the supervisor inherits: it is never unlocked in between.
        if announce is not None:
            announce()
        subprocess.run(
            [sys.executable, "-I", supervisor.__file__, str(folder), str(lock)],
            pass_fds=(lock,),
            env=environment(folder, {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )


def is_alive(folder: Path) -> bool:
    """Whether the supervisor of a folder is alive: it holds the lock for as long."""
    import fcntl

    try:
        with (folder / "lock").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Hold the lock of a folder, as its supervisor does; yields the number of the open file."""
    import fcntl

    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()


def request_stop(folder: Path) -> None:
    """Ask a supervisor to end its program."""
    (folder / "stop").touch()


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Events of a log: time in milliseconds, and message."""
    path = folder / "log.jsonl"
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    # Text after the last line end is still being written.
    return [json.loads(line) for line in lines[:-1]]
