"""Jobs that threads wait for, so that they can be stopped when the interpreter ends.

Ctrl-C reaches the main thread only. When the main thread leaves a sweep whose other threads wait for jobs,
the interpreter ends. Without this module those jobs would run on, and be billed, for lost results.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class _StoppableRun(Protocol):
    def at_exit(self) -> None: ...


_waiting: list[_StoppableRun] = []
_lock = threading.Lock()


@contextmanager
def stopped_at_exit(run: _StoppableRun) -> Iterator[None]:
    """Have `run.at_exit` called if the interpreter ends within this block."""
    with _lock:
        _waiting.append(run)
    try:
        yield
    finally:
        with _lock:
            _waiting.remove(run)


@atexit.register
def _stop_all() -> None:
    # A copy: the calls take seconds, and threads that end meanwhile need the lock.
    with _lock:
        runs = list(_waiting)
    for run in runs:
        run.at_exit()
