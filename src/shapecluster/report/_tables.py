"""The tables that the terminal and the page show: their columns, and the text of each cell."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from shapecluster.report._text import MISSING, format_date, format_lag, format_number, format_share

if TYPE_CHECKING:
    import pandas as pd

    from shapecluster.report._findings import StocksFindings


class Column(NamedTuple):
    """A column of a table.

    Attributes
    ----------
    title : str
        The title.
    cell : callable
        Returns the text of a row's cell.
    style : {"", "number", "text", "wrap"}
        "number" is aligned to the right. The page breaks "text" into lines; the terminal breaks "wrap".
    """

    title: str
    cell: Callable[[Any], str]
    style: str = ""


def _known(value: Any) -> str:
    """Return a name; a dash for one that is not known."""
    return value if isinstance(value, str) else MISSING


SWEEP = (
    Column("k", lambda result: str(result.Index), "number"),
    Column("SSD", lambda result: format_number(result.ssd, 2), "number"),
    Column("silhouette", lambda result: format_number(result.silhouette), "number"),
)
_DISTANCES = (
    Column("SBD", lambda pair: format_number(pair.sbd), "number"),
    Column("correlation", lambda pair: format_number(pair.correlation, 2), "number"),
    Column("lag", lambda pair: format_lag(int(pair.lag))),
    Column("coverage", lambda pair: format_share(pair.coverage), "number"),
)
CLEANING = (
    Column("ticker", lambda event: str(event.ticker) or "all stocks"),  # empty for the whole market
    Column("event", lambda event: str(event.kind)),
    Column("action", lambda event: str(event.action)),
    Column("from", lambda event: format_date(event.start)),
    Column("to", lambda event: format_date(event.end)),
    Column("days", lambda event: format_number(event.n_days, 0), "number"),
    Column("detail", lambda event: str(event.detail), "text"),
)


def cluster_columns(findings: StocksFindings, tickers: Column) -> tuple[Column, ...]:
    """Return the columns of the table of clusters; `tickers` is the last one."""
    sectors = (
        Column("dominant sector", lambda cluster: _known(cluster.dominant_sector), "text"),
        Column("share", lambda cluster: format_share(cluster.dominant_share), "number"),
    )
    return (
        Column("cluster", lambda cluster: str(cluster.cluster), "number"),
        Column("stocks", lambda cluster: str(len(cluster.tickers)), "number"),
        Column("mean SBD", lambda cluster: format_number(cluster.mean_sbd), "number"),
        *(sectors if any(cluster.sectors for cluster in findings.clusters) else ()),
        tickers,
    )


def pair_columns(first: str, second: str, sectors: Iterable[Column] = ()) -> tuple[Column, ...]:
    """Return the columns of the table of pairs, with titles for the two stocks."""
    stocks = (Column(first, lambda pair: str(pair.first)), Column(second, lambda pair: str(pair.second)))
    return (*stocks, *sectors, *_DISTANCES)


def sectors_of_pairs(pairs: pd.DataFrame) -> tuple[Column, ...]:
    """Return the column of the sectors of pairs; none when no sector is known."""

    def cell(pair: Any) -> str:
        sectors = (sector for sector in (pair.first_sector, pair.second_sector) if isinstance(sector, str))
        return " / ".join(dict.fromkeys(sectors)) or MISSING

    known = bool(pairs[["first_sector", "second_sector"]].notna().to_numpy().any())
    return (Column("sectors", cell, "text"),) if known else ()


def look_alike_columns(look_alikes: pd.DataFrame, *, with_rank: bool) -> tuple[Column, ...]:
    """Return the columns of the look-alikes of holdings, or of the portfolio as a whole.

    A holding is named once. Sectors have a column when any is known.
    """
    holding = Column("holding", lambda entry: str(entry.holding) if entry.rank == 1 else "")
    rank = Column("rank", lambda entry: str(entry.rank), "number")
    sector = Column("sector", lambda entry: _known(entry.sector), "text")
    return (
        *((holding,) if "holding" in look_alikes.columns else ()),
        *((rank,) if with_rank else ()),
        Column("look-alike", lambda entry: str(entry.look_alike)),
        *((sector,) if look_alikes["sector"].notna().any() else ()),
        *_DISTANCES,
    )
