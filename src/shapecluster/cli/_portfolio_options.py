"""The commands `shapecluster portfolios ...` and their options, as typer reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from shapecluster.cli._common import command_group

_HELP = """Portfolios of very many traders: generate them, cluster them, and find who holds the same."""


def add_commands(app: Any, typer: Any) -> None:
    """Add the commands to the application.

    Parameters
    ----------
    app : typer.Typer
        The application.
    typer : module
        The package itself, which is imported late.
    """
    group = command_group(app, typer, "portfolios", _HELP)
    options = _common_options(typer.Option) | _generate_options(typer.Option) | _match_options(typer)
    group.command("generate")(_generate_command(options))
    group.command("cluster")(_cluster_command(options))
    group.command("sweep")(_sweep_command(options))
    group.command("match")(_match_command(options))


def _common_options(option: Any) -> dict[str, Any]:
    return {
        "portfolios": option(
            None,
            metavar="FILE",
            help="Portfolios: csv, csv.gz or parquet; left out: those that `generate` makes.",
        ),
        "seed": option(
            0, min=0, max=2**32 - 1, help="Seeds what is generated, the clustering and the sample."
        ),
        "algorithm": option(
            "k-means", metavar="k-means|mini-batch|bisecting", help="How the traders are clustered."
        ),
        "k": option(8, "--k", "-k", min=1, help="Number of clusters."),
        "ks": option("2-20", "--k", "-k", metavar="2-20", help="Numbers of clusters: 2-20, or 2,5,8."),
        "labels_out": option(
            Path("clusters.csv"), "--out", metavar="FILE", help="Where the cluster of each trader goes."
        ),
        "table_out": option(None, "--out", metavar="FILE", help="Where the table goes, as CSV."),
        "chart": option(None, metavar="FILE", help="Where a picture of the SSD by k goes (png, svg, pdf)."),
    }


def _generate_options(option: Any) -> dict[str, Any]:
    who, what, copies, rest = "Traders", "Holdings", "Copycats", "Output"
    return {
        "traders": option(100_000, min=1, help="Number of traders.", rich_help_panel=who),
        "tickers": option(
            None,
            metavar="A,B,...",
            help="What there is to hold; the lab's 99 if left out.",
            rich_help_panel=what,
        ),
        "min_holdings": option(3, min=1, help="The least that a trader holds.", rich_help_panel=what),
        "max_holdings": option(10, min=1, help="The most that a trader holds.", rich_help_panel=what),
        "popularity": option(
            "uniform",
            metavar="uniform|zipf",
            help="All tickers alike, or the first ones more often.",
            rich_help_panel=what,
        ),
        "sector_tilt": option(
            None,
            min=0.0,
            help="Each trader has a home sector, whose tickers are so many times likelier (lab's tickers).",
            rich_help_panel=what,
        ),
        "copycats": option(
            1000, min=0, help="Groups of traders who copy one another.", rich_help_panel=copies
        ),
        "group_size": option(
            "2-6", metavar="2-6", help="Traders in a group, the leader among them.", rich_help_panel=copies
        ),
        "copy_match": option(
            0.9, help="The least match (Jaccard) of a copy and its leader.", rich_help_panel=copies
        ),
        "out": option(
            Path("portfolios.csv"),
            metavar="FILE",
            help="Where they go: csv, csv.gz or parquet.",
            rich_help_panel=rest,
        ),
        "truth": option(
            None,
            metavar="FILE",
            help="Where the truth goes, as CSV: home sector, group, leader.",
            rich_help_panel=rest,
        ),
    }


def _match_options(typer: Any) -> dict[str, Any]:
    option = typer.Option
    return {
        "trader": typer.Argument(None, metavar="[TRADER]", help="Who asks.", show_default=False),
        "holdings": option(None, metavar="A,B,...", help="Holdings of a trader who is not in the data."),
        "min_match": option(0.9, help="The least match that counts, above 0 and at most 1."),
        "metric": option(
            "jaccard",
            metavar="jaccard|containment|overlap|cosine",
            help="Shared tickers over those of either, of the asker, of the smaller; or the cosine.",
        ),
        "quantities": option(False, "--quantities", help="Compare how much is held, too."),
    }


def _generate_command(options: dict[str, Any]) -> Any:
    """Make the function that typer reads `generate` from."""

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
        """Draw synthetic portfolios, some of which copy one another, and write them to a file."""
        given = dict(locals())
        from shapecluster.cli._portfolios import PortfoliosRequest, generate

        files = {"out": given.pop("out"), "truth": given.pop("truth")}
        generate(PortfoliosRequest(**given), **files)

    return generate


def _cluster_command(options: dict[str, Any]) -> Any:
    """Make the function that typer reads `cluster` from."""

    def cluster(
        portfolios: Path | None = options["portfolios"],
        k: int = options["k"],
        algorithm: str = options["algorithm"],
        seed: int = options["seed"],
        out: Path = options["labels_out"],
    ) -> None:
        """Cluster traders by what they hold, and write the cluster of each."""
        from shapecluster.cli._portfolios import cluster

        cluster(portfolios, k, algorithm=algorithm, seed=seed, out=out)

    return cluster


def _sweep_command(options: dict[str, Any]) -> Any:
    """Make the function that typer reads `sweep` from."""

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


def _match_command(options: dict[str, Any]) -> Any:
    """Make the function that typer reads `match` from."""

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
        """Find everyone whose holdings match those of TRADER, or those given by --holdings."""
        from shapecluster.cli._portfolios import Question, match

        question = Question(trader, holdings, min_match, metric, quantities)
        match(portfolios, question, seed=seed, out=out)

    return match
