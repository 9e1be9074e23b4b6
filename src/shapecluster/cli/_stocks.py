"""The run of `shapecluster stocks`: read, clean, analyze, write and print."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shapecluster.cli._common import FAILED, CommandError, as_command_errors, check_installed
from shapecluster.exceptions import MissingPricesError

if TYPE_CHECKING:
    from shapecluster.report._analysis import StageCallback
    from shapecluster.report._folder import OutputFolder
    from shapecluster.report._inputs import PriceInputs
    from shapecluster.report._request import StocksRequest


def run_stocks(request: StocksRequest) -> None:
    """Run `shapecluster stocks`.

    Parameters
    ----------
    request : StocksRequest
        The options.

    Raises
    ------
    CommandError
        For invalid input, or prices or packages that are not available.
    """
    from shapecluster.report._folder import OutputFolder
    from shapecluster.report._request import check_sources, parse_settings

    with as_command_errors():
        check_installed("matplotlib", "jinja2")  # at the start, not when the analysis is done
        check_sources(request)
        settings = parse_settings(request)
        # Imported after the checks: an error in an option is then reported without delay.
        from shapecluster.report._analysis import analyze
        from shapecluster.report._files import write_files
        from shapecluster.report._inputs import add_example_portfolio, clean
        from shapecluster.report._terminal import make_console, print_files, print_findings, progress_bar

        with OutputFolder(request.out) as folder:
            # On the standard error, so that the standard output has the findings only.
            with progress_bar(make_console(stderr=True)) as progress:
                try:
                    inputs = _read_inputs(request, progress)
                except MissingPricesError as error:
                    raise CommandError(_describe_missing_prices(error, folder), FAILED) from None
                prices, events = clean(inputs.prices, repair_prints=settings.repair_prints)
                source = inputs.source
                if source.kind == "simulated" and not settings.portfolio:
                    # After cleaning, so that every holding of the example has prices.
                    source, holdings = add_example_portfolio(source, prices.index)
                    settings = replace(settings, portfolio=holdings)
                analysis = analyze(prices, settings, source, events, progress=progress)
                write_files(analysis, folder.stage, progress=progress)
            files = folder.publish()
            console = make_console()
            print_findings(analysis.findings, console)
            print_files(files, folder.path, console)


def _read_inputs(request: StocksRequest, progress: StageCallback) -> PriceInputs:
    """Get the prices from the source that the options name."""
    from shapecluster.report._inputs import fetch_inputs, load_inputs, simulate_inputs
    from shapecluster.report._request import parse_tickers

    if request.prices is not None:
        return load_inputs(request.prices, request.sectors)
    if request.tickers is not None and request.start is not None:
        tickers = parse_tickers(request.tickers, "--tickers")
        return fetch_inputs(tickers, request.start, request.end, request.sectors, progress=progress)
    return simulate_inputs(request.seed)


def _describe_missing_prices(error: MissingPricesError, folder: OutputFolder) -> str:
    """List the tickers without prices, and write the prices that arrived to a file."""
    tickers_by_reason: dict[str, list[str]] = {}
    for ticker, reason in error.missing.items():
        tickers_by_reason.setdefault(reason, []).append(ticker)
    reasons = "; ".join(f"{', '.join(tickers)} ({reason})" for reason, tickers in tickers_by_reason.items())
    text = f"no prices for {len(error.missing)} tickers: {reasons}."
    if error.prices.empty:
        return text
    # Fetching takes minutes and Yahoo limits requests: the user should not have to repeat it.
    error.prices.T.to_csv(folder.stage / "prices_arrived.csv", lineterminator="\n")
    path = folder.publish_file("prices_arrived.csv")
    return f"{text} The {len(error.prices)} that arrived are in {path}: continue with --prices {path}"
