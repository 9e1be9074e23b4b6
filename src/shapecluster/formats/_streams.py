"""Reading and writing binary streams in pieces: memory follows what is there, never what is claimed."""

from __future__ import annotations

from typing import Protocol, TypeAlias

from shapecluster.exceptions import ArtifactError

Bytes: TypeAlias = bytes | bytearray | memoryview

PIECE = 1 << 20  # bytes asked for at once


class Readable(Protocol):
    """What is read from: a file opened with "rb", io.BytesIO, the body of an answer."""

    def read(self, size: int, /) -> bytes | None:
        """At most `size` bytes; none at the end."""


class Writable(Protocol):
    """What is written to: a file opened with "wb", io.BytesIO."""

    def write(self, data: memoryview, /) -> int | None:
        """Take the bytes; how many were taken, or None for all."""


def write_all(file: Writable, data: Bytes) -> int:
    """Write every byte, also to a raw file that takes only some at a time; returns their number."""
    rest = memoryview(data).cast("B")
    total = len(rest)
    while len(rest):
        taken = file.write(rest)
        if taken is None or taken >= len(rest):
            break
        if taken <= 0:
            raise BlockingIOError("the file takes no more bytes: open it in blocking mode")
        rest = rest[taken:]
    return total


def fill(file: Readable, buffer: bytearray, size: int) -> bool:
    """Extend `buffer` to `size` bytes or more; False if the stream ends before (what was there is kept)."""
    while len(buffer) < size:
        piece = file.read(PIECE)
        if piece is None:
            raise BlockingIOError("the file has no bytes yet: open it in blocking mode")
        if not piece:
            return False
        buffer += piece
    return True


def check_size(data: Bytes, max_bytes: int, what: str) -> memoryview:
    """The bytes as a flat view, refused where there are more than `max_bytes`."""
    view = memoryview(data).cast("B")
    if len(view) > max_bytes:
        raise ArtifactError(
            f"{what} must have at most {max_bytes:,} bytes. Got {len(view):,} instead. "
            "Raise `max_bytes` if it is really meant to be so large."
        )
    return view
