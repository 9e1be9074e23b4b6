"""What was typed, checked and read: from the options of `shapecluster stocks` to `StocksSettings`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal, cast

from shapecluster.report._findings import CRITERIA, On, StocksSettings

_MOST_KS = 1000
_MOST_DIGITS = 7
_LAG_ON_RETURNS = 5  # a trading week; a best match at a lag of months is chance


@dataclass(frozen=True)
class StocksRequest:
    """The options of `shapecluster stocks`, as they were typed."""

    prices: Path | None
    tickers: str | None
    start: str | None
    end: str | None
    sectors: Path | None
    portfolio: str | None
    k: str | None
    on: str
    repair_prints: bool
    max_shift: str | None
    criterion: str
    seed: int
    out: Path
    jobs: int


def check_sources(request: StocksRequest) -> None:
    """Refuse options that contradict each other, and dates that are none.

    Parameters
    ----------
    request : StocksRequest
        The options.

    Raises
    ------
    ValueError
        The message names the options.
    """
    if request.prices is not None and request.tickers is not None:
        raise ValueError("--prices and --tickers exclude each other: give a file, or tickers to fetch.")
    if request.tickers is None:
        for name, value in (("--start", request.start), ("--end", request.end)):
            if value is not None:
                raise ValueError(f"{name} says which days to fetch, so it needs --tickers.")
    elif request.start is None:
        raise ValueError("--tickers needs --start, the first day to fetch (2020-02-03).")
    if request.sectors is not None and request.prices is None and request.tickers is None:
        raise ValueError(
            "--sectors needs --prices or --tickers: the simulated market has sectors of its own."
        )
    start, end = _day(request.start, "--start"), _day(request.end, "--end")
    if start is not None and start > (end or date.today()):
        raise ValueError(f"--start must not be after {'--end' if end else 'today'}. Got {start} instead.")


def read_settings(request: StocksRequest) -> StocksSettings:
    """Read what is asked of the prices.

    Parameters
    ----------
    request : StocksRequest
        The options.

    Returns
    -------
    StocksSettings
        The same, as numbers and names.

    Raises
    ------
    ValueError
        The message names the option, what it takes, and what it got.
    """
    if request.on not in ("log-returns", "levels"):
        raise ValueError(f"--on must be log-returns or levels. Got {request.on!r} instead.")
    if request.criterion not in CRITERIA:
        raise ValueError(
            f"--criterion must be one of {', '.join(CRITERIA)}. Got {request.criterion!r} instead."
        )
    if request.jobs == 0:
        raise ValueError("--jobs must be a number of threads, or -1 for all cores. Got 0 instead.")
    ks = None if request.k is None else read_ks(request.k)
    if ks is not None and request.criterion == "elbow" and len(ks) < 3:
        raise ValueError(f"--criterion elbow needs at least three values of k. Got --k {request.k} instead.")
    if ks == (1,) and request.criterion == "silhouette":
        raise ValueError("--criterion silhouette needs a k of 2 or more. Got --k 1 instead.")
    return StocksSettings(
        k=ks,
        criterion=cast("Literal['ssd', 'elbow', 'silhouette']", request.criterion),
        on=cast(On, request.on),
        max_shift=read_max_shift(request.max_shift, request.on),
        portfolio=() if request.portfolio is None else read_names(request.portfolio, "--portfolio"),
        seed=request.seed,
        repair_prints=request.repair_prints,
        n_jobs=request.jobs,
    )


def read_ks(text: str) -> tuple[int, ...]:
    """Read numbers of clusters: "2-20", "2,5,8", "11", or a mixture.

    Parameters
    ----------
    text : str
        What was typed.

    Returns
    -------
    tuple of int
        The numbers, increasing, each once.

    Raises
    ------
    ValueError
        For anything else; the message says what it takes.
    """
    ks: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        ends = (first.strip(), last.strip() if dash else first.strip())
        if not all(_is_count(end) for end in ends):
            raise ValueError(f"--k must be like 2-20, or 2,5,8, or 11. Got {text!r} instead.")
        low, high = int(ends[0]), int(ends[1])
        if low < 1:
            raise ValueError(f"--k must be at least 1. Got {text!r} instead.")
        if low > high:
            raise ValueError(f"--k must run from the smaller to the larger number. Got {text!r} instead.")
        if high - low >= _MOST_KS:
            raise ValueError(f"--k tries at most {_MOST_KS} numbers of clusters. Got {text!r} instead.")
        ks.update(range(low, high + 1))
    return tuple(sorted(ks))


def read_names(text: str, option: str) -> tuple[str, ...]:
    """Read tickers separated by commas.

    Parameters
    ----------
    text : str
        What was typed.
    option : str
        The option that it was typed for, for the message.

    Returns
    -------
    tuple of str
        The tickers in the order given.

    Raises
    ------
    ValueError
        When there are none, or one stands twice.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise ValueError(f"{option} must name at least one ticker. Got {text!r} instead.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{option} names these tickers more than once: {', '.join(twice)}.")
    return tuple(names)


def read_max_shift(text: str | None, on: str) -> int | None:
    """Read the largest lag, which is bounded on returns, and on levels is not: that is the lab's recipe.

    Parameters
    ----------
    text : str or None
        What was typed, if anything.
    on : str
        What is compared: "log-returns" or "levels".

    Returns
    -------
    int or None
        Days; None for no bound.

    Raises
    ------
    ValueError
        For anything else; the message says what it takes.
    """
    if text is None:
        return _LAG_ON_RETURNS if on == "log-returns" else None
    if text.strip().lower() == "all":
        return None
    if not _is_count(text.strip()):
        raise ValueError(
            f"--max-shift must be a number of trading days, 0 or more, or all. Got {text!r} instead."
        )
    return int(text)


def _day(text: str | None, option: str) -> date | None:
    """Read a date."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{option} must be a date like 2020-02-03. Got {text!r} instead.") from None


def _is_count(text: str) -> bool:
    """Whether a text is a whole number of a size that makes sense."""
    return text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
