"""Rows as the files that a training job reads, and back."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np
import pandas as pd

from shapecluster._typing import FloatArray
from shapecluster._warnings import warn_user
from shapecluster.cluster._euclidean import blocks, dense
from shapecluster.exceptions import ArtifactError, ArtifactWarning
from shapecluster.formats import read_csv, read_member, read_recordio, write_csv, write_recordio
from shapecluster.remote._outcome import open_artifact
from shapecluster.remote._platform import Platform
from shapecluster.remote._records import folders_of, recall
from shapecluster.remote._staging import Dataset, fingerprint

if TYPE_CHECKING:
    from shapecluster.remote._outcome import JobOutcome

RECORDIO = "application/x-recordio-protobuf"
CSV = "text/csv"

_DESCRIPTION = "shapecluster.json"
_MOST_DESCRIPTION = 1 << 20  # bytes
_FloatName = Literal["float32", "float64"]


def recordio_of(rows: FloatArray, manifest: dict[str, Any], dtype: _FloatName | None = None) -> Dataset:
    """Rows as RecordIO-protobuf, in their own precision unless `dtype` says otherwise."""
    written: _FloatName = dtype or ("float32" if rows.dtype == np.float32 else "float64")

    def write(file: BinaryIO, part: slice) -> None:
        write_recordio(file, rows[part], dtype=written)

    mark = fingerprint(rows, RECORDIO, written, str(manifest))
    return Dataset(mark, len(rows), write, RECORDIO, ".pbr", manifest)


def dense_recordio_of(rows: Any, manifest: dict[str, Any]) -> Dataset:
    """Rows, sparse ones too, as dense RecordIO in float32, written block by block."""

    def write(file: BinaryIO, part: slice) -> None:
        mine = rows[part]
        for block in blocks(mine.shape[0], mine.shape[1]):
            write_recordio(file, dense(mine[block], mine.dtype), dtype="float32")

    if hasattr(rows, "indptr"):  # the same rows may be stored in another order of entries
        if not rows.has_canonical_format:
            rows = rows.copy()  # it is the caller's
            rows.sum_duplicates()
        places = [fingerprint(part.astype(np.int64, copy=False)) for part in (rows.indices, rows.indptr)]
        mark = fingerprint(rows.data, "csr", repr(rows.shape), *places, str(manifest))
    else:
        mark = fingerprint(rows, RECORDIO, str(manifest))
    return Dataset(mark, rows.shape[0], write, RECORDIO, ".pbr", manifest)


def csv_of(rows: FloatArray, names: Sequence[str] | None, manifest: dict[str, Any]) -> Dataset:
    """Rows as CSV without a header, under their names if there are any; numbers read back exactly."""

    def write(file: BinaryIO, part: slice) -> None:
        write_csv(file, rows[part], None if names is None else names[part])

    return Dataset(fingerprint(rows, CSV, names, str(manifest)), len(rows), write, CSV, ".csv", manifest)


@dataclass(frozen=True)
class StagedData:
    """The data of a training job, as it was staged.

    Attributes
    ----------
    rows : ndarray of shape (n_rows, n_values)
        What was clustered.
    manifest : dict
        What was written down of it.
    """

    rows: FloatArray
    manifest: dict[str, Any]
    _platform: Platform
    _folders: dict[str, str]
    _manifests: dict[str, dict[str, Any]]

    def channel(self, name: str) -> FloatArray | None:
        """What another channel held; None where the job had no such channel."""
        if name not in self._manifests:
            return None
        return _read_back(self._platform, self._folders[name], self._manifests[name])


def recalled(platform: Platform, outcome: JobOutcome) -> StagedData:
    """Find the data of a training job again.

    Raises
    ------
    ArtifactError
        When it is no longer there.
    """
    folders = folders_of(outcome.description)
    manifests = recall(platform, outcome.description).manifests
    for name, manifest in manifests.items():
        if "shape" in manifest:
            rows = _read_back(platform, folders[name], manifest)
            return StagedData(rows, manifest, platform, folders, manifests)
    raise _gone(outcome.name)


def _read_back(platform: Platform, folder: str, manifest: dict[str, Any]) -> FloatArray:
    """The rows of staged data, from all of its files."""
    parts: list[Any] = []
    for uri in platform.list(f"{folder}/data/"):
        with platform.open(uri) as file:
            if uri.endswith(".csv"):
                parts.append(read_csv(file, label_size=int(manifest["label_size"])).values)
            else:
                parts.append(read_recordio(file).values)
    if not parts:
        raise _gone(folder)
    rows: FloatArray = np.concatenate(parts).astype(manifest["dtype"], copy=False)
    return rows


def read_description(platform: Platform, outcome: JobOutcome) -> dict[str, Any]:
    """What our container says of the fit; nothing where it was another's.

    Warns
    -----
    ArtifactWarning
        When it was of another version.
    """
    try:
        with open_artifact(platform, outcome) as file:
            text = read_member(file, _DESCRIPTION, max_bytes=_MOST_DESCRIPTION).data
        described = json.loads(text)
    except (ArtifactError, ValueError):
        return {}
    if not isinstance(described, dict):
        return {}
    theirs, ours = described.get("library"), version("shapecluster")
    if theirs != ours:
        warn_user(
            f"training job {outcome.name!r}",
            f"version {theirs} of shapecluster ran it, and this is {ours}. Build the image again to have the "
            "same results everywhere.",
            ArtifactWarning,
        )
    return described


def _gone(where: str) -> ArtifactError:
    return ArtifactError(
        f"The data of the training job is no longer where it was staged ({where}), so its rows cannot be "
        "labeled: fit again."
    )


def named(index: pd.Index[Any] | None) -> list[Any] | None:
    """Names as JSON can hold them: numbers stay numbers, all else is text."""
    if index is None:
        return None
    return [name if _is_plain(name) else str(name) for name in index.tolist()]


def _is_plain(name: object) -> bool:
    return isinstance(name, (str, int)) or (isinstance(name, float) and math.isfinite(name))
