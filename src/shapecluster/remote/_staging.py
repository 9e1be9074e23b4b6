"""Staging: data is uploaded for a job once, and found again by its hash.

```
<prefix>/<hash>/data/part-...      the files that a job reads, and no others
<prefix>/<hash>/manifest.json      names and schema; written last, so it marks the data as complete
<prefix>/<hash>/jobs/<job>.json    the jobs that read the data, and their records for `attach`
<prefix>/<hash>/jobs/<job>.collected    marks that the result of a job was read
```

The hash covers everything that determines the bytes, so equal data has one folder. A record is written before
its job is created. Data whose record has no mark "collected" is never cleaned up.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import pairwise
from typing import Any, BinaryIO, cast
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from shapecluster.exceptions import NotFoundError
from shapecluster.remote._names import join_uri
from shapecluster.remote._platform import Platform

logger = logging.getLogger("shapecluster.remote")

_LAYOUT = "1"  # version of the folder's layout; part of every hash
_DATA = "/data/"  # the end of the URIs that a job reads staged data from
_BLOCK = 2**22  # bytes hashed at a time where an array is not contiguous


# By platform and folder. A lock goes when no thread holds it or waits for it.
_locks: WeakValueDictionary[tuple[str, str], threading.Condition] = WeakValueDictionary()
_locks_guard = threading.Lock()


@dataclass(frozen=True)
class Dataset:
    """Rows for a job to read, and how to write them.

    Attributes
    ----------
    fingerprint : str
        Hash of everything that determines the bytes, see `fingerprint`.
    n_rows : int
        Number of rows.
    write : callable
        ``write(file, rows)`` writes the rows of a slice to a binary file.
    content_type : str
        Media type of the file.
    suffix : str
        End of file names, such as ".csv".
    manifest : mapping
        Data for a later `attach`, such as names; stored as JSON.
    n_shards : int
        Number of files that the rows are cut into, one for each machine; never more than rows.
    """

    fingerprint: str
    n_rows: int
    write: Callable[[BinaryIO, slice], None]
    content_type: str
    suffix: str = ""
    manifest: Mapping[str, Any] = field(default_factory=dict)
    n_shards: int = 1


@dataclass(frozen=True)
class StagedDataset:
    """Data that was uploaded for jobs to read.

    Attributes
    ----------
    folder : str
        URI of the folder with the hash as its name.
    content_type : str
        Media type of the files.
    n_shards : int
        Number of files.
    """

    folder: str
    content_type: str
    n_shards: int = 1

    @property
    def data_uri(self) -> str:
        """URI of the files, for a channel."""
        return join_uri(self.folder, "data/")

    @property
    def manifest_uri(self) -> str:
        """URI of the manifest."""
        return join_uri(self.folder, "manifest.json")


def fingerprint(values: NDArray[Any], *parts: object) -> str:
    """Hash an array with its type and shape, and with everything else that determines the bytes.

    Parameters
    ----------
    values : ndarray
        The numbers.
    *parts : str, or iterable of str, or None
        Names, columns, format. ``("a", "b")`` hashes differently from ``("ab",)``, and None from "".
    """
    digest = hashlib.sha256()
    for text in (_LAYOUT, values.dtype.str, repr(values.shape)):
        _add(digest, text)
    if values.flags.c_contiguous:
        digest.update(values.reshape(-1).view(np.uint8).data)
    else:
        rows = max(1, _BLOCK // max(1, values[:1].nbytes))
        for start in range(0, len(values), rows):
            digest.update(np.ascontiguousarray(values[start : start + rows]).tobytes())
    for part in parts:
        if part is None or isinstance(part, str):
            _add(digest, part)
        else:
            items = [str(item) for item in cast("Iterable[object]", part)]
            _add(digest, f"{len(items)}:")
            for item in items:
                _add(digest, item)
    return digest.hexdigest()


def _add(digest: Any, text: str | None) -> None:
    data = b"" if text is None else text.encode("utf-8", "surrogatepass")
    # The length separates parts, so that no two lists of parts give the same bytes.
    digest.update(b"-" if text is None else f"{len(data)}:".encode())
    digest.update(data)


def stage(
    platform: Platform, dataset: Dataset, base_uri: str, *, kms_key: str | None = None
) -> StagedDataset:
    """Upload data, unless it is there already.

    Parameters
    ----------
    platform : Platform
        Where to upload it.
    dataset : Dataset
        The data.
    base_uri : str
        Bucket and prefix.
    kms_key : str, default=None
        Key to encrypt it with. Data under another key has another folder.
    """
    n_shards = max(1, min(dataset.n_shards, dataset.n_rows))
    digest = hashlib.sha256()
    for part in (dataset.fingerprint, dataset.content_type, dataset.suffix, str(n_shards), kms_key):
        _add(digest, part)
    folder = join_uri(base_uri, digest.hexdigest()[:40])
    staged = StagedDataset(folder, dataset.content_type, n_shards)
    # Fits of a sweep stage the same data at the same time: the first uploads, the others wait.
    with _locks_guard:
        # Not a Lock, which cannot be weakly referenced.
        lock = _locks.setdefault((platform.identity, folder), threading.Condition())
    with lock:
        if platform.exists(staged.manifest_uri):
            logger.info("The data is already staged in %s", folder)
        else:
            _upload(platform, dataset, staged, kms_key)
    return staged


def _upload(platform: Platform, dataset: Dataset, staged: StagedDataset, kms_key: str | None) -> None:
    size, n_rows, n_shards = 0, dataset.n_rows, staged.n_shards
    bounds = [n_rows * shard // n_shards for shard in range(n_shards + 1)]  # as even as possible
    for shard, (start, stop) in enumerate(pairwise(bounds)):
        name = f"part-{shard:05d}-of-{n_shards:05d}{dataset.suffix}"
        # On disk: boto3 can retry parts of the upload, and memory stays free for large data.
        with tempfile.TemporaryFile() as file:
            dataset.write(cast("BinaryIO", file), slice(start, stop))
            size += file.tell()
            file.seek(0)
            platform.upload(cast("BinaryIO", file), join_uri(staged.data_uri, name), kms_key=kms_key)
    logger.info("Staged %d rows (%d bytes) in %s", n_rows, size, staged.folder)
    manifest = {
        "made_by": "shapecluster",
        "version": version("shapecluster"),
        "content_type": dataset.content_type,
        "n_rows": n_rows,
        "n_shards": n_shards,
        "n_bytes": size,
        "data": dict(dataset.manifest),
    }
    _write_json(platform, staged.manifest_uri, manifest, kms_key)


def _write_json(platform: Platform, uri: str, value: Any, kms_key: str | None) -> None:
    """Store a small JSON document."""
    body = json.dumps(value, allow_nan=False).encode()
    platform.upload(io.BytesIO(body), uri, kms_key=kms_key)


def _read_json(platform: Platform, uri: str) -> Any:
    """Read a small JSON document; None where there is none, or it is not JSON."""
    try:
        with platform.open(uri) as file:
            return json.loads(file.read())
    except (NotFoundError, ValueError):
        return None


def write_records(
    platform: Platform,
    staged: Iterable[StagedDataset],
    job_name: str,
    record: Mapping[str, Any],
    kms_key: str | None = None,
) -> None:
    """Record that a job is about to read this data."""
    for one in staged:
        _write_json(platform, _record(one.folder, job_name), dict(record), kms_key)


def delete_records(platform: Platform, staged: Iterable[StagedDataset], job_name: str) -> None:
    """Undo `write_records` for a job that was not created."""
    for one in staged:
        platform.delete(_record(one.folder, job_name))


def read_record(platform: Platform, description: Mapping[str, Any]) -> dict[str, Any] | None:
    """Read the record of a job, as given to `write_records`; None where there is none."""
    for folder in staged_folders(description).values():
        record = _read_json(platform, _record(folder, description["TrainingJobName"]))
        if record is not None:
            return record if isinstance(record, dict) else None
    return None


@dataclass(frozen=True)
class StagedChannel:
    """The data of one channel, as it was staged.

    Attributes
    ----------
    folder : str
        URI of its folder.
    manifest : dict
        `Dataset.manifest` of the data.
    """

    folder: str
    manifest: dict[str, Any]
    _platform: Platform

    def files(self) -> Iterator[tuple[str, BinaryIO]]:
        """URI and content of each file in the order of the rows, one open at a time."""
        for uri in self._platform.list(f"{self.folder}/data/"):
            with self._platform.open(uri) as file:
                yield uri, file


def staged_channels(platform: Platform, description: Mapping[str, Any]) -> dict[str, StagedChannel]:
    """The channels of a job whose data is still where it was staged, by name."""
    found = {}
    for channel, folder in staged_folders(description).items():
        manifest = _read_json(platform, join_uri(folder, "manifest.json"))
        if isinstance(manifest, dict) and isinstance(manifest.get("data"), dict):
            found[channel] = StagedChannel(folder, manifest["data"], platform)
    return found


def mark_collected(platform: Platform, description: Mapping[str, Any], kms_key: str | None = None) -> None:
    """Record that the result of a job was read."""
    for folder in staged_folders(description).values():
        uri = collected_mark_uri(_record(folder, description["TrainingJobName"]))
        platform.upload(io.BytesIO(b""), uri, kms_key=kms_key)


def collected_mark_uri(record_uri: str) -> str:
    """URI of the mark that a job's result was read."""
    return record_uri.removesuffix(".json") + ".collected"


def staged_folders(description: Mapping[str, Any]) -> dict[str, str]:
    """Folders of the staged data that a job reads, by channel."""
    folders = {}
    for channel in description.get("InputDataConfig", []):
        uri = str(channel["DataSource"].get("S3DataSource", {}).get("S3Uri", ""))
        if uri.endswith(_DATA):  # else someone else's data
            folders[str(channel["ChannelName"])] = uri.removesuffix(_DATA)
    return folders


def _record(folder: str, job_name: str) -> str:
    return join_uri(folder, "jobs", f"{job_name}.json")
