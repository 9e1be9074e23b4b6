"""Repeated calls: again after throttling and lost connections, for a time that the caller chooses."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from shapecluster.exceptions import ConnectionLostError, RemoteError, ThrottledError

_JITTER = 0.2  # share of the interval, to both sides: jobs that start together must not poll together
_FIRST = 1.0  # seconds before a call without an answer is repeated for the first time
_SLOWEST = 60.0  # seconds between two tries, however often they fail
_THROTTLED = 12  # tries of one call that are throttled, until it is given up
_PATIENCE = 6.0  # seconds without an answer, until a call is given up
_TIMEOUTS = {"ConnectTimeoutError", "ReadTimeoutError"}  # which have waited for an answer already

_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Clock:
    """The time, a sleep and a random number, as functions that tests replace.

    Attributes
    ----------
    now : callable
        Seconds on a monotonic clock, for deadlines.
    wall : callable
        Seconds since 1970, for names and ages.
    sleep : callable
        Waits for a number of seconds.
    chance : callable
        A random number in [0, 1), for jitter.
    """

    now: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random

    def wait(self, seconds: float, until: float | None = None) -> None:
        """Wait so long, plus or minus a fifth, but not past the time `until`."""
        seconds *= 1.0 + _JITTER * (2.0 * self.chance() - 1.0)
        self.sleep(seconds if until is None else min(seconds, max(0.0, until - self.now())))

    def is_past(self, deadline: float | None) -> bool:
        """Whether a deadline has passed; None never does."""
        return deadline is not None and self.now() >= deadline


CLOCK = Clock()


def with_retries(
    run: Callable[[], _Answer],
    clock: Clock = CLOCK,
    *,
    interval: float = _FIRST,
    patience: float | None = None,
    deadline: float | None = None,
) -> _Answer:
    """Run a call that is safe to repeat, again after throttling and lost connections; waits double each time.

    Parameters
    ----------
    run : callable
        The call.
    clock : Clock
        For the waits.
    interval : float
        Seconds to wait after the first throttling.
    patience : float, default=None
        Seconds without an answer after which the call is given up; None means a few.
    deadline : float, default=None
        Time on `clock.now` of the last try.

    Raises
    ------
    RemoteError
        When the call fails for another reason, or still fails after all tries; `attempts` counts them.
    """
    patience = _PATIENCE if patience is None else patience
    tries, end = 0, None
    while True:
        tries += 1
        started = clock.now()
        try:
            return run()
        except RemoteError as error:
            error.attempts = max(tries, error.attempts)
            if isinstance(error, ThrottledError) and tries < _THROTTLED:
                seconds, end = interval, None
            elif isinstance(error, ConnectionLostError):
                # Measured from the start of the first lost try, which may itself have lasted for long.
                seconds, end = min(_FIRST, interval), started + patience if end is None else end
            else:
                raise
            # On a slow machine the first try may outlast the patience. If it was cut off, it is tried again.
            given_up = clock.is_past(end) and (tries > 1 or error.code in _TIMEOUTS)
            if given_up or clock.is_past(deadline):
                raise
        limits = [limit for limit in (end, deadline) if limit is not None]
        clock.wait(min(_SLOWEST, seconds * 2.0 ** min(tries - 1, 30)), min(limits, default=None))
