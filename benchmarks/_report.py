"""What benchmarks report: paragraphs, lists, checks and tables, as Markdown and as reStructuredText."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
Columns = Mapping[str, Callable[[Row], str]]
Check = dict[str, Any]


@dataclass(frozen=True)
class Table:
    """A table, one row per result."""

    caption: str
    columns: Columns
    rows: Sequence[Row]  # one with "trouble" has no figures: its second cell says why

    def lines(self) -> list[list[str]]:
        """The text of all cells, with the titles first."""
        first, *others = self.columns.values()
        lines = [list(self.columns)]
        for row in self.rows:
            why = row.get("trouble")
            figures = [why, *[""] * (len(others) - 1)] if why else [cell(row) for cell in others]
            lines.append([first(row), *figures])
        return lines


Block = str | Sequence[str | Check] | Table
"""A paragraph, a list of sentences and checks, or a table."""


def markdown(blocks: Iterable[Block]) -> str:
    """Format blocks as Markdown. Tables have text in the first column and figures in the others."""

    def of_table(table: Table) -> str:
        header, *rows = table.lines()
        lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
        return f"### {table.caption}\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines)

    return _joined(blocks, of_table)


def restructured(blocks: Iterable[Block]) -> str:
    """Format blocks as reStructuredText."""

    def of_table(table: Table) -> str:
        lines = [f".. list-table:: {table.caption}", "   :header-rows: 1", "   :class: benchmark", ""]
        for row in table.lines():
            lines += [f"   {'* -' if i == 0 else '  -'} {cell}".rstrip() for i, cell in enumerate(row)]
        return "\n".join(lines)

    return _joined(blocks, of_table)


def _joined(blocks: Iterable[Block], of_table: Callable[[Table], str]) -> str:
    texts = []
    for block in blocks:
        if isinstance(block, Table):
            texts.append(of_table(block))
        elif isinstance(block, str):
            texts.append(block)
        elif block:
            lines = [check_text(line) if isinstance(line, dict) else line for line in block]
            texts.append("\n".join(f"- {line}" for line in lines))
    return "\n\n".join(texts)


# ------------------------------------------------------------------------------------------------ checks


def check(what: str, value: float, sense: str, bound: float, *, must: bool = False) -> Check:
    """Compare a figure with its target. `must` marks a target of correctness instead of speed."""
    met = value <= bound if sense == "<=" else value >= bound
    return {"what": what, "value": value, "sense": sense, "bound": bound, "met": bool(met), "must": must}


def check_text(found: Check) -> str:
    """Describe a check in words."""
    target = "at most" if found["sense"] == "<=" else "at least"
    verdict = "met" if found["met"] else "missed"
    return f"{found['what']}: {figure(found['value'])} (target: {target} {figure(found['bound'])}, {verdict})"


def failures(blocks: Iterable[Block]) -> list[Check]:
    """Checks of correctness among the blocks that are not met."""
    checks = [line for block in blocks if isinstance(block, list) for line in block if isinstance(line, dict)]
    return [found for found in checks if found["must"] and not found["met"]]


# ------------------------------------------------------------------------------------------------ figures


def figure(value: float | None, digits: int = 4) -> str:
    """Format a number with so many significant digits; nothing for None."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"


def seconds(value: float | None) -> str:
    """Format a time with its unit; nothing for None."""
    if value is None:
        return ""
    return f"{value:.3g} s" if value >= 1 else f"{1000 * value:.3g} ms"


def percent(value: float | None) -> str:
    """Format a share; nothing for None."""
    return "" if value is None else f"{value:.1%}"


def megabytes(n_bytes: float | None) -> str:
    """Format an amount of memory; nothing for None."""
    return "" if n_bytes is None else f"{n_bytes / 1e6:,.0f} MB"


def with_error(found: Row | None, what: str, digits: int = 3) -> str:
    """Format a figure with its standard error; nothing for None."""
    return "" if found is None else f"{found[what]:.{digits}f} ± {found['error']:.{digits}f}"
