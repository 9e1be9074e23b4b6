"""RecordIO-protobuf: the binary rows of SageMaker's built-in algorithms, as matrices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapecluster._typing import Float64Array, FloatArray
from shapecluster.exceptions import ArtifactError
from shapecluster.formats._protobuf_record import (
    FEATURES,
    LABEL,
    FloatDtypeName,
    Tensor,
    TensorValues,
    entry_header,
    float_dtype,
)
from shapecluster.formats._recordio_frames import (
    FramePart,
    RecordBatch,
    read_record_batches,
    recordio_error,
    scalar_values,
    write_frames,
)
from shapecluster.formats._streams import Readable, Writable

__all__ = [
    "RecordBlock",
    "iter_recordio",
    "read_recordio",
    "write_recordio",
]

_TENSOR_NAME = "values"  # the built-in algorithms look for no other
_BLOCK_BYTES = 1 << 22  # of values in one block of rows
_ROW_OVERHEAD = 512  # bytes that a row read on its own takes in addition to its values
MAX_RECORD_BYTES = 1 << 24
MAX_BYTES = 1 << 32


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

    values: TensorValues
    labels: Float64Array | None


def write_recordio(
    file: Writable,
    X: FloatArray,
    labels: FloatArray | None = None,
    *,
    dtype: FloatDtypeName = "float32",
) -> int:
    """Write the rows of a matrix, with labels if they are given.

    Each row has the bytes that the writer of the SageMaker SDK gives a dense row. Extra memory is a few
    megabytes for a matrix of any size.

    Parameters
    ----------
    file : binary file
        The target, opened for writing.
    X : ndarray of shape (n_rows, n_features)
        Values in float32 or float64, with at least one feature.
    labels : ndarray of shape (n_rows,), default=None
        Labels in float32 or float64; they are written as `dtype` too.
    dtype : {"float32", "float64"}, default="float32"
        The type of the numbers in the file. The built-in algorithms compute in float32.

    Returns
    -------
    int
        The number of bytes written.

    Raises
    ------
    ValueError
        If the shapes do not match, or a finite number overflows `dtype`. The message names the row.

    Examples
    --------
    >>> import io
    >>> import numpy as np
    >>> from shapecluster.formats import read_recordio, write_recordio
    >>> file = io.BytesIO()
    >>> write_recordio(file, np.array([[1.0, 2.0], [3.0, 4.0]]))
    64
    >>> _ = file.seek(0)
    >>> read_recordio(file).values
    array([[1., 2.],
           [3., 4.]], dtype=float32)
    """
    target = float_dtype(dtype)
    matrix = np.asarray(X)
    if matrix.ndim != 2 or matrix.shape[1] == 0 or matrix.dtype.kind != "f" or matrix.dtype.itemsize > 8:
        raise ValueError(
            "X of write_recordio must be a matrix of floats with at least one column. "
            f"Got shape {matrix.shape} of {matrix.dtype} instead."
        )
    header = entry_header(FEATURES, _TENSOR_NAME, target, matrix.shape[1] * target.itemsize)
    parts: list[FramePart] = [header, matrix]
    if labels is not None:
        column = np.asarray(labels)
        if column.shape != matrix.shape[:1] or column.dtype.kind != "f" or column.dtype.itemsize > 8:
            raise ValueError(
                f"labels of write_recordio must be {len(matrix)} floats, one per row. "
                f"Got shape {column.shape} of {column.dtype} instead."
            )
        parts += [entry_header(LABEL, _TENSOR_NAME, target, target.itemsize), column[:, None]]
    return write_frames(file, parts, target)


def read_recordio(
    file: Readable,
    *,
    n_rows: int | None = None,
    n_features: int | None = None,
    max_bytes: int = MAX_BYTES,
    max_record_bytes: int = MAX_RECORD_BYTES,
) -> RecordBlock:
    """Read all rows of a file.

    Parameters
    ----------
    file : binary file
        The source, opened for reading. It need not be seekable.
    n_rows : int, default=None
        The expected number of rows. Without it, a file truncated between two rows looks complete.
    n_features : int, default=None
        The expected number of values per row; None: as many as the first row has.
    max_bytes : int, default=4 GiB
        The maximum size of all values.
    max_record_bytes : int, default=16 MiB
        The maximum size of one row, in the file and as a dense row.

    Returns
    -------
    RecordBlock
        All rows. A file without rows gives an empty float32 matrix.

    Raises
    ------
    ArtifactError
        If the file is damaged or holds other rows than expected. The message names the row.

    Examples
    --------
    >>> import io
    >>> from shapecluster.formats import read_recordio
    >>> read_recordio(io.BytesIO(b"1.0,2.0"))
    Traceback (most recent call last):
        ...
    shapecluster.exceptions.ArtifactError: RecordIO data cannot be read: it ends within the header...
    """
    blocks: list[RecordBlock] = []
    n_found = size = 0
    for block in iter_recordio(file, n_features=n_features, max_record_bytes=max_record_bytes):
        blocks.append(block)
        n_found += len(block.values)
        size += block.values.nbytes
        if size > max_bytes:
            raise ArtifactError(
                f"RecordIO data must have at most {max_bytes:,} bytes of values, and has more. "
                "Raise `max_bytes`, or read it in blocks with iter_recordio."
            )
        if n_rows is not None and n_found > n_rows:
            break  # the rest would only cost time and memory
    if n_rows is not None and n_found != n_rows:
        count = "more" if n_found > n_rows else f"{n_found:,}"
        raise recordio_error(f"it must have {n_rows:,} rows. Got {count} instead")
    if not blocks:
        return RecordBlock(np.empty((0, n_features or 0), dtype=np.float32), None)
    return _concatenate(blocks)


def iter_recordio(
    file: Readable, *, n_features: int | None = None, max_record_bytes: int = MAX_RECORD_BYTES
) -> Iterator[RecordBlock]:
    """Read rows in blocks of a few megabytes, in bounded memory.

    Rows may be dense or sparse, and hold a Float32Tensor, Float64Tensor or Int32Tensor, packed or not.
    Sparse rows are made dense. All rows must have the same width and type, and either all or none a label.

    Parameters
    ----------
    file : binary file
        The source, opened for reading. It need not be seekable.
    n_features : int, default=None
        The expected number of values per row; None: as many as the first row has.
    max_record_bytes : int, default=16 MiB
        The maximum size of one row, in the file and as a dense row.

    Yields
    ------
    RecordBlock
        A block of at least one row.

    Raises
    ------
    ArtifactError
        If the file is damaged, or a row differs in width or type. The message names the row.

    Examples
    --------
    >>> import io
    >>> import numpy as np
    >>> from shapecluster.formats import iter_recordio, write_recordio
    >>> file = io.BytesIO()
    >>> _ = write_recordio(file, np.ones((3, 2), dtype=np.float32), np.array([0.0, 1.0, 1.0]))
    >>> _ = file.seek(0)
    >>> [(block.values.shape, block.labels.tolist()) for block in iter_recordio(file)]
    [((3, 2), [0.0, 1.0, 1.0])]
    """
    pending: list[RecordBlock] = []
    size = 0
    reference: RecordBlock | None = None
    for batch in read_record_batches(file, max_record_bytes):
        block = _to_block(batch, max_record_bytes)
        reference = _check_consistent(block, reference, batch.first, n_features)
        pending.append(block)
        size += block.values.nbytes + _ROW_OVERHEAD
        if size > _BLOCK_BYTES:
            yield _concatenate(pending)
            pending, size = [], 0
    if pending:
        yield _concatenate(pending)


def _to_block(batch: RecordBatch, max_record_bytes: int) -> RecordBlock:
    """Extract the values and labels of some records."""
    record = batch.record
    if set(record.features) != {_TENSOR_NAME}:
        raise recordio_error(
            f"record {batch.first} must have one feature, {_TENSOR_NAME!r}. "
            f"Got {sorted(record.features)} instead"
        )
    if not set(record.label) <= {_TENSOR_NAME}:
        raise recordio_error(
            f"record {batch.first} must have one label, {_TENSOR_NAME!r}, or none. "
            f"Got {sorted(record.label)} instead"
        )
    values = _to_dense(record.features[_TENSOR_NAME], batch, max_record_bytes)
    labels = scalar_values(record.label[_TENSOR_NAME], batch) if record.label else None
    return RecordBlock(values, labels)


def _to_dense(tensor: Tensor, batch: RecordBatch, max_record_bytes: int) -> TensorValues:
    """Place the values of a sparse tensor into dense rows; a dense tensor is returned as it is."""
    values, keys, shape = tensor.values, tensor.keys, tensor.shape
    if shape is None:
        if keys is not None:
            raise recordio_error(f"record {batch.first} is sparse and has no shape that states its width")
        if not values.shape[1]:
            raise recordio_error(f"record {batch.first} has no values")
        return values
    width = int(shape[0])
    # The shape is a claim: a row of two values may demand any amount of memory.
    if len(shape) != 1 or not 0 < width * values.itemsize <= max_record_bytes:
        raise recordio_error(
            f"record {batch.first} has the shape {shape[:8].tolist()}, which is not a row of at most "
            f"{max_record_bytes:,} bytes"
        )
    if keys is None and values.shape[1] == width:
        return values
    n_keys = 0 if keys is None else len(keys)
    if n_keys != values.shape[1]:
        raise recordio_error(
            f"record {batch.first} has {values.shape[1]} values, {n_keys} keys and a width of {width}"
        )
    dense: NDArray[Any] = np.zeros((batch.n_records, width), dtype=values.dtype)
    if keys is not None:
        # Compared as uint64: as intp, a key above 2^63 would be negative and count from the end.
        if keys.max() >= width or len(np.unique(keys)) != len(keys):
            raise recordio_error(
                f"record {batch.first} has keys that repeat, or not below its width of {width}"
            )
        dense[:, keys.astype(np.intp)] = values
    return dense


def _check_consistent(
    block: RecordBlock, reference: RecordBlock | None, first: int, n_features: int | None
) -> RecordBlock:
    """Compare rows with those before them; return the block that later rows are compared with."""
    width = block.values.shape[1]
    if n_features is None and reference is not None:
        n_features = reference.values.shape[1]
    if n_features is not None and width != n_features:
        raise recordio_error(f"record {first} must have {n_features} values. Got {width} instead")
    if reference is None:
        return RecordBlock(block.values[:1], block.labels)
    if block.values.dtype != reference.values.dtype:
        raise recordio_error(
            f"record {first} is of {block.values.dtype}, and those before it of {reference.values.dtype}"
        )
    if (block.labels is None) != (reference.labels is None):
        verb = "lacks" if block.labels is None else "has"
        raise recordio_error(f"record {first} {verb} a label, unlike others")
    return reference


def _concatenate(blocks: list[RecordBlock]) -> RecordBlock:
    if len(blocks) == 1:
        return blocks[0]
    values: TensorValues = np.concatenate([block.values for block in blocks])
    labels = [block.labels for block in blocks if block.labels is not None]
    return RecordBlock(values, np.concatenate(labels) if labels else None)
