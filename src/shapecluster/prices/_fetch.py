"""`fetch_prices`: download daily prices from Yahoo, with a deadline, retries and a cache on disk."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, date, datetime
from functools import partial
from numbers import Integral, Real
from os import PathLike
from typing import Literal

import pandas as pd

from shapecluster._sklearn_compat import Interval, StrOptions, validate_params
from shapecluster._threads import n_threads
from shapecluster._warnings import warn_user
from shapecluster.exceptions import MissingPricesError, MissingPricesWarning
from shapecluster.prices._cache import CacheDir, PriceCache
from shapecluster.prices._download import DownloadProgress, download
from shapecluster.prices._frames import rows_from_series
from shapecluster.prices._yahoo import FetchError, fetch_closes

_SYMBOL = re.compile(r"[A-Za-z0-9.^=&_-]+")
_ISIN = re.compile(r"[A-Z]{2}[A-Z0-9]{9}[0-9]", re.IGNORECASE)


@validate_params(
    {
        "auto_adjust": ["boolean"],
        "cache_dir": [str, PathLike, None],
        "deadline": [Interval(Real, 0, None, closed="right"), None],
        "timeout": [Interval(Real, 0, None, closed="neither")],
        "retries": [Interval(Integral, 0, None, closed="left")],
        "backoff": [Interval(Real, 0, None, closed="left")],
        "n_jobs": [
            Interval(Integral, 1, None, closed="left"),
            Interval(Integral, None, -1, closed="right"),
            None,
        ],
        "on_missing": [StrOptions({"raise", "warn"})],
        "progress": [callable, None],
    },
    prefer_skip_nested_validation=True,
)
def fetch_prices(
    tickers: Iterable[str],
    start: str | date,
    end: str | date | None = None,
    *,
    auto_adjust: bool = True,
    cache_dir: CacheDir = "auto",
    deadline: float | None = 300.0,
    timeout: float = 10.0,
    retries: int = 3,
    backoff: float = 2.0,
    n_jobs: int | None = 4,
    on_missing: Literal["raise", "warn"] = "raise",
    progress: DownloadProgress | None = None,
) -> pd.DataFrame:
    """Fetch daily closing prices from Yahoo, one stock per row.

    `fetch_prices` downloads through yfinance and caches every ticker on disk. The call ends by its deadline,
    and tickers that fail do not affect the others.

    Parameters
    ----------
    tickers : iterable of str
        Yahoo's symbols ("AAPL", "BRK-B", "^GSPC"), not ISINs. Their order is kept.
    start, end : str or date
        The first and the last day, both included (yfinance itself excludes `end`), as ISO dates.
        `end` = None means today.
    auto_adjust : bool, default=True
        Whether closes are adjusted for dividends as well as for splits. Yahoo always adjusts for splits.
    cache_dir : path, "auto" or None, default="auto"
        The folder for the cache, with one parquet file per ticker and range. "auto" is the user's cache
        folder on this platform, None disables the cache, and "~" stands for the home folder. A range that
        ends before yesterday is kept without limit, any other for 15 minutes.
    deadline : float or None, default=300
        Seconds of wall-clock time after which the call ends with the prices that have arrived.
    timeout : float, default=10
        Seconds after which one request fails and is repeated.
    retries : int, default=3
        How often failed tickers are requested again. Unknown tickers are not requested again, and no ticker
        is when Yahoo cannot be reached at all.
    backoff : float, default=2
        Seconds to wait before the first retry; doubled before each further one.
    n_jobs : int or None, default=4
        Number of parallel downloads, as joblib counts: None is 1, -1 is one per core.
    on_missing : {"raise", "warn"}, default="raise"
        What to do when some prices did not arrive: raise `MissingPricesError`, or issue a
        `MissingPricesWarning` and return the other prices.
    progress : callable, default=None
        Called as ``progress(n_settled, n_tickers, ticker)`` in the calling thread whenever a ticker is
        settled: its prices have arrived, or its download has failed for good.

    Returns
    -------
    DataFrame of shape (n_tickers, n_days)
        Closing prices in the currency of each exchange, float64. The rows are the tickers as given, in the
        same order. The columns are all days on which any of them traded; NaN where one did not.

    Raises
    ------
    MissingPricesError
        When prices did not arrive for some tickers. Its `missing` holds the reason for each of them, such
        as an unknown ticker, an empty range, a rate limit, a timeout or the deadline. Its `prices` holds
        all prices that arrived.
    ValueError
        For arguments that make no sense.
    ImportError
        When yfinance is not installed, or pyarrow and platformdirs with a cache.

    See Also
    --------
    load_prices : Prices from a file.
    clean_prices : Fill gaps, drop late listings and flag bad prints.

    Notes
    -----
    While the call runs, yfinance raises its errors in every thread of the process
    (``yfinance.config.debug.hide_exceptions``). The setting is restored when the last request has ended.
    A request that hangs does not delay the call. It gives up after `timeout`, and a second after the deadline
    at the latest; until then the interpreter does not exit.

    Later dividends change the adjusted prices of a past range by one factor. Returns and shapes stay the
    same, so the cache keeps such ranges.

    Examples
    --------
    >>> from shapecluster.prices import fetch_prices
    >>> prices = fetch_prices(["AAPL", "MSFT"], "2020-02-03", "2020-06-18")  # doctest: +SKIP
    >>> prices.index.tolist()  # doctest: +SKIP
    ['AAPL', 'MSFT']
    """
    names = _checked_tickers(tickers)
    first = _day("start", start)
    last = datetime.now(UTC).date() if end is None else _day("end", end)
    if last < first:
        raise ValueError(f"start must not lie after end. Got start={first} and end={last}.")
    outcomes = download(
        names,
        partial(fetch_closes, start=first, end=last, auto_adjust=auto_adjust),
        PriceCache(cache_dir, first, last, auto_adjust),
        deadline=deadline,
        timeout=timeout,
        retries=retries,
        backoff=backoff,
        n_jobs=n_threads(n_jobs),
        progress=progress,
    )
    arrived = {ticker: prices for ticker, prices in outcomes.items() if not isinstance(prices, FetchError)}
    prices = rows_from_series({ticker: arrived[ticker] for ticker in names if ticker in arrived})
    missing = {ticker: str(outcomes[ticker]) for ticker in names if ticker not in arrived}
    if not missing:
        return prices
    by_reason: dict[str, list[str]] = {}
    for ticker, reason in missing.items():
        by_reason.setdefault(reason, []).append(ticker)
    reasons = "; ".join(f"{', '.join(failed)} ({reason})" for reason, failed in by_reason.items())
    message = f"no prices from {first} to {last} for {len(missing)} of {len(names)} tickers: {reasons}."
    if on_missing == "warn":
        warn_user("fetch_prices", message, MissingPricesWarning)
        return prices
    message += f" What arrived ({len(arrived)} tickers) is in this error's .prices" + (
        "; on_missing='warn' returns it." if arrived else "."
    )
    raise MissingPricesError(message, missing=missing, prices=prices)


def _checked_tickers(tickers: Iterable[str]) -> tuple[str, ...]:
    if isinstance(tickers, str):
        raise ValueError(
            f"tickers must be a list of str. Got the str {tickers!r} instead: pass [{tickers!r}]."
        )
    if not isinstance(tickers, Iterable):
        raise ValueError(f"tickers must be a list of str. Got {tickers!r} instead.")
    names = tuple(tickers)
    if not names:
        raise ValueError("tickers must hold at least one ticker. Got none.")
    seen: set[str] = set()
    for name in names:
        if not isinstance(name, str) or not _SYMBOL.fullmatch(name):
            raise ValueError(
                "tickers must be Yahoo's symbols, of letters, digits and any of . ^ = & _ -. "
                f"Got {name!r} instead."
            )
        if _ISIN.fullmatch(name):
            raise ValueError(
                f"tickers must be Yahoo's symbols. Got the ISIN {name!r} instead: look up its symbol, which "
                "also says on which exchange."
            )
        if name.upper() in seen:  # the cache and Yahoo would hand out one series for both spellings
            raise ValueError(f"tickers must differ, and Yahoo ignores case. Got {name!r} twice.")
        seen.add(name.upper())
    return names


def _day(name: str, value: object) -> date:
    """Convert a date, a Timestamp or an ISO string to a day."""
    if isinstance(value, datetime) and not pd.isna(value):  # a Timestamp is a datetime, and so is NaT
        return value.date()
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    with suppress(ValueError):
        if isinstance(value, str):
            return date.fromisoformat(value)
    raise ValueError(f"{name} must be a date such as '2020-02-03'. Got {value!r} instead.")
