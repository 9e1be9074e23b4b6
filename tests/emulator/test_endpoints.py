"""Models, endpoints and transform jobs, which really serve."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.emulator import Emulator, faults, programs
from tests.emulator.requests import STUB, training_job

pytestmark = pytest.mark.slow

Wait = Callable[..., dict[str, Any]]


@pytest.fixture
def runtime(emulator: Emulator) -> Any:
    return emulator.client("sagemaker-runtime", config=Config(retries={"max_attempts": 0}))


@pytest.fixture
def model(emulator: Emulator, sagemaker: Any, wait: Wait) -> str:
    """The name of a model that the stub trained."""
    sagemaker.create_training_job(**training_job(emulator))
    create_model(emulator, sagemaker, wait()["ModelArtifacts"]["S3ModelArtifacts"])
    return "model"


def create_model(emulator: Emulator, sagemaker: Any, uri: str, **changes: Any) -> None:
    container = {"Image": STUB, "ModelDataUrl": uri, **changes.pop("container", {})}
    sagemaker.create_model(
        ModelName="model", PrimaryContainer=container, ExecutionRoleArn=emulator.role, **changes
    )


def deploy(sagemaker: Any, name: str = "endpoint") -> None:
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": "model",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName="config", ProductionVariants=[variant])
    tags = [{"Key": "a", "Value": "b"}]
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName="config", Tags=tags)


def settled(sagemaker: Any, name: str = "endpoint") -> dict[str, Any]:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        answer: dict[str, Any] = sagemaker.describe_endpoint(EndpointName=name)
        if answer["EndpointStatus"] not in ("Creating", "Deleting"):
            return answer
        time.sleep(0.01)
    raise AssertionError(answer)


def delete_endpoint(emulator: Emulator, sagemaker: Any, name: str = "endpoint") -> None:
    sagemaker.delete_endpoint(EndpointName=name)
    end = time.monotonic() + 20
    while any(emulator.endpoints) and time.monotonic() < end:
        time.sleep(0.01)


def test_the_life_of_an_endpoint(emulator: Emulator, sagemaker: Any, runtime: Any, model: str) -> None:
    deploy(sagemaker)
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        sagemaker.delete_endpoint(EndpointName="endpoint")
    answer = settled(sagemaker)
    assert answer["EndpointStatus"] == "InService"
    assert sagemaker.list_tags(ResourceArn=answer["EndpointArn"])["Tags"] == [{"Key": "a", "Value": "b"}]
    invoked = runtime.invoke_endpoint(
        EndpointName="endpoint", Body=b"1,2,3\n4,5\n", ContentType="text/csv", Accept="text/plain"
    )
    assert (invoked["Body"].read(), invoked["ContentType"]) == (b"5\n3\n", "text/plain")
    left = emulator.inventory()
    assert (left.endpoints, left.configs, left.models) == (("endpoint",), ("config",), ("model",))
    delete_endpoint(emulator, sagemaker)
    sagemaker.delete_endpoint_config(EndpointConfigName="config")
    sagemaker.delete_model(ModelName="model")
    assert not emulator.inventory()
    with pytest.raises(
        ClientError, match='Could not find endpoint "arn:aws:sagemaker:us-east-1:123456789012'
    ):
        sagemaker.describe_endpoint(EndpointName="endpoint")
    with pytest.raises(
        runtime.exceptions.ValidationError, match="Endpoint endpoint of account 123456789012 not"
    ):
        runtime.invoke_endpoint(EndpointName="endpoint", Body=b"")


def test_what_an_endpoint_answers_when_it_cannot(
    emulator: Emulator, sagemaker: Any, runtime: Any, model: str
) -> None:
    deploy(sagemaker)
    settled(sagemaker)
    for status, side in ((500, "server"), (415, "client")):
        with pytest.raises(runtime.exceptions.ModelError) as caught:
            runtime.invoke_endpoint(EndpointName="endpoint", Body=f"status {status}".encode())
        response = caught.value.response
        assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
        assert response["OriginalStatusCode"] == status
        assert f"Received {side} error ({status}) from primary with message" in str(caught.value)
    emulator.faults.add("InvokeEndpoint", faults.model_error(503))
    with pytest.raises(runtime.exceptions.ModelError, match=r"server error \(503\)"):
        runtime.invoke_endpoint(EndpointName="endpoint", Body=b"1")
    emulator.faults.add("InvokeEndpoint", faults.unavailable())
    with pytest.raises(runtime.exceptions.ServiceUnavailable):
        runtime.invoke_endpoint(EndpointName="endpoint", Body=b"1")
    emulator.faults.add("InvokeEndpoint", faults.internal_failure())
    with pytest.raises(runtime.exceptions.InternalFailure):
        runtime.invoke_endpoint(EndpointName="endpoint", Body=b"1")
    with pytest.raises(ClientError, match="content length exceeded 6291456 bytes"):
        runtime.invoke_endpoint(EndpointName="endpoint", Body=bytes((6 << 20) + 1))
    with pytest.raises(runtime.exceptions.ModelError):
        runtime.invoke_endpoint(EndpointName="endpoint", Body=b"die")


def test_an_endpoint_that_never_answers_pings_fails(emulator: Emulator, sagemaker: Any, model: str) -> None:
    emulator.images.add(STUB, programs.stub(STUB_REFUSE="1"))
    deploy(sagemaker)
    answer = settled(sagemaker)
    assert answer["EndpointStatus"] == "Failed"
    assert "did not pass the ping health check" in answer["FailureReason"]
    logs = emulator.client("logs")
    group = "/aws/sagemaker/Endpoints/endpoint"
    (stream,) = logs.describe_log_streams(logGroupName=group)["logStreams"]
    events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])["events"]
    assert [event["message"] for event in events] == ["I do not start"]
    delete_endpoint(emulator, sagemaker)
    assert not emulator.inventory().endpoints


def test_an_endpoint_can_be_made_to_fail(emulator: Emulator, sagemaker: Any, model: str) -> None:
    emulator.faults.job("endpoint", faults.capacity_error(stage="Creating"))
    deploy(sagemaker)
    assert settled(sagemaker)["FailureReason"].startswith("CapacityError")


def test_an_isolated_model_is_reached_and_reaches_nobody(
    emulator: Emulator, sagemaker: Any, runtime: Any, model: str
) -> None:
    if not programs.can_isolate():
        pytest.skip("this machine lets us make no network namespace")
    uri = sagemaker.describe_model(ModelName="model")["PrimaryContainer"]["ModelDataUrl"]
    sagemaker.delete_model(ModelName="model")
    create_model(emulator, sagemaker, uri, EnableNetworkIsolation=True)
    deploy(sagemaker)
    assert settled(sagemaker)["EndpointStatus"] == "InService"
    for address, reached in ((emulator.url.removeprefix("http://"), False), ("127.0.0.1:8080", True)):
        body = f"connect {address}".encode()
        answer = runtime.invoke_endpoint(EndpointName="endpoint", Body=body)["Body"].read()
        assert (answer == b"0") == reached


def test_names_and_what_they_refer_to(emulator: Emulator, sagemaker: Any, model: str) -> None:
    uri = sagemaker.describe_model(ModelName="model")["PrimaryContainer"]["ModelDataUrl"]
    with pytest.raises(ClientError, match='Cannot create already existing model "arn:'):
        create_model(emulator, sagemaker, uri)
    sagemaker.delete_model(ModelName="model")
    for delete, what in (
        (lambda: sagemaker.delete_model(ModelName="model"), "model"),
        (lambda: sagemaker.delete_endpoint_config(EndpointConfigName="c"), "endpoint configuration"),
        (lambda: sagemaker.delete_endpoint(EndpointName="e"), "endpoint"),
        (
            lambda: sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="c"),
            "endpoint configuration",
        ),
        (lambda: deploy(sagemaker), "model"),
    ):
        with pytest.raises(ClientError, match=f'Could not find {what} "arn:'):
            delete()
    with pytest.raises(ClientError, match="Could not access model data at s3://"):
        create_model(emulator, sagemaker, f"{uri}.not")


def test_a_marketplace_model_needs_a_package(emulator: Emulator, sagemaker: Any, model: str) -> None:
    algorithm = emulator.algorithms[emulator.algorithm_arn]
    algorithm.program, algorithm.packages_take = programs.stub(), 3600.0
    uri = sagemaker.describe_model(ModelName="model")["PrimaryContainer"]["ModelDataUrl"]
    sagemaker.delete_model(ModelName="model")
    source = {"AlgorithmName": algorithm.arn, "ModelDataUrl": uri}
    sagemaker.create_model_package(
        ModelPackageName="package", SourceAlgorithmSpecification={"SourceAlgorithms": [source]}
    )
    request = {
        "ModelName": "model",
        "PrimaryContainer": {"ModelPackageName": "package"},
        "ExecutionRoleArn": emulator.role,
    }
    with pytest.raises(ClientError, match="EnableNetworkIsolation must be true"):
        sagemaker.create_model(**request)
    with pytest.raises(ClientError, match="is in status Pending"):
        sagemaker.create_model(**request, EnableNetworkIsolation=True)
    algorithm.packages_take = 0.0
    assert sagemaker.describe_model_package(ModelPackageName="package")["ModelPackageStatus"] == "Completed"
    sagemaker.create_model(**request, EnableNetworkIsolation=True)
    deploy(sagemaker)
    assert settled(sagemaker)["EndpointStatus"] == "InService"
    sagemaker.delete_model_package(ModelPackageName="package")
    assert emulator.inventory().model_packages == ()


def transform_job(emulator: Emulator, **changes: Any) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{emulator.bucket}/data/"}
    return {
        "TransformJobName": "batch",
        "ModelName": "model",
        "TransformInput": {
            "DataSource": {"S3DataSource": source},
            "ContentType": "text/csv",
            "SplitType": "Line",
        },
        "TransformOutput": {"S3OutputPath": f"s3://{emulator.bucket}/batch", "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        **changes,
    }


def transformed(sagemaker: Any) -> dict[str, Any]:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        answer: dict[str, Any] = sagemaker.describe_transform_job(TransformJobName="batch")
        if answer["TransformJobStatus"] not in ("InProgress", "Stopping"):
            return answer
        time.sleep(0.01)
    raise AssertionError(answer)


@pytest.mark.parametrize("strategy", ["MultiRecord", "SingleRecord"])
def test_a_transform_job_answers_object_by_object(
    emulator: Emulator, sagemaker: Any, s3: Any, model: str, strategy: str
) -> None:
    s3.put_object(Bucket=emulator.bucket, Key="data/part-1.csv", Body=b"1,2\n1,2,3\n")
    sagemaker.create_transform_job(**transform_job(emulator, BatchStrategy=strategy))
    assert transformed(sagemaker)["TransformJobStatus"] == "Completed"
    listed = s3.list_objects_v2(Bucket=emulator.bucket, Prefix="batch/")["Contents"]
    assert [row["Key"] for row in listed] == [f"batch/part-{number}.csv.out" for number in range(3)]
    with s3.get_object(Bucket=emulator.bucket, Key="batch/part-1.csv.out")["Body"] as body:
        assert body.read() == b"3\n5\n"
    log = emulator.client("logs").describe_log_streams(logGroupName="/aws/sagemaker/TransformJobs")
    assert log["logStreams"][0]["logStreamName"].startswith("batch/")
    with pytest.raises(sagemaker.exceptions.ResourceInUse):
        sagemaker.create_transform_job(**transform_job(emulator))


def test_a_transform_job_can_fail_and_be_stopped(
    emulator: Emulator, sagemaker: Any, s3: Any, model: str
) -> None:
    s3.put_object(Bucket=emulator.bucket, Key="data/part-1.csv", Body=b"status 400")
    sagemaker.create_transform_job(**transform_job(emulator))
    answer = transformed(sagemaker)
    assert answer["TransformJobStatus"] == "Failed"
    assert answer["FailureReason"] == "ClientError: See job logs for more information"
    emulator.faults.job("again", faults.job_stopped("Transforming"))
    sagemaker.create_transform_job(**{**transform_job(emulator), "TransformJobName": "again"})
    s3.put_object(Bucket=emulator.bucket, Key="data/part-1.csv", Body=b"sleep 0.2\nsleep 0.2")
    request = transform_job(emulator, TransformJobName="slow", BatchStrategy="SingleRecord")
    sagemaker.create_transform_job(**request)
    sagemaker.stop_transform_job(TransformJobName="slow")
    for name in ("again", "slow"):
        emulator.transform_jobs.get(name, emulator.caller).join(10)
        answer = sagemaker.describe_transform_job(TransformJobName=name)
        assert answer["TransformJobStatus"] == "Stopped"
    assert not emulator.inventory().running_jobs
