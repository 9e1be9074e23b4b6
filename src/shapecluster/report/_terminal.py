"""Findings in the terminal: what a person wants to know first, in tables; everything else is in the files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shapecluster.report import _words as words
from shapecluster.report._analysis import StageProgress
from shapecluster.report._findings import StocksFindings

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_SHOWN_PAIRS = 12
_SHOWN_TICKERS = 10
_PLAIN_WIDTH = 120  # where the output goes to a file or a pipe, which has no width


def make_console(*, stderr: bool = False) -> Console:
    """Make a console that does not squeeze tables where there is no terminal."""
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False, emoji=False, markup=False)
    if not console.is_terminal:
        console.width = max(console.width, _PLAIN_WIDTH)
    return console


@contextmanager
def progress_bar(console: Console) -> Iterator[StageProgress]:
    """Show how the work goes on, where there is a terminal to show it on.

    Yields
    ------
    callable
        Takes a stage, how much of it is done, and its total.
    """
    if not console.is_terminal:  # a disabled bar of rich would still end a line
        yield lambda stage, done, total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=console, transient=True) as bar:
        tasks: dict[str, Any] = {}

        def told(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done, total=total)

        yield told


def print_findings(findings: StocksFindings, console: Console) -> None:
    """Print the findings that a person wants."""
    _heading(console, "Stocks by the shape of their prices")
    _say(console, f"{findings.source.description}.")
    _say(console, words.compared(findings))
    _say(console, words.cleaning_in_words(findings))
    for note in (*findings.source.notes, *findings.notes):
        _say(console, f"Note: {note}", style="dark_orange3")
    _heading(console, "Number of clusters")
    _print_sweep(findings, console)
    for sentence in findings.choice.sentences():
        _say(console, sentence)
    if findings.choice.least_ssd_is_largest_k and findings.choice.criterion == "ssd":
        _say(console, "Choose by another with --criterion elbow or --criterion silhouette, or name --k.")
    _heading(console, f"Clusters (k = {findings.choice.k})")
    _print_clusters(findings, console)
    for said in (words.singles_in_words(findings), words.sectors_in_words(findings)):
        if said:
            _say(console, said)
    _heading(console, "Near-identical stocks")
    shown = min(len(findings.pairs), _SHOWN_PAIRS)
    _say(console, words.pairs_in_words(findings, shown=shown))
    if shown:
        pairs = findings.pairs.head(shown).rename(columns={"first": "stock", "second": "twin"})
        console.print(_distance_table(pairs.to_dict(orient="records"), ("stock", "twin")))
    if findings.look_alikes is not None and findings.basket is not None:
        _heading(console, "Look-alikes of the portfolio")
        _say(console, words.look_alikes_in_words(findings))
        records = findings.look_alikes.to_dict(orient="records")
        console.print(_distance_table(records, ("holding", "look_alike", "sector")))
        _heading(console, "Portfolio as a whole")
        _say(console, words.basket_in_words(findings))
        console.print(_distance_table(findings.basket.to_dict(orient="records"), ("look_alike", "sector")))


def print_files(files: Iterable[Path], folder: Path, console: Console) -> None:
    """Say what was written where."""
    names = [file.name for file in files]
    _heading(console, "Files")
    tables = ", ".join(name for name in names if name.endswith(".csv"))
    n_pictures = sum(name.endswith(".png") for name in names)
    _say(console, f"In {folder}: {tables}, findings.json, {n_pictures} pictures (PNG).")
    _say(console, f"Open {folder / 'index.html'} in a browser to see them all on one page.")


def _say(console: Console, text: str, *, style: str | None = None) -> None:
    console.print(words.printable(text), style=style)


def _heading(console: Console, text: str) -> None:
    console.print()
    console.print(text, style="bold")


def make_table(columns: Mapping[str, str]) -> Table:
    """Make an empty table; the columns' values say how they are set."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim")
    for name, justify in columns.items():
        right = justify == "right"
        table.add_column(
            name, justify="right" if right else "left", no_wrap=justify != "wrap", overflow="fold"
        )
    return table


def _print_sweep(findings: StocksFindings, console: Console) -> None:
    """Print SSD and silhouette by k, with the k that is shown marked."""
    table = make_table({"": "left", "k": "right", "SSD": "right", "silhouette": "right", "chosen by": "left"})
    for k, result in findings.sweep.iterrows():
        best = k == findings.choice.k
        table.add_row(
            ">" if best else "",
            str(k),
            words.number(result["ssd"], 2),
            words.number(result["silhouette"]),
            str(result["chosen_by"]),
            style="bold" if best else None,
        )
    console.print(table)


def _print_clusters(findings: StocksFindings, console: Console) -> None:
    """Print one line a cluster, with the members that are nearest to its centroid."""
    known = any(cluster.sectors for cluster in findings.clusters)
    columns = {"cluster": "right", "stocks": "right", "mean SBD": "right"}
    if known:
        columns |= {"dominant sector": "left", "share": "right"}
    table = make_table(columns | {"members, the nearest to the centroid first": "wrap"})
    for cluster in findings.clusters:
        names = ", ".join(cluster.tickers[:_SHOWN_TICKERS])
        more = len(cluster.tickers) - _SHOWN_TICKERS
        cells = [str(cluster.cluster), str(len(cluster.tickers)), words.number(cluster.mean_sbd)]
        if known:
            cells += [cluster.dominant_sector or words.MISSING, words.share(cluster.dominant_share)]
        cells.append(names + (f" and {more} more" if more > 0 else ""))
        table.add_row(*(words.printable(cell) for cell in cells))
    console.print(table)


def _distance_table(records: list[dict[Any, Any]], names: tuple[str, ...]) -> Table:
    """Print pairs of stocks with how near they are; a repeated holding is named once."""
    if "sector" in names and not any(isinstance(record["sector"], str) for record in records):
        names = tuple(name for name in names if name != "sector")
    columns = {name.replace("_", "-"): "left" for name in names}
    table = make_table(columns | {"SBD": "right", "correlation": "right", "lag": "left", "coverage": "right"})
    before = None
    for record in records:
        cells = [str(record[name]) if isinstance(record[name], str) else words.MISSING for name in names]
        if names[0] == "holding":
            cells[0] = "" if record["holding"] == before else cells[0]
            before = record["holding"]
        table.add_row(
            *(words.printable(cell) for cell in cells),
            words.number(record["sbd"]),
            words.number(record["correlation"], 2),
            words.lag_in_words(int(record["lag"])),
            words.share(record["coverage"]),
        )
    return table
