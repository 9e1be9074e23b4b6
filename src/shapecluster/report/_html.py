"""Findings as one self-contained HTML page, with every value escaped."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import pandas as pd

from shapecluster._optional import import_optional
from shapecluster.report._findings import Cluster, StocksFindings
from shapecluster.report._text import (
    MISSING,
    describe_basket,
    describe_cleaning,
    describe_comparison,
    describe_look_alikes,
    describe_pairs,
    describe_sector_agreement,
    describe_single_stock_clusters,
    format_date,
    format_lag,
    format_number,
    format_share,
    list_highlights,
)

_FIRST_TICKERS = 16  # of a cluster; the page folds the others
_MIN_FOLDED = 8  # fewer tickers are not folded
# The CSV files have all rows. A page with tens of thousands would be slow to open.
_SHOWN_PAIRS = 100
_SHOWN_CLEANING = 500

_GLOSSARY = (
    (
        "SBD",
        "Shape-based distance: one minus the maximum correlation over the allowed lags. 0 is the same shape, "
        "1 is no similarity. Level and scale have no influence.",
    ),
    (
        "Lag",
        "The lag of the maximum correlation, in trading days. \u201cTrails\u201d: the look-alike moves later "
        "than the holding, or the second stock of a pair later than the first.",
    ),
    ("Correlation", "Pearson correlation at that lag, over the days on which both stocks have prices."),
    ("Coverage", "The share of all days on which both have prices. A late listing has a lower one."),
    (
        "SSD",
        "Sum of squared distances of the stocks to the centers of their clusters. k-Shape minimizes it, and "
        "it almost always falls with k.",
    ),
    ("Elbow", "The k after which more clusters reduce the SSD only a little."),
    (
        "Silhouette",
        "From -1 to 1: how much nearer the stocks are to their own cluster than to the next one.",
    ),
    (
        "Center",
        "The common shape of a cluster. Members are thin curves, moved by their lags onto the center. All "
        "curves have mean 0 and standard deviation 1.",
    ),
)


@dataclass(frozen=True)
class Column:
    """A column of a table on the page; `style` is a class of the style sheet."""

    title: str
    style: str = ""

    @property
    def number(self) -> bool:
        """Whether the column is aligned to the right."""
        return self.style == "number"


@dataclass(frozen=True)
class Row:
    """A row of a table on the page; `mark` is a class of the style sheet."""

    cells: tuple[str, ...]
    mark: str = ""


@dataclass(frozen=True)
class HtmlTable:
    """A table on the page."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


def to_html(findings: StocksFindings, plots: Mapping[str, bytes]) -> str:
    """Render the page.

    Parameters
    ----------
    findings : StocksFindings
        The findings.
    plots : mapping of str to bytes
        PNG files by name: "ssd_by_k.png", and "cluster_NN.png" for every cluster.

    Returns
    -------
    str
        HTML that loads nothing: plots are embedded, and its own content policy forbids scripts.
    """
    jinja2 = import_optional("jinja2", extra="report", needed_for="Writing the HTML page")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("shapecluster.report", "templates"),
        autoescape=True,  # tickers and sectors come from files, and may contain markup
        undefined=jinja2.StrictUndefined,  # a misspelled name is an error, not an empty text
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    page: str = environment.get_template("stocks.html").render(_context(findings, plots))
    return page


def _context(findings: StocksFindings, plots: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the values of all names in the template."""
    n_shown = min(len(findings.pairs), _SHOWN_PAIRS)
    cluster_sentences = (describe_sector_agreement(findings), describe_single_stock_clusters(findings))
    return {
        "version": version("shapecluster"),
        "source": findings.source.description,
        "facts": _facts(findings),
        "sentences": [
            describe_comparison(findings),
            *list_highlights(findings),
            describe_cleaning(findings),
        ],
        "notes": [*findings.source.notes, *findings.notes],
        "choice": findings.choice.sentences(),
        "curve": _data_uri(plots["ssd_by_k.png"]),
        "sweep": sweep_table(findings),
        "plots_text": _plots_text(findings),
        "cluster_sentences": [sentence for sentence in cluster_sentences if sentence],
        "overview": _overview(findings),
        "clusters": [_card(cluster, plots) for cluster in findings.clusters],
        "pairs_text": describe_pairs(findings, shown=n_shown),
        "pairs": _pairs_table(findings.pairs.head(n_shown)),
        "look_alikes_text": describe_look_alikes(findings),
        "look_alikes": None if findings.look_alikes is None else _look_alike_table(findings.look_alikes),
        "basket_text": describe_basket(findings),
        "basket": None if findings.basket is None else _look_alike_table(findings.basket),
        "cleaning_text": _cleaning_text(findings),
        "cleaning": _cleaning_table(findings.cleaning.details),
        "glossary": _GLOSSARY,
        "seed": findings.settings.seed,
    }


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _facts(findings: StocksFindings) -> list[dict[str, str]]:
    """Return the numbers at the top of the page."""
    facts = [
        ("stocks", f"{findings.n_stocks:,}"),
        ("trading days", f"{findings.n_days:,}"),
        ("clusters shown", str(findings.choice.k)),
        ("near-identical pairs", f"{findings.n_identical:,}"),
    ]
    if findings.settings.portfolio:
        facts.append(("holdings", str(len(findings.settings.portfolio))))
    if findings.sector_agreement is not None:
        facts.append(("agreement with sectors", format_number(findings.sector_agreement, 2)))
    return [{"name": name, "value": value} for name, value in facts]


def _plots_text(findings: StocksFindings) -> str:
    """Explain the plots of clusters."""
    text = (
        "Members are thin and blue, moved by their lags. The center is thick and orange. Tickers are listed "
        "by increasing distance to the center."
    )
    if findings.settings.on == "log-returns":
        return "The curves are cumulative sums of the log returns, all on one scale. " + text
    return "The curves are prices, all on one scale. " + text


def sweep_table(findings: StocksFindings) -> HtmlTable:
    """Return SSD and silhouette by k, with the criteria that choose it."""
    columns = (
        Column("k", "number"),
        Column("SSD", "number"),
        Column("silhouette", "number"),
        Column("chosen by"),
    )
    rows = []
    for k, result in findings.sweep.iterrows():
        chosen_by = [name for name, choice in findings.choice.by_criterion.items() if choice == k]
        cells = (str(k), format_number(result["ssd"], 2), format_number(result["silhouette"]))
        mark = "chosen" if k == findings.choice.k else ""
        rows.append(Row((*cells, ", ".join(chosen_by) + (" \u2190 shown" if mark else "")), mark))
    return HtmlTable(columns, tuple(rows))


def _overview(findings: StocksFindings) -> HtmlTable:
    """Return one row for each cluster."""
    known = any(cluster.sectors for cluster in findings.clusters)
    sector_columns = (Column("dominant sector", "text"), Column("share", "number")) if known else ()
    columns = (
        Column("cluster", "number"),
        Column("stocks", "number"),
        Column("mean SBD", "number"),
        *sector_columns,
        Column("nearest to the center", "text"),
    )
    rows = []
    for cluster in findings.clusters:
        sector = (cluster.dominant_sector or MISSING, format_share(cluster.dominant_share)) if known else ()
        rows.append(
            Row(
                (
                    str(cluster.cluster),
                    str(len(cluster.tickers)),
                    format_number(cluster.mean_sbd),
                    *sector,
                    ", ".join(cluster.tickers[:5]),
                )
            )
        )
    return HtmlTable(columns, tuple(rows))


def _card(cluster: Cluster, plots: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the card of one cluster: its plot, its sectors and its tickers."""
    n_first = _FIRST_TICKERS if len(cluster.tickers) > _FIRST_TICKERS + _MIN_FOLDED else None
    rest = cluster.tickers[n_first:] if n_first else ()
    return {
        "number": cluster.cluster,
        "title": cluster.title(),
        "picture": _data_uri(plots[f"cluster_{cluster.cluster:02d}.png"]),
        "sectors": ", ".join(f"{sector} {n}" for sector, n in cluster.sectors.items()),
        "first": ", ".join(cluster.tickers[:n_first]),
        "rest": ", ".join(rest),
        "n_rest": len(rest),
    }


def _pairs_table(pairs: pd.DataFrame) -> HtmlTable:
    known = bool(pairs["first_sector"].notna().any() or pairs["second_sector"].notna().any())
    sector = (Column("sectors", "text"),) if known else ()
    columns = (Column("first"), Column("second"), *sector, *_DISTANCE_COLUMNS)
    rows = []
    for pair in pairs.to_dict(orient="records"):
        both = dict.fromkeys(s for s in (pair["first_sector"], pair["second_sector"]) if isinstance(s, str))
        middle = (" / ".join(both) or MISSING,) if known else ()
        rows.append(Row((str(pair["first"]), str(pair["second"]), *middle, *_distance_cells(pair))))
    return HtmlTable(columns, tuple(rows))


def _look_alike_table(look_alikes: pd.DataFrame) -> HtmlTable:
    grouped = "holding" in look_alikes.columns  # the table of the basket has no such column
    known = bool(look_alikes["sector"].notna().any())
    columns = (
        *((Column("holding"),) if grouped else ()),
        Column("rank", "number"),
        Column("look-alike"),
        *((Column("sector", "text"),) if known else ()),
        *_DISTANCE_COLUMNS,
    )
    rows: list[Row] = []
    previous = None
    for entry in look_alikes.to_dict(orient="records"):
        new = grouped and entry["holding"] != previous
        previous = entry.get("holding")
        sector = entry["sector"] if isinstance(entry["sector"], str) else MISSING
        cells = (
            *((str(entry["holding"]) if new else "",) if grouped else ()),
            str(entry["rank"]),
            str(entry["look_alike"]),
            *((sector,) if known else ()),
            *_distance_cells(entry),
        )
        rows.append(Row(cells, "first" if new and rows else ""))
    return HtmlTable(columns, tuple(rows))


_DISTANCE_COLUMNS = (
    Column("SBD", "number"),
    Column("correlation", "number"),
    Column("lag"),
    Column("coverage", "number"),
)


def _distance_cells(entry: Mapping[Any, Any]) -> tuple[str, ...]:
    """Return the cells of `_DISTANCE_COLUMNS`."""
    return (
        format_number(entry["sbd"]),
        format_number(entry["correlation"], 2),
        format_lag(int(entry["lag"])),
        format_share(entry["coverage"]),
    )


def _cleaning_text(findings: StocksFindings) -> str:
    text = describe_cleaning(findings)
    total = len(findings.cleaning.details)
    if total > _SHOWN_CLEANING:
        text += f" The first {_SHOWN_CLEANING} of {total:,} entries are shown; cleaning.csv has all."
    return text


def _cleaning_table(details: pd.DataFrame) -> HtmlTable:
    columns = (
        Column("ticker"),
        Column("event"),
        Column("action"),
        Column("from"),
        Column("to"),
        Column("days", "number"),
        Column("detail", "text"),
    )
    rows: list[Row] = []
    for entry in details.head(_SHOWN_CLEANING).to_dict(orient="records"):
        cells = (
            str(entry["ticker"]) or "all stocks",  # an empty ticker stands for the whole market
            str(entry["kind"]),
            str(entry["action"]),
            format_date(entry["start"]),
            format_date(entry["end"]),
            format_number(entry["n_days"], 0),
            str(entry["detail"]),
        )
        rows.append(Row(cells))
    return HtmlTable(columns, tuple(rows))
