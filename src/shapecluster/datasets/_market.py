"""A simulated stock market with known sectors, betas, lags, twins and defects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
import pandas as pd

from shapecluster._sklearn_compat import validate_params
from shapecluster._typing import Float64Array, IntArray
from shapecluster.datasets._lab import GICS_SECTORS
from shapecluster.datasets._market_defects import (
    BAD_PRINTS,
    HALTS,
    LISTINGS,
    PAIRS,
    defect_table,
    plant_bad_prints,
    plant_halts,
    plant_late_listings,
)
from shapecluster.datasets._parameters import MARKET, RandomSource, check_market, require, spawn_generators

# One generator per feature, so that switching a feature on leaves every other draw as it is. The order
# determines the result of a seed: new features go to the end.
_FEATURES = (
    *("betas", "levels", "market", "sectors", "own", "lags", "history"),
    *("volatility", "pairs", "listings", "halts", "bad prints"),
)
_TYPICAL_PRICE, _PRICE_SPREAD = 50.0, 0.6  # first prices: median, and standard deviation of the log


@dataclass(frozen=True, repr=False, eq=False)
class Market:
    """A simulated market: the prices, and the truth behind them.

    `make_market` builds it. The parameters below are also attributes.

    Parameters
    ----------
    prices : DataFrame of shape (n_stocks, n_days)
        Closing prices with all planted defects. Rows are tickers, columns are business days.
    true_prices : DataFrame of shape (n_stocks, n_days)
        The same prices before late listings, halts and bad prints.
    sectors : Series of str, indexed by ticker
        Sector of each stock.
    betas : Series of float, indexed by ticker
        Exposure of each stock to the market factor.
    lags : Series of int, indexed by ticker
        Days by which each stock trails the market and sector factors.
    factors : DataFrame of shape (n_days, 1 + n_sectors)
        Daily log returns of the market (column "market") and of each sector beyond it.
    volatility : Series of float, indexed by date
        Factor of each day's returns; 1 without volatility clustering.
    pairs : DataFrame
        Planted pairs: columns stock, twin.
    listings : DataFrame
        Late listings: columns ticker, date (of the first price), n_missing (number of days before it).
    halts : DataFrame
        Halts: columns ticker, first, last (dates), n_days, kind ("flat" or "missing").
    bad_prints : DataFrame
        Bad prints: columns ticker, date, factor (price over true price).
    """

    prices: pd.DataFrame
    true_prices: pd.DataFrame
    sectors: pd.Series[str]
    betas: pd.Series[float]
    lags: pd.Series[int]
    factors: pd.DataFrame
    volatility: pd.Series[float]
    pairs: pd.DataFrame
    listings: pd.DataFrame
    halts: pd.DataFrame
    bad_prints: pd.DataFrame

    def __repr__(self) -> str:
        dates = pd.DatetimeIndex(self.prices.columns)
        return (
            f"Market({len(self.prices)} stocks, {self.sectors.nunique()} sectors, {len(dates)} days from "
            f"{dates[0].date()} to {dates[-1].date()}; {len(self.pairs)} pairs, {len(self.listings)} late "
            f"listings, {len(self.halts)} halts, {len(self.bad_prints)} bad prints)"
        )


@validate_params(MARKET, prefer_skip_nested_validation=True)
def make_market(
    n_stocks: int = 300,
    n_sectors: int = 10,
    n_days: int = 504,
    *,
    beta_mean: float = 1.0,
    beta_std: float = 0.3,
    market_vol: float = 0.01,
    sector_vol: float = 0.008,
    own_vol: float = 0.015,
    df: float = 5.0,
    max_lag: int = 0,
    vol_clustering: float = 0.0,
    vol_persistence: float = 0.97,
    n_pairs: int = 0,
    pair_vol: float = 0.001,
    n_late: int = 0,
    n_halts: int = 0,
    halt_days: tuple[int, int] = (3, 10),
    halt_kind: Literal["flat", "missing", "mixed"] = "mixed",
    n_bad_prints: int = 0,
    bad_print_size: tuple[float, float] = (0.1, 0.5),
    start: str | date | np.datetime64 = "2020-01-01",
    random_state: RandomSource = None,
) -> Market:
    """Simulate a stock market with sectors, and return the truth with the prices.

    The log return of stock i on day t is ``beta_i * market[t - lag_i] + sector_i[t - lag_i] + own_i[t]``.
    The market, sector and own terms follow Student t distributions with `df` degrees of freedom, scaled to
    their daily standard deviations.

    Parameters
    ----------
    n_stocks : int, default=300
        Number of stocks.
    n_sectors : int, default=10
        Number of sectors. Their sizes differ by at most one stock. The first eleven have the names of the
        GICS sectors.
    n_days : int, default=504
        Number of business days.
    beta_mean, beta_std : float, default=1.0 and 0.3
        Mean and standard deviation of the normal distribution of betas.
    market_vol, sector_vol, own_vol : float, default=0.01, 0.008 and 0.015
        Daily standard deviation of the market's, the sector's and the stock's own log return.
    df : float, default=5.0
        Degrees of freedom, above 2. Smaller values give fatter tails; `numpy.inf` gives normal returns.
    max_lag : int, default=0
        Maximum lag in days. Each stock trails the factors by a lag that is uniform on 0..max_lag.
    vol_clustering : float, default=0.0
        Standard deviation of the log of the market-wide volatility. 0 means constant volatility, 0.5 means
        strong clusters. The long-run standard deviations do not change.
    vol_persistence : float, default=0.97
        Day-to-day autocorrelation of the log volatility, at least 0 and below 1.
    n_pairs : int, default=0
        Number of planted pairs: two stocks of one sector, of which the twin repeats the other's returns.
    pair_vol : float, default=0.001
        Daily standard deviation of the difference between the log returns of a pair.
    n_late : int, default=0
        Number of stocks that list late, after 10 % to 75 % of the days. Earlier prices are NaN.
    n_halts : int, default=0
        Number of stocks that are halted once, for consecutive days.
    halt_days : tuple of (int, int), default=(3, 10)
        Minimum and maximum length of a halt in days. After a late listing, a halt may be shorter.
    halt_kind : {"flat", "missing", "mixed"}, default="mixed"
        Prices during a halt: the last price repeated, NaN, or one of the two at random.
    n_bad_prints : int, default=0
        Number of stocks with a bad print: the price of one day is wrong.
    bad_print_size : tuple of (float, float), default=(0.1, 0.5)
        Minimum and maximum size of the error, as a log return up or down.
    start : str, date or datetime64, default="2020-01-01"
        First day. If it is no business day, the first one after it.
    random_state : int, Generator, RandomState or None, default=None
        Source of randomness. An int gives the same market each time.

    Returns
    -------
    Market
        Prices, with tickers as rows and dates as columns, and the truth.

    Raises
    ------
    ValueError
        If a parameter is out of its range. The message names the parameter.

    Notes
    -----
    The defaults will not change, because published figures refer to them.

    Every feature has a random generator of its own. Switching a feature on, or asking for more of it, changes
    nothing else. With bad prints, for example, all other prices stay the same to the last bit. The first of
    two bad prints is that of a market with only one.

    Draws follow NumPy's PCG64. A seed gives the same market on every platform, up to the last digits of `exp`
    and `log`.

    Examples
    --------
    >>> from shapecluster.datasets import make_market
    >>> market = make_market(n_stocks=6, n_sectors=2, n_days=60, n_pairs=1, n_late=1, random_state=0)
    >>> market
    Market(6 stocks, 2 sectors, 60 days from 2020-01-01 to 2020-03-24; 1 pairs, 1 late listings, 0 halts, ...)
    >>> market.pairs
       stock   twin
    0  MAT01  MAT02
    >>> market.prices.loc["ENR01", "2020-01-06":"2020-01-08"].round(2)
    date
    2020-01-06    82.25
    2020-01-07    84.98
    2020-01-08    85.85
    Name: ENR01, dtype: float64
    """
    check_market(locals())  # only the parameters are local so far
    streams = spawn_generators(random_state, _FEATURES)
    dates = pd.DatetimeIndex(pd.bdate_range(start, periods=n_days).to_numpy(), name="date")
    tickers, names, sector = _sectors(n_stocks, n_sectors)

    betas = beta_mean + beta_std * streams["betas"].standard_normal(n_stocks)
    lags = streams["lags"].integers(0, max_lag + 1, n_stocks)
    pairs = _choose_pairs(streams["pairs"], sector, n_pairs)
    # A twin that had another beta or lag would not repeat the returns of its stock.
    betas[pairs[:, 1]] = betas[pairs[:, 0]]
    lags[pairs[:, 1]] = lags[pairs[:, 0]]

    # Factors start max_lag days early, because lagged stocks need them on the first day.
    volatility = _volatility(streams["volatility"], n_days, vol_clustering, vol_persistence)
    factors = _factors(streams, (n_days, n_sectors), max_lag, df)
    factors *= np.r_[market_vol, np.full(n_sectors, sector_vol)]
    factors *= np.r_[np.full(max_lag, volatility[0]), volatility][:, None]
    own = own_vol * _student_t(streams["own"], (n_days, n_stocks), df) * volatility[:, None]
    then = np.arange(max_lag, max_lag + n_days)[:, None] - lags
    returns = betas * factors[then, 0] + factors[then, 1 + sector] + own
    gap = pair_vol * _student_t(streams["pairs"], (n_pairs, n_days), df)
    returns[:, pairs[:, 1]] = returns[:, pairs[:, 0]] + gap.T

    levels = np.log(_TYPICAL_PRICE) + _PRICE_SPREAD * streams["levels"].standard_normal((n_stocks, 1))
    true = np.exp(levels + np.cumsum(returns.T, axis=1))
    shown = true.copy()
    listings = plant_late_listings(shown, streams["listings"], n_late)
    halts, halted = plant_halts(shown, streams["halts"], n_halts, halt_days, halt_kind)
    bad_prints = plant_bad_prints(shown, streams["bad prints"], n_bad_prints, bad_print_size, halted)

    return Market(
        prices=pd.DataFrame(shown, index=tickers, columns=dates),
        true_prices=pd.DataFrame(true, index=tickers, columns=dates),
        sectors=pd.Series([names[number] for number in sector], index=tickers, name="sector"),
        betas=pd.Series(betas, index=tickers, name="beta"),
        lags=pd.Series(lags, index=tickers, name="lag"),
        factors=pd.DataFrame(factors[max_lag:], index=dates, columns=["market", *names]),
        volatility=pd.Series(volatility, index=dates, name="volatility"),
        pairs=defect_table(pairs.tolist(), PAIRS, tickers, dates),
        listings=defect_table(listings, LISTINGS, tickers, dates),
        halts=defect_table(halts, HALTS, tickers, dates),
        bad_prints=defect_table(bad_prints, BAD_PRINTS, tickers, dates),
    )


def _sectors(n_stocks: int, n_sectors: int) -> tuple[pd.Index[str], list[str], IntArray]:
    """Tickers such as ENR01, the names of the sectors, and the sector number of each stock."""
    numbers = range(len(GICS_SECTORS) + 1, n_sectors + 1)
    known = [*GICS_SECTORS.items(), *((f"S{i}X", f"Sector {i}") for i in numbers)][:n_sectors]
    sizes = [len(part) for part in np.array_split(np.arange(n_stocks), n_sectors)]
    digits = max(2, len(str(max(sizes))))
    tickers = [
        f"{code}{i:0{digits}d}"
        for (code, _), size in zip(known, sizes, strict=True)
        for i in range(1, size + 1)
    ]
    return (
        pd.Index(tickers, name="ticker"),
        [name for _, name in known],
        np.repeat(np.arange(n_sectors), sizes),
    )


def _student_t(rng: np.random.Generator, shape: tuple[int, int], df: float) -> Float64Array:
    """Student t draws of unit variance."""
    if np.isinf(df):
        return rng.standard_normal(shape)
    draws: Float64Array = rng.standard_t(df, shape) * np.sqrt((df - 2.0) / df)
    return draws


def _factors(
    streams: Mapping[str, np.random.Generator], shape: tuple[int, int], max_lag: int, df: float
) -> Float64Array:
    """Factors of unit variance, the market first, beginning `max_lag` days before the first day."""
    n_days, n_sectors = shape
    # The days before come from a generator of their own, backwards, so that max_lag moves no other draw.
    past = _student_t(streams["history"], (max_lag, 1 + n_sectors), df)[::-1]
    market = _student_t(streams["market"], (n_days, 1), df)
    sectors = _student_t(streams["sectors"], (n_days, n_sectors), df)
    return np.concatenate([past, np.concatenate([market, sectors], axis=1)])


def _volatility(rng: np.random.Generator, n: int, std: float, persistence: float) -> Float64Array:
    """A factor for each day: its log is autoregressive, and its mean square is 1."""
    shocks = std * rng.standard_normal(n)
    log_volatility = np.empty(n)
    level = shocks[0]  # from the stationary distribution, so that the first days are like all others
    for day in range(n):
        if day:
            level = persistence * level + np.sqrt(1.0 - persistence**2) * shocks[day]
        log_volatility[day] = level
    # The mean of exp(2 x) for a normal x of mean 0 is exp(2 std^2).
    return np.exp(log_volatility - std**2)


def _choose_pairs(rng: np.random.Generator, sector: IntArray, n_pairs: int) -> IntArray:
    """Pairs of stocks of one sector, without repeats: rows of (stock, twin)."""
    possible: list[IntArray] = []
    for number in range(sector[-1] + 1):
        members = rng.permutation(np.flatnonzero(sector == number))
        possible.extend(members[: len(members) // 2 * 2].reshape(-1, 2))
    expected = (
        f"be at most {len(possible)}, because both stocks of a pair are of one sector and no stock is in two "
        "pairs"
    )
    require(n_pairs <= len(possible), "make_market", "n_pairs", expected, n_pairs)
    # All possible pairs are shuffled, so that asking for more keeps the first ones.
    chosen = np.array(possible, dtype=np.intp).reshape(-1, 2)
    return chosen[rng.permutation(len(possible))[:n_pairs]]
