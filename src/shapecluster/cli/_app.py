"""The entry point of the command, and its exit codes.

Exit codes: 0 for success; 1 when prices, a job or an optional package are not available; 2 for invalid
input; 130 after an interrupt. An error is one line on the standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import MISSING
from importlib.metadata import version
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any, get_type_hints

from shapecluster.cli import _jobs, _leftovers, _portfolios, _stocks
from shapecluster.cli import _kinds as kinds
from shapecluster.cli._common import (
    BAD_INPUT,
    FAILED,
    INTERRUPTED,
    OK,
    CommandError,
    as_command_errors,
    check_installed,
)
from shapecluster.cli._options import offered, read_options, shown_default

if TYPE_CHECKING:
    import typer

__all__ = ["build_app", "main"]

_ABOUT = "Shape clustering of market time series."
# In the order of the help. Each takes its options, an instance of a dataclass.
_GROUPS: dict[str, tuple[str, tuple[Callable[[Any], None], ...]]] = {
    "portfolios": (
        "Portfolios of very many traders: generate and cluster them, and find matching holdings.",
        (_portfolios.generate, _portfolios.cluster, _portfolios.sweep, _portfolios.match),
    ),
    "sagemaker": (
        "Cluster stocks by shape in a SageMaker training job, or rehearse the job on this machine.",
        (_jobs.rehearse, _jobs.fit, _jobs.attach, _jobs.stop, _leftovers.list_leftovers, _leftovers.clean_up),
    ),
}


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
        app = build_app()
    except ImportError as error:
        return _fail(str(error), FAILED)
    import typer

    # typer raises errors of its own copy of click, and older versions those of the package.
    usage_error: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or (given[0] in _GROUPS and len(given) == 1):
        given.append("--help")
    command = typer.main.get_command(app)
    _hide_types_of_flags(command)
    try:
        # Not standalone: click would print errors in its own form, and end the process itself.
        code = command.main(given, prog_name="shapecluster", standalone_mode=False)
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
    check_installed("typer", "rich")
    import typer

    settings: Any = {"add_completion": False, "pretty_exceptions_enable": False}
    app = typer.Typer(name="shapecluster", help=_ABOUT, **settings)
    version_option = typer.Option(
        False, "--version", is_eager=True, callback=_print_version, help="Print the version."
    )

    def options(show_version: bool = version_option) -> None:
        """Shape clustering of market time series."""

    app.callback()(options)
    app.command("stocks")(_typer_command(_stocks.stocks))
    for name, (about, runs) in _GROUPS.items():
        group = typer.Typer(name=name, help=about, **settings)
        for run in runs:
            group.command(run.__name__.replace("_", "-"))(_typer_command(run))
        app.add_typer(group)
    return app


def _typer_command(run: Callable[[Any], None]) -> Callable[..., None]:
    """Return a function with the signature that typer reads: a parameter for each option of the run."""
    import typer

    options: type[Any] = get_type_hints(run)["options"]

    def command(**typed: Any) -> None:
        try:
            given = read_options(options, typed)
        except ValueError as error:
            raise CommandError(str(error), BAD_INPUT) from None
        with as_command_errors(given):
            run(given)

    parameters = []
    for name, declared, item in offered(options):
        is_flag = declared.kind is kinds.FLAG
        about: dict[str, Any] = {"metavar": declared.kind.metavar, "help": declared.help}
        if declared.positional:
            parameter = typer.Argument(... if item.default is MISSING else None, show_default=False, **about)
        else:
            names = [name, f"-{item.name}"] if len(item.name) == 1 else [name]
            default = False if is_flag else shown_default(item.default)
            parameter = typer.Option(default, *names, rich_help_panel=declared.panel, **about)
        # typer only splits the line: `read_options` converts the texts.
        annotation = bool if is_flag else str | None
        parameters.append(
            Parameter(item.name, Parameter.KEYWORD_ONLY, default=parameter, annotation=annotation)
        )
    command.__doc__ = run.__doc__
    command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return command


def _hide_types_of_flags(command: Any) -> None:
    """Show no type for flags in the help: newer versions of typer print `--help <bool>`."""
    import typer

    for parameter in command.get_params(typer.Context(command)):
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    for inner in getattr(command, "commands", {}).values():
        _hide_types_of_flags(inner)


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
