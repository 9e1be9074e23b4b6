"""The protobuf message of one row, as SageMaker's algorithms exchange it: named tensors and labels.

```
Tensor { repeated values = 1; repeated uint64 keys = 2; repeated uint64 shape = 3 }
Value  { float32_tensor = 2 | float64_tensor = 3 | int32_tensor = 7 | bytes = 9 }
Record { map<string, Value> features = 1, label = 2; string uid = 3, metadata = 4, configuration = 5 }
```
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shapecluster.exceptions import ArtifactError
from shapecluster.formats._protobuf_wire import (
    DELIMITED,
    FIXED32,
    FIXED64,
    VARINT,
    Field,
    fields,
    head,
    packed_varints,
)

FEATURES, LABEL = 1, 2
_KEY, _VALUE = 1, 2
_VALUES, _KEYS, _SHAPE = 1, 2, 3

Numbers: TypeAlias = NDArray[np.number[Any]]

# The field of Value that holds tensors of a dtype, and the wire type of one number that stands alone.
TENSOR_FIELDS: dict[np.dtype[Any], int] = {np.dtype("<f4"): 2, np.dtype("<f8"): 3, np.dtype("<i4"): 7}
_DTYPES = {field: dtype for dtype, field in TENSOR_FIELDS.items()}
_BYTES_FIELD = 9
_KINDS = (*_DTYPES, _BYTES_FIELD)

_MOST_TENSORS = 64
_LONGEST_NAME = 1024


@dataclass(frozen=True)
class Tensor:
    """One named tensor of one record, or of several records that differ in its values only.

    Attributes
    ----------
    values : ndarray of shape (n_records, n_values)
        float32, float64 or int32.
    keys : ndarray of uint64 or None
        Positions of the values in a sparse tensor.
    shape : ndarray of uint64 or None
        The dense shape, where it was given.
    span : tuple of int or None
        Where the values stand in the message, if as one piece of floats.
    """

    values: Numbers
    keys: NDArray[np.uint64] | None
    shape: NDArray[np.uint64] | None
    span: tuple[int, int] | None

    def of_rows(self, rows: NDArray[np.uint8]) -> Tensor:
        """The same tensor of several messages that are equal outside of the spans of their tensors."""
        if self.span is None:
            return replace(self, values=np.repeat(self.values, len(rows), axis=0))
        start, stop = self.span
        raw = np.ascontiguousarray(rows[:, start:stop])
        return replace(self, values=raw.view(self.values.dtype.newbyteorder("<")))


@dataclass(frozen=True)
class Record:
    """The named tensors of a record."""

    features: dict[str, Tensor]
    label: dict[str, Tensor]

    def tensors(self) -> list[Tensor]:
        """All of them."""
        return [*self.features.values(), *self.label.values()]

    def of_rows(self, rows: NDArray[np.uint8]) -> Record:
        """The same of several messages that are equal outside of the spans of their tensors."""
        return Record(
            {name: tensor.of_rows(rows) for name, tensor in self.features.items()},
            {name: tensor.of_rows(rows) for name, tensor in self.label.items()},
        )


def float_type(name: str) -> np.dtype[Any]:
    """The type of numbers to write that a parameter `dtype` names."""
    types: dict[str, np.dtype[Any]] = {"float32": np.dtype("<f4"), "float64": np.dtype("<f8")}
    if name not in types:
        raise ValueError(f"dtype must be 'float32' or 'float64'. Got {name!r} instead.")
    return types[name]


def entry_head(field: int, name: str, dtype: np.dtype[Any], n_bytes: int) -> bytes:
    """What stands before the numbers of a named tensor that are packed in `n_bytes` bytes."""
    out = b""
    for number in (_VALUES, TENSOR_FIELDS[dtype], _VALUE):
        out = head(number, len(out) + n_bytes) + out
    key = name.encode()
    out = head(_KEY, len(key)) + key + out
    return head(field, len(out) + n_bytes) + out


def parse_record(data: memoryview) -> Record:
    """Read one message; fields that are unknown, and texts about the record, are passed over."""
    named: dict[int, dict[str, Tensor]] = {FEATURES: {}, LABEL: {}}
    for field in fields(data, 0, len(data)):
        if field.number in named:
            name, tensor = _entry(data, _expect(field, DELIMITED))
            if name in named[field.number]:
                raise ArtifactError(f"{name!r} is there twice")
            named[field.number][name] = tensor
            if len(named[field.number]) > _MOST_TENSORS:
                raise ArtifactError(f"it has more than {_MOST_TENSORS} named tensors")
    return Record(named[FEATURES], named[LABEL])


def _entry(data: memoryview, entry: Field) -> tuple[str, Tensor]:
    """A name and its tensor."""
    key, value = _only(data, entry, _KEY), _only(data, entry, _VALUE)
    if key is None or value is None:
        raise ArtifactError(f"the entry at byte {entry.start} lacks its name or its value")
    if key.stop - key.start > _LONGEST_NAME:
        raise ArtifactError(f"the name at byte {key.start} has more than {_LONGEST_NAME} bytes")
    try:
        name = str(data[key.start : key.stop], "utf-8")
    except UnicodeDecodeError:
        raise ArtifactError(f"the name at byte {key.start} is not UTF-8") from None
    kinds = {number: found for number in _KINDS if (found := _only(data, value, number)) is not None}
    if len(kinds) != 1 or _BYTES_FIELD in kinds:
        what = "bytes" if _BYTES_FIELD in kinds else f"{len(kinds)} tensors"
        raise ArtifactError(f"{name!r} must be one tensor of float32, float64 or int32. Got {what} instead")
    ((number, message),) = kinds.items()
    return name, _tensor(data, message, _DTYPES[number])


def _only(data: memoryview, message: Field, number: int) -> Field | None:
    """The field of that number, which is there once or not at all."""
    found = None
    for field in fields(data, message.start, message.stop):
        if field.number == number:
            if found is not None:
                raise ArtifactError(f"the message at byte {message.start} has its field {number} twice")
            found = _expect(field, DELIMITED)
    return found


def _tensor(data: memoryview, message: Field, dtype: np.dtype[Any]) -> Tensor:
    floats = bytearray()
    numbers = {_VALUES: array("Q"), _KEYS: array("Q"), _SHAPE: array("Q")}
    spans = 0
    span = None
    alone = {"f4": FIXED32, "f8": FIXED64, "i4": VARINT}[dtype.str[1:]]
    for field in fields(data, message.start, message.stop):
        if field.number == _VALUES and alone != VARINT:
            _expect(field, alone, DELIMITED)
            if (field.stop - field.start) % dtype.itemsize:
                raise ArtifactError(
                    f"the values at byte {field.start} are {field.stop - field.start} bytes, "
                    f"which is no whole number of {dtype.name} values"
                )
            floats += data[field.start : field.stop]
            span = (field.start, field.stop)
            spans += 1
        elif field.number in numbers:
            if _expect(field, VARINT, DELIMITED).wire == VARINT:
                numbers[field.number].append(field.value)
            else:
                numbers[field.number] += packed_varints(data[field.start : field.stop])
    values, keys, shape = (np.frombuffer(some, dtype=np.uint64) for some in numbers.values())
    return Tensor(
        (_int32(values) if alone == VARINT else np.frombuffer(floats, dtype=dtype))[None, :],
        keys if len(keys) else None,
        shape if len(shape) else None,
        span if spans == 1 else None,
    )


def _int32(numbers: NDArray[np.uint64]) -> NDArray[np.int32]:
    """Negative numbers are written as 64 bits."""
    signed = numbers.view(np.int64)
    values = signed.astype(np.int32)
    if not np.array_equal(values, signed):
        raise ArtifactError("an int32 tensor holds a number of more than 32 bits")
    return values


def _expect(field: Field, *wires: int) -> Field:
    if field.wire not in wires:
        raise ArtifactError(
            f"field {field.number}, which ends before byte {field.stop}, has wire type {field.wire}, "
            f"which it has in no Record"
        )
    return field
