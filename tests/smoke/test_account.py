"""Small jobs on AWS itself, for whoever has an account. Opt-in, billed, and never run by this project.

    SHAPECLUSTER_AWS_SMOKE=yes SHAPECLUSTER_AWS_RATE=0.2 SAGEMAKER_ROLE=arn:aws:iam::... \
        python -m pytest -s -m aws tests/smoke

boto3's own settings say which account and region; SHAPECLUSTER_AWS_RATE is what an hour of the machine costs,
for the estimates that are printed. There are also:

SHAPECLUSTER_AWS_IMAGE     URI of our image in your repository (`make image`, and push it); else no k-Shape
SHAPECLUSTER_AWS_BUCKET    an existing bucket instead of sagemaker-<region>-<account>, which is not created
SHAPECLUSTER_AWS_INSTANCE  instead of ml.m5.large

Each job is stopped after ten minutes whatever happens, and what was stored is deleted at the end; logs stay.
The same tests run against the emulator all the time, so that they are sound when somebody needs them.
"""

# ruff: noqa: T201 -- what is billed is said

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import boto3
import numpy as np
import pytest

from shapecluster import LocalKShape, SageMakerKMeans, SageMakerKShape
from shapecluster.exceptions import JobStoppedError, RemoteError
from shapecluster.remote import Job
from shapecluster.remote._client import find_bucket
from shapecluster.remote._platform import open_platform
from tests.emulator.programs import OURS

MAX_RUN = 600  # seconds
CHOSEN = os.environ.get("SHAPECLUSTER_AWS_SMOKE") == "yes"
REASON = (
    "billed by AWS, and never run by this project: SHAPECLUSTER_AWS_SMOKE=yes runs it (see the file's head)"
)
AWS = pytest.param("aws", marks=[pytest.mark.aws, pytest.mark.skipif(not CHOSEN, reason=REASON)])


@dataclass
class Account:
    """Where jobs run, and with what."""

    session: Any
    role: str | None
    image: str | None
    job: Job
    rate: float

    def settle(self, model: Any) -> None:
        """Say what a job cost."""
        billed, cost = model.billable_seconds_, model.estimated_cost(self.rate)
        print(f"\n{model.training_job_name_}: {billed} s billed, about {cost:.4f} at {self.rate:g} an hour")

    def delete_everything(self) -> None:
        platform = open_platform(self.session)
        base = f"s3://{find_bucket(platform, self.job)}/{self.job.prefix}"
        for uri in list(platform.list(base + "/")):
            platform.delete(uri)
        assert not list(platform.list(base + "/"))


def real_account(prefix: str) -> Account:
    setting = os.environ.get
    job = Job(
        prefix=prefix,
        bucket=setting("SHAPECLUSTER_AWS_BUCKET"),
        instance_type=setting("SHAPECLUSTER_AWS_INSTANCE", "ml.m5.large"),
        max_run_seconds=MAX_RUN,
        volume_size_gb=1,
    )
    if "SHAPECLUSTER_AWS_RATE" not in os.environ:
        pytest.fail(
            f"SHAPECLUSTER_AWS_RATE must be what an hour of {job.instance_type} costs. It is not set."
        )
    rate = float(os.environ["SHAPECLUSTER_AWS_RATE"])
    print(f"\n{MAX_RUN} s of {job.instance_type} at most, no more than {rate * MAX_RUN / 3600:.4f}")
    return Account(boto3.Session(), None, setting("SHAPECLUSTER_AWS_IMAGE"), job, rate)


@pytest.fixture(params=["emulator", AWS])
def account(request: pytest.FixtureRequest) -> Iterator[Account]:
    prefix = f"shapecluster-smoke/{uuid4().hex}"
    if request.param == "aws":
        found = real_account(prefix)
    else:
        emulator = request.getfixturevalue("emulator")
        job = Job(prefix=prefix, poll_interval=0.01, max_run_seconds=MAX_RUN, volume_size_gb=1)
        found = Account(emulator.session(), emulator.role, OURS, job, 0.1)
    yield found
    found.delete_everything()


def test_the_built_in_k_means_finds_what_was_planted_and_can_be_attached_to(account):
    noise = np.random.default_rng(0).normal(scale=0.01, size=(400, 4))
    X = np.repeat(10 * np.eye(4), 100, axis=0) + noise
    model = SageMakerKMeans(
        4, role=account.role, session=account.session, job=account.job, mini_batch_size=200
    ).fit(X)
    account.settle(model)
    assert model.billable_seconds_ <= MAX_RUN
    assert np.bincount(model.labels_).tolist() == [100] * 4
    again = SageMakerKMeans.attach(model.training_job_name_, account.session)
    np.testing.assert_array_equal(again.labels_, model.labels_)


def test_k_shape_in_our_image_is_a_local_fit(account):
    if account.image is None:
        pytest.skip("SHAPECLUSTER_AWS_IMAGE names no image of ours")
    X = np.random.default_rng(0).normal(size=(20, 30)).cumsum(axis=1)
    local = LocalKShape(3, random_state=0).fit(X)
    model = SageMakerKShape(
        3,
        image_uri=account.image,
        role=account.role,
        session=account.session,
        job=account.job,
        random_state=0,
    ).fit(X)
    account.settle(model)
    np.testing.assert_array_equal(model.labels_, local.labels_)
    assert model.inertia_ == pytest.approx(local.inertia_, rel=1e-10)


def test_a_job_that_is_stopped_ends_and_is_no_success(account):
    model = SageMakerKMeans(2, role=account.role, session=account.session, job=account.job, wait=False).fit(
        np.eye(4)
    )
    try:
        model.stop()
        with pytest.raises(JobStoppedError, match=model.training_job_name_):
            model.result(timeout=MAX_RUN)
    except RemoteError:
        model.stop()  # once more, for it is billed
        raise
