"""The part of the protocol buffers wire format that a Record needs: varints, fields, packed numbers.

The readers trust no length: each one is compared with the end of the enclosing message before any byte is
read. A varint has at most ten bytes.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shapecluster.exceptions import ArtifactError

VARINT, FIXED64, LENGTH_DELIMITED, FIXED32 = 0, 1, 2, 5
_FIXED_BYTES = {FIXED64: 8, FIXED32: 4}
_MAX_VARINT_BYTES = 10
_UINT64_LIMIT = 1 << 64
_MAX_FIELDS = 1 << 20  # per message: a wider row has to pack its values
_MIN_NUMPY_BYTES = 64  # NumPy decodes packed numbers faster than a Python loop from this size on
_BLOCK_BYTES = 1 << 18  # decoded at once, because the decoded numbers need about 30 times as much memory


class Field(NamedTuple):
    """One field of a message: its number, its wire type, its value if a varint, else where its bytes are."""

    number: int
    wire_type: int
    value: int
    start: int
    stop: int


def encode_varint(value: int) -> bytes:
    """Encode an integer in groups of seven bits, the lowest group first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def delimited_header(number: int, length: int) -> bytes:
    """Encode the tag and the length that precede the `length` bytes of a length-delimited field."""
    return encode_varint(number << 3 | LENGTH_DELIMITED) + encode_varint(length)


def decode_varint(data: memoryview, position: int, stop: int) -> tuple[int, int]:
    """Return the integer that starts at `position`, and the position after it."""
    # The fast path: most tags and lengths have one byte.
    if position < stop and data[position] < 0x80:
        return data[position], position + 1
    value = 0
    for index in range(_MAX_VARINT_BYTES):
        if position + index >= stop:
            raise ArtifactError(f"a number at byte {position} is truncated")
        byte = data[position + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            if value >= _UINT64_LIMIT:
                break
            return value, position + index + 1
    raise ArtifactError(f"the bytes from {position} on are not a number of 64 bits")


def iter_fields(data: memoryview, start: int, stop: int) -> Iterator[Field]:
    """Iterate over the fields of the message in data[start:stop], in their order."""
    position = start
    n_fields = 0
    while position < stop:
        n_fields += 1
        if n_fields > _MAX_FIELDS:
            raise ArtifactError(f"the message at byte {start} has more than {_MAX_FIELDS:,} fields")
        tag, value_start = decode_varint(data, position, stop)
        number, wire_type = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise ArtifactError(f"the field at byte {position} has the impossible number {number}")
        value = 0
        if wire_type == VARINT:
            value, end = decode_varint(data, value_start, stop)
        elif wire_type == LENGTH_DELIMITED:
            length, value_start = decode_varint(data, value_start, stop)
            end = value_start + length
        elif wire_type in _FIXED_BYTES:
            end = value_start + _FIXED_BYTES[wire_type]
        else:
            raise ArtifactError(
                f"the field at byte {position} has wire type {wire_type}, which a Record never uses"
            )
        if end > stop:
            raise ArtifactError(f"the field at byte {position} ends {end - stop} bytes beyond its message")
        yield Field(number, wire_type, value, value_start, end)
        position = end


def decode_packed_varints(data: memoryview) -> array[int]:
    """Decode all integers of a packed field."""
    out = array("Q")
    position = 0
    while len(data) - position > _MIN_NUMPY_BYTES:
        raw = np.frombuffer(data[position : position + _BLOCK_BYTES], dtype=np.uint8)
        # The last byte of a varint is the only one without the high bit.
        ends = np.flatnonzero(raw < 0x80)
        if not ends.size:
            raise ArtifactError("a packed number has more than 64 bits")
        out.frombytes(_decode_varints(raw, ends).tobytes())
        position += int(ends[-1]) + 1
    while position < len(data):
        value, position = decode_varint(data, position, len(data))
        out.append(value)
    return out


def _decode_varints(raw: NDArray[np.uint8], ends: NDArray[np.intp]) -> NDArray[np.uint64]:
    """Decode the varints whose last bytes are at `ends`, one group of seven bits of all of them at a time."""
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    longest = int(lengths.max())
    # Nine groups hold 63 bits: the tenth byte may only be 0 or 1.
    if longest > _MAX_VARINT_BYTES or (raw[ends[lengths == _MAX_VARINT_BYTES]] > 1).any():
        raise ArtifactError("a packed number has more than 64 bits")
    values = np.zeros(len(ends), dtype=np.uint64)
    for index in range(longest):
        has_byte = lengths > index
        group = (raw[starts[has_byte] + index] & 0x7F).astype(np.uint64)
        values[has_byte] |= group << np.uint64(7 * index)
    return values
