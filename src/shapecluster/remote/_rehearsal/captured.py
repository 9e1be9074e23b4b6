"""What a program says that runs as a function of this process: it belongs in its log, and nowhere else.

A process of its own logs from INFO on and sends its warnings to its log. Here these must not reach the caller
either, nor end the program where the caller has made warnings errors, nor appear among the caller's own logs.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from shapecluster._programs import container_programs

_changing = threading.Lock()
_listening: dict[int, logging.Handler] = {}  # by thread that runs a program
_as_it_was = ExitStack()


@contextmanager
def captured(handler: logging.Handler) -> Iterator[None]:
    """Hand what a program says in this thread to a handler.

    Python has one set of warning filters for all threads: as long as some thread is in here, the warnings of
    others are all shown, as by the filter "always".
    """
    thread = threading.get_ident()
    with _changing:
        if not _listening:
            _as_it_was.enter_context(_warnings_sorted_out())
            _as_it_was.enter_context(_log_sorted_out())
        _listening[thread] = handler
    try:
        yield
    finally:
        with _changing:
            del _listening[thread]
            if not _listening:
                _as_it_was.close()


@contextmanager
def _warnings_sorted_out() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = _shown_or_logged(warnings.showwarning)
        yield


def _shown_or_logged(show_others: Callable[..., Any]) -> Callable[..., Any]:
    name = container_programs().logger_name

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: Any = None,
        line: str | None = None,
    ) -> None:
        handler = _listening.get(threading.get_ident())
        if handler is None:
            show_others(message, category, filename, lineno, file, line)
            return
        text = warnings.formatwarning(message, category, filename, lineno, line)
        handler.handle(logging.LogRecord(name, logging.WARNING, filename, lineno, text, None, None))

    return show


@contextmanager
def _log_sorted_out() -> Iterator[None]:
    """Let the program log from INFO on; what its logger would not have passed on, nobody else gets."""
    logger = logging.getLogger(container_programs().logger_name)
    level, passing = logger.level, logger.getEffectiveLevel()

    def passes(record: logging.LogRecord) -> bool:
        if record.levelno >= passing:
            return True
        if handler := _listening.get(threading.get_ident()):
            handler.handle(record)
        return False

    logger.setLevel(min(passing, logging.INFO))
    logger.addFilter(passes)
    try:
        yield
    finally:
        logger.removeFilter(passes)
        logger.setLevel(level)
