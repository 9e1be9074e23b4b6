"""Download many tickers: first from the cache, then in rounds of parallel requests, until a deadline."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import suppress
from typing import Any, TypeAlias

import pandas as pd

from shapecluster._text import listing
from shapecluster.prices._cache import PriceCache
from shapecluster.prices._yahoo import FINAL, THREAD_NAME, DownloadFailure, FetchError, yfinance_raising

logger = logging.getLogger(__name__)

_GRACE_SECONDS = 1.0
"""Time after the deadline at which requests still running give up, so that no thread stays for long."""

DownloadProgress: TypeAlias = Callable[[int, int, str], object]
"""Called with the number of settled tickers, the number of all tickers, and the ticker just settled."""

DownloadOutcome: TypeAlias = "pd.Series[Any] | FetchError"
"""Closing prices by day, or the reason why there are none."""


def download(
    tickers: Sequence[str],
    request: Callable[[str, float], pd.Series[Any]],
    cache: PriceCache,
    *,
    deadline: float | None,
    timeout: float,
    retries: int,
    backoff: float,
    n_jobs: int,
    progress: DownloadProgress | None,
) -> dict[str, DownloadOutcome]:
    """Return prices or the last error for every ticker, from the cache where it has them.

    `request` downloads the prices of one ticker within a number of seconds, or raises a FetchError. The
    other parameters are those of `fetch_prices`.
    """
    ends_at = math.inf if deadline is None else time.monotonic() + deadline
    outcomes: dict[str, DownloadOutcome] = {}

    def settle(ticker: str, outcome: DownloadOutcome) -> None:
        outcomes[ticker] = outcome
        if progress is not None:
            progress(len(outcomes), len(tickers), ticker)

    def record(ticker: str, outcome: DownloadOutcome) -> None:
        if not isinstance(outcome, FetchError):
            # Before `settle`, which calls the user's callback: an error in it must not lose the prices.
            cache.store(ticker, outcome)
        settle(ticker, outcome)

    for ticker in tickers:
        prices = cache.load(ticker)
        if prices is not None:
            settle(ticker, prices)
    pending = [ticker for ticker in tickers if ticker not in outcomes]
    if not pending:
        return outcomes
    online = threading.Event()  # once Yahoo has answered
    with yfinance_raising():
        for attempt in range(retries + 1):
            failed = _request_in_parallel(pending, request, timeout, n_jobs, ends_at, online, record)
            kinds = {error.failure for error in failed.values()}
            wait = backoff * 2**attempt
            # Without a connection a retry only costs time; one that was there before may come back.
            useless = kinds == {DownloadFailure.OFFLINE} and not online.is_set()
            if not failed or useless or attempt == retries or time.monotonic() + wait >= ends_at:
                break
            reasons = listing(sorted(kind.value for kind in kinds))
            logger.info("%d tickers failed (%s); retrying in %.3g s", len(failed), reasons, wait)
            time.sleep(wait)
            pending = list(failed)
    for ticker, failure in failed.items():
        settle(ticker, failure)
    return outcomes


def _request_in_parallel(
    tickers: list[str],
    request: Callable[[str, float], pd.Series[Any]],
    timeout: float,
    n_jobs: int,
    ends_at: float,
    online: threading.Event,
    record: Callable[[str, DownloadOutcome], None],
) -> dict[str, FetchError]:
    """Pass prices and final failures to `record`; return the failures that a retry may repair."""
    stop = threading.Event()

    def request_one(ticker: str) -> DownloadOutcome | None:
        """Return prices or an error, or None after the round has been stopped."""
        if stop.is_set():
            return None
        # The interpreter waits for the threads of a pool, so no request may outlive the call for long.
        seconds = min(timeout, ends_at + _GRACE_SECONDS - time.monotonic())
        try:
            outcome: DownloadOutcome = request(ticker, seconds)
        except FetchError as error:
            outcome = error
        failure = outcome.failure if isinstance(outcome, FetchError) else None
        if failure not in (DownloadFailure.OFFLINE, DownloadFailure.TIMEOUT):
            online.set()
        # Further requests cannot succeed, or would prolong the limit. This thread must not begin another.
        if failure is DownloadFailure.RATE_LIMITED or (
            failure is DownloadFailure.OFFLINE and not online.is_set()
        ):
            stop.set()
        return outcome

    failed: dict[str, FetchError | None] = dict.fromkeys(tickers)
    # Tickers that were never requested get the reason that ended the round.
    not_requested = FetchError(DownloadFailure.DEADLINE)
    pool = ThreadPoolExecutor(n_jobs, THREAD_NAME)
    try:
        futures = {pool.submit(request_one, ticker): ticker for ticker in tickers}
        for future in _completed_until(ends_at, list(futures)):
            ticker, outcome = futures.pop(future), future.result()
            if isinstance(outcome, FetchError) and outcome.failure not in FINAL:
                failed[ticker] = outcome
                if outcome.failure in (DownloadFailure.RATE_LIMITED, DownloadFailure.OFFLINE):
                    not_requested = outcome
            elif outcome is not None:
                del failed[ticker]
                record(ticker, outcome)
    finally:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)  # requests that hang are left behind
    if futures:
        not_requested = FetchError(DownloadFailure.DEADLINE)
    return {ticker: error or not_requested for ticker, error in failed.items()}


def _completed_until(ends_at: float, futures: list[Future[Any]]) -> Iterator[Future[Any]]:
    """Yield futures as they complete, until all have or the time is over."""
    with suppress(TimeoutError):
        yield from as_completed(futures, None if math.isinf(ends_at) else ends_at - time.monotonic())
