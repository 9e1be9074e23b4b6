"""Fits that nobody waits for, that are taken up elsewhere, that fail or are stopped: by rehearsal."""

from __future__ import annotations

import json
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from shapecluster import KSweep, LocalKShape, SageMakerKMeans, SageMakerKShape
from shapecluster.exceptions import (
    ArtifactError,
    JobFailedError,
    JobRunningError,
    JobStoppedError,
    NotFoundError,
)
from shapecluster.preprocessing import ZScore
from shapecluster.remote import Job, Rehearsal
from tests.sagemaker.test_kshape import assert_same, frame, walks

PROGRAM = [sys.executable, "-I", "-S", str(Path(__file__).with_name("waves.py"))]


@pytest.fixture
def cloud(tmp_path):
    """Jobs as processes, of a program that starts at once."""
    return Rehearsal(tmp_path / "cloud", program=PROGRAM)


@pytest.fixture
def go(tmp_path):
    """A file that a job waits for."""
    return tmp_path / "go"


def waving(cloud, n_clusters=2, **options):
    """An estimator whose job does what these hyperparameters say."""
    job = options.pop("job", {})
    parameters = {"timepoints": "40", **options}
    settings = Job(poll_interval=0.01, hyperparameters={k: str(v) for k, v in parameters.items()}, **job)
    return SageMakerKShape(n_clusters, session=cloud, job=settings)


def jobs(cloud):
    return sorted(path.name for path in (cloud.path / "sagemaker/training-job").glob("*"))


def started(cloud):
    """Jobs whose program has begun to speak; nobody is asked."""
    return [path.parent.name for path in (cloud.path / "sagemaker/training-job").glob("*/log.jsonl")]


def statuses(cloud):
    return [
        cloud.call("sagemaker.describe_training_job", TrainingJobName=name)["TrainingJobStatus"]
        for name in jobs(cloud)
    ]


def wait_until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)


# ---------------------------------------------------------------------------------------- without waiting


def test_a_fit_that_nobody_waits_for_is_collected_later(rng, cloud, go):
    X = frame(walks(rng))
    model = waving(cloud, until=go).set_params(wait=False)
    assert model.fit(X) is model
    name = model.training_job_name_
    assert jobs(cloud) == [name]
    assert not hasattr(model, "labels_")
    with pytest.raises(JobRunningError, match=f"'{name}' is not over yet.*result"):
        model.result(timeout=0)
    for method in ("predict", "transform", "score", "centers_in_units"):
        with pytest.raises(NotFittedError, match=rf"'{name}'.*result\(\) waits for it"):
            getattr(model, method)(X)
    for method in ("members", "labels_frame", "to_local", "get_feature_names_out"):
        with pytest.raises(NotFittedError, match=rf"'{name}'.*result\(\) waits for it"):
            getattr(model, method)()
    with pytest.raises(NotFittedError, match=rf"'{name}'.*result"):
        model.estimated_cost(1.0)
    go.touch()
    assert model.result() is model
    np.testing.assert_array_equal(model.labels_, model.predict(X))
    assert model.series_names_in_.tolist() == X.index.tolist()
    assert model.labels_frame().index.name == "ticker"
    assert model.result(timeout=0) is model
    assert model.training_job_name_ == name


def test_a_timeout_is_kept(rng, cloud, go):
    model = waving(cloud, until=go).set_params(wait=False).fit(walks(rng))
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        model.result(timeout=0.1)
    assert time.monotonic() - start < 2
    model.stop()


@pytest.mark.parametrize("call", ["fit_predict", "fit_transform"])
def test_what_needs_the_result_at_once_refuses_at_the_door(rng, cloud, call):
    model = waving(cloud).set_params(wait=False)
    for one in (model, make_pipeline(ZScore(), model)):
        with pytest.raises(ValueError, match=f"{call} of SageMakerKShape .* wait=False"):
            getattr(one, call)(walks(rng))
    assert jobs(cloud) == []
    assert not (cloud.path / "s3").exists()


def test_a_sweep_refuses_at_the_door(rng, cloud):
    model = waving(cloud).set_params(wait=False)
    for one in (model, make_pipeline(ZScore(), model)):
        with pytest.raises(ValueError, match=r"sweep of SageMakerKShape .* wait=False"):
            KSweep(one, [2, 3]).fit(walks(rng))
    assert jobs(cloud) == []


@pytest.mark.parametrize("estimator", [SageMakerKShape(), SageMakerKMeans()])
def test_without_any_fit_nothing_is_there(rng, estimator):
    X = walks(rng)
    for call in (estimator.result, estimator.stop, estimator.training_job):
        with pytest.raises(NotFittedError, match="call fit first"):
            call()
    for call in (lambda: estimator.predict(X), lambda: estimator.score(X), estimator.to_local):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            call()


def test_a_job_that_is_stopped_has_no_result(rng, cloud, go):
    model = waving(cloud, until=go).set_params(wait=False).fit(walks(rng))
    model.stop()
    with pytest.raises(JobStoppedError, match="Someone stopped it") as caught:
        model.result()
    assert caught.value.job_name == model.training_job_name_
    assert not hasattr(model, "labels_")
    model.stop()  # once more does no harm


@pytest.mark.filterwarnings("ignore:.*number of distinct clusters:sklearn.exceptions.ConvergenceWarning")
def test_a_fit_that_nobody_waits_for_drops_the_labels_of_the_one_before(rng, cloud, go):
    go.touch()
    model = waving(cloud, until=go).fit(frame(walks(rng)))
    before = model.training_job_name_
    model.set_params(wait=False, n_clusters=3).fit(walks(rng, n=12))
    for name in (
        "labels_",
        "inertia_",
        "cluster_centers_",
        "shifts_",
        "series_names_in_",
        "billable_seconds_",
    ):
        assert not hasattr(model, name), name
    assert model.training_job_name_ != before
    model.result()
    assert model.labels_.shape == (12,)
    assert model.cluster_centers_.shape == (3, 40)


def test_progress_sees_states_and_the_log(rng, cloud):
    news = []
    model = waving(cloud).set_params(progress=news.append).fit(walks(rng))
    assert {one.job_name for one in news} == {model.training_job_name_}
    assert news[-1].status == "Completed"
    assert "waves of 40" in [line for one in news for line in one.lines]


# ------------------------------------------------------------------------------------------ what goes wrong


def test_a_failed_job_keeps_its_name_and_drops_stale_labels(rng, cloud):
    X = walks(rng)
    model = waving(cloud).fit(X)
    old = model.training_job_name_
    model.set_params(job=waving(cloud, fail="k must be less").job)
    with pytest.raises(JobFailedError, match=r"k must be less") as caught:
        model.fit(X)
    assert caught.value.log_tail == ("waves of 40",)
    assert model.training_job_name_ == caught.value.job_name != old
    assert not hasattr(model, "labels_")
    assert not hasattr(model, "inertia_")
    with pytest.raises(NotFittedError, match=model.training_job_name_):
        model.predict(X)
    with pytest.raises(JobFailedError, match="k must be less"):
        model.result()
    model.set_params(job=waving(cloud).job).fit(X)  # and is as good as new
    np.testing.assert_array_equal(model.labels_, model.predict(X))


def test_a_job_that_is_refused_leaves_the_estimator_as_it_was(rng, cloud, monkeypatch):
    from shapecluster.remote._errors import from_code

    X = frame(walks(rng))
    model = waving(cloud).fit(X)
    before = dict(vars(model))
    refused = from_code("ResourceLimitExceeded", "no more jobs", "sagemaker.create_training_job")

    def refuse(**request):
        raise refused

    monkeypatch.setitem(cloud._calls, "sagemaker.create_training_job", refuse)
    with pytest.raises(type(refused), match="no more jobs"):
        model.fit(walks(rng, n=9, timepoints=12))
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is before[name] for name in before)
    fresh = clone(model)
    with pytest.raises(type(refused)):
        fresh.fit(X)
    assert not hasattr(fresh, "training_job_name_")
    records = [uri for uri in cloud.list("s3://rehearsal/") if "/jobs/" in uri and uri.endswith(".json")]
    assert [before["training_job_name_"] in uri for uri in records] == [True]  # none of a job that never was


def test_an_artifact_that_cannot_be_used_keeps_the_jobs_name(rng, cloud):
    X = walks(rng)
    model = waving(cloud, timepoints=39)
    with pytest.raises(ArtifactError, match=r"must have 40 numbers. Got 39 instead") as caught:
        model.fit(X)
    assert model.training_job_name_ in str(caught.value)
    assert not hasattr(model, "labels_")


def test_an_interrupted_fit_stops_its_job(rng, cloud, go):
    def interrupt(news):
        raise KeyboardInterrupt

    model = waving(cloud, until=go).set_params(progress=interrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        model.fit(walks(rng))
    assert f"{model.training_job_name_!r} was stopped" in caught.value.__notes__[0]
    assert statuses(cloud) == ["Stopped"]


def test_an_interrupted_fit_lets_its_job_run_on_if_that_is_wanted(rng, cloud, go):
    def interrupt(news):
        raise KeyboardInterrupt

    X = frame(walks(rng))
    model = waving(cloud, until=go, job={"on_interrupt": "detach"}).set_params(progress=interrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        model.fit(X)
    assert "attach(" in caught.value.__notes__[0]
    assert statuses(cloud) == ["InProgress"]
    go.touch()
    attached = SageMakerKShape.attach(model.training_job_name_, session=cloud).result()
    model.set_params(progress=None).result()
    assert attached.members() == model.members()


# ------------------------------------------------------------------------------------------------ sweeps


def test_no_job_of_a_sweep_begins_after_it_failed(rng, cloud, go):
    """Five fits wait for their turn when the first job fails: none of them may create a job then."""
    model = waving(cloud, fail="broken", job={"max_parallel_jobs": 1}, sleep=0.2)
    before = set(threading.enumerate())
    with pytest.raises(JobFailedError) as caught:
        KSweep(model, range(2, 8), n_jobs=6).fit(walks(rng))
    assert any("failed first; the other fits were given up" in note for note in caught.value.__notes__) or (
        "n_clusters=2" in str(caught.value.__notes__)
    )
    seen = jobs(cloud)
    wait_until(lambda: set(threading.enumerate()) <= before)
    assert jobs(cloud) == seen
    assert len(seen) <= 2  # the one that failed, and at most one that was just being created
    assert "InProgress" not in statuses(cloud)


@pytest.mark.parametrize("on_interrupt", ["stop", "detach"])
def test_an_interrupted_sweep(rng, cloud, go, on_interrupt, monkeypatch):
    """Jobs that run are stopped, or run on; in neither case does a thread wait for them any longer."""
    model = waving(cloud, until=go, job={"max_parallel_jobs": 2, "on_interrupt": on_interrupt})
    before = set(threading.enumerate())  # others may keep threads of their own
    models = model._fit_path(walks(rng), [2, 3, 4, 5], n_jobs=4)

    def interrupted(self, timeout=None):
        wait_until(lambda: len(started(cloud)) == 2)
        raise KeyboardInterrupt

    monkeypatch.setattr(Future, "result", interrupted)  # where a sweep is nearly all the time
    with pytest.raises(KeyboardInterrupt) as caught:
        next(models)
    assert len(caught.value.__notes__) == 2
    wait_until(lambda: set(threading.enumerate()) <= before)
    assert statuses(cloud) == ["Stopped" if on_interrupt == "stop" else "InProgress"] * 2
    go.touch()
    wait_until(lambda: "InProgress" not in statuses(cloud))


# ---------------------------------------------------------------------------------------------- attaching


def without_sessions(model):
    return {n: v for n, v in model.get_params().items() if n not in ("session", "wait", "progress", "job")}


@pytest.mark.parametrize("channels", [None, 2])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("init", ["k-shape++", "array"])
def test_attached_elsewhere_it_is_the_same_estimator(rng, rehearsal, channels, weighted, init):
    X = walks(rng, channels=channels)
    X[3, 5] = np.nan
    weights = rng.uniform(1, 2, size=30) if weighted else None
    given = {"random_state": np.int64(3), "max_shift": 6, "missing": "mask", "tol": 1e-5}
    given["init"] = init if init != "array" else np.nan_to_num(X[:3])
    model = SageMakerKShape(3, session=rehearsal, wait=False, **given).fit(X, sample_weight=weights)
    elsewhere = Rehearsal(rehearsal.path)
    attached = SageMakerKShape.attach(model.training_job_name_, session=elsewhere)
    assert_same(attached, LocalKShape(3, **given).fit(X, sample_weight=weights))
    assert_same(model.result(), attached)
    theirs, mine = without_sessions(attached), without_sessions(model)
    np.testing.assert_array_equal(theirs.pop("init"), mine.pop("init"))
    assert theirs == mine
    assert attached.session is elsewhere
    np.testing.assert_array_equal(attached.predict(X), model.predict(X))


@pytest.mark.parametrize(
    "index",
    [
        pd.Index([f"T{i}" for i in range(30)], name="ticker"),
        pd.Index(range(100, 130)),
        pd.Index([0.5 * i for i in range(30)], name=7),
        pd.Index(["a", 1, 2.5, False, float("nan"), *range(10, 35)], dtype=object),
        pd.Index([f'Übung {i}, \n\t"quoted" \U0001f600' for i in range(30)]),
    ],
    ids=["text", "numbers", "fractions", "anything", "unicode"],
)
def test_names_come_back(rng, rehearsal, index):
    X = pd.DataFrame(walks(rng), index=index)
    model = SageMakerKShape(3, session=rehearsal, random_state=0).fit(X)
    local = LocalKShape(3, random_state=0).fit(X)
    assert list(map(str, model.series_names_in_)) == list(map(str, local.series_names_in_))
    attached = SageMakerKShape.attach(model.training_job_name_, session=rehearsal)
    assert list(map(str, attached.series_names_in_)) == list(map(str, local.series_names_in_))
    assert str(attached.labels_frame().index.name) == str(local.labels_frame().index.name)


def test_attaching_while_it_runs_waits_for_nothing(rng, cloud, go):
    X = frame(walks(rng))
    model = waving(cloud, 3, until=go).set_params(wait=False).fit(X)
    attached = SageMakerKShape.attach(model.training_job_name_, session=Rehearsal(cloud.path))
    assert not hasattr(attached, "labels_")
    assert attached.n_clusters == 3
    with pytest.raises(NotFittedError, match="result"):
        attached.predict(X)
    with pytest.raises(JobRunningError):
        attached.result(timeout=0)
    go.touch()
    assert attached.result().members() == model.result().members()


def test_attaching_to_a_failed_job_tells_the_failure_when_asked(rng, cloud):
    model = waving(cloud, fail="no good")
    with pytest.raises(JobFailedError):
        model.fit(walks(rng))
    attached = SageMakerKShape.attach(model.training_job_name_, session=cloud)
    with pytest.raises(JobFailedError, match="no good"):
        attached.result()
    with pytest.raises(NotFittedError, match=model.training_job_name_):
        attached.members()


def test_attaching_to_what_is_not_ours_is_refused(rng, rehearsal):
    X = walks(rng)
    with pytest.raises(NotFoundError, match="There is no training job 'nothing'"):
        SageMakerKShape.attach("nothing", session=rehearsal)
    with pytest.raises(ValueError, match="job_name must be"):
        SageMakerKShape.attach("../../etc/passwd", session=rehearsal)
    means = SageMakerKMeans(2, session=rehearsal).fit(X)
    with pytest.raises(ValueError, match=r"of SageMakerKShape. Got .* begun by SageMakerKMeans"):
        SageMakerKShape.attach(means.training_job_name_, session=rehearsal)
    shape = SageMakerKShape(2, session=rehearsal).fit(X)
    with pytest.raises(ValueError, match=r"of SageMakerKMeans. Got .* begun by SageMakerKShape"):
        SageMakerKMeans.attach(shape.training_job_name_, session=rehearsal)
    request = rehearsal.call("sagemaker.describe_training_job", TrainingJobName=shape.training_job_name_)
    names = ("AlgorithmSpecification", "OutputDataConfig", "ResourceConfig", "StoppingCondition")
    bare = {name: request[name] for name in names}
    rehearsal.call("sagemaker.create_training_job", TrainingJobName="foreign", **bare)
    with pytest.raises(ValueError, match="begun by an unknown program"):
        SageMakerKShape.attach("foreign", session=rehearsal)


def test_a_record_that_was_meddled_with_sets_no_parameter_that_is_none(rng, rehearsal):
    model = SageMakerKShape(2, session=rehearsal, random_state=0).fit(walks(rng))
    (uri,) = [u for u in rehearsal.list("s3://rehearsal/") if u.endswith(f"{model.training_job_name_}.json")]
    path = rehearsal.path / "s3" / uri.removeprefix("s3://")
    record = json.loads(path.read_text())
    for parameters in ({"n_clusters": 2, "evil": 1}, None, [1], {"session": None}):
        path.write_text(json.dumps(record | {"parameters": parameters}))
        with pytest.raises(ValueError, match=r"record|parameter"):
            SageMakerKShape.attach(model.training_job_name_, session=rehearsal)


def test_data_that_is_gone_is_told_and_predictions_need_none(rng, rehearsal):
    X = walks(rng)
    model = SageMakerKShape(2, session=rehearsal, random_state=0, wait=False).fit(X)
    for uri in list(rehearsal.list("s3://rehearsal/")):
        if "/data/" in uri:
            rehearsal.delete(uri)
    with pytest.raises(ArtifactError, match="no longer where it was staged") as caught:
        model.result()
    assert model.training_job_name_ in str(caught.value)


def test_a_collected_job_is_noted(rng, rehearsal):
    model = SageMakerKShape(2, session=rehearsal, wait=False).fit(walks(rng))
    marks = [u for u in rehearsal.list("s3://rehearsal/") if u.endswith(".collected")]
    assert marks == []
    model.result()
    marks = [u for u in rehearsal.list("s3://rehearsal/") if u.endswith(".collected")]
    assert [model.training_job_name_ in mark for mark in marks] == [True]
