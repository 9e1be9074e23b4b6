"""Rows as the files that a training job reads, and files as rows again."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, BinaryIO, Literal

import numpy as np
import pandas as pd

from shapecluster._typing import FloatArray
from shapecluster._warnings import warn_user
from shapecluster.cluster._euclidean import blocks, dense
from shapecluster.exceptions import ArtifactError, ArtifactWarning
from shapecluster.formats import read_csv, read_member, read_recordio, write_csv, write_recordio
from shapecluster.remote._client import CompletedJob, Dataset, StagedChannel, fingerprint, staged_channels

RECORDIO = "application/x-recordio-protobuf"
CSV = "text/csv"

_DESCRIPTION = "shapecluster.json"
_MOST_DESCRIPTION = 1 << 20  # bytes


def recordio_of(rows: FloatArray, manifest: dict[str, Any]) -> Dataset:
    """Rows as RecordIO-protobuf, in their own precision."""
    written: Literal["float32", "float64"] = "float32" if rows.dtype == np.float32 else "float64"

    def write(file: BinaryIO, part: slice) -> None:
        write_recordio(file, rows[part], dtype=written)

    mark = fingerprint(rows, RECORDIO, written, str(manifest))
    return Dataset(mark, len(rows), write, RECORDIO, ".pbr", manifest)


def dense_recordio_of(rows: Any, manifest: dict[str, Any], *, n_shards: int = 1) -> Dataset:
    """Rows, sparse ones too, as dense RecordIO in float32, written block by block to bound the memory."""

    def write(file: BinaryIO, part: slice) -> None:
        array = rows[part]
        for block in blocks(array.shape[0], array.shape[1]):
            write_recordio(file, dense(array[block], array.dtype), dtype="float32")

    if hasattr(rows, "indptr"):
        # Equal sparse rows may store their entries in different orders; canonical ones hash alike.
        if not rows.has_canonical_format:
            rows = rows.copy()  # it is the caller's
            rows.sum_duplicates()
        # SciPy chooses the width of indices by size and history; the hash must not depend on it.
        places = [fingerprint(part.astype(np.int64, copy=False)) for part in (rows.indices, rows.indptr)]
        mark = fingerprint(rows.data, "csr", repr(rows.shape), *places, str(manifest))
    else:
        mark = fingerprint(rows, RECORDIO, str(manifest))
    return Dataset(mark, rows.shape[0], write, RECORDIO, ".pbr", manifest, n_shards)


def csv_of(rows: FloatArray, names: Sequence[str] | None, manifest: dict[str, Any]) -> Dataset:
    """Rows as CSV without a header, names first if there are any; the numbers read back exactly."""

    def write(file: BinaryIO, part: slice) -> None:
        write_csv(file, rows[part], None if names is None else names[part])

    return Dataset(fingerprint(rows, CSV, names, str(manifest)), len(rows), write, CSV, ".csv", manifest)


def read_staged_data(job: CompletedJob) -> tuple[FloatArray, dict[str, Any], dict[str, StagedChannel]]:
    """Read the rows that a training job clustered, and their manifest; also return all of its channels.

    Raises
    ------
    ArtifactError
        When they are no longer there.
    """
    channels = staged_channels(job.platform, job.description)
    for channel in channels.values():
        # Only the channel that is clustered has a shape in its manifest.
        if "shape" in channel.manifest:
            return read_staged_channel(channel), channel.manifest, channels
    raise _missing_data(job.name)


def read_staged_channel(channel: StagedChannel) -> FloatArray:
    """The rows of a channel, from all of its files."""
    parts: list[Any] = []
    for uri, file in channel.files():
        if uri.endswith(".csv"):
            parts.append(read_csv(file, label_size=1 if int(channel.manifest["label_size"]) else 0).values)
        else:
            parts.append(read_recordio(file).values)
    if not parts:
        raise _missing_data(channel.folder)
    rows: FloatArray = np.concatenate(parts).astype(channel.manifest["dtype"], copy=False)
    return rows


def read_model_file(job: CompletedJob, pattern: str, max_bytes: int) -> bytes:
    """Read a file from the model of a training job."""
    with job.open_model() as file:
        return read_member(file, pattern, max_bytes=max_bytes).data


def read_description(job: CompletedJob) -> dict[str, Any]:
    """Read what this package's container recorded of the fit; empty for other containers.

    Warns
    -----
    ArtifactWarning
        When the container had another version of this package.
    """
    try:
        described = json.loads(read_model_file(job, _DESCRIPTION, _MOST_DESCRIPTION))
    except (ArtifactError, ValueError):
        return {}
    if not isinstance(described, dict):
        return {}
    recorded, installed = described.get("library"), version("shapecluster")
    if recorded != installed:
        warn_user(
            f"training job {job.name!r}",
            f"version {recorded} of shapecluster ran it, and this is {installed}. Build the image again to "
            "have the same results everywhere.",
            ArtifactWarning,
        )
    return described


def _missing_data(where: str) -> ArtifactError:
    return ArtifactError(
        f"The data of the training job is no longer where it was staged ({where}), so its rows cannot be "
        "labeled: fit again."
    )


def json_names(index: pd.Index[Any] | None) -> list[Any] | None:
    """Names as JSON can hold them: numbers stay numbers, all else becomes text."""
    if index is None:
        return None
    return [
        name
        if isinstance(name, (str, int)) or (isinstance(name, float) and math.isfinite(name))
        else str(name)
        for name in index.tolist()
    ]
