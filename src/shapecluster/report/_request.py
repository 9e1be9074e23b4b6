"""The options of `shapecluster stocks`: checked as typed, then parsed to `StocksSettings`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal, cast

from shapecluster.report._findings import CRITERIA, SeriesKind, StocksSettings

_MAX_KS = 1000  # a typing error such as 2-20000 would run for days
_MAX_DIGITS = 7  # longer numbers are errors, and could exhaust the memory as a range
_MAX_SHIFT_ON_RETURNS = 5  # a trading week; a best match at a lag of months is chance


@dataclass(frozen=True)
class StocksRequest:
    """The options of `shapecluster stocks`, as typed."""

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
    """Check that the options that name the source of the prices agree.

    Parameters
    ----------
    request : StocksRequest
        The options.

    Raises
    ------
    ValueError
        When options contradict each other, or a date is invalid. The message names the options.
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
    start, end = _parse_date(request.start, "--start"), _parse_date(request.end, "--end")
    if start is not None and start > (end or date.today()):
        raise ValueError(f"--start must not be after {'--end' if end else 'today'}. Got {start} instead.")


def parse_settings(request: StocksRequest) -> StocksSettings:
    """Parse the options that do not concern the source of the prices.

    Parameters
    ----------
    request : StocksRequest
        The options.

    Returns
    -------
    StocksSettings
        The same as numbers and names.

    Raises
    ------
    ValueError
        The message names the option, the values that it accepts, and the value that was given.
    """
    if request.on not in ("log-returns", "levels"):
        raise ValueError(f"--on must be log-returns or levels. Got {request.on!r} instead.")
    if request.criterion not in CRITERIA:
        raise ValueError(
            f"--criterion must be one of {', '.join(CRITERIA)}. Got {request.criterion!r} instead."
        )
    if request.jobs == 0:
        raise ValueError("--jobs must be a number of threads, or -1 for all cores. Got 0 instead.")
    ks = None if request.k is None else parse_ks(request.k)
    # KSweep checks both again, but its messages name Python parameters instead of options.
    if ks is not None and request.criterion == "elbow" and len(ks) < 3:
        raise ValueError(f"--criterion elbow needs at least three values of k. Got --k {request.k} instead.")
    if ks == (1,) and request.criterion == "silhouette":
        raise ValueError("--criterion silhouette needs a k of 2 or more. Got --k 1 instead.")
    return StocksSettings(
        k=ks,
        criterion=cast("Literal['ssd', 'elbow', 'silhouette']", request.criterion),
        on=cast(SeriesKind, request.on),
        max_shift=parse_max_shift(request.max_shift, request.on),
        portfolio=() if request.portfolio is None else parse_tickers(request.portfolio, "--portfolio"),
        seed=request.seed,
        repair_prints=request.repair_prints,
        n_jobs=request.jobs,
    )


def parse_ks(text: str) -> tuple[int, ...]:
    """Parse numbers of clusters: "2-20", "2,5,8", "11", or a mixture.

    Parameters
    ----------
    text : str
        The value of the option.

    Returns
    -------
    tuple of int
        The numbers in increasing order, without repetition.

    Raises
    ------
    ValueError
        For any other text.
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
        if high - low >= _MAX_KS:
            raise ValueError(f"--k tries at most {_MAX_KS} numbers of clusters. Got {text!r} instead.")
        ks.update(range(low, high + 1))
    return tuple(sorted(ks))


def parse_tickers(text: str, option: str) -> tuple[str, ...]:
    """Parse tickers that are separated by commas.

    Parameters
    ----------
    text : str
        The value of the option.
    option : str
        The name of the option, for the message.

    Returns
    -------
    tuple of str
        The tickers in the order given.

    Raises
    ------
    ValueError
        When there is no ticker, or a ticker is repeated.
    """
    tickers = [ticker.strip() for ticker in text.split(",") if ticker.strip()]
    if not tickers:
        raise ValueError(f"{option} must name at least one ticker. Got {text!r} instead.")
    # A repeated holding is an error in the user's list: dropping it would change a weight unseen.
    repeated = sorted({ticker for ticker in tickers if tickers.count(ticker) > 1})
    if repeated:
        raise ValueError(f"{option} names these tickers more than once: {', '.join(repeated)}.")
    return tuple(tickers)


def parse_max_shift(text: str | None, on: str) -> int | None:
    """Parse the maximum lag. By default it is 5 days on returns, and unbounded on levels, as in the lab.

    Parameters
    ----------
    text : str or None
        The value of the option; None when it was not given.
    on : str
        The series that are compared: "log-returns" or "levels".

    Returns
    -------
    int or None
        Trading days; None for no bound.

    Raises
    ------
    ValueError
        For any other text.
    """
    if text is None:
        return _MAX_SHIFT_ON_RETURNS if on == "log-returns" else None
    if text.strip().lower() == "all":
        return None
    if not _is_count(text.strip()):
        raise ValueError(
            f"--max-shift must be a number of trading days, 0 or more, or all. Got {text!r} instead."
        )
    return int(text)


def _parse_date(text: str | None, option: str) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{option} must be a date like 2020-02-03. Got {text!r} instead.") from None


def _is_count(text: str) -> bool:
    """Return whether a text is a whole number of reasonable size."""
    # `isdigit` alone accepts digits of other scripts and superscripts.
    return text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
