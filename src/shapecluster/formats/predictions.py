"""Response bodies: the cluster of each row and its distance, in the built-in K-Means' formats."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np

from shapecluster._typing import Float64Array, FloatArray, IntArray
from shapecluster.exceptions import ArtifactError
from shapecluster.formats._media_types import (
    CSV,
    JSON,
    JSON_LINES,
    body_error,
    iter_json_lines,
    media_type,
    parse_json,
)
from shapecluster.formats._protobuf_record import LABEL, entry_header, float_dtype
from shapecluster.formats._recordio_frames import (
    FramePart,
    read_record_batches,
    recordio_error,
    scalar_values,
    write_frames,
)
from shapecluster.formats._streams import BytesLike, bounded_view
from shapecluster.formats.csv_rows import read_csv

__all__ = ["Predictions", "decode_predictions", "encode_predictions"]

MAX_BYTES = 1 << 25
_BODY = "The response"  # how messages call it
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
    if media in (CSV, JSON, JSON_LINES):
        rows = list(zip(*(column.tolist() for column in columns.values()), strict=True))
        if media == CSV:
            return "".join(",".join(map(repr, row)) + "\n" for row in rows).encode()
        objects = [dict(zip(columns, row, strict=True)) for row in rows]
        if media == JSON:
            return json.dumps({"predictions": objects}).encode()
        return "".join(f"{json.dumps(prediction)}\n" for prediction in objects).encode()
    target = float_dtype("float32")
    parts: list[FramePart] = []
    for name, column in columns.items():
        parts += [entry_header(LABEL, name, target, target.itemsize), column[:, None]]
    file = BytesIO()
    write_frames(file, parts, target)
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
    view = bounded_view(body, max_bytes, _BODY)
    if media == CSV:
        table = read_csv(BytesIO(view)).values
        if len(table) and table.shape[1] > 2:
            raise body_error(
                _BODY,
                f"a line must hold an id, or an id and a distance. Got {table.shape[1]} numbers instead",
            )
        distances = table[:, 1] if table.shape[1] == 2 else None
        return _validated(table[:, 0] if len(table) else np.empty(0), distances, n_rows)
    if media == JSON:
        value = parse_json(bytes(view), _BODY)
        objects = value.get("predictions") if isinstance(value, dict) else None
        if not isinstance(objects, list):
            raise body_error(_BODY, 'it must be {"predictions": [...]}')
        return _from_objects(objects, n_rows)
    if media == JSON_LINES:
        return _from_objects([value for _, value in iter_json_lines(bytes(view), _BODY)], n_rows)
    return _from_recordio(view, n_rows, max_bytes)


def _from_objects(objects: list[Any], n_rows: int | None) -> Predictions:
    clusters = [_read_number(prediction, _CLUSTER, row) for row, prediction in enumerate(objects)]
    distances = [
        _read_number(prediction, _DISTANCE, row)
        for row, prediction in enumerate(objects)
        if _DISTANCE in prediction
    ]
    return _validated(np.array(clusters), np.array(distances) if distances else None, n_rows)


def _read_number(prediction: Any, name: str, row: int) -> float:
    value = prediction.get(name) if isinstance(prediction, dict) else None
    # By exact type, because True is an int too.
    if type(value) is int or type(value) is float:
        with suppress(OverflowError):  # an integer beyond the range of a float
            return float(value)
    raise body_error(_BODY, f"prediction {row} must have a number {name!r}")


def _from_recordio(view: memoryview, n_rows: int | None, max_bytes: int) -> Predictions:
    clusters: list[Float64Array] = [np.empty(0)]
    distances: list[Float64Array] = []
    for batch in read_record_batches(BytesIO(view), max_bytes):
        label = batch.record.label
        if _CLUSTER not in label or set(label) - {_CLUSTER, _DISTANCE}:
            raise recordio_error(
                f"record {batch.first} must have a label {_CLUSTER!r}. Got {sorted(label)} instead"
            )
        clusters.append(scalar_values(label[_CLUSTER], batch))
        if _DISTANCE in label:
            distances.append(scalar_values(label[_DISTANCE], batch))
    return _validated(np.concatenate(clusters), np.concatenate(distances) if distances else None, n_rows)


def _validated(clusters: Float64Array, distances: Float64Array | None, n_rows: int | None) -> Predictions:
    """Make predictions of the numbers of a response, once they are valid."""
    if n_rows is not None and len(clusters) != n_rows:
        raise ArtifactError(
            f"{_BODY} must have {n_rows:,} predictions. Got {len(clusters):,} instead: "
            "check that the request had one row per series and nothing else."
        )
    # Negated as a whole, so that NaN, for which every comparison is False, is invalid.
    invalid = ~((clusters >= 0) & (clusters < _MAX_CLUSTERS) & (clusters == np.floor(clusters)))
    if invalid.any():
        row = int(np.argmax(invalid))
        raise ArtifactError(
            f"Prediction {row} of the response must be the id of a cluster, an integer from 0. "
            f"Got {clusters[row]} instead: check that the endpoint runs a clustering."
        )
    if distances is not None:
        if len(distances) != len(clusters):
            raise ArtifactError(
                f"{_BODY} has {len(clusters):,} clusters and {len(distances):,} distances: "
                "either all of its rows must have a distance, or none. Check the endpoint's program."
            )
        invalid = ~np.isfinite(distances)
        if invalid.any():
            row = int(np.argmax(invalid))
            raise ArtifactError(
                f"Prediction {row} of the response must have a finite distance. "
                f"Got {distances[row]} instead: check the row that was sent."
            )
    return Predictions(clusters.astype(np.intp), distances)
