"""The files of a report: findings.json, CSV tables, PNG pictures, and the page that shows them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pandas as pd

from shapecluster._optional import import_optional
from shapecluster.plotting import ClusterDisplay, ClusterGridDisplay, SSDCurveDisplay
from shapecluster.report._analysis import Analysis, StageProgress
from shapecluster.report._findings import StocksFindings
from shapecluster.report._html import to_html
from shapecluster.report._json import to_json
from shapecluster.report._words import printable

_DPI = 120
# What a spreadsheet takes for the start of a formula, in both widths; tabs and ends of line before it too.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def write_files(analysis: Analysis, folder: Path, *, progress: StageProgress | None = None) -> None:
    """Write all files of a report into a folder that exists.

    File names never come from tickers or sectors: clusters are numbered.

    Parameters
    ----------
    analysis : Analysis
        What was found, and the series behind it.
    folder : Path
        Where to write.
    progress : callable, default=None
        Called with the stage, how much of it is done, and its total.
    """
    findings = analysis.findings
    (folder / "findings.json").write_text(to_json(findings), encoding="utf-8")
    for name, table in _tables(findings).items():
        write_csv(table, folder / name)
    pictures = _draw(analysis, folder, progress or (lambda stage, done, total: None))
    (folder / "index.html").write_text(to_html(findings, pictures), encoding="utf-8")


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table for people with spreadsheets.

    A text that a spreadsheet would run as a formula gets an apostrophe in front, which it shows as text, and
    control characters, which could end a line, are replaced. Numbers stay numbers.
    """
    safe = table.copy()
    for column in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[column]):
            safe[column] = safe[column].map(_spreadsheet_safe, na_action="ignore")
    safe.to_csv(path, index=False, lineterminator="\n", float_format="%.10g", encoding="utf-8")


def _spreadsheet_safe(value: Any) -> str:
    """Disarm a text that starts like a formula."""
    text = value.date().isoformat() if isinstance(value, pd.Timestamp) else str(value)
    return printable("'" + text if text.startswith(_FORMULA) else text)


def _tables(findings: StocksFindings) -> dict[str, pd.DataFrame]:
    """Name the tables as files; those that were not asked for have none."""
    tables = {
        "clusters.csv": findings.members,
        "ssd_by_k.csv": findings.sweep.reset_index(),
        "lookalikes.csv": findings.look_alikes,
        "basket.csv": findings.basket,
        "pairs.csv": findings.pairs,
        "cleaning.csv": findings.cleaning.details,
    }
    return {name: table for name, table in tables.items() if table is not None}


def _draw(analysis: Analysis, folder: Path, told: StageProgress) -> dict[str, bytes]:
    """Draw the pictures; returns the bytes of those that the page shows, by name."""
    findings, series = analysis.findings, analysis.series
    cumulative = findings.settings.on == "log-returns"
    titles = {cluster.cluster: cluster.title() for cluster in findings.clusters}
    order = [cluster.cluster for cluster in findings.clusters]
    pictures = {"ssd_by_k.png": SSDCurveDisplay.from_sweep(analysis.sweep).figure_}
    for cluster in order:
        display = ClusterDisplay.from_estimator(
            analysis.sweep, series, cluster=cluster, cumulative=cumulative, title=titles[cluster]
        )
        pictures[f"cluster_{cluster:02d}.png"] = display.figure_
    for done, (name, figure) in enumerate(pictures.items()):
        told("Drawing", done, len(pictures) + 1)
        _save(figure, folder / name)
    told("Drawing", len(pictures), len(pictures) + 1)
    grid = ClusterGridDisplay.from_estimator(
        analysis.sweep, series, clusters=order, cumulative=cumulative, titles=titles
    )
    _save(grid.figure_, folder / "clusters.png")
    told("Drawing", len(pictures) + 1, len(pictures) + 1)
    return {name: (folder / name).read_bytes() for name in pictures}


def _save(figure: Any, path: Path) -> None:
    """Write a picture; a letter that the font lacks becomes a box, and the page has it as text."""
    agg = import_optional("matplotlib.backends.backend_agg", extra="plot", needed_for="Drawing a picture")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from", category=UserWarning)
        figure.set_dpi(_DPI)
        agg.FigureCanvasAgg(figure).print_png(path)  # draws once, where savefig draws twice
