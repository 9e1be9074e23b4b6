"""Logs of a rehearsal, as CloudWatch returns them."""

from __future__ import annotations

from typing import Any

from shapecluster.remote._logs import TRAINING, TRANSFORM
from shapecluster.remote._rehearsal.folders import read_log
from shapecluster.remote._rehearsal.records import Records, Refusal

PAGE = 10_000


class Logs:
    """Answers DescribeLogStreams and GetLogEvents.

    Parameters
    ----------
    training, transform : Records
        Jobs with logs.
    """

    def __init__(self, training: Records, transform: Records) -> None:
        self._sources = {TRAINING: training, TRANSFORM: transform}

    def describe_streams(self, logGroupName: str, logStreamNamePrefix: str = "", **_: Any) -> dict[str, Any]:
        """The log streams of the jobs whose name begins so; a job without output has none."""
        records = self._source(logGroupName)
        wanted = logStreamNamePrefix.partition("/")[0]
        names = [name for name in records.names() if name == wanted or not wanted]
        streams = [f"{name}/algo-1-0" for name in names if read_log(records.folder / name)]
        return {"logStreams": [{"logStreamName": s} for s in streams if s.startswith(logStreamNamePrefix)]}

    def get_events(
        self, logGroupName: str, logStreamName: str, nextToken: str | None = None, **_: Any
    ) -> dict[str, Any]:
        """Events from the start, or from the end of the last call."""
        events = read_log(self._source(logGroupName).folder_of(logStreamName.partition("/")[0]))
        if not events:
            raise Refusal("ResourceNotFoundException", "The specified log stream does not exist.")
        start = int(nextToken.rpartition("/")[2]) if nextToken else 0
        page = events[start : start + PAGE]
        return {
            "events": page,
            "nextForwardToken": f"f/{start + len(page)}",
            "nextBackwardToken": f"b/{start}",
        }

    def _source(self, group: str) -> Records:
        if group not in self._sources:
            raise Refusal("ResourceNotFoundException", "The specified log group does not exist.")
        return self._sources[group]
