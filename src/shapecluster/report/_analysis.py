"""From clean prices to findings: pure functions, which read no files and print nothing."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_mutual_info_score

from shapecluster._typing import Float64Array
from shapecluster._validation import listing
from shapecluster.cluster import LocalKShape
from shapecluster.exceptions import SweepWarning
from shapecluster.metrics import sbd_distances
from shapecluster.model_selection import KSweep, SweepProgress
from shapecluster.neighbors import ShapeNeighbors
from shapecluster.preprocessing import LogReturns
from shapecluster.report._findings import (
    DEFAULT_LARGEST_K,
    Choice,
    Cleaning,
    Cluster,
    PriceSource,
    StocksFindings,
    StocksSettings,
)

StageProgress = Callable[[str, int, int], None]
"""Told of a stage, how much of it is done, and its total."""

_NEAREST_ANYWAY = 10  # pairs to show when none is near-identical
_MOST_MASKED = 0.6  # an identical stock seen for the last quarter only has SBD 0.53
_LEAST_COVERAGE = 0.2
_RARELY = 0.5  # share of days below which a stock's cluster is hardly a finding
_LONG_LAG = 21  # trading days in a month

_LEVELS_NOTE = (
    "Price levels are compared, which is the lab's recipe: two trending prices look alike whatever the "
    "companies do. On 470 stocks of the S&P 500 (2013-2018, 11 clusters) levels agree with sectors to 0.14, "
    "log returns to 0.67 (adjusted mutual information), and neighbors by levels last less: in the half year "
    "after, they correlate by 0.17, neighbors by log returns by 0.30. Use --on log-returns to see who moves "
    "together."
)


@dataclass(frozen=True)
class Analysis:
    """Findings, and what the pictures are drawn from.

    Parameters
    ----------
    findings : StocksFindings
        What was found.
    sweep : KSweep
        Fitted; `best_estimator_` has the clusters that are shown.
    series : DataFrame of shape (n_stocks, n_timepoints)
        What was compared: log returns or price levels.
    """

    findings: StocksFindings
    sweep: KSweep
    series: pd.DataFrame


def check_settings(
    settings: StocksSettings, tickers: pd.Index[Any], dropped: Mapping[str, str]
) -> tuple[int, ...]:
    """Check what was asked against the stocks there are, before any work is done.

    Parameters
    ----------
    settings : StocksSettings
        What was asked.
    tickers : Index
        The stocks that will be compared.
    dropped : mapping of str to str
        Why others were dropped while cleaning.

    Returns
    -------
    tuple of int
        The numbers of clusters to try.

    Raises
    ------
    ValueError
        When there are fewer than three stocks, a k is too large, or holdings are not among the stocks;
        the message names all of them.
    """
    n = len(tickers)
    if n < 3:
        raise ValueError(f"clusters need at least 3 stocks. Got {n} instead: {listing(tickers)}.")
    ks = settings.k or tuple(range(2, min(DEFAULT_LARGEST_K, n - 1) + 1))
    if max(ks) > n:
        raise ValueError(f"k must be at most the number of stocks, {n}. Got {max(ks)} instead.")
    absent = [name for name in settings.portfolio if name not in tickers]
    if absent:
        raise ValueError(
            f"the portfolio names stocks that are not there: {_explained(absent, tickers, dropped)}."
        )
    if settings.portfolio and n - len(settings.portfolio) < 1:
        raise ValueError("the portfolio holds every stock there is, which leaves none to be a look-alike.")
    return ks


def analyze(
    prices: pd.DataFrame,
    settings: StocksSettings,
    source: PriceSource,
    cleaning: Cleaning,
    *,
    dropped: Mapping[str, str] | None = None,
    progress: StageProgress | None = None,
) -> Analysis:
    """Find clusters, near-identical pairs, and the look-alikes of a portfolio.

    Parameters
    ----------
    prices : DataFrame of shape (n_stocks, n_days)
        Clean prices, tickers as rows; NaN only where a stock was not listed or not observed.
    settings : StocksSettings
        What is asked.
    source : PriceSource
        Where the prices came from.
    cleaning : Cleaning
        What was done to them.
    dropped : mapping of str to str, default=None
        Why stocks were dropped, for the error about a holding that is not there.
    progress : callable, default=None
        Called with the stage, how much of it is done, and its total.

    Returns
    -------
    Analysis
        The findings, the fitted sweep and the series.

    Raises
    ------
    ValueError
        For settings that do not suit the prices, or prices that cannot be compared.
    """
    told = progress or (lambda stage, done, total: None)
    ks = check_settings(settings, prices.index, dropped or {})
    missing: Literal["error", "mask"] = "mask" if bool(prices.isna().to_numpy().any()) else "error"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        series = LogReturns(missing=missing).fit_transform(prices) if settings.on == "log-returns" else prices
        sweep = _sweep(series, ks, settings, missing, told)
        told("Comparing all pairs", 0, 1)
        pairs, n_identical = near_identical(series, settings, missing, source.sectors)
        told("Comparing all pairs", 1, 1)
        look_alikes, basket = _look_alikes(series, settings, missing, source.sectors, told)
    members = _members(sweep.best_estimator_, source.sectors)
    findings = StocksFindings(
        source=source,
        settings=settings,
        n_stocks=len(prices),
        n_days=prices.shape[1],
        n_incomplete=int(prices.isna().any(axis=1).sum()),
        first_day=_day(prices.columns[0]),
        last_day=_day(prices.columns[-1]),
        choice=_choice(sweep),
        sweep=sweep.results_.drop(columns="seconds"),  # the same input gives the same files
        clusters=_clusters(members),
        members=members,
        sector_agreement=_sector_agreement(members),
        pairs=pairs,
        n_identical=n_identical,
        look_alikes=look_alikes,
        basket=basket,
        cleaning=cleaning,
        notes=_notes(prices, ks, settings, source, look_alikes, caught),
    )
    return Analysis(findings, sweep, series)


def near_identical(
    series: pd.DataFrame,
    settings: StocksSettings,
    missing: Literal["error", "mask"],
    sectors: Mapping[str, str],
) -> tuple[pd.DataFrame, int]:
    """Find the pairs of stocks that are nearly the same.

    A pair that is not observed all the time counts by its correlation over the days that both have:
    SBD punishes days that are missing, and would hide a late-listed twin.

    Returns
    -------
    pairs : DataFrame
        Columns as in `StocksFindings.pairs`; the nearest few when none is near-identical.
    n_identical : int
        How many are.
    """
    sbd, shifts = sbd_distances(
        series, max_shift=settings.max_shift, missing=missing, return_shift=True, n_jobs=settings.n_jobs
    )
    values = series.to_numpy(dtype=np.float64)
    partial = np.isnan(values).any(axis=1)
    first, second = np.triu_indices(len(values), k=1)
    distance = sbd[first, second]
    limit = settings.identical_below
    plausible = distance <= np.where(partial[first] | partial[second], max(limit, _MOST_MASKED), limit)
    nearest = np.argsort(distance, kind="stable")[:_NEAREST_ANYWAY]
    rows = []
    for at in np.union1d(np.flatnonzero(plausible), nearest):
        a, b = int(first[at]), int(second[at])
        lag = int(shifts[b, a])  # by how much the second trails the first
        correlation, coverage = _joint_correlation(values[b], values[a], lag)
        effective = sbd[a, b]
        if (partial[a] or partial[b]) and coverage >= _LEAST_COVERAGE:
            effective = min(effective, 1.0 - correlation)
        rows.append((effective, a, b, sbd[a, b], lag, correlation, coverage))
    rows.sort()
    n_identical = sum(row[0] <= limit for row in rows)
    names = [str(name) for name in series.index]
    records = [
        (names[a], names[b], sectors.get(names[a]), sectors.get(names[b]), *numbers)
        for _, a, b, *numbers in rows[: n_identical or _NEAREST_ANYWAY]
    ]
    columns = ["first", "second", "first_sector", "second_sector", "sbd", "lag", "correlation", "coverage"]
    return pd.DataFrame(records, columns=columns), n_identical


def _joint_correlation(x: Float64Array, y: Float64Array, lag: int) -> tuple[float, float]:
    """Correlation of x, moved back by `lag`, with y where both are observed; and how much that is."""
    n = len(x)
    x, y = (x[lag:], y[: n - lag]) if lag >= 0 else (x[: n + lag], y[-lag:])
    both = ~(np.isnan(x) | np.isnan(y))
    x, y = x[both], y[both]
    coverage = len(x) / n
    x, y = x - x.mean() if len(x) else x, y - y.mean() if len(y) else y
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return (float(np.clip((x @ y) / scale, -1.0, 1.0)) if scale > 0 else 0.0), coverage


def _sweep(
    series: pd.DataFrame,
    ks: tuple[int, ...],
    settings: StocksSettings,
    missing: Literal["error", "mask"],
    told: StageProgress,
) -> KSweep:
    """Cluster for every k."""

    def on_fit(fit: SweepProgress) -> None:
        told("Clustering", fit.done, fit.total)

    told("Clustering", 0, len(ks))
    model = LocalKShape(max_shift=settings.max_shift, missing=missing, random_state=settings.seed)
    sweep = KSweep(model, ks, criterion=settings.criterion, n_jobs=settings.n_jobs, progress=on_fit)
    return sweep.fit(series)


def _look_alikes(
    series: pd.DataFrame,
    settings: StocksSettings,
    missing: Literal["error", "mask"],
    sectors: Mapping[str, str],
    told: StageProgress,
) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    """Find the look-alikes of every holding, and of the portfolio as a whole."""
    if not settings.portfolio:
        return None, None
    told("Finding look-alikes", 0, 1)
    model = ShapeNeighbors(max_shift=settings.max_shift, missing=missing, n_jobs=settings.n_jobs).fit(series)
    n = min(settings.n_look_alikes, len(series) - len(settings.portfolio))
    found = []
    for basket in (False, True):
        table = model.similar(list(settings.portfolio), n, basket=basket)
        table.insert(1, "rank", table.groupby("holding", sort=False).cumcount() + 1)
        table.insert(3, "sector", [sectors.get(str(name)) for name in table["look_alike"]])
        found.append(table.drop(columns="holding") if basket else table)
    told("Finding look-alikes", 1, 1)
    return found[0], found[1]


def _members(model: LocalKShape, sectors: Mapping[str, str]) -> pd.DataFrame:
    """One row a stock, by cluster and nearness to its centroid."""
    frame = model.labels_frame().rename_axis("ticker").reset_index()
    frame["ticker"] = frame["ticker"].astype(str)
    frame["sector"] = [sectors.get(ticker) for ticker in frame["ticker"]]
    frame = frame.sort_values(["cluster", "sbd"], kind="stable", ignore_index=True)
    return frame[["cluster", "ticker", "sector", "sbd", "shift"]]


def _clusters(members: pd.DataFrame) -> tuple[Cluster, ...]:
    """Sum up each cluster, the largest first."""
    clusters = []
    for label, rows in members.groupby("cluster"):
        counts = rows["sector"].dropna().value_counts(sort=False)
        ordered = sorted(counts.items(), key=lambda item: (-int(item[1]), str(item[0])))
        clusters.append(
            Cluster(
                cluster=int(str(label)),
                tickers=tuple(rows["ticker"]),
                mean_sbd=float(rows["sbd"].mean()),
                sectors={str(sector): int(n) for sector, n in ordered},
            )
        )
    return tuple(sorted(clusters, key=lambda cluster: (-len(cluster.tickers), cluster.cluster)))


def _sector_agreement(members: pd.DataFrame) -> float | None:
    """Compare clusters with sectors, over the stocks whose sector is known."""
    known = members.dropna(subset="sector")
    if known["sector"].nunique() < 2:
        return None
    return float(adjusted_mutual_info_score(known["sector"].astype(str), known["cluster"]))


def _choice(sweep: KSweep) -> Choice:
    return Choice(
        k=sweep.best_k_,
        criterion=sweep.criterion,
        by_criterion={"ssd": sweep.ssd_k_, "elbow": sweep.elbow_k_, "silhouette": sweep.silhouette_k_},
        near_ties=sweep.near_ties_,
        tried=tuple(int(k) for k in sweep.results_.index),
    )


def _notes(
    prices: pd.DataFrame,
    ks: tuple[int, ...],
    settings: StocksSettings,
    source: PriceSource,
    look_alikes: pd.DataFrame | None,
    caught: list[warnings.WarningMessage],
) -> tuple[str, ...]:
    """Collect what deserves a second look."""
    notes = [_LEVELS_NOTE] if settings.on == "levels" else []
    if settings.k is None and max(ks) < DEFAULT_LARGEST_K:
        notes.append(f"Only {len(prices)} stocks, so k goes up to {max(ks)} instead of {DEFAULT_LARGEST_K}.")
    without = [str(ticker) for ticker in prices.index if source.sectors and str(ticker) not in source.sectors]
    if without:
        noun = "stock has" if len(without) == 1 else "stocks have"
        notes.append(f"{len(without)} {noun} no sector in {source.sectors_from}: {listing(without)}.")
    seen = prices.notna().mean(axis=1)
    rarely = [str(ticker) for ticker in seen.index[seen < _RARELY]]
    if rarely:
        noun = "stock has" if len(rarely) == 1 else "stocks have"
        notes.append(
            f"{len(rarely)} {noun} prices on less than half of the days, so the cluster says little of them: "
            f"{listing(rarely, limit=10)}."
        )
    if look_alikes is not None and settings.max_shift is None:
        longest = int(look_alikes["lag"].abs().max())
        if longest > _LONG_LAG:
            notes.append(
                "All lags were allowed, and some look-alikes match over more than a month (up to "
                f"{longest:,} trading days): that is a likeness of pictures, not of trading. Bound it with "
                "--max-shift."
            )
    # What a sweep warns of is said, with more, by the sentences of the choice.
    said = [str(warning.message) for warning in caught if not issubclass(warning.category, SweepWarning)]
    return (*notes, *dict.fromkeys(said))


def _explained(absent: list[str], tickers: pd.Index[Any], dropped: Mapping[str, str]) -> str:
    """Say of each missing holding why it may be missing."""
    by_upper = {str(ticker).upper(): str(ticker) for ticker in tickers}
    parts = []
    for name in absent:
        if name in dropped:
            parts.append(f"{name!r} (dropped while cleaning: {dropped[name]})")
        elif name.upper() in by_upper:
            parts.append(f"{name!r} (is {by_upper[name.upper()]!r} meant?)")
        else:
            parts.append(repr(name))
    return ", ".join(parts)


def _day(label: Any) -> str:
    return label.date().isoformat() if isinstance(label, pd.Timestamp) else str(label)
