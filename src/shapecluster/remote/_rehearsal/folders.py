"""Supervisors of a rehearsal: start one, ask it to stop, find out whether it is alive, read its log."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from shapecluster.remote._rehearsal import supervisor
from shapecluster.remote._rehearsal.captured import captured
from shapecluster.remote._rehearsal.supervisor import read_json, write_json


def start_supervisor(
    folder: Path,
    plan: dict[str, Any],
    environment: dict[str, str],
    announce: Callable[[], None] | None = None,
) -> None:
    """Start a supervisor in a folder; it outlives this process.

    `announce` makes the job visible to other processes. From then on they find the supervisor alive.
    """
    import fcntl

    write_json(folder / "plan.json", plan)
    with (folder / "lock").open("w") as lock:
        # The lock belongs to the open file, which the supervisor inherits: it is never unlocked in between.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if announce is not None:
            announce()
        subprocess.run(
            [sys.executable, "-I", supervisor.__file__, str(folder), str(lock.fileno())],
            pass_fds=(lock.fileno(),),
            env=environment,
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
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder: this process is its supervisor."""
    import fcntl

    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def logging_to_folder(folder: Path) -> Iterator[None]:
    """Write the logs and warnings of this thread to the log of a folder."""
    handler = _Log(folder / "log.jsonl")
    logger = logging.getLogger("shapecluster")
    logger.addHandler(handler)
    try:
        with captured(handler):
            yield
    finally:
        logger.removeHandler(handler)


class _Log(logging.Handler):
    """Writes the log records of one thread as events."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread != self._thread:
            return
        time = int(record.created * 1000)
        with self._path.open("a", encoding="utf-8") as log:
            for line in self.format(record).splitlines():
                log.write(json.dumps({"timestamp": time, "message": line}) + "\n")


def request_stop(folder: Path) -> None:
    """Ask a supervisor to end its program."""
    (folder / "stop").touch()


def create_exclusive(folder: Path) -> bool:
    """Create a folder; False when it exists."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    # mkdir is atomic: of two processes that create the same name, one gets the error.
    try:
        os.mkdir(folder)
    except FileExistsError:
        return False
    return True


def response_body(data: bytes) -> BinaryIO:
    """The body of an answer as a file, as in boto3."""
    return io.BytesIO(data)


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Events of a log: time in milliseconds, and message."""
    path = folder / "log.jsonl"
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    # Text after the last line end is still being written.
    return [json.loads(line) for line in lines[:-1]]


__all__ = [
    "create_exclusive",
    "is_alive",
    "locked",
    "logging_to_folder",
    "read_json",
    "read_log",
    "request_stop",
    "response_body",
    "start_supervisor",
    "write_json",
]
