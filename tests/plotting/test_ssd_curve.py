"""The SSD curve: what it marks, and that it leaves pyplot alone."""

from __future__ import annotations

import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from shapecluster.model_selection import KSweep
from shapecluster.plotting import SSDCurveDisplay


@pytest.fixture(scope="module")
def sweep():
    X, _ = make_blobs(120, centers=4, cluster_std=0.5, random_state=3)
    return KSweep(KMeans(n_init=1, random_state=0), k=range(2, 8), criterion="silhouette").fit(X)


def labels_of(display: SSDCurveDisplay) -> list[str]:
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def test_curve_has_the_ssd_of_every_k(sweep):
    display = SSDCurveDisplay.from_sweep(sweep)
    curve = display.ax_.lines[0]
    np.testing.assert_array_equal(curve.get_xdata(), [2, 3, 4, 5, 6, 7])
    np.testing.assert_array_equal(curve.get_ydata(), sweep.results_["ssd"])


def test_every_criterion_is_marked_at_its_k_and_the_chosen_one_is_filled(sweep):
    display = SSDCurveDisplay.from_sweep(sweep)
    assert labels_of(display)[0] == f"silhouette: k = {sweep.silhouette_k_} (chosen)"
    assert set(labels_of(display)[1:]) == {f"ssd: k = {sweep.ssd_k_}", f"elbow: k = {sweep.elbow_k_}"}
    marks = {line.get_label().split(":")[0]: line for line in display.ax_.lines[1:]}
    assert marks["ssd"].get_xdata() == [sweep.ssd_k_]
    assert marks["ssd"].get_markerfacecolor() == "none"
    assert marks["silhouette"].get_markerfacecolor() != "none"


def test_criteria_that_agree_are_drawn_as_rings_of_different_size():
    display = SSDCurveDisplay([2, 3, 4], [9, 4, 3], choices={"ssd": 3, "elbow": 3, "silhouette": 3}).plot()
    sizes = [line.get_markersize() for line in display.ax_.lines[1:]]
    assert len(set(sizes)) == 3


def test_a_criterion_without_a_choice_is_named_and_not_drawn():
    display = SSDCurveDisplay([2, 3, 4], [9, 4, 3], choices={"ssd": 4, "elbow": None}, criterion="ssd").plot()
    assert "elbow: none" in labels_of(display)
    assert all(len(line.get_xdata()) == 0 for line in display.ax_.lines if "elbow" in line.get_label())


def test_draws_on_given_axes():
    figure = Figure()
    ax = figure.add_subplot()
    display = SSDCurveDisplay([2, 3], [9, 4]).plot(ax)
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert ax.get_legend() is None


def test_leaves_pyplot_and_its_settings_alone(sweep):
    before = dict(mpl.rcParams)
    SSDCurveDisplay.from_sweep(sweep)
    assert dict(mpl.rcParams) == before
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []


def test_an_unfitted_sweep_is_refused():
    with pytest.raises(ValueError, match=r"takes a fitted KSweep, or a .*Got KSweep without results_"):
        SSDCurveDisplay.from_sweep(KSweep(KMeans()))


def test_takes_a_pipeline_that_ends_in_a_sweep_and_a_sweep_of_a_pipeline():
    X, _ = make_blobs(60, centers=4, cluster_std=0.5, random_state=3)
    means = KMeans(n_init=1, random_state=0)
    expected = KSweep(means, k=range(2, 5), criterion="elbow").fit(StandardScaler().fit_transform(X))
    for sweep in (
        make_pipeline(StandardScaler(), KSweep(means, k=range(2, 5), criterion="elbow")),
        make_pipeline(
            make_pipeline(StandardScaler()), make_pipeline(KSweep(means, k=range(2, 5), criterion="elbow"))
        ),
        KSweep(make_pipeline(StandardScaler(), means), k=range(2, 5), criterion="elbow"),
    ):
        display = SSDCurveDisplay.from_sweep(sweep.fit(X))
        np.testing.assert_array_equal(display.ssd, expected.results_["ssd"])
        assert display.choices["elbow"] == expected.elbow_k_


def test_a_pipeline_that_does_not_end_in_a_sweep_is_refused(sweep):
    with pytest.raises(ValueError, match=r"Got KMeans without results_ instead"):
        SSDCurveDisplay.from_sweep(make_pipeline(StandardScaler(), KMeans()))
    with pytest.raises(ValueError, match=r"Got KSweep without results_ instead"):
        SSDCurveDisplay.from_sweep(make_pipeline(KSweep(KMeans())))


def test_only_criteria_that_the_sweep_has_are_listed(sweep):
    assert set(SSDCurveDisplay.from_sweep(sweep).choices) == {"ssd", "elbow", "silhouette"}


def test_many_ks_do_not_crowd_the_axis():
    display = SSDCurveDisplay(np.arange(2, 200), np.linspace(9, 1, 198)).plot()
    assert len(display.ax_.get_xticks()) <= 25
