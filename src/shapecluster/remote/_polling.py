"""`JobClient`: calls of SageMaker that outlast throttling and lost connections, and polling.

No other place repeats calls of SageMaker: `_aws` switches boto3's own retries off for them. It leaves them on
for files and logs, whose calls are not repeated here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from shapecluster.exceptions import JobRunningError
from shapecluster.remote._job import Job
from shapecluster.remote._platform import Platform, open_platform
from shapecluster.remote._retries import CLOCK, Clock, with_retries

_PATIENCE = 600.0  # seconds without an answer while a job runs, which must not be lost with the network
_INTERVALS = {"aws": 10.0, "rehearsal": 0.1}  # seconds between two status requests

_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class JobClient:
    """A platform, the settings of the jobs that are run there, and a clock for the waits.

    Attributes
    ----------
    platform : Platform
        Where the jobs run.
    job : Job
        Their settings.
    clock : Clock
        For the waits.
    """

    platform: Platform
    job: Job = field(default_factory=Job)
    clock: Clock = CLOCK

    @property
    def interval(self) -> float:
        """Seconds between two status requests."""
        given = self.job.poll_interval
        return _INTERVALS[self.platform.kind] if given is None else float(given)

    def call(self, operation: str, /, **request: Any) -> dict[str, Any]:
        """Call SageMaker as `Platform.call` does, again after throttling and lost connections."""
        return self.repeat(lambda: self.platform.call(operation, **request))

    def repeat(self, run: Callable[[], _Answer]) -> _Answer:
        """Run a call that is safe to repeat, see `with_retries`."""
        return with_retries(run, self.clock, interval=self.interval)

    def poll(
        self,
        describe: Callable[[], dict[str, Any]],
        is_over: Callable[[dict[str, Any]], bool],
        *,
        deadline: float | None = None,
    ) -> dict[str, Any]:
        """Call until an answer is final, and return it.

        Parameters
        ----------
        describe : callable
            Returns an answer. It is not to be repeated by itself.
        is_over : callable
            Whether an answer is final. Called once with each.
        deadline : float, default=None
            Time on `clock.now`; None means no end.

        Raises
        ------
        JobRunningError
            When the deadline comes first.
        """
        while True:
            answer = with_retries(
                describe,
                self.clock,
                interval=self.interval,
                patience=_PATIENCE,
                deadline=deadline,
            )
            if is_over(answer):
                return answer
            if self.clock.is_past(deadline):
                raise JobRunningError("The time to wait is over.")
            self.clock.wait(self.interval, deadline)


def open_client(session: object, job: Job | None = None) -> JobClient:
    """The client of a session, see `open_platform`; a client is returned as it is."""
    if isinstance(session, JobClient):
        return session
    return JobClient(open_platform(session), Job() if job is None else job)
