"""One ticker from Yahoo through yfinance: closes by day, or why there are none.

yfinance swallows errors by default; asked not to, it raises whatever went wrong inside it. This module
turns that into a handful of kinds, because each wants something else done: an unknown ticker is final,
a rate limit wants patience, and without a connection nothing helps.
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
"""The name of threads whose requests through yfinance are reported by this library, not by yfinance."""


_ATTEMPTS = 3  # at a request that the caller's warning filters break


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
        """Whether asking again is useless."""
        return self in (DownloadFailure.UNKNOWN, DownloadFailure.EMPTY)


class FetchError(Exception):
    """Prices of one ticker did not arrive.

    Parameters
    ----------
    trouble : DownloadFailure
        The kind.
    detail : str, default=""
        What Yahoo or yfinance said.
    """

    def __init__(self, trouble: DownloadFailure, detail: str = "") -> None:
        super().__init__(f"{trouble.value}: {detail}" if detail else trouble.value)
        self.trouble = trouble


def fetch_closes(ticker: str, start: date, end: date, *, auto_adjust: bool, timeout: float) -> pd.Series[Any]:
    """Fetch the closes of one ticker by the exchange's day, from `start` to `end` inclusive.

    Raises FetchError where there are none.
    """
    yfinance = import_optional("yfinance", extra="market", needed_for="Fetching prices")
    try:
        source = yfinance.Ticker(ticker)
        # yfinance asks for the exchange's time zone first, in a request of its own whose failure hides
        # Yahoo's reason. The answer's dates carry the zone anyway: one day more on either side makes
        # any guess do, and the surplus is cut off below.
        source._tz = "UTC"
        history = _without_warnings(
            source.history,
            start=start - timedelta(days=1),
            end=end + timedelta(days=2),
            interval="1d",
            auto_adjust=auto_adjust,
            actions=False,
            timeout=timeout,
        )
        closes = pd.Series(history["Close"].to_numpy(dtype=float), index=days(history.index))
    except Exception as error:  # yfinance raises its own errors, its HTTP client's, and KeyError and the like
        raise _explained(error, ticker, source=locals().get("source")) from error
    closes = closes.loc[str(start) : str(end)].dropna()
    if closes.empty:
        raise FetchError(DownloadFailure.EMPTY)
    return closes


def _without_warnings(request: Callable[..., Any], **options: Any) -> Any:
    """Make a request again when a deprecation inside yfinance became an error.

    That is how a caller may treat warnings. `yfinance_raising` filters them out, but filters belong to the
    process, and any `catch_warnings` that ends in another thread may put back those without ours.
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
    """Drop the answers that yfinance keeps in memory; it keeps failures too, and would repeat them."""
    data = import_optional("yfinance.data", extra="market", needed_for="Fetching prices")
    cached = getattr(getattr(data, "YfData", None), "cache_get", None)
    clear = getattr(cached, "cache_clear", None)
    if clear is not None:
        clear()


def _explained(error: Exception, ticker: str, *, source: Any) -> FetchError:
    """Tell the kinds of trouble apart.

    Errors are known by the names of their classes, because yfinance's HTTP client is curl_cffi or
    requests, whichever is there, and both use the same names.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    first_line = (str(error).strip().splitlines() or [""])[0]
    if "YFRateLimitError" in names:
        return FetchError(DownloadFailure.RATE_LIMITED)
    if "YFPricesMissingError" in names:
        return _without_prices(getattr(error, "yahoo_reason", None), ticker, source)
    if "YFTzMissingError" in names:
        return FetchError(DownloadFailure.UNKNOWN)
    if names & {"ConnectionError", "ProxyError", "ConnectTimeout"}:
        return FetchError(DownloadFailure.OFFLINE, first_line.partition(" See ")[0])
    if names & {"Timeout", "TimeoutError"}:
        return FetchError(DownloadFailure.TIMEOUT)
    if "JSONDecodeError" in names:
        return FetchError(DownloadFailure.BAD_ANSWER, "it is not JSON, so its servers may be failing")
    return FetchError(
        DownloadFailure.BAD_ANSWER, f"{type(error).__name__}: {first_line.partition(' See ')[0]}"
    )


def _without_prices(reason: str | None, ticker: str, source: Any) -> FetchError:
    """Tell an unknown ticker from an empty range and from a server in trouble."""
    if reason is None:
        # A well-formed answer without prices says which exchange the ticker trades on.
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


_guard = threading.Lock()
_guests = 0
_made = ExitStack()


@contextmanager
def yfinance_raising() -> Iterator[None]:
    """Make yfinance raise its errors, and keep its own deprecations quiet, until the block ends.

    Both are settings of the whole process, so that blocks in several threads share one: the first sets,
    the last one puts back what was there.
    """
    global _guests
    with _guard:
        if not _guests:
            _made.enter_context(_candid())
        _guests += 1
    try:
        yield
    finally:
        with _guard:
            _guests -= 1
            if not _guests:
                _made.close()


@contextmanager
def _candid() -> Iterator[None]:
    with warnings.catch_warnings():  # what it imports in turn may be deprecated, which is not our affair
        warnings.simplefilter("ignore", DeprecationWarning)
        yfinance = import_optional("yfinance", extra="market", needed_for="Fetching prices")
    # Stays for good, because a request that was left behind may complain long after its time. Adding
    # it a second time changes nothing.
    logging.getLogger("yfinance").addFilter(_demoted)
    debug = yfinance.config.debug
    hidden = debug.hide_exceptions
    debug.hide_exceptions = False
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="yfinance")
            yield
    finally:
        debug.hide_exceptions = hidden
        _hush_what_was_left_behind()


def _hush_what_was_left_behind() -> None:
    """Keep yfinance's deprecations quiet until the last request has ended, whose call is over."""
    if not _requests():
        return
    before = list(warnings.filters)
    warnings.filterwarnings("ignore", module="yfinance")
    added = [entry for entry in warnings.filters if entry not in before]

    def wait_and_put_back() -> None:
        while threads := _requests():
            with suppress(RuntimeError):  # listed, but about to start
                threads[0].join()
        with suppress(ValueError):  # somebody else may have put the filters back
            cast("list[Any]", warnings.filters).remove(added[0])

    if added:  # else another call has seen to it
        threading.Thread(target=wait_and_put_back, daemon=True).start()


def _requests() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD_NAME]


def _demoted(record: logging.LogRecord) -> bool:
    """Move yfinance's complaints about our own requests to our log: they are part of our answer."""
    if record.threadName != THREAD_NAME:
        return True
    logger.debug("yfinance: %s", record.getMessage())
    return False
