"""The log of a job: new lines for a progress callback, and the last lines for an error message."""

from __future__ import annotations

import logging
from collections import deque

from shapecluster.exceptions import NotFoundError, RemoteError
from shapecluster.remote._platform import Platform
from shapecluster.remote._scrub import scrub

logger = logging.getLogger("shapecluster.remote")

TAIL = 20  # lines

TRAINING = "/aws/sagemaker/TrainingJobs"
TRANSFORM = "/aws/sagemaker/TransformJobs"
_PAGES = 50  # of one stream at a time, so that a very long log cannot delay the next status request


class LogReader:
    """Reads the lines that a job printed since the last call.

    A log that cannot be read is no error: one warning is logged, and the lines are missing.

    Parameters
    ----------
    platform : Platform
        Where the job runs.
    job_name : str
        Name of the job.
    group : str, default=TRAINING
        The log group.
    """

    def __init__(self, platform: Platform, job_name: str, group: str = TRAINING) -> None:
        self._platform = platform
        self._name = job_name
        self._group = group
        self._tokens: dict[str, str | None] = {}
        self._unreadable = False
        self._tail: deque[str] = deque(maxlen=TAIL)

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines that were read."""
        return tuple(self._tail)

    def read(self) -> list[str]:
        """New lines, with credentials removed."""
        if self._unreadable:
            return []
        try:
            self._find_streams()
            lines = [line for stream in sorted(self._tokens) for line in self._new_lines(stream)]
        except NotFoundError:
            return []  # nothing has been printed yet
        except RemoteError as error:
            self._unreadable = True
            logger.warning("The log of %s cannot be read: %s", self._name, error)
            return []
        self._tail.extend(lines)
        return lines

    def _find_streams(self) -> None:
        answer = self._platform.call(
            "logs.describe_log_streams", logGroupName=self._group, logStreamNamePrefix=f"{self._name}/"
        )
        for stream in answer["logStreams"]:  # each machine, and each restart, has one of its own
            self._tokens.setdefault(stream["logStreamName"], None)

    def _new_lines(self, stream: str) -> list[str]:
        lines: list[str] = []
        for _ in range(_PAGES):
            token = self._tokens[stream]
            place = {"nextToken": token} if token else {}
            answer = self._platform.call(
                "logs.get_log_events",
                logGroupName=self._group,
                logStreamName=stream,
                startFromHead=True,
                **place,
            )
            lines += [scrub(str(event["message"])) for event in answer["events"]]
            self._tokens[stream] = answer["nextForwardToken"]
            if answer["nextForwardToken"] == token:  # CloudWatch repeats the token at the end of a stream
                break
        return lines
