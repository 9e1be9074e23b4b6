"""Response bodies: the cluster of each row and its distance, in the built-in K-Means' formats."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np

from shapecluster._typing import BoolArray, Float64Array, FloatArray, IntArray
from shapecluster.exceptions import ArtifactError
from shapecluster.formats._media_types import (
    CSV,
    RECORDIO,
    body_error,
    decode_objects,
    encode_objects,
    media_type,
)
from shapecluster.formats._records import LABEL, float_dtype, read_records, write_records
from shapecluster.formats._streams import BytesLike, bounded_view
from shapecluster.formats.csv_rows import read_csv, write_csv

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
    file = BytesIO()
    if media == CSV:
        write_csv(file, np.column_stack(list(columns.values())))
    elif media == RECORDIO:
        tensors = {(LABEL, name): column[:, None] for name, column in columns.items()}
        write_records(file, tensors, float_dtype("float32"))
    else:
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        return encode_objects([dict(zip(columns, row, strict=True)) for row in rows], media, "predictions")
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
        return _validated(read_csv(BytesIO(view)).values, n_rows)
    if media == RECORDIO:
        block = read_records(
            BytesIO(view),
            (LABEL, _CLUSTER),
            (LABEL, _DISTANCE),
            n_rows=None,
            n_features=1,
            max_bytes=max_bytes,
            max_record_bytes=max_bytes,
        )
        columns = [block.values] if block.labels is None else [block.values, block.labels]
        return _validated(np.column_stack(columns).astype(np.float64), n_rows)
    objects = decode_objects(view, media, _BODY, "predictions")
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
    raise body_error(_BODY, f"{where} must have a number {name!r}")


def _validated(table: Float64Array, n_rows: int | None) -> Predictions:
    """Make predictions of the numbers of a response, one row each, once they are valid."""
    if n_rows is not None and len(table) != n_rows:
        raise ArtifactError(
            f"{_BODY} must have {n_rows:,} predictions. Got {len(table):,} instead: "
            "check that the request had one row per series and nothing else."
        )
    if not len(table):
        return Predictions(np.empty(0, dtype=np.intp))
    if table.shape[1] > 2:
        raise body_error(
            _BODY, f"a line must hold an id, or an id and a distance. Got {table.shape[1]} numbers instead"
        )
    clusters, distances = table[:, 0], table[:, 1] if table.shape[1] == 2 else None
    # NaN, for which every comparison is False, is invalid as well.
    _check_each(
        (clusters >= 0) & (clusters < _MAX_CLUSTERS) & (clusters == np.floor(clusters)),
        clusters,
        "be the id of a cluster, an integer from 0",
    )
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
