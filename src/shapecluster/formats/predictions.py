"""Bodies of answers: the cluster of each row and how far away it is, as the built-in K-Means says it."""

from __future__ import annotations

import json
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
    json_lines,
    media_type,
    parse_json,
    unreadable,
)
from shapecluster.formats._protobuf_record import LABEL, entry_head, float_type
from shapecluster.formats._recordio_frames import Part, damaged, read_runs, scalars, write_frames
from shapecluster.formats._streams import Bytes, check_size
from shapecluster.formats.csv_rows import read_csv

__all__ = ["Predictions", "decode_predictions", "encode_predictions"]

MAX_BYTES = 1 << 25
_WHAT = "The answer"
_CLUSTER, _DISTANCE = "closest_cluster", "distance_to_cluster"
_MOST_CLUSTERS = 1 << 24  # float32, in which ids travel, holds every whole number up to here


@dataclass(frozen=True, eq=False)
class Predictions:
    """The cluster of each row, and how far away its center is.

    Attributes
    ----------
    closest_cluster : ndarray of int, shape (n_rows,)
        Ids of clusters, from 0.
    distance_to_cluster : ndarray of float64, shape (n_rows,), or None
        In the algorithm's own measure; None where the algorithm answers with ids only.
    """

    closest_cluster: IntArray
    distance_to_cluster: Float64Array | None = None


def encode_predictions(predictions: Predictions, accept: str) -> bytes:
    r"""The body of an answer. Ids are written as floats, as the built-in algorithms do.

    Parameters
    ----------
    predictions : Predictions
        Clusters, and distances if there are any.
    accept : str
        "text/csv", "application/json", "application/jsonlines" or "application/x-recordio-protobuf"; the
        last one carries float32.

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
        return "".join(f"{json.dumps(one)}\n" for one in objects).encode()
    target = float_type("float32")
    parts: list[Part] = []
    for name, column in columns.items():
        parts += [entry_head(LABEL, name, target, target.itemsize), column[:, None]]
    file = BytesIO()
    write_frames(file, parts, target)
    return file.getvalue()


def decode_predictions(
    body: Bytes, content_type: str, *, n_rows: int | None = None, max_bytes: int = MAX_BYTES
) -> Predictions:
    r"""Read an answer.

    Parameters
    ----------
    body : bytes
        The body.
    content_type : str
        What it is, as in `encode_predictions`. A line of CSV is `id,distance` or `id`.
    n_rows : int, default=None
        How many rows were asked for.
    max_bytes : int, default=32 MiB
        The most that the body may have.

    Returns
    -------
    Predictions
        Clusters, and distances if the answer has them.

    Raises
    ------
    ValueError
        If the content type is unknown; see `media_type`.
    ArtifactError
        If the body is no such answer.

    Examples
    --------
    >>> from shapecluster.formats import decode_predictions
    >>> decode_predictions(b"1.0,3.0\n0.0,0.5", "text/csv").closest_cluster
    array([1, 0])
    """
    media = media_type(content_type)
    view = check_size(body, max_bytes, _WHAT)
    if media == CSV:
        table = read_csv(BytesIO(view)).values
        if len(table) and table.shape[1] > 2:
            raise unreadable(
                _WHAT, f"a line must be an id, or an id and a distance. Got {table.shape[1]} numbers instead"
            )
        distances = table[:, 1] if table.shape[1] == 2 else None
        return _checked(table[:, 0] if len(table) else np.empty(0), distances, n_rows)
    if media == JSON:
        value = parse_json(bytes(view), _WHAT)
        found = value.get("predictions") if isinstance(value, dict) else None
        if not isinstance(found, list):
            raise unreadable(_WHAT, 'it must be {"predictions": [...]}')
        return _from_objects(found, n_rows)
    if media == JSON_LINES:
        return _from_objects([value for _, value in json_lines(bytes(view), _WHAT)], n_rows)
    return _from_recordio(view, n_rows, max_bytes)


def _from_objects(objects: list[Any], n_rows: int | None) -> Predictions:
    clusters = [_number(one, _CLUSTER, row) for row, one in enumerate(objects)]
    distances = [_number(one, _DISTANCE, row) for row, one in enumerate(objects) if _DISTANCE in one]
    return _checked(np.array(clusters), np.array(distances) if distances else None, n_rows)


def _number(prediction: Any, name: str, row: int) -> float:
    value = prediction.get(name) if isinstance(prediction, dict) else None
    try:
        if type(value) in (int, float):
            return float(value)  # type: ignore[arg-type]
    except OverflowError:
        pass
    raise unreadable(_WHAT, f"prediction {row} must have a number {name!r}")


def _from_recordio(view: memoryview, n_rows: int | None, max_bytes: int) -> Predictions:
    clusters: list[Float64Array] = [np.empty(0)]
    distances: list[Float64Array] = []
    for run in read_runs(BytesIO(view), max_bytes):
        label = run.record.label
        if _CLUSTER not in label or set(label) - {_CLUSTER, _DISTANCE}:
            raise damaged(f"record {run.first} must have a label {_CLUSTER!r}. Got {sorted(label)} instead")
        clusters.append(scalars(label[_CLUSTER], run))
        if _DISTANCE in label:
            distances.append(scalars(label[_DISTANCE], run))
    return _checked(np.concatenate(clusters), np.concatenate(distances) if distances else None, n_rows)


def _checked(clusters: Float64Array, distances: Float64Array | None, n_rows: int | None) -> Predictions:
    """Predictions out of numbers as they came, which are floats."""
    if n_rows is not None and len(clusters) != n_rows:
        raise ArtifactError(
            f"{_WHAT} must have {n_rows:,} predictions. Got {len(clusters):,} instead: "
            "check that the request had one row a series and nothing else."
        )
    wrong = ~((clusters >= 0) & (clusters < _MOST_CLUSTERS) & (clusters == np.floor(clusters)))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ArtifactError(
            f"Prediction {row} of the answer must be the id of a cluster, a whole number from 0. "
            f"Got {clusters[row]} instead: check that the endpoint runs a clustering."
        )
    if distances is not None:
        if len(distances) != len(clusters):
            raise ArtifactError(
                f"{_WHAT} has {len(clusters):,} clusters and {len(distances):,} distances: "
                "all of its rows must have a distance, or none. Check the endpoint's program."
            )
        wrong = ~np.isfinite(distances)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise ArtifactError(
                f"Prediction {row} of the answer must have a finite distance. Got {distances[row]} instead: "
                "check the row that was sent."
            )
    return Predictions(clusters.astype(np.intp), distances)
