"""RecordIO frames: `u32 magic | u32 length | message | zeros to a multiple of 4`, many at a time.

Rows of one kind differ in their numbers only, so both ways work on whole blocks with NumPy: a block of
frames is one template, repeated, with columns of numbers put in or taken out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shapecluster._typing import Float64Array
from shapecluster.exceptions import ArtifactError
from shapecluster.formats._protobuf_record import Record, Tensor, parse_record
from shapecluster.formats._streams import Readable, Writable, fill, write_all

_MAGIC = 0xCED7230A
_HEAD = struct.Struct("<II")
_BLOCK = 1 << 20  # bytes of frames that are made, or looked at, at once
_LONGEST = (1 << 29) - 1  # other readers take the three bits above for flags

Part: TypeAlias = bytes | NDArray[np.number[Any]]
"""What frames are made of: bytes that they share, or an array (n_frames, n_numbers) of their own."""


def write_frames(file: Writable, parts: Sequence[Part], dtype: np.dtype[Any]) -> int:
    """Write one frame for every row of the arrays in `parts`, their numbers as `dtype`.

    Returns the number of bytes. At most a few blocks are held beside the arrays, whatever their size.
    """
    arrays = [part for part in parts if not isinstance(part, bytes)]
    n_frames = len(arrays[0])
    length = sum(len(part) if isinstance(part, bytes) else part.shape[1] * dtype.itemsize for part in parts)
    if length > _LONGEST:
        raise ValueError(f"a RecordIO record must have at most {_LONGEST:,} bytes. Got {length:,} instead.")
    everything = [_HEAD.pack(_MAGIC, length), *parts, bytes(-length % 4)]
    step = max(1, _BLOCK // (length + 8))
    wide = length > _BLOCK
    written = 0
    for first in range(0, n_frames, step):
        rows = slice(first, min(first + step, n_frames))
        if wide:
            written += _write_wide(file, everything, rows.start, dtype)
        else:
            written += write_all(file, _block(everything, rows, dtype))
    return written


def _block(parts: Sequence[Part], rows: slice, dtype: np.dtype[Any]) -> memoryview:
    """Some frames at once."""
    columns = [part if isinstance(part, bytes) else _cast(part[rows], dtype, rows.start) for part in parts]
    widths = [len(part) if isinstance(part, bytes) else part.shape[1] * dtype.itemsize for part in columns]
    block = np.empty((rows.stop - rows.start, sum(widths)), dtype=np.uint8)
    at = 0
    for column, width in zip(columns, widths, strict=True):
        raw = np.frombuffer(column, np.uint8) if isinstance(column, bytes) else column.view(np.uint8)
        block[:, at : at + width] = raw
        at += width
    return block.data.cast("B")


def _write_wide(file: Writable, parts: Sequence[Part], row: int, dtype: np.dtype[Any]) -> int:
    """One frame that is larger than a block, piece by piece."""
    step = _BLOCK // dtype.itemsize
    written = 0
    for part in parts:
        if isinstance(part, bytes):
            written += write_all(file, part)
            continue
        for first in range(0, part.shape[1], step):
            piece = _cast(part[row : row + 1, first : first + step], dtype, row)
            written += write_all(file, piece.data.cast("B"))
    return written


def _cast(values: NDArray[np.number[Any]], dtype: np.dtype[Any], first: int) -> NDArray[np.number[Any]]:
    """Contiguous little-endian numbers of the dtype; what it cannot hold is refused by its row."""
    with np.errstate(over="ignore"):
        out = np.ascontiguousarray(values, dtype=dtype)
    if dtype.itemsize < values.dtype.itemsize:
        lost = (np.isinf(out) & np.isfinite(values)).any(axis=1)
        if lost.any():
            raise ValueError(
                f"row {first + int(np.argmax(lost))} holds a number beyond {np.finfo(dtype).max:.3g}, the "
                f'largest of {dtype.name}: scale the data, or write it with dtype="float64".'
            )
    return out


class Run(NamedTuple):
    """Records that stand one after the other and differ in the values of their tensors only."""

    first: int
    n_records: int
    record: Record


def read_runs(file: Readable, max_record_bytes: int) -> Iterator[Run]:
    """Everything in a stream of frames, in its order.

    A frame that equals one before it outside of that one's floats means the same but for these floats. So
    one frame is read field by field, and those like it are compared and taken as a block.
    """
    buffer = bytearray()
    first = 0
    while fill(file, buffer, 1):
        frame, message = _next_frame(file, buffer, first, max_record_bytes)
        try:
            record = parse_record(message)
        except ArtifactError as error:
            raise damaged(f"record {first}: {error}") from None
        yield Run(first, 1, record)
        first += 1
        n_like, asked = 1, 4
        while n_like and all(tensor.span is not None for tensor in record.tensors()):
            # More and more at once: a file whose frames all differ must not be compared over and over.
            asked = min(2 * asked, max(1, _BLOCK // len(frame)))
            fill(file, buffer, asked * len(frame))
            rows = _whole_rows(buffer, asked, len(frame))
            n_like = _count_alike(rows, np.frombuffer(frame, dtype=np.uint8), record)
            if n_like:
                yield Run(first, n_like, record.of_rows(rows[:n_like, _HEAD.size :]))
                first += n_like
                del buffer[: n_like * len(frame)]
            if n_like < asked:
                break


def _next_frame(
    file: Readable, buffer: bytearray, number: int, max_record_bytes: int
) -> tuple[bytes, memoryview]:
    """Take one frame from the front of the buffer; and the message in it."""
    if not fill(file, buffer, _HEAD.size):
        raise damaged(f"it ends within the head of record {number}")
    magic, length = _HEAD.unpack_from(buffer)
    if magic != _MAGIC:
        raise damaged(f"record {number} starts with {magic:#010x} where {_MAGIC:#010x} was expected")
    if length > max_record_bytes:
        raise damaged(
            f"record {number} claims {length:,} bytes, above the limit of {max_record_bytes:,} "
            "(raise `max_record_bytes` if rows are really so wide)"
        )
    size = _HEAD.size + length + -length % 4
    if not fill(file, buffer, size):
        raise damaged(f"it ends within record {number}, after {len(buffer)} of {size} bytes")
    frame = bytes(memoryview(buffer)[:size])
    del buffer[:size]
    if any(frame[_HEAD.size + length :]):
        raise damaged(f"record {number} is not followed by zeros up to a multiple of 4 bytes")
    return frame, memoryview(frame)[_HEAD.size : _HEAD.size + length]


def _whole_rows(buffer: bytearray, most: int, size: int) -> NDArray[np.uint8]:
    """The next bytes, a copy, as rows of one frame's size each; an incomplete one is left out."""
    n_rows = min(most, len(buffer) // size)
    with memoryview(buffer) as view:
        return np.frombuffer(bytes(view[: n_rows * size]), dtype=np.uint8).reshape(n_rows, size)


def _count_alike(rows: NDArray[np.uint8], template: NDArray[np.uint8], record: Record) -> int:
    """How many of the first rows equal the template outside of the record's floats."""
    alike = np.ones(len(rows), dtype=np.bool_)
    at = 0
    for start, stop in [*sorted(t.span for t in record.tensors() if t.span), (None, None)]:
        until = None if start is None else start + _HEAD.size
        alike &= (rows[:, at:until] == template[at:until]).all(axis=1)
        at = 0 if stop is None else stop + _HEAD.size
    return len(rows) if alike.all() else int(np.argmin(alike))


def scalars(tensor: Tensor, run: Run) -> Float64Array:
    """The one value that a tensor of labels has in each record of a run."""
    if tensor.values.shape[1] != 1 or tensor.keys is not None:
        raise damaged(
            f"record {run.first} must have one value in a label. Got {tensor.values.shape[1]} instead"
        )
    return tensor.values[:, 0].astype(np.float64)


def damaged(problem: str) -> ArtifactError:
    """The error for bytes that are no RecordIO, or not all of it."""
    return ArtifactError(
        f"RecordIO data cannot be read: {problem}. The file is damaged, cut short or of another format: "
        "write or download it again."
    )
