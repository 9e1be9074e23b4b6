"""Training jobs side by side, as a sweep wants them; and when it ends before its time, an end to them all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from shapecluster._warnings import with_user_line
from shapecluster.remote._clock import CLOCK, Clock

_Model = TypeVar("_Model")


class GivenUp(Exception):
    """The sweep that this fit belongs to is over, so nobody wants its result any more."""


@dataclass
class _Sweep:
    """What the fits of a sweep have to know of each other.

    Attributes
    ----------
    over : Event
        No further job is to begin, and those that run are to be dealt with as when a fit is interrupted.
    left : Event
        Nobody waits even for that.
    failed : tuple of object and BaseException, or None
        The fit that failed first, and why.
    """

    over: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)
    failed: tuple[Any, BaseException] | None = None

    def check(self) -> None:
        if self.over.is_set():
            raise GivenUp("The sweep that this fit belongs to is over.")


_current: ContextVar[_Sweep | None] = ContextVar("sweep", default=None)  # set in the threads of a sweep only


def side_by_side(models: Sequence[_Model], fit: Callable[[_Model], _Model], threads: int) -> Iterator[_Model]:
    """Fit models on threads, and hand them over in their order.

    When one of them fails, or the sweep is interrupted, no further job begins; and what becomes of those
    that run, their own threads see to, all at the same time, as for a fit that is interrupted.

    Parameters
    ----------
    models : sequence
        To be fitted.
    fit : callable
        Fits one of them.
    threads : int
        How many at a time.
    """
    sweep = _Sweep()

    def work(model: _Model) -> _Model:
        _current.set(sweep)  # each thread has a context of its own
        try:
            return fit(model)
        except GivenUp:
            raise
        except BaseException as error:
            if sweep.failed is None:
                sweep.failed = (model, error)
            sweep.over.set()
            raise

    pool = ThreadPoolExecutor(max(1, min(threads, len(models))))
    attributed = with_user_line(work)
    futures = [pool.submit(attributed, model) for model in models]
    try:
        for future in futures:
            yield future.result()
    except BaseException as error:
        _end(sweep, futures)
        reason = _reason(sweep, error)
        for note in _notes(futures):
            reason.add_note(note)
        raise reason from reason.__cause__
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _end(sweep: _Sweep, futures: Sequence[Future[Any]]) -> None:
    """Wait until no fit is under way any longer; interrupted again, leave the jobs alone."""
    sweep.over.set()
    for future in futures:
        future.cancel()
    try:
        wait(futures)
    except BaseException:
        sweep.left.set()
        wait(futures)


def _reason(sweep: _Sweep, error: BaseException) -> BaseException:
    """Why a sweep ended: what came first, and not what it led to in other fits."""
    if not isinstance(error, GivenUp) or sweep.failed is None:
        return error
    model, reason = sweep.failed
    reason.add_note(
        f"It was {type(model).__name__} with n_clusters={model.n_clusters} that failed first; the other fits "
        "were given up."
    )
    return reason


def _notes(futures: Sequence[Future[Any]]) -> Iterator[str]:
    """What became of the jobs of fits that were given up."""
    for future in futures:
        if not future.cancelled() and isinstance(error := future.exception(), GivenUp):
            yield from getattr(error, "__notes__", ())


def check_wanted() -> None:
    """Raise `GivenUp` in a fit whose sweep is over."""
    sweep = _current.get()
    if sweep is not None:
        sweep.check()


def clock() -> Clock:
    """The clock for one fit to wait by: in a sweep it wakes up, once, when the sweep is over."""
    sweep = _current.get()
    if sweep is None:
        return CLOCK
    events = [sweep.over, sweep.left]

    def sleep(seconds: float) -> None:
        if events[0].wait(seconds):
            if len(events) > 1:
                del events[0]  # what is to be done about it needs time as well
            sweep.check()

    return replace(CLOCK, sleep=sleep)
