"""The protobuf message `Record` that SageMaker's algorithms exchange: one row as named tensors and labels.

```
Tensor { repeated values = 1; repeated uint64 keys = 2; repeated uint64 shape = 3 }
Value  { float32_tensor = 2 | float64_tensor = 3 | int32_tensor = 7 | bytes = 9 }
Record { map<string, Value> features = 1, label = 2; string uid = 3, metadata = 4, configuration = 5 }
```
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shapecluster.exceptions import ArtifactError
from shapecluster.formats._protobuf_wire import (
    FIXED32,
    FIXED64,
    LENGTH_DELIMITED,
    VARINT,
    Field,
    decode_packed_varints,
    delimited_header,
    iter_fields,
)

FEATURES, LABEL = 1, 2
# A protobuf map is a repeated message of a key and a value.
_MAP_KEY, _MAP_VALUE = 1, 2
_VALUES, _KEYS, _SHAPE = 1, 2, 3

TensorValues: TypeAlias = NDArray[np.number[Any]]
FloatDtypeName: TypeAlias = Literal["float32", "float64"]

TENSOR_FIELDS: dict[np.dtype[Any], int] = {np.dtype("<f4"): 2, np.dtype("<f8"): 3, np.dtype("<i4"): 7}
_TENSOR_DTYPES = {field: dtype for dtype, field in TENSOR_FIELDS.items()}
_BYTES_FIELD = 9
_VALUE_FIELDS = (*_TENSOR_DTYPES, _BYTES_FIELD)

# These bound the Python objects that a record of tiny entries can create.
_MAX_TENSORS = 64
_MAX_NAME_BYTES = 1024


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
        The dense shape, if the record has one.
    values_span : tuple of int or None
        Start and stop of the values in the message, if they are one piece of floats.
    """

    values: TensorValues
    keys: NDArray[np.uint64] | None
    shape: NDArray[np.uint64] | None
    values_span: tuple[int, int] | None

    def with_values_of(self, messages: NDArray[np.uint8]) -> Tensor:
        """The same tensor of several messages, one a row, that are equal outside of `values_span`."""
        if self.values_span is None:
            return replace(self, values=np.repeat(self.values, len(messages), axis=0))
        start, stop = self.values_span
        raw = np.ascontiguousarray(messages[:, start:stop])
        return replace(self, values=raw.view(self.values.dtype.newbyteorder("<")))


@dataclass(frozen=True)
class Record:
    """The named tensors of a record.

    Attributes
    ----------
    features, label : dict of str to Tensor
        The two maps of the message.
    """

    features: dict[str, Tensor]
    label: dict[str, Tensor]

    def tensors(self) -> list[Tensor]:
        """All tensors, those of `features` first."""
        return [*self.features.values(), *self.label.values()]

    def with_values_of(self, messages: NDArray[np.uint8]) -> Record:
        """The same record for several messages, one a row, that differ in the values of floats only."""
        return Record(
            {name: tensor.with_values_of(messages) for name, tensor in self.features.items()},
            {name: tensor.with_values_of(messages) for name, tensor in self.label.items()},
        )


def float_dtype(name: FloatDtypeName) -> np.dtype[Any]:
    """Return the little-endian type that a parameter `dtype` names."""
    dtypes: dict[str, np.dtype[Any]] = {"float32": np.dtype("<f4"), "float64": np.dtype("<f8")}
    if name not in dtypes:
        raise ValueError(f"dtype must be 'float32' or 'float64'. Got {name!r} instead.")
    return dtypes[name]


def entry_header(map_field: int, name: str, dtype: np.dtype[Any], n_bytes: int) -> bytes:
    """Encode everything that precedes the `n_bytes` bytes of packed values of a named tensor."""
    # Every outer length counts the inner headers, so the header grows from the inside out.
    out = b""
    for number in (_VALUES, TENSOR_FIELDS[dtype], _MAP_VALUE):
        out = delimited_header(number, len(out) + n_bytes) + out
    key = name.encode()
    out = delimited_header(_MAP_KEY, len(key)) + key + out
    return delimited_header(map_field, len(out) + n_bytes) + out


def parse_record(data: memoryview) -> Record:
    """Parse one message; ignore unknown fields and the texts about the record."""
    maps: dict[int, dict[str, Tensor]] = {FEATURES: {}, LABEL: {}}
    for field in iter_fields(data, 0, len(data)):
        if field.number in maps:
            tensors = maps[field.number]
            name, tensor = _parse_entry(data, _check_wire_type(field, LENGTH_DELIMITED))
            if name in tensors:
                raise ArtifactError(f"it holds {name!r} twice")
            tensors[name] = tensor
            if len(tensors) > _MAX_TENSORS:
                raise ArtifactError(f"it has more than {_MAX_TENSORS} named tensors")
    return Record(maps[FEATURES], maps[LABEL])


def _parse_entry(data: memoryview, entry: Field) -> tuple[str, Tensor]:
    """Parse one entry of a map: a name and its tensor."""
    key, value = _unique_field(data, entry, _MAP_KEY), _unique_field(data, entry, _MAP_VALUE)
    if key is None or value is None:
        raise ArtifactError(f"the entry at byte {entry.start} lacks its name or its value")
    if key.stop - key.start > _MAX_NAME_BYTES:
        raise ArtifactError(f"the name at byte {key.start} has more than {_MAX_NAME_BYTES} bytes")
    try:
        name = str(data[key.start : key.stop], "utf-8")
    except UnicodeDecodeError:
        raise ArtifactError(f"the name at byte {key.start} is not UTF-8") from None
    alternatives = {
        number: found for number in _VALUE_FIELDS if (found := _unique_field(data, value, number)) is not None
    }
    if len(alternatives) != 1 or _BYTES_FIELD in alternatives:
        content = "bytes" if _BYTES_FIELD in alternatives else f"{len(alternatives)} tensors"
        raise ArtifactError(
            f"{name!r} must be one tensor of float32, float64 or int32. Got {content} instead"
        )
    ((number, message),) = alternatives.items()
    return name, _parse_tensor(data, message, _TENSOR_DTYPES[number])


def _unique_field(data: memoryview, message: Field, number: int) -> Field | None:
    """Return the length-delimited field of that number, or None; raise if there are two."""
    found = None
    for field in iter_fields(data, message.start, message.stop):
        if field.number == number:
            # Protobuf would merge them; no writer of records does this, so it is taken for damage.
            if found is not None:
                raise ArtifactError(f"the message at byte {message.start} has its field {number} twice")
            found = _check_wire_type(field, LENGTH_DELIMITED)
    return found


def _parse_tensor(data: memoryview, message: Field, dtype: np.dtype[Any]) -> Tensor:
    floats = bytearray()
    # Arrays take 8 bytes a number; a list of Python integers would take about 36.
    numbers = {_VALUES: array("Q"), _KEYS: array("Q"), _SHAPE: array("Q")}
    n_spans = 0
    span = None
    unpacked_wire_type = {"f4": FIXED32, "f8": FIXED64, "i4": VARINT}[dtype.str[1:]]
    for field in iter_fields(data, message.start, message.stop):
        if field.number == _VALUES and unpacked_wire_type != VARINT:
            # Parsers must accept repeated numbers packed, one by one, or as a mixture of both.
            _check_wire_type(field, unpacked_wire_type, LENGTH_DELIMITED)
            if (field.stop - field.start) % dtype.itemsize:
                raise ArtifactError(
                    f"the values at byte {field.start} are {field.stop - field.start} bytes, "
                    f"which is no whole number of {dtype.name} values"
                )
            floats += data[field.start : field.stop]
            span = (field.start, field.stop)
            n_spans += 1
        elif field.number in numbers:
            if _check_wire_type(field, VARINT, LENGTH_DELIMITED).wire_type == VARINT:
                numbers[field.number].append(field.value)
            else:
                numbers[field.number] += decode_packed_varints(data[field.start : field.stop])
    integers, keys, shape = (np.frombuffer(column, dtype=np.uint64) for column in numbers.values())
    values = _to_int32(integers) if unpacked_wire_type == VARINT else np.frombuffer(floats, dtype=dtype)
    return Tensor(
        values[None, :],
        keys if len(keys) else None,
        shape if len(shape) else None,
        span if n_spans == 1 else None,
    )


def _to_int32(varints: NDArray[np.uint64]) -> NDArray[np.int32]:
    """Convert varints to int32; negative numbers are encoded as 64 bits."""
    signed = varints.view(np.int64)
    values = signed.astype(np.int32)
    if not np.array_equal(values, signed):
        raise ArtifactError("an int32 tensor holds a number of more than 32 bits")
    return values


def _check_wire_type(field: Field, *expected: int) -> Field:
    if field.wire_type not in expected:
        raise ArtifactError(
            f"field {field.number}, which ends before byte {field.stop}, has wire type {field.wire_type}, "
            "which this field never has in a Record"
        )
    return field
