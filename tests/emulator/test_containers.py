"""The library's own programs, in the emulator as in their images."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from shapecluster.formats import decode_centroids, decode_ndarrays, write_recordio
from tests.emulator import Emulator
from tests.emulator.programs import OURS
from tests.emulator.requests import channel, training_job

pytestmark = pytest.mark.slow

Wait = Callable[..., dict[str, Any]]
KMEANS = "382416733822.dkr.ecr.us-east-1.amazonaws.com/kmeans:1"
WAVES = np.sin(np.linspace(0, 6, 24) * np.array([1.0, 1.05, 1.1, 3.0, 3.1])[:, None])


def fit(emulator: Emulator, sagemaker: Any, s3: Any, wait: Wait, image: str, **parameters: str) -> str:
    """Train, and make a model of what came out: its URI."""
    buffer = io.BytesIO()
    write_recordio(buffer, WAVES, dtype="float64" if image == OURS else "float32")
    s3.put_object(Bucket=emulator.bucket, Key="waves/part-0", Body=buffer.getvalue())
    data = {**channel(emulator, "train", "waves/"), "ContentType": "application/x-recordio-protobuf"}
    request = training_job(
        emulator,
        AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"},
        InputDataConfig=[data],
    )
    sagemaker.create_training_job(**{**request, "HyperParameters": parameters})
    answer = wait()
    assert answer["TrainingJobStatus"] == "Completed", answer.get("FailureReason")
    uri: str = answer["ModelArtifacts"]["S3ModelArtifacts"]
    container = {"Image": image, "ModelDataUrl": uri}
    sagemaker.create_model(ModelName="m", PrimaryContainer=container, ExecutionRoleArn=emulator.role)
    variant = {"VariantName": "v", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
    return uri


def member(s3: Any, uri: str, name: str) -> bytes:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    with s3.get_object(Bucket=bucket, Key=key)["Body"] as body:
        archive = body.read()
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        file = tar.extractfile(name)
        assert file is not None
        return file.read()


def invoke(emulator: Emulator, sagemaker: Any) -> list[list[float]]:
    """What an endpoint answers to all series, as CSV."""
    sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="c")
    end = time.monotonic() + 30
    while sagemaker.describe_endpoint(EndpointName="e")["EndpointStatus"] == "Creating":
        assert time.monotonic() < end
        time.sleep(0.05)
    body = "\n".join(",".join(map(repr, map(float, row))) for row in WAVES).encode()
    runtime = emulator.client("sagemaker-runtime")
    answer = runtime.invoke_endpoint(EndpointName="e", Body=body, ContentType="text/csv", Accept="text/csv")
    lines = answer["Body"].read().decode().splitlines()
    return [[float(field) for field in line.split(",")] for line in lines]


def test_k_shape(emulator: Emulator, sagemaker: Any, s3: Any, wait: Wait) -> None:
    uri = fit(emulator, sagemaker, s3, wait, OURS, n_clusters="2", random_state="0")
    centroids, report = decode_centroids(member(s3, uri, "centroids"), 2, 24)
    assert report.complete
    assert centroids.shape == (2, 24)
    ids = [row[0] for row in invoke(emulator, sagemaker)]
    assert ids[0] == ids[1] == ids[2] != ids[3] == ids[4]


def test_k_means(emulator: Emulator, sagemaker: Any, s3: Any, wait: Wait) -> None:
    uri = fit(emulator, sagemaker, s3, wait, KMEANS, k="2", feature_dim="24", mini_batch_size="5")
    centers = decode_ndarrays(member(s3, uri, "model_algo-1")).arrays[0]
    assert (centers.shape, centers.dtype) == ((2, 24), np.float32)
    ids = [row[0] for row in invoke(emulator, sagemaker)]
    assert ids == np.argmin(((WAVES[:, None] - centers) ** 2).sum(axis=2), axis=1).tolist()


@pytest.mark.parametrize(("image", "text"), [(OURS, "tolerance"), (KMEANS, "feature_dim")])
def test_a_wrong_hyperparameter_is_the_jobs_failure(
    emulator: Emulator, sagemaker: Any, s3: Any, wait: Wait, image: str, text: str
) -> None:
    request = training_job(
        emulator, AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"}
    )
    sagemaker.create_training_job(**{**request, "HyperParameters": {"k": "2", "tolerance": "1"}})
    answer = wait()
    assert answer["TrainingJobStatus"] == "Failed"
    assert answer["FailureReason"].startswith("AlgorithmError: ")
    assert text in answer["FailureReason"]
