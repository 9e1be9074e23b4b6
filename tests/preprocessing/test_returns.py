"""LogReturns: values, prices that have no logarithm, and the inverse transform."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.utils import get_tags

from shapecluster.preprocessing import LogReturns

some_prices = arrays(
    np.float64, array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=9), elements=st.floats(1e-3, 1e6)
)


def table(values) -> pd.DataFrame:
    values = np.asarray(values, dtype=float)
    names = pd.Index([f"T{i}" for i in range(len(values))], name="ticker")
    return pd.DataFrame(values, index=names, columns=pd.bdate_range("2020-01-01", periods=values.shape[1]))


@given(some_prices)
def test_returns_equal_pandas_and_drop_the_first_date(values: np.ndarray) -> None:
    prices = table(values)
    out = LogReturns().fit_transform(prices)
    assert_frame_equal(out, np.log(prices).diff(axis=1).iloc[:, 1:])
    assert_array_equal(LogReturns().fit_transform(values), out)


@given(some_prices)
def test_inverse_of_fit_transform_is_the_input(values: np.ndarray) -> None:
    transformer = LogReturns()
    returns = transformer.fit_transform(table(values))
    assert_frame_equal(transformer.inverse_transform(returns), table(values), rtol=1e-11)
    assert_allclose(transformer.inverse_transform(returns.to_numpy()), values, rtol=1e-11)


@given(some_prices, st.integers(-900, 900))
def test_units_of_prices_do_not_matter(values: np.ndarray, exponent: int) -> None:
    scaled = np.ldexp(values, exponent)
    assert_allclose(LogReturns().fit_transform(scaled), LogReturns().fit_transform(values), atol=1e-12)


def test_huge_jumps_do_not_overflow() -> None:
    out = LogReturns().fit_transform([[1e-300, 1e300, 5e-324]])
    assert_allclose(out, [[600 * np.log(10), np.log(5e-324) - np.log(1e300)]])


def test_float32_stays_float32(rng: np.random.Generator) -> None:
    prices = rng.uniform(50, 60, (3, 9)).astype(np.float32)
    transformer = LogReturns()
    out = transformer.fit_transform(prices)
    assert out.dtype == np.float32
    # Computed in float64: only the last rounding is lost, not the digits of the logarithms.
    assert_allclose(out, np.diff(np.log(prices.astype(float))), rtol=1e-7)
    assert_allclose(transformer.inverse_transform(out), prices, rtol=1e-6)
    assert transformer.inverse_transform(out).dtype == np.float32


def test_channels_have_returns_each(rng: np.random.Generator) -> None:
    prices = rng.uniform(50, 60, (3, 9, 2))
    transformer = LogReturns()
    out = transformer.fit_transform(prices)
    assert_allclose(out, np.diff(np.log(prices), axis=1))
    assert transformer.first_price_.shape == (3, 2)
    assert_allclose(transformer.inverse_transform(out), prices)


def test_flat_prices_have_zero_returns_and_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_array_equal(LogReturns().fit_transform([[7.3, 7.3, 7.3]]), [[0.0, 0.0]])


def test_zero_prices_raise_by_name() -> None:
    prices = table([[1, 2, 3], [0, 1, 0], [1, 0, 1]])
    with pytest.raises(ValueError, match=r"Got zeros in 'T1' \(2\), 'T2' \(1\).*nonpositive"):
        LogReturns().fit(prices)
    with pytest.raises(ValueError, match=r"Got zeros in row 1 \(2\)"):
        LogReturns().transform(prices.to_numpy())


def test_zero_prices_make_missing_returns_on_request() -> None:
    out = LogReturns(nonpositive="nan").fit_transform([[1.0, 0.0, 1.0, np.e]])
    assert_allclose(out, [[np.nan, np.nan, 1.0]])


@pytest.mark.parametrize("nonpositive", ["error", "nan"])
def test_negative_prices_are_always_refused(nonpositive: str) -> None:
    with pytest.raises(ValueError, match=r"Negative values in data passed to LogReturns.*'T1' \(1\)"):
        LogReturns(nonpositive=nonpositive, missing="mask").fit(table([[1, 2], [1, -1e-9]]))


@pytest.mark.parametrize("nonpositive", ["error", "nan"])
def test_missing_prices_raise_by_default(nonpositive: str) -> None:
    with pytest.raises(ValueError, match=r"Input X contains NaN: LogReturns.*'T1' \(1 of 2\)"):
        LogReturns(nonpositive=nonpositive).fit(table([[1, 2], [1, np.nan]]))


def test_missing_prices_make_missing_returns_on_request() -> None:
    out = LogReturns(missing="mask").fit_transform([[np.nan, 1.0, np.e, np.nan, 1.0, 1.0]])
    assert_allclose(out, [[np.nan, 1.0, np.nan, np.nan, 0.0]])
    with pytest.raises(ValueError, match="Got zeros"):
        LogReturns(missing="mask").fit([[np.nan, 1.0, 0.0]])


def test_late_and_ended_series_come_back_and_gaps_raise_by_name() -> None:
    nan = np.nan
    prices = table([[1, 2, 3, 4], [nan, nan, 5, 6], [7, 8, nan, nan], [nan] * 4, [nan, 9, nan, nan]])
    transformer = LogReturns(missing="mask")
    assert_frame_equal(transformer.inverse_transform(transformer.fit_transform(prices)), prices)
    assert_array_equal(transformer.first_position_, [0, 2, 0, nan, 1])
    assert_array_equal(transformer.last_position_, [3, 3, 1, nan, 1])
    assert_array_equal(transformer.first_price_, [1, 5, 7, nan, 9])

    gappy = table([[1, 2, 3, 4, 5], [1, 2, nan, 4, 5], [1, nan, nan, 4, 5]])
    returns = transformer.fit_transform(gappy)
    with pytest.raises(ValueError, match=r"without gaps.* missing in between in 'T1' \(2\), 'T2' \(3\)\."):
        transformer.inverse_transform(returns)
    assert_frame_equal(transformer.inverse_transform(returns.iloc[:1]), gappy.iloc[:1])


@pytest.mark.parametrize(
    ("row", "n_missing"),
    [([10, 11, np.nan, 13, np.nan], 2), ([10, np.nan, 12, np.nan, 13], 4), ([np.nan, 5, np.nan, 6, 7], 2)],
    ids=["last alone", "none joined", "late"],
)
def test_prices_after_a_gap_are_never_lost_in_silence(row: list[float], n_missing: int) -> None:
    prices = table([row, [1, 2, 3, 4, 5]])
    transformer = LogReturns(missing="mask")
    returns = transformer.fit_transform(prices)
    for form in (returns, returns.to_numpy()):
        with pytest.raises(ValueError, match=rf"missing in between in ('T0'|row 0) \({n_missing}\)\."):
            transformer.inverse_transform(form)
    assert_frame_equal(transformer.inverse_transform(returns.iloc[1:]), prices.iloc[1:])


def test_returns_must_start_at_the_first_price_and_may_go_on_after_the_last() -> None:
    nan = np.nan
    transformer = LogReturns(missing="mask").fit([[nan, 8.0, 16.0, nan]])
    assert_allclose(transformer.inverse_transform([[nan, np.log(2), np.log(3)]]), [[nan, 8, 16, 48]])
    for bad in ([[np.log(2)] * 3], [[nan, nan, np.log(2)]]):
        with pytest.raises(ValueError, match=r"row 0 \(1\)"):
            transformer.inverse_transform(bad)


def test_inverse_accepts_other_returns_of_the_same_stocks() -> None:
    prices = table([[10, 11, 12], [20, 21, 22]])
    transformer = LogReturns().fit(prices)
    shocked = transformer.transform(prices).loc[["T1"]] * 0
    assert_array_equal(transformer.inverse_transform(shocked), [[20, 20, 20]])


def test_inverse_rejects_what_fit_has_not_seen() -> None:
    prices = table([[10, 11, 12], [20, 21, 22]])
    transformer = LogReturns().fit(prices)
    returns = transformer.transform(prices)
    with pytest.raises(ValueError, match=r"has not seen 1 of these: 'NEW'"):
        transformer.inverse_transform(returns.rename(index={"T0": "NEW"}))
    with pytest.raises(ValueError, match=r"must have 2 timepoints, as many as transform returns.*Got 3"):
        transformer.inverse_transform(prices)
    with pytest.raises(ValueError, match=r"the window fitted, 2020-01-02.*Got 2020-01-01"):
        transformer.inverse_transform(prices.iloc[:, :2])


def test_one_price_is_not_enough() -> None:
    with pytest.raises(ValueError, match="n_features = 1"):
        LogReturns().fit([[1.0], [2.0]])


def test_tags_say_positive_and_stateless() -> None:
    tags = get_tags(LogReturns())
    assert tags.input_tags.positive_only
    assert not tags.requires_fit
    assert not tags.input_tags.allow_nan
    assert get_tags(LogReturns(missing="mask")).input_tags.allow_nan


def test_wrong_parameters_raise() -> None:
    with pytest.raises(ValueError, match="'nonpositive' parameter of LogReturns must be a str among"):
        LogReturns(nonpositive="drop").fit([[1.0, 2.0]])


def test_a_real_panel_with_gaps_and_late_listings(shared_data: Path) -> None:
    pytest.importorskip("pyarrow", reason="reading parquet needs the extra market")
    closes = pd.read_parquet(shared_data / "market" / "panel_a_sp500_close_2013_2018.parquet").T
    closes.columns = pd.to_datetime(closes.columns)
    transformer = LogReturns(missing="mask")
    returns = transformer.fit_transform(closes)
    assert returns.shape == (505, 1258)
    assert (returns.dtypes == np.float32).all()
    seen = closes.notna().to_numpy()
    assert_array_equal(returns.notna(), seen[:, 1:] & seen[:, :-1])
    complete = closes.index[seen.all(axis=1)]
    assert len(complete) == 470
    back = transformer.inverse_transform(returns.loc[complete].astype(float))
    assert_allclose(back, closes.loc[complete], rtol=2e-5)
