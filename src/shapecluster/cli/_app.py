"""The command itself, and `shapecluster stocks`.

Exit codes: 0 for success; 1 when prices, or an optional package, could not be had; 2 for input that does
not make sense; 130 when interrupted. Errors are one line on the standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shapecluster._optional import import_optional
from shapecluster.cli import _portfolio_options, _sagemaker_options
from shapecluster.cli._common import CommandError
from shapecluster.exceptions import MissingPricesError

if TYPE_CHECKING:
    from shapecluster.report._analysis import StageProgress
    from shapecluster.report._findings import StocksSettings
    from shapecluster.report._folder import OutputFolder
    from shapecluster.report._inputs import Inputs
    from shapecluster.report._request import StocksRequest

__all__ = ["build_app", "main"]

OK, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

_EXTRAS = "cli,plot,report"
_NEEDED = ("typer", "rich")
_NEEDED_FOR_STOCKS = ("matplotlib", "jinja2")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str, default=None
        What stands behind the command's name; None takes it from the process.

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
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _check_installed(_NEEDED)
    except ImportError as error:
        return _fail(str(error), FAILED)
    typer = import_optional("typer", extra=_EXTRAS, needed_for="The command shapecluster")
    usage_error: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
    command = typer.main.get_command(build_app())
    try:
        code = command.main(given or ["--help"], prog_name="shapecluster", standalone_mode=False)
    except usage_error as error:
        return _fail(error.format_message(), BAD_INPUT)
    except CommandError as error:
        return _fail(str(error), error.code)
    except (typer.Abort, KeyboardInterrupt):  # older typer turns Ctrl-C into Abort
        code = INTERRUPTED
    if code == INTERRUPTED:
        return _fail("interrupted.", INTERRUPTED)
    return int(code or OK)


def build_app() -> Any:
    """Build the command line; typer is imported here and nowhere else.

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
    typer = import_optional("typer", extra=_EXTRAS, needed_for="The command shapecluster")
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
    app.command("stocks")(_stocks_command(_stocks_options(typer)))
    _portfolio_options.add_commands(app, typer)
    _sagemaker_options.add_commands(app, typer)
    return app


def _check_installed(modules: Sequence[str]) -> None:
    """Say which extras to install, when one of these modules is missing."""
    for module in modules:
        import_optional(module, extra=_EXTRAS, needed_for="The command shapecluster")


def _print_version(wanted: bool) -> None:
    """Print the version and end, when it is asked for."""
    if wanted:
        typer = import_optional("typer", extra=_EXTRAS, needed_for="The command shapecluster")
        typer.echo(f"shapecluster {version('shapecluster')}")
        raise typer.Exit(OK)


def _stocks_options(typer: Any) -> dict[str, Any]:
    """Describe the options of `shapecluster stocks`, under the names of their parameters."""
    option = typer.Option
    data, question, rest = "Prices", "Question", "Output and computing"
    return {
        "prices": option(
            None, metavar="FILE", help="Prices: csv, csv.gz or parquet, a day a line.", rich_help_panel=data
        ),
        "tickers": option(
            None,
            metavar="A,B,...",
            help="Fetch prices from Yahoo instead; needs --start.",
            rich_help_panel=data,
        ),
        "start": option(None, metavar="DATE", help="First day to fetch (2020-02-03).", rich_help_panel=data),
        "end": option(
            None, metavar="DATE", help="Last day to fetch; today if left out.", rich_help_panel=data
        ),
        "sectors": option(
            None,
            metavar="FILE",
            help="Sectors: csv with the columns ticker and sector.",
            rich_help_panel=data,
        ),
        "portfolio": option(
            None, metavar="A,B,...", help="Holdings whose look-alikes are wanted.", rich_help_panel=question
        ),
        "k": option(
            None,
            metavar="2-20",
            help="Numbers of clusters: 2-20, or 2,5,8, or 11 (2-20 if left out).",
            rich_help_panel=question,
        ),
        "on": option(
            "log-returns",
            metavar="log-returns|levels",
            help="What is compared: how stocks move, or (the lab's recipe) their price levels.",
            rich_help_panel=question,
        ),
        "repair_prints": option(
            False, "--repair-prints", help="Repair bad prints instead of flagging them.", rich_help_panel=data
        ),
        "max_shift": option(
            None,
            metavar="DAYS|all",
            help="Largest lag in trading days (if left out: 5 on log-returns, all on levels).",
            rich_help_panel=question,
        ),
        "criterion": option(
            "ssd",
            metavar="ssd|elbow|silhouette",
            help="What chooses the k that is shown.",
            rich_help_panel=question,
        ),
        "seed": option(
            0,
            min=0,
            max=2**32 - 1,
            help="Seeds the clustering and the simulated market.",
            rich_help_panel=rest,
        ),
        "out": option(
            Path("shapecluster-report"), metavar="DIR", help="Where the files go.", rich_help_panel=rest
        ),
        "jobs": option(
            -1, help="Threads; -1 for all cores. Results do not depend on it.", rich_help_panel=rest
        ),
    }


def _stocks_command(options: dict[str, Any]) -> Any:
    """Make the function that typer reads the command from."""

    def stocks(
        prices: Path | None = options["prices"],
        tickers: str | None = options["tickers"],
        start: str | None = options["start"],
        end: str | None = options["end"],
        sectors: Path | None = options["sectors"],
        portfolio: str | None = options["portfolio"],
        k: str | None = options["k"],
        on: str = options["on"],
        repair_prints: bool = options["repair_prints"],
        max_shift: str | None = options["max_shift"],
        criterion: str = options["criterion"],
        seed: int = options["seed"],
        out: Path = options["out"],
        jobs: int = options["jobs"],
    ) -> None:
        """Cluster stocks by shape, and find the stocks that trade like yours.

        Prints the findings, and writes them to a folder: findings.json, CSV tables,
        PNG pictures, and a page that shows them, index.html.
        Without --prices or --tickers it runs on a simulated market.
        """
        given = dict(locals())  # the options, under the names of the fields of StocksRequest
        from shapecluster.report._request import StocksRequest

        code = _run_stocks(StocksRequest(**given))
        if code != OK:
            raise import_optional("typer", extra=_EXTRAS, needed_for="The command shapecluster").Exit(code)

    return stocks


def _run_stocks(request: StocksRequest) -> int:
    """Run `shapecluster stocks`: from options to an exit code; errors become one line."""
    from shapecluster.report._folder import OutputFolder
    from shapecluster.report._request import check_sources, read_settings

    try:
        _check_installed(_NEEDED_FOR_STOCKS)
        check_sources(request)
        settings = read_settings(request)
        with OutputFolder(request.out) as folder:
            return _work(request, settings, folder)
    except ImportError as error:  # pyarrow or yfinance, which only some sources need
        return _fail(str(error), FAILED)
    except (ValueError, OSError) as error:
        return _fail(str(error), BAD_INPUT)


def _work(request: StocksRequest, settings: StocksSettings, folder: OutputFolder) -> int:
    """Read, clean, analyze, write, print."""
    from shapecluster.report._analysis import analyze
    from shapecluster.report._cleaning import clean
    from shapecluster.report._files import write_files
    from shapecluster.report._inputs import with_example_portfolio
    from shapecluster.report._terminal import make_console, print_files, print_findings, progress_bar

    with progress_bar(make_console(stderr=True)) as progress:
        try:
            inputs = _read(request, progress)
        except MissingPricesError as error:
            return _fail(_what_is_missing(error, folder), FAILED)
        cleaned = clean(inputs.prices, repair_prints=settings.repair_prints)
        source = inputs.source
        if source.kind == "simulated" and not settings.portfolio:
            source, holdings = with_example_portfolio(source, cleaned.prices.index)
            settings = replace(settings, portfolio=holdings)
        analysis = analyze(
            cleaned.prices, settings, source, cleaned.cleaning, dropped=cleaned.dropped, progress=progress
        )
        write_files(analysis, folder.stage, progress=progress)
    files = folder.publish()
    console = make_console()
    print_findings(analysis.findings, console)
    print_files(files, folder.path, console)
    return OK


def _read(request: StocksRequest, progress: StageProgress) -> Inputs:
    """Get the prices from where they were asked for."""
    from shapecluster.report._inputs import from_file, from_simulation, from_yahoo
    from shapecluster.report._request import read_names

    if request.prices is not None:
        return from_file(request.prices, request.sectors)
    if request.tickers is not None and request.start is not None:
        tickers = read_names(request.tickers, "--tickers")
        return from_yahoo(tickers, request.start, request.end, request.sectors, progress=progress)
    return from_simulation(request.seed)


def _what_is_missing(error: MissingPricesError, folder: OutputFolder) -> str:
    """List the tickers without prices, and keep what did arrive where it can be used."""
    reasons: dict[str, list[str]] = {}
    for ticker, reason in error.missing.items():
        reasons.setdefault(reason, []).append(ticker)
    said = "; ".join(f"{', '.join(tickers)} ({reason})" for reason, tickers in reasons.items())
    text = f"no prices for {len(error.missing)} tickers: {said}."
    if error.prices.empty:
        return text
    error.prices.T.to_csv(folder.stage / "prices_arrived.csv", lineterminator="\n")
    kept = folder.keep("prices_arrived.csv")
    return f"{text} The {len(error.prices)} that arrived are kept in {kept}: go on with --prices {kept}"


def _fail(message: str, code: int) -> int:
    """Say in one line what is wrong."""
    line = " ".join("".join(c if c.isprintable() else " " for c in message).split())
    sys.stderr.write(f"shapecluster: {line}\n")
    return code
