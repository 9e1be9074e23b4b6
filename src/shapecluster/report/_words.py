"""How findings are put in words and numbers, the same in the terminal and on the page."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from shapecluster._validation import listing
from shapecluster.report._findings import StocksFindings

MISSING = "\N{EN DASH}"

_PLURALS = {
    "non-positive price": "non-positive prices",
    "thin day": "thin days",
    "frozen day": "frozen days",
    "late listing": "late listings",
    "early end": "early ends",
    "long gap": "long gaps",
    "short gap": "short gaps",
    "incomplete day": "incomplete days",
    "bad print": "bad prints",
    "jump": "jumps",
    "flat stretch": "flat stretches",
}


def printable(text: object) -> str:
    """Replace what steers a terminal, such as escape sequences in a ticker, by a visible mark."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(text))


def number(value: Any, digits: int = 3) -> str:
    """Write a number with so many decimals, and a dash where there is none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    return f"{float(value):,.{digits}f}"


def share(value: float | None) -> str:
    """Write a share in percent, and a dash where there is none."""
    return MISSING if value is None or math.isnan(value) else f"{value:.0%}"


def count(n: int, noun: str) -> str:
    """Write a number of things: "1 stock", "1,259 days"."""
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def lag_in_words(lag: int) -> str:
    """Say who moves first; a positive lag means that the look-alike trails the holding."""
    if lag == 0:
        return "same day"
    return f"{'trails' if lag > 0 else 'leads'} by {count(abs(lag), 'day')}"


def compared(findings: StocksFindings) -> str:
    """Say what was compared."""
    what = "daily log returns" if findings.settings.on == "log-returns" else "price levels"
    window = findings.settings.max_shift
    lags = "all lags" if window is None else "no lag" if window == 0 else f"lags up to {count(window, 'day')}"
    text = (
        f"{count(findings.n_stocks, 'stock')} over {count(findings.n_days, 'day')}, {findings.first_day} to "
        f"{findings.last_day}, by the shape of their {what}, {lags}"
    )
    if findings.n_incomplete:
        text += f"; {findings.n_incomplete:,} of them over the days that they have"
    return text + "."


def pairs_in_words(findings: StocksFindings, *, shown: int) -> str:
    """Say how many pairs are near-identical, by which threshold, when only the first few are shown."""
    limit = findings.settings.identical_below
    rule = f"SBD at most {limit:g}"
    if findings.n_incomplete:
        rule += f", or where days are missing a correlation of at least {1 - limit:g} over the days of both"
    if findings.n_identical == 0:
        return f"No two stocks are near-identical ({rule}); these are the nearest pairs."
    verb = "pair is" if findings.n_identical == 1 else "pairs are"
    text = f"{findings.n_identical:,} {verb} near-identical ({rule})"
    if shown < findings.n_identical:
        text += f"; the nearest {shown} are shown, all are in pairs.csv"
    return text + "."


def look_alikes_in_words(findings: StocksFindings) -> str:
    """Say what the look-alikes of each holding are, and how they are ranked."""
    rank = (
        "correlation over the days of both, since some days are missing" if findings.n_incomplete else "SBD"
    )
    return f"For each holding the stocks that are nearest in shape, by {rank}; the holdings are left out."


def highlights(findings: StocksFindings) -> list[str]:
    """Say what most people look for first: the same stock twice, and what is nearest to each holding."""
    said = []
    if findings.n_identical:
        nearest = findings.pairs.iloc[0]
        verb = "pair of stocks is" if findings.n_identical == 1 else "pairs of stocks are"
        said.append(
            f"{findings.n_identical:,} {verb} near-identical, {nearest['first']} and {nearest['second']} "
            "most of all."
        )
    if findings.look_alikes is not None:
        first = findings.look_alikes[findings.look_alikes["rank"] == 1]
        pairs = ", ".join(f"{entry.look_alike} to {entry.holding}" for entry in first.itertuples())
        said.append(f"Nearest to the holdings: {pairs}.")
    if findings.basket is not None:
        said.append(f"Nearest to the portfolio as a whole: {', '.join(findings.basket['look_alike'])}.")
    return said


def singles_in_words(findings: StocksFindings) -> str | None:
    """Say when many clusters hold one stock only, which is no group."""
    singles = [cluster.tickers[0] for cluster in findings.clusters if len(cluster.tickers) == 1]
    if not singles:
        return None
    verb = "cluster holds" if len(singles) == 1 else "clusters hold"
    return (
        f"{len(singles)} {verb} a single stock ({listing(singles)}): outliers, or more clusters than groups."
    )


def sectors_in_words(findings: StocksFindings) -> str | None:
    """Say how far clusters and sectors agree."""
    if findings.sector_agreement is None:
        return None
    return (
        f"Clusters and sectors agree to {findings.sector_agreement:.2f} (adjusted mutual information: 0 is "
        f"chance, 1 the same partition). Sectors: {findings.source.sectors_from}."
    )


def cleaning_in_words(findings: StocksFindings) -> str:
    """Count what was dropped, filled or flagged."""
    counts = findings.cleaning.counts
    if counts.empty:
        return "Cleaning found nothing to drop, fill or flag."
    said = []
    for kind, action, n in counts[["kind", "action", "events"]].itertuples(index=False, name=None):
        said.append(f"{n:,} {_PLURALS.get(str(kind), kind) if int(n) > 1 else kind} ({action})")
    text = f"Cleaning: {', '.join(said)}."
    if (counts["action"] == "flagged").any():
        text += " What is flagged is used as it is"
        prints = (counts["kind"] == "bad print") & (counts["action"] == "flagged")
        text += "; --repair-prints repairs bad prints." if prints.any() else "."
    return text


def basket_in_words(findings: StocksFindings) -> str:
    """Introduce the stocks that are nearest to the portfolio as a whole."""
    holdings = ", ".join(findings.settings.portfolio)
    return f"The stocks that are nearest to the portfolio as a whole ({holdings})."


def day(value: Any) -> str:
    """Write a date as ISO, and a dash where there is none."""
    if value is None or pd.isna(value):
        return MISSING
    return value.date().isoformat() if isinstance(value, pd.Timestamp) else str(value)
