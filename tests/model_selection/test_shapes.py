"""KSweep with LocalKShape, alone and behind transformers, on arrays, tickers, masks and channels."""

from __future__ import annotations

import threading
import warnings
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import silhouette_samples, silhouette_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from shapecluster import LocalKShape
from shapecluster.exceptions import FlatSeriesWarning, SweepWarning
from shapecluster.metrics import sbd_distances
from shapecluster.model_selection import KSweep
from shapecluster.preprocessing import LogReturns, ZScore
from tests.reference import sbd as slow

KS = range(2, 6)
ALL_FITTED = ("cluster_centers_", "labels_", "shifts_", "sbd_", "inertia_", "n_iter_", "n_correlations_")


@pytest.fixture(scope="module")
def prices():
    """Three groups of 12 stocks, each following a random walk of its own, as a frame of tickers by dates."""
    rng = np.random.default_rng(3)
    walks = rng.normal(size=(3, 60)).cumsum(axis=1)
    X = np.exp(0.05 * (np.repeat(walks, 12, axis=0) + 0.2 * rng.normal(size=(36, 60))))
    dates = pd.bdate_range("2020-02-03", periods=60, name="date")
    return pd.DataFrame(X, index=pd.Index([f"T{i:02}" for i in range(36)], name="ticker"), columns=dates)


def log_returns(prices):
    return np.log(prices).diff(axis=1).iloc[:, 1:]


ESTIMATORS = {
    "alone": LocalKShape(random_state=0),
    "window": LocalKShape(random_state=0, max_shift=3),
    "random": LocalKShape(random_state=1, init="random", n_init=2),
    "pipeline": make_pipeline(FunctionTransformer(log_returns), LocalKShape(random_state=0, max_shift=2)),
    "nested": make_pipeline(LogReturns(), make_pipeline(ZScore(), LocalKShape(random_state=0))),
}


def last_step(estimator):
    return estimator if isinstance(estimator, LocalKShape) else last_step(estimator[-1])


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_entry_equals_a_separate_fit_to_the_last_bit(prices, name, n_jobs):
    estimator = ESTIMATORS[name]
    sweep = KSweep(estimator, KS, criterion="silhouette", n_jobs=n_jobs).fit(prices)
    parameter = next(iter(sweep.best_params_))
    for k in KS:
        separate = last_step(clone(estimator).set_params(**{parameter: k}).fit(prices))
        for attribute in ALL_FITTED:
            ours = getattr(last_step(sweep.estimators_[k]), attribute)
            np.testing.assert_array_equal(ours, getattr(separate, attribute))
    np.testing.assert_array_equal(sweep.predict(prices), sweep.labels_)
    assert sweep.silhouette_k_ == sweep.elbow_k_ == 3


@pytest.mark.parametrize("max_shift", [None, 0, 4])
def test_silhouette_is_in_the_shape_based_distance(prices, max_shift):
    X = prices.to_numpy()[:, :20]
    sweep = KSweep(LocalKShape(random_state=0, max_shift=max_shift), KS, criterion="silhouette").fit(X)
    distances = np.zeros((36, 36))
    for i, j in combinations(range(36), 2):
        distances[i, j] = distances[j, i] = slow.sbd(X[i], X[j], max_shift)
    for k, fitted in sweep.estimators_.items():
        expected = silhouette_score(distances, fitted.labels_, metric="precomputed")
        assert sweep.results_.loc[k, "silhouette"] == pytest.approx(expected, abs=1e-9)


def test_tickers_survive(prices):
    sweep = KSweep(ESTIMATORS["pipeline"], KS, criterion="elbow").fit(prices)
    frame = sweep.labels_frame()
    assert frame.index.tolist() == prices.index.tolist()
    np.testing.assert_array_equal(frame["cluster"], sweep.labels_)
    groups = sorted(sorted(names) for names in sweep.members().values())
    assert groups == [prices.index[i : i + 12].tolist() for i in (0, 12, 24)]
    assert sweep.transform(prices).index.equals(prices.index)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_delegates_everything_to_the_clusterer_alone_or_behind_a_pipeline(prices, name):
    sweep = KSweep(ESTIMATORS[name], KS, criterion="silhouette").fit(prices)
    best = sweep.best_estimator_
    steps = {"pipeline": log_returns, "nested": make_pipeline(LogReturns(), ZScore()).fit_transform}
    seen = steps[name](prices) if name in steps else prices
    model = last_step(best)
    for attribute in ("labels_", "cluster_centers_", "inertia_"):
        np.testing.assert_array_equal(getattr(sweep, attribute), getattr(model, attribute))
    np.testing.assert_array_equal(sweep.centers_in_units(prices), model.centers_in_units(seen))
    np.testing.assert_array_equal(sweep.predict(prices), model.predict(seen))
    pd.testing.assert_frame_equal(sweep.transform(prices), model.transform(seen))
    assert sweep.score(prices) == model.score(seen)
    pd.testing.assert_frame_equal(sweep.labels_frame(), model.labels_frame())
    assert sweep.members() == model.members()
    again = clone(sweep)
    np.testing.assert_array_equal(again.fit_predict(prices), sweep.labels_)
    pd.testing.assert_frame_equal(clone(sweep).fit_transform(prices), sweep.transform(prices))


@pytest.mark.parametrize("name", ["alone", "pipeline"])
def test_centers_in_units_exists_before_fit_and_needs_it(prices, name):
    with pytest.raises(NotFittedError, match="KSweep instance is not fitted yet"):
        KSweep(ESTIMATORS[name], KS).centers_in_units(prices)


def test_centers_in_units_behind_log_returns_are_log_returns(prices):
    sweep = KSweep(make_pipeline(LogReturns(), LocalKShape(random_state=0)), KS, criterion="elbow")
    centers = sweep.fit(prices).centers_in_units(prices)
    assert sweep.get_feature_names_out().tolist() == [f"localkshape{j}" for j in range(sweep.best_k_)]
    assert centers.shape == (sweep.best_k_, 59)
    returns = log_returns(prices).to_numpy()
    for label, center in enumerate(centers):
        mine = returns[sweep.labels_ == label]
        assert center.std() == pytest.approx(np.median(mine.std(axis=1)), rel=1e-9)
        assert center.mean() == pytest.approx(np.median(mine.mean(axis=1)), rel=1e-9)


@pytest.mark.parametrize("n_samples", [None, 20])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_silhouette_has_the_same_bits_for_any_number_of_jobs(prices, name, n_samples):
    one, three = (
        KSweep(ESTIMATORS[name], KS, criterion="silhouette", n_jobs=n_jobs, n_samples=n_samples).fit(prices)
        for n_jobs in (1, 3)
    )
    np.testing.assert_array_equal(one.results_["silhouette"], three.results_["silhouette"])


def test_a_sampled_silhouette_is_that_of_its_rows_among_all(prices):
    sweep = KSweep(ESTIMATORS["pipeline"], KS, criterion="silhouette", n_samples=20).fit(prices)
    distances = sbd_distances(log_returns(prices), max_shift=2)
    for k, fitted in sweep.estimators_.items():
        each = silhouette_samples(distances, fitted[-1].labels_, metric="precomputed")
        expected = each[sweep.silhouette_sample_].mean()
        assert sweep.results_.loc[k, "silhouette"] == pytest.approx(expected, abs=1e-12)


def test_a_sampled_silhouette_takes_rows_of_a_frame(prices):
    sweep = KSweep(ESTIMATORS["pipeline"], KS, criterion="silhouette", n_samples=20).fit(prices)
    assert len(sweep.silhouette_sample_) == 20
    assert np.isfinite(sweep.results_["silhouette"]).all()


def test_flat_series_are_warned_of_and_measured(prices):
    halted = prices.copy()
    halted.iloc[:4] = 7.0
    sweep = KSweep(LocalKShape(random_state=0), KS, criterion="silhouette")
    with pytest.warns(FlatSeriesWarning, match="4 of 36 series never move.*'T00'"):
        sweep.fit(halted)
    assert np.isfinite(sweep.results_[["ssd", "silhouette"]].to_numpy()).all()
    assert sweep.best_k_ == 3


def test_masked_and_multichannel_series(prices):
    holes = prices.copy()
    holes.iloc[::5, :3] = np.nan
    sweep = KSweep(LocalKShape(random_state=0, missing="mask"), KS, criterion="silhouette").fit(holes)
    assert np.isfinite(sweep.results_[["ssd", "silhouette"]].to_numpy()).all()
    np.testing.assert_array_equal(sweep.predict(holes), sweep.labels_)
    cube = np.stack([prices, prices.iloc[:, ::-1]], axis=2)
    sweep = KSweep(LocalKShape(random_state=0), KS, criterion="silhouette", n_jobs=2, n_samples=30).fit(cube)
    assert sweep.cluster_centers_.shape == (sweep.best_k_, 60, 2)
    assert sweep.best_k_ == 3


def test_sample_weight_reaches_k_shape_behind_a_pipeline(prices):
    weight = np.linspace(0.1, 2, 36)
    pipeline = ESTIMATORS["pipeline"]
    sweep = KSweep(pipeline, KS, criterion="silhouette").fit(prices, sample_weight=weight)
    separate = clone(pipeline).set_params(**sweep.best_params_).fit(prices, localkshape__sample_weight=weight)
    assert sweep.inertia_ == separate[-1].inertia_
    np.testing.assert_array_equal(sweep.cluster_centers_, separate[-1].cluster_centers_)


@pytest.fixture
def paths(monkeypatch):
    """The calls of LocalKShape's own way to fit all ks, and the ks whose fits began."""
    calls, began = [], []
    fit_path, fit_prepared = LocalKShape._fit_path, LocalKShape._fit_prepared

    def watched_path(self, X, ks, **kwargs):
        calls.append((X, ks, kwargs["n_jobs"]))
        return fit_path(self, X, ks, **kwargs)

    def watched_fit(self, prepared):
        began.append(self.n_clusters)
        return fit_prepared(self, prepared)

    monkeypatch.setattr(LocalKShape, "_fit_path", watched_path)
    monkeypatch.setattr(LocalKShape, "_fit_prepared", watched_fit)
    return calls, began


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("name", ["alone", "pipeline"])
def test_all_ks_share_one_path_and_are_reported_one_by_one(prices, paths, name, n_jobs):
    calls, began = paths
    reported = []

    def report(progress):
        reported.append((progress.k, progress.done, progress.total, threading.get_ident()))

    sweep = KSweep(ESTIMATORS[name], KS, criterion="elbow", n_jobs=n_jobs, progress=report).fit(prices)
    assert [call[1:] for call in calls] == [([2, 3, 4, 5], n_jobs)]
    expected = prices if name == "alone" else log_returns(prices)
    pd.testing.assert_frame_equal(calls[0][0], expected)
    assert sorted(began) == [2, 3, 4, 5]
    assert reported == [(k, k - 1, 4, threading.get_ident()) for k in KS]
    assert list(sweep.estimators_) == list(KS)


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("name", ["alone", "pipeline"])
def test_ctrl_c_in_progress_starts_no_further_fit(prices, paths, name, n_jobs):
    def interrupt(progress):
        raise KeyboardInterrupt

    sweep = KSweep(ESTIMATORS[name], range(2, 30), n_jobs=n_jobs, progress=interrupt)
    with pytest.raises(KeyboardInterrupt):
        sweep.fit(prices)
    assert len(paths[1]) < 14
    assert not hasattr(sweep, "best_k_")


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_warning_of_one_k_reaches_the_caller_and_as_an_error_names_it(prices, n_jobs):
    three_shapes = prices.iloc[[0, 12, 24] * 3].set_axis(list("ABCDEFGHI"))
    sweep = KSweep(LocalKShape(random_state=0), [2, 3, 4, 5], criterion="silhouette", n_jobs=n_jobs)
    with pytest.warns(ConvergenceWarning, match=r"distinct clusters \(3\)") as caught:
        sweep.fit(three_shapes)
    assert len(caught) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConvergenceWarning, match="distinct clusters") as error:
            clone(sweep).fit(three_shapes)
    assert error.value.__notes__ == ["LocalKShape with n_clusters=4 could not be fitted."]


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_an_error_of_one_k_names_it(prices, n_jobs):
    centers = prices.to_numpy()[[0, 12, 24]]
    with pytest.raises(ValueError, match=r"^LocalKShape with n_clusters=4 could not be fitted: init must"):
        KSweep(LocalKShape(init=centers), [3, 4], n_jobs=n_jobs).fit(prices)


def test_distances_for_the_silhouette_use_the_jobs_of_the_sweep(prices, monkeypatch):
    jobs = []
    measure = LocalKShape._distances_between

    def watched(self, X):
        jobs.append(self.n_jobs)
        return measure(self, X)

    monkeypatch.setattr(LocalKShape, "_distances_between", watched)
    sweep = KSweep(ESTIMATORS["pipeline"], KS, criterion="silhouette", n_jobs=2).fit(prices)
    assert jobs == [2]
    assert sweep.best_estimator_[-1].n_jobs is None


def test_default_ks_are_2_to_20_and_the_minimum_ssd_warns(prices):
    with pytest.warns(SweepWarning, match="minimum SSD is at k = 20, the largest k tried"):
        sweep = KSweep(LocalKShape(random_state=0)).fit(prices)
    assert sweep.results_.index.tolist() == list(range(2, 21))
    assert sweep.best_k_ == 20


def test_errors_of_bad_series_name_their_ticker(prices):
    broken = prices.copy()
    broken.iloc[3, 5] = np.nan
    with pytest.raises(ValueError, match=r"LocalKShape with n_clusters=2 could not be fitted: .* NaN.*'T03'"):
        KSweep(LocalKShape(random_state=0), KS).fit(broken)
