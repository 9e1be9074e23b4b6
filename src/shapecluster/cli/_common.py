"""Errors, messages and tables of all commands.

Every expected error becomes a `CommandError`: one line, which names options of the command, and an exit code.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shapecluster._files import atomic_write
from shapecluster._optional import import_optional
from shapecluster.cli._location import Location
from shapecluster.cli._options import name_options, name_source
from shapecluster.exceptions import JobFailedError, RemoteError
from shapecluster.report._terminal import make_console
from shapecluster.report._text import printable

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

OK, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130  # 130 is 128 + SIGINT, as shells report it

_EXTRAS = "cli,plot,report"

# Warnings for developers: the user of a command cannot act on them.
_DEVELOPER_WARNINGS = (DeprecationWarning, PendingDeprecationWarning, ResourceWarning)


class CommandError(Exception):
    """An error that ends a command with one line on the standard error.

    Attributes
    ----------
    code : int
        The exit code.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@contextmanager
def as_command_errors(options: object) -> Iterator[None]:
    """Turn expected errors of a run with these options into `CommandError`, in the words of the command."""

    def reworded(text: str) -> str:
        if isinstance(options, Location):
            text = options.replace_calls(text)
        return name_options(text, options)

    try:
        yield
    except KeyboardInterrupt as error:
        # The estimator adds a note about the state of the job.
        notes = " ".join(getattr(error, "__notes__", []))
        raise CommandError(f"interrupted. {reworded(notes)}".strip(), INTERRUPTED) from None
    except RemoteError as error:  # before OSError: some of these are both
        text = str(error)
        if isinstance(error, JobFailedError) and error.log_tail:
            text = text.partition("\nIts log ends with:")[0]  # `console_messages` has printed the log
        raise CommandError(name_source(reworded(text), options), FAILED) from None
    except ImportError as error:
        raise CommandError(str(error), FAILED) from None
    except (ValueError, OSError) as error:
        raise CommandError(name_source(reworded(str(error)), options), BAD_INPUT) from None
    except MemoryError as error:
        raise CommandError(f"the memory is not enough. {error}".strip(), FAILED) from None


@contextmanager
def console_messages() -> Iterator[Console]:
    """Print warnings, log messages and the end of a failed job's log on the standard error.

    Yields
    ------
    Console
        The console for further messages.
    """
    console = make_console(stderr=True)

    def show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        if not issubclass(category, _DEVELOPER_WARNINGS):
            print_line(console, f"Note: {message}", style="dark_orange3")

    handler = _ConsoleHandler(console)
    logger = logging.getLogger("shapecluster.remote")
    logger.addHandler(handler)
    # Otherwise a handler of the root logger would print each message again.
    before, logger.propagate = logger.propagate, False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = show_warning  # restored by `catch_warnings`
            yield console
    except JobFailedError as error:
        for line in error.log_tail:
            print_line(console, f"  {line}", style="dim")
        raise
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


def print_line(console: Console, text: str, *, style: str | None = None) -> None:
    """Print a text without breaking it, so that commands in it can be copied."""
    console.print(printable(text), style=style, soft_wrap=True)


def print_result(*lines: str) -> None:
    """Print lines on the standard output."""
    for line in lines:
        print_line(make_console(), line)


def print_files(files: Mapping[str, Path | None]) -> None:
    """Print the title and the path of each file that was written."""
    for title, path in files.items():
        if path is not None:
            print_result(f"{title}: {path}")


class _ConsoleHandler(logging.Handler):
    """Prints messages that the library logs while a job is interrupted."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        # A message from `_note` is also a note of the interrupt, which `as_command_errors` prints at the end.
        if record.funcName != "_note":
            print_line(self._console, record.getMessage())


def check_installed(*modules: str) -> None:
    """Raise an ImportError that names the extras to install, when one of these modules is missing."""
    for module in modules:
        import_optional(module, extra=_EXTRAS, needed_for="The command shapecluster")


def write_table(table: pd.DataFrame, path: Path, *, index: bool = False) -> None:
    """Write a CSV file atomically."""
    with atomic_write(path) as file:
        table.to_csv(file.name, index=index, lineterminator="\n")  # by name: its ending may ask to compress
