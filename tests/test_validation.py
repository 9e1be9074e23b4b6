"""One clear message for each kind of bad input, whichever estimator it reaches."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from shapecluster import LocalKShape, MiniBatchLocalKShape, ShapeNeighbors
from shapecluster.exceptions import FlatSeriesWarning

X = np.random.default_rng(0).normal(size=(10, 20)).cumsum(axis=1)
DATES = pd.date_range("2020-01-01", periods=20)
TICKERS = [f"T{i}" for i in range(10)]


def frame(values=X, index=TICKERS, columns=DATES):
    return pd.DataFrame(values, index=index, columns=columns, copy=True)


def changed(value, row=3, column=4, dtype=None):
    data = frame() if dtype is None else frame().astype(dtype)
    data.iloc[row, column] = value
    return data


BAD = {
    "NaN": (changed(np.nan), r"contains NaN: \w+ needs complete series.*'T3' \(1 of 20\).*clean_prices"),
    "inf": (changed(np.inf), r"contains infinity: .*'T3' has 1 infinite values"),
    "text": (changed("n/a", dtype=object), r"must hold numbers. Got 'n/a' for 'T3' at 2020-01-05"),
    "text array": (np.array([["a", "b"], ["c", "d"]]), "could not convert string to float"),
    "one column": (X[:, :1], r"at least 2 timepoints per series. Got n_features = 1"),
    "no row": (X[:0], r"0 sample\(s\)"),
    "one axis": (X[0], "Expected 2D array, got 1D array"),
    "four axes": (X[:, :, None, None], "takes .*Got 4 axes"),
    "no channel": (np.empty((3, 5, 0)), "channels.* of length 0"),
    "ragged": ([[1.0, 2, 3], [1.0, 2]], "Row 0 has 3, row 1 has 2"),
    "repeated tickers": (
        frame(index=["A", "A", *TICKERS[2:]]),
        "name of its own, but these rows of X repeat: A",
    ),
    "repeated dates": (frame(columns=DATES[[0, *range(19)]]), "columns of X.* repeat: 2020-01-01"),
    "unsorted dates": (frame(columns=DATES[::-1]), "must increase, but 2020-01-19.* follows 2020-01-20"),
    "unsorted text dates": (
        frame(columns=[str(d.date()) for d in DATES[::-1]]),
        "must increase, but 2020-01-19 follows 2020-01-20.*sort_index",
    ),
    "dates as rows": (frame().T, r"rows of X are dates.*Pass X.T instead"),
    "periods as rows": (frame(columns=DATES.to_period("D")).T, r"rows of X are dates"),
    "text dates as rows": (frame(columns=[str(d.date()) for d in DATES]).T, "rows of X are dates"),
    "date objects as rows": (frame(columns=[d.date() for d in DATES]).T, "rows of X are dates"),
    "timestamp objects as rows": (
        frame(columns=pd.Index(list(DATES), dtype=object)).T,
        "rows of X are dates",
    ),
    "unsorted date objects": (frame(columns=[d.date() for d in DATES[::-1]]), "must increase"),
    "no date": (frame(columns=[*DATES[:-1], pd.NaT]), r"column 19 of X has no date \(NaT\)"),
    "a column of dates": (frame().assign(listed=DATES[0]), "Got datetime64 values in the column 'listed'"),
    "a complex column": (frame().assign(z=1j), "Got complex values in the column 'z'"),
    "two levels of names": (
        frame(index=pd.MultiIndex.from_product([["NYSE"], TICKERS])),
        "rows of X must have one name each. Got a MultiIndex",
    ),
    "ragged with a number": ([[1.0, 2.0], 3.0], "Row 0 has 2, row 1 has 0"),
    "complex": (X + 1j, "Complex data not supported"),
}


@pytest.mark.parametrize("estimator", [LocalKShape(2), ShapeNeighbors(1)], ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_refused_with_a_clear_message(estimator, kind):
    data, message = BAD[kind]
    with pytest.raises((ValueError, TypeError), match=f"(?s){message}"):
        estimator.fit(data)


def test_many_bad_tickers_are_counted_not_all_listed():
    data = frame()
    data.iloc[:8, 2] = np.nan
    with pytest.raises(ValueError, match="'T4' \\(1 of 20\\) and 3 more"):
        LocalKShape(2).fit(data)


@pytest.mark.parametrize(
    "data",
    [
        frame(),
        frame(columns=DATES.to_period("D")),
        frame(columns=[str(d.date()) for d in DATES]),
        frame(columns=range(20)),
        frame(columns=[d.date() for d in DATES]),
        frame(
            columns=[
                "2020-03-28T12:00+01:00",
                "2020-03-29T12:00+02:00",
                *[f"2021-01-{d:02d}" for d in range(1, 19)],
            ]
        ),
        frame(index=range(10)),
        frame(columns=[f"day{i}" for i in range(20)][::-1]),
        frame().astype(object),
        frame().astype("Float64"),
        frame().round(0).astype(int),
        X.tolist(),
        list(X),
    ],
)
def test_good_input_of_many_kinds_is_accepted(data):
    assert LocalKShape(2, random_state=0).fit(data).labels_.shape == (10,)


@pytest.mark.parametrize("scale", [1e307, -1e307])
def test_finite_values_of_any_size_are_accepted_without_a_warning(scale):
    assert np.isfinite(LocalKShape(2, random_state=0).fit(np.abs(X) * scale).inertia_)


def test_infinities_of_both_signs_are_reported_without_a_numpy_warning():
    data = frame()
    data.iloc[1, 1], data.iloc[2, 2] = np.inf, -np.inf
    with pytest.raises(ValueError, match="contains infinity"):
        LocalKShape(2).fit(data)


def test_warnings_point_at_the_code_that_called():
    data = np.vstack([X, np.ones(20)])
    model = LocalKShape(2, random_state=0)
    for call in (model.fit, model.predict, model.transform, model.score, model.fit_predict):
        with pytest.warns(FlatSeriesWarning) as caught:
            call(data)
        assert {warning.filename for warning in caught} == {__file__}


@pytest.mark.parametrize("dtype", ["Float64", object])
def test_nullable_missing_values_are_nan(dtype):
    data = frame().astype(dtype)
    data.iloc[2, 2] = pd.NA
    with pytest.raises(ValueError, match="'T2'"):
        LocalKShape(2).fit(data)
    assert LocalKShape(2, missing="mask", random_state=0).fit(data).labels_.shape == (10,)


@pytest.mark.parametrize("estimator", [LocalKShape(2), MiniBatchLocalKShape(2), ShapeNeighbors(1)])
class TestRefusedFits:
    """Input that is refused leaves an estimator as it was: fitted on what came before, or not at all."""

    def test_the_first(self, rng, estimator):
        model = clone(estimator)
        with pytest.warns(FlatSeriesWarning), pytest.raises(ValueError, match="no series of X"):
            model.fit(np.ones((5, 20)))
        with pytest.raises(NotFittedError):
            (model.predict if hasattr(model, "predict") else model.kneighbors)(rng.normal(size=(5, 20)))

    def test_a_later_one(self, rng, estimator):
        X = rng.normal(size=(9, 20))
        model = clone(estimator).fit(X)
        ask = model.predict if hasattr(model, "predict") else model.kneighbors
        before = ask(X)
        with pytest.warns(FlatSeriesWarning), pytest.raises(ValueError, match="no series of X"):
            model.fit(np.ones((5, 25)))
        np.testing.assert_array_equal(ask(X), before)
