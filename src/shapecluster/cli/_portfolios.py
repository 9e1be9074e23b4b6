"""`shapecluster portfolios generate`, `cluster`, `sweep` and `match`."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from shapecluster._files import atomic_write
from shapecluster._optional import import_optional
from shapecluster.cli import _kinds as kinds
from shapecluster.cli._common import console_messages, print_files, print_line, print_result, write_table
from shapecluster.cli._options import one_k, option, options, seed, several_k
from shapecluster.cli._portfolio_output import (
    describe_copycats,
    describe_portfolios,
    format_with_error,
    print_clusters,
    print_matches,
    print_sweep,
)
from shapecluster.exceptions import SweepWarning
from shapecluster.report._terminal import progress_bar
from shapecluster.report._text import format_count, format_number

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from shapecluster.metrics import SampledSilhouette
    from shapecluster.portfolios import Portfolios

# Sampled traders for the silhouette. A sweep takes fewer, because it has one for every k.
_N_SILHOUETTE_SAMPLES, _N_SWEEP_SAMPLES = 1000, 250
_PARQUET = (".parquet", ".pq")
_TABLES = (".csv", ".csv.gz", *_PARQUET)
_FACTOR = kinds.number(float, 0, metavar="FACTOR", above=True)
_MATCH = kinds.number(float, 0, 1, "MATCH", above=True)

_Popularity = Literal["uniform", "zipf"]
_Algorithm = Literal["k-means", "mini-batch", "bisecting"]
_Metric = Literal["jaccard", "containment", "overlap", "cosine"]

_table_out = partial(option, None, "File for the table, as CSV.", "Output", kinds.output(".csv"))


@options
class DrawOptions:
    """The options for generated portfolios. The defaults give the input of the other commands."""

    traders: int = option(
        100_000, "Number of traders.", "Traders", kinds.number(int, 1, 10**9), argument="n_traders"
    )
    tickers: tuple[str, ...] | None = option(
        None, "Tickers that can be held; the lab's 99 if left out.", "Holdings"
    )
    min_holdings: int = option(3, "Minimum holdings of a trader.", "Holdings", kinds.COUNT)
    max_holdings: int = option(10, "Maximum holdings of a trader.", "Holdings", kinds.COUNT)
    popularity: _Popularity = option("uniform", "Tickers equally often, or the first more often.", "Holdings")
    sector_tilt: float | None = option(
        None, "Factor for tickers of a trader's home sector (lab's tickers only).", "Holdings", _FACTOR
    )
    copycats: int = option(
        1000, "Groups of traders who copy each other.", "Copycats", kinds.number(int, 0), argument="n_groups"
    )
    group_size: tuple[int, int] = option(
        (2, 6), "Traders in a group, including the leader.", "Copycats", argument="size"
    )
    copy_match: float = option(
        0.9, "Minimum match (Jaccard) of a copy with its leader.", "Copycats", _MATCH, argument="match"
    )
    seed: int = seed(0)

    def draw(self) -> tuple[Portfolios, pd.DataFrame]:
        """Return the portfolios, and the true sector and group of each trader."""
        from shapecluster.datasets import Copycats, make_portfolios

        if self.sector_tilt is not None and self.tickers is not None:
            raise ValueError("--sector-tilt needs the sectors of the lab's tickers: leave --tickers out.")
        return make_portfolios(
            self.traders,
            self.tickers,
            min_holdings=self.min_holdings,
            max_holdings=self.max_holdings,
            popularity=self.popularity,
            sectors=None if self.sector_tilt is None else "lab",
            # Without sectors the factor has no effect, but None is not accepted.
            sector_tilt=4.0 if self.sector_tilt is None else self.sector_tilt,
            copycats=Copycats(self.copycats, self.group_size, self.copy_match) if self.copycats else None,
            return_truth=True,
            random_state=self.seed,
        )


@options
class GenerateOptions(DrawOptions):
    """The options of `generate`."""

    out: Path = option(
        Path("portfolios.csv"),
        "File for the portfolios: csv, csv.gz or parquet.",
        "Output",
        kinds.output(*_TABLES),
    )
    truth: Path | None = option(
        None, "File for the truth, as CSV: home sector, group, leader.", "Output", kinds.output(".csv")
    )


@options
class InputOptions:
    """The options that say which portfolios a command works on."""

    portfolios: Path | None = option(
        None, "Portfolios: csv, csv.gz or parquet (generated if left out).", "Traders", kinds.file(*_TABLES)
    )
    seed: int = seed(0)

    def load(self, console: Console) -> Portfolios:
        """Load portfolios; without a file generate those of `generate` with its defaults."""
        from shapecluster.portfolios import Portfolios

        path = self.portfolios
        if path is None:
            drawn, truth = DrawOptions(seed=self.seed).draw()
            about = f"{describe_portfolios(drawn)}; {describe_copycats(truth)}"
            print_line(console, f"Generated, seed {self.seed}: {about}.")
            return drawn
        is_parquet = path.name.lower().endswith(_PARQUET)
        loaded = Portfolios.from_parquet(path) if is_parquet else Portfolios.from_csv(path)
        print_line(console, f"{path}: {describe_portfolios(loaded)}.")
        return loaded


@options
class ClusteringOptions(InputOptions):
    """The options of commands that cluster traders."""

    algorithm: _Algorithm = option("k-means", "The clustering algorithm.", "Question")

    def clusterer(self) -> Any:
        """Return the estimator of scikit-learn."""
        from sklearn.cluster import BisectingKMeans, KMeans, MiniBatchKMeans

        known = {"k-means": KMeans, "mini-batch": MiniBatchKMeans, "bisecting": BisectingKMeans}
        # n_init is set because the three have different defaults.
        return known[self.algorithm](n_init=1, random_state=self.seed)

    def silhouette(self, portfolios: Portfolios, labels: Any, n_samples: int) -> SampledSilhouette:
        """Return the silhouette of a sample, which is the same for every k, so that they compare."""
        from shapecluster.metrics import sampled_silhouette

        return sampled_silhouette(portfolios.matrix, labels, n_samples=n_samples, random_state=self.seed)


@options
class ClusterOptions(ClusteringOptions):
    """The options of `cluster`."""

    k: int = one_k()
    out: Path = option(
        Path("clusters.csv"), "File for the cluster of each trader.", "Output", kinds.output(".csv")
    )


@options
class SweepOptions(ClusteringOptions):
    """The options of `sweep`."""

    k: tuple[int, ...] | None = several_k()
    out: Path | None = _table_out()
    chart: Path | None = option(
        None, "File for a chart of SSD by k (png, svg, pdf).", "Output", kinds.output(".png", ".svg", ".pdf")
    )


@options
class MatchOptions(InputOptions):
    """The options of `match`."""

    trader: str | None = option(
        None, "The trader to find matches for.", "Question", kinds.Kind("TRADER", str), positional=True
    )
    holdings: tuple[str, ...] | None = option(
        None, "Holdings of a trader who is not in the data.", "Question"
    )
    min_match: float = option(0.9, "Minimum match, above 0 and at most 1.", "Question", _MATCH)
    metric: _Metric = option(
        "jaccard",
        "Shared tickers over those of both together, of TRADER, or of the smaller; or the cosine.",
        "Question",
    )
    quantities: bool = option(False, "Compare quantities as well.", "Question")
    out: Path | None = _table_out()


def generate(options: GenerateOptions) -> None:
    """Draw synthetic portfolios, some of which copy each other, and write them to a file."""
    with console_messages():
        portfolios, truth = options.draw()
        is_parquet = options.out.suffix.lower() in _PARQUET
        write = portfolios.to_parquet if is_parquet else portfolios.to_csv
        write(options.out)
        if options.truth is not None:
            write_table(truth, options.truth, index=True)
    print_result(f"{describe_portfolios(portfolios)}.")
    if options.copycats:
        print_result(f"Among them {describe_copycats(truth)}.")
    print_files({"Portfolios": options.out, "Truth": options.truth})


def cluster(options: ClusterOptions) -> None:
    """Cluster traders by their holdings, and write the cluster of each."""
    import pandas as pd

    with console_messages() as console:
        portfolios = options.load(console)
        _check_k(options.k, portfolios)
        model = options.clusterer().set_params(n_clusters=options.k).fit(portfolios.matrix)
        silhouette = options.silhouette(portfolios, model.labels_, _N_SILHOUETTE_SAMPLES)
        labels = pd.DataFrame({"TRADER_ID": portfolios.trader_ids, "cluster": model.labels_})
        write_table(labels, options.out)
    print_result(
        f"{format_count(len(portfolios), 'trader')} in {format_count(options.k, 'cluster')}, "
        f"SSD {format_number(model.inertia_, 1)}, "
        f"silhouette {format_with_error(silhouette.mean, silhouette.error)}."
    )
    print_clusters(portfolios, model)
    print_files({"Clusters": options.out})


def sweep(options: SweepOptions) -> None:
    """Cluster for many k, and show the SSD, its elbow and the silhouette of each."""
    from shapecluster.model_selection import KSweep

    if options.chart is not None:
        import_optional("matplotlib", extra="plot", needed_for="Drawing a chart")
    ks = options.k or tuple(range(2, 21))
    with console_messages() as console:
        portfolios = options.load(console)
        _check_k(ks[-1], portfolios)
        with progress_bar(console) as progress:
            fitted = KSweep(
                options.clusterer(),
                ks,
                n_samples=0,  # the table has estimates with their errors instead
                progress=lambda fit: progress("fits", fit.done, fit.total),
            )
            warnings.simplefilter("ignore", SweepWarning)  # the table shows where the minimum SSD is
            fitted.fit(portfolios.matrix)
            silhouettes = [
                options.silhouette(portfolios, model.labels_, _N_SWEEP_SAMPLES)
                for model in fitted.estimators_.values()
            ]
        table = fitted.results_[["ssd", "elbow"]].assign(
            silhouette=[estimate.mean for estimate in silhouettes],
            silhouette_error=[estimate.error for estimate in silhouettes],
            seconds=fitted.results_["seconds"],
        )
        if options.out is not None:
            write_table(table, options.out, index=True)
        if options.chart is not None:
            from shapecluster.plotting import SSDCurveDisplay

            with atomic_write(options.chart) as chart:
                # By name, whose ending says the format.
                SSDCurveDisplay.from_sweep(fitted).figure_.savefig(chart.name, dpi=150, bbox_inches="tight")
    print_sweep(table, fitted)
    print_files({"Table": options.out, "Chart": options.chart})


def match(options: MatchOptions) -> None:
    """Find all traders whose holdings match those of TRADER, or those of --holdings."""
    from shapecluster.portfolios import PortfolioMatcher

    if (options.trader is None) == (options.holdings is None):
        raise ValueError("name either a TRADER or --holdings A,B,..., and not both.")
    with console_messages() as console:
        matcher = PortfolioMatcher(options.min_match, metric=options.metric, quantities=options.quantities)
        portfolios = options.load(console)
        matcher.fit(portfolios)
        query: int | str | list[str]
        if options.holdings is not None:
            query = holdings = list(options.holdings)
            holder = "The portfolio"
        else:
            query = _parse_trader(str(options.trader), portfolios)
            holdings, holder = portfolios[query].index.tolist(), f"Trader {query}"
        matches = matcher.matches(query)
        if options.out is not None:
            joined = {name: matches[name].map(" ".join) for name in ("shared", "missing", "extra")}
            write_table(matches.assign(**joined), options.out)
    rule = f"{options.metric} at least {options.min_match:g}"
    print_matches(matches, holdings, holder, rule, len(portfolios))
    # n holdings and one more ticker, the nearest portfolio that is not identical, have Jaccard n / (n + 1).
    n = len(holdings)
    if options.metric == "jaccard" and n and n / (n + 1) < options.min_match:
        print_result(f"With {format_count(n, 'holding')}, only an identical portfolio can reach this match.")
    print_files({"Table": options.out})


def _check_k(k: int, portfolios: Portfolios) -> None:
    if k > len(portfolios):
        raise ValueError(f"--k must be at most the {len(portfolios)} traders. Got {k} instead.")


def _parse_trader(text: str, portfolios: Portfolios) -> int | str:
    """Convert a trader's id to the type that the data have, and check that it exists."""
    trader: int | str = text
    if portfolios.trader_ids.dtype.kind == "i" and text.lstrip("-").isdecimal():
        trader = int(text)
    try:
        portfolios.position(trader)
    except KeyError as error:
        raise ValueError(f"{error.args[0]}.") from None  # str() of a KeyError would be quoted
    return trader
