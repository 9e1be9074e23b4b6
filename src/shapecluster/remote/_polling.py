"""Asking again and again until something is over, without wearing the service out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from shapecluster.exceptions import ConnectionLostError, JobRunningError, ThrottledError
from shapecluster.remote._clock import CLOCK, Clock

logger = logging.getLogger("shapecluster.remote")

_JITTER = 0.2  # of the interval, to both sides: jobs that were started together do not ask together
_SLOWEST = 60.0  # seconds between two tries, however often they fail
_PATIENCE = 5  # tries in a row that may fail for want of a connection
_THROTTLED = 12  # tries in a row that may be turned away as too many

_Polled = TypeVar("_Polled")


@dataclass(frozen=True)
class PollSchedule:
    """How often to ask, and until when.

    Attributes
    ----------
    interval : float
        Seconds between two questions.
    clock : Clock
        Tells the time and waits.
    deadline : float or None
        On the clock's `now`; None for no end.
    """

    interval: float
    clock: Clock = CLOCK
    deadline: float | None = None

    def wait(self, seconds: float) -> None:
        """Wait, give or take a fifth, but not past the deadline."""
        seconds *= 1.0 + _JITTER * (2.0 * self.clock.chance() - 1.0)
        if self.deadline is not None:
            seconds = min(seconds, max(0.0, self.deadline - self.clock.now()))
        self.clock.sleep(seconds)

    def over(self) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and self.clock.now() >= self.deadline


def with_retries(run: Callable[[], _Polled], schedule: PollSchedule) -> _Polled:
    """Run a call that may safely be repeated, until it is not throttled and the connection holds.

    Raises
    ------
    ThrottledError, ConnectionLostError
        When it did not help to wait, longer each time.
    """
    throttled = lost = 0
    while True:
        try:
            return run()
        except ThrottledError:
            throttled += 1
            if throttled >= _THROTTLED or schedule.over():
                raise
        except ConnectionLostError:
            lost += 1
            if lost >= _PATIENCE or schedule.over():
                raise
        schedule.wait(min(_SLOWEST, schedule.interval * 2.0 ** (throttled + lost - 1)))


def poll(
    describe: Callable[[], dict[str, Any]],
    is_over: Callable[[dict[str, Any]], bool],
    schedule: PollSchedule,
    saw: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Ask until the answer is the last one.

    Parameters
    ----------
    describe : callable
        Asks.
    is_over : callable
        Whether an answer is the last.
    schedule : PollSchedule
        How often, and until when.
    saw : callable, default=None
        Told each answer.

    Returns
    -------
    dict
        The last answer.

    Raises
    ------
    JobRunningError
        When the deadline came first.
    """
    while True:
        answer = with_retries(describe, schedule)
        if saw is not None:
            saw(answer)
        if is_over(answer):
            return answer
        if schedule.over():
            raise JobRunningError("The time to wait is over.")
        schedule.wait(schedule.interval)
