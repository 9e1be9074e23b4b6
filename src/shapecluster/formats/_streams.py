"""Read and write binary streams in chunks, so that memory follows the bytes received, not a claimed size."""

from __future__ import annotations

from typing import Protocol, TypeAlias

from shapecluster.exceptions import ArtifactError

BytesLike: TypeAlias = bytes | bytearray | memoryview

CHUNK_BYTES = 1 << 20


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
    """Extend `buffer` to at least `size` bytes; return False if the stream ends before, keeping its bytes."""
    while len(buffer) < size:
        # Never `size` bytes at once: a damaged header may claim gigabytes that are not in the file.
        chunk = file.read(CHUNK_BYTES)
        if chunk is None:
            raise BlockingIOError("the file has no bytes yet: open it in blocking mode")
        if not chunk:
            return False
        buffer += chunk
    return True


def bounded_view(data: BytesLike, max_bytes: int, subject: str) -> memoryview:
    """Return the bytes as a flat view; raise if there are more than `max_bytes`."""
    view = memoryview(data).cast("B")
    if len(view) > max_bytes:
        raise ArtifactError(
            f"{subject} must have at most {max_bytes:,} bytes. Got {len(view):,} instead. "
            "Raise `max_bytes` if this size is intended."
        )
    return view
