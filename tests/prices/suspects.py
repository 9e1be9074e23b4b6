"""How well clean_prices finds the suspect returns of the real panel, against an independent source.

The list holds 62 daily returns of the panel that differ by more than 0.1 from an adjusted reference.
It says that two sources disagree, not which one is wrong, so its rows are told apart by one rule each:

- *misprint*: two rows on following days whose differences cancel, and the reference hardly moves. One
  price of the panel is wrong.
- *moved*: two such rows, but the reference makes the same move a day earlier or later (or repeats a
  stale price first). Both sources tell the same story with another date; neither found nor missed.
- *reference*: a single row where the panel hardly moves: the reference is wrong. Not to be found.
- *lasting*: any other single row: a spin-off, split or special dividend that the panel does not adjust.

Returns that differ by less than 0.1, and stocks that the reference lacks, are not on the list: what is
found beyond it is not thereby wrong, and precision against it is a lower bound. Real news that moved a
price by a tenth or more is what keeps the precision of jumps low.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

Case = tuple[str, pd.Timestamp]

_CANCELS = 0.2
_REFERENCE_MOVES = 0.25
_PANEL_HARDLY_MOVES = 0.05


@dataclass(frozen=True)
class Truth:
    """Cases by kind; a pair of rows is one case, on its first day."""

    misprints: set[Case]
    moved: set[Case]
    lasting: set[Case]
    reference: set[Case]


@dataclass(frozen=True)
class Figures:
    """What was found, of what."""

    misprints: int
    misprints_found: int
    prints_flagged: int
    prints_on_known_days: int
    lasting: int
    lasting_found: int
    jumps_flagged: int
    moved: int
    moved_flagged: int
    reference: int

    def lines(self) -> list[str]:
        """The figures, a line each."""
        return [
            f"recall, misprints that revert on the next day: {self.misprints_found} of {self.misprints}",
            f"recall, lasting jumps: {self.lasting_found} of {self.lasting}",
            f"precision of bad prints: {self.misprints_found} of {self.prints_flagged} are on the list "
            f"({self.prints_on_known_days} stand on days on which the list has a misprint)",
            f"precision of jumps: {self.lasting_found} of {self.jumps_flagged} are on the list",
            f"not counted: {self.moved} moves dated a day apart ({self.moved_flagged} flagged), "
            f"{self.reference} error of the reference",
        ]


def tell_apart(listed: pd.DataFrame, trading_days: pd.DatetimeIndex) -> Truth:
    """Sort the rows of the list (date, ticker, logret_panel_a, logret_adjusted_reference) by kind."""
    truth = Truth(set(), set(), set(), set())
    for ticker, rows in listed.sort_values("date").groupby("ticker"):
        days = pd.DatetimeIndex(rows["date"])
        place = trading_days.get_indexer(days)
        panel = rows["logret_panel_a"].to_numpy()
        reference = rows["logret_adjusted_reference"].to_numpy()
        off = panel - reference
        row = 0
        while row < len(rows):
            both = slice(row, row + 2)
            if (
                row + 1 < len(rows)
                and place[row + 1] == place[row] + 1
                and abs(off[both].sum()) <= _CANCELS * abs(off[both]).max()
            ):
                moves = abs(reference[both]).max() > _REFERENCE_MOVES * abs(off[both]).max()
                (truth.moved if moves else truth.misprints).add((ticker, days[row]))
                row += 2
            else:
                kind = truth.reference if abs(panel[row]) < _PANEL_HARDLY_MOVES else truth.lasting
                kind.add((ticker, days[row]))
                row += 1
    return truth


def measure(events: pd.DataFrame, truth: Truth) -> Figures:
    """Compare the events of a report with the truth."""
    prints, jumps = (
        {(event.ticker, event.start) for event in events[events["kind"] == kind].itertuples()}
        for kind in ("bad print", "jump")
    )
    known_days = {day for _, day in truth.misprints}
    return Figures(
        misprints=len(truth.misprints),
        misprints_found=len(truth.misprints & prints),
        prints_flagged=len(prints),
        prints_on_known_days=sum(day in known_days for _, day in prints),
        lasting=len(truth.lasting),
        lasting_found=len(truth.lasting & jumps),
        jumps_flagged=len(jumps),
        moved=len(truth.moved),
        moved_flagged=len(truth.moved & (prints | jumps)),
        reference=len(truth.reference),
    )


def read_truth(path: object, trading_days: pd.DatetimeIndex) -> Truth:
    """Read and sort the list."""
    listed = pd.read_csv(path, parse_dates=["date"])
    listed["date"] = listed["date"].to_numpy().astype("datetime64[ns]")
    assert np.isin(listed["date"], trading_days).all()
    return tell_apart(listed, trading_days)
