"""ZScore and MinMax: values, flat and missing values, extreme scales, and the inverse transform."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from shapecluster.exceptions import FlatSeriesWarning
from shapecluster.preprocessing import MinMax, ZScore

SCALERS = [ZScore, MinMax]
finite = st.floats(-1e6, 1e6, width=32)


@st.composite
def moving_rows(draw) -> np.ndarray:
    """Rows that move clearly: no row is flat, and rounding is far below its range."""
    n, m = draw(st.tuples(st.integers(1, 5), st.integers(2, 12)))
    x = draw(arrays(np.float64, (n, m), elements=finite))
    x[:, 0] = np.abs(x).max(axis=1) + 1
    return x


def table(values: np.ndarray) -> pd.DataFrame:
    names = pd.Index([f"T{i}" for i in range(len(values))], name="ticker")
    return pd.DataFrame(values, index=names, columns=pd.bdate_range("2020-01-01", periods=values.shape[1]))


@given(moving_rows())
def test_z_scores_have_mean_0_and_deviation_1_and_equal_scikit_learn(x: np.ndarray) -> None:
    z = ZScore().fit_transform(x)
    assert_allclose(z.mean(axis=1), 0, atol=1e-12)
    assert_allclose(z.std(axis=1), 1, rtol=1e-12)
    assert_allclose(z, StandardScaler().fit_transform(x.T).T, atol=1e-9)


@given(moving_rows(), st.floats(-100, 100), st.floats(0.001, 1000))
def test_min_max_hits_both_ends_exactly_and_equals_scikit_learn(
    x: np.ndarray, low: float, width: float
) -> None:
    high = low + width
    scaled = MinMax((low, high)).fit_transform(x)
    assert_array_equal(scaled.min(axis=1), low)
    assert_array_equal(scaled.max(axis=1), high)
    expected = MinMaxScaler(feature_range=(low, high)).fit_transform(x.T).T
    assert_allclose(scaled, expected, atol=1e-9 * max(abs(low), abs(high)))


def test_min_max_leaves_nothing_outside_the_range_by_rounding() -> None:
    low, high = -1.723856342918535, -1.705506269734192
    just_above = float.fromhex("0x1.1cdcf10efafdap-51")
    assert low * (1 - just_above) + high * just_above < low
    assert_array_equal(MinMax((low, high)).fit_transform([[0, just_above, 1]]), [[low, low, high]])


def test_min_max_scales_to_minus_one_and_one_by_default() -> None:
    assert_array_equal(MinMax().fit_transform([[1, 2, 5], [30, 10, 20]]), [[-1, -0.5, 1], [1, -1, 0]])


@pytest.mark.parametrize("scaler", SCALERS)
@given(x=moving_rows(), scale=st.floats(0.01, 100), offset=st.floats(-100, 100))
def test_scale_and_offset_do_not_matter(scaler, x: np.ndarray, scale: float, offset: float) -> None:
    assert_allclose(scaler().fit_transform(scale * x + offset), scaler().fit_transform(x), atol=1e-6)


@pytest.mark.parametrize("scaler", SCALERS)
@given(x=moving_rows())
def test_a_row_does_not_depend_on_its_neighbors(scaler, x: np.ndarray) -> None:
    together = scaler().fit_transform(x)
    assert_array_equal(together, np.concatenate([scaler().fit_transform(row[None]) for row in x]))
    assert_array_equal(together, scaler().fit(x[::-1] * 2).transform(x))


@pytest.mark.parametrize("scaler", SCALERS)
@pytest.mark.parametrize("exponent", [-1060, -1022, -990, -500, 0, 500, 990, 1020])
def test_powers_of_two_change_no_bit(scaler, exponent: int) -> None:
    x = np.random.default_rng(0).integers(-1000, 1000, (3, 20)).astype(float)
    shifted = np.ldexp(x, exponent - 10)  # exact: even subnormals hold these integers
    assert_array_equal(np.ldexp(shifted, 10 - exponent), x)
    assert_array_equal(scaler().fit_transform(shifted), scaler().fit_transform(x))


@pytest.mark.parametrize("scaler", SCALERS)
@pytest.mark.parametrize("scale", [1e-300, 1e300, 1e-30])
def test_extreme_scales_come_back_from_a_round_trip(scaler, scale: float) -> None:
    x = scale * np.random.default_rng(0).standard_normal((3, 20))
    fitted = scaler()
    assert_allclose(fitted.inverse_transform(fitted.fit_transform(x)), x, rtol=1e-9, atol=1e-13 * scale)


def test_the_widest_row_of_all_does_not_overflow() -> None:
    top = np.finfo(np.float64).max
    assert_array_equal(MinMax().fit_transform([[-top, 0.0, top]]), [[-1, 0, 1]])
    assert_allclose(ZScore().fit_transform([[-top, 0.0, top]]), np.array([[-1, 0, 1]]) * np.sqrt(1.5))


@pytest.mark.parametrize("scaler", SCALERS)
def test_float32_stays_float32_and_the_rest_becomes_float64(scaler, rng: np.random.Generator) -> None:
    x = rng.uniform(1, 9, (4, 6))
    for given_type, expected in [(np.float32, np.float32), (np.float64, np.float64), (np.int64, np.float64)]:
        fitted = scaler()
        assert fitted.fit_transform(x.astype(given_type)).dtype == expected
        out = fitted.fit_transform(table(x.astype(given_type)))
        assert (out.dtypes == expected).all()
        assert (fitted.inverse_transform(out).dtypes == expected).all()
    close = scaler().fit_transform(x.astype(np.float32))
    assert_allclose(close, scaler().fit_transform(x.astype(np.float32).astype(float)), atol=1e-6)


@pytest.mark.parametrize("scaler", SCALERS)
def test_channels_are_scaled_each_by_itself(scaler, rng: np.random.Generator) -> None:
    x = rng.standard_normal((5, 7, 3)) * [1, 10, 100] + [5, 0, -5]
    fitted = scaler()
    out = fitted.fit_transform(x)
    assert out.shape == x.shape
    for channel in range(3):
        assert_array_equal(out[..., channel], scaler().fit_transform(x[..., channel]))
    assert_allclose(fitted.inverse_transform(out), x, atol=1e-12)
    with pytest.raises(ValueError, match=r"must have the channels of the series fitted.*\(5, 7, 2\) instead"):
        fitted.inverse_transform(out[..., :2])


@pytest.mark.parametrize(("scaler", "middle"), [(ZScore(), 0.0), (MinMax(), 0.0), (MinMax((0, 10)), 5.0)])
def test_flat_rows_go_to_the_middle_and_are_named(scaler, middle: float) -> None:
    x = table(np.array([[1.0, 2.0, 3.0], [0.1, 0.1, 0.1], [7.0, 7.0, 7.0], [0.0, 0.0, 0.0]]))
    with pytest.warns(FlatSeriesWarning, match=r"3 of 4 series never move.*: 'T1', 'T2', 'T3'\.") as caught:
        out = scaler.fit_transform(x)
    assert caught[0].filename == __file__
    assert_array_equal(out.iloc[1:], np.full((3, 3), middle))
    assert_allclose(scaler.inverse_transform(out), x, rtol=1e-15)
    with pytest.warns(FlatSeriesWarning, match=r"row 1, row 2, row 3\."):
        scaler.transform(x.to_numpy())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaler.fit(x)  # nothing is scaled yet


def test_rounding_is_not_movement() -> None:
    x = np.array([[0.1 + 0.2, 0.3, 0.3, 0.3], [1e15, 1e15 + 0.125, 1e15, 1e15]])
    for scaler in (ZScore(), MinMax()):
        with pytest.warns(FlatSeriesWarning, match="2 of 2"):
            assert_array_equal(scaler.fit_transform(x), np.zeros((2, 4)))


def test_flat_channels_are_named_with_their_channel(rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 5, 2))
    x[1, :, 1] = 4.0
    with pytest.warns(FlatSeriesWarning, match=r"1 of 6 series never move.*: row 1 channel 1\."):
        out = ZScore().fit_transform(x)
    assert_array_equal(out[1, :, 1], np.zeros(5))
    assert_allclose(out[1, :, 0].std(), 1)


@pytest.mark.parametrize("scaler", SCALERS)
def test_missing_values_raise_by_default(scaler) -> None:
    x = table(np.array([[1.0, 2.0, 3.0], [np.nan, 1.0, 2.0]]))
    for call in (scaler().fit, scaler().transform, scaler().fit_transform):
        with pytest.raises(ValueError, match=rf"Input X contains NaN: {scaler.__name__}.*'T1' \(1 of 3\)"):
            call(x)


@pytest.mark.parametrize("scaler", SCALERS)
@given(data=st.data())
def test_masked_rows_are_scaled_over_what_was_observed(scaler, data: st.DataObject) -> None:
    x = data.draw(
        arrays(np.float64, array_shapes(min_dims=2, max_dims=2, min_side=3, max_side=8), elements=finite)
    )
    x[:, 0] = np.abs(x).max(axis=1) + 1
    x[:, 1] = -x[:, 0]
    hidden = data.draw(arrays(np.bool_, x.shape))
    hidden[:, :2] = False
    x[hidden] = np.nan
    fitted = scaler(missing="mask")
    out = fitted.fit_transform(x)
    assert_array_equal(np.isnan(out), hidden)
    for row, expected in zip(out, x, strict=True):
        kept = ~np.isnan(expected)
        assert_allclose(row[kept], scaler().fit_transform(expected[kept][None])[0], atol=1e-12)
    assert_allclose(fitted.inverse_transform(out), x, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("scaler", SCALERS)
def test_rows_with_nothing_observed_stay_missing_and_are_named(scaler) -> None:
    x = table(np.array([[1.0, 2.0, 3.0], [np.nan] * 3, [np.nan, 5.0, np.nan]]))
    fitted = scaler(missing="mask")
    with pytest.warns(FlatSeriesWarning, match=r"move.*: 'T2'\. 1 of 3 series have no value at all: 'T1'\."):
        out = fitted.fit_transform(x)
    assert out.loc["T1"].isna().all()
    assert_array_equal(out.loc["T2"], [np.nan, 0.0, np.nan])
    assert_frame_equal(fitted.inverse_transform(out), x)


@pytest.mark.parametrize("scaler", SCALERS)
@given(x=moving_rows())
def test_inverse_of_fit_transform_is_the_input(scaler, x: np.ndarray) -> None:
    fitted = scaler()
    scale = np.abs(x).max()
    assert_allclose(fitted.inverse_transform(fitted.fit_transform(x)), x, atol=1e-12 * scale)
    assert_frame_equal(fitted.inverse_transform(fitted.fit_transform(table(x))), table(x), atol=1e-12 * scale)


@pytest.mark.parametrize("scaler", SCALERS)
def test_inverse_matches_rows_by_ticker(scaler, rng: np.random.Generator) -> None:
    x = table(rng.uniform(1, 100, (6, 5)))
    fitted = scaler()
    out = fitted.fit_transform(x)
    some = ["T4", "T0", "T3"]
    assert_frame_equal(fitted.inverse_transform(out.loc[some]), x.loc[some])
    # ISO names are the same dates, and the inverse gives the dates back.
    named = out.set_axis(fitted.get_feature_names_out(), axis=1)
    assert_frame_equal(fitted.inverse_transform(named), x)
    assert_allclose(fitted.inverse_transform(out.to_numpy()), x)


@pytest.mark.parametrize("scaler", SCALERS)
def test_inverse_rejects_rows_and_dates_that_fit_has_not_seen(scaler, rng: np.random.Generator) -> None:
    x = table(rng.uniform(1, 100, (6, 5)))
    out = scaler().fit_transform(x)
    fitted = scaler().fit(x.iloc[:4])
    with pytest.raises(ValueError, match=r"inverse_transform: .* has not seen 2 of these: 'T4', 'T5'\."):
        fitted.inverse_transform(out)
    with pytest.raises(ValueError, match=r"must have the 4 rows fitted.*Got 6 rows instead"):
        fitted.inverse_transform(out.to_numpy())
    later = out.iloc[:4].set_axis(out.columns + pd.Timedelta(days=7), axis=1)
    with pytest.raises(ValueError, match=r"the units are those of the window fitted, 2020-01-01.*2020-01-08"):
        fitted.inverse_transform(later)
    with pytest.raises(ValueError, match=r"must have 5 timepoints.*Got 4 instead"):
        fitted.inverse_transform(out.iloc[:4, :4])
    assert fitted.n_features_in_ == 5
    with pytest.raises(NotFittedError):
        scaler().inverse_transform(out)


@pytest.mark.parametrize(
    "feature_range", [(1, -1), (1, 1), (0, np.inf), (0, np.nan), (0,), (0, 1, 2), ("a", "b"), [None, 1]]
)
def test_feature_range_must_be_two_increasing_numbers(feature_range) -> None:
    for call in (MinMax(feature_range).fit, MinMax(feature_range).transform):
        with pytest.raises(ValueError, match=r"'feature_range' .* of MinMax must be two finite numbers"):
            call([[1.0, 2.0]])


def test_wrong_parameters_raise_without_a_fit_too() -> None:
    with pytest.raises(ValueError, match="The 'missing' parameter of ZScore must be a str among"):
        ZScore(missing="drop").transform([[1.0, 2.0]])
    with pytest.raises(ValueError, match="The 'feature_range' parameter of MinMax must be an instance of"):
        MinMax(1.0).fit([[1.0, 2.0]])


@pytest.mark.parametrize("scaler", SCALERS)
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([[1.0, np.inf, 2.0]], "Input X contains infinity"),
        ([[1.0], [2.0]], "n_features = 1"),
        ([[1.0, "a"], [2.0, 3.0]], "could not convert"),
        ([[1.0, 2.0], [1.0, 2.0, 3.0]], "Row 0 has 2, row 1 has 3"),
        ([1.0, 2.0], "Expected 2D array"),
        (np.empty((0, 3)), "0 sample"),
        (np.ones((2, 3, 4, 5)), "4 axes"),
        (table(np.ones((4, 4))).T, "Pass X.T instead"),
        (table(np.ones((2, 2))).set_axis(["A", "A"]), "these rows of X repeat: A"),
        (table(np.ones((2, 2))).iloc[:, ::-1], "dates .* must increase"),
    ],
)
def test_bad_input_gets_one_clear_error(scaler, bad, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        scaler().fit_transform(bad)


def test_another_number_of_timepoints_raises() -> None:
    with pytest.raises(ValueError, match="X has 4 features, but ZScore is expecting 3 features"):
        ZScore().fit(np.eye(3)).transform(np.eye(4))
