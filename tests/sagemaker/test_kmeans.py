"""SageMakerKMeans: the built-in's hyperparameters, and KMeans' contract; by rehearsal."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from shapecluster import KSweep, SageMakerKMeans
from shapecluster.remote import Job, Rehearsal


def portfolios(rng, n=600, archetypes=5, width=40, held=12):
    """Weights of holdings: archetypes, each with its own securities, and noise between them."""
    centers = np.zeros((archetypes, width))
    for row in centers:
        row[rng.choice(width, held, replace=False)] = rng.dirichlet(np.ones(held))
    own = rng.integers(archetypes, size=n)
    drift = rng.gamma(1.0, 0.15 / held, size=(n, width)) * (rng.random((n, width)) < 0.2)
    X = centers[own] * rng.uniform(0.7, 1.3, size=(n, width)) + drift
    return X / X.sum(axis=1, keepdims=True)


def ssd(X, centers):
    return float(((X[:, None] - centers) ** 2).sum(axis=2).min(axis=1).sum())


def test_it_finds_what_was_planted_as_well_as_scikit_learn_does(rng, rehearsal):
    X = portfolios(rng)
    model = SageMakerKMeans(5, session=rehearsal).fit(X)
    one = ssd(X, X.mean(axis=0, keepdims=True))
    best = min(KMeans(5, n_init=1, random_state=seed).fit(X).inertia_ for seed in range(5))
    assert (one - model.inertia_) / (one - best) >= 0.95
    assert model.inertia_ == pytest.approx(ssd(X, model.cluster_centers_.astype(float)), rel=1e-12)
    assert model.cluster_centers_.dtype == np.float32
    assert model.labels_.shape == (600,)


def test_predictions_follow_from_the_centers(rng, rehearsal):
    X = portfolios(rng)
    model = SageMakerKMeans(5, session=rehearsal).fit(X)
    np.testing.assert_array_equal(model.labels_, model.predict(X))
    distances = model.transform(X)
    assert distances.shape == (600, 5)
    np.testing.assert_array_equal(distances.argmin(axis=1), model.labels_)
    assert (distances.min(axis=1) ** 2).sum() == pytest.approx(model.inertia_, rel=1e-12)
    assert model.score(X) == pytest.approx(-model.inertia_, rel=1e-12)


def test_neither_fit_nor_score_nor_a_sweep_takes_the_weights_that_the_algorithm_does_not_take(rng, rehearsal):
    X, weights = portfolios(rng), rng.uniform(1, 2, size=600)
    model = SageMakerKMeans(5, session=rehearsal)
    for method in (model.fit, model.score):
        with pytest.raises(TypeError, match="sample_weight"):
            method(X, sample_weight=weights)
    with pytest.raises(ValueError, match="sample_weight, but SageMakerKMeans"):
        KSweep(model, [2, 3]).fit(X, sample_weight=weights)
    assert not rehearsal.path.exists()  # nothing was uploaded


def test_to_local_is_scikit_learns_and_agrees(rng, rehearsal):
    X = pd.DataFrame(portfolios(rng)).rename(columns=str)
    model = SageMakerKMeans(5, session=rehearsal).fit(X)
    local = model.to_local()
    assert type(local) is KMeans
    np.testing.assert_array_equal(local.predict(X), model.labels_)
    np.testing.assert_allclose(local.transform(X), model.transform(X), atol=1e-9)
    assert local.inertia_ == model.inertia_
    assert local.feature_names_in_.tolist() == X.columns.tolist()
    assert pickle.loads(pickle.dumps(local)).n_clusters == 5
    with pytest.raises(NotFittedError):
        SageMakerKMeans(session=rehearsal).to_local()


@pytest.mark.parametrize("make", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, sparse.coo_array])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sparse_rows_are_the_same_as_dense_ones(rng, rehearsal, make, dtype):
    X = portfolios(rng, n=200)
    X[X < 0.02] = 0
    X = X.astype(dtype)
    dense = SageMakerKMeans(5, session=rehearsal).fit(X)
    model = SageMakerKMeans(5, session=rehearsal).fit(make(X))
    np.testing.assert_array_equal(model.cluster_centers_, dense.cluster_centers_)
    np.testing.assert_array_equal(model.labels_, dense.labels_)
    assert model.inertia_ == pytest.approx(dense.inertia_, rel=1e-12)
    np.testing.assert_array_equal(model.predict(make(X)), dense.predict(X))
    np.testing.assert_allclose(model.transform(make(X)), dense.transform(X), rtol=1e-12)


def test_a_sparse_matrix_is_left_as_it_was(rng, rehearsal):
    X = sparse.random(50, 20, density=0.3, random_state=0, format="csc").tocsr()
    rows = sparse.csr_array((X.data.copy(), X.indices.copy(), X.indptr.copy()), shape=X.shape)
    for row in range(50):  # each row's entries the other way round
        part = slice(rows.indptr[row], rows.indptr[row + 1])
        rows.indices[part], rows.data[part] = rows.indices[part][::-1].copy(), rows.data[part][::-1].copy()
    rows.has_sorted_indices = False
    before = rows.indices.copy(), rows.data.copy()
    model = SageMakerKMeans(3, session=rehearsal).fit(rows)
    np.testing.assert_array_equal(rows.indices, before[0])
    np.testing.assert_array_equal(rows.data, before[1])
    again = SageMakerKMeans(3, session=rehearsal).fit(X)
    np.testing.assert_array_equal(again.labels_, model.labels_)
    staged = {u.split("/data/")[0] for u in rehearsal.list("s3://rehearsal/") if "/data/" in u}
    assert len(staged) == 1  # the same rows, in whatever order their entries are stored


def test_rows_are_cut_into_a_file_for_each_machine(rng, rehearsal):
    X = portfolios(rng)
    one = SageMakerKMeans(5, session=rehearsal).fit(X)
    two = SageMakerKMeans(5, session=rehearsal, job=Job(instance_count=2)).fit(X)
    np.testing.assert_array_equal(two.labels_, one.labels_)
    description = rehearsal.call("sagemaker.describe_training_job", TrainingJobName=two.training_job_name_)
    (channel,) = description["InputDataConfig"]
    source = channel["DataSource"]["S3DataSource"]
    assert source["S3DataDistributionType"] == "ShardedByS3Key"
    assert len(list(rehearsal.list(source["S3Uri"]))) == 2
    attached = SageMakerKMeans.attach(two.training_job_name_, session=rehearsal)
    np.testing.assert_array_equal(attached.labels_, two.labels_)


def test_every_hyperparameter_travels_under_the_built_ins_name(rng, rehearsal):
    given = {
        "mini_batch_size": 500,
        "epochs": 2,
        "init_method": "kmeans++",
        "extra_center_factor": 4,
        "half_life_time_size": 10,
        "local_lloyd_max_iter": 20,
        "local_lloyd_tol": 0.1 + 0.2,
        "local_lloyd_num_trials": np.int64(3),
        "local_lloyd_init_method": "random",
        "eval_metrics": ("msd", "ssd"),
    }
    model = SageMakerKMeans(5, session=rehearsal, **given).fit(portfolios(rng))
    description = rehearsal.call("sagemaker.describe_training_job", TrainingJobName=model.training_job_name_)
    assert description["HyperParameters"] == {
        "k": "5",
        "feature_dim": "40",
        "force_dense": "True",
        "mini_batch_size": "500",
        "epochs": "2",
        "init_method": "kmeans++",
        "extra_center_factor": "4",
        "half_life_time_size": "10",
        "local_lloyd_max_iter": "20",
        "local_lloyd_tol": "0.30000000000000004",
        "local_lloyd_num_trials": "3",
        "local_lloyd_init_method": "random",
        "eval_metrics": '["msd", "ssd"]',
    }
    attached = SageMakerKMeans.attach(model.training_job_name_, session=rehearsal)
    for name, value in given.items():
        assert attached.get_params()[name] == value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: X[:4], "n_samples=4 should be >= n_clusters=5"),
        (lambda X: np.where(X[3, 3] == X, np.nan, X), "NaN"),
        (lambda X: X * 1e300, "float32"),
        (lambda X: X[:, 0], "1D"),
    ],
    ids=["few", "nan", "large", "vector"],
)
def test_what_is_refused_leaves_the_estimator_as_it_was(rng, rehearsal, change, message):
    X = portfolios(rng)
    model = SageMakerKMeans(5, session=rehearsal).fit(X)
    before, files = dict(vars(model)), list(rehearsal.list("s3://rehearsal/"))
    with pytest.raises(ValueError, match=message):
        model.fit(change(X))
    assert {n: id(v) for n, v in vars(model).items()} == {n: id(v) for n, v in before.items()}
    assert list(rehearsal.list("s3://rehearsal/")) == files


def test_frames_pipelines_sweeps_and_copies(rng, rehearsal):
    X = pd.DataFrame(portfolios(rng)).rename(columns=lambda c: f"S{c}")
    model = SageMakerKMeans(5, session=rehearsal).fit(X)
    assert model.feature_names_in_.tolist() == X.columns.tolist()
    attached = SageMakerKMeans.attach(model.training_job_name_, session=Rehearsal(rehearsal.path))
    assert attached.feature_names_in_.tolist() == X.columns.tolist()
    np.testing.assert_array_equal(attached.labels_, model.labels_)
    assert attached.inertia_ == pytest.approx(model.inertia_, rel=1e-6)  # of rows in float32
    pipeline = make_pipeline(StandardScaler(), SageMakerKMeans(5, session=rehearsal))
    assert pipeline.fit_predict(X).shape == (600,)
    sweep = KSweep(SageMakerKMeans(session=rehearsal), [3, 5, 7], criterion="elbow", n_jobs=2).fit(X)
    assert sweep.results_["ssd"].is_monotonic_decreasing
    for twin in (clone(model), copy.deepcopy(model), copy.copy(model)):
        assert twin.session is rehearsal
    back = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(back.predict(X), model.labels_)
    with pytest.raises(RuntimeError, match="set it again"):
        back.fit(X)


def test_names_of_an_earlier_fit_are_forgotten(rng, rehearsal):
    X = portfolios(rng)
    model = SageMakerKMeans(5, session=rehearsal).fit(pd.DataFrame(X).rename(columns=str))
    model.fit(X[:, :30])
    assert not hasattr(model, "feature_names_in_")
    assert model.n_features_in_ == 30


def test_a_fit_that_nobody_waits_for(rng, rehearsal):
    X = portfolios(rng).astype(np.float32)
    model = SageMakerKMeans(5, session=rehearsal, wait=False).fit(X)
    with pytest.raises(NotFittedError, match=rf"{model.training_job_name_}.*result"):
        model.predict(X)
    with pytest.raises(ValueError, match="wait=False"):
        model.fit_predict(X)
    waited = SageMakerKMeans(5, session=rehearsal).fit(X)
    np.testing.assert_array_equal(model.result().labels_, waited.labels_)
    assert model.inertia_ == waited.inertia_


@pytest.mark.parametrize("metrics", [("msd",), ("ssd",), ("msd", "ssd")])
def test_the_job_measures_test_rows(rng, rehearsal, metrics):
    X, test = portfolios(rng), portfolios(rng, n=50)
    job = Job(instance_count=2)
    model = SageMakerKMeans(5, session=rehearsal, eval_metrics=metrics, job=job).fit(X, test=test)
    description = rehearsal.call("sagemaker.describe_training_job", TrainingJobName=model.training_job_name_)
    ways = {
        one["ChannelName"]: one["DataSource"]["S3DataSource"]["S3DataDistributionType"]
        for one in description["InputDataConfig"]
    }
    assert ways == {"train": "ShardedByS3Key", "test": "FullyReplicated"}
    ssd_of_test = -model.score(test)
    expected = {"msd": ssd_of_test / 50, "ssd": ssd_of_test}
    assert model.test_metrics_ == pytest.approx({name: expected[name] for name in metrics}, rel=1e-5)
    without = SageMakerKMeans(5, session=rehearsal).fit(X)
    np.testing.assert_array_equal(model.cluster_centers_, without.cluster_centers_)  # it takes no part
    assert not hasattr(without, "test_metrics_")
    attached = SageMakerKMeans.attach(model.training_job_name_, session=rehearsal)
    assert attached.test_metrics_ == model.test_metrics_
    assert attached.labels_.shape == (600,)
    model.fit(X)
    assert not hasattr(model, "test_metrics_")


def test_the_services_own_metrics_go_before_the_log(rng, rehearsal, monkeypatch):
    describe = rehearsal._calls["sagemaker.describe_training_job"]
    reported = [{"MetricName": "test:msd", "Value": 7.5}, {"MetricName": "train:progress", "Value": 100.0}]
    monkeypatch.setitem(
        rehearsal._calls,
        "sagemaker.describe_training_job",
        lambda **request: describe(**request) | {"FinalMetricDataList": reported},
    )
    X = portfolios(rng)
    assert SageMakerKMeans(5, session=rehearsal).fit(X, test=X[:9]).test_metrics_ == {"msd": 7.5}


def test_a_log_that_cannot_be_read_is_no_reason_to_lose_the_fit(rng, rehearsal, monkeypatch):
    from shapecluster.remote._errors import from_code

    def refuse(**request):
        raise from_code("AccessDeniedException", "not allowed", "logs.describe_log_streams")

    monkeypatch.setitem(rehearsal._calls, "logs.describe_log_streams", refuse)
    X = portfolios(rng)
    model = SageMakerKMeans(5, session=rehearsal).fit(X, test=X[:9])
    assert model.test_metrics_ == {}
    assert model.labels_.shape == (600,)


def test_no_third_argument_is_taken_for_test_rows(rng, rehearsal):
    X = portfolios(rng)
    with pytest.raises(TypeError, match="positional arguments"):
        SageMakerKMeans(5, session=rehearsal).fit(X, None, np.ones(len(X)))  # KMeans takes weights there
    assert not list(rehearsal.list("s3://rehearsal/"))


def test_test_rows_are_checked_as_the_others(rng, rehearsal):
    X = portfolios(rng)
    for wrong in (X[:9, :7], np.where(X[:9] == X[0, 0], np.nan, X[:9])):
        with pytest.raises(ValueError, match=r"7 features|NaN"):
            SageMakerKMeans(5, session=rehearsal).fit(X, test=wrong)
    with pytest.raises(ValueError, match="channel of Job must not be 'test'"):
        SageMakerKMeans(5, session=rehearsal, job=Job(channel="test")).fit(X, test=X[:9])
    assert not list(rehearsal.list("s3://rehearsal/"))


def test_a_process_gives_the_same(rng, tmp_path, rehearsal):
    X = portfolios(rng, n=200)
    model = SageMakerKMeans(5, session=Rehearsal(tmp_path), job=Job(poll_interval=0.02)).fit(X)
    again = SageMakerKMeans(5, session=rehearsal).fit(X)
    np.testing.assert_array_equal(model.labels_, again.labels_)
    np.testing.assert_allclose(model.cluster_centers_, again.cluster_centers_, rtol=1e-6)
