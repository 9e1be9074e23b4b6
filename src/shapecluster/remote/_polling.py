"""Retries and polling, with intervals that spare the service."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from shapecluster.exceptions import ConnectionLostError, JobRunningError, ThrottledError
from shapecluster.remote._clock import CLOCK, Clock

logger = logging.getLogger("shapecluster.remote")

_JITTER = 0.2  # share of the interval, to both sides: jobs that start together must not poll together
_SLOWEST = 60.0  # seconds between two tries, however often they fail
_PATIENCE = 5  # lost connections in one call that are retried
_THROTTLED = 12  # throttled tries in one call that are retried

_Polled = TypeVar("_Polled")


@dataclass(frozen=True)
class PollSchedule:
    """How often to poll, and until when.

    Attributes
    ----------
    interval : float
        Seconds between two calls.
    clock : Clock
        For the waits.
    deadline : float or None
        Time on `clock.now`; None means no end.
    """

    interval: float
    clock: Clock = CLOCK
    deadline: float | None = None

    def wait(self, seconds: float) -> None:
        """Wait so long, plus or minus a fifth, but not past the deadline."""
        seconds *= 1.0 + _JITTER * (2.0 * self.clock.chance() - 1.0)
        if self.deadline is not None:
            seconds = min(seconds, max(0.0, self.deadline - self.clock.now()))
        self.clock.sleep(seconds)

    def is_over(self) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and self.clock.now() >= self.deadline


def with_retries(run: Callable[[], _Polled], schedule: PollSchedule) -> _Polled:
    """Run a call that is safe to repeat, again after throttling and lost connections.

    Raises
    ------
    ThrottledError, ConnectionLostError
        When it still fails after all retries, whose waits double each time.
    """
    throttled = lost = 0
    while True:
        try:
            return run()
        except ThrottledError:
            throttled += 1
            if throttled >= _THROTTLED or schedule.is_over():
                raise
        except ConnectionLostError:
            lost += 1
            if lost >= _PATIENCE or schedule.is_over():
                raise
        schedule.wait(min(_SLOWEST, schedule.interval * 2.0 ** (throttled + lost - 1)))


def poll(
    describe: Callable[[], dict[str, Any]],
    is_over: Callable[[dict[str, Any]], bool],
    schedule: PollSchedule,
    on_answer: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Call until an answer is final.

    Parameters
    ----------
    describe : callable
        Returns an answer.
    is_over : callable
        Whether an answer is final.
    schedule : PollSchedule
        How often to call, and until when.
    on_answer : callable, default=None
        Called with each answer.

    Returns
    -------
    dict
        The final answer.

    Raises
    ------
    JobRunningError
        When the deadline comes first.
    """
    while True:
        answer = with_retries(describe, schedule)
        if on_answer is not None:
            on_answer(answer)
        if is_over(answer):
            return answer
        if schedule.is_over():
            raise JobRunningError("The time to wait is over.")
        schedule.wait(schedule.interval)
