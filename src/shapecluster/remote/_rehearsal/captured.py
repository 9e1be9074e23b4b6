"""Logs and warnings of a program that runs as a function of this process.

They belong in the program's log, as if it had a process of its own. They must not reach the caller's warnings
or logs. They must not raise in the program when the caller turns warnings into errors.
"""

from __future__ import annotations

import json
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from shapecluster._programs import container_programs

_lock = threading.Lock()
_logs: dict[int, Path] = {}  # by the thread that runs a program
_patches = ExitStack()  # undone when the last program ends


@contextmanager
def logging_to_folder(folder: Path) -> Iterator[None]:
    """Write the logs and warnings of this thread to the log of a folder.

    Python has one set of warning filters for all threads. As long as a thread is in this block, the warnings
    of the other threads are shown as by the filter "always".
    """
    thread = threading.get_ident()
    with _lock:
        if not _logs:
            _patches.enter_context(_rerouted())
        _logs[thread] = folder / "log.jsonl"
    try:
        yield
    finally:
        with _lock:
            del _logs[thread]
            if not _logs:
                _patches.close()


class _ProgramHandler(logging.Handler):
    """Writes the records of threads that run programs as events of their logs."""

    def emit(self, record: logging.LogRecord) -> None:
        path = _logs.get(record.thread or 0)
        if path is None:
            return
        time = int(record.created * 1000)
        with path.open("a", encoding="utf-8") as log:
            for line in self.format(record).splitlines():
                log.write(json.dumps({"timestamp": time, "message": line}) + "\n")


@contextmanager
def _rerouted() -> Iterator[None]:
    """Pass warnings and records to a handler; the program's own records from INFO on.

    Other handlers get only what they would have got before.
    """
    handler = _ProgramHandler()
    package, program = logging.getLogger("shapecluster"), logging.getLogger(container_programs().logger_name)
    level, passing = program.level, program.getEffectiveLevel()

    def passes(record: logging.LogRecord) -> bool:
        if record.levelno < passing:
            handler.handle(record)
        return record.levelno >= passing

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        show_others = warnings.showwarning

        def show(
            message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: str | None = None
        ) -> None:
            if threading.get_ident() not in _logs:
                show_others(message, category, filename, lineno, file, line)
                return
            text = warnings.formatwarning(message, category, filename, lineno, line)
            record = logging.LogRecord(program.name, logging.WARNING, filename, lineno, text, None, None)
            handler.handle(record)

        warnings.showwarning = show
        package.addHandler(handler)
        program.addFilter(passes)
        program.setLevel(min(passing, logging.INFO))
        try:
            yield
        finally:
            package.removeHandler(handler)
            program.removeFilter(passes)
            program.setLevel(level)
