"""RecordIO frames of protobuf messages, in the layouts that SageMaker's algorithms and its SDK write.

```
frame    u32 magic | u32 length | Record | zeros to a multiple of 4
Record   map<string, Value> features = 1, label = 2; string uid = 3, metadata = 4, configuration = 5
Value    float32_tensor = 2 | float64_tensor = 3 | int32_tensor = 7
Tensor   packed values = 1; packed shape = 3
```

Each of these fields states the length of its content, so one short parser reads all messages. Rows of one
kind differ in their numbers only. The writer and the reader therefore handle blocks of frames with NumPy, as
a matrix of bytes with one frame per row.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shapecluster._typing import Float64Array
from shapecluster.exceptions import ArtifactError
from shapecluster.formats._streams import Readable, Writable, fill_buffer, join_rows, write_all

Numbers: TypeAlias = NDArray[np.number[Any]]
Key: TypeAlias = tuple[int, str]
"""A tensor of a record: the field of its map, and its name there."""
Span: TypeAlias = tuple[int, int]

FEATURES, LABEL = 1, 2
_MAP_NAMES = {FEATURES: "feature", LABEL: "label"}
# A protobuf map is a repeated message of a key and a value.
_MAP_KEY, _MAP_VALUE = 1, 2
_VALUES, _KEYS, _SHAPE = 1, 2, 3
_TENSORS: dict[int, np.dtype[Any]] = {2: np.dtype("<f4"), 3: np.dtype("<f8"), 7: np.dtype("<i4")}
_LENGTH_DELIMITED = 2
# The tag of a field with a length, and the length in groups of seven bits, the lowest first.
_TAGS = bytes(number << 3 | _LENGTH_DELIMITED for number in range(1, 16))
_FIELD_HEAD = re.compile(rb"([%b])([\x80-\xff]{0,4}[\x00-\x7f])" % re.escape(_TAGS))

_MAGIC = 0xCED7230A
_HEADER = struct.Struct("<II")
_BLOCK_BYTES = 1 << 20  # of frames that are written or compared at once
_MAX_MESSAGE_BYTES = (1 << 29) - 1  # other readers use the three bits above as flags
_MAX_FIELDS = 64  # of one message; bounds the Python objects that tiny fields create
_MAX_NAME_BYTES = 100
_INTEGER_BYTES = 1 << 18  # decoded at once, because decoding needs about 60 times as much memory


@dataclass(frozen=True, eq=False)
class RecordBlock:
    """Rows read from a RecordIO-protobuf file.

    Attributes
    ----------
    values : ndarray of shape (n_rows, n_features)
        float32, float64 or int32, as in the file.
    labels : ndarray of shape (n_rows,) or None
        The labels in float64, which represents each of them exactly; None if the rows have none.
    """

    values: Numbers
    labels: Float64Array | None


class _Column(NamedTuple):
    """The values of a tensor in one frame, and where the frame has them."""

    values: Numbers
    start: int
    stop: int


def _describe(key: Key) -> str:
    """Name a tensor for a message."""
    return f"{_MAP_NAMES[key[0]]} {key[1]!r}"


def write_records(file: Writable, tensors: Mapping[Key, Numbers], dtype: np.dtype[Any]) -> int:
    """Write one record for every row of the matrices, their numbers as `dtype`.

    Returns the number of bytes. Extra memory is a few blocks for matrices of any size.
    """
    parts: list[bytes | Numbers] = []
    length = n_rows = 0
    for key, matrix in tensors.items():
        n_rows, n_bytes = len(matrix), matrix.shape[1] * dtype.itemsize
        header = _encode_header(key, dtype, n_bytes)
        parts += [header, matrix]
        length += len(header) + n_bytes
    if length > _MAX_MESSAGE_BYTES:
        raise ValueError(
            f"a RecordIO record must have at most {_MAX_MESSAGE_BYTES:,} bytes. Got {length:,} instead."
        )
    frame = [_HEADER.pack(_MAGIC, length), *parts, bytes(-length % 4)]
    written = 0
    step = max(1, _BLOCK_BYTES // (length + 8))
    for first in range(0, n_rows, step):
        pieces = _iter_pieces(frame, dtype, first, min(first + step, n_rows))
        # A row that is wider than a block is never put together.
        for block in pieces if length > _BLOCK_BYTES else [np.concatenate(list(pieces), axis=1)]:
            written += write_all(file, block.data)
    return written


def _iter_pieces(
    frame: list[bytes | Numbers], dtype: np.dtype[Any], first: int, stop: int
) -> Iterator[NDArray[np.uint8]]:
    """Iterate over the parts of some frames as bytes, one frame per row; wide parts come in pieces."""
    for part in filter(len, frame):
        if isinstance(part, bytes):
            yield np.broadcast_to(np.frombuffer(part, dtype=np.uint8), (stop - first, len(part)))
            continue
        step = _BLOCK_BYTES // dtype.itemsize
        for start in range(0, part.shape[1], step):
            yield _cast(part[first:stop, start : start + step], dtype, first).view(np.uint8)


def _encode_header(key: Key, dtype: np.dtype[Any], n_bytes: int) -> bytes:
    """Encode everything that precedes the `n_bytes` bytes of packed values of a tensor."""
    map_field, name = key
    tensor_field = next(number for number, tensor_dtype in _TENSORS.items() if tensor_dtype == dtype)
    # Every outer length counts the inner headers, so the header grows from the inside out.
    out = b""
    for number in (_VALUES, tensor_field, _MAP_VALUE):
        out = _field_header(number, len(out) + n_bytes) + out
    out = _field_header(_MAP_KEY, len(name)) + name.encode() + out
    return _field_header(map_field, len(out) + n_bytes) + out


def _field_header(number: int, length: int) -> bytes:
    """Encode the tag and the length of a field, the length in groups of seven bits, the lowest first."""
    out = bytearray([number << 3 | _LENGTH_DELIMITED])
    while length > 0x7F:
        out.append(length & 0x7F | 0x80)
        length >>= 7
    out.append(length)
    return bytes(out)


def _cast(values: Numbers, dtype: np.dtype[Any], first_row: int) -> Numbers:
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


def read_records(
    file: Readable,
    key: Key,
    label: Key,
    n_rows: int | None,
    n_features: int | None,
    max_bytes: int,
    max_record_bytes: int,
) -> RecordBlock:
    """Read all rows: one tensor, and with it another one of a single value, or none."""
    parts = _iter_parts(file, key, label, n_features, max_record_bytes)
    columns = join_rows(parts, n_rows, max_bytes, "RecordIO data")
    if not columns:
        return RecordBlock(np.empty((0, n_features or 0), dtype=np.float32), None)
    return RecordBlock(columns[0], columns[1].astype(np.float64) if len(columns) > 1 else None)


def _iter_parts(
    file: Readable, key: Key, label: Key, n_features: int | None, max_record_bytes: int
) -> Iterator[tuple[Numbers, ...]]:
    expected: tuple[int, str] | None = None
    for first, tensors in _iter_records(file, max_record_bytes):
        if key not in tensors or not tensors.keys() <= {key, label}:
            found = ", ".join(map(_describe, sorted(tensors))) or "nothing"
            raise _recordio_error(
                f"record {first} must have one {_describe(key)}, and optionally one {_describe(label)}. "
                f"Got {found} instead"
            )
        values, labels = tensors[key], tensors.get(label)
        if labels is not None and labels.shape[1] != 1:
            raise _recordio_error(
                f"record {first} must have one value as its {_describe(label)}. Got {labels.shape[1]} instead"
            )
        kind = f"of {values.dtype} and {'no' if labels is None else 'one'} {_describe(label)}"
        expected = expected or (values.shape[1] if n_features is None else n_features, kind)
        if (values.shape[1], kind) != expected:
            raise _recordio_error(
                f"record {first} must have {expected[0]} values {expected[1]}. "
                f"Got {values.shape[1]} values {kind} instead"
            )
        yield (values,) if labels is None else (values, labels[:, 0])


def _iter_records(file: Readable, max_record_bytes: int) -> Iterator[tuple[int, dict[Key, Numbers]]]:
    """Iterate over runs of records of one layout: the index of the first one, and the values by tensor."""
    buffer = bytearray()
    first, n_expected = 0, 1
    while fill_buffer(file, buffer, _HEADER.size) or buffer:
        length = _check_header(buffer, first, max_record_bytes)
        size = _HEADER.size + length + -length % 4
        fill_buffer(file, buffer, n_expected * size)
        n_frames = min(n_expected, len(buffer) // size)
        if not n_frames:
            raise _recordio_error(f"it ends within record {first}, after {len(buffer)} of {size} bytes")
        frames = np.frombuffer(buffer[: n_frames * size], dtype=np.uint8).reshape(n_frames, size)
        try:
            columns = _parse_record(frames[0].data, _HEADER.size + length)
        except ArtifactError as error:
            raise _recordio_error(f"record {first} {error}") from None
        n_equal = _count_equal(frames, columns)
        yield first, {key: _read_values(frames[:n_equal], column) for key, column in columns.items()}
        del buffer[: n_equal * size]
        first += n_equal
        # The number grows by and by: where all frames differ, comparing a whole block for each is quadratic.
        n_expected = max(1, min(8 * n_equal, _BLOCK_BYTES // size))


def _check_header(buffer: bytearray, index: int, max_record_bytes: int) -> int:
    """Return the length of the message of the next frame."""
    if len(buffer) < _HEADER.size:
        raise _recordio_error(f"it ends within the header of record {index}")
    magic, length = _HEADER.unpack_from(buffer)
    if magic != _MAGIC:
        raise _recordio_error(f"record {index} starts with {magic:#010x} where {_MAGIC:#010x} was expected")
    if length > max_record_bytes:
        raise _recordio_error(
            f"record {index} claims {length:,} bytes, above the limit of {max_record_bytes:,} "
            "(raise `max_record_bytes` if rows are really so wide)"
        )
    return int(length)


def _count_equal(frames: NDArray[np.uint8], columns: dict[Key, _Column]) -> int:
    """Count the leading frames that equal the first one outside of its floats."""
    if len(frames) == 1:
        return 1
    fixed = np.ones(frames.shape[1], dtype=np.bool_)
    for column in columns.values():
        fixed[column.start : column.stop] = column.values.dtype.kind != "f"
    equal = (frames[:, fixed] == frames[0, fixed]).all(axis=1)
    return len(frames) if equal.all() else int(np.argmin(equal))


def _read_values(frames: NDArray[np.uint8], column: _Column) -> Numbers:
    """Return the values of a tensor in frames that equal the first one outside of its floats."""
    values, start, stop = column
    if values.dtype.kind != "f":
        return np.broadcast_to(values, (len(frames), len(values)))
    return np.ascontiguousarray(frames[:, start:stop]).view(values.dtype)


def _parse_record(data: memoryview, stop: int) -> dict[Key, _Column]:
    """Find the tensors of the message between the header of a frame and `stop`."""
    if any(data[stop:]):
        raise ArtifactError("is not followed by zeros up to a multiple of 4 bytes")
    columns: dict[Key, _Column] = {}
    for number, span in _fields(data, _HEADER.size, stop):
        if number not in _MAP_NAMES:
            continue
        entry = _unique_fields(data, *span)
        if not {_MAP_KEY, _MAP_VALUE} <= entry.keys():
            raise ArtifactError(f"lacks the name or the value of a {_MAP_NAMES[number]}")
        start, end = entry[_MAP_KEY]
        key = number, bytes(data[start : min(end, start + _MAX_NAME_BYTES)]).decode("utf-8", "replace")
        if key in columns:
            raise ArtifactError(f"has its {_describe(key)} twice")
        columns[key] = _parse_value(data, entry[_MAP_VALUE], _describe(key))
    return columns


def _parse_value(data: memoryview, span: Span, subject: str) -> _Column:
    """Find the one tensor in a Value; `subject` is its name in messages."""
    value = _unique_fields(data, *span)
    if len(value) != 1 or not value.keys() <= _TENSORS.keys():
        raise ArtifactError(
            f"must have one tensor of float32, float64 or int32 as its {subject}. "
            f"Got the fields {sorted(value)} instead"
        )
    ((number, span),) = value.items()
    dtype, tensor = _TENSORS[number], _unique_fields(data, *span)
    if _KEYS in tensor:
        raise ArtifactError(f"has a sparse {subject}: write dense rows, which have values and no keys")
    start, stop = tensor.get(_VALUES, (0, 0))
    if start == stop or (dtype.kind == "f" and (stop - start) % dtype.itemsize):
        raise ArtifactError(f"has {stop - start} bytes of {dtype.name} as its {subject}")
    raw = data[start:stop]
    values = _unpack_integers(raw) if dtype.kind == "i" else np.frombuffer(raw, dtype=dtype)
    if _SHAPE in tensor:
        shape = _unpack_integers(data[slice(*tensor[_SHAPE])]).tolist()
        if shape != [len(values)]:
            raise ArtifactError(f"has {len(values)} values and the shape {shape[:8]} as its {subject}")
    return _Column(values, start, stop)


def _unique_fields(data: memoryview, start: int, stop: int) -> dict[int, Span]:
    """Return where the fields of a message are; raise if there are two of one number."""
    fields = _fields(data, start, stop)
    # Protobuf would merge them; no writer of records does this, so it is taken for damage.
    if len(dict(fields)) != len(fields):
        raise ArtifactError(f"has a field twice in its message at byte {start}")
    return dict(fields)


def _fields(data: memoryview, start: int, stop: int) -> list[tuple[int, Span]]:
    """Return the number of each field of a message, and where its content is."""
    fields: list[tuple[int, Span]] = []
    while start < stop:
        head = _FIELD_HEAD.match(data, start, stop)
        if head is None:
            raise ArtifactError(
                f"has the bytes {bytes(data[start:stop][:6]).hex(' ')} where a field should start. "
                "Only dense rows with packed values are read, as SageMaker and its SDK write them"
            )
        start = head.end()
        length = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(head[2]))
        if length > stop - start:
            raise ArtifactError(f"has a field that ends {length - stop + start} bytes beyond its message")
        if len(fields) == _MAX_FIELDS:
            raise ArtifactError(f"has a message of more than {_MAX_FIELDS} fields")
        fields.append((head[1][0] >> 3, (start, start + length)))
        start += length
    return fields


def _unpack_integers(data: memoryview) -> NDArray[np.int32]:
    """Decode packed integers: the last byte of each is the one without the high bit."""
    pieces = [np.empty(0, dtype=np.int32)]
    while len(data):
        raw = np.frombuffer(data[:_INTEGER_BYTES], dtype=np.uint8)
        stops = np.flatnonzero(raw < 0x80) + 1
        starts = np.concatenate([[0], stops[:-1]])
        if not stops.size or (stops - starts).max() > 10:
            raise ArtifactError("has an integer that is truncated, or has more than 64 bits")
        raw = raw[: stops[-1]]
        places = np.arange(len(raw)) - np.repeat(starts, stops - starts)
        values = np.bitwise_or.reduceat((raw & 0x7F).astype(np.int64) << 7 * places, starts)
        pieces.append(values.astype(np.int32))
        # Nine groups hold 63 bits: the tenth byte may only be 0 or 1.
        if (raw[places == 9] > 1).any() or not np.array_equal(pieces[-1], values):
            raise ArtifactError("has an integer of more than 32 bits")
        data = data[len(raw) :]
    return np.concatenate(pieces)


def _recordio_error(problem: str) -> ArtifactError:
    """Make the error for bytes that are not a complete RecordIO file."""
    return ArtifactError(
        f"RecordIO data cannot be read: {problem}. The file is damaged, truncated or of another format: "
        "write or download it again."
    )
