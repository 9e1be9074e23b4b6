"""Tickers, dates, names of timepoints and set_output: the output keeps the labels of the input."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import polars
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks

from shapecluster.preprocessing import LogReturns, MinMax, ZScore
from shapecluster.preprocessing._labels import timepoint_names

TRANSFORMERS = [ZScore(), MinMax(), LogReturns(), ZScore(missing="mask"), MinMax((0, 1), missing="mask")]
DATES = pd.bdate_range("2020-02-03", periods=8, name="date")
ISO = [str(date.date()) for date in DATES]


@pytest.fixture
def prices(rng: np.random.Generator) -> pd.DataFrame:
    values = 50 * np.exp(np.cumsum(0.02 * rng.standard_normal((5, 8)), axis=1))
    return pd.DataFrame(values, index=pd.Index(list("VWXYZ"), name="ticker"), columns=DATES)


def three_steps():
    return make_pipeline(LogReturns(), ZScore(), MinMax())


def test_pipeline_keeps_tickers_and_timestamps(prices: pd.DataFrame) -> None:
    pipeline = three_steps()
    out = pipeline.fit_transform(prices)
    assert isinstance(out, pd.DataFrame)
    pd.testing.assert_index_equal(out.index, prices.index)
    pd.testing.assert_index_equal(out.columns, prices.columns[1:])
    assert_frame_equal(out, pipeline.transform(prices))
    assert pipeline.get_feature_names_out().tolist() == ISO[1:]
    assert_allclose(out.min(axis=1), -1)
    assert_allclose(out.max(axis=1), 1)


def test_pipeline_keeps_string_columns(prices: pd.DataFrame) -> None:
    prices.columns = [f"day {i}" for i in range(8)]
    pipeline = three_steps()
    out = pipeline.fit_transform(prices)
    assert out.columns.tolist() == prices.columns[1:].tolist()
    assert pipeline.get_feature_names_out().tolist() == prices.columns[1:].tolist()


def test_pipeline_equals_numpy_step_by_step(prices: pd.DataFrame) -> None:
    x = np.diff(np.log(prices.to_numpy()))
    x = (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)
    low, high = x.min(axis=1, keepdims=True), x.max(axis=1, keepdims=True)
    expected = 2 * (x - low) / (high - low) - 1
    assert_allclose(three_steps().fit_transform(prices), expected, atol=1e-12)
    assert_allclose(three_steps().fit_transform(prices.to_numpy()), expected, atol=1e-12)


def test_arrays_stay_arrays_and_are_numbered(prices: pd.DataFrame) -> None:
    pipeline = three_steps()
    assert type(pipeline.fit_transform(prices.to_numpy())) is np.ndarray
    assert pipeline.get_feature_names_out().tolist() == [f"x{i}" for i in range(1, 8)]


@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=str)
def test_another_window_keeps_its_own_dates(transformer, prices: pd.DataFrame) -> None:
    later = prices.set_axis(prices.columns + pd.Timedelta(days=364), axis=1)
    lost = int(isinstance(transformer, LogReturns))
    for kind in ("default", "pandas"):
        fitted = clone(transformer).set_output(transform=kind).fit(prices)
        out = fitted.transform(later.iloc[::-1])
        pd.testing.assert_index_equal(out.columns, later.columns[lost:])
        pd.testing.assert_index_equal(out.index, later.index[::-1])


@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=str)
def test_set_output_pandas_makes_tables_of_arrays(transformer, prices: pd.DataFrame) -> None:
    lost = int(isinstance(transformer, LogReturns))
    fitted = clone(transformer).set_output(transform="pandas")
    out = fitted.fit_transform(prices.to_numpy())
    assert out.columns.tolist() == [f"x{i}" for i in range(lost, 8)]
    assert out.index.equals(pd.RangeIndex(5))
    assert fitted.inverse_transform(out.to_numpy()).columns.tolist() == [f"x{i}" for i in range(8)]
    # Fitted on dates: these name the columns of an array too.
    assert fitted.fit(prices).transform(prices.to_numpy()).columns.tolist() == ISO[lost:]
    assert type(fitted.set_output(transform="default").transform(prices.to_numpy())) is np.ndarray


@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=str)
def test_an_unfitted_transformer_transforms_and_labels(transformer, prices: pd.DataFrame) -> None:
    lost = int(isinstance(transformer, LogReturns))
    expected = clone(transformer).fit(prices).transform(prices)
    assert_frame_equal(clone(transformer).transform(prices), expected)
    table = clone(transformer).set_output(transform="pandas").transform(prices.to_numpy())
    assert table.columns.tolist() == [f"x{i}" for i in range(lost, 8)]


def test_set_output_reaches_every_step_and_survives_clone(prices: pd.DataFrame) -> None:
    pipeline = clone(three_steps().set_output(transform="pandas"))
    assert isinstance(pipeline.fit_transform(prices.to_numpy()), pd.DataFrame)
    assert pipeline[0].set_output(transform=None) is pipeline[0]
    with config_context(transform_output="pandas"):
        assert isinstance(three_steps().fit_transform(prices.to_numpy()), pd.DataFrame)


def test_set_output_rejects_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match=r"ZScore.set_output: transform must be .* Got 'arrow' instead"):
        ZScore().set_output(transform="arrow")


def test_polars_output_says_what_to_install_when_polars_is_absent(
    prices: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    transformer = ZScore().set_output(transform="polars")
    with pytest.raises(ImportError, match="pip install polars"):
        transformer.fit_transform(prices)
    for kind in ("default", "pandas"):
        assert isinstance(transformer.set_output(transform=kind).transform(prices), pd.DataFrame)


def test_polars_output_has_string_names(prices: pd.DataFrame) -> None:
    transformer = LogReturns().set_output(transform="polars")
    out = transformer.fit_transform(prices)
    assert isinstance(out, polars.DataFrame)
    assert out.columns == ISO[1:]
    assert_array_equal(out.to_numpy(), LogReturns().transform(prices))
    assert_array_equal(transformer.inverse_transform(out.to_numpy()).columns, ISO)
    assert transformer.fit_transform(prices.to_numpy()).columns == [f"x{i}" for i in range(1, 8)]
    unnamed = prices.set_axis(range(8), axis=1).astype(np.float32)
    narrow = transformer.fit_transform(unnamed)
    assert narrow.columns == [str(i) for i in range(1, 8)]
    assert narrow.dtypes == [polars.Float32] * 7


def test_several_channels_cannot_become_a_table(rng: np.random.Generator) -> None:
    transformer = ZScore().set_output(transform="pandas")
    with pytest.raises(ValueError, match="series of several channels cannot become a pandas table"):
        transformer.fit_transform(rng.standard_normal((4, 6, 2)))


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        (DATES[:2], ["2020-02-03", "2020-02-04"]),
        (DATES[:2].tz_localize("UTC"), ["2020-02-03", "2020-02-04"]),
        (
            pd.to_datetime(["2020-02-03 09:30", "2020-02-03 16:00"]),
            ["2020-02-03T09:30:00", "2020-02-03T16:00:00"],
        ),
        (pd.period_range("2020-01", periods=2, freq="M"), ["2020-01", "2020-02"]),
        (pd.Index([DATES[0].date(), DATES[1].date()]), ["2020-02-03", "2020-02-04"]),
        (pd.Index(["a", "b"]), ["a", "b"]),
        (pd.RangeIndex(2), None),
        (pd.Index(["a", 1]), None),
    ],
)
def test_timepoint_names(columns: pd.Index, names: list[str] | None) -> None:
    found = timepoint_names(columns)
    assert found is None if names is None else found.tolist() == names
    frame = pd.DataFrame(np.arange(6.0).reshape(3, 2), columns=columns)
    transformer = ZScore().fit(frame)
    assert transformer.get_feature_names_out().tolist() == (names or ["x0", "x1"])


def test_refitting_forgets_the_names_of_the_fit_before(prices: pd.DataFrame) -> None:
    transformer = LogReturns().fit(prices)
    assert transformer.series_names_in_.tolist() == list("VWXYZ")
    transformer.fit(prices.to_numpy())
    for name in ("series_names_in_", "timepoints_in_"):
        assert not hasattr(transformer, name)
    assert transformer.get_feature_names_out().tolist() == [f"x{i}" for i in range(1, 8)]


@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=str)
def test_get_feature_names_out_checks_what_it_is_given(transformer, prices: pd.DataFrame) -> None:
    lost = int(isinstance(transformer, LogReturns))
    fitted = clone(transformer).fit(prices)
    assert_array_equal(fitted.get_feature_names_out(ISO), ISO[lost:])
    with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
        fitted.get_feature_names_out(ISO[::-1])
    fitted.fit(prices.to_numpy())
    assert fitted.get_feature_names_out(list("abcdefgh")).tolist() == list("abcdefgh")[lost:]
    with pytest.raises(ValueError, match="length equal to number of features"):
        fitted.get_feature_names_out(["a"])


@pytest.mark.parametrize(
    "check",
    [
        "check_get_feature_names_out_error",
        "check_transformer_get_feature_names_out",
        "check_transformer_get_feature_names_out_pandas",
        "check_set_output_transform",
        "check_param_validation",
    ],
)
@pytest.mark.parametrize("transformer", [ZScore(), MinMax(), LogReturns(nonpositive="nan")], ids=str)
def test_scikit_learns_own_checks_beyond_the_common_ones(transformer, check: str) -> None:
    getattr(estimator_checks, check)(type(transformer).__name__, transformer)


def test_fit_transform_rejects_fit_parameters(prices: pd.DataFrame) -> None:
    with pytest.raises(TypeError, match=r"takes X only. Got \['weights'\] too"):
        ZScore().fit_transform(prices, weights=1)
