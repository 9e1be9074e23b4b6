"""RecordIO-protobuf as the SageMaker SDK v2 writes it: a protobuf message for every row.

The message classes are Google's own, made from the published description of `Record`.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory


def _field(message, name: str, number: int, kind: str, *, repeated: bool = False, of: str = "") -> None:
    field = message.field.add(name=name, number=number)
    field.type = getattr(field, f"TYPE_{kind}")
    field.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
    if repeated and kind != "MESSAGE":
        field.options.packed = True
    if of:
        field.type_name = f".oracle.{of}"


def _record_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="oracle_record.proto", package="oracle", syntax="proto2")
    for name, kind in (("Float32Tensor", "FLOAT"), ("Float64Tensor", "DOUBLE"), ("Int32Tensor", "INT32")):
        tensor = file.message_type.add(name=name)
        _field(tensor, "values", 1, kind, repeated=True)
        _field(tensor, "keys", 2, "UINT64", repeated=True)
        _field(tensor, "shape", 3, "UINT64", repeated=True)
    value = file.message_type.add(name="Value")
    value.oneof_decl.add(name="value")
    for name, number, kind, of in (
        ("float32_tensor", 2, "MESSAGE", "Float32Tensor"),
        ("float64_tensor", 3, "MESSAGE", "Float64Tensor"),
        ("int32_tensor", 7, "MESSAGE", "Int32Tensor"),
        ("bytes", 9, "BYTES", ""),
    ):
        _field(value, name, number, kind, of=of)
        value.field[-1].oneof_index = 0
    record = file.message_type.add(name="Record")
    for name, number, entry in (("features", 1, "FeaturesEntry"), ("label", 2, "LabelEntry")):
        nested = record.nested_type.add(name=entry)
        nested.options.map_entry = True
        _field(nested, "key", 1, "STRING")
        _field(nested, "value", 2, "MESSAGE", of="Value")
        _field(record, name, number, "MESSAGE", repeated=True, of=f"Record.{entry}")
    for name, number in (("uid", 3), ("metadata", 4), ("configuration", 5)):
        _field(record, name, number, "STRING")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("oracle.Record"))


Record = _record_class()


def tensor_of(value: Any, dtype: np.dtype) -> Any:
    names = {"float32": "float32_tensor", "float64": "float64_tensor", "int32": "int32_tensor"}
    return getattr(value, names[dtype.name])


def frame(payload: bytes) -> bytes:
    return struct.pack("<II", 0xCED7230A, len(payload)) + payload + bytes(-len(payload) % 4)


def write_rows(file: BinaryIO, X: np.ndarray, labels: np.ndarray | None = None) -> None:
    """Write each row as a message of its own, in the type of the array."""
    record = Record()
    for number, row in enumerate(X):
        record.Clear()
        tensor_of(record.features["values"], X.dtype).values.extend(row)
        if labels is not None:
            tensor_of(record.label["values"], labels.dtype).values.extend([labels[number]])
        payload = record.SerializeToString()
        file.write(struct.pack("<I", 0xCED7230A))
        file.write(struct.pack("<I", len(payload)))
        file.write(payload)
        file.write(bytes(-len(payload) % 4))
