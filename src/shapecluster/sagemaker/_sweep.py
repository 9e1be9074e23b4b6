"""Training jobs in parallel for a sweep over k; one failure or interruption ends them all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

from shapecluster._warnings import with_user_line

_Model = TypeVar("_Model")


class SweepCanceledError(Exception):
    """The sweep that a fit belongs to was canceled, so its result is not needed."""


@dataclass
class _Sweep:
    """State that the fits of a sweep share.

    Attributes
    ----------
    canceled : Event
        Set when no further job may begin. Running jobs are then handled as if their fits were interrupted.
    abandoned : Event
        Set at a second interrupt: the sweep does not wait for running jobs either.
    failed : tuple of object and BaseException, or None
        The model whose fit failed first, and its error.
    """

    canceled: threading.Event = field(default_factory=threading.Event)
    abandoned: threading.Event = field(default_factory=threading.Event)
    failed: tuple[Any, BaseException] | None = None


# Set in the threads of a sweep only, so that a plain fit finds None.
_current: ContextVar[_Sweep | None] = ContextVar("sweep", default=None)


def fit_in_parallel(
    models: Sequence[_Model], fit: Callable[[_Model], _Model], threads: int
) -> Iterator[_Model]:
    """Fit models on threads, and yield them in their order.

    When a fit fails, or the sweep is interrupted, no further job begins. Each thread then stops or detaches
    its own running job, as an interrupted fit does, all at the same time.

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
        except SweepCanceledError:
            raise
        except BaseException as error:
            if sweep.failed is None:
                sweep.failed = (model, error)
            sweep.canceled.set()
            raise

    pool = ThreadPoolExecutor(max(1, min(threads, len(models))))
    attributed = with_user_line(work)
    futures = [pool.submit(attributed, model) for model in models]
    try:
        for future in futures:
            yield future.result()
    except BaseException as error:
        _cancel(sweep, futures)
        reason = error
        if isinstance(error, SweepCanceledError) and sweep.failed is not None:
            # Name the fit that failed, and not one that was given up for it.
            model, reason = sweep.failed
            reason.add_note(
                f"It was {type(model).__name__} with n_clusters={model.n_clusters} that failed first; the "
                "other fits were given up."
            )
        for future in futures:
            if not future.cancelled() and isinstance(ended := future.exception(), SweepCanceledError):
                for note in getattr(ended, "__notes__", ()):  # whether its job was stopped or runs on
                    reason.add_note(note)
        raise reason from reason.__cause__
    finally:
        # The generator may be closed early; waiting here would hang on jobs that run on.
        pool.shutdown(wait=False, cancel_futures=True)


def _cancel(sweep: _Sweep, futures: Sequence[Future[Any]]) -> None:
    """Wait until every fit has ended; a second interruption leaves the jobs alone."""
    sweep.canceled.set()
    for future in futures:
        future.cancel()
    try:
        wait(futures)
    except BaseException:
        sweep.abandoned.set()
        wait(futures)


def interruptible_sleep() -> Callable[[float], None] | None:
    """A sleep for one fit of a sweep; None for other fits.

    It ends early, once, with a `SweepCanceledError` when the sweep is canceled.
    """
    sweep = _current.get()
    if sweep is None:
        return None
    events = [sweep.canceled, sweep.abandoned]

    def sleep(seconds: float) -> None:
        if events[0].wait(seconds):
            if len(events) > 1:
                del events[0]  # stopping the job needs to wait as well
            raise SweepCanceledError("The sweep that this fit belongs to is over.")

    return sleep
