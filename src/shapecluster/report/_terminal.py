"""Findings in the terminal: the main results as tables. The files have all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shapecluster._text import listing
from shapecluster.report import _text as sentences
from shapecluster.report._findings import StageCallback, StocksFindings, ignore_progress
from shapecluster.report._tables import SWEEP, Column, cluster_columns, look_alike_columns, pair_columns
from shapecluster.report._text import printable

if TYPE_CHECKING:
    from rich.console import Console

_SHOWN_PAIRS = 12
_SHOWN_TICKERS = 10
_JUSTIFY = {"number": "right", "wrap": "wrap"}
_PLAIN_WIDTH = 120  # a file or a pipe has no width, and rich would assume 80


def make_console(*, stderr: bool = False) -> Console:
    """Create a console that does not shrink tables when the output is not a terminal."""
    from rich.console import Console

    # Without markup and emoji: `[red]` or `:x:` in a ticker must be printed as such.
    console = Console(stderr=stderr, highlight=False, emoji=False, markup=False)
    if not console.is_terminal:
        console.width = max(console.width, _PLAIN_WIDTH)
    return console


@contextmanager
def progress_bar(console: Console) -> Iterator[StageCallback]:
    """Show a progress bar for each stage when the output is a terminal.

    Yields
    ------
    callable
        Takes the name of a stage, how much of it is done, and its total.
    """
    if not console.is_terminal:  # a disabled bar of rich would still print an empty line
        yield ignore_progress
        return
    from rich import progress

    text = progress.TextColumn("{task.description}", markup=False)
    counts = (progress.BarColumn(), progress.MofNCompleteColumn(), progress.TimeElapsedColumn())
    columns = (progress.SpinnerColumn(), text, *counts)
    with progress.Progress(*columns, console=console, transient=True) as bar:
        tasks: dict[str, progress.TaskID] = {}

        def update(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done, total=total)

        yield update


def print_findings(findings: StocksFindings, console: Console) -> None:
    """Print the main findings."""
    _heading(console, "Stocks by the shape of their prices")
    _print_text(console, f"{findings.source.description}.")
    _print_text(console, sentences.describe_comparison(findings))
    _print_text(console, sentences.describe_cleaning(findings))
    for note in (*findings.source.notes, *findings.notes):
        _print_text(console, f"Note: {note}", style="dark_orange3")
    _heading(console, "Number of clusters")
    shown = Column("", lambda result: ">" if result.Index == findings.choice.k else "")
    chosen_by = Column("chosen by", lambda result: str(result.chosen_by))
    _print_columns(console, (shown, *SWEEP, chosen_by), findings.sweep.itertuples())
    for sentence in findings.choice.sentences():
        _print_text(console, sentence)
    if findings.choice.least_ssd_is_largest_k and findings.choice.criterion == "ssd":
        _print_text(
            console,
            "Choose another criterion with --criterion elbow or --criterion silhouette, or one k with --k.",
        )
    _heading(console, f"Clusters (k = {findings.choice.k})")
    members = Column(
        "members, the nearest to the center first",
        lambda cluster: listing(cluster.tickers, limit=_SHOWN_TICKERS),
        "wrap",
    )
    _print_columns(console, cluster_columns(findings, members), findings.clusters)
    for text in (
        sentences.describe_single_stock_clusters(findings),
        sentences.describe_sector_agreement(findings),
    ):
        if text:
            _print_text(console, text)
    _heading(console, "Near-identical stocks")
    pairs = findings.pairs.head(_SHOWN_PAIRS)
    _print_text(console, sentences.describe_pairs(findings, shown=len(pairs)))
    _print_columns(console, pair_columns("stock", "twin"), pairs.itertuples())
    if findings.look_alikes is not None and findings.basket is not None:
        for heading, text, table in (
            ("Look-alikes of the portfolio", sentences.describe_look_alikes(findings), findings.look_alikes),
            ("Portfolio as a whole", sentences.describe_basket(findings), findings.basket),
        ):
            _heading(console, heading)
            _print_text(console, text)
            _print_columns(console, look_alike_columns(table, with_rank=False), table.itertuples())


def print_files(files: Iterable[Path], folder: Path, console: Console) -> None:
    """List the files of the report."""
    names = [file.name for file in files]
    _heading(console, "Files")
    tables = ", ".join(name for name in names if name.endswith(".csv"))
    n_plots = sum(name.endswith(".png") for name in names)
    _print_text(console, f"In {folder}: {tables}, findings.json, {n_plots} plots (PNG).")
    _print_text(console, f"Open {folder / 'index.html'} in a browser to see all findings on one page.")


def _print_text(console: Console, text: str, *, style: str | None = None) -> None:
    console.print(printable(text), style=style)


def _heading(console: Console, text: str) -> None:
    console.print()
    console.print(text, style="bold")


def print_table(console: Console, columns: Mapping[str, str], rows: Iterable[Iterable[object]]) -> None:
    """Print a table.

    Parameters
    ----------
    console : Console
        The console.
    columns : mapping of str to str
        The title of each column, and "left", "right" or "wrap": left-aligned, and broken into lines.
    rows : iterable of iterables
        The cells of each row. A row that begins with ">" is bold.
    """
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim")
    for name, justify in columns.items():
        right = justify == "right"
        # Only columns of free text are broken: rich would fold a long ticker in the middle.
        table.add_column(
            name, justify="right" if right else "left", no_wrap=justify != "wrap", overflow="fold"
        )
    for row in rows:
        cells = [printable(cell) for cell in row]
        table.add_row(*cells, style="bold" if cells[0] == ">" else None)
    console.print(table)


def _print_columns(console: Console, columns: Sequence[Column], rows: Iterable[Any]) -> None:
    justified = {column.title: _JUSTIFY.get(column.style, "left") for column in columns}
    print_table(console, justified, ([column.cell(row) for column in columns] for row in rows))
