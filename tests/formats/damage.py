"""Damage bytes in many ways, and bound the time and memory of reading them."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from shapecluster.exceptions import ArtifactError

MB = 1 << 20


@contextmanager
def at_most(n_bytes: int, seconds: float = 20.0) -> Iterator[None]:
    """Check that the block allocates at most `n_bytes` at any time and ends within `seconds`."""
    tracemalloc.start()
    start = time.perf_counter()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= n_bytes, f"{peak:,} bytes at the peak"
    assert time.perf_counter() - start < seconds


def rejected_when_truncated(read: Callable[[bytes], Any], data: bytes) -> None:
    """Check that every proper prefix of the bytes is rejected."""
    read(data)
    for size in range(len(data)):
        with pytest.raises(ArtifactError):
            read(data[:size])


def damaged_versions(data: bytes, rng: np.random.Generator, n: int) -> Iterator[bytes]:
    """Yield the bytes with single bytes changed, first each and then random ones, and with parts moved."""
    for number in range(n):
        out = bytearray(data)
        place = number % len(out) if number < 2 * len(out) else int(rng.integers(len(out)))
        special = [0x00, 0xFF, 0x7F, 0x80, out[place] ^ 1 << int(rng.integers(8)), int(rng.integers(256))]
        out[place] = special[int(rng.integers(len(special)))]
        yield bytes(out)
    for _ in range(n // 10):
        first, last = sorted(int(i) for i in rng.integers(len(data), size=2))
        yield data[:first] + data[last:]
        yield data[:last] + data[first:]
        yield data[:first] + rng.bytes(8) + data[first:]


def read_damaged(
    read: Callable[[bytes], Any],
    data: bytes,
    rng: np.random.Generator,
    *,
    n: int,
    check: Callable[[Any], None] = lambda result: None,
) -> tuple[int, int]:
    """Read many damaged versions: each gives a valid result or ArtifactError. Returns their numbers."""
    sound = refused = 0
    for version in damaged_versions(data, rng, n):
        try:
            result = read(version)
        except ArtifactError:
            refused += 1
        else:
            check(result)
            sound += 1
    return sound, refused
