"""What a run of `shapecluster stocks` found: data only, computed elsewhere and rendered elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

CRITERIA = ("ssd", "elbow", "silhouette")
DEFAULT_LARGEST_K = 20

_WHY = {"ssd": "the least SSD", "elbow": "the elbow", "silhouette": "the silhouette"}

On = Literal["levels", "log-returns"]


@dataclass(frozen=True)
class StocksSettings:
    """What was asked.

    Parameters
    ----------
    k : tuple of int, default=None
        Numbers of clusters to try; None for 2 to 20, or to one less than there are stocks.
    criterion : {"ssd", "elbow", "silhouette"}, default="ssd"
        What chooses the k whose clusters are shown.
    on : {"log-returns", "levels"}, default="log-returns"
        What is compared: how stocks move, or the prices themselves.
    max_shift : int, default=None
        Largest lag in trading days; None for all.
    portfolio : tuple of str, default=()
        Tickers whose look-alikes are wanted.
    n_look_alikes : int, default=5
        Look-alikes for each holding, and for the basket.
    near_identical : float, default=None
        SBD up to which two stocks count as near-identical; None for 0.05 on log returns and 0.005 on
        levels.
    seed : int, default=0
        Seeds the first centers.
    repair_prints : bool, default=False
        Whether prices that jump away for one day and back were replaced.
    n_jobs : int, default=None
        Threads; results do not depend on it.
    """

    k: tuple[int, ...] | None = None
    criterion: Literal["ssd", "elbow", "silhouette"] = "ssd"
    on: On = "log-returns"
    max_shift: int | None = None
    portfolio: tuple[str, ...] = ()
    n_look_alikes: int = 5
    near_identical: float | None = None
    seed: int = 0
    repair_prints: bool = False
    n_jobs: int | None = None

    @property
    def identical_below(self) -> float:
        """The SBD up to which two stocks count as near-identical."""
        if self.near_identical is not None:
            return self.near_identical
        return 0.05 if self.on == "log-returns" else 0.005


@dataclass(frozen=True)
class PriceSource:
    """Where the prices came from, in words, and what is known beside them.

    Parameters
    ----------
    kind : {"file", "yahoo", "simulated"}
        The kind of source.
    description : str
        One phrase for people.
    sectors : mapping of str to str, default={}
        Sector by ticker, as far as known.
    sectors_from : str, default=None
        Where the sectors came from; None when there are none.
    notes : tuple of str, default=()
        What people must know about the source.
    """

    kind: Literal["file", "yahoo", "simulated"]
    description: str
    sectors: Mapping[str, str] = field(default_factory=dict)
    sectors_from: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cleaning:
    """What was dropped, filled or flagged before the prices were compared.

    Parameters
    ----------
    counts : DataFrame
        Columns kind, action, events, stocks: how often what was done to how many.
    details : DataFrame
        One row an event, as in `CleaningReport.events`: ticker, kind, action, start, end, n_days, size,
        score, detail.
    """

    counts: pd.DataFrame
    details: pd.DataFrame


@dataclass(frozen=True)
class Choice:
    """Which number of clusters was chosen, and what the other criteria say.

    Parameters
    ----------
    k : int
        The k whose clusters are shown.
    criterion : str
        What chose it.
    by_criterion : mapping of str to int or None
        What every criterion chose; None where it found no k.
    near_ties : mapping of str to list of int
        For every criterion, the other ks that are nearly as good.
    tried : tuple of int
        All k tried, in increasing order.
    """

    k: int
    criterion: str
    by_criterion: Mapping[str, int | None]
    near_ties: Mapping[str, Sequence[int]]
    tried: tuple[int, ...]

    @property
    def least_ssd_is_largest_k(self) -> bool:
        """Whether the least SSD says no more than that more clusters fit better."""
        return len(self.tried) > 1 and self.by_criterion.get("ssd") == max(self.tried)

    def sentences(self) -> list[str]:
        """Say which k is shown, why, and what speaks for another."""
        if len(self.tried) == 1:
            return [f"Clusters are shown for k = {self.k}, the only k that was tried."]
        if self.by_criterion.get(self.criterion) is None:
            said = [
                f"The criterion {self.criterion} found no k out of {_span(self.tried)}, so clusters are "
                f"shown for the least SSD, k = {self.k}."
            ]
        else:
            said = [
                f"Clusters are shown for k = {self.k}, chosen by {_WHY[self.criterion]} out of "
                f"k = {_span(self.tried)}{self._near(self.criterion)}."
            ]
        if self.least_ssd_is_largest_k:
            said.append(
                f"The least SSD sits at k = {max(self.tried)}, simply the largest k tried: SSD falls with k "
                "almost always, so this says little about how many groups there are."
            )
        others = [
            f"{_WHY[name]} {'finds no k' if k is None else f'speaks for k = {k}'}{self._near(name)}"
            for name, k in self.by_criterion.items()
            if name != self.criterion
        ]
        if others:
            said.append(f"For comparison: {'; '.join(others)}.")
        return said

    def _near(self, name: str) -> str:
        """Name the ks that are nearly as good."""
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
        Members, the nearest to the centroid first.
    mean_sbd : float
        Mean SBD of the members to the centroid.
    sectors : mapping of str to int
        Members by sector, the most frequent first; members without a known sector are left out.
    """

    cluster: int
    tickers: tuple[str, ...]
    mean_sbd: float
    sectors: Mapping[str, int]

    @property
    def dominant_sector(self) -> str | None:
        """The most frequent sector, None when no sector is known."""
        return next(iter(self.sectors), None)

    @property
    def dominant_share(self) -> float | None:
        """The share of the dominant sector among the members whose sector is known."""
        return max(self.sectors.values()) / sum(self.sectors.values()) if self.sectors else None

    def title(self) -> str:
        """Name the cluster, its size and what it mostly holds."""
        size = f"{len(self.tickers)} stock" + ("" if len(self.tickers) == 1 else "s")
        text = f"Cluster {self.cluster}: {size}"
        if self.dominant_share is None:
            return text
        return f"{text}, {self.dominant_share:.0%} {self.dominant_sector}"


@dataclass(frozen=True)
class StocksFindings:
    """Everything that was found.

    Parameters
    ----------
    source : PriceSource
        Where the prices came from.
    settings : StocksSettings
        What was asked.
    n_stocks, n_days : int
        What was compared, after cleaning.
    n_incomplete : int
        Stocks with missing days, which were compared over the days that they have.
    first_day, last_day : str
        ISO dates of the first and the last day.
    choice : Choice
        The number of clusters.
    sweep : DataFrame of shape (n_k, ...)
        Results by k, as `KSweep.results_` has them.
    clusters : tuple of Cluster
        The largest first.
    members : DataFrame
        Columns cluster, ticker, sector, sbd, shift; one row a stock.
    sector_agreement : float or None
        Adjusted mutual information of clusters and sectors; 0 for chance, 1 for the same partition.
    pairs : DataFrame
        Columns first, second, first_sector, second_sector, sbd, lag, correlation, coverage: the
        near-identical pairs, or the nearest few when there are none; nearest first.
    n_identical : int
        How many pairs are near-identical.
    look_alikes : DataFrame or None
        Columns holding, rank, look_alike, sector, sbd, lag, correlation, coverage; None without a portfolio.
    basket : DataFrame or None
        The same for the portfolio as a whole, without the column holding.
    cleaning : Cleaning
        What was dropped, filled or flagged.
    notes : tuple of str
        What deserves a second look: warnings, and limits of the data.
    """

    source: PriceSource
    settings: StocksSettings
    n_stocks: int
    n_days: int
    n_incomplete: int
    first_day: str
    last_day: str
    choice: Choice
    sweep: pd.DataFrame
    clusters: tuple[Cluster, ...]
    members: pd.DataFrame
    sector_agreement: float | None
    pairs: pd.DataFrame
    n_identical: int
    look_alikes: pd.DataFrame | None
    basket: pd.DataFrame | None
    cleaning: Cleaning
    notes: tuple[str, ...]


def _span(tried: tuple[int, ...]) -> str:
    """Write the k tried briefly: "2 to 20", or all of them."""
    if len(tried) > 2 and tried == tuple(range(tried[0], tried[-1] + 1)):
        return f"{tried[0]} to {tried[-1]}"
    return ", ".join(str(k) for k in tried)
