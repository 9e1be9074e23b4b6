"""Logs of a rehearsal, as CloudWatch returns them."""

from __future__ import annotations

from typing import Any

from shapecluster.remote._errors import from_code
from shapecluster.remote._rehearsal.folders import read_log
from shapecluster.remote._rehearsal.records import Records

PAGE = 10_000


class Logs:
    """Answers DescribeLogStreams and GetLogEvents.

    Parameters
    ----------
    sources : dict of str to Records
        Jobs with logs, by log group.
    """

    def __init__(self, sources: dict[str, Records]) -> None:
        self.sources = sources

    def describe_streams(self, logGroupName: str, logStreamNamePrefix: str = "", **_: Any) -> dict[str, Any]:
        """The log streams of the jobs whose name begins so; a job without output has none."""
        records = self._source(logGroupName, "logs.describe_log_streams")
        wanted = logStreamNamePrefix.partition("/")[0]
        names = [name for name in records.names() if name == wanted or not wanted]
        streams = [f"{name}/algo-1-0" for name in names if read_log(records.folder / name)]
        return {"logStreams": [{"logStreamName": s} for s in streams if s.startswith(logStreamNamePrefix)]}

    def get_events(
        self, logGroupName: str, logStreamName: str, nextToken: str | None = None, **_: Any
    ) -> dict[str, Any]:
        """Events from the start, or from the end of the last call."""
        operation = "logs.get_log_events"
        records = self._source(logGroupName, operation)
        name = logStreamName.partition("/")[0]
        events = read_log(records.folder_of(name, operation))
        if not events:
            raise from_code(
                "ResourceNotFoundException", "The specified log stream does not exist.", operation
            )
        start = int(nextToken.rpartition("/")[2]) if nextToken else 0
        page = events[start : start + PAGE]
        return {
            "events": page,
            "nextForwardToken": f"f/{start + len(page)}",
            "nextBackwardToken": f"b/{start}",
        }

    def _source(self, group: str, operation: str) -> Records:
        if group in self.sources:
            return self.sources[group]
        raise from_code("ResourceNotFoundException", "The specified log group does not exist.", operation)
