"""The clock of all waiting code, which tests replace so that they need not wait."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass


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


CLOCK = Clock()
