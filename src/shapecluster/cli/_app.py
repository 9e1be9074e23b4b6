"""The entry point of the command, and its exit codes.

Exit codes: 0 for success; 1 when prices, a job or an optional package are not available; 2 for invalid
input; 130 after an interrupt. An error is one line on the standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from shapecluster.cli import _portfolio_options, _sagemaker_options, _stocks_options
from shapecluster.cli._common import (
    BAD_INPUT,
    FAILED,
    INTERRUPTED,
    OK,
    CommandError,
    check_installed,
)

if TYPE_CHECKING:
    import typer

__all__ = ["build_app", "main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str, default=None
        The arguments after the name of the command. None takes those of the process.

    Returns
    -------
    int
        The exit code.

    Examples
    --------
    >>> from shapecluster.cli import main
    >>> main(["--version"])
    shapecluster ...
    0
    """
    try:
        check_installed("typer", "rich")
    except ImportError as error:
        return _fail(str(error), FAILED)
    import typer

    # typer raises errors of its own copy of click, and older versions those of the package.
    usage_error: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
    given = list(sys.argv[1:] if arguments is None else arguments)
    command = typer.main.get_command(build_app())
    try:
        # Not standalone: click would print errors in its own form, and end the process itself.
        code = command.main(given or ["--help"], prog_name="shapecluster", standalone_mode=False)
    except usage_error as error:
        return _fail(error.format_message(), BAD_INPUT)
    except CommandError as error:
        return _fail(str(error), error.code)
    except (typer.Abort, KeyboardInterrupt):  # older versions of typer turn Ctrl-C into Abort
        code = INTERRUPTED
    if code == INTERRUPTED:
        return _fail("interrupted.", INTERRUPTED)
    return int(code or OK)


def build_app() -> typer.Typer:
    """Build the application that parses the command line.

    Returns
    -------
    typer.Typer
        The application.

    Examples
    --------
    >>> from shapecluster.cli import build_app
    >>> build_app().info.name
    'shapecluster'
    """
    check_installed("typer")
    import typer

    app = typer.Typer(
        name="shapecluster",
        help="Shape clustering of market time series.",
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    version_option = typer.Option(
        False, "--version", is_eager=True, callback=_print_version, help="Print the version."
    )

    def options(show_version: bool = version_option) -> None:
        """Shape clustering of market time series."""

    app.callback()(options)
    # The order of the help.
    _stocks_options.add_commands(app)
    _portfolio_options.add_commands(app)
    _sagemaker_options.add_commands(app)
    return app


def _print_version(show: bool) -> None:
    """Print the version and end the command, when the option is given."""
    if show:
        import typer

        typer.echo(f"shapecluster {version('shapecluster')}")
        raise typer.Exit(OK)


def _fail(message: str, code: int) -> int:
    """Print an error in one line, and return the exit code."""
    # Messages may quote files: control characters and line ends in them must not reach the terminal.
    line = " ".join("".join(c if c.isprintable() else " " for c in message).split())
    sys.stderr.write(f"shapecluster: {line}\n")
    return code
