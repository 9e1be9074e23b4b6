"""Read and write binary streams in chunks, so that memory follows the bytes received, not a claimed size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from shapecluster.exceptions import ArtifactError

BytesLike: TypeAlias = bytes | bytearray | memoryview

CHUNK_BYTES = 1 << 20
BLOCK_BYTES = 1 << 22  # of numbers in one block of rows


class Readable(Protocol):
    """A binary source: a file opened with "rb", io.BytesIO, the body of an HTTP response."""

    def read(self, size: int, /) -> bytes | None:
        """Return at most `size` bytes, and none at the end."""


class Writable(Protocol):
    """A binary target: a file opened with "wb", io.BytesIO."""

    def write(self, data: memoryview, /) -> int | None:
        """Write some of the bytes; return how many, or None for all."""


class Rows(Protocol):
    """A block of rows, whatever stands beside their numbers."""

    @property
    def values(self) -> NDArray[Any]:
        """The numbers, one row each."""


RowsT = TypeVar("RowsT", bound=Rows)


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


def iter_blocks(
    parts: Iterator[RowsT], join: Callable[[list[RowsT]], RowsT], overhead: int
) -> Iterator[RowsT]:
    """Join small parts of a file to blocks of a few megabytes.

    A part takes `overhead` bytes in addition to its numbers.
    """
    pending: list[RowsT] = []
    size = 0
    for part in parts:
        pending.append(part)
        size += part.values.nbytes + overhead
        if size > BLOCK_BYTES:
            yield join(pending)
            pending, size = [], 0
    if pending:
        yield join(pending)


def read_blocks(blocks: Iterator[RowsT], n_rows: int | None, max_bytes: int, subject: str) -> list[RowsT]:
    """Read all blocks of a file; raise if they have too many bytes, or not the expected number of rows."""
    found: list[RowsT] = []
    n_found = size = 0
    for block in blocks:
        found.append(block)
        n_found += len(block.values)
        size += block.values.nbytes
        if size > max_bytes:
            raise ArtifactError(
                f"{subject} must have at most {max_bytes:,} bytes of numbers, and has more. "
                "Raise `max_bytes`, or read it in blocks."
            )
        if n_rows is not None and n_found > n_rows:
            break  # the rest would only cost time and memory
    if n_rows is not None and n_found != n_rows:
        count = "more" if n_found > n_rows else f"{n_found:,}"
        raise ArtifactError(
            f"{subject} must have {n_rows:,} rows. Got {count} instead: the file is truncated, or of other "
            "rows. Write or download it again."
        )
    return found


def bounded_view(data: BytesLike, max_bytes: int, subject: str) -> memoryview:
    """Return the bytes as a flat view; raise if there are more than `max_bytes`."""
    view = memoryview(data).cast("B")
    if len(view) > max_bytes:
        raise ArtifactError(
            f"{subject} must have at most {max_bytes:,} bytes. Got {len(view):,} instead. "
            "Raise `max_bytes` if this size is intended."
        )
    return view
