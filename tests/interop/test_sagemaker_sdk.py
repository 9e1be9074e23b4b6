"""Both estimators beside the SageMaker SDK 3, over HTTP against the emulator: `bash .ci/run sdk`."""

from __future__ import annotations

import importlib.util
import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from botocore.loaders import create_loader
from sklearn.base import clone

from shapecluster import LocalKShape, SageMakerKMeans, SageMakerKShape
from shapecluster.exceptions import CredentialsError, JobStoppedError, NotFoundError
from shapecluster.remote import Job
from shapecluster.remote._platform import open_platform
from shapecluster.sagemaker._builtin import _ACCOUNTS, k_means_image
from tests.emulator import faults
from tests.emulator.programs import OURS, Program

if importlib.util.find_spec("sagemaker") is None:
    pytest.skip(
        'the SageMaker SDK is not installed: pip install "shapecluster[sagemaker]" (`bash .ci/run sdk` does)',
        allow_module_level=True,
    )

from sagemaker.core.helper.session_helper import Session
from sagemaker.core.image_uris import retrieve
from sagemaker.core.local.local_session import LocalSession
from sagemaker.core.resources import TrainingJob

WAVES = "123456789012.dkr.ecr.us-east-1.amazonaws.com/waves:latest"
FAST = Job(poll_interval=0.01)
OTHER = "AKIAI44QH8DHBEXAMPLE"
LOADER = create_loader()


@pytest.fixture
def aws(emulator, monkeypatch, tmp_path):
    """The emulator, with a program that starts in milliseconds; the SDK reads no configuration file."""
    waves = Path(__file__).parents[1] / "sagemaker" / "waves.py"
    emulator.images.add(WAVES, Program((sys.executable, "-I", "-S", str(waves))))
    nothing = tmp_path / "sdk.yaml"
    nothing.write_text('SchemaVersion: "1.0"\n')
    for place in ("ADMIN", "USER"):
        monkeypatch.setenv(f"SAGEMAKER_{place}_CONFIG_OVERRIDE", str(nothing))
    monkeypatch.delenv("SAGEMAKER_ROLE", raising=False)
    make = emulator.session

    def session(*arguments, **options):
        made = make(*arguments, **options)
        made._session.register_component("data_loader", LOADER)  # which reads large files
        return made

    monkeypatch.setattr(emulator, "session", session)
    return emulator


def series(n=30, timepoints=40):
    phases = np.random.default_rng(0).normal(scale=0.2, size=(n, 1))
    frequencies = 1 + np.arange(n)[:, None] % 3
    return np.sin(2 * np.pi * frequencies * np.linspace(0, 1, timepoints) + phases)


def waving(aws, session, **options):
    job = Job(poll_interval=0.01, hyperparameters={"timepoints": "40"})
    return SageMakerKShape(
        3, **{"image_uri": WAVES, "role": aws.role, "session": session, "job": job, **options}
    )


def test_a_fit_through_a_session_of_the_sdk_is_a_local_fit(aws):
    X = series()
    local = LocalKShape(3, random_state=0).fit(X)
    session = Session(boto_session=aws.session())
    model = SageMakerKShape(3, image_uri=OURS, role=aws.role, session=session, job=FAST, random_state=0).fit(
        X
    )
    np.testing.assert_array_equal(model.labels_, local.labels_)
    assert model.inertia_ == pytest.approx(local.inertia_, rel=1e-10)

    job = model.training_job()
    assert type(job) is TrainingJob
    assert job.training_job_name == model.training_job_name_
    assert job.training_job_status == "Completed"
    assert job.hyper_parameters["n_clusters"] == "3"
    assert job.algorithm_specification.training_image == OURS
    assert job.model_artifacts.s3_model_artifacts.endswith(f"{model.training_job_name_}/output/model.tar.gz")
    assert job.billable_time_in_seconds == model.billable_seconds_
    assert job.refresh() is job
    assert job.get_name() == model.training_job_name_

    attached = SageMakerKShape.attach(job.training_job_name, session=session)
    np.testing.assert_array_equal(attached.labels_, local.labels_)
    assert not aws.inventory()


def test_every_job_asks_with_the_credentials_of_its_own_session(aws):
    models = [waving(aws, aws.session()), waving(aws, Session(boto_session=aws.session(OTHER)))]
    jobs = [model.fit(series()).training_job() for model in models]
    for job, key in zip(jobs, (aws.caller.access_key, OTHER), strict=True):
        job.refresh()
        last = aws.calls("DescribeTrainingJob")[-1]
        assert (last.access_key, last.region) == (key, "us-east-1")


def test_without_a_session_the_job_is_found_with_the_default_credentials(aws):
    model = waving(aws, None).fit(series())
    assert model.training_job().refresh().training_job_status == "Completed"
    assert aws.calls.access_keys() == {aws.caller.access_key}


def test_a_job_that_the_sdk_stopped_is_no_result(aws, tmp_path):
    hyperparameters = {"timepoints": "40", "until": str(tmp_path / "never")}
    job = Job(poll_interval=0.01, hyperparameters=hyperparameters)
    model = waving(aws, Session(boto_session=aws.session()), job=job, wait=False).fit(series())
    found = model.training_job()
    assert found.training_job_status == "InProgress"
    found.stop()
    with pytest.raises(JobStoppedError, match=model.training_job_name_):
        model.result()
    assert found.refresh().training_job_status == "Stopped"


def test_errors_of_the_sdk_are_ours_and_hold_no_secret(aws):
    model = waving(aws, aws.session()).fit(series())
    name, model.training_job_name_ = model.training_job_name_, "no-such-job"
    with pytest.raises(NotFoundError, match="resource not found"):
        model.training_job()
    model.training_job_name_ = name
    aws.faults.always("DescribeTrainingJob", faults.expired_token())
    with pytest.raises(CredentialsError) as caught:
        model.training_job()
    assert caught.value.__context__ is None
    assert "planted" not in str(caught.value)


def test_a_session_is_kept_by_clones_and_dropped_by_pickles(aws):
    session = Session(boto_session=aws.session())
    model = waving(aws, session).fit(series())
    assert clone(model).session is session
    kept = pickle.dumps(model)
    for secret in (b"planted", aws.caller.access_key.encode()):
        assert secret not in kept
    assert "planted" not in repr(model) + repr(model.training_job())
    with pytest.raises(CredentialsError, match="set it again"):
        pickle.loads(kept).training_job()


def test_an_sdk_that_mixes_sessions_up_is_refused(aws, monkeypatch):
    model = waving(aws, aws.session()).fit(series())
    monkeypatch.setattr("shapecluster.remote._sdk.version", lambda name: "2.23.1")
    with pytest.raises(ImportError, match=r"sagemaker-core 2\.24 .* Got 2\.23\.1 instead"):
        model.training_job()


# ----------------------------------------------------------------------------- what a session knows


def test_a_bucket_of_the_sessions_own_is_taken_and_not_created(aws):
    session = Session(boto_session=aws.session(), default_bucket="our-own-bucket")
    with pytest.raises(NotFoundError, match="no bucket 'our-own-bucket'"):
        waving(aws, session).fit(series())
    assert not aws.calls("CreateBucket")
    model = waving(aws, session)
    model.set_params(job=Job(poll_interval=0.01, create_bucket=True, hyperparameters={"timepoints": "40"}))
    artifacts = model.fit(series()).training_job().model_artifacts
    assert artifacts.s3_model_artifacts.startswith("s3://our-own-bucket/shapecluster/")


def test_the_default_bucket_is_the_sdks(aws, monkeypatch):
    # The SDK asks the real STS, whatever AWS_ENDPOINT_URL says.
    monkeypatch.setattr("sagemaker.core.helper.session_helper.sts_regional_endpoint", lambda region: aws.url)
    session = Session(boto_session=aws.session())
    assert open_platform(session).default_bucket() == session.default_bucket() == aws.bucket


def test_the_role_is_that_of_the_notebook(aws, tmp_path, monkeypatch):
    metadata = tmp_path / "resource-metadata.json"
    metadata.write_text(json.dumps({"ResourceName": "mine", "ExecutionRoleArn": aws.role}))
    monkeypatch.setattr("sagemaker.core.helper.session_helper.NOTEBOOK_METADATA_FILE", str(metadata))
    waving(aws, Session(boto_session=aws.session()), role=None).fit(series())
    (create,) = aws.calls("CreateTrainingJob")
    assert create.request["RoleArn"] == aws.role


def test_local_mode_is_refused_rather_than_sent_to_aws(aws):
    session = LocalSession(boto_session=aws.session())
    with pytest.raises(ValueError, match=r"a Rehearsal .* Got a LocalSession in local mode instead"):
        waving(aws, session).fit(series())
    assert not aws.calls("CreateTrainingJob")


# --------------------------------------------------------------------------------------------- images


@pytest.mark.parametrize("region", [*_ACCOUNTS, "eu-west-3", "cn-north-1", "us-gov-west-1"])
def test_the_image_of_k_means_is_the_one_that_the_sdk_names(region):
    assert k_means_image(region) == retrieve("kmeans", region)


def test_k_means_runs_in_a_region_that_only_the_sdk_lists(aws):
    session = Session(boto_session=aws.session(region="eu-west-3"), default_bucket=aws.bucket)
    X = np.repeat(10 * np.eye(3), 5, axis=0)
    model = SageMakerKMeans(3, role=aws.role, session=session, job=FAST).fit(X)
    assert sorted(np.bincount(model.labels_)) == [5, 5, 5]
    image = model.training_job().algorithm_specification.training_image
    assert image == "749696950732.dkr.ecr.eu-west-3.amazonaws.com/kmeans:1"


def test_a_region_without_an_image_is_named():
    with pytest.raises(ValueError, match="mars-1"):
        k_means_image("mars-1")
