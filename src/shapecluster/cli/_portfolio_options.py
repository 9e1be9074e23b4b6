"""The commands `shapecluster portfolios ...` and their options, as typer reads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shapecluster.cli._common import command_group

if TYPE_CHECKING:
    import typer

_HELP = """Portfolios of very many traders: generate and cluster them, and find matching holdings."""


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the application.

    Parameters
    ----------
    app : typer.Typer
        The application.
    """
    group = command_group(app, "portfolios", _HELP)
    options = _common_options() | _generate_options() | _match_options()
    group.command("generate")(_generate_command(options))
    group.command("cluster")(_cluster_command(options))
    group.command("sweep")(_sweep_command(options))
    group.command("match")(_match_command(options))


def _common_options() -> dict[str, Any]:
    """Return the options that several commands have, under the names of their parameters."""
    from typer import Option as option

    return {
        "portfolios": option(
            None,
            metavar="FILE",
            help="Portfolios: csv, csv.gz or parquet. If left out: those that `generate` makes.",
        ),
        "seed": option(
            0, min=0, max=2**32 - 1, help="Seed of generated portfolios, the clustering and the sample."
        ),
        "algorithm": option(
            "k-means", metavar="k-means|mini-batch|bisecting", help="The clustering algorithm."
        ),
        "k": option(8, "--k", "-k", min=1, help="Number of clusters."),
        "ks": option("2-20", "--k", "-k", metavar="2-20", help="Numbers of clusters: 2-20, or 2,5,8."),
        "labels_out": option(
            Path("clusters.csv"), "--out", metavar="FILE", help="File for the cluster of each trader."
        ),
        "table_out": option(None, "--out", metavar="FILE", help="File for the table, as CSV."),
        "chart": option(None, metavar="FILE", help="File for a chart of the SSD by k (png, svg, pdf)."),
    }


def _generate_options() -> dict[str, Any]:
    """Return the options of `generate`, under the names of their parameters."""
    from typer import Option as option

    traders, holdings, copies, rest = "Traders", "Holdings", "Copycats", "Output"
    return {
        "traders": option(100_000, min=1, help="Number of traders.", rich_help_panel=traders),
        "tickers": option(
            None,
            metavar="A,B,...",
            help="Tickers that can be held; the lab's 99 if left out.",
            rich_help_panel=holdings,
        ),
        "min_holdings": option(3, min=1, help="Minimum holdings of a trader.", rich_help_panel=holdings),
        "max_holdings": option(10, min=1, help="Maximum holdings of a trader.", rich_help_panel=holdings),
        "popularity": option(
            "uniform",
            metavar="uniform|zipf",
            help="All tickers equally often, or the first ones more often.",
            rich_help_panel=holdings,
        ),
        "sector_tilt": option(
            None,
            min=0.0,
            help="Factor by which tickers of a trader's home sector are likelier (lab's tickers only).",
            rich_help_panel=holdings,
        ),
        "copycats": option(
            1000, min=0, help="Number of groups of traders who copy each other.", rich_help_panel=copies
        ),
        "group_size": option(
            "2-6", metavar="2-6", help="Traders in a group, including the leader.", rich_help_panel=copies
        ),
        "copy_match": option(
            0.9, help="Minimum match (Jaccard) of a copy with its leader.", rich_help_panel=copies
        ),
        "out": option(
            Path("portfolios.csv"),
            metavar="FILE",
            help="File for the portfolios: csv, csv.gz or parquet.",
            rich_help_panel=rest,
        ),
        "truth": option(
            None,
            metavar="FILE",
            help="File for the truth, as CSV: home sector, group, leader.",
            rich_help_panel=rest,
        ),
    }


def _match_options() -> dict[str, Any]:
    """Return the options of `match`, under the names of their parameters."""
    import typer

    return {
        "trader": typer.Argument(
            None, metavar="[TRADER]", help="The trader to find matches for.", show_default=False
        ),
        "holdings": typer.Option(
            None, metavar="A,B,...", help="Holdings of a trader who is not in the data."
        ),
        "min_match": typer.Option(0.9, help="Minimum match, above 0 and at most 1."),
        "metric": typer.Option(
            "jaccard",
            metavar="jaccard|containment|overlap|cosine",
            help="Shared tickers over those of both together, of TRADER, or of the smaller; or the cosine.",
        ),
        "quantities": typer.Option(False, "--quantities", help="Compare quantities as well."),
    }


def _generate_command(options: dict[str, Any]) -> Callable[..., None]:
    """Create the function whose signature and docstring typer reads for `generate`."""

    def generate(
        traders: int = options["traders"],
        tickers: str | None = options["tickers"],
        min_holdings: int = options["min_holdings"],
        max_holdings: int = options["max_holdings"],
        popularity: str = options["popularity"],
        sector_tilt: float | None = options["sector_tilt"],
        copycats: int = options["copycats"],
        group_size: str = options["group_size"],
        copy_match: float = options["copy_match"],
        seed: int = options["seed"],
        out: Path = options["out"],
        truth: Path | None = options["truth"],
    ) -> None:
        """Draw synthetic portfolios, some of which copy each other, and write them to a file."""
        given = dict(locals())  # first of all: later it would have more than the options
        from shapecluster.cli._portfolios import GenerateRequest, generate

        files = {"out": given.pop("out"), "truth": given.pop("truth")}
        generate(GenerateRequest(**given), **files)

    return generate


def _cluster_command(options: dict[str, Any]) -> Callable[..., None]:
    """Create the function whose signature and docstring typer reads for `cluster`."""

    def cluster(
        portfolios: Path | None = options["portfolios"],
        k: int = options["k"],
        algorithm: str = options["algorithm"],
        seed: int = options["seed"],
        out: Path = options["labels_out"],
    ) -> None:
        """Cluster traders by their holdings, and write the cluster of each."""
        from shapecluster.cli._portfolios import cluster

        cluster(portfolios, k, algorithm=algorithm, seed=seed, out=out)

    return cluster


def _sweep_command(options: dict[str, Any]) -> Callable[..., None]:
    """Create the function whose signature and docstring typer reads for `sweep`."""

    def sweep(
        portfolios: Path | None = options["portfolios"],
        k: str = options["ks"],
        algorithm: str = options["algorithm"],
        seed: int = options["seed"],
        out: Path | None = options["table_out"],
        chart: Path | None = options["chart"],
    ) -> None:
        """Cluster for many k, and show the SSD, its elbow and the silhouette of each."""
        from shapecluster.cli._portfolios import sweep

        sweep(portfolios, k, algorithm=algorithm, seed=seed, out=out, chart=chart)

    return sweep


def _match_command(options: dict[str, Any]) -> Callable[..., None]:
    """Create the function whose signature and docstring typer reads for `match`."""

    def match(
        trader: str | None = options["trader"],
        portfolios: Path | None = options["portfolios"],
        holdings: str | None = options["holdings"],
        min_match: float = options["min_match"],
        metric: str = options["metric"],
        quantities: bool = options["quantities"],
        seed: int = options["seed"],
        out: Path | None = options["table_out"],
    ) -> None:
        """Find all traders whose holdings match those of TRADER, or those of --holdings."""
        from shapecluster.cli._portfolios import MatchRequest, match

        request = MatchRequest(trader, holdings, min_match, metric, quantities)
        match(portfolios, request, seed=seed, out=out)

    return match
