"""What groups of commands share: where jobs run, what is said, and how commands end.

Whatever goes wrong becomes a `CommandError`: one line, and an exit code. It names the job, if there is one,
and the command that takes it up again.
"""

from __future__ import annotations

import logging
import os
import re
import shlex
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from shapecluster.exceptions import JobFailedError, RemoteError

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from shapecluster.remote import JobProgress

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130  # as in `cli`, which imports this module

_NOISE = (DeprecationWarning, PendingDeprecationWarning, ResourceWarning)
# What errors and notes of the library say to people who are in Python.
_IN_PYTHON = re.compile(r"attach\('([\w-]+)', session=\.\.\.\) takes it up again, stop\(\) ends it\.")


class CommandError(Exception):
    """A command ends with one line on the standard error.

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
    """Where jobs run: in the folder of a rehearsal, or on AWS.

    Attributes
    ----------
    folder : Path or None
        Of a rehearsal; None for AWS.
    region, profile : str or None
        Of AWS; None for those of the environment.
    """

    folder: Path | None
    region: str | None = None
    profile: str | None = None

    def session(self) -> Any:
        """What estimators take as `session`."""
        from shapecluster.remote import Rehearsal
        from shapecluster.remote._client import open_aws_session

        if self.folder is not None:
            if self.region is not None or self.profile is not None:
                raise ValueError("--folder is for a rehearsal, which has no --region and no --profile.")
            return Rehearsal(self.folder)
        if self.region is None and self.profile is None:
            return None
        return open_aws_session(self.region, self.profile)

    def command(self, name: str, job_name: str) -> str:
        """The command line that does something with a job of this place."""
        options = {"--folder": self.folder, "--region": self.region, "--profile": self.profile}
        given = [part for name, value in options.items() if value is not None for part in (name, str(value))]
        return shlex.join(["shapecluster", "sagemaker", name, job_name, *given])

    def in_commands(self, text: str) -> str:
        """A message of the library, with commands where it speaks of methods."""

        def said(found: re.Match[str]) -> str:
            attach, stop = self.command("attach", found[1]), self.command("stop", found[1])
            return f"`{attach}` takes it up again, `{stop}` ends it."

        return _IN_PYTHON.sub(said, text)


@contextmanager
def errors(place: JobLocation | None = None) -> Iterator[None]:
    """Turn whatever goes wrong into a `CommandError`; the place is that of a job, if there is one."""
    try:
        yield
    except KeyboardInterrupt as error:
        notes = " ".join(getattr(error, "__notes__", []))
        said = notes if place is None else place.in_commands(notes)
        raise CommandError(f"interrupted. {said}".strip(), INTERRUPTED) from None
    except RemoteError as error:
        text = str(error)
        if isinstance(error, JobFailedError) and error.log_tail:
            text = text.partition("\nIts log ends with:")[0]  # `told` has shown it
        raise CommandError(text if place is None else place.in_commands(text), FAILED) from None
    except ImportError as error:
        raise CommandError(str(error), FAILED) from None
    except (ValueError, OSError) as error:
        raise CommandError(str(error), BAD_INPUT) from None


@contextmanager
def told() -> Iterator[Console]:
    """Show warnings, what the library logs, and the end of a failed job's log, on the standard error."""
    from shapecluster.report._terminal import make_console

    console = make_console(stderr=True)

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if not issubclass(category, _NOISE):
            say(console, f"Note: {message}", style="dark_orange3")

    handler = _Handler(console)
    logger = logging.getLogger("shapecluster.remote")
    logger.addHandler(handler)
    before, logger.propagate = logger.propagate, False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = show
            yield console
    except JobFailedError as error:
        for line in error.log_tail:
            say(console, f"  {line}", style="dim")
        raise
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


def say(console: Console, text: str, *, style: str | None = None) -> None:
    """Print a text that is one line, however long: commands in it can be copied."""
    from shapecluster.report._words import printable

    console.print(printable(text), style=style, soft_wrap=True)


class _Handler(logging.Handler):
    """Prints what the library logs while a job is interrupted."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:

        if record.funcName != "_note":  # that is on the interruption as well, and ends the command
            say(self._console, record.getMessage())


@contextmanager
def watched(console: Console) -> Iterator[Any]:
    """Show how a job goes on: one line that changes in a terminal, a line for each state elsewhere.

    Yields
    ------
    callable
        For the parameter `progress` of an estimator.
    """
    from shapecluster.report._words import printable

    if not console.is_terminal:
        seen: list[str] = []

        def tell(news: JobProgress) -> None:
            if news.secondary_status not in seen[-1:]:
                seen.append(news.secondary_status)
                say(console, f"{news.job_name}: {news.secondary_status}")

        yield tell
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console, transient=True) as bar:
        tasks: list[Any] = []

        def update(news: JobProgress) -> None:
            if not tasks:
                say(console, f"Training job {news.job_name}")
                tasks.append(bar.add_task("", total=None))
            last = f"  {news.lines[-1]}" if news.lines else ""
            width = max(20, console.width - 24)
            bar.update(tasks[0], description=printable(news.secondary_status + last)[:width])

        yield update


def check_target(path: Path, option: str, suffixes: Sequence[str] = ("",)) -> None:
    """Find out before any work is done, or billed, whether a file can be written."""
    folder = path.absolute().parent
    reason = None
    if not path.name.lower().endswith(tuple(suffixes)):
        reason = f"the name must end in {' or '.join(suffixes)}"
    elif path.is_dir():
        reason = "it is a folder"
    elif not folder.is_dir():
        reason = f"there is no folder {str(folder)!r}"
    elif not os.access(folder, os.W_OK):
        reason = f"the folder {str(folder)!r} takes no files"
    if reason is not None:
        raise ValueError(f"{option} cannot be written to {str(path)!r}: {reason}.")


def write_table(table: pd.DataFrame, path: Path, *, index: bool = False) -> None:
    """Write a CSV file at once or not at all."""
    with at_once(path) as stage:
        table.to_csv(stage, index=index, lineterminator="\n")


@contextmanager
def at_once(path: Path) -> Iterator[Path]:
    """Take the place of a file when all of it is written; a name to write it under, with the same ending."""
    stage = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield stage
        os.replace(stage, path)
    finally:
        stage.unlink(missing_ok=True)


def command_group(app: Any, typer: Any, name: str, about: str) -> Any:
    """Add a group of commands to the application, which shows its help where no command is named."""
    group = typer.Typer(name=name, help=about, add_completion=False, pretty_exceptions_enable=False)

    def show_help(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())

    show_help.__annotations__["context"] = typer.Context  # annotations are text here, and typer is local
    group.callback(invoke_without_command=True, help=about)(show_help)
    app.add_typer(group)
    return group
