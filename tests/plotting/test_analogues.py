"""The display of historical analogues: the curves and their units."""

from __future__ import annotations

import io
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from shapecluster import HistoricalAnalogues
from shapecluster.plotting import AnaloguesDisplay

WAVE = np.sin(np.linspace(0, 6, 40)) + np.linspace(0, 1, 40) ** 2 + 3


@pytest.fixture(scope="module")
def answer():
    rng = np.random.default_rng(0)
    days = pd.bdate_range("2020-02-03", periods=150, name="date")
    prices = 50 * np.exp(0.02 * rng.normal(size=(5, 150)).cumsum(axis=1))
    frame = pd.DataFrame(prices, index=[f"S{i}" for i in range(5)], columns=days)
    return HistoricalAnalogues(window=30, horizon=10, random_state=0).fit(frame).analogues("S0", 6)


def labeled(ax, label):
    return next(line for line in ax.lines if line.get_label() == label)


def test_the_query_is_in_z_units_and_each_analogue_beside_it(answer):
    shapes, _ = AnaloguesDisplay.from_answer(answer).axes_
    query = labeled(shapes, "query")
    assert query.get_xdata().tolist() == list(range(-29, 1))
    assert query.get_ydata().mean() == pytest.approx(0, abs=1e-12)
    assert query.get_ydata().std() == pytest.approx(1)
    assert len(shapes.lines) == 6 + 1


def test_an_analogue_that_the_query_trails_is_moved_onto_it():
    leading = np.r_[WAVE[3:], np.full(3, WAVE[-1])] * 7 + 100
    display = AnaloguesDisplay(WAVE, [leading], [[0.1]], shifts=[3]).plot()
    shapes, _ = display.axes_
    drawn = shapes.lines[0].get_ydata()
    np.testing.assert_allclose(drawn[3:], labeled(shapes, "query").get_ydata()[3:], atol=1e-12)
    assert np.isnan(drawn[:3]).all()


def test_the_fan_is_what_followed_from_zero(answer):
    _, after = AnaloguesDisplay.from_answer(answer).axes_
    paths = answer.paths.to_numpy()
    for line, path in zip(after.lines, paths, strict=False):
        np.testing.assert_array_equal(line.get_ydata(), np.r_[0, path])
    middle = labeled(after, "median, quartiles").get_ydata()
    np.testing.assert_allclose(middle, np.r_[0, np.nanmedian(paths, axis=0)])
    beside = labeled(after, "all stocks, same dates").get_ydata()
    np.testing.assert_array_equal(beside, np.r_[0, answer.same_dates.loc["median"]])


def test_days_that_nobody_knows_are_left_open():
    display = AnaloguesDisplay(WAVE, [WAVE, WAVE], [[0.1, np.nan], [0.2, np.nan]]).plot()
    middle = labeled(display.axes_[1], "median, quartiles").get_ydata()
    assert middle[1] == pytest.approx(0.15)
    assert np.isnan(middle[2])
    display.figure_.savefig(io.BytesIO(), format="png")


def test_nothing_found_is_drawn_without_complaint():
    display = AnaloguesDisplay(WAVE, np.empty((0, 40)), np.empty((0, 5))).plot()
    assert display.axes_[0].get_title(loc="left") == "0 analogues"
    display.figure_.savefig(io.BytesIO(), format="png")


def test_titles_name_the_ticker_and_the_day_and_are_no_formulas(answer):
    assert AnaloguesDisplay.from_answer(answer).axes_[0].get_title(loc="left") == (
        "S0 as of 2020-08-28, and 6 analogues"
    )
    display = AnaloguesDisplay.from_answer(answer, title="$\\frac{1}{0$")
    display.figure_.savefig(io.BytesIO(), format="png")  # a formula would fail to parse here
    assert display.axes_[0].get_title(loc="left") == "$\\frac{1}{0$"


def test_draws_on_given_axes_and_without_pyplot(answer):
    figure = Figure()
    axes = figure.subplots(1, 2)
    display = AnaloguesDisplay.from_answer(answer, axes=list(axes))
    assert display.figure_ is figure
    assert display.axes_ == list(axes)
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
