"""The life of a training job, seen through boto3."""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.emulator import Emulator, faults, programs
from tests.emulator.requests import STUB, channel, training_job

pytestmark = pytest.mark.slow

Wait = Callable[..., dict[str, Any]]


def statuses(answer: dict[str, Any]) -> list[str]:
    return [transition["Status"] for transition in answer["SecondaryStatusTransitions"]]


def members(s3: Any, uri: str) -> dict[str, bytes]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    with s3.get_object(Bucket=bucket, Key=key)["Body"] as body:
        archive = body.read()
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}


def test_a_job_runs_its_program_and_leaves_an_archive(
    emulator: Emulator, sagemaker: Any, s3: Any, wait: Wait
) -> None:
    start = time.monotonic()
    tags = [{"Key": "team", "Value": "lab"}]
    vpc = {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
    arn = sagemaker.create_training_job(**training_job(emulator, Tags=tags, VpcConfig=vpc))["TrainingJobArn"]
    answer = wait()
    assert time.monotonic() - start < 2
    assert arn == "arn:aws:sagemaker:us-east-1:123456789012:training-job/job"
    assert (answer["TrainingJobStatus"], answer["SecondaryStatus"]) == ("Completed", "Completed")
    assert statuses(answer) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert answer["BillableTimeInSeconds"] == 1
    assert answer["VpcConfig"] == vpc
    uri = answer["ModelArtifacts"]["S3ModelArtifacts"]
    assert uri == f"s3://{emulator.bucket}/out/job/output/model.tar.gz"
    assert members(s3, uri) == {"centroids": b"1,2,3", "from-algo-1": b""}
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == tags
    assert not emulator.inventory()


def test_the_program_finds_its_files_and_nothing_of_aws(
    emulator: Emulator, sagemaker: Any, wait: Wait
) -> None:
    request = training_job(emulator, hyperparameters={"a": "x"}, Environment={"JOB_MODE": "1"})
    sagemaker.create_training_job(**request)
    wait()
    job = emulator.job("job")
    config = job.folder / "attempt-1/algo-1/input/config"
    assert json.loads((config / "hyperparameters.json").read_text()) == {"k": "3", "a": "x"}
    assert json.loads((config / "inputdataconfig.json").read_text()) == {
        "train": {
            "ContentType": "text/csv",
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        }
    }
    assert json.loads((config / "resourceconfig.json").read_text())["current_host"] == "algo-1"
    log = (job.folder / "algo-1.log").read_text()
    assert "channel train: part-0.csv part-1.csv part-2.csv" in log
    assert "environment: JOB_MODE\n" in log


def test_the_log_is_in_cloudwatch(emulator: Emulator, sagemaker: Any, wait: Wait) -> None:
    sagemaker.create_training_job(**training_job(emulator))
    wait()
    logs = emulator.client("logs")
    group = "/aws/sagemaker/TrainingJobs"
    (stream,) = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix="job/")["logStreams"]
    where = {"logGroupName": group, "logStreamName": stream["logStreamName"]}
    first = logs.get_log_events(**where, startFromHead=True, limit=2)
    rest = logs.get_log_events(**where, nextToken=first["nextForwardToken"])
    assert [event["message"] for event in first["events"] + rest["events"]][-1] == "done"
    again = logs.get_log_events(**where, nextToken=rest["nextForwardToken"])
    assert again["events"] == []
    assert again["nextForwardToken"] == rest["nextForwardToken"]
    (last,) = logs.get_log_events(**where, limit=1)["events"]
    assert last["message"] == "done"
    with pytest.raises(logs.exceptions.ResourceNotFoundException, match="stream does not exist"):
        logs.get_log_events(logGroupName=group, logStreamName="none")


def test_a_program_that_fails_says_why(emulator: Emulator, sagemaker: Any, wait: Wait) -> None:
    parameters = {"fail": "k must be a number", "exit": "3"}
    sagemaker.create_training_job(**training_job(emulator, hyperparameters=parameters))
    answer = wait()
    assert answer["TrainingJobStatus"] == "Failed"
    assert answer["FailureReason"] == "AlgorithmError: k must be a number, exit code: 3"
    assert statuses(answer) == ["Starting", "Downloading", "Training", "Failed"]
    assert "ModelArtifacts" not in answer  # the service says null, which boto3 leaves out


@pytest.mark.parametrize("parameters", [{}, {"deaf": "1"}], ids=["SIGTERM", "SIGKILL"])
def test_a_job_can_be_stopped(
    emulator: Emulator, sagemaker: Any, wait: Wait, parameters: dict[str, str]
) -> None:
    emulator.grace = 0.2
    sagemaker.create_training_job(**training_job(emulator, hyperparameters={"sleep": "30", **parameters}))
    wait(until=lambda answer: answer["SecondaryStatus"] == "Training")
    sagemaker.stop_training_job(TrainingJobName="job")
    answer = wait()
    assert (answer["TrainingJobStatus"], answer["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert statuses(answer)[-3:] == ["Stopping", "Uploading", "Stopped"]
    with pytest.raises(sagemaker.exceptions.ClientError, match="is in status Stopped"):
        sagemaker.stop_training_job(TrainingJobName="job")


def test_a_job_has_so_much_time(emulator: Emulator, sagemaker: Any, s3: Any, wait: Wait) -> None:
    emulator.second = 0.2
    condition = {"MaxRuntimeInSeconds": 1}
    sagemaker.create_training_job(
        **training_job(emulator, hyperparameters={"sleep": "30"}, StoppingCondition=condition)
    )
    answer = wait()
    assert (answer["TrainingJobStatus"], answer["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert members(s3, answer["ModelArtifacts"]["S3ModelArtifacts"])["centroids"] == b"1,2,3"


def test_a_spot_job_goes_on_from_its_checkpoint(
    emulator: Emulator, sagemaker: Any, s3: Any, wait: Wait
) -> None:
    emulator.faults.job("job", faults.spot_interruption(when="checkpoints/*", notice=False))
    sagemaker.create_training_job(
        **training_job(
            emulator,
            hyperparameters={"sleep": "30", "checkpoint": "1"},
            EnableManagedSpotTraining=True,
            StoppingCondition={"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60},
            CheckpointConfig={"S3Uri": f"s3://{emulator.bucket}/checkpoints/job"},
        )
    )
    answer = wait()
    assert answer["TrainingJobStatus"] == "Completed"
    assert statuses(answer)[2:6] == ["Training", "Interrupted", "Starting", "Downloading"]
    assert "resumed" in (emulator.job("job").folder / "algo-1.log").read_text()
    assert emulator.job("job").attempt == 2


def test_a_spot_job_waits_so_long(emulator: Emulator, sagemaker: Any, wait: Wait) -> None:
    emulator.second = 0.1
    emulator.faults.job("job", faults.spot_interruption(wait=0.15))
    sagemaker.create_training_job(
        **training_job(
            emulator,
            hyperparameters={"sleep": "30"},
            EnableManagedSpotTraining=True,
            StoppingCondition={"MaxRuntimeInSeconds": 2, "MaxWaitTimeInSeconds": 2},
        )
    )
    assert wait()["SecondaryStatus"] in ("MaxWaitTimeExceeded", "MaxRuntimeExceeded")


def test_shards_go_to_hosts(emulator: Emulator, sagemaker: Any, s3: Any, wait: Wait) -> None:
    shards = channel(emulator, "train", S3DataDistributionType="ShardedByS3Key")
    resources = {"InstanceType": "ml.m5.xlarge", "InstanceCount": 2, "VolumeSizeInGB": 10}
    sagemaker.create_training_job(
        **training_job(emulator, InputDataConfig=[shards, channel(emulator, "all")], ResourceConfig=resources)
    )
    answer = wait()
    folder = emulator.job("job").folder
    assert "channel train: part-0.csv part-2.csv" in (folder / "algo-1.log").read_text()
    assert "channel train: part-1.csv\n" in (folder / "algo-2.log").read_text()
    assert "channel all: part-0.csv part-1.csv part-2.csv" in (folder / "algo-2.log").read_text()
    names = members(s3, answer["ModelArtifacts"]["S3ModelArtifacts"])
    assert sorted(names) == ["centroids", "from-algo-1", "from-algo-2"]


def test_an_isolated_job_has_no_network(emulator: Emulator, sagemaker: Any, wait: Wait) -> None:
    if not programs.can_isolate():
        pytest.skip("this machine lets us make no network namespace")
    parameters = {"network": emulator.url.removeprefix("http://")}
    sagemaker.create_training_job(**training_job(emulator, "open", hyperparameters=parameters))
    sagemaker.create_training_job(
        **training_job(emulator, "shut", hyperparameters=parameters, EnableNetworkIsolation=True)
    )
    for name, reached in (("open", True), ("shut", False)):
        assert wait(name)["TrainingJobStatus"] == "Completed"
        log = (emulator.job(name).folder / "algo-1.log").read_text()
        assert ("network: 0" in log) == reached


def test_the_archive_is_encrypted_with_the_key_that_was_asked_for(
    emulator: Emulator, sagemaker: Any, s3: Any, wait: Wait
) -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/1"
    output = {"S3OutputPath": f"s3://{emulator.bucket}/out", "KmsKeyId": key}
    sagemaker.create_training_job(**training_job(emulator, OutputDataConfig=output))
    wait()
    head = s3.head_object(Bucket=emulator.bucket, Key="out/job/output/model.tar.gz")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)


def test_images_are_known_by_name(emulator: Emulator) -> None:
    kmeans = emulator.images.find("382416733822.dkr.ecr.us-east-1.amazonaws.com/kmeans:1")
    assert kmeans is not None
    assert kmeans.options == ("--algorithm", "k-means")
    ours = emulator.images.find("123456789012.dkr.ecr.us-east-1.amazonaws.com/shapecluster:0.1")
    assert ours is not None
    assert ours.options == ("--algorithm", "k-shape")
    assert emulator.images.find(STUB) is None
