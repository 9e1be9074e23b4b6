"""Download many tickers: first from the cache, then in rounds of parallel requests, until a deadline."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, TypeAlias

import pandas as pd

from shapecluster._text import listing
from shapecluster.prices._cache import PriceCache, Slot
from shapecluster.prices._yahoo import (
    THREAD_NAME,
    DownloadFailure,
    FetchError,
    fetch_closes,
    forget_answers,
    yfinance_raising,
)

logger = logging.getLogger(__name__)

_JOIN_SECONDS = 0.2
"""Time for the threads of a round to end before `fetch_prices` goes on without them."""

DownloadProgress: TypeAlias = Callable[[int, int, str], object]
"""Called with the number of settled tickers, the number of all tickers, and the ticker just settled."""

DownloadOutcome: TypeAlias = "pd.Series[Any] | FetchError"
"""Closing prices by day, or the reason why there are none."""


@dataclass(frozen=True)
class DownloadRequest:
    """Tickers and days to download; both days are included."""

    tickers: tuple[str, ...]
    start: date
    end: date
    auto_adjust: bool

    def slot(self, ticker: str) -> Slot:
        """The cache entry of a ticker; Yahoo ignores case, so the cache does too."""
        return Slot(ticker.upper(), self.start, self.end, self.auto_adjust)


@dataclass(frozen=True)
class RetryPolicy:
    """When to retry and when to stop; the parameters of `fetch_prices` of the same names."""

    deadline: float | None
    timeout: float
    retries: int
    backoff: float
    n_jobs: int


def run_request(
    request: DownloadRequest,
    policy: RetryPolicy,
    cache: PriceCache,
    *,
    progress: DownloadProgress | None = None,
) -> dict[str, DownloadOutcome]:
    """Return prices or the last error for every ticker, from the cache where it has them."""
    ends_at = float("inf") if policy.deadline is None else time.monotonic() + policy.deadline
    outcomes: dict[str, DownloadOutcome] = {}

    def settle(ticker: str, outcome: DownloadOutcome) -> None:
        outcomes[ticker] = outcome
        if progress is not None:
            progress(len(outcomes), len(request.tickers), ticker)

    for ticker in request.tickers:
        prices = cache.load(request.slot(ticker), now=datetime.now(UTC))
        if prices is not None:
            settle(ticker, prices)
    pending = [ticker for ticker in request.tickers if ticker not in outcomes]
    if not pending:
        return outcomes

    def record(ticker: str, outcome: DownloadOutcome) -> None:
        if isinstance(outcome, FetchError):
            if outcome.failure.is_final:  # any other failure may be repaired by a later round
                settle(ticker, outcome)
        else:
            # Before `settle`, which calls the user's callback: an error in it must not lose the prices.
            cache.store(request.slot(ticker), outcome, now=datetime.now(UTC))
            settle(ticker, outcome)

    with yfinance_raising():
        failed = _download_in_rounds(pending, request, policy, ends_at, record)
    for ticker, failure in failed.items():
        settle(ticker, failure)
    return outcomes


def _download_in_rounds(
    pending: list[str],
    request: DownloadRequest,
    policy: RetryPolicy,
    ends_at: float,
    record: Callable[[str, DownloadOutcome], None],
) -> dict[str, FetchError]:
    """Request all tickers, then the failed ones again; return the failures of the last round."""
    ever_answered = False
    failed: dict[str, FetchError] = {}
    for attempt in range(policy.retries + 1):
        forget_answers()
        this_round = RequestRound(pending, request, policy, may_be_offline=not ever_answered)
        failed = this_round.run(ends_at, record)
        ever_answered = ever_answered or this_round.answered
        # Without a connection a retry only costs time; one that was there before may come back.
        if not failed or (not ever_answered and _all_failed_by(failed, DownloadFailure.OFFLINE)):
            break
        wait = policy.backoff * 2**attempt
        if attempt == policy.retries or time.monotonic() + wait >= ends_at:
            break
        kinds = listing(sorted({error.failure.value for error in failed.values()}))
        logger.info("%d tickers failed (%s); retrying in %.3g s", len(failed), kinds, wait)
        time.sleep(wait)
        pending = list(failed)
    return failed


def _all_failed_by(failed: Mapping[str, FetchError], failure: DownloadFailure) -> bool:
    return all(error.failure is failure for error in failed.values())


class RequestRound:
    """One round of parallel requests in daemon threads, which are left behind when they hang.

    An executor of the standard library joins its threads when the interpreter exits, so one hanging request
    would keep the interpreter from exiting.
    """

    def __init__(
        self, tickers: list[str], request: DownloadRequest, policy: RetryPolicy, *, may_be_offline: bool
    ) -> None:
        self.answered = False
        self._tickers = tickers
        self._request = request
        self._policy = policy
        self._may_be_offline = may_be_offline
        self._tasks: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[tuple[str, DownloadOutcome] | None] = queue.SimpleQueue()
        self._stop = threading.Event()

    def run(self, ends_at: float, record: Callable[[str, DownloadOutcome], None]) -> dict[str, FetchError]:
        """Pass each outcome to `record`; return the failures that a retry may repair."""
        for ticker in self._tickers:
            self._tasks.put(ticker)
        busy = min(self._policy.n_jobs, len(self._tickers))
        threads = [
            threading.Thread(target=self._request_tickers, name=THREAD_NAME, daemon=True) for _ in range(busy)
        ]
        for thread in threads:
            thread.start()
        seen: dict[str, DownloadOutcome] = {}
        try:
            while busy:
                left = ends_at - time.monotonic()
                try:
                    result = self._results.get(timeout=None if left == float("inf") else max(0.0, left))
                except queue.Empty:
                    break
                if result is None:  # a thread has ended
                    busy -= 1
                    continue
                seen[result[0]] = result[1]
                record(*result)
        finally:
            self._stop.set()
            give_up_at = time.monotonic() + _JOIN_SECONDS
            for thread in threads:  # most end at once; those that hang are left behind
                thread.join(max(0.0, give_up_at - time.monotonic()))
        return self._failures(seen, out_of_time=busy > 0)

    def _request_tickers(self) -> None:
        """Request one ticker after the other in a thread, until none is left or the round is stopped."""
        try:
            with suppress(queue.Empty):
                while not self._stop.is_set():
                    ticker = self._tasks.get_nowait()
                    outcome = self._request_one(ticker)
                    self._stop_if_useless(outcome)  # here, before this thread takes the next ticker
                    self._results.put((ticker, outcome))
        finally:
            self._results.put(None)

    def _request_one(self, ticker: str) -> DownloadOutcome:
        request = self._request
        try:
            return fetch_closes(
                ticker,
                request.start,
                request.end,
                auto_adjust=request.auto_adjust,
                timeout=self._policy.timeout,
            )
        except FetchError as error:
            return error

    def _stop_if_useless(self, outcome: DownloadOutcome) -> None:
        """Stop the round when further requests cannot succeed or would prolong a rate limit."""
        failure = outcome.failure if isinstance(outcome, FetchError) else None
        if failure is DownloadFailure.OFFLINE:
            if self._may_be_offline and not self.answered:
                self._stop.set()
        elif failure is DownloadFailure.RATE_LIMITED:
            self._stop.set()
        if failure not in (DownloadFailure.OFFLINE, DownloadFailure.TIMEOUT):
            self.answered = True

    def _failures(self, seen: Mapping[str, DownloadOutcome], *, out_of_time: bool) -> dict[str, FetchError]:
        failed = {t: o for t, o in seen.items() if isinstance(o, FetchError) and not o.failure.is_final}
        reasons = [
            error
            for error in failed.values()
            if error.failure in (DownloadFailure.RATE_LIMITED, DownloadFailure.OFFLINE)
        ]
        # Tickers that were never requested get the reason that ended the round.
        not_requested = FetchError(DownloadFailure.DEADLINE) if out_of_time or not reasons else reasons[-1]
        return {t: failed.get(t, not_requested) for t in self._tickers if t in failed or t not in seen}
