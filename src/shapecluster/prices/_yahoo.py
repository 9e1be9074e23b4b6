"""Download one ticker from Yahoo through yfinance: closing prices by day, or the reason of the failure.

yfinance hides errors by default. With `hide_exceptions` off it raises errors of many classes. This module
maps them to a few kinds, because callers treat each kind differently: an unknown ticker is final, a rate
limit ends after some time, and without a connection no retry helps.
"""

from __future__ import annotations

import logging
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import date, timedelta
from enum import Enum
from typing import Any, cast

import pandas as pd

from shapecluster._optional import import_optional
from shapecluster._tables import days

logger = logging.getLogger(__name__)

THREAD_NAME = "shapecluster-fetch"
"""Beginning of the names of threads that send our requests; what yfinance logs there goes to our own log."""


class DownloadFailure(Enum):
    """Why prices did not arrive."""

    UNKNOWN = "Yahoo does not know the ticker"
    EMPTY = "Yahoo has no prices in this range"
    OFFLINE = "Yahoo cannot be reached (offline?)"
    RATE_LIMITED = "Yahoo limits the rate of requests (HTTP 429)"
    TIMEOUT = "Yahoo did not answer in time"
    BAD_ANSWER = "Yahoo's answer was unusable"
    DEADLINE = "not fetched before the deadline"


FINAL = (DownloadFailure.UNKNOWN, DownloadFailure.EMPTY)
"""Failures that a retry cannot repair."""


class FetchError(Exception):
    """Prices of one ticker did not arrive.

    Parameters
    ----------
    failure : DownloadFailure
        The kind of failure.
    detail : str, default=""
        The message of Yahoo or yfinance.
    """

    def __init__(self, failure: DownloadFailure, detail: str = "") -> None:
        super().__init__(f"{failure.value}: {detail}" if detail else failure.value)
        self.failure = failure


def fetch_closes(ticker: str, timeout: float, *, start: date, end: date, auto_adjust: bool) -> pd.Series[Any]:
    """Download the closing prices of one ticker by the exchange's day, from `start` to `end` inclusive.

    Raises FetchError when there are none.
    """
    source: Any = None
    with yfinance_raising() as yfinance:
        try:
            source = yfinance.Ticker(ticker)
            # yfinance keeps answers in memory, and failures too: a retry would get them again.
            yfinance.data.YfData.cache_get.cache_clear()
            # yfinance requests the exchange's time zone first, and a failure of that request hides Yahoo's
            # reason. The dates of the answer carry the zone anyway. With one more day on either side any
            # zone is good enough; the surplus is cut off below.
            source._tz = "UTC"
            history = source.history(
                start=start - timedelta(days=1),
                end=end + timedelta(days=2),
                interval="1d",
                auto_adjust=auto_adjust,
                actions=False,
                timeout=timeout,
            )
            closes = pd.Series(history["Close"].to_numpy(dtype=float), index=days(history.index))
        # yfinance raises its own errors, those of its HTTP client, KeyError and others.
        except Exception as error:
            raise _classify(error, ticker, source) from error
    closes = closes.loc[str(start) : str(end)].dropna()
    if closes.empty:
        raise FetchError(DownloadFailure.EMPTY)
    return closes


def _classify(error: Exception, ticker: str, source: Any) -> FetchError:
    """Map an error of yfinance to a kind of failure.

    Errors are recognized by the names of their classes: the HTTP client of yfinance is curl_cffi or
    requests, and both use the same names.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    first_line = (str(error).strip().splitlines() or [""])[0].partition(" See ")[0]
    if "YFRateLimitError" in names:
        return FetchError(DownloadFailure.RATE_LIMITED)
    if "YFPricesMissingError" in names:
        return _classify_missing(getattr(error, "yahoo_reason", None), ticker, source)
    if "YFTzMissingError" in names:
        return FetchError(DownloadFailure.UNKNOWN)
    if names & {"ConnectionError", "ProxyError", "ConnectTimeout"}:
        return FetchError(DownloadFailure.OFFLINE, first_line)
    if names & {"Timeout", "TimeoutError"}:
        return FetchError(DownloadFailure.TIMEOUT)
    if "JSONDecodeError" in names:
        return FetchError(DownloadFailure.BAD_ANSWER, "it is not JSON; Yahoo's servers may be failing")
    return FetchError(DownloadFailure.BAD_ANSWER, f"{type(error).__name__}: {first_line}")


def _classify_missing(reason: str | None, ticker: str, source: Any) -> FetchError:
    """Distinguish an unknown ticker, an empty range and a failing server."""
    if reason is None:
        # An answer without prices is well-formed only if it names the exchange of the ticker.
        if "exchangeTimezoneName" in (source.history_metadata or {}):
            return FetchError(DownloadFailure.EMPTY)
        return FetchError(DownloadFailure.BAD_ANSWER, "it holds no chart")
    if re.search(r"no data found|delisted", reason, re.IGNORECASE):
        dashed = ticker.replace(".", "-")
        hint = f" (Yahoo writes share classes with a dash: {dashed})" if dashed != ticker else ""
        return FetchError(DownloadFailure.UNKNOWN, f"{reason}{hint}")
    if re.search(r"data doesn't exist", reason, re.IGNORECASE):
        return FetchError(DownloadFailure.EMPTY, reason)
    return FetchError(DownloadFailure.BAD_ANSWER, reason)


# Settings of the process that all calls and requests share; the lock guards the other two.
_settings_lock = threading.Lock()
_n_users = 0
_undo_settings = ExitStack()


@contextmanager
def yfinance_raising() -> Iterator[Any]:
    """Make yfinance raise its errors, and ignore its own deprecation warnings, until the block ends.

    Both are settings of the whole process. Calls and their requests therefore share them, and a request may
    outlive its call: the first one changes the settings, and the last one restores them.

    Yields
    ------
    module
        yfinance.
    """
    global _n_users
    with _settings_lock:
        if not _n_users:
            _change_settings()
        _n_users += 1
        _ignore_warnings()
    try:
        yield _yfinance()
    finally:
        with _settings_lock:
            _n_users -= 1
            if not _n_users:
                _undo_settings.close()


def _yfinance() -> Any:
    return import_optional("yfinance", extra="market", needed_for="Fetching prices")


def _change_settings() -> None:
    with warnings.catch_warnings():  # the imports of yfinance may be deprecated, which users cannot change
        warnings.simplefilter("ignore", DeprecationWarning)
        debug = _yfinance().config.debug
    # The filter is never removed; adding it a second time has no effect.
    logging.getLogger("yfinance").addFilter(_redirect_log_record)
    _undo_settings.callback(setattr, debug, "hide_exceptions", debug.hide_exceptions)
    debug.hide_exceptions = False


def _ignore_warnings() -> None:
    """Ignore the warnings of yfinance.

    Every request does so again: filters belong to the process, and a `catch_warnings` block that ends in
    another thread may remove this one.
    """
    before = list(warnings.filters)
    warnings.filterwarnings("ignore", module="yfinance")
    if warnings.filters[0] not in before:  # else the user has the same filter, and keeps it
        _undo_settings.callback(_remove_filter, warnings.filters[0])


def _remove_filter(entry: Any) -> None:
    with suppress(ValueError):  # other code may have restored the filters already
        cast("list[Any]", warnings.filters).remove(entry)


def _redirect_log_record(record: logging.LogRecord) -> bool:
    """Move what yfinance logs about our requests to our debug log: `fetch_prices` reports the failures."""
    if not (record.threadName or "").startswith(THREAD_NAME):
        return True
    logger.debug("yfinance: %s", record.getMessage())
    return False
