"""What the service refuses, with its codes and texts; and what callers and roles may do."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.emulator import Emulator, faults
from tests.emulator.programs import stub
from tests.emulator.requests import channel, training_job

pytestmark = pytest.mark.slow

Wait = Callable[..., dict[str, Any]]
ARN = Emulator.algorithm_arn


def listed_job(emulator: Emulator, **changes: Any) -> dict[str, Any]:
    """A job of the Marketplace algorithm; the stub runs in its place."""
    emulator.algorithms[ARN].program = stub()
    request = training_job(
        emulator,
        AlgorithmSpecification={"AlgorithmName": ARN, "TrainingInputMode": "File"},
        EnableNetworkIsolation=True,
    )
    return {**request, **changes}


BUCKET = Emulator.bucket
REFUSED = {
    "name": (
        {"TrainingJobName": "a_b"},
        "1 validation error detected: Value 'a_b' at 'trainingJobName' failed",
    ),
    "long value": (
        {"HyperParameters": {"k": "1" * 2501}},
        "hyperParameters.k' failed to satisfy constraint: Member must have length less than or equal to 2500",
    ),
    "too many": ({"HyperParameters": {f"p{i}": "1" for i in range(101)}}, "less than or equal to 100"),
    "role": (
        {"RoleArn": "arn:aws:iam::123456789012:role/Nobody"},
        "Could not assume role arn:aws:iam::123456789012:role/Nobody. Please ensure that the role exists",
    ),
    "bucket": ({"OutputDataConfig": {"S3OutputPath": "s3://not-there/x"}}, "does not exist"),
    "no time": (
        {"StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 90}},
        "only supported",
    ),
    "short wait": (
        {
            "EnableManagedSpotTraining": True,
            "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 30},
        },
        "must be present and be greater than or equal to MaxRuntimeInSeconds",
    ),
    "image": (
        {"AlgorithmSpecification": {"TrainingImage": "a.dkr.ecr/no/such:1", "TrainingInputMode": "File"}},
        "Cannot find repository: no/such in registry ID: a",
    ),
}


@pytest.mark.parametrize(("changes", "text"), REFUSED.values(), ids=list(REFUSED))
def test_a_request_that_the_service_refuses(
    emulator: Emulator, sagemaker: Any, changes: dict[str, Any], text: str
) -> None:
    with pytest.raises(ClientError) as caught:
        sagemaker.create_training_job(**{**training_job(emulator), **changes})
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert text in str(caught.value)
    assert not emulator.inventory()


def test_no_data(emulator: Emulator, sagemaker: Any) -> None:
    for prefix in ("elsewhere/", "data/part-9"):
        request = training_job(emulator, InputDataConfig=[channel(emulator, "train", prefix)])
        with pytest.raises(ClientError, match="No S3 objects found under S3 URL"):
            sagemaker.create_training_job(**request)


def test_built_in_algorithms_take_no_environment(emulator: Emulator, sagemaker: Any) -> None:
    image = "382416733822.dkr.ecr.us-east-1.amazonaws.com/kmeans:1"
    specification = {"TrainingImage": image, "TrainingInputMode": "File"}
    request = training_job(emulator, AlgorithmSpecification=specification, Environment={"A": "1"})
    with pytest.raises(ClientError, match="Environment is not supported"):
        sagemaker.create_training_job(**request)


def test_names_are_unique(emulator: Emulator, sagemaker: Any, wait: Wait) -> None:
    sagemaker.create_training_job(**training_job(emulator))
    with pytest.raises(
        sagemaker.exceptions.ResourceInUse, match="training job with this name already exists"
    ):
        sagemaker.create_training_job(**training_job(emulator, "JOB"))
    wait()
    with pytest.raises(sagemaker.exceptions.ResourceInUse):
        sagemaker.create_training_job(**training_job(emulator))


def test_jobs_are_counted_and_limited(emulator: Emulator, sagemaker: Any, wait: Wait) -> None:
    emulator.quota.limit = 2
    for number in range(2):
        request = training_job(emulator, f"job-{number}", hyperparameters={"sleep": "0.3"})
        sagemaker.create_training_job(**request)
    with pytest.raises(
        sagemaker.exceptions.ResourceLimitExceeded, match="current utilization of 2 Instances"
    ):
        sagemaker.create_training_job(**training_job(emulator, "job-2"))
    assert emulator.inventory().running_jobs == ("job-0", "job-1")
    for number in range(2):
        wait(f"job-{number}")
    sagemaker.create_training_job(**training_job(emulator, "job-2"))
    wait("job-2")
    assert (emulator.quota.peak, emulator.quota.running) == (2, 0)


def test_a_sweep_of_three_at_a_time_never_has_four(emulator: Emulator, sagemaker: Any, wait: Wait) -> None:
    emulator.quota.limit = 3

    def run(number: int) -> None:
        sagemaker.create_training_job(**training_job(emulator, f"job-{number}"))
        assert wait(f"job-{number}")["TrainingJobStatus"] == "Completed"

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(run, range(9)))
    assert (emulator.quota.peak, emulator.quota.running) == (3, 0)


def test_a_warm_pool_is_told_of(emulator: Emulator, sagemaker: Any, wait: Wait) -> None:
    resources = {"InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 1, "InstanceCount": 1}
    resources["KeepAlivePeriodInSeconds"] = 600
    sagemaker.create_training_job(**training_job(emulator, ResourceConfig=resources))
    assert wait()["WarmPoolStatus"]["Status"] == "Available"


def test_passing_a_role_can_be_denied(emulator: Emulator, sagemaker: Any) -> None:
    emulator.faults.add("CreateTrainingJob", faults.pass_role_denied(emulator.role))
    with pytest.raises(ClientError, match=f"perform: iam:PassRole on resource: {emulator.role}") as caught:
        sagemaker.create_training_job(**training_job(emulator))
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"


def test_the_marketplace_algorithm_is_described_and_runs(
    emulator: Emulator, sagemaker: Any, wait: Wait
) -> None:
    answer = sagemaker.describe_algorithm(AlgorithmName=ARN)["TrainingSpecification"]
    assert [parameter["Name"] for parameter in answer["SupportedHyperParameters"]] == ["k", "label_size"]
    assert [listed["Name"] for listed in answer["TrainingChannels"]] == ["train"]
    sagemaker.create_training_job(**listed_job(emulator))
    assert wait()["TrainingJobStatus"] == "Completed"


LISTED = {
    "isolation": (
        {"EnableNetworkIsolation": False},
        "EnableNetworkIsolation must be true for jobs using SageMaker Marketplace algorithms",
    ),
    "parameter": ({"HyperParameters": {"k": "3", "tol": "1"}}, "tol is not supported"),
    "required": ({"HyperParameters": {}}, "k is required"),
    "range": ({"HyperParameters": {"k": "three"}}, "k must be an integer"),
    "instance": ({"ResourceConfig": {"InstanceType": "ml.t3.medium", "VolumeSizeInGB": 1}}, "not supported"),
}


@pytest.mark.parametrize(("changes", "text"), LISTED.values(), ids=list(LISTED))
def test_what_a_listing_does_not_allow(
    emulator: Emulator, sagemaker: Any, changes: dict[str, Any], text: str
) -> None:
    with pytest.raises(ClientError, match=text):
        sagemaker.create_training_job(**listed_job(emulator, **changes))


def test_a_listing_asks_for_a_subscription_and_its_region(
    emulator: Emulator, sagemaker: Any, s3: Any
) -> None:
    elsewhere = emulator.client("sagemaker", region="eu-west-1")
    with pytest.raises(ClientError, match="is in region us-east-1"):
        elsewhere.create_training_job(**listed_job(emulator))
    emulator.algorithms[ARN].subscribed = False
    with pytest.raises(ClientError, match="Caller is not subscribed to the marketplace offering"):
        sagemaker.create_training_job(**listed_job(emulator))


def test_s3_looks_at_the_expected_owner(emulator: Emulator, s3: Any) -> None:
    where = {"Bucket": emulator.bucket, "Key": "data/part-0.csv"}
    s3.head_object(**where, ExpectedBucketOwner="123456789012")
    with pytest.raises(ClientError, match="403"):
        s3.head_object(**where, ExpectedBucketOwner="210987654321")
    assert emulator.calls("HeadObject", ExpectedBucketOwner="123456789012")


POLICY: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob", "sagemaker:AddTags"],
            "Resource": "arn:aws:sagemaker:us-east-1:123456789012:training-job/*",
        },
        {
            "Effect": "Allow",
            "Action": "iam:PassRole",
            "Resource": Emulator.role,
            "Condition": {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        },
        {"Effect": "Allow", "Action": "s3:*Object", "Resource": f"arn:aws:s3:::{BUCKET}/*"},
    ],
}


def without(action: str) -> dict[str, Any]:
    statements = [s for s in POLICY["Statement"] if action not in s["Action"]]
    assert len(statements) < len(POLICY["Statement"])
    return {**POLICY, "Statement": statements}


def test_a_policy_allows_what_it_says(emulator: Emulator, s3: Any, wait: Wait) -> None:
    bound = emulator.client("sagemaker", access_key="AKIDBOUND")
    emulator.policies.attach("AKIDBOUND", POLICY)
    bound.create_training_job(**training_job(emulator, Tags=[{"Key": "a", "Value": "b"}]))
    with pytest.raises(ClientError, match="not authorized to perform: sagemaker:StopTrainingJob on resource"):
        bound.stop_training_job(TrainingJobName="job")
    wait()
    emulator.policies.attach("AKIDBOUND", without("iam:PassRole"))
    with pytest.raises(ClientError, match=f"iam:PassRole on resource: {emulator.role}") as caught:
        bound.create_training_job(**training_job(emulator, "other"))
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
    emulator.policies.attach("AKIDBOUND", without("sagemaker:AddTags"))
    with pytest.raises(ClientError, match="sagemaker:CreateTrainingJob"):
        bound.create_training_job(**training_job(emulator, "other"))


def test_s3_hides_from_those_who_may_not_list(emulator: Emulator, s3: Any) -> None:
    emulator.policies.attach("AKIDBOUND", POLICY)
    bound = emulator.client("s3", access_key="AKIDBOUND", config=Config(retries={"max_attempts": 0}))
    bound.head_object(Bucket=emulator.bucket, Key="data/part-0.csv")
    with pytest.raises(ClientError, match="403"):
        bound.head_object(Bucket=emulator.bucket, Key="data/none")
    with pytest.raises(ClientError, match="s3:ListBucket"):
        bound.list_objects_v2(Bucket=emulator.bucket)


def test_a_role_reads_and_writes_what_it_may(emulator: Emulator, sagemaker: Any, wait: Wait) -> None:
    role = "arn:aws:iam::123456789012:role/Reader"
    everything = {"Effect": "Allow", "Action": "s3:*", "Resource": f"arn:aws:s3:::{BUCKET}*"}
    no_data = {"Effect": "Deny", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/data/*"}
    emulator.policies.add_role(role, {"Statement": [everything, no_data]})
    sagemaker.create_training_job(**training_job(emulator, RoleArn=role))
    assert "not allowed s3:GetObject" in wait()["FailureReason"]
    emulator.policies.add_role(role, {"Statement": [everything]})
    sagemaker.create_training_job(**training_job(emulator, "other", RoleArn=role))
    assert wait("other")["TrainingJobStatus"] == "Completed"


def test_calls_are_recorded_with_their_caller_and_no_secret(
    emulator: Emulator, sagemaker: Any, wait: Wait
) -> None:
    own = emulator.session(access_key="AKIDOWN").client("sagemaker")
    own.create_training_job(**training_job(emulator))
    wait()
    (call,) = emulator.calls("Create*", service="sagemaker")
    assert (call.access_key, call.region, call.status, call.error) == ("AKIDOWN", "us-east-1", 200, "")
    assert call.request == training_job(emulator)
    assert emulator.calls.access_keys("CreateTrainingJob") == {"AKIDOWN"}
    assert emulator.calls.counts("sagemaker").keys() == {"CreateTrainingJob", "DescribeTrainingJob"}
    assert not emulator.calls("List*", service="sagemaker")
    assert "planted" not in repr(emulator.calls())


def test_lists_are_paged(emulator: Emulator, sagemaker: Any, wait: Wait) -> None:
    for number in range(3):
        sagemaker.create_training_job(**training_job(emulator, f"job-{number}"))
        wait(f"job-{number}")
    pages = sagemaker.get_paginator("list_training_jobs").paginate(PaginationConfig={"PageSize": 2})
    names = [job["TrainingJobName"] for page in pages for job in page["TrainingJobSummaries"]]
    assert names == ["job-2", "job-1", "job-0"]
    assert len(emulator.calls("ListTrainingJobs")) == 2


def test_what_the_emulator_cannot_do_is_an_error_of_its_own() -> None:
    emulator = Emulator().__enter__()
    client = emulator.client("sagemaker", config=Config(retries={"max_attempts": 0}))
    with pytest.raises(ClientError, match="no ListExperiments"):
        client.list_experiments()
    with pytest.raises(AssertionError, match="itself failed"):
        emulator.close()
