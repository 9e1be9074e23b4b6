"""Threads: how many of ours, and one of BLAS's where fits of others run side by side.

BLAS rounds differently with the number of its threads. Our own core does without it; K-Means does not.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from joblib import effective_n_jobs
from threadpoolctl import ThreadpoolController

_holding = threading.Lock()


def n_threads(n_jobs: int | None) -> int:
    """Number of threads that joblib would run for `n_jobs`: None is 1, -1 is all cores."""
    return int(effective_n_jobs(n_jobs))


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Hold BLAS at one thread.

    The limit belongs to the process, and only the thread that set it can lift it. So whoever comes first
    holds it, and those who come meanwhile, in the same thread or in others, change nothing.
    """
    if not _holding.acquire(blocking=False):
        yield
        return
    try:
        with ThreadpoolController().limit(limits=1, user_api="blas"):
            yield
    finally:
        _holding.release()
