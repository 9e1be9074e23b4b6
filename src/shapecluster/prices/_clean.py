"""From prices as they come to prices that can be clustered, with an account of every change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from shapecluster._sklearn_compat import Interval, StrOptions, validate_params
from shapecluster._typing import BoolArray, FloatArray
from shapecluster.prices._cleaning_report import CleaningReport, Event
from shapecluster.prices._frames import check_price_frame
from shapecluster.prices._suspects import (
    Scores,
    Suspect,
    flat_stretches,
    lasting_jumps,
    next_observed,
    reverting_prints,
    runs,
    score_returns,
)

_FROZEN_SHARE = 0.95
_FROZEN_MIN_STOCKS = 10


class CleanedPrices(NamedTuple):
    """What `clean_prices` returns: the prices, and the account of what was done to them."""

    prices: pd.DataFrame
    report: CleaningReport


@validate_params(
    {
        "calendar": [StrOptions({"union", "intersection"})],
        "min_traded": [Interval(Real, 0, 1, closed="both")],
        "max_gap": [Interval(Integral, 0, None, closed="left")],
        "long_gaps": [StrOptions({"drop", "keep"})],
        "late_listings": [StrOptions({"drop", "keep"})],
        "bad_prints": [StrOptions({"flag", "repair"})],
        "min_print": [Interval(Real, 0, None, closed="right")],
        "min_jump": [Interval(Real, 0, None, closed="right")],
        "flat_days": [Interval(Integral, 1, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def clean_prices(
    prices: pd.DataFrame,
    *,
    calendar: Literal["union", "intersection"] = "union",
    min_traded: float = 0.5,
    max_gap: int = 5,
    long_gaps: Literal["drop", "keep"] = "drop",
    late_listings: Literal["drop", "keep"] = "drop",
    bad_prints: Literal["flag", "repair"] = "flag",
    min_print: float = 8.0,
    min_jump: float = 16.0,
    flat_days: int = 5,
) -> CleanedPrices:
    """Align prices to one calendar, deal with gaps and late listings, and flag what looks wrong.

    With the defaults the result is complete: no NaN, so every estimator takes it. Whatever was dropped,
    filled, repaired or flagged is in the report.

    Parameters
    ----------
    prices : DataFrame of shape (n_stocks, n_days)
        Prices, tickers as rows and increasing days as columns, NaN where there is none.
    calendar : {"union", "intersection"}, default="union"
        Which days stay. "union": all days on which the market was open. "intersection": of those, the
        ones on which no stock that stays has a gap, so that nothing is filled.
    min_traded : float, default=0.5
        A day on which fewer than this share of the listed stocks have a price is no trading day and is
        dropped, and so is one on which 95 % of at least ten stocks repeat their price exactly, as
        vendors do who fill holidays. Stocks that lack no more than `max_gap` days at either end of the
        panel count as listed there.
    max_gap : int, default=5
        Days up to which a gap is filled with the last price before it; also one that lasts to the last
        day, where prices may not be in yet. One on the first days has nothing to be filled with: with
        late_listings="drop" these days are dropped.
    long_gaps : {"drop", "keep"}, default="drop"
        Whether a stock with a longer gap is dropped, or stays: with NaN there under "union", at the
        price of those days under "intersection".
    late_listings : {"drop", "keep"}, default="drop"
        Whether a stock whose prices begin more than `max_gap` days after the first one, or end more
        than `max_gap` days before the last one, is dropped, or stays with NaN there (for estimators with
        ``missing="mask"``).
    bad_prints : {"flag", "repair"}, default="flag"
        Whether a price that jumps away for one day and back is only reported, or replaced by the
        geometric mean of its neighbors as well, unless one of those is suspect itself.
    min_print : float, default=8
        How unusual both moves of a bad print must be, in robust standard deviations of that stock in
        the quarter around it, after removing the market.
    min_jump : float, default=16
        The same for a jump that stays: a spin-off or a split that is not adjusted for, or great news.
    flat_days : int, default=5
        From how many days in a row without any change on a flat stretch is reported.

    Returns
    -------
    CleanedPrices
        A named tuple of `prices`, a DataFrame like the one given (same dtype) with the stocks and days
        that stay, and `report`, whose `events` is a DataFrame with a row for everything that was done
        or noticed, and whose `summary()` says it in a few lines.

    Raises
    ------
    TypeError
        When prices is no DataFrame.
    ValueError
        For prices that are no such frame, for arguments that make no sense, and when nothing is left.

    See Also
    --------
    load_prices : Prices from a file.
    fetch_prices : Prices from Yahoo.

    Notes
    -----
    Zero and negative prices are taken for missing, and reported. Suspect prints, jumps and flat
    stretches are never altered by default: an algorithm cannot tell a spin-off from terrible news.
    On 505 American stocks over five years, of the ten one-day misprints above 10 % that an independent
    source shows, all are found; of the 27 lasting jumps 18 are, as one among eight reported (most of the
    others being real news); the defaults were chosen on that panel. A bad print that lasts for two days
    or more shows up as two jumps.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from shapecluster.prices import clean_prices
    >>> days = pd.date_range("2020-02-03", periods=4, name="date")
    >>> prices = pd.DataFrame([[10, 11, 12, 11], [20, np.nan, 21, 22], [np.nan, np.nan, 5, 6]],
    ...                       index=pd.Index(["OLD", "GAP", "NEW"], name="ticker"), columns=days)
    >>> clean, report = clean_prices(prices, max_gap=1)
    >>> clean
    date    2020-02-03  2020-02-04  2020-02-05  2020-02-06
    ticker
    OLD           10.0        11.0        12.0        11.0
    GAP           20.0        20.0        21.0        22.0
    >>> report.events[["ticker", "kind", "action", "n_days"]]
      ticker          kind          action  n_days
    0    NEW  late listing   stock dropped       2
    1    GAP     short gap  filled forward       1
    2    OLD  not screened            kept       4
    3    GAP  not screened            kept       3
    """
    policy = _CleaningRun(calendar, min_traded, max_gap, long_gaps, late_listings, bad_prints)
    work = _Work(check_price_frame(prices, "clean_prices"), policy)
    work.drop_nonpositive()
    work.drop_closed_days()
    work.drop_unlisted()
    work.settle_gaps()
    work.drop_incomplete_days()
    work.screen(min_print, min_jump, flat_days)
    cleaned = work.frame()
    return CleanedPrices(cleaned, CleaningReport(tuple(work.events), prices.shape, cleaned.shape))


@dataclass(frozen=True)
class _CleaningRun:
    """What to drop, to fill and to repair: the parameters of `clean_prices` of the same names."""

    calendar: str
    min_traded: float
    max_gap: int
    long_gaps: str
    late_listings: str
    bad_prints: str


class _Work:
    """Prices on their way through the steps, with the events so far."""

    def __init__(self, frame: pd.DataFrame, policy: _CleaningRun) -> None:
        self.policy = policy
        self.tickers = frame.index
        self.days = pd.DatetimeIndex(frame.columns)
        self.values: FloatArray = frame.to_numpy(copy=True)
        self.filled = np.zeros(self.values.shape, dtype=bool)
        self.events: list[Event] = []

    def frame(self) -> pd.DataFrame:
        return pd.DataFrame(self.values, index=self.tickers, columns=self.days)

    def drop_nonpositive(self) -> None:
        bad = self.values <= 0
        for row, first, last in runs(bad):
            worst = self.values[row, first : last + 1].min()
            self._note("non-positive price", "set to missing", row, first, last, f"the least is {worst:g}")
        self.values[bad] = np.nan

    def drop_closed_days(self) -> None:
        """Drop days on which nearly nobody traded, and days that only repeat the one before."""
        priced = np.isfinite(self.values)
        # A panel often begins or ends with a day that few stocks have: a holiday of all the others, or
        # today. Counting their own first and last days only would call such a day complete.
        slack = self.policy.max_gap
        listed = _listed(priced, before=slack, after=slack)
        n_listed, n_priced = listed.sum(axis=0), priced.sum(axis=0)
        closed = n_priced < np.maximum(self.policy.min_traded * n_listed, 1)
        for day in np.flatnonzero(closed).tolist():
            detail = f"{n_priced[day]} of {n_listed[day]} listed stocks have a price"
            self._note("thin day", "day dropped", None, day, day, detail)
        self._keep_days(~closed)
        comparable = np.isfinite(self.values[:, 1:] + self.values[:, :-1])
        same = (self.values[:, 1:] == self.values[:, :-1]).sum(axis=0)
        count = comparable.sum(axis=0)
        frozen = np.zeros(len(self.days), dtype=bool)
        frozen[1:] = (count >= _FROZEN_MIN_STOCKS) & (same >= _FROZEN_SHARE * count)
        for day in np.flatnonzero(frozen).tolist():
            detail = f"{same[day - 1]} of {count[day - 1]} prices are those of the day before"
            self._note("frozen day", "day dropped", None, day, day, detail)
        self._keep_days(~frozen)

    def drop_unlisted(self) -> None:
        """Deal with stocks that have no price at all, or none yet, or none any more."""
        priced = np.isfinite(self.values)
        kept = self.policy.late_listings == "keep"
        action = "kept with NaN" if kept else "stock dropped"
        keep = np.ones(len(self.tickers), dtype=bool)
        max_gap, end = self.policy.max_gap, len(self.days) - 1
        for row in np.flatnonzero(~priced[:, [0, -1]].all(axis=1)).tolist():
            where = np.flatnonzero(priced[row]).tolist()
            if not where:
                self._note("no prices", "stock dropped", row, 0, end, "")
                keep[row] = False
                continue
            if where[0] > (0 if kept else max_gap):
                detail = f"the first price is of {self.days[where[0]].date()}"
                self._note("late listing", action, row, 0, where[0] - 1, detail)
                keep[row] = kept
            if end - where[-1] > max_gap:
                detail = f"the last price is of {self.days[where[-1]].date()}"
                self._note("early end", action, row, where[-1] + 1, end, detail)
                keep[row] = kept
        self._keep_stocks(keep)

    def settle_gaps(self) -> None:
        """Fill short gaps (unless their days go), and drop or keep stocks with long ones."""
        priced = np.isfinite(self.values)
        max_gap, fill = self.policy.max_gap, self.policy.calendar == "union"
        gaps = runs(~priced & _listed(priced, after=max_gap))
        long = {row for row, first, last in gaps if last - first + 1 > max_gap}
        dropped = long if self.policy.long_gaps == "drop" else set()
        kept = "kept with NaN" if fill else "its days dropped"
        for row, first, last in gaps:
            if last - first + 1 > max_gap:
                action = "stock dropped" if row in dropped else kept
                self._note("long gap", action, row, first, last, f"more than {max_gap} days without a price")
            elif row not in dropped and fill:
                price = self.values[row, first - 1]
                self.values[row, first : last + 1] = price
                self.filled[row, first : last + 1] = True
                self._note("short gap", "filled forward", row, first, last, f"with {price:g}")
        keep = np.ones(len(self.tickers), dtype=bool)
        keep[list(dropped)] = False
        self._keep_stocks(keep)

    def drop_incomplete_days(self) -> None:
        """Drop days with gaps that cannot be filled, or are not to be."""
        priced = np.isfinite(self.values)
        lacking = np.zeros_like(priced)
        if self.policy.late_listings == "drop":  # so that only short gaps are left at the start
            lacking |= ~np.logical_or.accumulate(priced, axis=1)
        if self.policy.calendar == "intersection":
            lacking |= ~priced & _listed(priced, after=self.policy.max_gap)
        count = lacking.sum(axis=0)
        for day in np.flatnonzero(count).tolist():
            self._note("incomplete day", "day dropped", None, day, day, f"{count[day]} stocks have no price")
        self._keep_days(count == 0)

    def screen(self, min_print: float, min_jump: float, flat_days: int) -> None:
        """Note suspicious prices, and repair bad prints if asked to."""
        observed = np.isfinite(self.values) & ~self.filled
        scores = score_returns(self.values, observed)
        prints = reverting_prints(scores, min_print)
        jumps = lasting_jumps(scores, min_jump, prints)
        self._settle_prints(prints, jumps, scores, observed)
        for one in jumps:
            detail = f"{np.expm1(one.size):+.1%}, market removed"
            self._note("jump", "flagged", one.row, one.day, one.day, detail, one.size, one.score)
        for row, first, last in flat_stretches(self.values, observed, flat_days):
            detail = f"{self.values[row, first]:g} all the time"
            self._note("flat stretch", "flagged", row, first, last, detail)
        self._note_unscreened(scores, observed)

    def _settle_prints(
        self, prints: list[Suspect], jumps: list[Suspect], scores: Scores, observed: BoolArray
    ) -> None:
        """Flag or repair bad prints. A jump into or out of a neighbor makes that one a poor witness."""
        jumped = {(one.row, one.day) for one in jumps}
        for one in prints:
            after = next_observed(scores, one.row, one.day)
            detail = (
                f"{np.expm1(one.size):+.1%} and {np.expm1(scores.size[one.row, after]):+.1%}, market removed"
            )
            action = "flagged"
            if self.policy.bad_prints == "repair":
                before = int(np.flatnonzero(observed[one.row, : one.day])[-1])
                doubts = {(one.row, before), (one.row, next_observed(scores, one.row, after))}
                if doubts & jumped:
                    action = "not repaired: neighbor suspect"
                else:
                    action = "repaired"
                    detail += f"; {self._repair(one.row, before, one.day, after)}"
            self._note("bad print", action, one.row, one.day, one.day, detail, one.size, one.score)

    def _repair(self, row: int, before: int, day: int, after: int) -> str:
        old = self.values[row, day]
        new = np.sqrt(self.values[row, before] * self.values[row, after])
        days = np.arange(day, after)  # the print itself, and days that were filled with it
        self.values[row, days[np.isfinite(self.values[row, days])]] = new
        return f"{old:g} became {new:g}"

    def _note_unscreened(self, scores: Scores, observed: BoolArray) -> None:
        for row in np.flatnonzero(~scores.screened).tolist():
            detail = "too few prices to judge jumps by"
            self._note("not screened", "kept", row, 0, len(self.days) - 1, detail)
            count = int(observed[row].sum())
            self.events[-1] = replace(self.events[-1], n_days=count)

    def _note(
        self,
        kind: str,
        action: str,
        row: int | None,
        first: int,
        last: int,
        detail: str,
        size: float = np.nan,
        score: float = np.nan,
    ) -> None:
        ticker = "" if row is None else str(self.tickers[row])
        n_days = last - first + 1
        event = Event(ticker, kind, action, self.days[first], self.days[last], n_days, size, score, detail)
        self.events.append(event)

    def _keep_days(self, keep: BoolArray) -> None:
        self.values, self.filled = self.values[:, keep], self.filled[:, keep]
        self.days = self.days[keep]
        self._check_left()

    def _keep_stocks(self, keep: BoolArray) -> None:
        self.values, self.filled = self.values[keep], self.filled[keep]
        self.tickers = self.tickers[keep]
        self._check_left()

    def _check_left(self) -> None:
        if len(self.tickers) and len(self.days) > 1:
            return
        counts = pd.Series([f"{event.kind}: {event.action}" for event in self.events]).value_counts()
        what = "; ".join(f"{count} x {event}" for event, count in counts.items())
        raise ValueError(
            f"clean_prices: these policies leave {len(self.tickers)} stocks and {len(self.days)} days "
            f"({what}). "
            "Keep more: late_listings='keep', long_gaps='keep', or a larger max_gap."
        )


def _listed(priced: BoolArray, *, before: int = 0, after: int = 0) -> BoolArray:
    """Which days lie between the first and the last price of each stock, both included.

    A stock that lacks no more than `before` days at the start of the panel, or `after` days at its end,
    counts as listed there too.
    """
    end = priced.shape[1] - 1
    first, last = priced.argmax(axis=1), end - priced[:, ::-1].argmax(axis=1)
    first[first <= before] = 0
    last[last >= end - after] = end
    days = np.arange(end + 1)
    listed: BoolArray = (first[:, None] <= days) & (days <= last[:, None])
    listed[~priced.any(axis=1)] = False
    return listed
