"""The wire format of protocol buffers, as much of it as a Record needs: varints, fields, nested lengths.

Reading trusts nothing: every length is held against the end of the message that it stands in before
anything is taken, and a varint has at most ten bytes.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shapecluster.exceptions import ArtifactError

VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5
_FIXED_BYTES = {FIXED64: 8, FIXED32: 4}
_LONGEST = 10  # bytes of a varint
_TOP = 1 << 64
_MOST_FIELDS = 1 << 20  # of one message: a row of more values than this has to pack them
_MANY = 64  # bytes of packed numbers from which NumPy is the faster one
_BLOCK = 1 << 18  # bytes decoded at once: their numbers take some thirty times as much meanwhile


class Field(NamedTuple):
    """One field of a message: its number, its wire type, its value if a varint, else where its bytes are."""

    number: int
    wire: int
    value: int
    start: int
    stop: int


def varint(value: int) -> bytes:
    """A number in groups of seven bits, the lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def head(number: int, length: int) -> bytes:
    """What stands before the `length` bytes of a length-delimited field."""
    return varint(number << 3 | DELIMITED) + varint(length)


def read_varint(data: memoryview, at: int, stop: int) -> tuple[int, int]:
    """The number that starts at `at`, and where the next thing starts."""
    if at < stop and data[at] < 0x80:  # as most are
        return data[at], at + 1
    value = 0
    for place in range(_LONGEST):
        if at + place >= stop:
            raise ArtifactError(f"a number at byte {at} is cut off")
        byte = data[at + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            if value >= _TOP:
                break
            return value, at + place + 1
    raise ArtifactError(f"the bytes from {at} on are no number of 64 bits")


def fields(data: memoryview, start: int, stop: int) -> Iterator[Field]:
    """The fields of the message in data[start:stop], in their order."""
    at = start
    n_fields = 0
    while at < stop:
        n_fields += 1
        if n_fields > _MOST_FIELDS:
            raise ArtifactError(f"the message at byte {start} has more than {_MOST_FIELDS:,} fields")
        tag, value_at = read_varint(data, at, stop)
        number, wire = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise ArtifactError(f"the field at byte {at} has the impossible number {number}")
        value = 0
        if wire == VARINT:
            value, end = read_varint(data, value_at, stop)
        elif wire == DELIMITED:
            length, value_at = read_varint(data, value_at, stop)
            end = value_at + length
        elif wire in _FIXED_BYTES:
            end = value_at + _FIXED_BYTES[wire]
        else:
            raise ArtifactError(f"the field at byte {at} has the wire type {wire}, which no Record has")
        if end > stop:
            raise ArtifactError(f"the field at byte {at} goes {end - stop} bytes beyond its message")
        yield Field(number, wire, value, value_at, end)
        at = end


def packed_varints(data: memoryview) -> array[int]:
    """All numbers of a packed field."""
    out = array("Q")
    at = 0
    while len(data) - at > _MANY:
        raw = np.frombuffer(data[at : at + _BLOCK], dtype=np.uint8)
        ends = np.flatnonzero(raw < 0x80)
        if not ends.size:
            raise ArtifactError("a packed number has more than 64 bits")
        out.frombytes(_decode(raw, ends).tobytes())
        at += int(ends[-1]) + 1
    while at < len(data):
        value, at = read_varint(data, at, len(data))
        out.append(value)
    return out


def _decode(raw: NDArray[np.uint8], ends: NDArray[np.intp]) -> NDArray[np.uint64]:
    """The numbers whose last bytes stand at `ends`, one group of seven bits after the other."""
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    longest = int(lengths.max())
    # The tenth byte holds the 64th bit, and nothing above it.
    if longest > _LONGEST or (raw[ends[lengths == _LONGEST]] > 1).any():
        raise ArtifactError("a packed number has more than 64 bits")
    values = np.zeros(len(ends), dtype=np.uint64)
    for place in range(longest):
        has = lengths > place
        values[has] |= (raw[starts[has] + place] & 0x7F).astype(np.uint64) << np.uint64(7 * place)
    return values
