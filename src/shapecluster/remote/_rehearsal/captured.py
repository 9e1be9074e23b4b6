"""Logs and warnings of a program that runs as a function of this process.

They belong in the program's log, as if it had a process of its own. They must not reach the caller's warnings
or logs. They must not raise in the program when the caller turns warnings into errors.
"""

from __future__ import annotations

import json
import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from shapecluster._programs import container_programs

_lock = threading.Lock()
_handlers: dict[int, logging.Handler] = {}  # by the thread that runs a program
_patches = ExitStack()  # undone when the last program ends


@contextmanager
def logging_to_folder(folder: Path) -> Iterator[None]:
    """Write the logs and warnings of this thread to the log of a folder."""
    handler = _Log(folder / "log.jsonl")
    logger = logging.getLogger("shapecluster")
    logger.addHandler(handler)
    try:
        with _captured(handler):
            yield
    finally:
        logger.removeHandler(handler)


class _Log(logging.Handler):
    """Writes the log records of one thread as events."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread != self._thread:
            return
        time = int(record.created * 1000)
        with self._path.open("a", encoding="utf-8") as log:
            for line in self.format(record).splitlines():
                log.write(json.dumps({"timestamp": time, "message": line}) + "\n")


@contextmanager
def _captured(handler: logging.Handler) -> Iterator[None]:
    """Pass the logs and warnings of this thread to a handler.

    Python has one set of warning filters for all threads. As long as a thread is in this block, the warnings
    of the other threads are shown as by the filter "always".
    """
    thread = threading.get_ident()
    with _lock:
        if not _handlers:
            _patches.enter_context(_route_warnings())
            _patches.enter_context(_route_log())
        _handlers[thread] = handler
    try:
        yield
    finally:
        with _lock:
            del _handlers[thread]
            if not _handlers:
                _patches.close()


@contextmanager
def _route_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = _show_or_log(warnings.showwarning)
        yield


def _show_or_log(show_others: Callable[..., Any]) -> Callable[..., Any]:
    name = container_programs().logger_name

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: Any = None,
        line: str | None = None,
    ) -> None:
        handler = _handlers.get(threading.get_ident())
        if handler is None:
            show_others(message, category, filename, lineno, file, line)
            return
        text = warnings.formatwarning(message, category, filename, lineno, line)
        handler.handle(logging.LogRecord(name, logging.WARNING, filename, lineno, text, None, None))

    return show


@contextmanager
def _route_log() -> Iterator[None]:
    """Let the program log from INFO on; other handlers get only what they would have got before."""
    logger = logging.getLogger(container_programs().logger_name)
    level, passing = logger.level, logger.getEffectiveLevel()

    def passes(record: logging.LogRecord) -> bool:
        if record.levelno >= passing:
            return True
        if handler := _handlers.get(threading.get_ident()):
            handler.handle(record)
        return False

    logger.setLevel(min(passing, logging.INFO))
    logger.addFilter(passes)
    try:
        yield
    finally:
        logger.removeFilter(passes)
        logger.setLevel(level)
