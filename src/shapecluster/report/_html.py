"""The page: findings as one HTML file that needs nothing beside it, every value escaped."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import pandas as pd

from shapecluster._optional import import_optional
from shapecluster.report import _words as words
from shapecluster.report._findings import Cluster, StocksFindings

_FIRST_TICKERS = 16
_NOT_WORTH_FOLDING = 8
_SHOWN_PAIRS = 100
_SHOWN_CLEANING = 500

_GLOSSARY = (
    (
        "SBD",
        "Shape-based distance: one minus the largest correlation over the lags that were allowed. 0 is the "
        "same shape, 1 is no likeness; level and scale never matter.",
    ),
    (
        "Lag",
        "The lag of the best match, in trading days. \u201cTrails\u201d: the look-alike does the same later "
        "than the holding, and the second of a pair later than the first.",
    ),
    ("Correlation", "Pearson correlation at that lag, over the days on which both have prices."),
    ("Coverage", "The share of all days on which both have prices; a late listing has less."),
    ("SSD", "Sum of squared distances to the own centroid: what k-Shape lowers, and what falls with k."),
    ("Elbow", "The k after which more clusters bring little."),
    ("Silhouette", "How much nearer a stock is to its own cluster than to the next one, from -1 to 1."),
    (
        "Centroid",
        "The common shape of a cluster. Members are drawn thin and moved by their lags onto it; all curves "
        "have mean 0 and standard deviation 1.",
    ),
)


@dataclass(frozen=True)
class Column:
    """A column of a table on the page."""

    title: str
    style: str = ""

    @property
    def number(self) -> bool:
        """Whether the column is set flush right."""
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


def to_html(findings: StocksFindings, pictures: Mapping[str, bytes]) -> str:
    """Render the page.

    Parameters
    ----------
    findings : StocksFindings
        What was found.
    pictures : mapping of str to bytes
        PNG files: "ssd_by_k.png", and "cluster_NN.png" for every cluster.

    Returns
    -------
    str
        HTML that loads nothing: pictures are embedded, scripts are forbidden by its own policy.
    """
    jinja2 = import_optional("jinja2", extra="report", needed_for="Writing the HTML page")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("shapecluster.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    page: str = environment.get_template("stocks.html").render(_context(findings, pictures))
    return page


def _context(findings: StocksFindings, pictures: Mapping[str, bytes]) -> dict[str, Any]:
    """Everything that the template names, as text."""
    shown = min(len(findings.pairs), _SHOWN_PAIRS)
    return {
        "version": version("shapecluster"),
        "source": findings.source.description,
        "facts": _facts(findings),
        "sentences": [
            words.compared(findings),
            *words.highlights(findings),
            words.cleaning_in_words(findings),
        ],
        "notes": [*findings.source.notes, *findings.notes],
        "choice": findings.choice.sentences(),
        "curve": _data_uri(pictures["ssd_by_k.png"]),
        "sweep": sweep_table(findings),
        "drawn": _drawn(findings),
        "clusters_said": [
            said for said in (words.sectors_in_words(findings), words.singles_in_words(findings)) if said
        ],
        "overview": _overview(findings),
        "clusters": [_card(cluster, pictures) for cluster in findings.clusters],
        "pairs_said": words.pairs_in_words(findings, shown=shown),
        "pairs": _pairs(findings.pairs.head(shown)),
        "look_alikes_said": words.look_alikes_in_words(findings),
        "look_alikes": None if findings.look_alikes is None else _look_alikes(findings.look_alikes),
        "basket_said": words.basket_in_words(findings),
        "basket": None if findings.basket is None else _look_alikes(findings.basket),
        "cleaning_said": _cleaning_said(findings),
        "cleaning": _cleaning(findings.cleaning.details),
        "glossary": _GLOSSARY,
        "made": f"Seed {findings.settings.seed}.",
    }


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _facts(findings: StocksFindings) -> list[dict[str, str]]:
    """Collect the numbers that open the page."""
    facts = [
        ("stocks", f"{findings.n_stocks:,}"),
        ("trading days", f"{findings.n_days:,}"),
        ("clusters shown", str(findings.choice.k)),
        ("near-identical pairs", f"{findings.n_identical:,}"),
    ]
    if findings.settings.portfolio:
        facts.append(("holdings", str(len(findings.settings.portfolio))))
    if findings.sector_agreement is not None:
        facts.append(("agreement with sectors", words.number(findings.sector_agreement, 2)))
    return [{"name": name, "value": value} for name, value in facts]


def _drawn(findings: StocksFindings) -> str:
    """Say what the pictures of clusters show."""
    text = (
        "Members are thin and blue, moved by their lags; the centroid is thick and orange. Tickers: the "
        "nearest to the centroid first."
    )
    if findings.settings.on == "log-returns":
        return "Drawn as running sums of the log returns that were compared, scaled alike. " + text
    return "Drawn as prices, scaled alike. " + text


def sweep_table(findings: StocksFindings) -> HtmlTable:
    """SSD and scores by k, with who chose which."""
    sweep = findings.sweep
    scores = [name for name in ("silhouette",) if name in sweep.columns]
    columns = (
        Column("k", "number"),
        Column("SSD", "number"),
        *(Column(s, "number") for s in scores),
        Column("chosen by"),
    )
    rows = []
    for k, result in sweep.iterrows():
        chosen_by = [name for name, choice in findings.choice.by_criterion.items() if choice == k]
        cells = (str(k), words.number(result["ssd"], 2), *(words.number(result[s]) for s in scores))
        mark = "chosen" if k == findings.choice.k else ""
        rows.append(Row((*cells, ", ".join(chosen_by) + (" \u2190 shown" if mark else "")), mark))
    return HtmlTable(columns, tuple(rows))


def _overview(findings: StocksFindings) -> HtmlTable:
    """One line a cluster."""
    known = any(cluster.sectors for cluster in findings.clusters)
    sector_columns = (Column("dominant sector", "text"), Column("share", "number")) if known else ()
    columns = (
        Column("cluster", "number"),
        Column("stocks", "number"),
        Column("mean SBD", "number"),
        *sector_columns,
        Column("nearest to the centroid", "text"),
    )
    rows = []
    for cluster in findings.clusters:
        sector = (
            (cluster.dominant_sector or words.MISSING, words.share(cluster.dominant_share)) if known else ()
        )
        rows.append(
            Row(
                (
                    str(cluster.cluster),
                    str(len(cluster.tickers)),
                    words.number(cluster.mean_sbd),
                    *sector,
                    ", ".join(cluster.tickers[:5]),
                )
            )
        )
    return HtmlTable(columns, tuple(rows))


def _card(cluster: Cluster, pictures: Mapping[str, bytes]) -> dict[str, Any]:
    """One cluster's card."""
    n_first = _FIRST_TICKERS if len(cluster.tickers) > _FIRST_TICKERS + _NOT_WORTH_FOLDING else None
    rest = cluster.tickers[n_first:] if n_first else ()
    return {
        "number": cluster.cluster,
        "title": cluster.title(),
        "picture": _data_uri(pictures[f"cluster_{cluster.cluster:02d}.png"]),
        "sectors": ", ".join(f"{sector} {n}" for sector, n in cluster.sectors.items()),
        "first": ", ".join(cluster.tickers[:n_first]),
        "rest": ", ".join(rest),
        "n_rest": len(rest),
    }


def _pairs(pairs: pd.DataFrame) -> HtmlTable:
    known = bool(pairs["first_sector"].notna().any() or pairs["second_sector"].notna().any())
    sector = (Column("sectors", "text"),) if known else ()
    columns = (Column("first"), Column("second"), *sector, *_DISTANCES)
    rows = []
    for pair in pairs.to_dict(orient="records"):
        both = dict.fromkeys(s for s in (pair["first_sector"], pair["second_sector"]) if isinstance(s, str))
        middle = (" / ".join(both) or words.MISSING,) if known else ()
        rows.append(Row((str(pair["first"]), str(pair["second"]), *middle, *_distances(pair))))
    return HtmlTable(columns, tuple(rows))


def _look_alikes(found: pd.DataFrame) -> HtmlTable:
    grouped = "holding" in found.columns
    known = bool(found["sector"].notna().any())
    columns = (
        *((Column("holding"),) if grouped else ()),
        Column("rank", "number"),
        Column("look-alike"),
        *((Column("sector", "text"),) if known else ()),
        *_DISTANCES,
    )
    rows: list[Row] = []
    before = None
    for entry in found.to_dict(orient="records"):
        new = grouped and entry["holding"] != before
        before = entry.get("holding")
        sector = entry["sector"] if isinstance(entry["sector"], str) else words.MISSING
        cells = (
            *((str(entry["holding"]) if new else "",) if grouped else ()),
            str(entry["rank"]),
            str(entry["look_alike"]),
            *((sector,) if known else ()),
            *_distances(entry),
        )
        rows.append(Row(cells, "first" if new and rows else ""))
    return HtmlTable(columns, tuple(rows))


_DISTANCES = (
    Column("SBD", "number"),
    Column("correlation", "number"),
    Column("lag"),
    Column("coverage", "number"),
)


def _distances(entry: Mapping[Any, Any]) -> tuple[str, ...]:
    """The cells of `_DISTANCES`."""
    return (
        words.number(entry["sbd"]),
        words.number(entry["correlation"], 2),
        words.lag_in_words(int(entry["lag"])),
        words.share(entry["coverage"]),
    )


def _cleaning_said(findings: StocksFindings) -> str:
    said = words.cleaning_in_words(findings)
    total = len(findings.cleaning.details)
    if total > _SHOWN_CLEANING:
        said += f" The first {_SHOWN_CLEANING} of {total:,} entries are shown, all are in cleaning.csv."
    return said


def _cleaning(details: pd.DataFrame) -> HtmlTable:
    columns = (
        Column("ticker"),
        Column("what"),
        Column("action"),
        Column("from"),
        Column("to"),
        Column("days", "number"),
        Column("detail", "text"),
    )
    rows: list[Row] = []
    for entry in details.head(_SHOWN_CLEANING).to_dict(orient="records"):
        cells = (
            str(entry["ticker"]) or "all stocks",
            str(entry["kind"]),
            str(entry["action"]),
            words.day(entry["start"]),
            words.day(entry["end"]),
            words.number(entry["n_days"], 0),
            str(entry["detail"]),
        )
        rows.append(Row(cells))
    return HtmlTable(columns, tuple(rows))
