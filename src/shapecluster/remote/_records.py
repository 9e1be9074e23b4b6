"""Records of jobs next to the staged data that they read.

A record is written before its job is created. `attach` reads it in another process, on another day. Data
whose record has no mark "collected" is never cleaned up.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shapecluster.remote._platform import Platform
from shapecluster.remote._staging import StagedDataset, read_json, write_json
from shapecluster.remote._uris import join_uri

_DATA = "/data/"


@dataclass(frozen=True)
class StagingRecord:
    """The records of a job and its data.

    Attributes
    ----------
    record : dict or None
        As given to `write_records`; None where there is none.
    manifests : dict of str to dict
        `Dataset.manifest` of each channel with staged data.
    """

    record: dict[str, Any] | None
    manifests: dict[str, dict[str, Any]]


def write_records(
    platform: Platform,
    staged: Iterable[StagedDataset],
    job_name: str,
    record: Mapping[str, Any],
    kms_key: str | None = None,
) -> None:
    """Record that a job is about to read this data."""
    for one in staged:
        write_json(platform, _record(one.folder, job_name), dict(record), kms_key)


def delete_records(platform: Platform, staged: Iterable[StagedDataset], job_name: str) -> None:
    """Undo `write_records` for a job that was not created."""
    for one in staged:
        platform.delete(_record(one.folder, job_name))


def read_records(platform: Platform, description: Mapping[str, Any]) -> StagingRecord:
    """Read the record and the manifests of a job, whose description names their folders."""
    record, manifests = None, {}
    for channel, folder in staged_folders(description).items():
        manifest = read_json(platform, join_uri(folder, "manifest.json"))
        if isinstance(manifest, dict) and isinstance(manifest.get("data"), dict):
            manifests[channel] = manifest["data"]
        if record is None:
            record = read_json(platform, _record(folder, description["TrainingJobName"]))
    return StagingRecord(record if isinstance(record, dict) else None, manifests)


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
