"""RecordIO frames: `u32 magic | u32 length | message | zeros to a multiple of 4`, many at a time.

Rows of one kind differ in their numbers only. The writer and the reader therefore handle whole blocks of
frames with NumPy: a block is one template, repeated, with columns of numbers inserted or extracted.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shapecluster._typing import Float64Array
from shapecluster.exceptions import ArtifactError
from shapecluster.formats._protobuf_record import Record, Tensor, TensorValues, parse_record
from shapecluster.formats._streams import Readable, Writable, fill_buffer, write_all

_MAGIC = 0xCED7230A
_HEADER = struct.Struct("<II")
_BLOCK_BYTES = 1 << 20  # of frames that are written or compared at once
_MAX_MESSAGE_BYTES = (1 << 29) - 1  # other readers use the three bits above as flags

FramePart: TypeAlias = bytes | TensorValues
"""A piece of every frame: bytes that all frames share, or an array with one row per frame."""


def write_frames(file: Writable, parts: Sequence[FramePart], dtype: np.dtype[Any]) -> int:
    """Write one frame for every row of the arrays in `parts`, their numbers as `dtype`.

    Returns the number of bytes. Extra memory is a few blocks for arrays of any size.
    """
    arrays = [part for part in parts if not isinstance(part, bytes)]
    n_frames = len(arrays[0])
    length = sum(len(part) if isinstance(part, bytes) else part.shape[1] * dtype.itemsize for part in parts)
    if length > _MAX_MESSAGE_BYTES:
        raise ValueError(
            f"a RecordIO record must have at most {_MAX_MESSAGE_BYTES:,} bytes. Got {length:,} instead."
        )
    frame = [_HEADER.pack(_MAGIC, length), *parts, bytes(-length % 4)]
    step = max(1, _BLOCK_BYTES // (length + 8))
    written = 0
    for first in range(0, n_frames, step):
        rows = slice(first, min(first + step, n_frames))
        if length > _BLOCK_BYTES:
            written += _write_wide_frame(file, frame, rows.start, dtype)
        else:
            written += write_all(file, _build_block(frame, rows, dtype))
    return written


def _build_block(parts: Sequence[FramePart], rows: slice, dtype: np.dtype[Any]) -> memoryview:
    """Build the frames of some rows, one after the other."""
    columns = [part if isinstance(part, bytes) else _cast(part[rows], dtype, rows.start) for part in parts]
    widths = [len(part) if isinstance(part, bytes) else part.shape[1] * dtype.itemsize for part in columns]
    block = np.empty((rows.stop - rows.start, sum(widths)), dtype=np.uint8)
    start = 0
    for column, width in zip(columns, widths, strict=True):
        raw = np.frombuffer(column, np.uint8) if isinstance(column, bytes) else column.view(np.uint8)
        block[:, start : start + width] = raw
        start += width
    return block.data.cast("B")


def _write_wide_frame(file: Writable, parts: Sequence[FramePart], row: int, dtype: np.dtype[Any]) -> int:
    """Write one frame that is larger than a block, piece by piece."""
    step = _BLOCK_BYTES // dtype.itemsize
    written = 0
    for part in parts:
        if isinstance(part, bytes):
            written += write_all(file, part)
            continue
        for first in range(0, part.shape[1], step):
            piece = _cast(part[row : row + 1, first : first + step], dtype, row)
            written += write_all(file, piece.data.cast("B"))
    return written


def _cast(values: TensorValues, dtype: np.dtype[Any], first_row: int) -> TensorValues:
    """Convert to contiguous numbers of the dtype; raise for a row that overflows it."""
    with np.errstate(over="ignore"):
        out = np.ascontiguousarray(values, dtype=dtype)
    if dtype.itemsize < values.dtype.itemsize:
        overflow = (np.isinf(out) & np.isfinite(values)).any(axis=1)
        if overflow.any():
            raise ValueError(
                f"row {first_row + int(np.argmax(overflow))} holds a number beyond "
                f"{np.finfo(dtype).max:.3g}, the largest of {dtype.name}: scale the data, or write it with "
                'dtype="float64".'
            )
    return out


class RecordBatch(NamedTuple):
    """Consecutive records that differ in the values of their tensors only."""

    first: int
    n_records: int
    record: Record


def read_record_batches(file: Readable, max_record_bytes: int) -> Iterator[RecordBatch]:
    """Read all records of a stream of frames, in their order.

    Each new kind of frame is parsed field by field. Frames after it that equal it outside of its floats are
    decoded as one block, without parsing.
    """
    buffer = bytearray()
    first = 0
    while fill_buffer(file, buffer, 1):
        frame, message = _next_frame(file, buffer, first, max_record_bytes)
        try:
            record = parse_record(message)
        except ArtifactError as error:
            raise recordio_error(f"record {first}: {error}") from None
        yield RecordBatch(first, 1, record)
        first += 1
        n_equal, n_compared = 1, 4
        while n_equal and all(tensor.values_span is not None for tensor in record.tensors()):
            # The number doubles: where all frames differ, comparing a whole block for each is quadratic.
            n_compared = min(2 * n_compared, max(1, _BLOCK_BYTES // len(frame)))
            fill_buffer(file, buffer, n_compared * len(frame))
            frames = _complete_frames(buffer, n_compared, len(frame))
            n_equal = _count_equal(frames, np.frombuffer(frame, dtype=np.uint8), record)
            if n_equal:
                yield RecordBatch(first, n_equal, record.with_values_of(frames[:n_equal, _HEADER.size :]))
                first += n_equal
                del buffer[: n_equal * len(frame)]
            if n_equal < n_compared:
                break


def _next_frame(
    file: Readable, buffer: bytearray, index: int, max_record_bytes: int
) -> tuple[bytes, memoryview]:
    """Remove one frame from the front of the buffer; return it and its message."""
    if not fill_buffer(file, buffer, _HEADER.size):
        raise recordio_error(f"it ends within the header of record {index}")
    magic, length = _HEADER.unpack_from(buffer)
    if magic != _MAGIC:
        raise recordio_error(f"record {index} starts with {magic:#010x} where {_MAGIC:#010x} was expected")
    if length > max_record_bytes:
        raise recordio_error(
            f"record {index} claims {length:,} bytes, above the limit of {max_record_bytes:,} "
            "(raise `max_record_bytes` if rows are really so wide)"
        )
    size = _HEADER.size + length + -length % 4
    if not fill_buffer(file, buffer, size):
        raise recordio_error(f"it ends within record {index}, after {len(buffer)} of {size} bytes")
    frame = bytes(memoryview(buffer)[:size])
    del buffer[:size]
    if any(frame[_HEADER.size + length :]):
        raise recordio_error(f"record {index} is not followed by zeros up to a multiple of 4 bytes")
    return frame, memoryview(frame)[_HEADER.size : _HEADER.size + length]


def _complete_frames(buffer: bytearray, max_frames: int, size: int) -> NDArray[np.uint8]:
    """Copy the next frames of one size, one a row, without the last incomplete one."""
    n_frames = min(max_frames, len(buffer) // size)
    # A copy: a bytearray cannot shrink while an array still views it.
    with memoryview(buffer) as view:
        return np.frombuffer(bytes(view[: n_frames * size]), dtype=np.uint8).reshape(n_frames, size)


def _count_equal(frames: NDArray[np.uint8], template: NDArray[np.uint8], record: Record) -> int:
    """Count the leading frames that equal the template outside of the record's floats."""
    equal = np.ones(len(frames), dtype=np.bool_)
    begin = 0
    for start, stop in [*sorted(t.values_span for t in record.tensors() if t.values_span), (None, None)]:
        end = None if start is None else start + _HEADER.size
        equal &= (frames[:, begin:end] == template[begin:end]).all(axis=1)
        begin = 0 if stop is None else stop + _HEADER.size
    return len(frames) if equal.all() else int(np.argmin(equal))


def scalar_values(tensor: Tensor, batch: RecordBatch) -> Float64Array:
    """Return the one value that a label has in each record of a batch."""
    if tensor.values.shape[1] != 1 or tensor.keys is not None:
        raise recordio_error(
            f"record {batch.first} must have one value in a label. Got {tensor.values.shape[1]} instead"
        )
    return tensor.values[:, 0].astype(np.float64)


def recordio_error(problem: str) -> ArtifactError:
    """Make the error for bytes that are not a complete RecordIO file."""
    return ArtifactError(
        f"RecordIO data cannot be read: {problem}. The file is damaged, truncated or of another format: "
        "write or download it again."
    )
