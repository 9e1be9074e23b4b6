"""CloudWatch Logs of jobs and endpoints: GetLogEvents and DescribeLogStreams."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.emulator.errors import ServiceError
from tests.emulator.wire import Caller

if TYPE_CHECKING:
    from tests.emulator.server import Emulator

TRAINING = "/aws/sagemaker/TrainingJobs"
TRANSFORM = "/aws/sagemaker/TransformJobs"
ENDPOINTS = "/aws/sagemaker/Endpoints/"


def _streams(emulator: Emulator, group: str) -> dict[str, tuple[Path, float]]:
    """The files behind a group's streams, and when they began."""
    found: dict[str, tuple[Path, float]] = {}
    if group == TRAINING:
        for job in emulator.training_jobs:
            found |= {stream: (path, job.created) for stream, path in job.logs.items()}
    elif group == TRANSFORM:
        for transform in emulator.transform_jobs:
            found |= {stream: (path, transform.created) for stream, path in transform.logs.items()}
    elif group.startswith(ENDPOINTS):
        for endpoint in emulator.endpoint_history:
            if endpoint.name == group.removeprefix(ENDPOINTS):
                found[endpoint.stream] = (endpoint.log, endpoint.created)
    if not found:
        raise ServiceError("ResourceNotFoundException", "The specified log group does not exist.")
    return {stream: where for stream, where in found.items() if where[0].exists()}


def describe_log_streams(emulator: Emulator, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
    prefix = request.get("logStreamNamePrefix", "")
    return {
        "logStreams": [
            {"logStreamName": stream, "creationTime": round(created * 1000)}
            for stream, (_, created) in sorted(_streams(emulator, request["logGroupName"]).items())
            if stream.startswith(prefix)
        ][: request.get("limit", 50)]
    }


def get_log_events(emulator: Emulator, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
    """Lines as events, a millisecond apart; tokens are numbers of lines, "f/3" and "b/3"."""
    streams = _streams(emulator, request["logGroupName"])
    if request["logStreamName"] not in streams:
        raise ServiceError("ResourceNotFoundException", "The specified log stream does not exist.")
    path, created = streams[request["logStreamName"]]
    lines = path.read_text(errors="replace").splitlines()
    limit = request.get("limit", 10_000)
    direction, _, number = request.get("nextToken", "").partition("/")
    if direction == "f":
        start = int(number)
        stop = start + limit
    elif direction == "b" or not request.get("startFromHead"):
        stop = int(number) if direction else len(lines)
        start = max(0, stop - limit)
    else:
        start, stop = 0, limit
    moment = round(created * 1000)
    events = [
        {"timestamp": moment + i, "ingestionTime": moment + i, "message": lines[i]}
        for i in range(start, min(stop, len(lines)))
    ]
    return {
        "events": events,
        "nextForwardToken": f"f/{start + len(events)}",
        "nextBackwardToken": f"b/{start}",
    }
