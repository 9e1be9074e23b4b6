"""Bodies of requests for predictions: series as CSV, JSON, JSON Lines or RecordIO-protobuf, without names."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import numpy as np

from shapecluster._typing import Float64Array, FloatArray
from shapecluster.formats._media_types import (
    CSV,
    JSON,
    JSON_LINES,
    json_lines,
    media_type,
    parse_json,
    unreadable,
)
from shapecluster.formats._streams import Bytes, check_size
from shapecluster.formats.csv_rows import read_csv, write_csv
from shapecluster.formats.recordio import read_recordio, write_recordio

__all__ = ["decode_rows", "encode_rows"]

MAX_BYTES = 1 << 25
_WHAT = "The request"


def encode_rows(X: FloatArray, content_type: str) -> bytes:
    """The body that sends series to an endpoint.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_timepoints)
        Of float32 or float64.
    content_type : str
        "text/csv", "application/json", "application/jsonlines" or "application/x-recordio-protobuf". The
        last one carries float32, or float64 where `X` is float64; the others every digit.

    Returns
    -------
    bytes
        The body.

    Raises
    ------
    ValueError
        If `X` is no matrix of floats, or holds what the format has no way to say: NaN in JSON.

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
    if media in (JSON, JSON_LINES):
        finite = np.isfinite(matrix).all(axis=1)
        if not finite.all():
            raise ValueError(
                f"X must be finite to be sent as JSON. Got NaN or infinity in row {int(np.argmin(finite))} "
                "instead: send it as text/csv."
            )
        instances = [{"features": row} for row in matrix.tolist()]
        if media == JSON:
            return json.dumps({"instances": instances}).encode()
        return "".join(f"{json.dumps(instance)}\n" for instance in instances).encode()
    file = BytesIO()
    if media == CSV:
        write_csv(file, matrix)
    else:
        write_recordio(file, matrix, dtype="float64" if matrix.dtype.itemsize > 4 else "float32")
    return file.getvalue()


def decode_rows(
    body: Bytes, content_type: str, *, n_timepoints: int | None = None, max_bytes: int = MAX_BYTES
) -> Float64Array:
    """The series of a request.

    JSON may be `{"instances": [{"features": [...]}, ...]}`, the same with
    `{"data": {"features": {"values": [...]}}}` for an instance, or a list of lists; JSON Lines one such
    instance or list a line.

    Parameters
    ----------
    body : bytes
        The body.
    content_type : str
        What it is, as in `encode_rows`.
    n_timepoints : int, default=None
        How many values a series must have; None: as many as the first one.
    max_bytes : int, default=32 MiB
        The most that the body may have.

    Returns
    -------
    ndarray of float64, shape (n_rows, n_timepoints)
        The series.

    Raises
    ------
    ValueError
        If the content type is unknown; see `media_type`.
    ArtifactError
        If the body is not what its content type says, or its rows do not fit: the row is named.

    Examples
    --------
    >>> from shapecluster.formats import decode_rows
    >>> decode_rows(b"1.5,16.0", "text/csv")
    array([[ 1.5, 16. ]])
    >>> decode_rows(b'{"instances": [{"features": [1.5, 16.0]}]}', "application/json")
    array([[ 1.5, 16. ]])
    """
    media = media_type(content_type)
    view = check_size(body, max_bytes, _WHAT)
    if media == CSV:
        return read_csv(BytesIO(view), n_timepoints=n_timepoints, max_line_bytes=max_bytes).values
    if media == JSON:
        value = parse_json(bytes(view), _WHAT)
        instances = value.get("instances") if isinstance(value, dict) else value
        if not isinstance(instances, list):
            raise unreadable(_WHAT, 'it must be {"instances": [{"features": [...]}]} or a list of lists')
        rows = [_row(instance, f"row {number}") for number, instance in enumerate(instances)]
    elif media == JSON_LINES:
        rows = [_row(instance, f"line {number}") for number, instance in json_lines(bytes(view), _WHAT)]
    else:
        block = read_recordio(BytesIO(view), n_features=n_timepoints, max_record_bytes=max_bytes)
        return block.values.astype(np.float64)
    return _matrix(rows, n_timepoints)


def _matrix(rows: list[list[float]], n_timepoints: int | None) -> Float64Array:
    width = n_timepoints if n_timepoints is not None else len(rows[0]) if rows else 0
    for number, row in enumerate(rows):
        if len(row) != width or not row:
            raise unreadable(
                _WHAT, f"row {number} must have {width or 'some'} values. Got {len(row)} instead"
            )
    try:
        return np.array(rows, dtype=np.float64).reshape(len(rows), width)
    except OverflowError:
        raise unreadable(_WHAT, "it holds a whole number that no float can hold") from None


def _row(instance: Any, where: str) -> list[float]:
    """The values of one series, whatever they are wrapped in."""
    values = instance
    if isinstance(values, dict) and isinstance(values.get("data"), dict):
        values = values["data"]
    if isinstance(values, dict):
        values = values.get("features")
    if isinstance(values, dict):
        if values.keys() - {"values", "shape"}:
            raise unreadable(_WHAT, f"{where} must be dense: values, and a shape if you like")
        values = values.get("values")
    if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
        raise unreadable(_WHAT, f'{where} must be a list of numbers, or {{"features": [...]}} with one')
    return values
