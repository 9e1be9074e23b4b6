"""How the fits of a sweep run: side by side, shared through `_fit_path`, failing, interrupted."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import KMeans
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from threadpoolctl import threadpool_info, threadpool_limits

from shapecluster.exceptions import SweepWarning
from shapecluster.model_selection import KSweep


class Fake(ClusterMixin, BaseEstimator):
    """Groups rows by their rank along the first column; `when` says what goes wrong, and at which k."""

    def __init__(self, n_clusters=8, *, when=None):
        self.n_clusters = n_clusters
        self.when = when

    def fit(self, X, y=None, sample_weight=None):
        if self.when is not None:
            self.when(self.n_clusters)
        X = np.asarray(X)
        order = np.argsort(np.argsort(X[:, 0], kind="stable"), kind="stable")
        self.labels_ = order * self.n_clusters // len(X)
        self.cluster_centers_ = np.array([X[self.labels_ == j].mean(axis=0) for j in range(self.n_clusters)])
        weights = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight)
        self.inertia_ = float(weights @ ((X - self.cluster_centers_[self.labels_]) ** 2).sum(axis=1))
        return self


class Sharing(Fake):
    """Fits all ks in one call, and counts the calls."""

    calls: list[dict] = []  # noqa: RUF012  (on the class, because every fit is a clone)

    def _fit_path(self, X, ks, *, sample_weight=None, n_jobs=None):
        self.calls.append({"X": X, "ks": ks, "sample_weight": sample_weight, "n_jobs": n_jobs})
        for k in ks:
            yield type(self)(k, when=self.when).fit(X, sample_weight=sample_weight)


@pytest.fixture
def X(rng):
    return rng.normal(size=(40, 3))


@pytest.fixture
def calls(monkeypatch):
    monkeypatch.setattr(Sharing, "calls", [])
    return Sharing.calls


def sweep(estimator, k=range(2, 7), **kwargs):
    return KSweep(estimator, k, **{"criterion": "silhouette", **kwargs})


def test_fit_path_is_called_once_with_all_ks_and_gives_every_entry(X, calls, rng):
    weight = rng.uniform(size=40)
    seen = []
    watched = sweep(Sharing(), n_jobs=3, progress=lambda p: seen.append((p.k, len(calls))))
    shared = watched.fit(X, sample_weight=weight)
    plain = sweep(Fake()).fit(X, sample_weight=weight)
    assert calls == [{"X": X, "ks": [2, 3, 4, 5, 6], "sample_weight": weight, "n_jobs": 3}]
    assert seen == [(k, 1) for k in range(2, 7)]
    for column in ("ssd", "elbow", "silhouette"):
        np.testing.assert_array_equal(shared.results_[column], plain.results_[column])
    assert shared.best_k_ == plain.best_k_
    assert shared.best_estimator_.n_clusters == shared.best_k_
    assert shared.results_["n_iter"].isna().all()  # this clusterer does not say


def test_fit_path_works_behind_the_first_steps_of_a_pipeline(X, calls, rng):
    weight = rng.uniform(size=40)
    pipeline = make_pipeline(StandardScaler(), Sharing())
    shared = sweep(pipeline).fit(X, sample_weight=weight)
    assert len(calls) == 1
    np.testing.assert_array_equal(calls[0]["X"], StandardScaler().fit_transform(X))
    scalers = set()
    for k, fitted in shared.estimators_.items():
        separate = make_pipeline(StandardScaler(), Fake(k)).fit(X, fake__sample_weight=weight)
        assert [name for name, _ in fitted.steps] == ["standardscaler", "sharing"]
        assert fitted[-1].inertia_ == separate[-1].inertia_
        np.testing.assert_array_equal(fitted[:-1].transform(X), separate[:-1].transform(X))
        scalers.add(id(fitted[0]))
    assert len(scalers) == 5
    assert not hasattr(pipeline[0], "mean_")


def test_fit_path_works_in_nested_pipelines(X, rng):
    weight = rng.uniform(size=40)
    nested = make_pipeline(StandardScaler(), make_pipeline(MinMaxScaler(), make_pipeline(Sharing())))
    shared = sweep(nested).fit(X, sample_weight=weight)
    flat = sweep(make_pipeline(StandardScaler(), MinMaxScaler(), Sharing())).fit(X, sample_weight=weight)
    np.testing.assert_array_equal(shared.results_["ssd"], flat.results_["ssd"])
    np.testing.assert_array_equal(shared.results_["silhouette"], flat.results_["silhouette"])
    assert list(shared.best_params_) == ["pipeline__pipeline__sharing__n_clusters"]
    for k, fitted in shared.estimators_.items():
        assert fitted.get_params()["pipeline__pipeline__sharing"].n_clusters == k
        expected = flat.estimators_[k][:-1].transform(X)
        np.testing.assert_array_equal(fitted[1][0].transform(fitted[0].transform(X)), expected)
    assert not hasattr(nested[1][0], "scale_")


@pytest.mark.parametrize("given", [[], [3, 2], [2]], ids=["nothing", "wrong order", "too few"])
def test_fit_path_that_breaks_its_contract_is_an_error(X, given):
    class Careless(Fake):
        def _fit_path(self, X, ks, *, sample_weight=None, n_jobs=None):
            return [Careless(k).fit(X) for k in given]

    with pytest.raises(RuntimeError, match=r"Careless\._fit_path must give one .* each of ks=\[2, 3\]"):
        sweep(Careless(), [2, 3]).fit(X)


def first_column_distances(X):
    return lambda first, second: abs(X[first, None, 0] - X[second, 0])


def test_metric_hook_is_called_once_and_measures_each_pair_with_a_sampled_row_once(X):
    called, pairs = [], []

    class Metric(Fake):
        def _distances_between(self, X):
            called.append(X)
            measure = first_column_distances(X)

            def distances(first, second):
                pairs.extend((i, j) for i in first for j in second)
                return measure(first, second)

            return distances

    found = sweep(Metric(), n_samples=30).fit(X)
    assert len(called) == 1
    assert called[0] is X
    assert sorted(pairs) == sorted((i, j) for i in range(40) for j in found.silhouette_sample_)
    euclidean = sweep(Fake(), n_samples=30).fit(X[:, :1])
    np.testing.assert_allclose(found.results_["silhouette"], euclidean.results_["silhouette"], rtol=1e-9)


class Threaded(Fake):
    """Records with how many jobs it measured distances."""

    jobs: list[int | None] = []  # noqa: RUF012  (on the class, because every fit is a clone)

    def __init__(self, n_clusters=8, *, when=None, n_jobs=None):
        super().__init__(n_clusters, when=when)
        self.n_jobs = n_jobs

    def _distances_between(self, X):
        self.jobs.append(self.n_jobs)
        return first_column_distances(X)


@pytest.mark.parametrize(("own", "of_sweep", "expected"), [(None, 2, 2), (1, 2, 1), (None, None, None)])
def test_metric_hook_runs_with_the_jobs_of_the_sweep(X, monkeypatch, own, of_sweep, expected):
    monkeypatch.setattr(Threaded, "jobs", [])
    found = sweep(Threaded(n_jobs=own), n_jobs=of_sweep).fit(X)
    assert Threaded.jobs == [expected]
    assert {fit.n_jobs for fit in found.estimators_.values()} == {own}


def test_the_log_says_when_the_silhouette_begins(X, caplog):
    caplog.set_level("INFO", logger="shapecluster")
    sweep(Fake(), [2, 3], n_samples=30).fit(X)
    last = caplog.messages[-1]
    assert caplog.messages[-2].startswith("k = 3: SSD")
    assert last == "silhouette: measuring the distances between 30 sampled rows and all 40"


def test_silhouette_can_be_left_out(X, caplog):
    class NoDistances(Fake):
        def _distances_between(self, X):
            raise AssertionError("measured distances")

    caplog.set_level("INFO", logger="shapecluster")
    message = "minimum SSD is at k = 6.* elbow chose .*; silhouette has no value"
    with pytest.warns(SweepWarning, match=message):
        found = sweep(NoDistances(), criterion="ssd", n_samples=0).fit(X)
    assert found.silhouette_k_ is None
    assert found.near_ties_["silhouette"] == []
    assert found.results_["silhouette"].isna().all()
    assert found.silhouette_sample_.tolist() == []
    assert not [line for line in caplog.messages if "silhouette" in line]


def test_metric_hook_that_gives_the_wrong_shape_is_an_error(X):
    class Wrong(Fake):
        def _distances_between(self, X):
            return lambda first, second: np.zeros((3, 40))

    with pytest.raises(ValueError, match=r"Wrong\._distances_between must .*\(40, 40\).*\(3, 40\)"):
        sweep(Wrong()).fit(X)


def fails_at_four(error):
    def when(k):
        if k == 4:
            raise error

    return when


class OwnError(ValueError):
    def __init__(self, code, reason):
        super().__init__(f"{code}: {reason}")
        self.code = code


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("error", [ValueError("no shape"), TypeError("no shape"), RuntimeError("no shape")])
def test_a_failing_fit_names_its_k(X, n_jobs, error):
    with pytest.raises(type(error), match=r"^Fake with n_clusters=4 could not be fitted: no shape") as caught:
        sweep(Fake(when=fails_at_four(error)), n_jobs=n_jobs).fit(X)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("estimator", [Fake, Sharing])
def test_an_error_that_is_more_than_a_text_is_kept_and_noted(X, estimator, calls):
    with pytest.raises(OwnError) as caught:
        sweep(estimator(when=fails_at_four(OwnError(7, "no shape")))).fit(X)
    assert caught.value.code == 7
    assert caught.value.__notes__ == [f"{estimator.__name__} with n_clusters=4 could not be fitted."]


def test_nothing_is_set_when_a_fit_fails(X):
    failing = sweep(Fake(when=fails_at_four(ValueError("no"))))
    with pytest.raises(ValueError, match="n_clusters=4"):
        failing.fit(X)
    assert not [name for name in vars(failing) if name.endswith("_")]


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_ctrl_c_in_progress_stops_the_sweep_and_starts_no_further_fit(X, n_jobs):
    started = []

    def when(k):
        started.append(k)
        time.sleep(0.05)

    def interrupt(progress):
        raise KeyboardInterrupt

    blas = [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]
    with pytest.raises(KeyboardInterrupt):
        sweep(Fake(when=when), range(2, 30), n_jobs=n_jobs, progress=interrupt).fit(X)
    time.sleep(0.2)
    assert len(started) <= 6
    assert [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"] == blas


def test_after_ctrl_c_the_caller_goes_on_at_once_and_the_process_ends_after_the_running_fits():
    program = """
import threading
import time
from sklearn.base import BaseEstimator
from shapecluster.model_selection import KSweep

begun, interrupted = threading.Event(), threading.Event()

class Slow(BaseEstimator):
    def __init__(self, n_clusters=8):
        self.n_clusters = n_clusters

    def fit(self, X):
        self.inertia_ = 1.0
        if self.n_clusters == 1:
            begun.wait(20)  # until the other fit runs, which could be canceled before
        else:
            begun.set()
            interrupted.wait(20)
            time.sleep(0.05)
            print("fit ended", flush=True)
        return self

def interrupt(progress):
    raise KeyboardInterrupt

try:
    KSweep(Slow(), [1, 2], n_jobs=2, progress=interrupt).fit([[0.0], [1.0], [5.0]])
except KeyboardInterrupt:
    print("interrupted", flush=True)
    interrupted.set()
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == ["interrupted", "fit ended"]


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_ctrl_c_in_a_fit_is_not_turned_into_an_error_about_k(X, n_jobs):
    with pytest.raises(KeyboardInterrupt) as caught:
        sweep(Fake(when=fails_at_four(KeyboardInterrupt())), n_jobs=n_jobs).fit(X)
    assert not hasattr(caught.value, "__notes__")


def test_fits_really_run_side_by_side(X):
    meeting = threading.Barrier(2, timeout=20)  # passed only if two fits wait in it at once

    sweep(Fake(when=lambda k: meeting.wait()), [2, 3, 4, 5], n_jobs=2).fit(X)


def test_jobs_are_counted_as_joblib_counts_them(X):
    serial = sweep(KMeans(n_init=1, random_state=0)).fit(X)
    meeting = threading.Barrier(2, timeout=20)
    with joblib.parallel_config(n_jobs=2):
        sweep(Fake(when=lambda k: meeting.wait()), [2, 3]).fit(X)
    everything = sweep(KMeans(n_init=1, random_state=0), n_jobs=-1).fit(X)
    np.testing.assert_array_equal(everything.results_["ssd"], serial.results_["ssd"])


def test_the_callers_openmp_limit_holds_in_the_threads_so_that_bits_are_equal(rng):
    X = rng.normal(size=(1500, 7))  # several chunks of K-Means, whose sums depend on the number of threads
    for limit in (1, 2):
        with threadpool_limits(limit, user_api="openmp"):
            serial = sweep(KMeans(n_init=1, random_state=0), [4, 9]).fit(X)
            threads = sweep(KMeans(n_init=1, random_state=0), [4, 9], n_jobs=2).fit(X)
        for k in (4, 9):
            ours, theirs = threads.estimators_[k], serial.estimators_[k]
            np.testing.assert_array_equal(ours.cluster_centers_, theirs.cluster_centers_)


def test_blas_threads_are_as_before_after_a_parallel_sweep(X):
    def blas():
        return [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]

    before = blas()
    sweep(KMeans(n_init=1, random_state=0), n_jobs=2).fit(X)
    assert blas() == before
