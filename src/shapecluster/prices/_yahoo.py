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
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import date, timedelta
from enum import Enum
from typing import Any, cast

import pandas as pd

from shapecluster._optional import import_optional
from shapecluster._tables import days

logger = logging.getLogger(__name__)

THREAD_NAME = "shapecluster-fetch"
"""Name of the threads that send our requests; the messages of yfinance in them go to our own log."""

_ATTEMPTS = 3  # other threads may change the filters again between two attempts


class DownloadFailure(Enum):
    """Why prices did not arrive."""

    UNKNOWN = "Yahoo does not know the ticker"
    EMPTY = "Yahoo has no prices in this range"
    OFFLINE = "Yahoo cannot be reached (offline?)"
    RATE_LIMITED = "Yahoo limits the rate of requests (HTTP 429)"
    TIMEOUT = "Yahoo did not answer in time"
    BAD_ANSWER = "Yahoo's answer was unusable"
    DEADLINE = "not fetched before the deadline"

    @property
    def is_final(self) -> bool:
        """Whether a retry cannot help."""
        return self in (DownloadFailure.UNKNOWN, DownloadFailure.EMPTY)


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


def fetch_closes(ticker: str, start: date, end: date, *, auto_adjust: bool, timeout: float) -> pd.Series[Any]:
    """Download the closing prices of one ticker by the exchange's day, from `start` to `end` inclusive.

    Raises FetchError when there are none.
    """
    yfinance = import_optional("yfinance", extra="market", needed_for="Fetching prices")
    try:
        source = yfinance.Ticker(ticker)
        # yfinance requests the exchange's time zone first, and a failure of that request hides Yahoo's
        # reason. The dates of the answer carry the zone anyway. With one more day on either side any
        # zone is good enough; the surplus is cut off below.
        source._tz = "UTC"
        history = _repeat_on_warning(
            source.history,
            start=start - timedelta(days=1),
            end=end + timedelta(days=2),
            interval="1d",
            auto_adjust=auto_adjust,
            actions=False,
            timeout=timeout,
        )
        closes = pd.Series(history["Close"].to_numpy(dtype=float), index=days(history.index))
    except (
        Exception
    ) as error:  # yfinance raises its own errors, those of its HTTP client, KeyError and others
        raise _classify(error, ticker, source=locals().get("source")) from error
    closes = closes.loc[str(start) : str(end)].dropna()
    if closes.empty:
        raise FetchError(DownloadFailure.EMPTY)
    return closes


def _repeat_on_warning(request: Callable[..., Any], **options: Any) -> Any:
    """Send a request again when a deprecation inside yfinance was raised as an error.

    A caller may have set the filter "error". `yfinance_raising` adds a filter against that, but filters
    belong to the process: a `catch_warnings` block that ends in another thread may remove it.
    """
    for _ in range(_ATTEMPTS):
        try:
            return request(**options)
        except Warning:
            with warnings.catch_warnings(), suppress(Warning):
                warnings.simplefilter("ignore")
                return request(**options)
    return request(**options)


def forget_answers() -> None:
    """Clear the answers that yfinance keeps in memory: it keeps failures too, and would return them again."""
    data = import_optional("yfinance.data", extra="market", needed_for="Fetching prices")
    cached = getattr(getattr(data, "YfData", None), "cache_get", None)
    clear = getattr(cached, "cache_clear", None)
    if clear is not None:
        clear()


def _classify(error: Exception, ticker: str, *, source: Any) -> FetchError:
    """Map an error of yfinance to a kind of failure.

    Errors are recognized by the names of their classes: the HTTP client of yfinance is curl_cffi or
    requests, and both use the same names.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    first_line = (str(error).strip().splitlines() or [""])[0]
    if "YFRateLimitError" in names:
        return FetchError(DownloadFailure.RATE_LIMITED)
    if "YFPricesMissingError" in names:
        return _classify_missing(getattr(error, "yahoo_reason", None), ticker, source)
    if "YFTzMissingError" in names:
        return FetchError(DownloadFailure.UNKNOWN)
    if names & {"ConnectionError", "ProxyError", "ConnectTimeout"}:
        return FetchError(DownloadFailure.OFFLINE, first_line.partition(" See ")[0])
    if names & {"Timeout", "TimeoutError"}:
        return FetchError(DownloadFailure.TIMEOUT)
    if "JSONDecodeError" in names:
        return FetchError(DownloadFailure.BAD_ANSWER, "it is not JSON; Yahoo's servers may be failing")
    return FetchError(
        DownloadFailure.BAD_ANSWER, f"{type(error).__name__}: {first_line.partition(' See ')[0]}"
    )


def _classify_missing(reason: str | None, ticker: str, source: Any) -> FetchError:
    """Distinguish an unknown ticker, an empty range and a failing server."""
    if reason is None:
        # An answer without prices is well-formed only if it names the exchange of the ticker.
        known = "exchangeTimezoneName" in (source.history_metadata or {})
        return (
            FetchError(DownloadFailure.EMPTY)
            if known
            else FetchError(DownloadFailure.BAD_ANSWER, "it holds no chart")
        )
    if re.search(r"no data found|delisted", reason, re.IGNORECASE):
        hint = (
            f" (Yahoo writes share classes with a dash: {ticker.replace('.', '-')})" if "." in ticker else ""
        )
        return FetchError(DownloadFailure.UNKNOWN, f"{reason}{hint}")
    if re.search(r"data doesn't exist", reason, re.IGNORECASE):
        return FetchError(DownloadFailure.EMPTY, reason)
    return FetchError(DownloadFailure.BAD_ANSWER, reason)


# Settings of the process that all calls share; the lock guards the other two.
_settings_lock = threading.Lock()
_n_calls = 0
_changed_settings = ExitStack()


@contextmanager
def yfinance_raising() -> Iterator[None]:
    """Make yfinance raise its errors, and ignore its own deprecation warnings, until the block ends.

    Both are settings of the whole process. Parallel calls therefore share them: the first call changes the
    settings, and the last one restores them.
    """
    global _n_calls
    with _settings_lock:
        if not _n_calls:
            _changed_settings.enter_context(_change_settings())
        _n_calls += 1
    try:
        yield
    finally:
        with _settings_lock:
            _n_calls -= 1
            if not _n_calls:
                _changed_settings.close()


@contextmanager
def _change_settings() -> Iterator[None]:
    with warnings.catch_warnings():  # the imports of yfinance may be deprecated, which users cannot change
        warnings.simplefilter("ignore", DeprecationWarning)
        yfinance = import_optional("yfinance", extra="market", needed_for="Fetching prices")
    # The filter is never removed, because a request that was left behind may log long after the call.
    # Adding it a second time has no effect.
    logging.getLogger("yfinance").addFilter(_redirect_log_record)
    debug = yfinance.config.debug
    hidden = debug.hide_exceptions
    debug.hide_exceptions = False
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="yfinance")
            yield
    finally:
        debug.hide_exceptions = hidden
        _ignore_warnings_of_requests_left_behind()


def _ignore_warnings_of_requests_left_behind() -> None:
    """Ignore deprecation warnings of yfinance until the last request that outlives its call has ended."""
    if not _request_threads():
        return
    before = list(warnings.filters)
    warnings.filterwarnings("ignore", module="yfinance")
    added = [entry for entry in warnings.filters if entry not in before]

    def wait_and_restore() -> None:
        while threads := _request_threads():
            with suppress(RuntimeError):  # a thread may be listed before it has started
                threads[0].join()
        with suppress(ValueError):  # other code may have restored the filters already
            cast("list[Any]", warnings.filters).remove(added[0])

    if added:  # else another call has added the filter, and will remove it
        threading.Thread(target=wait_and_restore, daemon=True).start()


def _request_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD_NAME]


def _redirect_log_record(record: logging.LogRecord) -> bool:
    """Move what yfinance logs about our requests to our debug log: `fetch_prices` reports the failures."""
    if record.threadName != THREAD_NAME:
        return True
    logger.debug("yfinance: %s", record.getMessage())
    return False
