"""Number of threads, and the limit of BLAS to one thread while fits run in parallel.

BLAS rounds differently with the number of its threads. Our own results do not depend on that, but those of
K-Means do.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from joblib import effective_n_jobs
from threadpoolctl import ThreadpoolController

_limit_lock = threading.Lock()


def n_threads(n_jobs: int | None) -> int:
    """Return the number of threads for `n_jobs` as joblib counts: None is 1, -1 is one per core."""
    if isinstance(n_jobs, bool):  # joblib takes True for 1, where a caller may mean all cores
        raise TypeError(f"n_jobs must be an integer or None. Got {n_jobs!r} instead.")
    return int(effective_n_jobs(n_jobs))


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Limit BLAS to one thread until the block ends.

    The limit belongs to the process. The first block sets it and removes it at its end. Blocks that begin
    meanwhile, in the same thread or in others, change nothing.
    """
    # Overlapping limits would each restore the limit before them, and could leave it in place forever.
    if not _limit_lock.acquire(blocking=False):
        yield
        return
    try:
        with ThreadpoolController().limit(limits=1, user_api="blas"):
            yield
    finally:
        _limit_lock.release()
