"""The runs of `shapecluster portfolios generate`, `cluster`, `sweep` and `match`."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from shapecluster._files import atomic_write
from shapecluster.cli._common import (
    as_command_errors,
    check_writable,
    console_messages,
    print_line,
    write_table,
)
from shapecluster.cli._portfolio_output import (
    describe_copycats,
    describe_portfolios,
    format_with_error,
    print_clusters,
    print_matches,
    print_sweep,
)
from shapecluster.exceptions import SweepWarning

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from shapecluster.model_selection import KSweep
    from shapecluster.portfolios import Portfolios

# Sampled traders for the silhouette. A sweep takes fewer, because it has one for every k.
_N_SILHOUETTE_SAMPLES, _N_SWEEP_SAMPLES = 1000, 250
_TABLE_SUFFIXES = (".csv", ".csv.gz", ".parquet", ".pq")
_CHART_SUFFIXES = (".png", ".svg", ".pdf")


@dataclass(frozen=True, kw_only=True)
class GenerateRequest:
    """The options of `generate`, as typed. With the defaults they give the input of the other commands."""

    seed: int
    traders: int = 100_000
    tickers: str | None = None
    min_holdings: int = 3
    max_holdings: int = 10
    popularity: str = "uniform"
    sector_tilt: float | None = None
    copycats: int = 1000
    group_size: str = "2-6"
    copy_match: float = 0.9

    def generate(self) -> tuple[Portfolios, pd.DataFrame]:
        """Return the portfolios, and the true sector and group of each trader."""
        from shapecluster.datasets import Copycats, make_portfolios
        from shapecluster.report._request import parse_tickers

        if self.popularity not in ("uniform", "zipf"):
            raise ValueError(f"--popularity must be uniform or zipf. Got {self.popularity!r} instead.")
        tickers = None if self.tickers is None else list(parse_tickers(self.tickers, "--tickers"))
        if self.sector_tilt is not None and tickers is not None:
            raise ValueError("--sector-tilt needs the sectors of the lab's tickers: leave --tickers out.")
        groups = None
        if self.copycats:
            groups = Copycats(self.copycats, _parse_group_size(self.group_size), self.copy_match)
        portfolios, truth = make_portfolios(
            self.traders,
            tickers,
            min_holdings=self.min_holdings,
            max_holdings=self.max_holdings,
            popularity=cast('Literal["uniform", "zipf"]', self.popularity),
            sectors=None if self.sector_tilt is None else "lab",
            # Without sectors the factor has no effect, but None is not accepted.
            sector_tilt=4.0 if self.sector_tilt is None else self.sector_tilt,
            copycats=groups,
            return_truth=True,
            random_state=self.seed,
        )
        return portfolios, truth


@dataclass(frozen=True)
class MatchRequest:
    """The options of `match`, as typed."""

    trader: str | None
    holdings: str | None
    min_match: float
    metric: str
    quantities: bool


def generate(request: GenerateRequest, *, out: Path, truth: Path | None) -> None:
    """Run `shapecluster portfolios generate`."""
    from shapecluster.report._terminal import make_console

    with as_command_errors(), console_messages():
        check_writable(out, "--out", _TABLE_SUFFIXES)
        if truth is not None:
            check_writable(truth, "--truth", (".csv",))
        portfolios, true_groups = request.generate()
        write = portfolios.to_parquet if out.suffix.lower() in (".parquet", ".pq") else portfolios.to_csv
        write(out)
        if truth is not None:
            write_table(true_groups, truth, index=True)
    console = make_console()
    print_line(console, f"{describe_portfolios(portfolios)}.")
    if request.copycats:
        print_line(console, f"Among them {describe_copycats(true_groups)}.")
    print_line(console, f"Portfolios: {out}")
    if truth is not None:
        print_line(console, f"Truth: {truth}")


def cluster(path: Path | None, k: int, *, algorithm: str, seed: int, out: Path) -> None:
    """Run `shapecluster portfolios cluster`."""
    import pandas as pd

    from shapecluster.metrics import sampled_silhouette
    from shapecluster.report._terminal import make_console
    from shapecluster.report._text import format_count, format_number

    with as_command_errors(), console_messages() as console:
        check_writable(out, "--out", (".csv",))
        model = _make_clusterer(algorithm, seed).set_params(n_clusters=k)
        portfolios = _load_or_generate(path, seed, console)
        if k > len(portfolios):
            raise ValueError(f"--k must be at most the {len(portfolios)} traders. Got {k} instead.")
        model.fit(portfolios.matrix)
        silhouette = sampled_silhouette(
            portfolios.matrix,
            model.labels_,
            n_samples=_N_SILHOUETTE_SAMPLES,
            random_state=np.random.RandomState(seed),
        )
        labels = pd.DataFrame({"TRADER_ID": portfolios.trader_ids, "cluster": model.labels_})
        write_table(labels, out)
    console = make_console()
    print_line(
        console,
        f"{format_count(len(portfolios), 'trader')} in {format_count(k, 'cluster')}, "
        f"SSD {format_number(model.inertia_, 1)}, "
        f"silhouette {format_with_error(silhouette.mean, silhouette.error)}.",
    )
    print_clusters(portfolios, model, console)
    print_line(console, f"Clusters: {out}")


def sweep(
    path: Path | None, k: str, *, algorithm: str, seed: int, out: Path | None, chart: Path | None
) -> None:
    """Run `shapecluster portfolios sweep`."""
    from shapecluster.model_selection import KSweep
    from shapecluster.report._request import parse_ks
    from shapecluster.report._terminal import make_console, progress_bar

    with as_command_errors(), console_messages() as console:
        ks = parse_ks(k)
        if out is not None:
            check_writable(out, "--out", (".csv",))
        if chart is not None:
            check_writable(chart, "--chart", _CHART_SUFFIXES)
            _check_matplotlib()
        model = _make_clusterer(algorithm, seed)
        portfolios = _load_or_generate(path, seed, console)
        if ks[-1] > len(portfolios):
            raise ValueError(f"--k must be at most the {len(portfolios)} traders. Got {ks[-1]} instead.")
        with progress_bar(console) as progress:
            fitted = KSweep(
                model,
                ks,
                n_samples=0,  # `_add_silhouettes` has estimates with their errors instead
                progress=lambda fit: progress("fits", fit.done, fit.total),
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SweepWarning)  # the table shows where the minimum SSD is
                fitted.fit(portfolios.matrix)
            table = _add_silhouettes(fitted, portfolios, seed)
        if out is not None:
            write_table(table, out, index=True)
        if chart is not None:
            _draw_chart(fitted, chart)
    console = make_console()
    print_sweep(table, fitted, console)
    for file, title in ((out, "Table"), (chart, "Chart")):
        if file is not None:
            print_line(console, f"{title}: {file}")


def match(path: Path | None, request: MatchRequest, *, seed: int, out: Path | None) -> None:
    """Run `shapecluster portfolios match`."""
    from shapecluster.portfolios import PortfolioMatcher
    from shapecluster.report._request import parse_tickers
    from shapecluster.report._terminal import make_console
    from shapecluster.report._text import format_count

    with as_command_errors(), console_messages() as console:
        if (request.trader is None) == (request.holdings is None):
            raise ValueError("name either a TRADER or --holdings A,B,..., and not both.")
        if out is not None:
            check_writable(out, "--out", (".csv",))
        # The matcher checks both values, so they are passed as typed.
        parameters: dict[str, Any] = {"min_match": request.min_match, "metric": request.metric}
        matcher = PortfolioMatcher(**parameters, quantities=request.quantities)
        portfolios = _load_or_generate(path, seed, console)
        matcher.fit(portfolios)
        query: int | str | list[str]
        if request.holdings is not None:
            query = holdings = list(parse_tickers(request.holdings, "--holdings"))
            holder = "The portfolio"
        else:
            query = _parse_trader(request.trader, portfolios)
            holdings, holder = portfolios[query].index.tolist(), f"Trader {query}"
        matches = matcher.matches(query)
        if out is not None:
            joined = {name: matches[name].map(" ".join) for name in ("shared", "missing", "extra")}
            write_table(matches.assign(**joined), out)
    console = make_console()
    rule = f"{request.metric} at least {request.min_match:g}"
    print_matches(matches, holdings, holder, rule, len(portfolios), console)
    # n holdings and one more ticker, the nearest portfolio that is not identical, have Jaccard n / (n + 1).
    n = len(holdings)
    if request.metric == "jaccard" and n and n / (n + 1) < request.min_match:
        print_line(
            console, f"With {format_count(n, 'holding')}, only an identical portfolio can reach this match."
        )
    if out is not None:
        print_line(console, f"Table: {out}")


# ------------------------------------------------------------------------------------------------- input


def _load_or_generate(path: Path | None, seed: int, console: Console) -> Portfolios:
    """Load portfolios; without a file generate those of `generate` with its defaults."""
    from shapecluster.portfolios import Portfolios

    if path is None:
        portfolios, truth = GenerateRequest(seed=seed).generate()
        print_line(
            console, f"Generated, seed {seed}: {describe_portfolios(portfolios)}; {describe_copycats(truth)}."
        )
        return portfolios
    if not path.name.lower().endswith(_TABLE_SUFFIXES):
        raise ValueError(
            f"--portfolios must name a file ending in {', '.join(_TABLE_SUFFIXES)}. Got {str(path)!r}."
        )
    is_text = path.name.lower().endswith((".csv", ".csv.gz"))
    loaded = Portfolios.from_csv(path) if is_text else Portfolios.from_parquet(path)
    print_line(console, f"{path}: {describe_portfolios(loaded)}.")
    return loaded


def _make_clusterer(algorithm: str, seed: int) -> Any:
    from sklearn.cluster import BisectingKMeans, KMeans, MiniBatchKMeans

    known: dict[str, Any] = {"k-means": KMeans, "mini-batch": MiniBatchKMeans, "bisecting": BisectingKMeans}
    if algorithm not in known:
        raise ValueError(f"--algorithm must be one of {', '.join(known)}. Got {algorithm!r} instead.")
    # n_init is set because the three have different defaults.
    return known[algorithm](n_init=1, random_state=seed)


def _parse_trader(text: str | None, portfolios: Portfolios) -> int | str:
    """Convert a trader's id to the type that the data have, and check that it exists."""
    trader: int | str = str(text)
    if portfolios.trader_ids.dtype.kind == "i" and str(text).lstrip("-").isdecimal():
        trader = int(str(text))
    try:
        portfolios.position(trader)
    except KeyError as error:
        raise ValueError(f"{error.args[0]}.") from None  # str() of a KeyError would be quoted
    return trader


def _parse_group_size(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    ends = (first.strip(), last.strip() if dash else first.strip())
    if not all(end.isdecimal() and end.isascii() and len(end) < 10 for end in ends):
        raise ValueError(f"--group-size must be like 5, or 2-6. Got {text!r} instead.")
    return int(ends[0]), int(ends[1])


# ------------------------------------------------------------------------------------------------ output


def _add_silhouettes(sweep: KSweep, portfolios: Portfolios, seed: int) -> pd.DataFrame:
    """Return the results of a sweep with sampled silhouettes and their standard errors."""
    from shapecluster.metrics import sampled_silhouette

    estimates = [
        sampled_silhouette(
            portfolios.matrix,
            fitted.labels_,
            n_samples=_N_SWEEP_SAMPLES,
            random_state=np.random.RandomState(seed),  # the same sample for every k, so that they compare
        )
        for fitted in sweep.estimators_.values()
    ]
    columns = {
        "silhouette": [estimate.mean for estimate in estimates],
        "silhouette_error": [estimate.error for estimate in estimates],
    }
    return sweep.results_[["ssd", "elbow"]].assign(**columns, seconds=sweep.results_["seconds"])


def _check_matplotlib() -> None:
    from shapecluster._optional import import_optional

    import_optional("matplotlib", extra="plot", needed_for="Drawing a chart")


def _draw_chart(sweep: KSweep, path: Path) -> None:
    from shapecluster.plotting import SSDCurveDisplay

    with atomic_write(path) as file:
        # By name, whose ending says the format.
        SSDCurveDisplay.from_sweep(sweep).figure_.savefig(file.name, dpi=150, bbox_inches="tight")
