"""What the commands `shapecluster portfolios ...` print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from shapecluster.cli._common import say
from shapecluster.report import _words as words
from shapecluster.report._terminal import make_table

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from shapecluster import KSweep
    from shapecluster.portfolios import Portfolios

_SHOWN = 20  # matches
_SHOWN_TICKERS = 6  # of a cluster


def in_words(portfolios: Portfolios) -> str:
    n_traders, n_tickers = portfolios.matrix.shape
    counts = portfolios.n_holdings
    return (
        f"{words.count(n_traders, 'trader')}, {words.count(n_tickers, 'ticker')}, {counts.min()} to "
        f"{counts.max()} holdings each"
    )


def copycats_in_words(truth: pd.DataFrame) -> str:
    """How many traders were planted as copycats, and one whom others copied."""
    groups = truth[truth["group"] >= 0]
    n_groups = words.count(groups["group"].nunique(), "group")
    leader = groups.index[groups["leader"]][0]
    return f"{words.count(len(groups), 'trader')} in {n_groups} of copycats, of which {leader} leads one"


def with_error(mean: float, error: float) -> str:
    return words.number(mean, 4) + (f" ± {error:.4f}" if error > 0 else "")


def print_clusters(portfolios: Portfolios, model: Any, console: Console) -> None:
    """One line a cluster: how many, and what they hold more often than everybody."""
    overall = np.asarray(portfolios.matrix.mean(axis=0)).ravel()
    sizes = np.bincount(model.labels_, minlength=len(model.cluster_centers_))
    columns = {"cluster": "right", "traders": "right", "holdings": "right"}
    table = make_table(columns | {"held more than by everybody (share of the cluster's traders)": "wrap"})
    for number, center in enumerate(model.cluster_centers_):
        most = [at for at in np.argsort(overall - center)[:_SHOWN_TICKERS] if center[at] > overall[at]]
        shown = ", ".join(
            f"{portfolios.tickers[at]}" + ("" if portfolios.has_quantities else f" {center[at]:.0%}")
            for at in most
        )
        cells = (str(number), f"{sizes[number]:,}", words.number(float(center.sum()), 1), shown)
        table.add_row(*(words.printable(cell) for cell in cells))
    console.print(table)


def print_sweep(table: pd.DataFrame, swept: KSweep, console: Console) -> None:
    shown = make_table(
        {
            "": "left",
            "k": "right",
            "SSD": "right",
            "elbow": "right",
            "silhouette": "right",
            "seconds": "right",
        }
    )
    for k, row in table.iterrows():
        marked = k == swept.elbow_k_
        cells = (
            *(">" if marked else "", str(k), words.number(row["ssd"], 1), words.number(row["elbow"])),
            *(with_error(row["silhouette"], row["silhouette_error"]), words.number(row["seconds"], 2)),
        )
        shown.add_row(*cells, style="bold" if marked else None)
    console.print(shown)
    if swept.elbow_k_ is None:
        say(console, "The SSD has no elbow: it falls too evenly for one k to stand out.")
    else:
        say(console, f"The elbow of the SSD is at k = {swept.elbow_k_}.")


def print_matches(
    found: pd.DataFrame, held: list[str], who: str, asked: str, n_traders: int, console: Console
) -> None:
    """Who matches, and in what they differ."""
    say(console, f"{who} holds {words.count(len(held), 'ticker')}: {', '.join(held)}.")
    verb = "matches" if len(found) == 1 else "match"
    say(console, f"{len(found):,} of {n_traders:,} traders {verb} ({asked}).")
    if not len(found):
        return
    columns = {"trader": "left", "match": "right", "shared": "right"}
    table = make_table(columns | {"missing": "wrap", "extra": "wrap"})
    for trader, match, shared, missing, extra in found.head(_SHOWN).to_numpy(dtype=object):
        cells = (trader, words.number(match), len(shared), " ".join(missing), " ".join(extra))
        table.add_row(*(words.printable(cell) for cell in cells))
    console.print(table)
    if len(found) > _SHOWN:
        say(console, f"The best {_SHOWN} are shown; --out FILE writes all.")
