"""The text and the tables that the commands `shapecluster portfolios ...` print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shapecluster.cli._common import print_result
from shapecluster.report._terminal import make_console, print_table
from shapecluster.report._text import format_count, format_number

if TYPE_CHECKING:
    import pandas as pd

    from shapecluster.model_selection import KSweep
    from shapecluster.portfolios import Portfolios

_SHOWN_MATCHES = 20
_SHOWN_TICKERS = 6  # of a cluster


def describe_portfolios(portfolios: Portfolios) -> str:
    """Return the numbers of traders, tickers and holdings."""
    n_traders, n_tickers = portfolios.matrix.shape
    counts = portfolios.n_holdings
    return (
        f"{format_count(n_traders, 'trader')}, {format_count(n_tickers, 'ticker')}, {counts.min()} to "
        f"{counts.max()} holdings each"
    )


def describe_copycats(truth: pd.DataFrame) -> str:
    """Return the number of planted copycats, and one leader to try `match` on."""
    groups = truth[truth["group"] >= 0]
    n_groups = format_count(groups["group"].nunique(), "group")
    leader = groups.index[groups["leader"]][0]
    return f"{format_count(len(groups), 'trader')} in {n_groups} of copycats (trader {leader} leads one)"


def format_with_error(mean: float, error: float) -> str:
    """Format an estimate with its standard error, which is 0 when nothing was sampled."""
    return format_number(mean, 4) + (f" ± {error:.4f}" if error > 0 else "")


def print_clusters(portfolios: Portfolios, model: Any) -> None:
    """Print one row for each cluster: its size, and the tickers that it holds more often than all traders."""
    overall = portfolios.matrix.mean(axis=0).A1
    columns = {"cluster": "right", "traders": "right", "holdings": "right"}
    columns["held more often than by all (share of the cluster's traders)"] = "wrap"
    rows = []
    for cluster, center in enumerate(model.cluster_centers_):
        # By the difference, not the share: popular tickers lead in every cluster.
        top = [at for at in (overall - center).argsort()[:_SHOWN_TICKERS] if center[at] > overall[at]]
        tickers = ", ".join(
            f"{portfolios.tickers[at]}" + ("" if portfolios.has_quantities else f" {center[at]:.0%}")
            for at in top
        )
        size = (model.labels_ == cluster).sum()
        rows.append((cluster, f"{size:,}", format_number(center.sum(), 1), tickers))
    print_table(make_console(), columns, rows)


def print_sweep(table: pd.DataFrame, sweep: KSweep) -> None:
    """Print one row for each k, and mark the elbow."""
    titles = ("k", "SSD", "elbow", "silhouette", "seconds")
    rows = [
        (
            ">" if k == sweep.elbow_k_ else "",
            k,
            format_number(row["ssd"], 1),
            format_number(row["elbow"]),
            format_with_error(row["silhouette"], row["silhouette_error"]),
            format_number(row["seconds"], 2),
        )
        for k, row in table.iterrows()
    ]
    print_table(make_console(), {"": "left"} | dict.fromkeys(titles, "right"), rows)
    if sweep.elbow_k_ is None:
        print_result("The SSD has no elbow: it falls evenly, so no k stands out.")
    else:
        print_result(f"The elbow of the SSD is at k = {sweep.elbow_k_}.")


def print_matches(matches: pd.DataFrame, holdings: list[str], holder: str, rule: str, n_traders: int) -> None:
    """Print the matching traders with the tickers in which they differ."""
    verb = "matches" if len(matches) == 1 else "match"
    print_result(
        f"{holder} holds {format_count(len(holdings), 'ticker')}: {', '.join(holdings)}.",
        f"{len(matches):,} of {n_traders:,} traders {verb} ({rule}).",
    )
    if not len(matches):
        return
    columns = {"trader": "left", "match": "right", "shared": "right", "missing": "wrap", "extra": "wrap"}
    rows = [
        (trader, format_number(match), len(shared), " ".join(missing), " ".join(extra))
        for trader, match, shared, missing, extra in matches.head(_SHOWN_MATCHES).to_numpy(dtype=object)
    ]
    print_table(make_console(), columns, rows)
    if len(matches) > _SHOWN_MATCHES:
        print_result(f"The best {_SHOWN_MATCHES} are shown; --out FILE writes all.")
