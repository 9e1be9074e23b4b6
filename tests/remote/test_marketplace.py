"""What an algorithm takes is known before it is billed."""

from __future__ import annotations

import pytest

from shapecluster.exceptions import AccessError, NotFoundError, NotSubscribedError
from shapecluster.remote import Job, Rehearsal
from shapecluster.remote._errors import from_code
from shapecluster.remote._marketplace import describe_algorithm
from shapecluster.remote._polling import JobClient
from tests.remote.fakes import ARN, FakePlatform

DESCRIBE = "sagemaker.describe_algorithm"
MACHINE = Job(instance_type="ml.m5.4xlarge")


def parameter(name, kind="FreeText", **more):
    return {"Name": name, "Type": kind, "IsRequired": False, **more}


def listing(**changes):
    training = {
        "SupportedHyperParameters": [
            parameter(
                "k",
                "Integer",
                IsRequired=True,
                Range={"IntegerParameterRangeSpecification": {"MinValue": "2", "MaxValue": "99"}},
            ),
            parameter("label_size", "Integer", IsRequired=True, DefaultValue="1"),
            parameter(
                "tol",
                "Continuous",
                Range={"ContinuousParameterRangeSpecification": {"MinValue": "0", "MaxValue": "0.5"}},
            ),
            parameter(
                "init",
                "Categorical",
                Range={"CategoricalParameterRangeSpecification": {"Values": ["random", "kmeans++"]}},
            ),
            parameter(
                "odd",
                "Integer",
                Range={"IntegerParameterRangeSpecification": {"MinValue": "any", "MaxValue": ""}},
            ),
            parameter("note"),
        ],
        "SupportedTrainingInstanceTypes": ["ml.m5.4xlarge"],
        "SupportsDistributedTraining": False,
        "TrainingChannels": [
            {"Name": "train", "IsRequired": True, "SupportedContentTypes": ["text/csv"]},
            {"Name": "test", "IsRequired": False},
        ],
    }
    inference = {
        "SupportedRealtimeInferenceInstanceTypes": ["ml.c5.large"],
        "SupportedTransformInstanceTypes": ["ml.c5.xlarge"],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["application/json"],
    }
    return {"TrainingSpecification": training | changes, "InferenceSpecification": inference}


@pytest.fixture
def platform() -> FakePlatform:
    platform = FakePlatform()
    platform.script(DESCRIBE, listing())
    return platform


def test_what_a_listing_says_is_read(platform):
    algorithm = describe_algorithm(JobClient(platform), ARN)
    assert algorithm.arn == ARN
    assert set(algorithm.hyperparameters) == {"k", "label_size", "tol", "init", "odd", "note"}
    assert algorithm.hyperparameters["k"].required
    assert not algorithm.hyperparameters["label_size"].required  # it has a default
    assert algorithm.training_types == ("ml.m5.4xlarge",)
    assert algorithm.channels["train"].content_types == ("text/csv",)


@pytest.mark.parametrize(
    "given",
    [
        {"k": "2"},
        {"k": "99", "tol": "0.5", "init": "random", "note": "anything", "odd": "-5"},
        {"k": "3", "tol": "1e-3", "label_size": "0"},
    ],
)
def test_what_fits_is_taken(platform, given):
    describe_algorithm(JobClient(platform), ARN).check(given, MACHINE)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, r"needs the hyperparameters \['k'\]"),
        ({"k": "1"}, "'k' must be an integer from 2 to 99. Got '1'"),
        ({"k": "2.5"}, "'k' must be an integer"),
        ({"k": "many"}, "'k' must be an integer"),
        ({"k": "3", "tol": "0.6"}, "'tol' must be a number from 0 to 0.5"),
        ({"k": "3", "tol": "nan"}, "'tol' must be a number"),
        ({"k": "3", "init": "best"}, "'init' must be one of random, kmeans"),
        ({"k": "3", "n_init": "5", "seed": "1"}, r"does not know the hyperparameters \['n_init', 'seed'\]"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(platform, given, says):
    with pytest.raises(ValueError, match=says):
        describe_algorithm(JobClient(platform), ARN).check(given, MACHINE)


def test_machines_that_it_does_not_run_on_are_refused(platform):
    algorithm = describe_algorithm(JobClient(platform), ARN)
    with pytest.raises(ValueError, match=r"trains on: ml\.m5\.4xlarge\. Got 'ml\.m5\.xlarge'"):
        algorithm.check({"k": "3"}, Job())
    with pytest.raises(ValueError, match="instance_count of Job must be 1"):
        algorithm.check({"k": "3"}, Job(instance_type="ml.m5.4xlarge", instance_count=2))
    platform.script(DESCRIBE, listing(SupportsDistributedTraining=True))
    job = Job(instance_type="ml.m5.4xlarge", instance_count=2)
    describe_algorithm(JobClient(platform), ARN).check({"k": "3"}, job)


def test_the_channel_is_the_required_one_the_jobs_or_the_only_one(platform):
    algorithm = describe_algorithm(JobClient(platform), ARN)
    assert algorithm.training_channel(Job()).name == "train"
    assert algorithm.training_channel(Job(channel="test")).name == "test"
    with pytest.raises(ValueError, match="test, train"):
        algorithm.training_channel(Job(channel="other"))
    platform.script(DESCRIBE, listing(TrainingChannels=[{"Name": "data", "IsRequired": False}]))
    assert describe_algorithm(JobClient(platform), ARN).training_channel(Job()).name == "data"
    both = [{"Name": "a", "IsRequired": True}, {"Name": "b", "IsRequired": True}]
    platform.script(DESCRIBE, listing(TrainingChannels=both))
    with pytest.raises(ValueError, match="which one"):
        describe_algorithm(JobClient(platform), ARN).training_channel(Job())


@pytest.mark.parametrize(
    "arn", ["k-shape", "arn:aws:s3:::bucket", "arn:aws:sagemaker:eu-west-1:1:model/x", None]
)
def test_what_is_no_arn_of_an_algorithm_is_refused_unasked(platform, arn):
    with pytest.raises(ValueError, match="algorithm_arn must look like"):
        describe_algorithm(JobClient(platform), arn)
    assert not platform.calls


def test_an_arn_of_another_region_is_refused_unasked(platform):
    with pytest.raises(ValueError, match=r"'eu-west-1'.*'us-east-1'"):
        describe_algorithm(JobClient(platform), ARN.replace("eu-west-1", "us-east-1"))
    assert not platform.calls


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        ("ValidationException", "Caller is not subscribed to the marketplace offering", NotSubscribedError),
        ("ValidationException", "Requested resource not found", NotFoundError),
        ("AccessDeniedException", "not authorized", AccessError),
    ],
)
def test_what_the_service_refuses_is_told(platform, code, message, expected):
    platform.script(DESCRIBE, from_code(code, message, DESCRIBE))
    with pytest.raises(expected):
        describe_algorithm(JobClient(platform), ARN)


def test_an_algorithm_that_is_not_ready_is_told(platform):
    platform.script(DESCRIBE, listing() | {"AlgorithmStatus": "Deleting"})
    with pytest.raises(NotSubscribedError, match="'Deleting'"):
        describe_algorithm(JobClient(platform), ARN)


def test_a_rehearsal_answers_for_any_algorithm(tmp_path):
    algorithm = describe_algorithm(JobClient(Rehearsal(tmp_path)), ARN)
    algorithm.check({"k": "11", "label_size": "1"}, MACHINE)
    assert algorithm.training_channel(Job()).name == "train"
