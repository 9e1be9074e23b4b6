"""The terminal: legible with and without one."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from shapecluster.report._terminal import make_console, print_files, print_findings, progress_bar


def printed(show, *, width: int = 120, terminal: bool = False) -> str:
    stream = io.StringIO()
    show(Console(file=stream, width=width, force_terminal=terminal, markup=False, emoji=False))
    return stream.getvalue()


def test_without_a_terminal_tables_are_not_squeezed(capsys):
    assert make_console().width >= 120


def test_progress_is_shown_in_a_terminal_and_nowhere_else():
    def work(console):
        with progress_bar(console) as update:
            update("Clustering", 0, 2)
            update("Clustering", 2, 2)

    assert printed(work) == ""
    assert "Clustering" in printed(work, terminal=True)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_every_width_shows_all_findings(analysis, width):
    text = printed(lambda console: print_findings(analysis.findings, console), width=width)
    assert max(len(line) for line in text.splitlines()) <= width
    for heading in ("Number of clusters", "Clusters (k = ", "Near-identical stocks", "Portfolio as a whole"):
        assert heading in text


def test_a_holding_is_named_once(analysis):
    text = printed(lambda console: print_findings(analysis.findings, console), width=250)
    table = text.split("Look-alikes of the portfolio")[1].split("Portfolio as a whole")[0]
    assert table.count("=HYPERLINK(A1)") == 1


def test_unknown_sectors_take_no_column(analysis):
    found = analysis.findings
    bare = replace(
        found,
        sector_agreement=None,
        clusters=tuple(replace(cluster, sectors={}) for cluster in found.clusters),
        look_alikes=found.look_alikes.assign(sector=None),
        basket=found.basket.assign(sector=None),
    )
    text = printed(lambda console: print_findings(bare, console))
    assert "sector" not in text.split("Number of clusters")[1]


def test_files_are_named_with_the_page_to_open():
    files = [Path("out", name) for name in ("clusters.csv", "findings.json", "index.html", "a.png", "b.png")]
    text = printed(lambda console: print_files(files, Path("out"), console))
    assert "clusters.csv, findings.json, 2 plots (PNG)" in text
    assert f"Open {Path('out', 'index.html')} in a browser" in text
