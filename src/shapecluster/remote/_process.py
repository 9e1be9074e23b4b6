"""What the jobs of one process share: the limit on their number, and the end of the interpreter.

Ctrl-C reaches the main thread only. When the main thread leaves a sweep whose other threads wait for jobs,
the interpreter ends. Without `stopped_at_exit` those jobs would run on, and be billed, for lost results.
"""

from __future__ import annotations

import atexit
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Seconds. A wait without a timeout cannot be interrupted by Ctrl-C on every system.
_TICK = 0.5

_changed = threading.Condition()
_running: Counter[str] = Counter()
_stops: list[Callable[[], None]] = []


@contextmanager
def job_slot(identity: str, limit: int) -> Iterator[None]:
    """Wait until fewer than `limit` jobs run on a platform, and count as one for the length of the block.

    All fits of the process share the count; each compares it with the limit of its own job.
    """
    with _changed:
        while _running[identity] >= limit:
            _changed.wait(_TICK)
        _running[identity] += 1
    try:
        yield
    finally:
        with _changed:
            _running[identity] -= 1
            if not _running[identity]:  # the table must not grow with every folder that was rehearsed in
                del _running[identity]
            _changed.notify_all()


@contextmanager
def stopped_at_exit(stop: Callable[[], None]) -> Iterator[None]:
    """Have `stop` called if the interpreter ends within this block."""
    with _changed:
        _stops.append(stop)
    try:
        yield
    finally:
        with _changed:
            _stops.remove(stop)


@atexit.register
def _stop_all() -> None:
    # A copy: the calls take seconds, and threads that end meanwhile need the lock.
    with _changed:
        stops = list(_stops)
    for stop in stops:
        stop()
