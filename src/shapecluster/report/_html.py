"""Findings as one self-contained HTML page, with every value escaped."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from shapecluster._optional import import_optional
from shapecluster.report import _text as sentences
from shapecluster.report._findings import Cluster, StocksFindings
from shapecluster.report._tables import (
    CLEANING,
    SWEEP,
    Column,
    cluster_columns,
    look_alike_columns,
    pair_columns,
    sectors_of_pairs,
)

_FIRST_TICKERS = 16  # of a cluster; the page folds the others
_MIN_FOLDED = 8  # fewer tickers are not folded
# The CSV files have all rows. A page with tens of thousands would be slow to open.
_SHOWN_PAIRS = 100
_SHOWN_CLEANING = 500


class HtmlTable(NamedTuple):
    """A table on the page.

    Attributes
    ----------
    columns : tuple of Column
        The columns.
    rows : iterable
        What `Column.cell` takes.
    mark : callable
        Returns a class of the style sheet for a row; an empty text for none.
    """

    columns: tuple[Column, ...]
    rows: Iterable[Any]
    mark: Callable[[Any], str] = lambda row: ""


def to_html(findings: StocksFindings, folder: Path) -> str:
    """Render the page.

    Parameters
    ----------
    findings : StocksFindings
        The findings.
    folder : Path
        The folder with the plots: "ssd_by_k.png", and "cluster_NN.png" for every cluster.

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
    page: str = environment.get_template("stocks.html").render(_context(findings, folder))
    return page


def _context(findings: StocksFindings, folder: Path) -> dict[str, Any]:
    """Return the values of all names in the template."""
    pairs, cleaning = findings.pairs.head(_SHOWN_PAIRS), findings.cleaning.head(_SHOWN_CLEANING)
    overview = cluster_columns(
        findings, Column("nearest to the center", lambda cluster: ", ".join(cluster.tickers[:5]), "text")
    )
    return {
        "version": version("shapecluster"),
        "findings": findings,
        "facts": _facts(findings),
        "sentences": [
            sentences.describe_comparison(findings),
            *sentences.list_highlights(findings),
            sentences.describe_cleaning(findings),
        ],
        "curve": _data_uri(folder / "ssd_by_k.png"),
        "sweep": _sweep_table(findings),
        "sector_agreement": sentences.describe_sector_agreement(findings),
        "single_stocks": sentences.describe_single_stock_clusters(findings),
        "overview": HtmlTable(overview, findings.clusters),
        "clusters": [_card(cluster, folder) for cluster in findings.clusters],
        "pairs_text": sentences.describe_pairs(findings, shown=len(pairs)),
        "pairs": HtmlTable(
            pair_columns("first", "second", sectors_of_pairs(pairs)), list(pairs.itertuples())
        ),
        "look_alikes_text": sentences.describe_look_alikes(findings),
        "look_alikes": _look_alike_table(findings.look_alikes),
        "basket_text": sentences.describe_basket(findings),
        "basket": _look_alike_table(findings.basket),
        "cleaning_text": _cleaning_text(findings),
        "cleaning": HtmlTable(CLEANING, list(cleaning.itertuples())),
    }


def _data_uri(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def _facts(findings: StocksFindings) -> dict[str, str]:
    """Return the numbers at the top of the page."""
    facts = {
        "stocks": f"{findings.n_stocks:,}",
        "trading days": f"{findings.n_days:,}",
        "clusters shown": str(findings.choice.k),
        "near-identical pairs": f"{findings.n_identical:,}",
    }
    if findings.settings.portfolio:
        facts["holdings"] = str(len(findings.settings.portfolio))
    if findings.sector_agreement is not None:
        facts["agreement with sectors"] = f"{findings.sector_agreement:.2f}"
    return facts


def _sweep_table(findings: StocksFindings) -> HtmlTable:
    """Return SSD and silhouette by k, with the criteria that choose it."""

    def chosen_by(result: Any) -> str:
        return str(result.chosen_by) + (" \u2190 shown" if result.Index == findings.choice.k else "")

    return HtmlTable(
        (*SWEEP, Column("chosen by", chosen_by)),
        list(findings.sweep.itertuples()),
        lambda result: "chosen" if result.Index == findings.choice.k else "",
    )


def _card(cluster: Cluster, folder: Path) -> dict[str, Any]:
    """Return the card of one cluster: its plot, its sectors and its tickers."""
    n_first = _FIRST_TICKERS if len(cluster.tickers) > _FIRST_TICKERS + _MIN_FOLDED else len(cluster.tickers)
    return {
        "number": cluster.cluster,
        "title": cluster.title(),
        "picture": _data_uri(folder / f"cluster_{cluster.cluster:02d}.png"),
        "sectors": ", ".join(f"{sector} {n}" for sector, n in cluster.sectors.items()),
        "first": cluster.tickers[:n_first],
        "rest": cluster.tickers[n_first:],
    }


def _look_alike_table(look_alikes: pd.DataFrame | None) -> HtmlTable | None:
    if look_alikes is None:
        return None
    grouped = "holding" in look_alikes.columns  # the table of the basket has no such column
    return HtmlTable(
        look_alike_columns(look_alikes, with_rank=True),
        list(look_alikes.itertuples()),
        lambda entry: "first" if grouped and entry.rank == 1 and entry.Index > 0 else "",
    )


def _cleaning_text(findings: StocksFindings) -> str:
    text = sentences.describe_cleaning(findings)
    total = len(findings.cleaning)
    if total > _SHOWN_CLEANING:
        text += f" The first {_SHOWN_CLEANING} of {total:,} entries are shown; cleaning.csv has all."
    return text
