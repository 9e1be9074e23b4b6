"""Jobs that somebody waits for, so that none is forgotten when the interpreter ends.

Ctrl-C reaches the main thread only. A sweep that waits in other threads is left by its main thread, the
interpreter ends, and the jobs would run on with nobody to collect them.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class _Waited(Protocol):
    def at_exit(self) -> None: ...


_waited: list[_Waited] = []
_changing = threading.Lock()


@contextmanager
def stopped_at_exit(run: _Waited) -> Iterator[None]:
    """Have `run.at_exit` called if the interpreter ends within this block."""
    with _changing:
        _waited.append(run)
    try:
        yield
    finally:
        with _changing:
            _waited.remove(run)


@atexit.register
def _end() -> None:
    with _changing:
        runs = list(_waited)
    for run in runs:
        run.at_exit()
