"""Time as the waiting code sees it, so that tests need not wait."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Clock:
    """What time is it, wait, and by chance: three functions that tests replace.

    Attributes
    ----------
    now : callable
        Seconds on a clock that never goes back.
    wall : callable
        Seconds since 1970.
    sleep : callable
        Waits for so many seconds.
    chance : callable
        A number in [0, 1), for jitter.
    """

    now: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random


CLOCK = Clock()
