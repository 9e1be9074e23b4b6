"""The files of a report: findings.json, CSV tables, PNG plots, and the HTML page."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from shapecluster._optional import import_optional
from shapecluster.plotting import ClusterDisplay, ClusterGridDisplay, SSDCurveDisplay
from shapecluster.report._analysis import Analysis
from shapecluster.report._findings import StageCallback, ignore_progress
from shapecluster.report._html import to_html
from shapecluster.report._json import to_json
from shapecluster.report._text import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 120
# Spreadsheets take these for the start of a formula, in half and full width, and ignore tabs and line ends.
_FORMULA_START = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def write_files(analysis: Analysis, folder: Path, *, progress: StageCallback = ignore_progress) -> None:
    """Write all files of a report into a folder that exists.

    File names never contain tickers or sectors: clusters are numbered.

    Parameters
    ----------
    analysis : Analysis
        The findings, with the data for the plots.
    folder : Path
        The folder to write to.
    progress : callable
        Called with the stage, how much of it is done, and its total.
    """
    findings = analysis.findings
    (folder / "findings.json").write_text(to_json(findings), encoding="utf-8")
    tables = {
        "clusters.csv": findings.members,
        "ssd_by_k.csv": findings.sweep.reset_index(),
        "lookalikes.csv": findings.look_alikes,
        "basket.csv": findings.basket,
        "pairs.csv": findings.pairs,
        "cleaning.csv": findings.cleaning,
    }
    for name, table in tables.items():
        if table is not None:  # look-alikes need a portfolio
            write_csv(table, folder / name)
    _draw(analysis, folder, progress)
    (folder / "index.html").write_text(to_html(findings, folder), encoding="utf-8")


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table so that a spreadsheet opens it safely.

    Text that a spreadsheet would run as a formula gets an apostrophe in front, so that it stays text. Control
    characters are replaced, because they could end a line. Numbers are not changed.
    """
    safe = table.copy()
    for column in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[column]):
            safe[column] = safe[column].map(_spreadsheet_safe, na_action="ignore")
    # Ten digits are more than the data have, and hide differences in the last bits between machines.
    safe.to_csv(path, index=False, lineterminator="\n", float_format="%.10g", encoding="utf-8")


def _spreadsheet_safe(value: Any) -> str:
    """Format a cell, with an apostrophe when it starts like a formula."""
    text = value.date().isoformat() if isinstance(value, pd.Timestamp) else str(value)
    return printable("'" + text if text.startswith(_FORMULA_START) else text)


def _draw(analysis: Analysis, folder: Path, report_progress: StageCallback) -> None:
    """Write all plots."""
    findings = analysis.findings
    data = (analysis.sweep, analysis.series)
    cumulative = findings.settings.on == "log-returns"  # daily returns themselves look like noise
    titles = {cluster.cluster: cluster.title() for cluster in findings.clusters}
    figures = {"ssd_by_k.png": SSDCurveDisplay.from_sweep(analysis.sweep).figure_}
    for cluster, title in titles.items():
        display = ClusterDisplay.from_estimator(*data, cluster=cluster, cumulative=cumulative, title=title)
        figures[f"cluster_{cluster:02d}.png"] = display.figure_
    grid = ClusterGridDisplay.from_estimator(
        *data, clusters=list(titles), cumulative=cumulative, titles=titles
    )
    figures["clusters.png"] = grid.figure_
    for done, (name, figure) in enumerate(figures.items()):
        report_progress("Drawing", done, len(figures))
        _save(figure, folder / name)
    report_progress("Drawing", len(figures), len(figures))


def _save(figure: Figure, path: Path) -> None:
    """Write a plot. A letter that the font lacks becomes a box; the page has it as text."""
    agg = import_optional("matplotlib.backends.backend_agg", extra="plot", needed_for="Drawing a picture")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from", category=UserWarning)
        figure.set_dpi(_DPI)
        agg.FigureCanvasAgg(figure).print_png(path)  # draws once, while savefig draws twice
