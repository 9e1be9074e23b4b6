"""The simulated market: its statistics, its truth, and features that do not affect each other."""

from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal, assert_series_equal

from shapecluster.datasets import Market, make_market

SMALL = {"n_stocks": 40, "n_sectors": 4, "n_days": 120, "random_state": 3}
TRUTH = ("sectors", "betas", "lags", "factors", "volatility", "pairs", "listings", "halts", "bad_prints")
PINNED_BETAS = [1.4331072864094376, 0.7312162070842776]
PINNED_PRICES = [94.71240592129796, 32.35638304405473]


def returns_of(prices: pd.DataFrame) -> pd.DataFrame:
    return np.log(prices).diff(axis=1).iloc[:, 1:]


def assert_same_market(one: Market, other: Market) -> None:
    assert_frame_equal(one.prices, other.prices, check_exact=True)
    assert_frame_equal(one.true_prices, other.true_prices, check_exact=True)
    for name in TRUTH:
        check = assert_frame_equal if isinstance(getattr(one, name), pd.DataFrame) else assert_series_equal
        check(getattr(one, name), getattr(other, name), check_exact=True)


def test_the_defaults_are_the_frozen_ones() -> None:
    frozen = {
        "n_stocks": 300,
        "n_sectors": 10,
        "n_days": 504,
        "beta_mean": 1.0,
        "beta_std": 0.3,
        "market_vol": 0.01,
        "sector_vol": 0.008,
        "own_vol": 0.015,
        "df": 5.0,
        "max_lag": 0,
        "vol_clustering": 0.0,
        "n_pairs": 0,
        "n_late": 0,
        "n_halts": 0,
        "n_bad_prints": 0,
        "random_state": None,
    }
    parameters = inspect.signature(make_market).parameters
    assert {name: parameters[name].default for name in frozen} == frozen


def test_default_market_has_the_shape_and_labels_of_prices() -> None:
    market = make_market(random_state=0)
    prices = market.prices
    assert prices.shape == (300, 504)
    assert prices.index.name == "ticker"
    assert prices.columns.name == "date"
    assert prices.index.is_unique
    assert isinstance(prices.columns, pd.DatetimeIndex)
    assert prices.columns.is_monotonic_increasing
    assert prices.columns.tz is None
    assert prices.columns.day_of_week.max() == 4
    assert prices.columns[0] == pd.Timestamp("2020-01-01")
    assert (prices.to_numpy() > 0).all()
    assert_series_equal(
        market.sectors.value_counts(), pd.Series(30, index=market.sectors.unique()), check_names=False
    )
    assert market.sectors.index.equals(prices.index)
    assert prices.index[0] == "ENR01"
    assert market.sectors["ENR01"] == "Energy"
    assert_frame_equal(prices, market.true_prices)


@pytest.mark.parametrize("empty", ["pairs", "listings", "halts", "bad_prints"])
def test_empty_truth_has_the_columns_and_types_of_a_full_one(empty: str) -> None:
    full = make_market(**SMALL, n_pairs=2, n_late=2, n_halts=2, n_bad_prints=2)
    none = make_market(**SMALL)
    assert len(getattr(none, empty)) == 0
    assert len(getattr(full, empty)) == 2
    assert_series_equal(getattr(none, empty).dtypes, getattr(full, empty).dtypes)


def test_equal_seeds_give_equal_markets_and_others_do_not() -> None:
    options = {
        **SMALL,
        "max_lag": 2,
        "vol_clustering": 0.5,
        "n_pairs": 3,
        "n_late": 3,
        "n_halts": 3,
        "n_bad_prints": 3,
    }
    assert_same_market(make_market(**options), make_market(**options))
    other = make_market(**{**options, "random_state": 4})
    assert not np.allclose(make_market(**options).true_prices, other.true_prices)


def test_draws_follow_a_pinned_generator() -> None:
    # The literals guard the stream itself: a change here changes every published figure.
    market = make_market(random_state=0)
    assert_allclose(market.betas.iloc[:2], PINNED_BETAS, rtol=1e-13)
    assert_allclose(market.prices.iloc[[0, -1], -1], PINNED_PRICES, rtol=1e-10)


@pytest.mark.parametrize("kind", [np.random.default_rng, np.random.RandomState])
def test_generators_serve_as_random_state(kind) -> None:
    options = {**SMALL, "n_days": 20}
    one = make_market(**{**options, "random_state": kind(5)})
    assert_same_market(one, make_market(**{**options, "random_state": kind(5)}))
    shared = kind(5)
    make_market(**{**options, "random_state": shared})
    assert not one.prices.equals(make_market(**{**options, "random_state": shared}).prices)


def test_no_seed_gives_another_market_each_time() -> None:
    options = {**SMALL, "random_state": None}
    assert not make_market(**options).prices.equals(make_market(**options).prices)


def test_volatilities_betas_and_tails_are_those_asked_for() -> None:
    market = make_market(n_stocks=400, n_sectors=8, n_days=4000, random_state=1)
    factors = market.factors.to_numpy()
    assert_allclose(factors[:, 0].std(), 0.01, rtol=0.08)
    assert_allclose(factors[:, 1:].std(axis=0).mean(), 0.008, rtol=0.05)
    assert_allclose([market.betas.mean(), market.betas.std()], [1.0, 0.3], atol=0.05)
    number = pd.factorize(market.sectors)[0]
    explained = np.outer(market.betas, factors[1:, 0]) + factors[1:, 1 + number].T
    own = returns_of(market.prices).to_numpy() - explained
    assert_allclose(own.std(), 0.015, rtol=0.01)
    # Student t with 5 degrees: 1 % of the mass beyond 2.606 standard deviations (normal: 2.576), and
    # excess kurtosis 6, which a sample approaches slowly; the normal has 0.
    z = own / own.std()
    assert 3.0 < (z**4).mean() - 3.0 < 12.0
    assert_allclose(np.quantile(np.abs(z), 0.5), 0.7267 * np.sqrt(3 / 5), rtol=0.01)


def test_infinite_df_means_normal_returns() -> None:
    market = make_market(n_stocks=50, n_sectors=1, n_days=4000, df=np.inf, random_state=0)
    z = returns_of(market.prices).to_numpy()
    z = (z - z.mean(axis=1, keepdims=True)) / z.std(axis=1, keepdims=True)
    assert abs((z**4).mean() - 3.0) < 0.1


def test_returns_follow_the_stated_formula_exactly() -> None:
    market = make_market(**SMALL, own_vol=0.0, max_lag=4)
    returns, dates = returns_of(market.prices), market.prices.columns
    for ticker in market.prices.index:
        lagged = market.factors.shift(market.lags[ticker])
        expected = market.betas[ticker] * lagged["market"] + lagged[market.sectors[ticker]]
        assert_allclose(returns.loc[ticker, dates[5:]], expected[dates[5:]], atol=1e-13)


def test_lags_can_be_recovered_from_prices() -> None:
    market = make_market(n_stocks=30, n_sectors=3, n_days=504, max_lag=3, random_state=2)
    assert set(market.lags) == {0, 1, 2, 3}
    returns = returns_of(market.prices)
    factors = market.factors["market"]
    found = [
        int(np.argmax([returns.loc[t].corr(factors.shift(lag)) for lag in range(6)])) for t in returns.index
    ]
    assert np.mean(found == market.lags.to_numpy()) > 0.9


def test_lags_are_uniform() -> None:
    counts = make_market(n_stocks=4000, n_sectors=1, n_days=2, max_lag=3, random_state=0).lags.value_counts()
    assert counts.index.min() == 0
    assert counts.index.max() == 3
    assert_allclose(counts, 1000, rtol=0.1)


def test_volatility_clusters_without_changing_the_long_run() -> None:
    options = {"n_stocks": 100, "n_sectors": 5, "n_days": 4000, "random_state": 0}
    calm, lively = make_market(**options), make_market(**options, vol_clustering=0.5)
    assert (calm.volatility == 1).all()
    assert_allclose(np.sqrt((lively.volatility**2).mean()), 1.0, rtol=0.15)
    assert np.log(lively.volatility).autocorr() > 0.9
    # The draws are those of the calm market, day by day multiplied.
    scaled = returns_of(calm.prices) * lively.volatility.iloc[1:]
    assert_allclose(returns_of(lively.prices), scaled, atol=1e-12)
    size = returns_of(lively.prices).abs().mean()
    assert size.autocorr() > 0.3
    assert abs(returns_of(calm.prices).abs().mean().autocorr()) < 0.1


def test_pairs_are_near_identical_and_of_one_sector() -> None:
    market = make_market(**SMALL, n_pairs=5, max_lag=2)
    returns = returns_of(market.prices)
    assert len(set(market.pairs.to_numpy().ravel())) == 10
    correlation = returns.T.corr()
    for stock, twin in market.pairs.itertuples(index=False):
        assert market.sectors[stock] == market.sectors[twin]
        assert market.betas[stock] == market.betas[twin]
        assert market.lags[stock] == market.lags[twin]
        assert correlation.loc[stock, twin] > 0.99
        others = correlation.loc[stock].drop([stock, twin])
        assert others.max() < 0.9
    gaps = returns.loc[market.pairs["twin"]].to_numpy() - returns.loc[market.pairs["stock"]].to_numpy()
    assert_allclose(gaps.std(), 0.001, rtol=0.1)


def test_late_listings_are_missing_before_and_complete_after() -> None:
    market = make_market(**SMALL, n_late=8)
    late = market.listings.set_index("ticker")
    assert len(late) == 8
    assert late.index.is_unique
    missing = market.prices.isna()
    assert_series_equal(missing.sum(axis=1).loc[late.index], late["n_missing"], check_names=False)
    assert missing.to_numpy().sum() == late["n_missing"].sum()
    for ticker, row in late.iterrows():
        assert market.prices.loc[ticker].first_valid_index() == row["date"]
    assert late["n_missing"].between(12, 90).all()


@pytest.mark.parametrize("kind", ["flat", "missing", "mixed"])
def test_halts_are_flat_or_missing_stretches(kind: str) -> None:
    market = make_market(**SMALL, n_halts=20, n_late=10, halt_days=(2, 6), halt_kind=kind)
    assert len(market.halts) == 20
    assert set(market.halts["kind"]) == ({"flat", "missing"} if kind == "mixed" else {kind})
    dates = market.prices.columns
    for halt in market.halts.itertuples():
        shown = market.prices.loc[halt.ticker, halt.first : halt.last]
        assert len(shown) == halt.n_days
        assert 2 <= halt.n_days <= 6
        before = market.prices.loc[halt.ticker, dates[dates.get_loc(halt.first) - 1]]
        after = dates[dates.get_loc(halt.last) + 1]
        assert np.isfinite(before)
        assert market.prices.loc[halt.ticker, after] == market.true_prices.loc[halt.ticker, after]
        assert shown.isna().all() if halt.kind == "missing" else (shown == before).all()


def test_bad_prints_spike_for_one_day_and_revert() -> None:
    market = make_market(**SMALL, n_bad_prints=15, n_halts=10, n_late=10, bad_print_size=(0.2, 0.3))
    ratio = (market.prices / market.true_prices).stack()
    assert len(market.bad_prints) == 15
    sizes = np.abs(np.log(market.bad_prints["factor"]))
    assert sizes.between(0.2, 0.3).all()
    assert {True, False} == set(market.bad_prints["factor"] > 1)
    dates = market.prices.columns
    for bad in market.bad_prints.itertuples():
        assert_allclose(ratio[bad.ticker, bad.date], bad.factor, rtol=1e-12)
        day = dates.get_loc(bad.date)
        assert ratio[bad.ticker, dates[day - 1]] == 1
        assert ratio[bad.ticker, dates[day + 1]] == 1


FEATURES = {
    "pairs": {"n_pairs": 3},
    "late": {"n_late": 5},
    "halts": {"n_halts": 5},
    "bad prints": {"n_bad_prints": 5},
}


@pytest.mark.parametrize("feature", FEATURES)
def test_a_feature_leaves_all_other_prices_bit_identical(feature: str) -> None:
    base, changed = make_market(**SMALL), make_market(**SMALL, **FEATURES[feature])
    touched = {
        *changed.pairs["twin"],
        *changed.listings["ticker"],
        *changed.halts["ticker"],
        *changed.bad_prints["ticker"],
    }
    assert len(touched) == sum(FEATURES[feature].values())
    others = base.prices.index.difference(sorted(touched))
    assert_frame_equal(base.prices.loc[others], changed.prices.loc[others], check_exact=True)
    for ticker in touched:
        assert not base.prices.loc[ticker].equals(changed.prices.loc[ticker])


def test_bad_prints_touch_one_price_each() -> None:
    base, changed = make_market(**SMALL), make_market(**SMALL, n_bad_prints=7)
    assert (base.prices.to_numpy() != changed.prices.to_numpy()).sum() == 7


@pytest.mark.parametrize("count", ["n_pairs", "n_late", "n_halts", "n_bad_prints"])
def test_asking_for_more_keeps_the_first(count: str) -> None:
    table = {"n_pairs": "pairs", "n_late": "listings", "n_halts": "halts", "n_bad_prints": "bad_prints"}[
        count
    ]
    few, many = (getattr(make_market(**SMALL, **{count: n}), table) for n in (2, 6))
    assert_frame_equal(few, many.iloc[:2])


def test_lags_leave_unlagged_stocks_bit_identical() -> None:
    base, lagged = make_market(**SMALL), make_market(**SMALL, max_lag=3)
    prompt = lagged.lags.index[lagged.lags == 0]
    assert 0 < len(prompt) < 40
    assert_frame_equal(base.prices.loc[prompt], lagged.prices.loc[prompt], check_exact=True)
    assert_frame_equal(base.factors, lagged.factors, check_exact=True)


def test_more_days_continue_the_same_market() -> None:
    short, long = make_market(**SMALL), make_market(**{**SMALL, "n_days": 200})
    assert_frame_equal(short.prices, long.prices.iloc[:, :120], check_exact=True)


def test_more_sectors_than_known_names() -> None:
    market = make_market(n_stocks=120, n_sectors=14, n_days=2, random_state=0)
    assert market.prices.index.is_unique
    assert market.sectors.nunique() == 14
    assert market.sectors.iloc[-1] == "Sector 14"
    assert market.sectors.value_counts().isin([8, 9]).all()


def test_one_stock_and_two_days_are_enough() -> None:
    assert make_market(n_stocks=1, n_sectors=1, n_days=2, random_state=0).prices.shape == (1, 2)


def test_repr_is_one_short_line() -> None:
    text = repr(make_market(**SMALL, n_halts=2))
    assert text == (
        "Market(40 stocks, 4 sectors, 120 days from 2020-01-01 to 2020-06-16; "
        "0 pairs, 0 late listings, 2 halts, 0 bad prints)"
    )


def test_market_is_frozen() -> None:
    with pytest.raises(AttributeError, match="prices"):
        make_market(**SMALL).prices = None


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"n_stocks": 0}, r"an int in the range \[1, inf\). Got 0 instead"),
        ({"n_stocks": 10.0}, r"an int in the range .* Got 10.0"),
        ({"n_days": 1}, r"an int in the range \[2, inf\)"),
        ({"n_sectors": 41}, "at most n_stocks = 40. Got 41 instead"),
        ({"beta_mean": np.nan}, r"a float in the range \(-inf, inf\)"),
        ({"own_vol": -0.1}, r"a float in the range \[0.0, inf\)"),
        ({"own_vol": np.inf}, r"a float in the range \[0.0, inf\)"),
        ({"market_vol": "high"}, "a float in the range"),
        ({"df": 2}, r"a float in the range \(2.0, inf\]"),
        ({"max_lag": -1}, r"an int in the range \[0, inf\)"),
        ({"vol_persistence": 1.0}, r"a float in the range \[0.0, 1.0\)"),
        ({"n_pairs": 21}, "at most 20, because"),
        ({"n_late": 41}, "at most n_stocks = 40"),
        ({"n_days": 10, "n_halts": 1}, "at least 20 with late listings, halts or bad prints"),
        ({"halt_days": (5, 3)}, "two integers of at least 1, the smaller first"),
        ({"halt_days": (1, 2, 3)}, "two integers of at least 1"),
        ({"halt_days": (50, 119), "n_halts": 1}, r"at most n_days - 2 = 118. Got \(50, 119\)"),
        ({"halt_kind": "gone"}, "a str among .* Got 'gone' instead"),
        ({"bad_print_size": 0.1}, "an instance of 'tuple' or"),
        ({"bad_print_size": (0.1, "x")}, "two numbers of at least 0"),
        ({"n_bad_prints": 2, "n_halts": 40, "halt_days": (118, 118)}, "at most 0, the number"),
        ({"start": "soon"}, "a date without a time zone. Got 'soon' instead"),
        ({"start": 5}, "an instance of .* Got 5 instead"),
        ({"start": pd.NaT}, "a date without a time zone"),
        ({"start": pd.Timestamp("2020-01-01", tz="UTC")}, "a date without a time zone"),
        ({"random_state": -1}, r"an int in the range \[0, inf\), .* Got -1"),
    ],
)
def test_bad_parameters_get_one_clear_error(bad: dict[str, object], message: str) -> None:
    name = next(iter(bad))
    with pytest.raises(ValueError, match=f"^The '{name}' parameter of make_market must be .*{message}"):
        make_market(**{**SMALL, **bad})


def test_a_halt_may_take_all_days_but_the_first_and_the_last() -> None:
    market = make_market(**SMALL, n_halts=40, halt_days=(118, 118))
    assert (market.halts["n_days"] == 118).all()


@pytest.mark.parametrize("vol_clustering", [0.0, 0.3, 0.6])
def test_long_run_standard_deviations_are_those_asked_for(vol_clustering):
    """Also with clustered volatility, whose mean square is one."""
    market = make_market(
        40,
        4,
        20_000,
        beta_std=0.0,
        df=30.0,
        vol_clustering=vol_clustering,
        vol_persistence=0.8,
        random_state=0,
    )
    factors = market.factors.std()
    assert factors["market"] == pytest.approx(0.01, rel=0.05)
    assert factors.drop("market").to_numpy() == pytest.approx(np.full(4, 0.008), rel=0.05)
    returns = np.diff(np.log(market.true_prices.to_numpy()), axis=1)
    expected = np.sqrt(0.01**2 + 0.008**2 + 0.015**2)
    assert returns.std(axis=1) == pytest.approx(np.full(40, expected), rel=0.05)
    assert (market.volatility**2).mean() == pytest.approx(1.0, rel=0.1)
