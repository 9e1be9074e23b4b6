"""Data classes for the findings of `shapecluster stocks`: other modules compute and render them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd

StageCallback = Callable[[str, int, int], None]
"""Called with the name of a stage, how much of it is done, and its total."""

DEFAULT_LARGEST_K = 20

_CRITERION_TEXT = {"ssd": "the minimum SSD", "elbow": "the elbow", "silhouette": "the silhouette"}


def ignore_progress(stage: str, done: int, total: int) -> None:
    """Report progress to nobody."""


@dataclass(frozen=True)
class StocksSettings:
    """The settings of a run.

    Parameters
    ----------
    k : tuple of int, default=None
        Numbers of clusters to try. None tries 2 to 20, or to one less than the number of stocks.
    criterion : {"ssd", "elbow", "silhouette"}, default="ssd"
        The criterion that chooses the k whose clusters are shown.
    on : {"log-returns", "levels"}, default="log-returns"
        The series that are compared: log returns or the prices themselves.
    max_shift : int, default=None
        Maximum lag in trading days; None for all lags.
    portfolio : tuple of str, default=()
        Tickers whose look-alikes are searched for.
    n_look_alikes : int, default=5
        Look-alikes for each holding, and for the portfolio as a whole.
    near_identical : float, default=None
        SBD up to which two stocks count as near-identical. None is 0.05 on log returns and 0.005 on levels.
    seed : int, default=0
        Seed of the initial centers.
    repair_prints : bool, default=False
        Whether bad prints (prices that jump for one day and back) were replaced.
    n_jobs : int, default=None
        Number of threads. Results do not depend on it.
    """

    k: tuple[int, ...] | None = None
    criterion: Literal["ssd", "elbow", "silhouette"] = "ssd"
    on: Literal["log-returns", "levels"] = "log-returns"
    max_shift: int | None = None
    portfolio: tuple[str, ...] = ()
    n_look_alikes: int = 5
    near_identical: float | None = None
    seed: int = 0
    repair_prints: bool = False
    n_jobs: int | None = None

    @property
    def identity_threshold(self) -> float:
        """The SBD up to which two stocks count as near-identical."""
        if self.near_identical is not None:
            return self.near_identical
        # Trends alone bring the levels of unrelated stocks close together, so levels need a stricter limit.
        return 0.05 if self.on == "log-returns" else 0.005


@dataclass(frozen=True)
class PriceSource:
    """The source of the prices, with the sectors of the stocks.

    Parameters
    ----------
    kind : {"file", "yahoo", "simulated"}
        The kind of source.
    description : str
        A phrase that names the source in the report.
    sectors : mapping of str to str, default={}
        Sector by ticker, as far as known.
    sectors_from : str, default=None
        The source of the sectors; None without sectors.
    notes : tuple of str, default=()
        Remarks on the source that the report must show.
    """

    kind: Literal["file", "yahoo", "simulated"]
    description: str
    sectors: Mapping[str, str] = field(default_factory=dict)
    sectors_from: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class KChoice:
    """The number of clusters that is shown, and the choices of all criteria.

    Parameters
    ----------
    k : int
        The k whose clusters are shown.
    criterion : str
        The criterion that decided.
    by_criterion : mapping of str to int or None
        The choice of every criterion; None where it chose no k.
    near_ties : mapping of str to list of int
        For every criterion the other values of k that are nearly as good.
    tried : tuple of int
        All values of k that were tried, in increasing order.
    """

    k: int
    criterion: str
    by_criterion: Mapping[str, int | None]
    near_ties: Mapping[str, Sequence[int]]
    tried: tuple[int, ...]

    @property
    def least_ssd_is_largest_k(self) -> bool:
        """Whether the minimum SSD is at the largest k, as it is for nearly all data."""
        return len(self.tried) > 1 and self.by_criterion.get("ssd") == max(self.tried)

    def sentences(self) -> list[str]:
        """Say which k is shown, which criterion decided, and what the other criteria choose."""
        if len(self.tried) == 1:
            return [f"Clusters are shown for k = {self.k}, the only k that was tried."]
        if self.by_criterion.get(self.criterion) is None:
            sentences = [
                f"The criterion {self.criterion} chose no k out of {_format_ks(self.tried)}. Clusters are "
                f"shown for the minimum SSD, k = {self.k}."
            ]
        else:
            sentences = [
                f"Clusters are shown for k = {self.k}, chosen by {_CRITERION_TEXT[self.criterion]} out of "
                f"k = {_format_ks(self.tried)}{self._near_ties_text(self.criterion)}."
            ]
        # Written for every criterion: readers of the table would take the minimum for a finding.
        if self.least_ssd_is_largest_k:
            sentences.append(
                f"The minimum SSD is at the largest k tried, {max(self.tried)}. SSD almost always falls with "
                "k, so this says little about the number of groups."
            )
        others = [
            f"{_CRITERION_TEXT[name]} chooses {'no k' if k is None else f'k = {k}'}"
            f"{self._near_ties_text(name)}"
            for name, k in self.by_criterion.items()
            if name != self.criterion
        ]
        if others:
            sentences.append(f"For comparison: {'; '.join(others)}.")
        return sentences

    def _near_ties_text(self, name: str) -> str:
        near = self.near_ties.get(name, ())
        return f" (nearly as good: {', '.join(str(k) for k in near)})" if near else ""


@dataclass(frozen=True)
class Cluster:
    """One cluster.

    Parameters
    ----------
    cluster : int
        Its label.
    tickers : tuple of str
        Its members, by increasing distance to the center.
    mean_sbd : float
        Mean SBD of the members to the center.
    sectors : mapping of str to int
        Number of members by sector, in decreasing order, without members of unknown sector.
    """

    cluster: int
    tickers: tuple[str, ...]
    mean_sbd: float
    sectors: Mapping[str, int]

    @property
    def dominant_sector(self) -> str | None:
        """The most frequent sector; None when no sector is known."""
        return next(iter(self.sectors), None)

    @property
    def dominant_share(self) -> float | None:
        """The share of the dominant sector among the members of known sector; None when there are none."""
        return max(self.sectors.values()) / sum(self.sectors.values()) if self.sectors else None

    def title(self) -> str:
        """Return the label, the size and the dominant sector as a title."""
        text = f"Cluster {self.cluster}: {len(self.tickers)} stock" + ("" if len(self.tickers) == 1 else "s")
        if self.dominant_share is None:
            return text
        return f"{text}, {self.dominant_share:.0%} {self.dominant_sector}"


@dataclass(frozen=True)
class StocksFindings:
    """All findings of a run.

    Parameters
    ----------
    source : PriceSource
        The source of the prices.
    settings : StocksSettings
        The settings of the run.
    n_stocks, n_days : int
        Size of the compared panel, after cleaning.
    n_incomplete : int
        Number of stocks with missing days. They are compared over their observed days.
    first_day, last_day : str
        ISO dates of the first and the last day.
    choice : KChoice
        The number of clusters.
    sweep : DataFrame of shape (n_k, ...)
        Results by k, as in `KSweep.results_`.
    clusters : tuple of Cluster
        The clusters, by decreasing size.
    members : DataFrame
        Columns cluster, ticker, sector, sbd, shift; one row for each stock.
    sector_agreement : float or None
        Adjusted mutual information of clusters and sectors; 0 for chance, 1 for the same partition.
    pairs : DataFrame
        Columns first, second, first_sector, second_sector, sbd, lag, correlation, coverage. The
        near-identical pairs, or the nearest few when there are none; the nearest first.
    n_identical : int
        Number of near-identical pairs.
    look_alikes : DataFrame or None
        Columns holding, rank, look_alike, sector, sbd, lag, correlation, coverage; None without a portfolio.
    basket : DataFrame or None
        The same for the portfolio as a whole, without the column holding.
    cleaning : DataFrame
        What was dropped, filled or flagged: one row for each event, as in `CleaningReport.events`.
    notes : tuple of str
        Warnings and limits of the data that the report must show.
    """

    source: PriceSource
    settings: StocksSettings
    n_stocks: int
    n_days: int
    n_incomplete: int
    first_day: str
    last_day: str
    choice: KChoice
    sweep: pd.DataFrame
    clusters: tuple[Cluster, ...]
    members: pd.DataFrame
    sector_agreement: float | None
    pairs: pd.DataFrame
    n_identical: int
    look_alikes: pd.DataFrame | None
    basket: pd.DataFrame | None
    cleaning: pd.DataFrame
    notes: tuple[str, ...]

    @property
    def event_counts(self) -> pd.DataFrame:
        """The number of events and of stocks for each kind and action: kind, action, events, stocks."""
        # Unsorted: the report orders events by how much they change the data.
        groups = self.cleaning.groupby(["kind", "action"], sort=False)
        return groups.agg(events=("ticker", "size"), stocks=("ticker", "nunique")).reset_index()


def _format_ks(ks: tuple[int, ...]) -> str:
    """Format values of k: "2 to 20" when they have no gaps, else all of them."""
    if len(ks) > 2 and ks == tuple(range(ks[0], ks[-1] + 1)):
        return f"{ks[0]} to {ks[-1]}"
    return ", ".join(str(k) for k in ks)
