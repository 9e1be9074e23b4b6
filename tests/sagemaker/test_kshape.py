"""SageMakerKShape keeps LocalKShape's contract: by rehearsal, the same to the last bit."""

from __future__ import annotations

import copy
import pickle
import warnings

import cloudpickle
import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.pipeline import make_pipeline

from shapecluster import KSweep, LocalKShape, SageMakerKShape
from shapecluster.exceptions import ArtifactWarning, FlatSeriesWarning
from shapecluster.preprocessing import LogReturns, ZScore
from shapecluster.remote import Job, Rehearsal

SAME = ("labels_", "shifts_", "sbd_", "cluster_centers_")


def walks(rng, n=30, timepoints=40, channels=None):
    shape = (n, timepoints) if channels is None else (n, timepoints, channels)
    return 100 + rng.normal(size=shape).cumsum(axis=1)


def frame(X):
    dates = pd.date_range("2020-01-01", periods=X.shape[1], freq="B", name="date")
    return pd.DataFrame(X, index=pd.Index([f"T{i:03d}" for i in range(len(X))], name="ticker"), columns=dates)


def assert_same(remote, local):
    """Equal bit for bit, types included."""
    for name in SAME:
        theirs, ours = getattr(remote, name), getattr(local, name)
        assert theirs.dtype == ours.dtype, name
        np.testing.assert_array_equal(theirs, ours, err_msg=name)
    assert remote.inertia_ == local.inertia_
    assert type(remote.inertia_) is type(local.inertia_)
    assert remote.n_features_in_ == local.n_features_in_
    assert remote.n_iter_ == local.n_iter_


CASES = [
    pytest.param({}, {}, id="plain"),
    pytest.param({"max_shift": 0}, {}, id="no shift"),
    pytest.param({"max_shift": 4, "tol": 1e-3, "max_iter": 7}, {}, id="window"),
    pytest.param({"init": "random", "n_init": 2}, {}, id="random"),
    pytest.param({"missing": "mask"}, {"nan": True}, id="mask"),
    pytest.param({}, {"channels": 2}, id="channels"),
    pytest.param({"missing": "mask", "max_shift": 3}, {"channels": 2, "nan": True}, id="all at once"),
    pytest.param({}, {"weights": True}, id="weights"),
    pytest.param({"init": "array"}, {}, id="given centers"),
    pytest.param({"init": "array"}, {"channels": 2, "weights": True}, id="given centers of channels"),
]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("parameters", "data"), CASES)
def test_everything_equals_the_local_fit_bit_for_bit(rng, rehearsal, parameters, data, dtype):
    X = walks(rng, channels=data.get("channels")).astype(dtype)
    if parameters.get("init") == "array":
        parameters = parameters | {"init": X[[3, 11, 17, 20]]}
    if data.get("nan"):
        X[::7, :11] = np.nan
    weights = rng.uniform(0, 3, size=len(X)) if data.get("weights") else None
    given = {"random_state": 3, **parameters}
    local = LocalKShape(4, **given).fit(X, sample_weight=weights)
    remote = SageMakerKShape(4, session=rehearsal, **given).fit(X, sample_weight=weights)
    assert_same(remote, local)
    assert remote.centroid_report_.complete
    fresh = X[::-1] * dtype(3)
    np.testing.assert_array_equal(remote.predict(fresh), local.predict(fresh))
    np.testing.assert_array_equal(remote.transform(fresh), local.transform(fresh))
    assert remote.transform(fresh).dtype == local.transform(fresh).dtype
    assert remote.score(fresh) == local.score(fresh)
    assert remote.score(X, sample_weight=weights) == local.score(X, sample_weight=weights)
    np.testing.assert_array_equal(remote.labels_, remote.predict(X))
    np.testing.assert_array_equal(remote.centers_in_units(X), local.centers_in_units(X))


def test_layout_and_type_of_the_input_do_not_matter(rng, rehearsal):
    X = walks(rng)
    local = LocalKShape(3, random_state=0).fit(X)
    for same in (np.asfortranarray(X), X.tolist(), np.repeat(X, 2, axis=1)[:, ::2]):
        assert_same(SageMakerKShape(3, session=rehearsal, random_state=0).fit(same), local)
    whole = np.round(X).astype(int)
    remote = SageMakerKShape(3, session=rehearsal, random_state=0).fit(whole)
    assert_same(remote, LocalKShape(3, random_state=0).fit(whole))


def test_values_of_any_size_travel_exactly(rng, rehearsal):
    X = walks(rng) * np.logspace(-140, 140, 30)[:, None]
    X[2] = X[1]  # and a series that is there twice
    local = LocalKShape(3, random_state=0).fit(X)
    assert_same(SageMakerKShape(3, session=rehearsal, random_state=0).fit(X), local)


def test_tickers_and_dates_survive(rng, rehearsal):
    X = frame(walks(rng))
    local = LocalKShape(3, random_state=1).fit(X)
    remote = SageMakerKShape(3, session=rehearsal, random_state=1).fit(X)
    assert_same(remote, local)
    np.testing.assert_array_equal(remote.series_names_in_, local.series_names_in_)
    assert remote.members() == local.members()
    pd.testing.assert_frame_equal(remote.labels_frame(), local.labels_frame())
    theirs = remote.transform(X)
    assert theirs.columns.tolist() == ["sagemakerkshape0", "sagemakerkshape1", "sagemakerkshape2"]
    pd.testing.assert_frame_equal(theirs.set_axis(local.get_feature_names_out(), axis=1), local.transform(X))


def test_set_output_holds_for_every_way_to_transform(rng, rehearsal):
    X = walks(rng)
    model = SageMakerKShape(3, session=rehearsal, random_state=1).set_output(transform="pandas")
    out = model.fit_transform(X)
    assert out.columns.tolist() == model.get_feature_names_out().tolist()
    pd.testing.assert_frame_equal(out, model.transform(X))
    again = clone(model).fit(X).transform(X)
    pd.testing.assert_frame_equal(again, out)


@pytest.mark.parametrize("first", [ZScore, LogReturns])
def test_pipelines_give_what_they_give_locally(rng, rehearsal, first):
    X = frame(walks(rng))
    local = make_pipeline(first(), LocalKShape(3, random_state=0)).fit(X)
    remote = make_pipeline(first(), SageMakerKShape(3, session=rehearsal, random_state=0)).fit(X)
    assert_same(remote[-1], local[-1])
    np.testing.assert_array_equal(remote.predict(X), local.predict(X))
    np.testing.assert_array_equal(remote.fit_predict(X), local.fit_predict(X))
    assert remote[-1].members() == local[-1].members()


def test_flat_series_are_named_once_and_labeled_alike(rng, tmp_path):
    X = frame(walks(rng))
    X.iloc[4] = 7.0
    with pytest.warns(FlatSeriesWarning, match="T004"):
        local = LocalKShape(3, random_state=0).fit(X)
    with pytest.warns(FlatSeriesWarning, match="T004") as caught:
        remote = SageMakerKShape(3, session=Rehearsal(tmp_path), random_state=0).fit(X)
    assert_same(remote, local)
    assert len(caught) == 1
    assert {w.filename for w in caught} == {__file__}


@pytest.mark.parametrize("in_process", [True, False])
def test_what_the_program_warns_of_is_in_its_log_and_reaches_nobody_else(rng, tmp_path, in_process):
    X = frame(walks(rng))
    X.iloc[4] = 7.0
    lines = []
    model = SageMakerKShape(3, session=Rehearsal(tmp_path, in_process=in_process), random_state=0)
    model.set_params(progress=lambda news: lines.extend(news.lines), job=Job(poll_interval=0.02))
    with pytest.warns(FlatSeriesWarning, match="T004") as caught:  # else an error, as all warnings are
        model.fit(X)
    assert len(caught) == 1
    assert [line for line in lines if "FlatSeriesWarning" in line]
    with pytest.raises(FlatSeriesWarning):  # the filters are as they were
        model.predict(X)


@pytest.mark.filterwarnings("ignore:KSweep. the minimum SSD:shapecluster.exceptions.SweepWarning")
def test_warnings_of_jobs_side_by_side_go_to_their_logs(rng, rehearsal):
    X = frame(walks(rng))
    X.iloc[4] = 7.0
    filters, show = list(warnings.filters), warnings.showwarning
    with pytest.warns(FlatSeriesWarning):
        sweep = KSweep(SageMakerKShape(session=rehearsal, random_state=0), [2, 3, 4, 5], n_jobs=4).fit(X)
    assert (list(warnings.filters), warnings.showwarning) == (filters, show)
    for k, model in sweep.estimators_.items():
        stream = rehearsal.call(
            "logs.describe_log_streams",
            logGroupName="/aws/sagemaker/TrainingJobs",
            logStreamNamePrefix=f"{model.training_job_name_}/",
        )["logStreams"][0]["logStreamName"]
        events = rehearsal.call(
            "logs.get_log_events", logGroupName="/aws/sagemaker/TrainingJobs", logStreamName=stream
        )["events"]
        assert sum("FlatSeriesWarning: " in event["message"] for event in events) == 1, k


def test_fewer_shapes_than_clusters_is_the_same_warning(rng, tmp_path):
    X = np.repeat(walks(rng, n=2), 4, axis=0)
    with pytest.warns(ConvergenceWarning, match="distinct clusters"):
        local = LocalKShape(3, random_state=0).fit(X)
    with pytest.warns(ConvergenceWarning, match="distinct clusters") as caught:
        remote = SageMakerKShape(3, session=Rehearsal(tmp_path), random_state=0).fit(X)
    assert_same(remote, local)
    assert len(caught) == 1


def test_a_sweep_equals_the_local_one(rng, rehearsal):
    X = frame(walks(rng))
    ks = range(2, 6)
    local = KSweep(LocalKShape(random_state=0), ks, criterion="silhouette").fit(X)
    for n_jobs in (None, 3):
        model = SageMakerKShape(session=rehearsal, random_state=0)
        remote = KSweep(model, ks, criterion="silhouette", n_jobs=n_jobs).fit(X)
        columns = [c for c in local.results_ if "seconds" not in c]
        pd.testing.assert_frame_equal(remote.results_[columns], local.results_[columns])
        assert_same(remote.best_estimator_, local.best_estimator_)
        assert remote.best_k_ == local.best_k_
        assert len(list(rehearsal.list("s3://rehearsal/shapecluster/"))) > 0
    staged = {u.split("/data/")[0] for u in rehearsal.list("s3://rehearsal/") if "/data/" in u}
    assert len(staged) == 1  # whatever the number of jobs


@pytest.mark.filterwarnings("ignore:KSweep. the minimum SSD:shapecluster.exceptions.SweepWarning")
def test_a_sweep_over_a_pipeline_runs_in_threads_whatever_joblib_is_told(rng, rehearsal):
    X = frame(walks(rng))
    local = KSweep(make_pipeline(ZScore(), LocalKShape(random_state=0)), [2, 3, 4]).fit(X)
    pipeline = make_pipeline(ZScore(), SageMakerKShape(session=rehearsal, random_state=0))
    with joblib.parallel_config(backend="loky", n_jobs=2):
        remote = KSweep(pipeline, [2, 3, 4], n_jobs=2).fit(X)
    assert remote.results_["ssd"].tolist() == local.results_["ssd"].tolist()
    assert remote.best_estimator_[-1].session is rehearsal


@pytest.mark.filterwarnings("ignore:KSweep. the minimum SSD:shapecluster.exceptions.SweepWarning")
def test_weights_travel_through_a_sweep(rng, rehearsal):
    X, weights = walks(rng), rng.uniform(1, 2, size=30)
    local = KSweep(LocalKShape(random_state=0), [2, 3]).fit(X, sample_weight=weights)
    remote = KSweep(SageMakerKShape(session=rehearsal, random_state=0), [2, 3]).fit(X, sample_weight=weights)
    assert remote.results_["ssd"].tolist() == local.results_["ssd"].tolist()


def test_to_local_needs_nothing_of_the_cloud(rng, rehearsal):
    X = frame(walks(rng))
    remote = SageMakerKShape(3, session=rehearsal, random_state=1, max_shift=5).fit(X)
    local = remote.to_local()
    assert type(local) is LocalKShape
    assert local.get_params() == LocalKShape(3, random_state=1, max_shift=5).get_params()
    assert_same(remote, local)
    np.testing.assert_array_equal(local.predict(X), remote.predict(X))
    assert local.members() == remote.members()
    pd.testing.assert_frame_equal(local.labels_frame(), remote.labels_frame())
    assert not {"session", "training_job_name_", "billable_seconds_"} & set(vars(local))
    assert pickle.loads(pickle.dumps(local)).inertia_ == remote.inertia_
    with pytest.raises(NotFittedError):
        SageMakerKShape(session=rehearsal).to_local()


# --------------------------------------------------------------------------------------------- fit again


def test_fitting_again_replaces_everything(rng, rehearsal):
    model = SageMakerKShape(4, session=rehearsal, random_state=0).fit(frame(walks(rng)))
    first = model.training_job_name_
    X = walks(rng, n=12, timepoints=25, channels=2)
    model.set_params(n_clusters=2).fit(X)
    assert_same(model, LocalKShape(2, random_state=0).fit(X))
    assert not hasattr(model, "series_names_in_")
    assert model.training_job_name_ != first
    assert model.labels_frame().index.name == "series"
    fresh = SageMakerKShape(2, session=rehearsal, random_state=0).fit(X)
    assert vars(model).keys() == vars(fresh).keys()


def learned(model):
    return {name: value for name, value in vars(model).items() if name.endswith("_") or name == "_axis_name"}


GENERATOR = np.random.RandomState(0)
REFUSED = [
    pytest.param({}, lambda X: X.iloc[:2], "n_samples=2 should be >= n_clusters=3", id="too few"),
    pytest.param({}, lambda X: X.iloc[:, :20].replace(X.iat[3, 3], np.nan), "NaN", id="nan"),
    pytest.param({}, lambda X: X.iloc[:, :20] * 0, "never mov|ever moves", id="flat"),
    pytest.param({"random_state": GENERATOR}, lambda X: X.iloc[:, :20], "random_state", id="rng"),
    pytest.param({"init": np.ones((2, 5))}, lambda X: X.iloc[:, :20], "init must", id="init"),
    pytest.param({"job": Job(instance_count=2)}, lambda X: X.iloc[:, :20], "instance_count", id="machines"),
    pytest.param({"role": "me"}, lambda X: X.iloc[:, :20], "role must", id="role"),
    pytest.param(
        {"job": Job(hyperparameters={"n_init": "3"})}, lambda X: X.iloc[:, :20], "repeat", id="hyperparameter"
    ),
]


@pytest.mark.filterwarnings("ignore::shapecluster.exceptions.FlatSeriesWarning")
@pytest.mark.parametrize(("parameters", "change", "message"), REFUSED)
def test_what_is_refused_leaves_the_estimator_as_it_was(rng, rehearsal, parameters, change, message):
    X = frame(walks(rng))
    model = SageMakerKShape(3, session=rehearsal, random_state=0).fit(X)
    before = {
        name: value for name, value in vars(model).items() if name.endswith("_") or name == "_axis_name"
    }
    files = list(rehearsal.list("s3://rehearsal/"))
    model.set_params(**parameters)
    with pytest.raises(ValueError, match=message):
        model.fit(change(X))
    after = learned(model)
    assert before.keys() == after.keys()
    assert all(before[name] is after[name] for name in before)
    assert list(rehearsal.list("s3://rehearsal/")) == files


def test_the_jobs_own_hyperparameters_are_sent(rng, rehearsal):
    job = Job(hyperparameters={"checkpoint_every": "2"})
    model = SageMakerKShape(2, session=rehearsal, random_state=0, job=job).fit(walks(rng))
    described = rehearsal.call("sagemaker.describe_training_job", TrainingJobName=model.training_job_name_)
    assert described["HyperParameters"]["checkpoint_every"] == "2"


def test_fit_never_changes_a_parameter(rng, rehearsal):
    X = walks(rng)
    init = X[:3].tolist()
    for wait in (True, False):
        model = SageMakerKShape(3, session=rehearsal, init=init, wait=wait).fit(X).result()
        assert model.init is init
        assert model.get_params()["session"] is rehearsal


# ------------------------------------------------------------------------------- copies, clones, pickles


class Untouchable:
    """Stands for a session that must neither be copied nor written down."""

    def __deepcopy__(self, memo):
        raise AssertionError("a session was copied")

    def __copy__(self):
        raise AssertionError("a session was copied")

    def __reduce_ex__(self, protocol):
        raise AssertionError("a session was written down")

    def __repr__(self):
        return "Untouchable()"


def test_clones_and_copies_share_the_session(rng):
    session, progress = Untouchable(), Untouchable()
    job = Job(tags={"desk": "x"})
    model = SageMakerKShape(3, session=session, progress=progress, job=job, init=np.eye(3))
    pipeline = make_pipeline(ZScore(), model)
    twins = [
        clone(model),
        copy.copy(model),
        copy.deepcopy(model),
        clone(pipeline)[-1],
        copy.deepcopy(pipeline)[-1],
    ]
    twins += [clone(KSweep(model)).estimator, copy.deepcopy(KSweep(pipeline)).estimator[-1]]
    for twin in twins:
        assert twin is not model
        assert twin.session is session
        assert twin.progress is progress
        assert twin.job == job
        np.testing.assert_array_equal(twin.init, model.init)
    assert twins[0].init is not model.init
    assert twins[2].init is not model.init


@pytest.mark.parametrize("pickled", [pickle, cloudpickle], ids=lambda m: m.__name__)
def test_pickles_keep_the_model_and_leave_the_session(rng, rehearsal, pickled):
    X = frame(walks(rng))
    model = SageMakerKShape(3, session=rehearsal, random_state=0, progress=lambda news: None).fit(X)
    model.set_params(session=Untouchable())
    back = pickle.loads(pickled.dumps(model))
    assert_same(back, model)
    np.testing.assert_array_equal(back.predict(X), model.predict(X))
    assert back.members() == model.members()
    assert back.progress is None
    assert back.training_job_name_ == model.training_job_name_
    assert "not pickled" in repr(back)
    for twin in (back, clone(back), copy.deepcopy(back), pickle.loads(pickle.dumps(back))):
        with pytest.raises(RuntimeError, match=r"session was not pickled.*set it again"):
            twin.fit(X)
    np.testing.assert_array_equal(back.labels_, model.labels_)  # a fit that cannot begin leaves it be
    assert_same(back.set_params(session=rehearsal).fit(X), model)


def test_an_unpickled_estimator_that_was_not_collected_asks_for_its_session(rng, rehearsal):
    X = walks(rng)
    model = SageMakerKShape(3, session=rehearsal, random_state=0, wait=False).fit(X)
    back = pickle.loads(pickle.dumps(model))
    for call in (back.result, back.stop):
        with pytest.raises(RuntimeError, match="session was not pickled"):
            call()
    back.set_params(session=rehearsal).result()
    assert_same(back, LocalKShape(3, random_state=0).fit(X))


def test_another_version_of_the_container_is_told(rng, rehearsal, monkeypatch):
    from shapecluster.sagemaker import _files

    monkeypatch.setattr(_files, "version", lambda name: "99.0")
    with pytest.warns(ArtifactWarning, match=r"and this is 99\.0"):
        SageMakerKShape(3, session=rehearsal, random_state=0).fit(walks(rng))


def test_nothing_is_warned_about_when_all_is_well(rng, rehearsal):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        SageMakerKShape(3, session=rehearsal, random_state=0).fit(walks(rng))
    assert caught == []


def test_an_arn_is_rehearsed_with_our_own_program(rng, tmp_path, rehearsal):
    arn = "arn:aws:sagemaker:us-east-1:111122223333:algorithm/k-shape"
    X = frame(walks(rng))
    model = SageMakerKShape(3, session=rehearsal, algorithm_arn=arn).fit(X)
    np.testing.assert_array_equal(model.labels_, model.predict(X))
    assert model.members().keys() == {0, 1, 2}
    attached = SageMakerKShape.attach(model.training_job_name_, session=rehearsal)
    assert attached.members() == model.members()
    assert attached.inertia_ == model.inertia_


@pytest.mark.parametrize(
    "parameters", [{}, {"max_shift": 4}, {"missing": "mask"}, {"init": "random"}, {"n_clusters": 5}]
)
def test_processes_give_the_same(rng, tmp_path, parameters):
    X = walks(rng)
    if parameters.get("missing"):
        X[3, :9] = np.nan
    given = {"n_clusters": 3, "random_state": 0, **parameters}
    model = SageMakerKShape(session=Rehearsal(tmp_path), job=Job(poll_interval=0.02), **given).fit(X)
    assert_same(model, LocalKShape(**given).fit(X))
    assert model.billable_seconds_ >= 1
    assert model.estimated_cost(3600.0) == model.billable_seconds_
