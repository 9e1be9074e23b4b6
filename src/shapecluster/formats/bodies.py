"""Bodies of requests and responses: series, and clusters with distances, in the built-in K-Means' formats."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal, TypeAlias

import numpy as np

from shapecluster._typing import BoolArray, Float64Array, FloatArray, IntArray
from shapecluster.exceptions import ArtifactError
from shapecluster.formats._parsers import MAX_QUOTED, parse_json
from shapecluster.formats._records import LABEL, read_records, write_records
from shapecluster.formats._streams import BytesLike, bounded_view
from shapecluster.formats.csv_rows import read_csv, write_csv
from shapecluster.formats.recordio import read_recordio, write_recordio

__all__ = [
    "Predictions",
    "decode_predictions",
    "decode_rows",
    "encode_predictions",
    "encode_rows",
    "media_type",
]

MediaType: TypeAlias = Literal[
    "text/csv", "application/json", "application/jsonlines", "application/x-recordio-protobuf"
]

CSV: MediaType = "text/csv"
JSON: MediaType = "application/json"
JSON_LINES: MediaType = "application/jsonlines"
RECORDIO: MediaType = "application/x-recordio-protobuf"
MAX_BYTES = 1 << 25
# How messages call a body.
_REQUEST, _RESPONSE = "The request", "The response"
_CLUSTER, _DISTANCE = "closest_cluster", "distance_to_cluster"
_MAX_CLUSTERS = 1 << 24  # ids travel as float32, which is exact for integers up to here


@dataclass(frozen=True, eq=False)
class Predictions:
    """The cluster of each row, and its distance to the center.

    Attributes
    ----------
    closest_cluster : ndarray of int, shape (n_rows,)
        Cluster ids, from 0.
    distance_to_cluster : ndarray of float64, shape (n_rows,), or None
        Distances in the algorithm's own metric; None if the algorithm returns ids only.
    """

    closest_cluster: IntArray
    distance_to_cluster: Float64Array | None = None


def media_type(content_type: str) -> MediaType:
    """The format that a Content-Type or Accept header names.

    Parameters
    ----------
    content_type : str
        The value of the header. Parameters after a semicolon are ignored.

    Returns
    -------
    str
        "text/csv", "application/json", "application/jsonlines" or "application/x-recordio-protobuf".

    Raises
    ------
    ValueError
        If it is none of these.

    Examples
    --------
    >>> from shapecluster.formats import media_type
    >>> media_type("Text/CSV; label_size=0")
    'text/csv'
    """
    name = content_type.partition(";")[0].strip().lower()
    if name not in (CSV, JSON, JSON_LINES, RECORDIO):
        raise ValueError(
            f"The content type must be {CSV}, {JSON}, {JSON_LINES} or {RECORDIO}. "
            f"Got {content_type[:MAX_QUOTED]!r} instead."
        )
    return name


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
        return _encode_objects([{"features": row} for row in matrix.tolist()], media, "instances")
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
    view = bounded_view(body, max_bytes, _REQUEST)
    if media == CSV:
        return read_csv(BytesIO(view), n_timepoints=n_timepoints, max_line_bytes=max_bytes).values
    if media == RECORDIO:
        block = read_recordio(BytesIO(view), n_features=n_timepoints, max_record_bytes=max_bytes)
        return block.values.astype(np.float64)
    objects = _decode_objects(view, media, _REQUEST, "instances", bare=True)
    rows = [_parse_instance(item, where) for where, item in objects]
    width = n_timepoints if n_timepoints is not None else len(rows[0]) if rows else 0
    for (where, _), row in zip(objects, rows, strict=True):
        if len(row) != width or not row:
            raise _body_error(_REQUEST, f"{where} must have {width or 'some'} values. Got {len(row)} instead")
    try:
        return np.array(rows, dtype=np.float64).reshape(len(rows), width)
    except OverflowError:
        raise _body_error(_REQUEST, "it holds an integer beyond the range of a float") from None


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
            raise _body_error(_REQUEST, f"{where} must be dense, with values and optionally a shape")
        values = values.get("values")
    # By exact type, because True is an int too.
    if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
        raise _body_error(_REQUEST, f'{where} must be a list of numbers, or {{"features": [...]}} with one')
    return values


def encode_predictions(predictions: Predictions, accept: str) -> bytes:
    r"""Encode predictions as the body of a response.

    Cluster ids are written as floats, as the built-in algorithms do.

    Parameters
    ----------
    predictions : Predictions
        Clusters, with or without distances.
    accept : str
        "text/csv", "application/json", "application/jsonlines" or "application/x-recordio-protobuf".
        RecordIO rounds to float32.

    Returns
    -------
    bytes
        The body.

    Examples
    --------
    >>> import numpy as np
    >>> from shapecluster.formats import Predictions, encode_predictions
    >>> answer = Predictions(np.array([1]), np.array([3.0]))
    >>> encode_predictions(answer, "application/json")
    b'{"predictions": [{"closest_cluster": 1.0, "distance_to_cluster": 3.0}]}'
    >>> encode_predictions(answer, "text/csv")
    b'1.0,3.0\n'
    """
    media = media_type(accept)
    columns: dict[str, FloatArray] = {_CLUSTER: predictions.closest_cluster.astype(np.float64)}
    if predictions.distance_to_cluster is not None:
        columns[_DISTANCE] = predictions.distance_to_cluster
    file = BytesIO()
    if media == CSV:
        write_csv(file, np.column_stack(list(columns.values())))
    elif media == RECORDIO:
        tensors = {(LABEL, name): column[:, None] for name, column in columns.items()}
        write_records(file, tensors, np.dtype("<f4"))
    else:
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        return _encode_objects([dict(zip(columns, row, strict=True)) for row in rows], media, "predictions")
    return file.getvalue()


def decode_predictions(
    body: BytesLike, content_type: str, *, n_rows: int | None = None, max_bytes: int = MAX_BYTES
) -> Predictions:
    r"""Decode the predictions of a response.

    Parameters
    ----------
    body : bytes
        The body.
    content_type : str
        The format of the body, as in `encode_predictions`. A line of CSV is `id,distance` or `id`.
    n_rows : int, default=None
        The expected number of predictions, which is the number of rows in the request.
    max_bytes : int, default=32 MiB
        The maximum size of the body.

    Returns
    -------
    Predictions
        Clusters, and distances if the response has them.

    Raises
    ------
    ValueError
        If the content type is unknown (see `media_type`).
    ArtifactError
        If the body does not hold predictions in that format, or not `n_rows` of them.

    Examples
    --------
    >>> from shapecluster.formats import decode_predictions
    >>> decode_predictions(b"1.0,3.0\n0.0,0.5", "text/csv").closest_cluster
    array([1, 0])
    """
    media = media_type(content_type)
    view = bounded_view(body, max_bytes, _RESPONSE)
    if media == CSV:
        return _validated(read_csv(BytesIO(view)).values, n_rows)
    if media == RECORDIO:
        labels = (LABEL, _CLUSTER), (LABEL, _DISTANCE)
        block = read_records(BytesIO(view), *labels, None, 1, max_bytes, max_bytes)
        columns = [block.values] if block.labels is None else [block.values, block.labels]
        return _validated(np.column_stack(columns).astype(np.float64), n_rows)
    objects = _decode_objects(view, media, _RESPONSE, "predictions")
    distant = any(isinstance(item, dict) and _DISTANCE in item for _, item in objects)
    names = [_CLUSTER, _DISTANCE] if distant else [_CLUSTER]
    numbers = [[_read_number(item, name, where) for where, item in objects] for name in names]
    return _validated(np.array(numbers).T, n_rows)


def _read_number(item: Any, name: str, where: str) -> float:
    value = item.get(name) if isinstance(item, dict) else None
    # By exact type, because True is an int too.
    if type(value) is int or type(value) is float:
        with suppress(OverflowError):  # an integer beyond the range of a float
            return float(value)
    raise _body_error(_RESPONSE, f"{where} must have a number {name!r}")


def _validated(table: Float64Array, n_rows: int | None) -> Predictions:
    """Make predictions of the numbers of a response, one row each, once they are valid."""
    if n_rows is not None and len(table) != n_rows:
        raise ArtifactError(
            f"{_RESPONSE} must have {n_rows:,} predictions. Got {len(table):,} instead: "
            "check that the request had one row per series and nothing else."
        )
    if not len(table):
        return Predictions(np.empty(0, dtype=np.intp))
    if table.shape[1] > 2:
        raise _body_error(
            _RESPONSE, f"a line must be an id, or an id and a distance. Got {table.shape[1]} numbers instead"
        )
    clusters, distances = table[:, 0], table[:, 1] if table.shape[1] == 2 else None
    # NaN, for which every comparison is False, is invalid as well.
    valid = (clusters >= 0) & (clusters < _MAX_CLUSTERS) & (clusters == np.floor(clusters))
    _check_each(valid, clusters, "be the id of a cluster, an integer from 0")
    if distances is not None:
        _check_each(np.isfinite(distances), distances, "have a finite distance")
    return Predictions(clusters.astype(np.intp), distances)


def _check_each(valid: BoolArray, column: Float64Array, requirement: str) -> None:
    if not valid.all():
        row = int(np.argmin(valid))
        raise ArtifactError(
            f"Prediction {row} of the response must {requirement}. Got {column[row]} instead: "
            "check the row that was sent, and that the endpoint runs a clustering."
        )


def _encode_objects(objects: list[dict[str, Any]], media: MediaType, key: str) -> bytes:
    """Encode objects as JSON Lines, or as one JSON object with their list under `key`."""
    if media == JSON:
        return json.dumps({key: objects}).encode()
    return "".join(f"{json.dumps(item)}\n" for item in objects).encode()


def _decode_objects(
    body: memoryview, media: MediaType, subject: str, key: str, *, bare: bool = False
) -> list[tuple[str, Any]]:
    """Decode what `_encode_objects` writes, with the place of each object for messages.

    With `bare`, JSON may be the list itself.
    """
    if media == JSON_LINES:
        lines = [(f"line {n}", line) for n, line in enumerate(BytesIO(body), start=1) if line.strip()]
        return [(where, _parse(line, subject, where)) for where, line in lines]
    value = _parse(bytes(body), subject, "it")
    items = value.get(key) if isinstance(value, dict) else value if bare else None
    if not isinstance(items, list):
        raise _body_error(subject, f'it must be {{"{key}": [...]}}{" or a list" if bare else ""}')
    return [(f"row {row}", item) for row, item in enumerate(items)]


def _parse(text: bytes, subject: str, where: str) -> Any:
    try:
        return parse_json(text)
    except ValueError as error:
        raise _body_error(subject, f"{where} is not valid JSON ({error})") from None


def _body_error(subject: str, problem: str) -> ArtifactError:
    """Make the error for a body that cannot be read."""
    return ArtifactError(
        f"{subject} cannot be read: {problem}. "
        "Check that the content type matches the body, and that the body is complete."
    )
