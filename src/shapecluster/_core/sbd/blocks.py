"""Cut rows into blocks that fit a memory budget, and run the blocks on threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import numpy as np

_Result = TypeVar("_Result")

BLOCK_BYTES = 1 << 22
"""Bytes for one block of cross-correlations, spectra included: about the size of a processor's cache."""

_BLOCKS_PER_THREAD = 4  # so that a slow block does not leave the other threads idle at the end
_FREED_BYTES = 4 * BLOCK_BYTES


@cache
def _keep_freed_memory() -> None:
    """Make the C library keep the memory of a block for the next one, once per process.

    glibc returns large arrays to the system until it has freed one of that size. Each block would then wait
    for thousands of fresh pages, which took as long as its transforms. The array is never touched.
    """
    np.empty(_FREED_BYTES, dtype=np.uint8)


def row_blocks(n_rows: int, row_bytes: int, block_bytes: int | None = None) -> Iterator[slice]:
    """Yield slices over `n_rows` rows of `row_bytes` each, at least one row a slice."""
    step = max(1, (BLOCK_BYTES if block_bytes is None else block_bytes) // max(1, row_bytes))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def shared_blocks(n_rows: int, row_bytes: int, n_threads: int) -> Iterator[slice]:
    """As `row_blocks`, with several blocks for each thread."""
    share = row_bytes * max(1, n_rows // (_BLOCKS_PER_THREAD * n_threads))
    return row_blocks(n_rows, row_bytes, BLOCK_BYTES if n_threads <= 1 else min(BLOCK_BYTES, share))


def map_blocks(
    function: Callable[[slice], _Result], blocks: Iterable[slice], n_threads: int
) -> list[_Result]:
    """Apply `function` to every block, in order, on up to `n_threads` threads.

    NumPy and scipy.fft release the GIL. Results do not depend on the number of threads as long as
    `function` treats each row by itself.
    """
    _keep_freed_memory()
    if n_threads <= 1:
        return list(map(function, blocks))
    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(function, blocks))
