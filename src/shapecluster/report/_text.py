"""Sentences and numbers that the terminal and the HTML page share."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shapecluster._text import listing

if TYPE_CHECKING:
    from shapecluster.report._findings import StocksFindings

MISSING = "\N{EN DASH}"

# Kinds of events whose plural is not the kind with an "s".
_PLURALS = {"flat stretch": "flat stretches", "no prices": "no prices", "not screened": "not screened"}


def printable(text: object) -> str:
    """Replace control characters by a visible mark."""
    # Tickers come from files: an escape sequence in one could rewrite the terminal.
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(text))


def format_number(value: float | None, digits: int = 3) -> str:
    """Format a number with a fixed number of decimals; a dash when it is missing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    return f"{float(value):,.{digits}f}"


def format_share(value: float | None) -> str:
    """Format a share as a percentage; a dash when it is missing."""
    return MISSING if value is None or math.isnan(value) else f"{value:.0%}"


def format_count(n: int, noun: str, plural: str | None = None) -> str:
    """Format a number of things: "1 stock", "1,259 days"; the plural of a noun is the noun with an "s"."""
    return f"{n:,} {noun if n == 1 else plural or f'{noun}s'}"


def format_lag(lag: int) -> str:
    """Format a lag in days. Positive: the look-alike trails the holding."""
    if lag == 0:
        return "same day"
    return f"{'trails' if lag > 0 else 'leads'} by {format_count(abs(lag), 'day')}"


def format_date(value: Any) -> str:
    """Format a date as ISO; a dash when it is missing."""
    if value is None or value != value:  # NaN and NaT are not equal to themselves
        return MISSING
    return value.date().isoformat() if isinstance(value, datetime) else str(value)


def describe_comparison(findings: StocksFindings) -> str:
    """Say which series were compared, and over which lags."""
    series = "daily log returns" if findings.settings.on == "log-returns" else "price levels"
    max_shift = findings.settings.max_shift
    if max_shift is None:
        lags = "all lags"
    else:
        lags = "no lag" if max_shift == 0 else f"lags up to {format_count(max_shift, 'day')}"
    text = (
        f"{format_count(findings.n_stocks, 'stock')} over {format_count(findings.n_days, 'day')}, "
        f"{findings.first_day} to {findings.last_day}, compared by the shape of their {series}, {lags}."
    )
    if findings.n_incomplete:
        stocks = format_count(findings.n_incomplete, "stock has", "stocks have")
        text += f" {stocks} missing days, which are masked."
    return text


def describe_pairs(findings: StocksFindings, *, shown: int) -> str:
    """Say how many pairs are near-identical, by which threshold, and how many of them are shown."""
    threshold = findings.settings.identity_threshold
    rule = f"SBD at most {threshold:g}"
    if findings.n_incomplete:
        rule += f", or with missing days a correlation of at least {1 - threshold:g} over common days"
    if findings.n_identical == 0:
        return f"No two stocks are near-identical ({rule}). The nearest pairs are shown."
    text = f"{format_count(findings.n_identical, 'pair is', 'pairs are')} near-identical ({rule})."
    if shown < findings.n_identical:
        text += f" The nearest {shown} are shown; pairs.csv has all."
    return text


def describe_look_alikes(findings: StocksFindings) -> str:
    """Say how the look-alikes of each holding are ranked."""
    rank = "correlation over common days, because days are missing" if findings.n_incomplete else "SBD"
    return f"For each holding the stocks that are nearest in shape, by {rank}. Holdings are left out."


def describe_basket(findings: StocksFindings) -> str:
    """Introduce the stocks that are nearest to the portfolio as a whole."""
    holdings = ", ".join(findings.settings.portfolio)
    return f"The stocks that are nearest to the portfolio as a whole ({holdings})."


def list_highlights(findings: StocksFindings) -> list[str]:
    """State the main findings: near-identical stocks, and the nearest stock to each holding."""
    sentences = []
    if findings.n_identical:
        nearest = findings.pairs.iloc[0]
        pairs = format_count(findings.n_identical, "pair of stocks is", "pairs of stocks are")
        sentences.append(
            f"{pairs} near-identical. The nearest pair is {nearest['first']} and {nearest['second']}."
        )
    if findings.look_alikes is not None:
        first = findings.look_alikes[findings.look_alikes["rank"] == 1]
        pairs = ", ".join(f"{entry.look_alike} to {entry.holding}" for entry in first.itertuples())
        sentences.append(f"Nearest to the holdings: {pairs}.")
    if findings.basket is not None:
        sentences.append(f"Nearest to the portfolio as a whole: {', '.join(findings.basket['look_alike'])}.")
    return sentences


def describe_single_stock_clusters(findings: StocksFindings) -> str | None:
    """Name the clusters that hold one stock only; None when there are none."""
    singles = [cluster.tickers[0] for cluster in findings.clusters if len(cluster.tickers) == 1]
    if not singles:
        return None
    clusters = format_count(len(singles), "cluster holds", "clusters hold")
    # k-Shape puts an outlier into a cluster of its own once k exceeds the number of real groups.
    return f"{clusters} a single stock ({listing(singles)}): outliers, or more clusters than groups."


def describe_sector_agreement(findings: StocksFindings) -> str | None:
    """Say how well clusters and sectors agree; None without sectors."""
    if findings.sector_agreement is None:
        return None
    return (
        f"The agreement of clusters and sectors is {findings.sector_agreement:.2f} (adjusted mutual "
        f"information: 0 is chance, 1 the same partition). Sectors: {findings.source.sectors_from}."
    )


def describe_cleaning(findings: StocksFindings) -> str:
    """Count the events that cleaning dropped, filled or flagged."""
    counts = findings.event_counts
    if counts.empty:
        return "Cleaning found nothing to drop, fill or flag."
    parts = []
    for kind, action, n in counts[["kind", "action", "events"]].itertuples(index=False, name=None):
        parts.append(f"{format_count(n, kind, _PLURALS.get(kind))} ({action})")
    text = f"Cleaning: {', '.join(parts)}."
    flagged = counts["action"] == "flagged"
    if flagged.any():
        text += " Flagged prices are used unchanged"
        # Only bad prints can be repaired: prices alone do not show whether a jump is an error or news.
        has_prints = ((counts["kind"] == "bad print") & flagged).any()
        text += "; --repair-prints repairs bad prints." if has_prints else "."
    return text
