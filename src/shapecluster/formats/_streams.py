"""Read and write binary streams in chunks, so that memory follows the bytes received, not a claimed size."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, BinaryIO, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shapecluster.exceptions import ArtifactError

BytesLike: TypeAlias = bytes | bytearray | memoryview

CHUNK_BYTES = 1 << 20
_BLOCK_BYTES = 1 << 22
_PART_OVERHEAD = 512  # bytes that the arrays of a part take in addition to their numbers


class Readable(Protocol):
    """A binary source: a file opened with "rb", io.BytesIO, the body of an HTTP response."""

    def read(self, size: int, /) -> bytes | None:
        """Return at most `size` bytes, and none at the end."""


class Writable(Protocol):
    """A binary target: a file opened with "wb", io.BytesIO."""

    def write(self, data: memoryview, /) -> int | None:
        """Write some of the bytes; return how many, or None for all."""


def write_all(file: Writable, data: BytesLike) -> int:
    """Write every byte and return their number, even if the file accepts only some bytes at a time."""
    rest = memoryview(data).cast("B")
    total = len(rest)
    while len(rest):
        n_written = file.write(rest)
        if n_written is None or n_written >= len(rest):
            break
        if n_written <= 0:
            raise BlockingIOError("the file accepts no more bytes: open it in blocking mode")
        rest = rest[n_written:]
    return total


def fill_buffer(file: Readable, buffer: bytearray, size: int) -> bool:
    """Extend `buffer` to `size` bytes; return False if the stream ends before, keeping its bytes."""
    while len(buffer) < size:
        # Never `size` bytes at once: a damaged header may claim gigabytes that are not in the file.
        chunk = file.read(min(size - len(buffer), CHUNK_BYTES))
        if chunk is None:
            raise BlockingIOError("the file has no bytes yet: open it in blocking mode")
        if not chunk:
            return False
        buffer += chunk
    return True


def fill_array(file: BinaryIO, array: NDArray[Any]) -> bool:
    """Read the bytes of an array in C order; return False if the stream ends before."""
    view = byte_view(array)
    pieces = (view[start : start + CHUNK_BYTES] for start in range(0, len(view), CHUNK_BYTES))
    return all(file.readinto(piece) == len(piece) for piece in pieces)  # type: ignore[attr-defined]


def byte_view(array: NDArray[Any]) -> memoryview:
    """Return the bytes of an array in C order, without a copy."""
    flat: Any = array.reshape(-1).view(np.uint8)
    return memoryview(flat)


def join_rows(
    parts: Iterable[tuple[NDArray[Any], ...]], n_rows: int | None, max_bytes: int, subject: str
) -> list[NDArray[Any]]:
    """Join the parts of a file, each of which has the same columns for some rows: a matrix, and its labels.

    Returns no column if there is no part. Raises for too many bytes, and for another number of rows than
    expected.
    """
    blocks: list[tuple[NDArray[Any], ...]] = []
    pending: list[tuple[NDArray[Any], ...]] = []
    n_found = n_bytes = n_pending = 0
    for part in parts:
        pending.append(part)
        n_found += len(part[0])
        n_bytes += part[0].nbytes
        n_pending += part[0].nbytes + _PART_OVERHEAD
        if n_bytes > max_bytes:
            raise ArtifactError(
                f"{subject} must have at most {max_bytes:,} bytes of numbers (`max_bytes`), and has more."
            )
        if n_rows is not None and n_found > n_rows:
            break  # the rest would only cost time and memory
        # A file may have millions of parts of one row, which take much more memory than their numbers.
        if n_pending > _BLOCK_BYTES:
            blocks.append(tuple(map(np.concatenate, zip(*pending, strict=True))))
            pending, n_pending = [], 0
    if n_rows is not None and n_found != n_rows:
        count = "more" if n_found > n_rows else f"{n_found:,}"
        raise ArtifactError(
            f"{subject} must have {n_rows:,} rows. Got {count} instead: the file is truncated, or of other "
            "rows. Write or download it again."
        )
    return list(map(np.concatenate, zip(*blocks, *pending, strict=True)))


def bounded_view(data: BytesLike, max_bytes: int, subject: str) -> memoryview:
    """Return the bytes as a flat view; raise if there are more than `max_bytes`."""
    view = memoryview(data).cast("B")
    if len(view) > max_bytes:
        raise ArtifactError(
            f"{subject} must have at most {max_bytes:,} bytes. Got {len(view):,} instead. "
            "Raise `max_bytes` if this size is intended."
        )
    return view
