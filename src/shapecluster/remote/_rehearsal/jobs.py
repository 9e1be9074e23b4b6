"""What training and transform jobs of a rehearsal have in common: a state, an end, and a log."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shapecluster.remote._rehearsal.programs import read_log, request_stop
from shapecluster.remote._rehearsal.records import Records, Refusal

PAGE = 10_000  # events of an answer


class Jobs(Records, ABC):
    """All jobs of one kind."""

    last_verb = "stop"

    @abstractmethod
    def state(self, folder: Path) -> dict[str, Any]:
        """State of a job, as members of its description."""

    def describe(self, name: str) -> dict[str, Any]:
        """The request that created a job, and its state."""
        return super().describe(name) | self.state(self.folder_of(name))

    def end(self, name: str) -> None:
        """Request the end of a job."""
        status = self.describe(name)[f"{self.title}Status"]
        if status not in {"InProgress", "Stopping"}:
            kind = self.kind.replace("-", " ")
            text = f"The request was rejected because the {kind} is in status {status}."
            raise Refusal("ValidationException", text)
        request_stop(self.folder_of(name))


class Logs:
    """Answers DescribeLogStreams and GetLogEvents, as CloudWatch does.

    Parameters
    ----------
    groups : mapping of str to Jobs
        The jobs of each log group.
    """

    def __init__(self, groups: Mapping[str, Jobs]) -> None:
        self._groups = groups

    def describe_streams(self, logGroupName: str, logStreamNamePrefix: str = "", **_: Any) -> dict[str, Any]:
        """The log streams of the jobs whose name begins so; a job without output has none."""
        jobs = self._jobs(logGroupName)
        wanted = logStreamNamePrefix.partition("/")[0]
        names = [name for name in jobs.names() if name == wanted or not wanted]
        streams = [f"{name}/algo-1-0" for name in names if read_log(jobs.folder / name)]
        return {"logStreams": [{"logStreamName": s} for s in streams if s.startswith(logStreamNamePrefix)]}

    def get_events(
        self, logGroupName: str, logStreamName: str, nextToken: str | None = None, **_: Any
    ) -> dict[str, Any]:
        """Events from the start, or from the end of the last call."""
        events = read_log(self._jobs(logGroupName).folder_of(logStreamName.partition("/")[0]))
        if not events:
            raise Refusal("ResourceNotFoundException", "The specified log stream does not exist.")
        start = int(nextToken.rpartition("/")[2]) if nextToken else 0
        page = events[start : start + PAGE]
        tokens = {"nextForwardToken": f"f/{start + len(page)}", "nextBackwardToken": f"b/{start}"}
        return {"events": page, **tokens}

    def _jobs(self, group: str) -> Jobs:
        if group not in self._groups:
            raise Refusal("ResourceNotFoundException", "The specified log group does not exist.")
        return self._groups[group]
