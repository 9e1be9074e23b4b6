"""`shapecluster stocks`: read, clean, analyze, write and print."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Literal

from shapecluster.cli import _kinds as kinds
from shapecluster.cli._common import FAILED, CommandError, check_installed, write_table
from shapecluster.cli._options import SeriesOptions, option, options, seed, several_k
from shapecluster.exceptions import MissingPricesError
from shapecluster.report._findings import StocksSettings
from shapecluster.report._terminal import make_console, print_files, print_findings, progress_bar

_Criterion = Literal["ssd", "elbow", "silhouette"]


@options
class StocksOptions(SeriesOptions):
    """The options of `stocks`."""

    tickers: tuple[str, ...] | None = option(
        None, "Tickers to fetch from Yahoo instead; needs --start.", "Prices"
    )
    start: date | None = option(None, "First day to fetch (2020-02-03).", "Prices")
    end: date | None = option(None, "Last day to fetch; today if left out.", "Prices")
    sectors: Path | None = option(None, "Sectors: csv with the columns ticker and sector.", "Prices")
    portfolio: tuple[str, ...] = option((), "Holdings whose look-alikes are searched for.", "Question")
    k: tuple[int, ...] | None = several_k()
    criterion: _Criterion = option("ssd", "The criterion that chooses the k that is shown.", "Question")
    seed: int = seed(0)
    out: Path = option(
        Path("shapecluster-report"), "Folder for the files of the report.", "Output", kinds.FOLDER
    )
    jobs: int = option(
        -1, "Threads; -1 for all cores. Results are the same.", "Computing", kinds.number(int, -1024, 1024)
    )

    def settings(self) -> StocksSettings:
        """Return the settings of the analysis; a ValueError names options that contradict each other."""
        if self.prices is not None and self.tickers is not None:
            raise ValueError("--prices and --tickers exclude each other: give a file, or tickers to fetch.")
        if self.tickers is None:
            for name, value in (("--start", self.start), ("--end", self.end)):
                if value is not None:
                    raise ValueError(f"{name} says which days to fetch, so it needs --tickers.")
        elif self.start is None:
            raise ValueError("--tickers needs --start, the first day to fetch (2020-02-03).")
        if self.sectors is not None and self.prices is None and self.tickers is None:
            raise ValueError(
                "--sectors needs --prices or --tickers: the simulated market has sectors of its own."
            )
        if self.start is not None and self.start > (self.end or date.today()):
            last = "--end" if self.end else "today"
            raise ValueError(f"--start must not be after {last}. Got {self.start} instead.")
        if self.jobs == 0:
            raise ValueError("--jobs must be a number of threads, or -1 for all cores. Got 0 instead.")
        # KSweep checks both again, but does not know how --k was typed.
        if self.k is not None and self.criterion == "elbow" and len(self.k) < 3:
            given = ",".join(map(str, self.k))
            raise ValueError(f"--criterion elbow needs at least three values of k. Got --k {given} instead.")
        if self.k == (1,) and self.criterion == "silhouette":
            raise ValueError("--criterion silhouette needs a k of 2 or more. Got --k 1 instead.")
        return StocksSettings(
            k=self.k,
            criterion=self.criterion,
            on=self.on,
            max_shift=self.shift_bound,
            portfolio=self.portfolio,
            seed=self.seed,
            repair_prints=self.repair_prints,
            n_jobs=self.jobs,
        )


def stocks(options: StocksOptions) -> None:
    """Cluster stocks by shape, and find the stocks that trade like yours.

    Prints the findings, and writes them to a folder: findings.json, CSV tables,
    PNG plots, and a page that shows them, index.html.
    Without --prices or --tickers it runs on a simulated market.
    """
    settings = options.settings()
    check_installed("matplotlib", "jinja2")  # at the start, not when the analysis is done
    # Imported after the checks: an error in an option is then reported without delay.
    from shapecluster.report._analysis import analyze
    from shapecluster.report._files import write_files
    from shapecluster.report._folder import publish, staging_folder
    from shapecluster.report._inputs import add_example_portfolio, clean, read_inputs

    with staging_folder(options.out) as stage:
        # On the standard error, so that the standard output has the findings only.
        with progress_bar(make_console(stderr=True)) as progress:
            try:
                raw_prices, source = read_inputs(
                    options.prices,
                    tickers=options.tickers,
                    start=options.start,
                    end=options.end,
                    sectors=options.sectors,
                    seed=options.seed,
                    progress=progress,
                )
            except MissingPricesError as error:
                raise CommandError(_describe_missing_prices(error, options.out), FAILED) from None
            prices, cleaning = clean(raw_prices, repair_prints=settings.repair_prints)
            if source.kind == "simulated" and not settings.portfolio:
                # After cleaning, so that every holding of the example has prices.
                source, holdings = add_example_portfolio(source, prices.index)
                settings = replace(settings, portfolio=holdings)
            analysis = analyze(prices, settings, source, cleaning.events, progress=progress)
            write_files(analysis, stage, progress=progress)
        files = publish(stage, options.out)
        console = make_console()
        print_findings(analysis.findings, console)
        print_files(files, options.out, console)


def _describe_missing_prices(error: MissingPricesError, folder: Path) -> str:
    """List the tickers without prices, and write the prices that arrived to a file."""
    tickers_by_reason: dict[str, list[str]] = {}
    for ticker, reason in error.missing.items():
        tickers_by_reason.setdefault(reason, []).append(ticker)
    reasons = "; ".join(f"{', '.join(tickers)} ({reason})" for reason, tickers in tickers_by_reason.items())
    text = f"no prices for {len(error.missing)} tickers: {reasons}."
    if error.prices.empty:
        return text
    # Fetching takes minutes and Yahoo limits requests: the user should not have to repeat it.
    path = folder / "prices_arrived.csv"
    write_table(error.prices.T, path, index=True)
    return f"{text} The {len(error.prices)} that arrived are in {path}: continue with --prices {path}"
