"""The log of a job, as far as it can be read: news for a progress callback, and the tail for an error."""

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
_PAGES = 50  # of one stream at a time, so that a chatty program cannot hold up the waiting


class LogReader:
    """Reads what a job has printed since it was last asked.

    A log is a help and no condition: what cannot be read is said once in our own log, and missing.

    Parameters
    ----------
    platform : Platform
        Where the job runs.
    job_name : str
        The job.
    group : str, default=TRAINING
        Where its log lies.
    """

    def __init__(self, platform: Platform, job_name: str, group: str = TRAINING) -> None:
        self._platform = platform
        self._name = job_name
        self._group = group
        self._tokens: dict[str, str | None] = {}
        self._silent = False
        self._tail: deque[str] = deque(maxlen=TAIL)

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines that were read."""
        return tuple(self._tail)

    def read(self) -> list[str]:
        """New lines, free of credentials."""
        if self._silent:
            return []
        try:
            self._find_streams()
            lines = [line for stream in sorted(self._tokens) for line in self._news(stream)]
        except NotFoundError:
            return []  # nothing has been printed yet
        except RemoteError as error:
            self._silent = True
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

    def _news(self, stream: str) -> list[str]:
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
            if answer["nextForwardToken"] == token:
                break
        return lines
