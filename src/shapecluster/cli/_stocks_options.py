"""The command `shapecluster stocks` and its options, as typer reads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import typer


def add_commands(app: typer.Typer) -> None:
    """Add the command to the application.

    Parameters
    ----------
    app : typer.Typer
        The application.
    """
    app.command("stocks")(_stocks_command(_options()))


def _options() -> dict[str, Any]:
    """Return the options under the names of their parameters."""
    from typer import Option as option

    data, question, rest = "Prices", "Question", "Output and computing"
    return {
        "prices": option(
            None,
            metavar="FILE",
            help="Prices: csv, csv.gz or parquet, one day per line.",
            rich_help_panel=data,
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
            None,
            metavar="A,B,...",
            help="Holdings whose look-alikes are searched for.",
            rich_help_panel=question,
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
            help="The series to compare: log returns, or (as in the lab) price levels.",
            rich_help_panel=question,
        ),
        "repair_prints": option(
            False, "--repair-prints", help="Repair bad prints instead of flagging them.", rich_help_panel=data
        ),
        "max_shift": option(
            None,
            metavar="DAYS|all",
            help="Maximum lag in trading days (if left out: 5 on log-returns, all on levels).",
            rich_help_panel=question,
        ),
        "criterion": option(
            "ssd",
            metavar="ssd|elbow|silhouette",
            help="The criterion that chooses the k that is shown.",
            rich_help_panel=question,
        ),
        "seed": option(
            0,
            min=0,
            max=2**32 - 1,
            help="Seed of the clustering and the simulated market.",
            rich_help_panel=rest,
        ),
        "out": option(
            Path("shapecluster-report"),
            metavar="DIR",
            help="Folder for the files of the report.",
            rich_help_panel=rest,
        ),
        "jobs": option(
            -1, help="Threads; -1 for all cores. Results do not depend on it.", rich_help_panel=rest
        ),
    }


def _stocks_command(options: dict[str, Any]) -> Callable[..., None]:
    """Create the function whose signature and docstring typer reads."""

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
        PNG plots, and a page that shows them, index.html.
        Without --prices or --tickers it runs on a simulated market.
        """
        # Before any assignment: `locals()` must have only the options, which are the fields of the request.
        given = dict(locals())
        from shapecluster.cli._stocks import run_stocks
        from shapecluster.report._request import StocksRequest

        run_stocks(StocksRequest(**given))

    return stocks
