"""Who refers to staged data: which job reads it, what it was for, and whether its result was collected.

A job's record lies beside the data that it reads, written before the job is created. From it `attach` learns
what the job was for, in another process and on another day; and data that an uncollected job refers to is
never cleaned up.
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
    """What is known of a job beside what the service says.

    Attributes
    ----------
    record : dict or None
        As it was given to `register`; None where there is none.
    manifests : dict of str to dict
        For each channel with data of ours: what it is, as given in `Dataset.manifest`.
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
    """Write down that a job is about to read this data."""
    for one in staged:
        write_json(platform, _record(one.folder, job_name), dict(record), kms_key)


def delete_records(platform: Platform, staged: Iterable[StagedDataset], job_name: str) -> None:
    """Take back `register`: the job was never created."""
    for one in staged:
        platform.delete(_record(one.folder, job_name))


def read_records(platform: Platform, description: Mapping[str, Any]) -> StagingRecord:
    """Read the record and the manifests of a job from its description."""
    record, manifests = None, {}
    for channel, folder in staged_folders(description).items():
        manifest = read_json(platform, join_uri(folder, "manifest.json"))
        if isinstance(manifest, dict) and isinstance(manifest.get("data"), dict):
            manifests[channel] = manifest["data"]
        if record is None:
            record = read_json(platform, _record(folder, description["TrainingJobName"]))
    return StagingRecord(record if isinstance(record, dict) else None, manifests)


def mark_collected(platform: Platform, description: Mapping[str, Any], kms_key: str | None = None) -> None:
    """Write down that the result of a job is in our hands."""
    for folder in staged_folders(description).values():
        uri = collected_mark_uri(_record(folder, description["TrainingJobName"]))
        platform.upload(io.BytesIO(b""), uri, kms_key=kms_key)


def collected_mark_uri(record_uri: str) -> str:
    """Where it is written that a job's result was collected."""
    return record_uri.removesuffix(".json") + ".collected"


def staged_folders(description: Mapping[str, Any]) -> dict[str, str]:
    """For each channel of a job: the folder of staged data that it reads."""
    folders = {}
    for channel in description.get("InputDataConfig", []):
        uri = str(channel["DataSource"].get("S3DataSource", {}).get("S3Uri", ""))
        if uri.endswith(_DATA):
            folders[str(channel["ChannelName"])] = uri.removesuffix(_DATA)
    return folders


def _record(folder: str, job_name: str) -> str:
    return join_uri(folder, "jobs", f"{job_name}.json")
