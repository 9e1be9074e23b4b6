"""What `shapecluster portfolios generate`, `cluster`, `sweep` and `match` do."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shapecluster.cli._common import at_once, check_target, errors, say, told, write_table
from shapecluster.cli._portfolio_words import (
    copycats_in_words,
    in_words,
    print_clusters,
    print_matches,
    print_sweep,
    with_error,
)
from shapecluster.exceptions import SweepWarning

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from shapecluster import KSweep
    from shapecluster.portfolios import Portfolios

_SAMPLE, _SWEPT_SAMPLE = 1000, 250  # traders for the silhouette of one clustering, and of each of many
_TABLES = (".csv", ".csv.gz", ".parquet", ".pq")
_PICTURES = (".png", ".svg", ".pdf")


@dataclass(frozen=True, kw_only=True)
class PortfoliosRequest:
    """The options of `generate`, as they were typed; the defaults make what the other commands work on."""

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

    def made(self) -> tuple[Portfolios, pd.DataFrame]:
        """The portfolios, and what each trader was made as."""
        from shapecluster.datasets import Copycats, make_portfolios
        from shapecluster.report._request import read_names

        if self.popularity not in ("uniform", "zipf"):
            raise ValueError(f"--popularity must be uniform or zipf. Got {self.popularity!r} instead.")
        tickers = None if self.tickers is None else list(read_names(self.tickers, "--tickers"))
        if self.sector_tilt is not None and tickers is not None:
            raise ValueError("--sector-tilt needs the sectors of the lab's tickers: leave --tickers out.")
        groups = None
        if self.copycats:
            groups = Copycats(self.copycats, _read_size(self.group_size), self.copy_match)
        portfolios, truth = make_portfolios(
            self.traders,
            tickers,
            min_holdings=self.min_holdings,
            max_holdings=self.max_holdings,
            popularity=self.popularity,
            sectors=None if self.sector_tilt is None else "lab",
            sector_tilt=4.0 if self.sector_tilt is None else self.sector_tilt,
            copycats=groups,
            return_truth=True,
            random_state=self.seed,
        )
        return portfolios, truth


@dataclass(frozen=True)
class Question:
    """The options of `match`, as they were typed."""

    trader: str | None
    holdings: str | None
    min_match: float
    metric: str
    quantities: bool


def generate(request: PortfoliosRequest, *, out: Path, truth: Path | None) -> None:
    """Run `shapecluster portfolios generate`."""
    from shapecluster.report._terminal import make_console

    with errors(), told():
        check_target(out, "--out", _TABLES)
        if truth is not None:
            check_target(truth, "--truth", (".csv",))
        portfolios, made_as = request.made()
        write = portfolios.to_parquet if out.suffix.lower() in (".parquet", ".pq") else portfolios.to_csv
        write(out)
        if truth is not None:
            write_table(made_as, truth, index=True)
    console = make_console()
    say(console, f"{in_words(portfolios)}.")
    if request.copycats:
        say(console, f"Among them {copycats_in_words(made_as)}.")
    say(console, f"Portfolios: {out}")
    if truth is not None:
        say(console, f"Truth: {truth}")


def cluster(path: Path | None, k: int, *, algorithm: str, seed: int, out: Path) -> None:
    """Run `shapecluster portfolios cluster`."""
    import pandas as pd

    from shapecluster.metrics import sampled_silhouette
    from shapecluster.report import _words as words
    from shapecluster.report._terminal import make_console

    with errors(), told() as console:
        check_target(out, "--out", (".csv",))
        model = _clusterer(algorithm, seed).set_params(n_clusters=k)
        portfolios = _read(path, seed, console)
        if k > len(portfolios):
            raise ValueError(f"--k must be at most the {len(portfolios)} traders. Got {k} instead.")
        model.fit(portfolios.matrix)
        found = sampled_silhouette(
            portfolios.matrix, model.labels_, n_samples=_SAMPLE, random_state=np.random.RandomState(seed)
        )
        labels = pd.DataFrame({"TRADER_ID": portfolios.trader_ids, "cluster": model.labels_})
        write_table(labels, out)
    console = make_console()
    say(
        console,
        f"{words.count(len(portfolios), 'trader')} in {words.count(k, 'cluster')}, "
        f"SSD {words.number(model.inertia_, 1)}, silhouette {with_error(found.mean, found.error)}.",
    )
    print_clusters(portfolios, model, console)
    say(console, f"Clusters: {out}")


def sweep(
    path: Path | None, k: str, *, algorithm: str, seed: int, out: Path | None, chart: Path | None
) -> None:
    """Run `shapecluster portfolios sweep`."""
    from shapecluster import KSweep
    from shapecluster.report._request import read_ks
    from shapecluster.report._terminal import make_console, progress_bar

    with errors(), told() as console:
        ks = read_ks(k)
        if out is not None:
            check_target(out, "--out", (".csv",))
        if chart is not None:
            check_target(chart, "--chart", _PICTURES)
            _import_matplotlib()
        model = _clusterer(algorithm, seed)
        portfolios = _read(path, seed, console)
        if ks[-1] > len(portfolios):
            raise ValueError(f"--k must be at most the {len(portfolios)} traders. Got {ks[-1]} instead.")
        with progress_bar(console) as told_progress:
            swept = KSweep(
                model,
                ks,
                n_samples=0,
                progress=lambda news: told_progress("fits", news.done, news.total),
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SweepWarning)  # the table shows where the least SSD is
                swept.fit(portfolios.matrix)
            table = _with_silhouettes(swept, portfolios, seed)
        if out is not None:
            write_table(table, out, index=True)
        if chart is not None:
            _draw(swept, chart)
    console = make_console()
    print_sweep(table, swept, console)
    for written, what in ((out, "Table"), (chart, "Chart")):
        if written is not None:
            say(console, f"{what}: {written}")


def match(path: Path | None, question: Question, *, seed: int, out: Path | None) -> None:
    """Run `shapecluster portfolios match`."""
    from shapecluster import PortfolioMatcher
    from shapecluster.report import _words as words
    from shapecluster.report._request import read_names
    from shapecluster.report._terminal import make_console

    with errors(), told() as console:
        if (question.trader is None) == (question.holdings is None):
            raise ValueError("name either a TRADER or --holdings A,B,..., and not both.")
        if out is not None:
            check_target(out, "--out", (".csv",))
        settings: dict[str, Any] = {"min_match": question.min_match, "metric": question.metric}
        matcher = PortfolioMatcher(**settings, quantities=question.quantities)
        portfolios = _read(path, seed, console)
        matcher.fit(portfolios)
        asker: Any
        if question.holdings is not None:
            asker = list(read_names(question.holdings, "--holdings"))
            held, who = asker, "The portfolio"
        else:
            asker = _trader(question.trader, portfolios)
            held, who = portfolios[asker].index.tolist(), f"Trader {asker}"
        found = matcher.matches(asker)
        if out is not None:
            joined = {name: found[name].map(" ".join) for name in ("shared", "missing", "extra")}
            write_table(found.assign(**joined), out)
    console = make_console()
    asked = f"{question.metric} at least {question.min_match:g}"
    print_matches(found, held, who, asked, len(portfolios), console)
    if question.metric == "jaccard" and held and len(held) / (len(held) + 1) < question.min_match:
        n_held = words.count(len(held), "holding")
        say(console, f"With {n_held}, only an identical portfolio can match so well.")
    if out is not None:
        say(console, f"Table: {out}")


# ------------------------------------------------------------------------------------------------- input


def _read(path: Path | None, seed: int, console: Console) -> Portfolios:
    """The portfolios of a file, or without one those that `generate` makes by default."""
    from shapecluster.portfolios import Portfolios

    if path is None:
        portfolios, truth = PortfoliosRequest(seed=seed).made()
        say(console, f"Generated, seed {seed}: {in_words(portfolios)}; {copycats_in_words(truth)}.")
        return portfolios
    if not path.name.lower().endswith(_TABLES):
        raise ValueError(f"--portfolios must name a file ending in {', '.join(_TABLES)}. Got {str(path)!r}.")
    is_text = path.name.lower().endswith((".csv", ".csv.gz"))
    read = Portfolios.from_csv(path) if is_text else Portfolios.from_parquet(path)
    say(console, f"{path}: {in_words(read)}.")
    return read


def _clusterer(algorithm: str, seed: int) -> Any:
    from sklearn.cluster import BisectingKMeans, KMeans, MiniBatchKMeans

    known: dict[str, Any] = {"k-means": KMeans, "mini-batch": MiniBatchKMeans, "bisecting": BisectingKMeans}
    if algorithm not in known:
        raise ValueError(f"--algorithm must be one of {', '.join(known)}. Got {algorithm!r} instead.")
    return known[algorithm](n_init=1, random_state=seed)


def _trader(text: str | None, portfolios: Portfolios) -> int | str:
    """A trader's id as it was typed, in the type that the data has."""
    wanted: int | str = str(text)
    if portfolios.trader_ids.dtype.kind == "i" and str(text).lstrip("-").isdecimal():
        wanted = int(str(text))
    try:
        portfolios.position(wanted)
    except KeyError as error:
        raise ValueError(f"{error.args[0]}.") from None
    return wanted


def _read_size(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    ends = (first.strip(), last.strip() if dash else first.strip())
    if not all(end.isdecimal() and end.isascii() and len(end) < 10 for end in ends):
        raise ValueError(f"--group-size must be like 5, or 2-6. Got {text!r} instead.")
    return int(ends[0]), int(ends[1])


# ------------------------------------------------------------------------------------------------ output


def _with_silhouettes(swept: KSweep, portfolios: Portfolios, seed: int) -> pd.DataFrame:
    """The table of a sweep, with sampled silhouettes and their errors."""
    from shapecluster.metrics import sampled_silhouette

    found = [
        sampled_silhouette(
            portfolios.matrix,
            fitted.labels_,
            n_samples=_SWEPT_SAMPLE,
            random_state=np.random.RandomState(seed),
        )
        for fitted in swept.estimators_.values()
    ]
    columns = {"silhouette": [one.mean for one in found], "silhouette_error": [one.error for one in found]}
    return swept.results_[["ssd", "elbow"]].assign(**columns, seconds=swept.results_["seconds"])


def _import_matplotlib() -> None:
    from shapecluster._optional import import_optional

    import_optional("matplotlib", extra="plot", needed_for="Drawing a chart")


def _draw(swept: KSweep, path: Path) -> None:
    from shapecluster.plotting import SSDCurveDisplay

    with at_once(path) as stage:
        SSDCurveDisplay.from_sweep(swept).figure_.savefig(stage, dpi=150, bbox_inches="tight")
