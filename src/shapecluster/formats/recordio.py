"""RecordIO-protobuf, the binary rows of SageMaker's own algorithms, written and read as whole matrices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from shapecluster._typing import Float64Array, FloatArray
from shapecluster.exceptions import ArtifactError
from shapecluster.formats._protobuf_record import (
    FEATURES,
    LABEL,
    Numbers,
    Record,
    Tensor,
    entry_head,
    float_type,
)
from shapecluster.formats._recordio_frames import Part, Run, damaged, read_runs, scalars, write_frames
from shapecluster.formats._streams import Readable, Writable

__all__ = [
    "RecordBlock",
    "iter_recordio",
    "read_recordio",
    "write_recordio",
]

_NAME = "values"
_BLOCK = 1 << 22  # bytes of numbers in one block of rows
MAX_RECORD_BYTES = 1 << 24
MAX_BYTES = 1 << 32


@dataclass(frozen=True, eq=False)
class RecordBlock:
    """Rows that were read.

    Attributes
    ----------
    values : ndarray of shape (n_rows, n_features)
        float32, float64 or int32, as in the file.
    labels : ndarray of shape (n_rows,) or None
        The rows' labels in float64, which holds every one exactly; None if they have none.
    """

    values: Numbers
    labels: Float64Array | None


def write_recordio(
    file: Writable,
    X: FloatArray,
    labels: FloatArray | None = None,
    *,
    dtype: Literal["float32", "float64"] = "float32",
) -> int:
    """Write the rows of a matrix, and their labels if there are any.

    The bytes are those of a dense row of the SageMaker SDK's writer. A few megabytes are held beside the
    matrix, whatever its size.

    Parameters
    ----------
    file : binary file
        Opened for writing.
    X : ndarray of shape (n_rows, n_features)
        Of float32 or float64; at least one feature.
    labels : ndarray of shape (n_rows,), default=None
        Of float32 or float64; written as `dtype` too.
    dtype : {"float32", "float64"}, default="float32"
        The type of the numbers in the file. The built-in algorithms compute in float32.

    Returns
    -------
    int
        The number of bytes written.

    Raises
    ------
    ValueError
        If the shapes do not fit, or a finite number has no place in `dtype`: its row is named.

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
    target = float_type(dtype)
    matrix = np.asarray(X)
    if matrix.ndim != 2 or matrix.shape[1] == 0 or matrix.dtype.kind != "f" or matrix.dtype.itemsize > 8:
        raise ValueError(
            "X of write_recordio must be a matrix of floats with at least one column. "
            f"Got shape {matrix.shape} of {matrix.dtype} instead."
        )
    head = entry_head(FEATURES, _NAME, target, matrix.shape[1] * target.itemsize)
    parts: list[Part] = [head, matrix]
    if labels is not None:
        column = np.asarray(labels)
        if column.shape != matrix.shape[:1] or column.dtype.kind != "f" or column.dtype.itemsize > 8:
            raise ValueError(
                f"labels of write_recordio must be {len(matrix)} floats, one a row. "
                f"Got shape {column.shape} of {column.dtype} instead."
            )
        parts += [entry_head(LABEL, _NAME, target, target.itemsize), column[:, None]]
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
        Opened for reading; no seeking.
    n_rows : int, default=None
        How many rows there must be. Without it a file that was cut between two rows looks complete.
    n_features : int, default=None
        How many values a row must have; None: as many as the first one.
    max_bytes : int, default=4 GiB
        The most that all values may take.
    max_record_bytes : int, default=16 MiB
        The most that one row may take, in the file and as a dense row.

    Returns
    -------
    RecordBlock
        All rows; with no rows, an empty float32 matrix.

    Raises
    ------
    ArtifactError
        If anything of the file is not as it should be.

    Examples
    --------
    >>> import io
    >>> from shapecluster.formats import read_recordio
    >>> read_recordio(io.BytesIO(b"1.0,2.0"))
    Traceback (most recent call last):
        ...
    shapecluster.exceptions.ArtifactError: RecordIO data cannot be read: it ends within the head...
    """
    blocks: list[RecordBlock] = []
    found = size = 0
    for block in iter_recordio(file, n_features=n_features, max_record_bytes=max_record_bytes):
        blocks.append(block)
        found += len(block.values)
        size += block.values.nbytes
        if size > max_bytes:
            raise ArtifactError(
                f"RecordIO data must have at most {max_bytes:,} bytes of values, and has more. "
                "Raise `max_bytes`, or read it in blocks with iter_recordio."
            )
        if n_rows is not None and found > n_rows:
            break
    if n_rows is not None and found != n_rows:
        some = "more" if found > n_rows else f"{found:,}"
        raise damaged(f"it must have {n_rows:,} rows. Got {some} instead")
    if not blocks:
        return RecordBlock(np.empty((0, n_features or 0), dtype=np.float32), None)
    return _joined(blocks)


def iter_recordio(
    file: Readable, *, n_features: int | None = None, max_record_bytes: int = MAX_RECORD_BYTES
) -> Iterator[RecordBlock]:
    """Read rows in blocks of some megabytes, in bounded memory.

    Dense rows in Float32Tensor, Float64Tensor or Int32Tensor, packed or not, and sparse ones, which are
    made dense. All rows must have one width and one type, and labels all or none.

    Parameters
    ----------
    file : binary file
        Opened for reading; no seeking.
    n_features : int, default=None
        How many values a row must have; None: as many as the first one.
    max_record_bytes : int, default=16 MiB
        The most that one row may take, in the file and as a dense row.

    Yields
    ------
    RecordBlock
        At least one row each.

    Raises
    ------
    ArtifactError
        If anything of the file is not as it should be: the row is named.

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
    model: RecordBlock | None = None
    for run in read_runs(file, max_record_bytes):
        block = _rows(run, max_record_bytes)
        model = _fits(block, model, run.first, n_features)
        pending.append(block)
        # A row by itself costs some hundred bytes beside its values.
        size += block.values.nbytes + 512
        if size > _BLOCK:
            yield _joined(pending)
            pending, size = [], 0
    if pending:
        yield _joined(pending)


def _rows(run: Run, max_record_bytes: int) -> RecordBlock:
    """The values and labels of some records."""
    record: Record = run.record
    if set(record.features) != {_NAME}:
        raise damaged(
            f"record {run.first} must have one feature, {_NAME!r}. Got {sorted(record.features)} instead"
        )
    if not set(record.label) <= {_NAME}:
        raise damaged(
            f"record {run.first} must have one label, {_NAME!r}, or none. Got {sorted(record.label)} instead"
        )
    values = _dense(record.features[_NAME], run, max_record_bytes)
    labels = scalars(record.label[_NAME], run) if record.label else None
    return RecordBlock(values, labels)


def _dense(tensor: Tensor, run: Run, max_record_bytes: int) -> Numbers:
    """The values at their places."""
    values, keys, shape = tensor.values, tensor.keys, tensor.shape
    if shape is None:
        if keys is not None:
            raise damaged(f"record {run.first} is sparse and does not say how wide it is")
        if not values.shape[1]:
            raise damaged(f"record {run.first} has no values")
        return values
    width = int(shape[0])
    if len(shape) != 1 or not 0 < width * values.itemsize <= max_record_bytes:
        raise damaged(
            f"record {run.first} has the shape {shape[:8].tolist()}, which is no row of at most "
            f"{max_record_bytes:,} bytes"
        )
    if keys is None and values.shape[1] == width:
        return values
    n_keys = 0 if keys is None else len(keys)
    if n_keys != values.shape[1]:
        raise damaged(
            f"record {run.first} has {values.shape[1]} values, {n_keys} keys and a width of {width}"
        )
    dense: NDArray[Any] = np.zeros((run.n_records, width), dtype=values.dtype)
    if keys is not None:
        if keys.max() >= width or len(np.unique(keys)) != len(keys):
            raise damaged(f"record {run.first} has keys that repeat, or not below its width of {width}")
        dense[:, keys.astype(np.intp)] = values
    return dense


def _fits(block: RecordBlock, model: RecordBlock | None, first: int, n_features: int | None) -> RecordBlock:
    """Check rows against those before them; returns what the next ones are held against."""
    width = block.values.shape[1]
    if n_features is None and model is not None:
        n_features = model.values.shape[1]
    if n_features is not None and width != n_features:
        raise damaged(f"record {first} must have {n_features} values. Got {width} instead")
    if model is None:
        return RecordBlock(block.values[:1], block.labels)
    if block.values.dtype != model.values.dtype:
        raise damaged(
            f"record {first} is of {block.values.dtype}, and those before it of {model.values.dtype}"
        )
    if (block.labels is None) != (model.labels is None):
        raise damaged(f"record {first} {'lacks' if block.labels is None else 'has'} a label, unlike others")
    return model


def _joined(blocks: list[RecordBlock]) -> RecordBlock:
    if len(blocks) == 1:
        return blocks[0]
    values: Numbers = np.concatenate([block.values for block in blocks])
    labels = [block.labels for block in blocks if block.labels is not None]
    return RecordBlock(values, np.concatenate(labels) if labels else None)
