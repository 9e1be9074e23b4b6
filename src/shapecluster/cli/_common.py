"""Errors, messages and files that all commands share.

Every expected error becomes a `CommandError`: one line and an exit code. For a training job the line has the
command that attaches to the job again.
"""

from __future__ import annotations

import logging
import os
import re
import shlex
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from shapecluster._files import atomic_write
from shapecluster._optional import import_optional
from shapecluster.exceptions import JobFailedError, RemoteError

if TYPE_CHECKING:
    import pandas as pd
    import typer
    from rich.console import Console
    from rich.progress import TaskID

    from shapecluster.remote import JobProgress

OK, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130  # 130 is 128 + SIGINT, as shells report it

_EXTRAS = "cli,plot,report"

# Warnings for developers: the user of a command cannot act on them.
_DEVELOPER_WARNINGS = (DeprecationWarning, PendingDeprecationWarning, ResourceWarning)
# Methods that messages of the library recommend, which users of the command cannot call.
_ATTACH_CALL = re.compile(r"attach\('([\w-]+)', session=\.\.\.\)")
_STOP_CALL = re.compile(r"\bstop\(\)")


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


@dataclass(frozen=True)
class JobLocation:
    """The place where jobs run: the folder of a rehearsal, or AWS.

    Attributes
    ----------
    folder : Path or None
        The folder of a rehearsal; None for AWS.
    region, profile : str or None
        Region and profile on AWS; None for those of the environment.
    """

    folder: Path | None
    region: str | None = None
    profile: str | None = None

    def session(self) -> Any:
        """Return the value of the parameter `session` of estimators."""
        from shapecluster.remote import Rehearsal
        from shapecluster.remote._client import new_session

        if self.folder is not None:
            if self.region is not None or self.profile is not None:
                raise ValueError("--folder is for a rehearsal, which has no --region and no --profile.")
            return Rehearsal(self.folder)
        if self.region is None and self.profile is None:
            return None
        return new_session(self.region, self.profile)

    def command(self, name: str, job_name: str) -> str:
        """Return a command line for a job at this location, quoted for a shell."""
        options = {"--folder": self.folder, "--region": self.region, "--profile": self.profile}
        given = [part for name, value in options.items() if value is not None for part in (name, str(value))]
        return shlex.join(["shapecluster", "sagemaker", name, job_name, *given])

    def replace_calls(self, text: str) -> str:
        """Replace the method calls in a message of the library by commands."""
        call = _ATTACH_CALL.search(text)
        if call is None:
            return text
        text = text.replace(call[0], f"`{self.command('attach', call[1])}`")
        # A function, because backslashes in a folder's name would be read as a template.
        return _STOP_CALL.sub(lambda _: f"`{self.command('stop', call[1])}`", text)


@contextmanager
def as_command_errors(location: JobLocation | None = None) -> Iterator[None]:
    """Turn expected errors into `CommandError`; `location` is that of a job, if there is one."""

    def localize(text: str) -> str:
        return text if location is None else location.replace_calls(text)

    try:
        yield
    except KeyboardInterrupt as error:
        # The estimator adds a note about the state of the job.
        notes = " ".join(getattr(error, "__notes__", []))
        raise CommandError(f"interrupted. {localize(notes)}".strip(), INTERRUPTED) from None
    except RemoteError as error:  # before OSError: some of these are both
        text = str(error)
        if isinstance(error, JobFailedError) and error.log_tail:
            text = text.partition("\nIts log ends with:")[0]  # `console_messages` has printed the log
        raise CommandError(localize(text), FAILED) from None
    except ImportError as error:
        raise CommandError(str(error), FAILED) from None
    except (ValueError, OSError) as error:
        raise CommandError(str(error), BAD_INPUT) from None


@contextmanager
def console_messages() -> Iterator[Console]:
    """Print warnings, log messages and the end of a failed job's log on the standard error.

    Yields
    ------
    Console
        The console for further messages.
    """
    from shapecluster.report._terminal import make_console

    console = make_console(stderr=True)

    def show_warning(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
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
    from shapecluster.report._text import printable

    console.print(printable(text), style=style, soft_wrap=True)


class _ConsoleHandler(logging.Handler):
    """Prints messages that the library logs while a job is interrupted."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        # A message from `_note` is also a note of the interrupt, which `as_command_errors` prints at the end.
        if record.funcName != "_note":
            print_line(self._console, record.getMessage())


@contextmanager
def job_progress(console: Console) -> Iterator[Callable[[JobProgress], None]]:
    """Show the state of a job: one changing line in a terminal, otherwise a line for each state.

    Yields
    ------
    callable
        For the parameter `progress` of an estimator.
    """
    from shapecluster.report._text import printable

    if not console.is_terminal:
        states: list[str] = []

        def print_state(progress: JobProgress) -> None:
            # Called for new lines of the log as well: a state is printed once.
            if progress.secondary_status not in states[-1:]:
                states.append(progress.secondary_status)
                print_line(console, f"{progress.job_name}: {progress.secondary_status}")

        yield print_state
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console, transient=True) as bar:
        tasks: list[TaskID] = []

        def update(progress: JobProgress) -> None:
            if not tasks:
                print_line(console, f"Training job {progress.job_name}")
                tasks.append(bar.add_task("", total=None))
            last_line = f"  {progress.lines[-1]}" if progress.lines else ""
            width = max(
                20, console.width - 24
            )  # the width that other columns leave: a second line would flicker
            description = printable(progress.secondary_status + last_line)[:width]
            bar.update(tasks[0], description=description)

        yield update


def check_installed(*modules: str) -> None:
    """Raise an ImportError that names the extras to install, when one of these modules is missing."""
    for module in modules:
        import_optional(module, extra=_EXTRAS, needed_for="The command shapecluster")


def check_writable(path: Path, option: str, suffixes: Sequence[str] = ("",)) -> None:
    """Check that a file can be written, before anything is computed or billed."""
    folder = path.absolute().parent
    reason = None
    if not path.name.lower().endswith(tuple(suffixes)):
        reason = f"the name must end in {' or '.join(suffixes)}"
    elif path.is_dir():
        reason = "it is a folder"
    elif not folder.is_dir():
        reason = f"there is no folder {str(folder)!r}"
    elif not os.access(folder, os.W_OK):
        reason = f"the folder {str(folder)!r} is not writable"
    if reason is not None:
        raise ValueError(f"{option} cannot be written to {str(path)!r}: {reason}.")


def write_table(table: pd.DataFrame, path: Path, *, index: bool = False) -> None:
    """Write a CSV file atomically."""
    with atomic_write(path) as file:
        table.to_csv(file.name, index=index, lineterminator="\n")  # by name: its ending may ask to compress


def command_group(app: typer.Typer, name: str, about: str) -> typer.Typer:
    """Add a group of commands to the application; without a command the group prints its help."""
    import typer

    group = typer.Typer(name=name, help=about, add_completion=False, pretty_exceptions_enable=False)

    def show_help(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())

    # typer evaluates annotations in the module, which does not import typer at run time.
    show_help.__annotations__["context"] = typer.Context
    group.callback(invoke_without_command=True, help=about)(show_help)
    app.add_typer(group)
    return group
