"""How many tickers are asked for: from the cache first, then in rounds of requests side by side."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, TypeAlias

import pandas as pd

from shapecluster._validation import listing
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

_PATIENCE = 0.2
"""Seconds for threads to end in before they are left behind."""

DownloadProgress: TypeAlias = Callable[[int, int, str], object]
DownloadOutcome: TypeAlias = "pd.Series[Any] | FetchError"


@dataclass(frozen=True)
class DownloadRequest:
    """What is asked for; both days are included."""

    tickers: tuple[str, ...]
    start: date
    end: date
    auto_adjust: bool

    def slot(self, ticker: str) -> Slot:
        """Where a ticker's prices are kept."""
        return Slot(ticker.upper(), self.start, self.end, self.auto_adjust)


@dataclass(frozen=True)
class RetryPolicy:
    """How hard to try; the parameters of `fetch_prices` of the same names."""

    deadline: float | None
    timeout: float
    retries: int
    backoff: float
    max_workers: int


@dataclass(frozen=True)
class RetryClock:
    """The time; tests bring their own."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))


def run_request(
    request: DownloadRequest,
    policy: RetryPolicy,
    cache: PriceCache,
    *,
    progress: DownloadProgress | None = None,
    clock: RetryClock | None = None,
) -> dict[str, DownloadOutcome]:
    """Settle every ticker: from the cache, else from Yahoo, else with the reason of the last failure."""
    clock = clock or RetryClock()
    ends_at = float("inf") if policy.deadline is None else clock.monotonic() + policy.deadline
    outcomes: dict[str, DownloadOutcome] = {}

    def settle(ticker: str, outcome: DownloadOutcome) -> None:
        outcomes[ticker] = outcome
        if progress is not None:
            progress(len(outcomes), len(request.tickers), ticker)

    for ticker in request.tickers:
        prices = cache.load(request.slot(ticker), now=clock.now())
        if prices is not None:
            settle(ticker, prices)
    pending = [ticker for ticker in request.tickers if ticker not in outcomes]
    if not pending:
        return outcomes

    def arrived(ticker: str, outcome: DownloadOutcome) -> None:
        if isinstance(outcome, FetchError):
            if outcome.trouble.is_final:
                settle(ticker, outcome)
        else:
            cache.store(request.slot(ticker), outcome, now=clock.now())
            settle(ticker, outcome)

    with yfinance_raising():
        failed = _rounds(pending, request, policy, clock, ends_at, arrived)
    for ticker, failure in failed.items():
        settle(ticker, failure)
    return outcomes


def _rounds(
    pending: list[str],
    request: DownloadRequest,
    policy: RetryPolicy,
    clock: RetryClock,
    ends_at: float,
    arrived: Callable[[str, DownloadOutcome], None],
) -> dict[str, FetchError]:
    """Ask for all tickers, then again for those that failed; return the failures that are left."""
    ever_answered = False
    failed: dict[str, FetchError] = {}
    for attempt in range(policy.retries + 1):
        forget_answers()
        crew = RequestRound(pending, request, policy, may_be_offline=not ever_answered)
        failed = crew.work(clock, ends_at, arrived)
        ever_answered = ever_answered or crew.answered
        if not failed or (not ever_answered and _all_are(failed, DownloadFailure.OFFLINE)):
            break
        wait = policy.backoff * 2**attempt
        if attempt == policy.retries or clock.monotonic() + wait >= ends_at:
            break
        kinds = listing(sorted({error.trouble.value for error in failed.values()}))
        logger.info("%d tickers failed (%s); asking again in %.3g s", len(failed), kinds, wait)
        clock.sleep(wait)
        pending = list(failed)
    return failed


def _all_are(failed: Mapping[str, FetchError], trouble: DownloadFailure) -> bool:
    return all(error.trouble is trouble for error in failed.values())


class RequestRound:
    """One round of requests in daemon threads, which may be left behind when they hang.

    (Executors of the standard library join their threads when the interpreter exits, and so would hang
    with them.)
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

    def work(
        self, clock: RetryClock, ends_at: float, arrived: Callable[[str, DownloadOutcome], None]
    ) -> dict[str, FetchError]:
        """Hand each outcome to `arrived`; return the failures that are worth another try."""
        for ticker in self._tickers:
            self._tasks.put(ticker)
        busy = min(self._policy.max_workers, len(self._tickers))
        threads = [threading.Thread(target=self._serve, name=THREAD_NAME, daemon=True) for _ in range(busy)]
        for thread in threads:
            thread.start()
        seen: dict[str, DownloadOutcome] = {}
        try:
            while busy:
                left = ends_at - clock.monotonic()
                try:
                    result = self._results.get(timeout=None if left == float("inf") else max(0.0, left))
                except queue.Empty:
                    break
                if result is None:
                    busy -= 1
                    continue
                seen[result[0]] = result[1]
                arrived(*result)
        finally:
            self._stop.set()
            patience = time.monotonic() + _PATIENCE
            for thread in threads:  # nearly all end by themselves, now that nothing is left to do
                thread.join(max(0.0, patience - time.monotonic()))
        return self._failures(seen, out_of_time=busy > 0)

    def _serve(self) -> None:
        """One thread: ask for ticker after ticker until there are no more, or the round was stopped."""
        try:
            with suppress(queue.Empty):
                while not self._stop.is_set():
                    ticker = self._tasks.get_nowait()
                    outcome = self._ask(ticker)
                    self._heed(outcome)  # here, before this thread takes the next ticker
                    self._results.put((ticker, outcome))
        finally:
            self._results.put(None)

    def _ask(self, ticker: str) -> DownloadOutcome:
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

    def _heed(self, outcome: DownloadOutcome) -> None:
        """Stop the round when going on would do harm, or no good."""
        trouble = outcome.trouble if isinstance(outcome, FetchError) else None
        if trouble is DownloadFailure.OFFLINE:
            if self._may_be_offline and not self.answered:
                self._stop.set()
        elif trouble is DownloadFailure.RATE_LIMITED:
            self._stop.set()
        if trouble not in (DownloadFailure.OFFLINE, DownloadFailure.TIMEOUT):
            self.answered = True

    def _failures(self, seen: Mapping[str, DownloadOutcome], *, out_of_time: bool) -> dict[str, FetchError]:
        failed = {t: o for t, o in seen.items() if isinstance(o, FetchError) and not o.trouble.is_final}
        reasons = [
            error
            for error in failed.values()
            if error.trouble in (DownloadFailure.RATE_LIMITED, DownloadFailure.OFFLINE)
        ]
        unasked = FetchError(DownloadFailure.DEADLINE) if out_of_time or not reasons else reasons[-1]
        return {t: failed.get(t, unasked) for t in self._tickers if t in failed or t not in seen}
