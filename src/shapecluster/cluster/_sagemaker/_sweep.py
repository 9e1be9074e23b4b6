"""Training jobs side by side, as a sweep wants them; and none that begins once it is given up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from typing import TypeVar

from shapecluster.remote._clock import CLOCK, Clock

_Model = TypeVar("_Model")

# Set in the threads of a sweep only. A fit learns by it that nobody wants its result any more.
_given_up: ContextVar[threading.Event | None] = ContextVar("given_up", default=None)


class GivenUp(Exception):
    """The sweep that this fit belongs to has ended without it."""


def side_by_side(
    models: Sequence[_Model],
    fit: Callable[[_Model], _Model],
    threads: int,
    end: Callable[[_Model, BaseException], None],
) -> Iterator[_Model]:
    """Fit models on threads, and hand them over in their order.

    Parameters
    ----------
    models : sequence
        To be fitted.
    fit : callable
        Fits one of them.
    threads : int
        How many at a time.
    end : callable
        Called with each model, and the reason, when the sweep ends before its time.
    """
    given_up = threading.Event()

    def work(model: _Model) -> _Model:
        _given_up.set(given_up)  # each thread has a context of its own
        return fit(model)

    pool = ThreadPoolExecutor(max(1, min(threads, len(models))))
    try:
        yield from pool.map(work, models)
    except BaseException as error:
        given_up.set()  # first: a fit that waits for its turn must not create a job now
        pool.shutdown(wait=False, cancel_futures=True)
        for model in models:
            end(model, error)
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def check_wanted() -> None:
    """Raise `GivenUp` in a fit whose sweep is over."""
    event = _given_up.get()
    if event is not None and event.is_set():
        raise GivenUp("The sweep that this fit belongs to is over.")


def clock() -> Clock:
    """The clock to wait by: in a sweep one that wakes up when it is given up."""
    event = _given_up.get()
    return CLOCK if event is None else replace(CLOCK, sleep=partial(_sleep, event))


def _sleep(event: threading.Event, seconds: float) -> None:
    event.wait(seconds)
    check_wanted()
