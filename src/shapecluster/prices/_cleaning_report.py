"""The report of `clean_prices`: everything that was dropped, filled, repaired or flagged."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from shapecluster._text import listing

# Order of the actions in a summary: those that removed most come first.
_ORDER = ("dropped", "set to missing", "filled", "repaired", "kept", "flagged")


class Event(NamedTuple):
    """One change or finding; an empty ticker means all stocks."""

    ticker: str
    kind: str
    action: str
    start: pd.Timestamp
    end: pd.Timestamp
    n_days: int
    size: float
    score: float
    detail: str


@dataclass(frozen=True)
class CleaningReport:
    """The changes and findings of `clean_prices`.

    Parameters
    ----------
    log : tuple of Event
        All events, in the order in which they happened.
    shape_in, shape_out : tuple of int
        Numbers of stocks and days before and after.
    """

    log: tuple[Event, ...]
    shape_in: tuple[int, int]
    shape_out: tuple[int, int]

    @property
    def events(self) -> pd.DataFrame:
        """All events, one per row.

        `ticker` is empty for events of all stocks. `start` and `end` are days, both included. `size` (log
        return, market removed) and `score` (robust standard deviations) belong to bad prints and jumps.
        """
        return pd.DataFrame(self.log, columns=Event._fields)

    def summary(self) -> str:
        """Summarize the events in a few lines, one for each kind of event."""
        stocks, days = self.shape_out
        lines = [
            f"{self.shape_in[0]} stocks x {self.shape_in[1]} days in, {stocks} stocks x {days} days out."
        ]
        groups: dict[tuple[str, str], list[Event]] = {}
        for event in self.log:
            groups.setdefault((event.kind, event.action), []).append(event)
        for (kind, action), events in sorted(groups.items(), key=lambda item: _rank(item[0][1])):
            lines.append(f"{len(events)} x {kind}, {action}: {_names_or_days(events)}")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.summary()


def _rank(action: str) -> int:
    return next((place for place, word in enumerate(_ORDER) if word in action), len(_ORDER))


def _names_or_days(events: list[Event]) -> str:
    """Name the stocks, or the days of events of all stocks; for bad prints also days that many share."""
    if not events[0].ticker:
        return listing(event.start.date() for event in events) + "."
    text = listing(dict.fromkeys(event.ticker for event in events))
    if events[0].kind == "bad print":
        # Many bad prints on one day point at the vendor, not at the stocks.
        shared = [(day, n) for day, n in Counter(e.start.date() for e in events).most_common(3) if n > 2]
        text += "".join(f"; {n} on {day}" for day, n in shared)
    return text + "."
