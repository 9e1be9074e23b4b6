"""RecordIO-protobuf: the binary rows of SageMaker's built-in algorithms, as matrices."""

from __future__ import annotations

from typing import Literal

import numpy as np

from shapecluster._typing import FloatArray
from shapecluster.formats._records import FEATURES, LABEL, RecordBlock, read_records, write_records
from shapecluster.formats._streams import Readable, Writable

__all__ = ["RecordBlock", "read_recordio", "write_recordio"]

# The built-in algorithms look for no others.
_VALUES, _LABEL = (FEATURES, "values"), (LABEL, "values")
MAX_RECORD_BYTES = 1 << 24
MAX_BYTES = 1 << 32


def write_recordio(
    file: Writable,
    X: FloatArray,
    labels: FloatArray | None = None,
    *,
    dtype: Literal["float32", "float64"] = "float32",
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
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype must be 'float32' or 'float64'. Got {dtype!r} instead.")
    matrix = np.asarray(X)
    if matrix.ndim != 2 or matrix.shape[1] == 0 or not _is_float(matrix):
        raise ValueError(
            "X of write_recordio must be a matrix of floats with at least one column. "
            f"Got shape {matrix.shape} of {matrix.dtype} instead."
        )
    tensors = {_VALUES: matrix}
    if labels is not None:
        column = np.asarray(labels)
        if column.shape != matrix.shape[:1] or not _is_float(column):
            raise ValueError(
                f"labels of write_recordio must be {len(matrix)} floats, one per row. "
                f"Got shape {column.shape} of {column.dtype} instead."
            )
        tensors[_LABEL] = column[:, None]
    return write_records(file, tensors, np.dtype(dtype).newbyteorder("<"))


def _is_float(array: FloatArray) -> bool:
    return array.dtype.kind == "f" and array.dtype.itemsize <= 8


def read_recordio(
    file: Readable,
    *,
    n_rows: int | None = None,
    n_features: int | None = None,
    max_bytes: int = MAX_BYTES,
    max_record_bytes: int = MAX_RECORD_BYTES,
) -> RecordBlock:
    """Read all rows of a file.

    Rows are dense and hold a packed Float32Tensor, Float64Tensor or Int32Tensor, as the SageMaker SDK writes
    them. All rows must have the same width and type, and either all or none a label.

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
    return read_records(file, _VALUES, _LABEL, n_rows, n_features, max_bytes, max_record_bytes)
