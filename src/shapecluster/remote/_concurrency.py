"""How many jobs this process may have under way at a time, on each platform."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

_TICK = 0.5  # seconds; a wait without an end could not be interrupted on every system

_free = threading.Condition()
_taken: Counter[str] = Counter()


@contextmanager
def job_slot(identity: str, limit: int) -> Iterator[None]:
    """Be one of at most `limit` jobs on a platform; waits for its turn.

    All fits share the count, and each keeps to the limit of its own job.
    """
    with _free:
        while _taken[identity] >= limit:
            _free.wait(_TICK)
        _taken[identity] += 1
    try:
        yield
    finally:
        with _free:
            _taken[identity] -= 1
            if not _taken[identity]:
                del _taken[identity]
            _free.notify_all()
