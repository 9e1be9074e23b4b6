"""KSweep with scikit-learn's own clusterers: entries, choices, delegation, weights, containers."""

from __future__ import annotations

import pickle
import threading
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn import config_context, get_config
from sklearn.base import clone, is_clusterer
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError, UnsetMetadataPassedError
from sklearn.metrics import silhouette_samples, silhouette_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.metaestimators import available_if

from shapecluster.datasets import make_portfolios
from shapecluster.exceptions import SweepWarning
from shapecluster.metrics import sampled_silhouette
from shapecluster.model_selection import KSweep
from tests.reference.silhouette import slow_silhouette

KS = range(2, 8)

ESTIMATORS = {
    "kmeans": KMeans(n_init=2, random_state=0),
    "minibatch": MiniBatchKMeans(n_init=2, batch_size=300, max_iter=4, random_state=1),
    "elkan": KMeans(n_init=4, algorithm="elkan", init="random", random_state=0),
    "pipeline-kmeans": make_pipeline(StandardScaler(), PCA(3), KMeans(n_init=2, random_state=0)),
    "pipeline-minibatch": make_pipeline(
        StandardScaler(), MiniBatchKMeans(n_init=1, max_iter=4, random_state=0)
    ),
    "pipeline-alone": Pipeline([("only", KMeans(n_init=1, random_state=3))]),
    "pipeline-nested": make_pipeline(
        StandardScaler(), make_pipeline(PCA(3), make_pipeline(KMeans(n_init=1, random_state=0)))
    ),
}


@pytest.fixture(scope="module")
def X():
    return make_blobs(n_samples=300, n_features=5, centers=4, cluster_std=1.0, random_state=5)[0]


@pytest.fixture
def fitted(X):
    return KSweep(KMeans(n_init=2, random_state=0), KS, criterion="silhouette").fit(X)


def last(estimator):
    return last(estimator[-1]) if isinstance(estimator, Pipeline) else estimator


def prefix(estimator):
    if not isinstance(estimator, Pipeline):
        return ""
    return f"{estimator.steps[-1][0]}__{prefix(estimator[-1])}"


def assert_same_fit(ours, separate):
    ours, separate = last(ours), last(separate)
    assert ours.n_clusters == separate.n_clusters
    np.testing.assert_array_equal(ours.labels_, separate.labels_)
    np.testing.assert_array_equal(ours.cluster_centers_, separate.cluster_centers_)
    assert ours.inertia_ == separate.inertia_
    assert ours.n_iter_ == separate.n_iter_


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_entry_equals_a_separate_fit_to_the_last_bit(X, name, n_jobs):
    estimator = ESTIMATORS[name]
    sweep = KSweep(estimator, KS, criterion="silhouette", n_jobs=n_jobs).fit(X)
    for k in KS:
        separate = clone(estimator).set_params(**{f"{prefix(estimator)}n_clusters": k}).fit(X)
        assert_same_fit(sweep.estimators_[k], separate)
        assert sweep.results_.loc[k, "ssd"] == last(separate).inertia_
        assert sweep.results_.loc[k, "n_iter"] == last(separate).n_iter_
    assert sweep.best_estimator_ is sweep.estimators_[sweep.best_k_]
    assert not hasattr(last(estimator), "inertia_")
    assert sweep.best_params_ == {f"{prefix(estimator)}n_clusters": sweep.best_k_}
    assert last(clone(estimator).set_params(**sweep.best_params_)).n_clusters == sweep.best_k_


def test_a_random_state_instance_is_copied_so_every_fit_starts_from_the_same_state(X):
    state = np.random.RandomState(7)
    before = state.get_state()[1].copy()
    estimator = KMeans(n_init=1, init="random", random_state=state)
    sweep = KSweep(estimator, KS, criterion="silhouette", n_jobs=2).fit(X)
    np.testing.assert_array_equal(state.get_state()[1], before)
    for k in KS:
        assert_same_fit(sweep.estimators_[k], clone(estimator).set_params(n_clusters=k).fit(X))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_all_criteria_are_reported_whichever_decides(X, name):
    chosen = {}
    for criterion in ("elbow", "silhouette"):
        sweep = KSweep(ESTIMATORS[name], KS, criterion=criterion).fit(X)
        chosen[criterion] = (sweep.ssd_k_, sweep.elbow_k_, sweep.silhouette_k_)
        assert sweep.best_k_ == getattr(sweep, f"{criterion}_k_")
    assert chosen["elbow"] == chosen["silhouette"]
    assert sweep.elbow_k_ == sweep.silhouette_k_ == 4


def test_silhouette_is_scikit_learns_on_what_the_last_step_sees(X):
    pipeline = make_pipeline(StandardScaler(), PCA(2), KMeans(n_init=1, random_state=0))
    sweep = KSweep(pipeline, KS, criterion="silhouette").fit(X)
    for k, fitted in sweep.estimators_.items():
        expected = silhouette_score(fitted[:-1].transform(X), fitted[-1].labels_)
        assert sweep.results_.loc[k, "silhouette"] == pytest.approx(expected, rel=1e-9)
    np.testing.assert_array_equal(sweep.silhouette_sample_, np.arange(300))


def test_silhouette_of_a_large_x_is_the_mean_of_a_seeded_sample_compared_with_all_rows(X):
    def sweep(**kwargs):
        kwargs = {"n_samples": 150, **kwargs}
        return KSweep(KMeans(n_init=1, random_state=0), KS, criterion="silhouette", **kwargs).fit(X)

    first = sweep()
    rows = first.silhouette_sample_
    assert len(np.unique(rows)) == 150
    expected = silhouette_samples(X, first.estimators_[4].labels_)[rows].mean()
    assert first.results_.loc[4, "silhouette"] == pytest.approx(expected, rel=1e-9)
    np.testing.assert_array_equal(sweep().silhouette_sample_, rows)
    assert not np.array_equal(sweep(random_state=1).silhouette_sample_, rows)
    assert len(sweep(n_samples=None).silhouette_sample_) == 300


def test_sampled_silhouette_of_weak_clusters_is_unbiased():
    held = make_portfolios(1500, sectors="lab", sector_tilt=20.0, random_state=0).matrix
    sweep = KSweep(KMeans(n_init=1, random_state=0), [40], n_samples=200)
    truth = silhouette_score(held, sweep.fit(held).labels_)
    found, within = [], []
    for seed in range(10):
        found.append(clone(sweep).set_params(random_state=seed).fit(held).results_.loc[40, "silhouette"])
        same = sampled_silhouette(held, sweep.labels_, n_samples=200, random_state=seed)
        assert found[-1] == same.mean
        assert abs(found[-1] - truth) < 4 * same.error
        within.append(silhouette_score(held, sweep.labels_, sample_size=200, random_state=seed))
    assert abs(np.mean(found) - truth) < 0.003
    assert np.mean(within) < truth - 0.02  # what KSweep said when it compared rows within its sample


@pytest.mark.parametrize("n_samples", [None, 1000])
def test_silhouettes_of_6000_rows_take_less_than_32_mb(rng, n_samples):
    X = rng.normal(size=(6000, 20))
    sweep = KSweep(MiniBatchKMeans(n_init=1, max_iter=1, random_state=0), [2, 20], n_samples=n_samples)
    tracemalloc.start()
    try:
        with pytest.warns(SweepWarning):
            sweep.fit(X)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert np.isfinite(sweep.results_["silhouette"]).all()
    assert peak < 32e6  # all pairs at once are 288 MB


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix])
def test_one_huge_row_does_not_spoil_the_silhouette(X, container):
    huge = np.array(X)
    huge[7] = 1e12
    sweep = KSweep(KMeans(n_init=1, random_state=0), [5], n_samples=None).fit(container(huge))
    distances = cdist(huge, huge)
    expected = silhouette_score(distances, sweep.labels_, metric="precomputed")
    assert sweep.results_.loc[5, "silhouette"] == pytest.approx(expected, abs=1e-12)


def test_distances_that_overflow_are_an_error(X):
    class Halves(KMeans):
        def fit(self, X, y=None, sample_weight=None):
            self.labels_, self.inertia_ = np.arange(len(X)) % 2, 1.0
            return self

    huge = np.array(X)
    huge[0], huge[1] = 1.7e308, -1.7e308
    with pytest.raises(ValueError, match="silhouette sums distances in float64"):
        KSweep(Halves(), [2]).fit(huge)


def test_minimum_ssd_at_the_largest_k_warns_and_says_what_the_others_chose(X):
    message = "minimum SSD is at k = 7, the largest k tried.*elbow chose k = 4.*silhouette chose k = 4"
    with pytest.warns(SweepWarning, match=message) as caught:
        sweep = KSweep(KMeans(n_init=2, random_state=0), KS).fit(X)
    assert caught[0].filename == __file__
    assert sweep.best_k_ == sweep.ssd_k_ == 7
    assert sweep.results_["ssd"].idxmin() == 7


def test_no_warning_where_the_minimum_ssd_is_not_at_the_largest_k_or_there_is_no_choice(X):
    class Rising(KMeans):
        def fit(self, X, y=None, sample_weight=None):
            super().fit(X)
            self.inertia_ = abs(self.n_clusters - 3.0)
            return self

    sweep = KSweep(Rising(n_init=1, random_state=0), KS).fit(X)
    assert sweep.best_k_ == 3
    assert sweep.elbow_k_ is None  # the last SSD is above the first
    assert KSweep(KMeans(n_init=1, random_state=0), [3]).fit(X).best_k_ == 3


def test_criterion_that_finds_nothing_falls_back_to_the_minimum_ssd_with_a_warning(X):
    class Flat(KMeans):
        def fit(self, X, y=None, sample_weight=None):
            super().fit(X)
            self.inertia_ = 1.0
            return self

    with pytest.warns(
        SweepWarning, match="'elbow' found no k.*minimum SSD was taken, k = 2.*ette chose k = 4"
    ):
        sweep = KSweep(Flat(n_init=2, random_state=0), KS, criterion="elbow").fit(X)
    assert sweep.best_k_ == 2
    assert sweep.elbow_k_ is None
    assert sweep.results_["elbow"].isna().all()


def test_one_cluster_is_tried_and_has_no_silhouette(X):
    sweep = KSweep(KMeans(n_init=1, random_state=0), [1, 2, 3], criterion="silhouette").fit(X)
    assert np.isnan(sweep.results_.loc[1, "silhouette"])
    assert sweep.silhouette_k_ in {2, 3}
    alone = KSweep(KMeans(n_init=1, random_state=0), [1]).fit(X)
    assert (alone.best_k_, alone.ssd_k_, alone.elbow_k_, alone.silhouette_k_) == (1, 1, None, None)


def test_results_table(fitted):
    table = fitted.results_
    assert table.index.name == "k"
    assert table.index.tolist() == list(KS)
    assert table.columns.tolist() == [
        "ssd", "elbow", "silhouette", "n_iter", "seconds", "chosen_by", "near_tie",
    ]  # fmt: skip
    assert table.loc[4, "chosen_by"] == "elbow, silhouette"
    assert table.loc[7, "chosen_by"] == "ssd"
    assert (table["seconds"] > 0).all()
    for name, ks in fitted.near_ties_.items():
        assert ks == [k for k in KS if name in table.loc[k, "near_tie"].split(", ")]


def test_near_ties_are_reported():
    X = np.random.default_rng(0).uniform(size=(300, 2))  # no clusters at all
    sweep = KSweep(KMeans(n_init=2, random_state=0), range(2, 12), criterion="silhouette").fit(X)
    scores = sweep.results_["silhouette"]
    expected = [k for k in scores.index if scores[k] >= scores.max() - 0.01 and k != sweep.best_k_]
    assert expected
    assert sweep.near_ties_["silhouette"] == expected


def test_delegates_to_the_best_estimator(X, fitted):
    best = fitted.best_estimator_
    for method in ("predict", "transform", "score"):
        np.testing.assert_array_equal(getattr(fitted, method)(X[:9]), getattr(best, method)(X[:9]))
    for attribute in ("labels_", "cluster_centers_", "inertia_", "n_features_in_"):
        np.testing.assert_array_equal(getattr(fitted, attribute), getattr(best, attribute))
    assert fitted.score(X, sample_weight=np.full(300, 2.0)) == best.score(X, sample_weight=np.full(300, 2.0))
    assert fitted.get_feature_names_out().tolist() == [f"kmeans{i}" for i in range(4)]
    np.testing.assert_array_equal(clone(fitted).fit_predict(X), fitted.labels_)
    np.testing.assert_array_equal(clone(fitted).fit_transform(X), fitted.transform(X))


def test_delegates_to_the_last_step_of_a_pipeline(X):
    pipeline = make_pipeline(StandardScaler(), KMeans(n_init=1, random_state=0))
    sweep = KSweep(pipeline, KS, criterion="silhouette").fit(X)
    best = sweep.best_estimator_
    np.testing.assert_array_equal(sweep.labels_, best[-1].labels_)
    np.testing.assert_array_equal(sweep.cluster_centers_, best[-1].cluster_centers_)
    np.testing.assert_array_equal(sweep.predict(X), sweep.labels_)
    assert sweep.inertia_ == best[-1].inertia_
    assert sweep.score(X, sample_weight=np.ones(300)) == best.score(X, sample_weight=np.ones(300))
    assert sweep.n_features_in_ == 5


def test_before_fit_methods_exist_where_the_estimator_has_them_and_attributes_do_not(X):
    class PredictsIfAsked(KMeans):
        def __init__(self, n_clusters=8, *, predicts=True):
            super().__init__(n_clusters, n_init=1, random_state=0)
            self.predicts = predicts

        @available_if(lambda self: self.predicts)
        def predict(self, X):
            return super().predict(X)

    sweep = KSweep(PredictsIfAsked(), [2, 3], criterion="silhouette")
    assert hasattr(sweep, "predict")
    assert not hasattr(KSweep(PredictsIfAsked(predicts=False)), "predict")
    for method in ("members", "labels_frame", "centers_in_units"):
        assert not hasattr(sweep, method)
    for attribute in ("labels_", "inertia_", "cluster_centers_", "n_features_in_", "feature_names_in_"):
        assert not hasattr(sweep, attribute)
    for call in (sweep.predict, sweep.transform, sweep.score):
        with pytest.raises(NotFittedError, match="KSweep instance is not fitted yet"):
            call(X)


def test_minibatch_without_labels_is_measured_by_its_predictions(X):
    estimator = MiniBatchKMeans(n_init=1, max_iter=4, compute_labels=False, random_state=0)
    sweep = KSweep(estimator, KS, criterion="silhouette").fit(X)
    expected = silhouette_score(X, sweep.estimators_[4].predict(X))
    assert sweep.results_.loc[4, "silhouette"] == pytest.approx(expected, rel=1e-9)


def test_is_a_clusterer_that_can_be_cloned_nested_and_pickled(X, fitted):
    assert is_clusterer(fitted)
    sweep = KSweep(make_pipeline(StandardScaler(), KMeans(n_init=1)), [2, 3])
    sweep.set_params(estimator__kmeans__random_state=5, criterion="silhouette", k=[3, 4])
    assert clone(sweep).get_params()["estimator__kmeans__random_state"] == 5
    assert "KMeans" in repr(sweep)
    assert "KMeans" in sweep._repr_html_()
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(X), fitted.labels_)
    pd.testing.assert_frame_equal(again.results_, fitted.results_)


def test_progress_stays_out_of_pickles_and_in_clones(X):
    seen = []
    sweep = KSweep(
        KMeans(n_init=1, random_state=0), [2, 3], criterion="silhouette", progress=lambda p: seen.append(p)
    )
    again = pickle.loads(pickle.dumps(sweep.fit(X)))
    assert again.progress is None
    assert sweep.progress is not None
    clone(sweep).fit(X)
    assert len(seen) == 4


def test_estimators_are_kept_only_on_request(X, fitted):
    assert list(fitted.estimators_) == list(KS)
    fitted.set_params(keep_estimators=False).fit(X)
    assert not hasattr(fitted, "estimators_")
    assert fitted.best_estimator_.n_clusters == 4


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_progress_is_reported_in_order_in_the_calling_thread(X, n_jobs):
    seen = []

    def report(progress):
        seen.append((progress, threading.get_ident()))

    sweep = KSweep(KMeans(n_init=1, random_state=0), KS, criterion="silhouette", n_jobs=n_jobs)
    sweep.set_params(progress=report).fit(X)
    assert [p.k for p, _ in seen] == list(KS)
    assert [p.done for p, _ in seen] == [1, 2, 3, 4, 5, 6]
    assert {p.total for p, _ in seen} == {6}
    assert [p.ssd for p, _ in seen] == sweep.results_["ssd"].tolist()
    assert [p.seconds for p, _ in seen] == sweep.results_["seconds"].tolist()
    assert {thread for _, thread in seen} == {threading.get_ident()}


class Recorder(KMeans):
    """Remembers what it was given."""

    def fit(self, X, y=None, sample_weight=None):
        self.given_ = (X, y, sample_weight)
        return super().fit(X, y, sample_weight)


def test_input_is_passed_on_untouched(X):
    frame = pd.DataFrame(X, columns=list("abcde"))
    y, weight = object(), np.ones(300)
    sweep = KSweep(Recorder(n_init=1, random_state=0), [2, 3], criterion="silhouette").fit(frame, y, weight)
    for fit in sweep.estimators_.values():
        assert fit.given_[0] is frame
        assert fit.given_[1] is y
        assert fit.given_[2] is weight
    assert sweep.feature_names_in_.tolist() == list("abcde")


@pytest.mark.parametrize(
    "container", [sparse.csr_matrix, sparse.csr_array, sparse.coo_array, sparse.csc_matrix]
)
def test_sparse_input(X, container):
    data = container(np.where(X > 2, X, 0.0))
    sweep = KSweep(KMeans(n_init=1, random_state=0), KS, criterion="silhouette", n_samples=100).fit(data)
    separate = clone(sweep.estimator).set_params(**sweep.best_params_).fit(data)
    assert_same_fit(sweep.best_estimator_, separate)
    rows = sweep.silhouette_sample_
    expected = silhouette_samples(data.tocsr(), sweep.labels_)[rows].mean()
    assert sweep.results_.loc[sweep.best_k_, "silhouette"] == pytest.approx(expected, rel=1e-9)


def test_lists_and_data_frames_give_the_same_as_arrays(X, fitted):
    for data in (X.tolist(), pd.DataFrame(X, index=[f"T{i}" for i in range(300)])):
        again = clone(fitted).set_params(n_samples=90).fit(data)
        np.testing.assert_array_equal(again.results_["ssd"], fitted.results_["ssd"])
        assert np.isfinite(again.results_["silhouette"]).all()


def test_an_estimator_that_writes_into_its_input_gets_a_copy(X):
    own = np.array(X)
    estimator = make_pipeline(StandardScaler(copy=False), KMeans(n_init=1, random_state=0, copy_x=False))
    sweep = KSweep(estimator, KS, criterion="silhouette", n_jobs=2).fit(own)
    np.testing.assert_array_equal(own, X)
    for k in KS:
        separate = clone(estimator).set_params(kmeans__n_clusters=k).fit(np.array(X))
        assert_same_fit(sweep.estimators_[k], separate)


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name != "elkan"])
def test_sample_weight_reaches_the_clusterer(X, rng, name):
    estimator, weight = ESTIMATORS[name], rng.uniform(0.1, 3, size=300)
    sweep = KSweep(estimator, KS, criterion="silhouette", n_jobs=2).fit(X, sample_weight=weight)
    for k in KS:
        separate = clone(estimator).set_params(**{f"{prefix(estimator)}n_clusters": k})
        separate.fit(X, **{f"{prefix(estimator)}sample_weight": weight})
        assert_same_fit(sweep.estimators_[k], separate)


def test_rows_of_weight_zero_have_no_influence(X):
    weight = np.r_[np.zeros(100), np.ones(200)]
    sweep = KSweep(KMeans(n_init=1, random_state=0), KS, criterion="silhouette").fit(X, sample_weight=weight)
    np.testing.assert_array_equal(sweep.silhouette_sample_, np.arange(100, 300))
    found = sweep.results_.loc[sweep.best_k_, "silhouette"]
    assert found == pytest.approx(silhouette_score(X[100:], sweep.labels_[100:]), rel=1e-9)
    assert found == sampled_silhouette(X[100:], sweep.labels_[100:], n_samples=None).mean


def test_weights_count_in_the_distances_of_the_silhouette(X, rng):
    rows, weights = X[:60], rng.uniform(0.1, 5.0, size=60)
    model = KMeans(n_init=1, random_state=0)
    sweep = KSweep(model, [2, 3, 4], criterion="silhouette", keep_estimators=True)
    sweep.fit(rows, sample_weight=weights)
    for k in (2, 3, 4):
        expected = slow_silhouette(cdist(rows, rows), sweep.estimators_[k].labels_, weights)
        assert sweep.results_.loc[k, "silhouette"] == pytest.approx(expected, rel=1e-9)


def test_with_metadata_routing_weights_go_where_they_were_requested(X, rng):
    weight = rng.uniform(0.1, 3, size=300)
    with config_context(enable_metadata_routing=True):
        unset = KSweep(KMeans(n_init=1, random_state=0), KS, criterion="silhouette")
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            unset.fit(X, sample_weight=weight)
        kmeans = KMeans(n_init=1, random_state=0)
        kmeans.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=True)
        for estimator in (kmeans, make_pipeline(scaler, kmeans)):
            sweep = KSweep(estimator, KS, criterion="silhouette", n_jobs=2).fit(X, sample_weight=weight)
            separate = clone(estimator).set_params(**sweep.best_params_).fit(X, sample_weight=weight)
            assert_same_fit(sweep.best_estimator_, separate)
            assert sweep.score(X, sample_weight=weight) == separate.score(X, sample_weight=weight)
        assert make_pipeline(scaler, sweep).fit(X, sample_weight=weight)[-1].best_k_ == 4


def test_scikit_learns_settings_reach_the_threads(X):
    class Settings(KMeans):
        def fit(self, X, y=None, sample_weight=None):
            self.seen_ = get_config()["transform_output"]
            return super().fit(X)

    with config_context(transform_output="pandas"):
        sweep = KSweep(Settings(n_init=1, random_state=0), KS, criterion="silhouette", n_jobs=2).fit(X)
        assert {fit.seen_ for fit in sweep.estimators_.values()} == {"pandas"}
        assert isinstance(sweep.transform(X), pd.DataFrame)


def test_set_output_before_and_after_fit(X):
    pipeline = make_pipeline(StandardScaler(), KMeans(n_init=1, random_state=0))
    for estimator in (KMeans(n_init=1, random_state=0), pipeline):
        sweep = KSweep(estimator, KS, criterion="silhouette").set_output(transform="pandas")
        distances = clone(sweep).fit(X).transform(X)
        assert isinstance(distances, pd.DataFrame)
        assert distances.columns.tolist() == [f"kmeans{i}" for i in range(4)]
        assert not hasattr(last(estimator), "_sklearn_output_config")
    plain = KSweep(KMeans(n_init=1, random_state=0), KS, criterion="silhouette").fit(X)
    assert isinstance(plain.transform(X), np.ndarray)
    assert isinstance(plain.set_output(transform="pandas").transform(X), pd.DataFrame)


def test_works_as_the_last_and_as_an_inner_step_of_a_pipeline(X):
    sweep = KSweep(KMeans(n_init=1, random_state=0), KS, criterion="silhouette")
    whole = make_pipeline(StandardScaler(), sweep).fit(X)
    assert whole[-1].best_k_ == 4
    np.testing.assert_array_equal(whole.predict(X), whole[-1].labels_)
    inner = make_pipeline(StandardScaler(), sweep, KMeans(2, n_init=1, random_state=0)).fit(X)
    assert inner[-1].n_features_in_ == 4


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_warnings_from_fits_reach_the_caller(n_jobs):
    X = np.repeat([[0.0], [1.0], [5.0]], 5, axis=0)
    sweep = KSweep(KMeans(n_init=1, random_state=0), [2, 3, 4], criterion="silhouette", n_jobs=n_jobs)
    with pytest.warns(ConvergenceWarning, match="distinct clusters"):
        sweep.fit(X)
    assert sweep.best_k_ == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConvergenceWarning, match="distinct clusters") as caught:
            clone(sweep).fit(X)
    assert caught.value.__notes__ == ["KMeans with n_clusters=4 could not be fitted."]
