"""Displays of clusters: the curves, their units, and the estimators that they take."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from sklearn.cluster import DBSCAN, KMeans
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from shapecluster import LocalKShape
from shapecluster.model_selection import KSweep
from shapecluster.plotting import ClusterDisplay, ClusterGridDisplay
from shapecluster.plotting._curves import align_in_z_units
from shapecluster.preprocessing import LogReturns

WAVE = np.sin(np.linspace(0, 6, 40)) + np.linspace(0, 1, 40) ** 2


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    rows = [np.roll(WAVE, i % 2) * (i + 1) + rng.normal(0, 0.05, 40) for i in range(6)]
    rows += [np.linspace(0, 1, 40) ** (i + 1) for i in range(4)]
    days = pd.bdate_range("2020-02-03", periods=40, name="date")
    return pd.DataFrame(rows, index=pd.Index([f"S{i}" for i in range(10)], name="ticker"), columns=days)


@pytest.fixture(scope="module")
def model(frame):
    return LocalKShape(2, random_state=0).fit(frame)


def paths_of(display: ClusterDisplay) -> tuple[list[np.ndarray], np.ndarray]:
    many = display.ax_.collections[0].get_segments()
    return [segment[:, 1] for segment in many], display.ax_.lines[0].get_ydata()


# What is drawn


def test_draws_each_member_and_the_center_in_z_units(frame, model):
    for cluster in range(2):
        display = ClusterDisplay.from_estimator(model, frame, cluster=cluster)
        members, center = paths_of(display)
        assert len(members) == (model.labels_ == cluster).sum()
        assert center.mean() == pytest.approx(0, abs=1e-12)
        assert center.std() == pytest.approx(1)


def test_a_member_that_trails_is_moved_onto_the_center():
    trailing = np.r_[np.full(3, WAVE[0]), WAVE[:-3]] * 7 + 100
    members, center = align_in_z_units(trailing[np.newaxis], WAVE, np.array([3]), cumulative=False)
    np.testing.assert_allclose(members[0, :-3], center[:-3], atol=1e-12)
    assert np.isnan(members[0, -3:]).all()


def test_a_member_that_leads_is_moved_the_other_way():
    leading = np.r_[WAVE[3:], np.full(3, WAVE[-1])]
    members, center = align_in_z_units(leading[np.newaxis], WAVE, np.array([-3]), cumulative=False)
    np.testing.assert_allclose(members[0, 3:], center[3:], atol=1e-12)
    assert np.isnan(members[0, :3]).all()


def test_a_late_listing_lies_on_the_part_of_the_center_that_it_was_seen_with():
    late = np.where(np.arange(40) < 25, np.nan, WAVE * 3 + 5)
    members, center = align_in_z_units(late[np.newaxis], WAVE, np.array([0]), cumulative=False)
    np.testing.assert_allclose(members[0, 25:], center[25:], atol=1e-12)
    assert np.isnan(members[0, :25]).all()


def test_running_sums_of_returns_are_the_path_of_prices():
    returns = np.diff(np.log(np.exp(WAVE / 10)))
    centered = (returns - returns.mean()) / returns.std()
    members, center = align_in_z_units(returns[np.newaxis], centered, np.array([0]), cumulative=True)
    path = np.cumsum(centered)
    np.testing.assert_allclose(center, (path - path.mean()) / path.std(), atol=1e-12)
    np.testing.assert_allclose(members[0], center, atol=1e-9)


def test_running_sums_go_on_after_a_gap():
    returns = np.random.default_rng(0).normal(size=40)
    gapped = returns.copy()
    gapped[10:13] = np.nan
    members, _ = align_in_z_units(gapped[np.newaxis], returns, np.array([0]), cumulative=True)
    assert np.isnan(members[0, 10:13]).all()
    assert np.isfinite(members[0, 13:]).all()


def test_flat_and_empty_members_are_drawn_without_nan_warnings():
    rows = np.vstack([np.full(40, 3.0), np.full(40, np.nan), WAVE])
    members, _ = align_in_z_units(rows, WAVE, np.zeros(3, dtype=int), cumulative=False)
    np.testing.assert_allclose(members[0], 0, atol=1e-12)
    assert np.isnan(members[1]).all()
    ClusterDisplay(rows[:2], WAVE).plot()


def test_dates_are_on_the_axis(frame, model):
    display = ClusterDisplay.from_estimator(model, frame)
    figure = display.figure_
    figure.savefig(io.BytesIO(), format="png")
    labels = " ".join(tick.get_text() for tick in display.ax_.get_xticklabels())
    assert "Mar" in labels
    assert display.ax_.xaxis.get_offset_text().get_text().startswith("2020")


def test_string_timepoints_are_drawn_by_position(frame, model):
    named = frame.set_axis([f"t{i}" for i in range(40)], axis=1)
    display = ClusterDisplay.from_estimator(LocalKShape(2, random_state=0).fit(named), named)
    assert display.ax_.get_xlim() == (0, 39)


def test_names_are_text_and_never_formulas(frame, model):
    title = "Cluster 0: $\\frac{1}{0$ & <b>"
    display = ClusterDisplay.from_estimator(model, frame, title=title)
    display.figure_.savefig(io.BytesIO(), format="png")  # a formula would fail to parse here
    assert display.ax_.get_title(loc="left") == title


def test_long_titles_are_broken_and_bounded():
    display = ClusterDisplay(WAVE[np.newaxis], WAVE, title="Sector " * 60).plot()
    lines = display.ax_.get_title(loc="left").split("\n")
    assert len(lines) == 3
    assert max(map(len, lines)) <= 54


# What it takes


def test_takes_a_sweep_and_a_clustering_of_scikit_learn(frame):
    sweep = KSweep(LocalKShape(random_state=0), k=[2, 3]).set_params(criterion="silhouette").fit(frame)
    assert len(ClusterGridDisplay.from_estimator(sweep, frame).axes_) == sweep.best_k_
    means = KMeans(3, n_init=1, random_state=0).fit(frame.to_numpy())
    assert len(ClusterGridDisplay.from_estimator(means, frame).axes_) == 3


@pytest.fixture(scope="module")
def prices(frame):
    return np.exp(frame / 10)


def pipelines():
    """Every way to nest a clusterer, a Pipeline and a sweep."""
    model, sweep = LocalKShape(2, random_state=0), KSweep(LocalKShape(random_state=0), k=[2])
    return {
        "pipeline": make_pipeline(LogReturns(), model),
        "sweep of a pipeline": KSweep(make_pipeline(LogReturns(), model), k=[2]),
        "pipeline ending in a sweep": make_pipeline(LogReturns(), sweep),
        "pipeline in a pipeline": make_pipeline(LogReturns(), make_pipeline(model)),
        "sweep in nested pipelines": make_pipeline(make_pipeline(LogReturns()), make_pipeline(sweep)),
    }


@pytest.mark.parametrize("name", pipelines())
def test_a_pipeline_is_drawn_as_its_clusterer_sees_the_data(prices, name):
    returns = LogReturns().fit_transform(prices)
    expected = ClusterDisplay.from_estimator(
        LocalKShape(2, random_state=0).fit(returns), returns, cluster=1, cumulative=True
    )
    fitted = pipelines()[name].fit(prices)
    display = ClusterDisplay.from_estimator(fitted, prices, cluster=1, cumulative=True)
    grid = ClusterGridDisplay.from_estimator(fitted, prices, clusters=[1], cumulative=True)
    for drawn in (display, *grid.displays):
        np.testing.assert_array_equal(drawn.members, expected.members)
        np.testing.assert_array_equal(drawn.center, expected.center)
        np.testing.assert_array_equal(drawn.shifts, expected.shifts)
        pd.testing.assert_index_equal(drawn.timepoints, returns.columns)


def test_steps_that_return_arrays_are_drawn_by_position(frame):
    pipe = make_pipeline(StandardScaler(), LocalKShape(2, random_state=0)).fit(frame)
    display = ClusterDisplay.from_estimator(pipe, frame)
    np.testing.assert_array_equal(display.timepoints, np.arange(40))
    np.testing.assert_array_equal(
        display.members, StandardScaler().fit_transform(frame)[pipe[-1].labels_ == 0]
    )


def test_the_input_of_a_pipeline_is_transformed_once(prices, monkeypatch):
    fitted = pipelines()["sweep of a pipeline"].fit(prices)
    calls = []
    transform = LogReturns.transform
    monkeypatch.setattr(LogReturns, "transform", lambda self, X: calls.append(X) or transform(self, X))
    ClusterGridDisplay.from_estimator(fitted, prices)
    assert len(calls) == 1


@pytest.mark.parametrize("name", pipelines())
def test_an_unfitted_pipeline_is_refused(prices, name):
    with pytest.raises(ValueError, match=r"Got (LocalKShape|KSweep) without labels_ instead: fit it first"):
        ClusterGridDisplay.from_estimator(pipelines()[name], prices)


def test_a_pipeline_without_a_clusterer_is_refused(prices):
    with pytest.raises(ValueError, match=r"Got LogReturns without labels_ instead"):
        ClusterDisplay.from_estimator(make_pipeline(LogReturns()), prices)


def test_a_clusterer_without_centers_is_not_told_to_fit(frame):
    with pytest.raises(ValueError, match=r"Got DBSCAN without cluster_centers_ instead\.$"):
        ClusterGridDisplay.from_estimator(DBSCAN().fit(frame), frame)


def test_grid_draws_the_clusters_asked_for_in_order(frame, model):
    grid = ClusterGridDisplay.from_estimator(model, frame, clusters=[1, 0], titles={1: "the second"})
    assert grid.axes_[0].get_title(loc="left") == "the second"
    assert grid.axes_[1].get_title(loc="left").startswith("Cluster 0: ")
    assert [ax.get_legend() is not None for ax in grid.axes_] == [True, False]


def test_grid_of_twenty_has_five_rows_of_four():
    one = ClusterDisplay(WAVE[np.newaxis], WAVE)
    grid = ClusterGridDisplay([one] * 20).plot()
    assert grid.axes_[0].get_subplotspec().get_gridspec().get_geometry() == (5, 4)


def test_draws_on_given_axes(frame, model):
    figure = Figure()
    ax = figure.add_subplot()
    display = ClusterDisplay.from_estimator(model, frame, ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is figure


def test_an_unfitted_estimator_is_refused(frame):
    with pytest.raises(ValueError, match=r"Got LocalKShape without labels_ instead: fit it first"):
        ClusterDisplay.from_estimator(LocalKShape(2), frame)


def test_other_data_than_it_was_fitted_on_is_refused(frame, model):
    with pytest.raises(ValueError, match=r"X must be what LocalKShape was fitted on.*Got shape \(9, 40\)"):
        ClusterDisplay.from_estimator(model, frame.iloc[1:])


def test_a_cluster_that_does_not_exist_is_refused(frame, model):
    with pytest.raises(ValueError, match=r"cluster must be from 0 to 1\. Got 2 instead"):
        ClusterDisplay.from_estimator(model, frame, cluster=2)


def test_drawing_warns_of_nothing(frame, model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ClusterGridDisplay.from_estimator(model, frame).figure_.savefig(io.BytesIO(), format="png")
