"""The limit on jobs that this process runs at a time on each platform."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

# Seconds. A wait without a timeout cannot be interrupted by Ctrl-C on every system.
_TICK = 0.5

_slot_freed = threading.Condition()
_running: Counter[str] = Counter()


@contextmanager
def job_slot(identity: str, limit: int) -> Iterator[None]:
    """Wait until fewer than `limit` jobs run on a platform, and count as one for the length of the block.

    All fits of the process share the count; each compares it with the limit of its own job.
    """
    with _slot_freed:
        while _running[identity] >= limit:
            _slot_freed.wait(_TICK)
        _running[identity] += 1
    try:
        yield
    finally:
        with _slot_freed:
            _running[identity] -= 1
            if not _running[identity]:  # the table must not grow with every folder that was rehearsed in
                del _running[identity]
            _slot_freed.notify_all()
