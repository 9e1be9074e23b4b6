"""Each fault once: what boto3 makes of it, and that the emulator is as it should be afterward."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from urllib3.exceptions import ProtocolError

from tests.emulator import Emulator, faults
from tests.emulator.requests import training_job

pytestmark = pytest.mark.slow

Wait = Callable[..., dict[str, Any]]


def code(caught: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize(
    ("fault", "sagemaker_says", "s3_says", "sts_says"),
    [
        (faults.throttling(), ("ThrottlingException", 400), ("SlowDown", 503), ("Throttling", 400)),
        (
            faults.expired_token(),
            ("ExpiredTokenException", 400),
            ("ExpiredToken", 400),
            ("ExpiredToken", 403),
        ),
        (
            faults.access_denied(),
            ("AccessDeniedException", 400),
            ("AccessDenied", 403),
            ("AccessDenied", 403),
        ),
        (
            faults.internal_failure(),
            ("InternalFailure", 500),
            ("InternalError", 500),
            ("InternalFailure", 500),
        ),
        (faults.unavailable(), *[("ServiceUnavailable", 503)] * 3),
    ],
    ids=str,
)
def test_each_api_refuses_in_its_own_words(
    emulator: Emulator,
    sagemaker: Any,
    s3: Any,
    fault: faults.CallFault,
    sagemaker_says: tuple[str, int],
    s3_says: tuple[str, int],
    sts_says: tuple[str, int],
) -> None:
    emulator.faults.always("*", fault)
    sts = emulator.client("sts", config=Config(retries={"max_attempts": 0}))
    with pytest.raises(ClientError) as caught:
        sagemaker.create_training_job(**training_job(emulator))
    assert code(caught) == sagemaker_says
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket=emulator.bucket, Key="data/part-0.csv")
    assert code(caught) == s3_says
    with pytest.raises(ClientError) as caught:
        sts.get_caller_identity()
    assert code(caught) == sts_says
    assert [call.fault for call in emulator.calls() if call.operation != "PutObject"] == [str(fault)] * 3
    assert not emulator.inventory()


def test_a_fault_strikes_the_calls_it_is_meant_for(emulator: Emulator, sagemaker: Any, wait: Wait) -> None:
    emulator.faults.add("DescribeTrainingJob", faults.throttling(), nth=2, times=2)
    sagemaker.create_training_job(**training_job(emulator))
    seen = []
    for _ in range(4):
        try:
            sagemaker.describe_training_job(TrainingJobName="job")
            seen.append("")
        except ClientError as error:
            seen.append(error.response["Error"]["Code"])
    assert seen == ["", "ThrottlingException", "ThrottlingException", ""]
    emulator.faults.always("Describe*", faults.expired_token(), caller="AKIDOTHER")
    assert wait()["TrainingJobStatus"] == "Completed"
    other = emulator.client("sagemaker", access_key="AKIDOTHER")
    with pytest.raises(ClientError, match="ExpiredToken"):
        other.describe_training_job(TrainingJobName="job")


def test_boto3_gets_over_throttling(emulator: Emulator, sagemaker: Any, wait: Wait) -> None:
    emulator.faults.add("CreateTrainingJob", faults.throttling())
    patient = emulator.client("sagemaker", config=Config(retries={"mode": "standard", "max_attempts": 3}))
    patient.create_training_job(**training_job(emulator))
    assert [call.error for call in emulator.calls("CreateTrainingJob")] == ["ThrottlingException", ""]
    assert wait()["TrainingJobStatus"] == "Completed"


def test_a_rate_can_be_limited(emulator: Emulator, sagemaker: Any, wait: Wait) -> None:
    emulator.throttle.limit("CreateTrainingJob", 2)
    for number in range(2):
        sagemaker.create_training_job(**training_job(emulator, f"job-{number}"))
    with pytest.raises(ClientError, match="Rate exceeded"):
        sagemaker.create_training_job(**training_job(emulator, "job-2"))
    for number in range(2):
        wait(f"job-{number}")


@pytest.mark.parametrize("after", [False, True])
def test_a_connection_can_be_dropped_before_or_after_the_call_took_effect(
    emulator: Emulator, sagemaker: Any, wait: Wait, after: bool
) -> None:
    emulator.faults.add("CreateTrainingJob", faults.dropped(after=after))
    with pytest.raises(ConnectionClosedError):
        sagemaker.create_training_job(**training_job(emulator))
    if after:
        assert wait()["TrainingJobStatus"] == "Completed"
        with pytest.raises(sagemaker.exceptions.ResourceInUse):
            sagemaker.create_training_job(**training_job(emulator))
    else:
        with pytest.raises(ClientError, match="Requested resource not found"):
            sagemaker.describe_training_job(TrainingJobName="job")


def test_an_answer_can_hang(emulator: Emulator, sagemaker: Any) -> None:
    emulator.faults.add("DescribeTrainingJob", faults.hung())
    config = Config(read_timeout=0.2, retries={"max_attempts": 0})
    hasty = emulator.client("sagemaker", config=config)
    start = time.monotonic()
    with pytest.raises(ReadTimeoutError):
        hasty.describe_training_job(TrainingJobName="job")
    assert time.monotonic() - start < 2


def test_a_download_can_break_off(emulator: Emulator, s3: Any) -> None:
    emulator.faults.add("s3.GetObject", faults.cut(3))
    answer = s3.get_object(Bucket=emulator.bucket, Key="data/part-0.csv")
    with answer["Body"] as body, pytest.raises(ProtocolError):
        body.read()


@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [
        (faults.job_failed("AlgorithmError: broke, exit code: 1"), "Failed", "AlgorithmError: broke"),
        (faults.job_failed("ClientError: no", stage="Downloading"), "Failed", "ClientError: no"),
        (faults.capacity_error(), "Failed", "CapacityError: Unable to provision requested ML compute"),
        (faults.internal_job_error(), "Failed", "InternalServerError"),
        (faults.job_stopped(), "Stopped", ""),
        (faults.job_stopped("Starting"), "Stopped", ""),
        (faults.out_of_time(), "Stopped", ""),
    ],
    ids=["failed", "download", "capacity", "internal", "stopped", "stopped early", "overtime"],
)
def test_a_job_can_end_badly(
    emulator: Emulator, sagemaker: Any, wait: Wait, fault: faults.JobFault, status: str, reason: str
) -> None:
    emulator.faults.job("job", fault)
    sagemaker.create_training_job(**training_job(emulator, hyperparameters={"sleep": "30"}))
    answer = wait()
    assert answer["TrainingJobStatus"] == status
    assert answer.get("FailureReason", "").startswith(reason)
    if fault.kind == "overtime":
        assert answer["SecondaryStatus"] == "MaxRuntimeExceeded"
    assert not emulator.inventory()


def _archive(s3: Any, emulator: Emulator) -> bytes:
    with s3.get_object(Bucket=emulator.bucket, Key="out/job/output/model.tar.gz")["Body"] as body:
        content: bytes = body.read()
    return content


@pytest.mark.parametrize(
    "spoil", ["missing", "truncated", "oversize", "traversal", "absolute link", "garbage"]
)
def test_an_archive_can_be_spoiled(
    emulator: Emulator, sagemaker: Any, s3: Any, wait: Wait, spoil: Any
) -> None:
    emulator.faults.job("job", faults.artifact(spoil))
    sagemaker.create_training_job(**training_job(emulator))
    assert wait()["TrainingJobStatus"] == "Completed"
    if spoil == "missing":
        with pytest.raises(s3.exceptions.NoSuchKey):
            _archive(s3, emulator)
        return
    archive = _archive(s3, emulator)
    if spoil in ("truncated", "garbage"):
        with pytest.raises((tarfile.ReadError, EOFError)), tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.getmembers()
        return
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        first = tar.next()
    assert first is not None
    match spoil:
        case "oversize":
            assert (first.name, first.size) == ("centroids", 300 << 20)
            assert len(archive) < 1 << 20
        case "traversal":
            assert first.name == "../../centroids"
        case "absolute link":
            assert (first.name, first.issym(), first.linkname) == ("centroids", True, "/etc/passwd")


def test_a_large_upload_goes_in_parts_and_can_be_refused(emulator: Emulator) -> None:
    config = Config(retries={"max_attempts": 0})
    s3 = emulator.session().client("s3", config=config)  # one that knows upload_fileobj
    content = bytes(9 << 20)
    s3.upload_fileobj(io.BytesIO(content), emulator.bucket, "large")
    assert s3.head_object(Bucket=emulator.bucket, Key="large")["ContentLength"] == len(content)
    assert emulator.calls.counts("s3") == {
        "CreateMultipartUpload": 1,
        "UploadPart": 2,
        "CompleteMultipartUpload": 1,
        "HeadObject": 1,
    }
    emulator.faults.add("UploadPart", faults.throttling())
    with pytest.raises(ClientError, match="SlowDown"):
        s3.upload_fileobj(io.BytesIO(content), emulator.bucket, "other")
    assert len(emulator.calls("AbortMultipartUpload")) == 1


def test_each_emulator_starts_empty() -> None:
    for _ in range(3):
        with Emulator() as emulator:
            s3 = emulator.client("s3")
            assert "Contents" not in s3.list_objects_v2(Bucket=emulator.bucket)
            s3.put_object(Bucket=emulator.bucket, Key="a", Body=b"")


def test_nothing_answers_once_it_is_closed() -> None:
    with Emulator() as emulator:
        sts = emulator.client("sts", config=Config(retries={"max_attempts": 0}))
        assert sts.get_caller_identity()["Account"] == "123456789012"
    with pytest.raises(EndpointConnectionError):
        sts.get_caller_identity()
    assert not emulator.folder.exists()
