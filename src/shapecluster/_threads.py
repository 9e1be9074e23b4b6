"""Threads: how many of ours, and never more than one of BLAS's.

BLAS rounds differently with the number of its threads. A fit that is to give the same bits on every
machine size therefore runs its few matrix products on one thread; what scales is run on our own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from joblib import effective_n_jobs
from threadpoolctl import ThreadpoolController

_lock = threading.Lock()
_depth = 0
_limit: Any = None


def n_threads(n_jobs: int | None) -> int:
    """Number of threads that joblib would run for `n_jobs`: None is 1, -1 is all cores."""
    return int(effective_n_jobs(n_jobs))


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Hold BLAS at one thread, for as long as anybody is inside.

    The limit belongs to the process, so blocks that overlap in several threads share it: the first to
    enter sets it, the last to leave lifts it.
    """
    global _depth, _limit
    with _lock:
        if _depth == 0:
            _limit = ThreadpoolController().limit(limits=1, user_api="blas")
            _limit.__enter__()
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                _limit.__exit__(None, None, None)
                _limit = None
