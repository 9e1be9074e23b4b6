"""Request bodies for predictions: series without names, as CSV, JSON, JSON Lines or RecordIO-protobuf."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np

from shapecluster._typing import Float64Array, FloatArray
from shapecluster.formats._media_types import (
    CSV,
    RECORDIO,
    body_error,
    decode_objects,
    encode_objects,
    media_type,
)
from shapecluster.formats._streams import BytesLike, bounded_view
from shapecluster.formats.csv_rows import read_csv, write_csv
from shapecluster.formats.recordio import read_recordio, write_recordio

__all__ = ["decode_rows", "encode_rows"]

MAX_BYTES = 1 << 25
_BODY = "The request"  # how messages call it


def encode_rows(X: FloatArray, content_type: str) -> bytes:
    """Encode series as the body of a request to an endpoint.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_timepoints)
        The series, in float32 or float64.
    content_type : str
        "text/csv", "application/json", "application/jsonlines" or "application/x-recordio-protobuf".
        RecordIO keeps the type of `X`; the text formats keep every digit.

    Returns
    -------
    bytes
        The body.

    Raises
    ------
    ValueError
        If `X` is not a matrix of floats, or holds NaN or infinity and the format is JSON.

    Examples
    --------
    >>> import numpy as np
    >>> from shapecluster.formats import encode_rows
    >>> encode_rows(np.array([[1.5, 16.0]]), "application/json")
    b'{"instances": [{"features": [1.5, 16.0]}]}'
    """
    media = media_type(content_type)
    matrix = np.asarray(X)
    if matrix.ndim != 2 or matrix.dtype.kind != "f":
        raise ValueError(
            "X of encode_rows must be a matrix of floats. "
            f"Got shape {matrix.shape} of {matrix.dtype} instead."
        )
    file = BytesIO()
    if media == CSV:
        write_csv(file, matrix)
    elif media == RECORDIO:
        write_recordio(file, matrix, dtype="float64" if matrix.dtype.itemsize > 4 else "float32")
    else:
        finite = np.isfinite(matrix).all(axis=1)
        if not finite.all():
            raise ValueError(
                f"X must be finite to be sent as JSON. Got NaN or infinity in row {int(np.argmin(finite))} "
                "instead: send it as text/csv."
            )
        return encode_objects([{"features": row} for row in matrix.tolist()], media, "instances")
    return file.getvalue()


def decode_rows(
    body: BytesLike, content_type: str, *, n_timepoints: int | None = None, max_bytes: int = MAX_BYTES
) -> Float64Array:
    """Decode the series of a request.

    JSON may be `{"instances": [{"features": [...]}, ...]}` or a list of lists. An instance may also be
    `{"data": {"features": {"values": [...]}}}`. JSON Lines holds one instance or list per line.

    Parameters
    ----------
    body : bytes
        The body.
    content_type : str
        The format of the body, as in `encode_rows`.
    n_timepoints : int, default=None
        The expected number of values per series; None: as many as the first series has.
    max_bytes : int, default=32 MiB
        The maximum size of the body.

    Returns
    -------
    ndarray of float64, shape (n_rows, n_timepoints)
        The series.

    Raises
    ------
    ValueError
        If the content type is unknown (see `media_type`).
    ArtifactError
        If the body does not match its content type, or a row has another width. The message names the row.

    Examples
    --------
    >>> from shapecluster.formats import decode_rows
    >>> decode_rows(b"1.5,16.0", "text/csv")
    array([[ 1.5, 16. ]])
    >>> decode_rows(b'{"instances": [{"features": [1.5, 16.0]}]}', "application/json")
    array([[ 1.5, 16. ]])
    """
    media = media_type(content_type)
    view = bounded_view(body, max_bytes, _BODY)
    if media == CSV:
        return read_csv(BytesIO(view), n_timepoints=n_timepoints, max_line_bytes=max_bytes).values
    if media == RECORDIO:
        block = read_recordio(BytesIO(view), n_features=n_timepoints, max_record_bytes=max_bytes)
        return block.values.astype(np.float64)
    objects = decode_objects(view, media, _BODY, "instances", bare=True)
    rows = [_parse_instance(item, where) for where, item in objects]
    width = n_timepoints if n_timepoints is not None else len(rows[0]) if rows else 0
    for (where, _), row in zip(objects, rows, strict=True):
        if len(row) != width or not row:
            raise body_error(_BODY, f"{where} must have {width or 'some'} values. Got {len(row)} instead")
    try:
        return np.array(rows, dtype=np.float64).reshape(len(rows), width)
    except OverflowError:
        raise body_error(_BODY, "it holds an integer beyond the range of a float") from None


def _parse_instance(instance: Any, where: str) -> list[float]:
    """Return the values of one series; `where` is its place in messages."""
    # The nestings that SageMaker's built-in algorithms accept.
    values = instance
    if isinstance(values, dict) and isinstance(values.get("data"), dict):
        values = values["data"]
    if isinstance(values, dict):
        values = values.get("features")
    if isinstance(values, dict):
        if values.keys() - {"values", "shape"}:  # "keys" would make it sparse
            raise body_error(_BODY, f"{where} must be dense, with values and optionally a shape")
        values = values.get("values")
    # By exact type, because True is an int too.
    if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
        raise body_error(_BODY, f'{where} must be a list of numbers, or {{"features": [...]}} with one')
    return values
