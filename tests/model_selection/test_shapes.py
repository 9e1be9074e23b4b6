"""KSweep with LocalKShape, alone and behind transformers, on arrays, tickers, masks and channels."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import silhouette_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from shapecluster import LocalKShape
from shapecluster.exceptions import FlatSeriesWarning, SweepWarning
from shapecluster.model_selection import KSweep
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
}


def last_step(estimator):
    return estimator if isinstance(estimator, LocalKShape) else estimator[-1]


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


def test_a_sampled_silhouette_takes_rows_of_a_frame(prices):
    sweep = KSweep(ESTIMATORS["pipeline"], KS, criterion="silhouette", silhouette_sample_size=20).fit(prices)
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
    sweep = KSweep(
        LocalKShape(random_state=0), KS, criterion="silhouette", n_jobs=2, silhouette_sample_size=30
    ).fit(cube)
    assert sweep.cluster_centers_.shape == (sweep.best_k_, 60, 2)
    assert sweep.best_k_ == 3


def test_sample_weight_reaches_k_shape_behind_a_pipeline(prices):
    weight = np.linspace(0.1, 2, 36)
    pipeline = ESTIMATORS["pipeline"]
    sweep = KSweep(pipeline, KS, criterion="silhouette").fit(prices, sample_weight=weight)
    separate = clone(pipeline).set_params(**sweep.best_params_).fit(prices, localkshape__sample_weight=weight)
    assert sweep.inertia_ == separate[-1].inertia_
    np.testing.assert_array_equal(sweep.cluster_centers_, separate[-1].cluster_centers_)


def test_default_ks_are_2_to_20_and_the_least_ssd_warns(prices):
    with pytest.warns(SweepWarning, match="least SSD is at k = 20, simply the largest k tried"):
        sweep = KSweep(LocalKShape(random_state=0)).fit(prices)
    assert sweep.results_.index.tolist() == list(range(2, 21))
    assert sweep.best_k_ == 20


def test_bad_series_are_told_with_their_ticker(prices):
    broken = prices.copy()
    broken.iloc[3, 5] = np.nan
    with pytest.raises(ValueError, match=r"LocalKShape with n_clusters=2 could not be fitted: .* NaN.*'T03'"):
        KSweep(LocalKShape(random_state=0), KS).fit(broken)
