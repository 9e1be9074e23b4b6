"""Both estimators against an emulator of AWS, by boto3 over HTTP: whole lives, and what goes wrong."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import boto3
import numpy as np
import pytest
from botocore.loaders import create_loader
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from shapecluster import KSweep, LocalKShape, SageMakerKMeans, SageMakerKShape
from shapecluster.exceptions import (
    AccessError,
    ArtifactError,
    ArtifactWarning,
    CapacityError,
    ConnectionLostError,
    CredentialsError,
    JobFailedError,
    JobStoppedError,
    NotFoundError,
    NotSubscribedError,
    QuotaError,
)
from shapecluster.metrics import sbd_distances
from shapecluster.preprocessing import ZScore
from shapecluster.prices import load_prices
from shapecluster.remote import Job, _polling, _retries
from shapecluster.sagemaker import _kmeans
from tests.emulator import faults, programs
from tests.emulator.programs import OURS, Program
from tests.sagemaker.test_kshape import assert_same, frame, walks

WAVES = "123456789012.dkr.ecr.us-east-1.amazonaws.com/waves:latest"
LOADER = create_loader()
FAST = Job(poll_interval=0.01)


@pytest.fixture
def aws(emulator, monkeypatch):
    """The emulator, with a program that starts in milliseconds; waits after trouble are short."""
    emulator.images.add(
        WAVES, Program((sys.executable, "-I", "-S", str(Path(__file__).with_name("waves.py"))))
    )
    session = emulator.session()
    session._session.register_component("data_loader", LOADER)  # which reads large files
    monkeypatch.setattr(emulator, "session", lambda: session)
    monkeypatch.setattr(_retries, "_SLOWEST", 0.05)
    monkeypatch.setattr(_retries, "_PATIENCE", 1.0)
    monkeypatch.setattr(_polling, "_PATIENCE", 1.0)
    monkeypatch.setitem(_polling._INTERVALS, "aws", 0.01)  # of those who attach
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.01)
    return emulator


def waving(aws, n_clusters=2, job=None, **options):
    """An estimator whose job does what these hyperparameters say."""
    settings = {"poll_interval": 0.01, **(job or {})}
    hyperparameters = {k: str(v) for k, v in {"timepoints": 40, **options}.items()}
    return SageMakerKShape(
        n_clusters,
        image_uri=WAVES,
        role=aws.role,
        session=aws.session(),
        job=Job(**settings, hyperparameters=hyperparameters),
    )


def foreign(aws, n_clusters=3, **options):
    """An estimator whose job is somebody else's program."""
    given = {"algorithm_arn": aws.algorithm_arn, "role": aws.role, "session": aws.session(), "job": FAST}
    return SageMakerKShape(n_clusters, **{**given, **options})


def uploads(aws):
    return [c for c in aws.calls("PutObject", service="s3") if "/data/part-" in c.request["Key"]]


# ------------------------------------------------------------------------------------------- whole lives


@pytest.fixture
def prices(request, rng):
    """The lab's ninety-nine tickers where they are at hand, else walks."""
    try:
        folder = request.getfixturevalue("shared_data")
    except pytest.skip.Exception:
        return frame(walks(rng, n=99, timepoints=103))
    return load_prices(folder / "market/seed_lab_2020_adj_close.csv.gz")


def test_a_pipeline_is_the_same_with_our_image(aws, prices):
    local = make_pipeline(ZScore(), LocalKShape(11, random_state=0)).fit(prices)
    model = SageMakerKShape(
        11, image_uri=OURS, role=aws.role, session=aws.session(), job=FAST, random_state=0
    )
    remote = make_pipeline(ZScore(), model).fit(prices)
    assert_same(remote[-1], local[-1])
    assert abs(remote[-1].inertia_ - local[-1].inertia_) <= 1e-10 * local[-1].inertia_
    assert remote[-1].members() == local[-1].members()
    assert not aws.inventory()
    assert not aws.calls("List*Jobs")


def nearest(X, centers):
    """As somebody would assign who has only read the paper."""
    return sbd_distances(X, centers).argmin(axis=1)


def test_a_pipeline_with_somebody_elses_program(aws, prices):
    remote = make_pipeline(ZScore(), foreign(aws, 5)).fit(prices)
    model = remote[-1]
    seen = ZScore().fit_transform(prices)
    np.testing.assert_array_equal(model.labels_, nearest(seen, model.cluster_centers_))
    np.testing.assert_array_equal(model.labels_, remote.predict(prices))
    distances = sbd_distances(seen, model.cluster_centers_).min(axis=1)
    assert model.inertia_ == pytest.approx((distances**2).sum(), rel=1e-10)
    np.testing.assert_allclose(model.cluster_centers_.std(axis=1), 1, rtol=1e-12)
    assert len(model.centroid_report_.renormalized) == 5
    assert sum(len(names) for names in model.members().values()) == len(prices)
    (create,) = aws.calls("CreateTrainingJob")
    assert create.request["EnableNetworkIsolation"] is True
    assert create.request["HyperParameters"] == {"k": "5", "label_size": "1"}
    assert not aws.inventory()
    attached = SageMakerKShape.attach(model.training_job_name_, session=aws.session())
    assert attached.members() == model.members()
    assert attached.inertia_ == model.inertia_


@pytest.mark.parametrize(("flaw", "kept"), [("missing", 2), ("nan", 2)])
def test_centroids_that_are_missing_are_told_and_the_rest_is_used(aws, rng, flaw, kept):
    aws.algorithms[aws.algorithm_arn].program = programs.foreign_kshape(FOREIGN_FLAW=flaw)
    X = frame(walks(rng))
    with pytest.warns(ArtifactWarning, match="2 of 3 centroids can be used") as caught:
        model = foreign(aws).fit(X)
    assert model.training_job_name_ in str(caught[0].message)
    assert caught[0].filename == __file__
    assert model.cluster_centers_.shape == (kept, 40)
    assert not model.centroid_report_.complete
    np.testing.assert_array_equal(model.labels_, nearest(X, model.cluster_centers_))
    assert model.members().keys() == {0, 1}
    assert model.transform(X).shape == (30, 2)
    assert model.get_feature_names_out().tolist() == ["sagemakerkshape0", "sagemakerkshape1"]
    local = model.to_local()
    np.testing.assert_array_equal(local.predict(X), model.labels_)
    assert local.n_clusters == 2
    assert not aws.inventory()


def test_k_means_built_in(aws, rng):
    X = np.repeat(10 * np.eye(4), 8, axis=0) + 0.01 * rng.normal(size=(32, 4))
    model = SageMakerKMeans(4, role=aws.role, session=aws.session(), job=FAST).fit(X)
    assert sorted(np.bincount(model.labels_)) == [8, 8, 8, 8]
    (create,) = aws.calls("CreateTrainingJob")
    assert create.request["AlgorithmSpecification"]["TrainingImage"].endswith("/kmeans:1")
    assert "Environment" not in create.request
    assert not aws.inventory()


@pytest.mark.filterwarnings("ignore:KSweep. the minimum SSD:shapecluster.exceptions.SweepWarning")
@pytest.mark.filterwarnings("ignore:.*number of distinct clusters:sklearn.exceptions.ConvergenceWarning")
def test_a_sweep_under_throttling(aws, rng, tmp_path, monkeypatch):
    """Nineteen jobs, eight fits at a time, three machines, and a service that takes four jobs a second."""
    monkeypatch.setattr(_retries, "_SLOWEST", 1.0)  # waits have to grow beyond the second of the limit
    aws.throttle.limit("CreateTrainingJob", 4)
    aws.quota.limit = 3
    model = waving(aws, job={"max_parallel_jobs": 3, "poll_interval": 0.05}, until=tmp_path / "go")

    def let_go_once_three_run():
        end = time.monotonic() + 30
        while aws.quota.running < 3 and time.monotonic() < end:
            time.sleep(0.01)
        (tmp_path / "go").touch()

    threading.Thread(target=let_go_once_three_run).start()
    sweep = KSweep(model, k=range(2, 21), n_jobs=8).fit(walks(rng))
    assert sweep.results_.index.tolist() == list(range(2, 21))
    names = {one.training_job_name_ for one in sweep.estimators_.values()}
    assert len(names) == len(list(aws.training_jobs)) == 19
    assert {aws.job(name).status for name in names} == {"Completed"}
    assert aws.quota.peak == 3
    assert len(uploads(aws)) == 1
    assert not aws.calls("List*", service="sagemaker")
    assert aws.calls.access_keys() == {aws.caller.access_key}
    assert {aws.job(name).caller.access_key for name in names} == {aws.caller.access_key}
    assert [call for call in aws.calls("CreateTrainingJob") if call.error == "ThrottlingException"]
    assert not [call for call in aws.calls() if call.error not in ("", "ThrottlingException", "404")]
    assert not aws.inventory()


# ------------------------------------------------------------------------- refused before it is billed


def spoiled(aws, operation, fault):
    aws.faults.always(operation, fault)


REFUSED = [
    (
        "DescribeAlgorithm",
        lambda aws: setattr(aws.algorithms[aws.algorithm_arn], "subscribed", False),
        NotSubscribedError,
    ),
    ("machine", {"job": Job(instance_type="ml.p3.2xlarge")}, ValueError),
    ("role", {"role": "somebody"}, ValueError),
    ("no role", {"role": None}, ValueError),
    ("region", {"algorithm_arn": "arn:aws:sagemaker:eu-west-1:111122223333:algorithm/k-shape"}, ValueError),
    ("k", {"n_clusters": 1}, ValueError),
    ("bucket", {"job": Job(bucket="nobody-has-this")}, NotFoundError),
    ("channel", {"job": Job(channel="training")}, ValueError),
]


@pytest.mark.parametrize(("what", "wrong", "error"), REFUSED, ids=[row[0] for row in REFUSED])
def test_nothing_is_uploaded_or_created_when_the_listing_or_account_says_no(
    aws, rng, monkeypatch, what, wrong, error
):
    monkeypatch.delenv("SAGEMAKER_ROLE", raising=False)
    model = foreign(aws, **wrong) if isinstance(wrong, dict) else foreign(aws)
    if callable(wrong):
        wrong(aws)
    with pytest.raises(error):
        model.fit(walks(rng))
    assert not aws.calls("CreateTrainingJob")
    assert not aws.calls("Put*", service="s3")
    assert not hasattr(model, "training_job_name_")
    assert not aws.inventory()


def test_aws_needs_to_be_told_what_to_run(aws, rng):
    with pytest.raises(ValueError, match="algorithm_arn or image_uri of SageMakerKShape"):
        SageMakerKShape(2, role=aws.role, session=aws.session()).fit(walks(rng))
    assert not aws.calls("Put*", service="s3")


def test_roles_come_from_the_argument_or_the_environment(aws, rng, monkeypatch):
    monkeypatch.setenv("SAGEMAKER_ROLE", aws.role)
    model = waving(aws).set_params(role=None).fit(walks(rng))
    assert aws.calls("CreateTrainingJob")[0].request["RoleArn"] == aws.role
    assert model.role is None


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.access_denied(), AccessError),
        (faults.pass_role_denied("arn:aws:iam::123456789012:role/x"), AccessError),
        (faults.expired_token(), CredentialsError),
        (
            faults.error("ResourceLimitExceeded", "The account-level service limit is 0 Instances"),
            QuotaError,
        ),
    ],
    ids=["denied", "pass role", "expired", "quota"],
)
def test_a_job_that_cannot_be_created_leaves_nothing(aws, rng, fault, error):
    X = frame(walks(rng))
    model = waving(aws).fit(X)
    before = dict(vars(model))
    aws.faults.always("CreateTrainingJob", fault)
    with pytest.raises(error):
        model.fit(walks(rng, n=9, timepoints=12))
    assert {n: id(v) for n, v in vars(model).items()} == {n: id(v) for n, v in before.items()}
    assert not aws.inventory()
    aws.faults.clear()
    model.fit(X)
    assert model.training_job_name_ != before["training_job_name_"]


# ----------------------------------------------------------------------------------- once it is under way


def recovered(aws, model, X):
    """The job's result, taken up by somebody else; as another estimator of the same kind would have it."""
    other = SageMakerKShape.attach(model.training_job_name_, session=aws.session())
    other.result()
    local = waving(aws).fit(X)
    np.testing.assert_array_equal(other.labels_, local.labels_)
    assert other.inertia_ == local.inertia_
    assert other.members() == local.members()


LOST = [
    ("DescribeTrainingJob", faults.expired_token(), CredentialsError),
    ("DescribeTrainingJob", faults.access_denied(), AccessError),
    ("DescribeTrainingJob", faults.dropped(), ConnectionLostError),
    ("s3.GetObject", faults.expired_token(), CredentialsError),
    ("s3.GetObject", faults.access_denied(), AccessError),
]


@pytest.mark.parametrize(("operation", "fault", "error"), LOST, ids=[f"{r[0]}-{r[1]}" for r in LOST])
def test_a_fit_that_loses_sight_of_its_job_names_it_and_attach_recovers_it(aws, rng, operation, fault, error):
    X = frame(walks(rng))
    model = waving(aws)
    with aws.faults.during(operation, fault), pytest.raises(error) as caught:
        model.fit(X)
    assert caught.value.job_name == model.training_job_name_
    assert model.training_job_name_ in str(caught.value)
    assert "attach(" in str(caught.value)
    assert not hasattr(model, "labels_")
    with pytest.raises(NotFittedError, match=model.training_job_name_):
        model.predict(X)
    model.result()  # with credentials that are good again
    np.testing.assert_array_equal(model.labels_, model.predict(X))
    recovered(aws, model, X)
    assert not aws.inventory()


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        (faults.job_failed("AlgorithmError: k is too large, exit code: 1"), JobFailedError, "k is too large"),
        (faults.capacity_error(), CapacityError, "Unable to provision"),
        (faults.internal_job_error(), JobFailedError, "InternalServerError"),
        (faults.job_stopped(), JobStoppedError, "Someone stopped it"),
        (faults.out_of_time(), JobStoppedError, "max_run_seconds"),
    ],
    ids=["failed", "capacity", "internal", "stopped", "overtime"],
)
def test_a_job_that_does_not_complete_is_an_error(aws, rng, fault, error, message):
    X = walks(rng)
    model = waving(aws, sleep=0.3).fit(X)
    old = model.training_job_name_
    aws.faults.job("*", fault)
    with pytest.raises(error, match=message) as caught:
        model.fit(X)
    assert model.training_job_name_ == caught.value.job_name != old
    assert not hasattr(model, "labels_")
    attached = SageMakerKShape.attach(model.training_job_name_, session=aws.session())
    with pytest.raises(error, match=message):
        attached.result()
    assert not aws.inventory()


@pytest.mark.parametrize("spoil", ["truncated", "traversal", "oversize", "garbage", "absolute link"])
@pytest.mark.parametrize("kind", ["k-shape", "k-means"])
def test_an_archive_that_is_spoiled_is_refused_and_the_name_kept(aws, rng, monkeypatch, spoil, kind):
    X = walks(rng)
    model = waving(aws)
    if kind == "k-means":
        monkeypatch.setattr(_kmeans, "_MOST_MODEL", 256 << 20)  # of a GiB, which would take longer
        model = SageMakerKMeans(2, image_uri=WAVES, role=aws.role, session=aws.session(), job=model.job)
        model.fit(X)  # as long as nobody meddles with it
        del model.labels_
    aws.faults.job("*", faults.artifact(spoil, size=300 << 20))
    with pytest.raises(ArtifactError) as caught:
        model.fit(X)
    assert model.training_job_name_ in str(caught.value)
    assert not hasattr(model, "labels_")
    assert not aws.inventory()


def test_a_model_that_is_gone_is_told(aws, rng):
    aws.faults.job("*", faults.artifact("missing"))
    model = waving(aws)
    with pytest.raises(NotFoundError, match="completed, but its model is not at"):
        model.fit(walks(rng))
    assert model.training_job_name_
    assert not aws.inventory()


@pytest.mark.parametrize("on_interrupt", ["stop", "detach"])
def test_ctrl_c(aws, rng, tmp_path, on_interrupt):
    def interrupt(news):
        if news.secondary_status == "Training":
            raise KeyboardInterrupt

    X = frame(walks(rng))
    model = waving(aws, job={"on_interrupt": on_interrupt}, until=tmp_path / "go")
    with pytest.raises(KeyboardInterrupt) as caught:
        model.set_params(progress=interrupt).fit(X)
    job = aws.job(model.training_job_name_)
    if on_interrupt == "stop":
        assert "was stopped" in caught.value.__notes__[0]
        assert job.status == "Stopped"
    else:
        assert f"attach({model.training_job_name_!r}" in caught.value.__notes__[0]
        assert aws.inventory().running_jobs == (model.training_job_name_,)
        (tmp_path / "go").touch()
        recovered(aws, model, X)
    assert not aws.inventory()


def test_a_sweep_whose_first_job_fails_leaves_no_job_behind(aws, rng):
    model = waving(aws, job={"max_parallel_jobs": 2}, sleep=0.5)
    aws.faults.job("*", faults.job_failed(stage="Downloading"), times=1)
    with pytest.raises(JobFailedError, match="something broke"):
        KSweep(model, range(2, 9), n_jobs=7).fit(walks(rng))
    assert len(aws.calls("CreateTrainingJob")) <= 3
    assert not aws.inventory()


def test_throttled_calls_are_repeated_and_nothing_is_created_twice(aws, rng):
    aws.faults.add("CreateTrainingJob", faults.throttling())
    aws.faults.add("CreateTrainingJob", faults.dropped(after=True), nth=2)
    model = waving(aws).fit(walks(rng))
    assert len(list(aws.training_jobs)) == 1
    assert aws.job(model.training_job_name_).status == "Completed"


# ----------------------------------------------------------------------------------- where and how it runs


def test_what_the_job_says_is_asked_for(aws, rng):
    settings = {
        "instance_type": "ml.c5.2xlarge",
        "volume_size_gb": 7,
        "max_run_seconds": 77,
        "spot": True,
        "checkpoint": True,
        "tags": {"desk": "research"},
        "prefix": "team/one",
        "output_kms_key": "alias/mine",
        "subnets": ("subnet-1",),
        "security_group_ids": ("sg-1",),
    }
    waving(aws, job=settings).fit(walks(rng))
    (create,) = aws.calls("CreateTrainingJob")
    request = create.request
    assert request["ResourceConfig"]["InstanceType"] == "ml.c5.2xlarge"
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 77, "MaxWaitTimeInSeconds": 154}
    assert {"Key": "desk", "Value": "research"} in request["Tags"]
    assert request["OutputDataConfig"]["S3OutputPath"].endswith("/team/one/jobs")
    assert request["OutputDataConfig"]["KmsKeyId"] == "alias/mine"
    assert request["VpcConfig"]["Subnets"] == ["subnet-1"]
    uri = request["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"]
    assert uri.startswith(f"s3://{aws.bucket}/team/one/")


def test_the_same_data_is_uploaded_once_and_other_data_again(aws, rng):
    X = frame(walks(rng))
    waving(aws).fit(X)
    waving(aws, 3).fit(X.copy())
    assert len(uploads(aws)) == 1
    waving(aws).fit(X.rename({"T000": "OTHER"}))
    assert len(uploads(aws)) == 2
    waving(aws).fit(X.astype(np.float32))
    assert len(uploads(aws)) == 3


def test_every_call_to_s3_expects_the_callers_own_bucket(aws, rng):
    waving(aws).fit(walks(rng))
    calls = aws.calls(service="s3")
    assert calls
    assert {call.request.get("ExpectedBucketOwner") for call in calls} == {"123456789012"}


def test_the_default_session_is_boto3s_own(aws, rng):
    model = waving(aws).set_params(session=None).fit(walks(rng))
    assert model.session is None
    assert isinstance(aws.session(), boto3.Session)
    assert len(aws.calls("CreateTrainingJob")) == 1
