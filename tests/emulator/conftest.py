"""Clients and data for the tests of the emulator."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.config import Config

from tests.emulator import Emulator

NO_RETRIES = Config(retries={"max_attempts": 0}, read_timeout=5, connect_timeout=5)


@pytest.fixture
def s3(emulator: Emulator) -> Any:
    client = emulator.client("s3", config=NO_RETRIES)
    for number in range(3):
        client.put_object(Bucket=emulator.bucket, Key=f"data/part-{number}.csv", Body=b"A,1,2,3\n")
    return client


@pytest.fixture
def sagemaker(emulator: Emulator, s3: Any) -> Any:
    return emulator.client("sagemaker", config=NO_RETRIES)


@pytest.fixture
def wait(sagemaker: Any) -> Callable[..., dict[str, Any]]:
    """Poll a job until it is over; or until what it says satisfies `until`."""

    def poll(name: str = "job", until: Callable[[dict[str, Any]], bool] | None = None) -> dict[str, Any]:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            answer: dict[str, Any] = sagemaker.describe_training_job(TrainingJobName=name)
            over = answer["TrainingJobStatus"] not in ("InProgress", "Stopping")
            if until(answer) if until else over:
                return answer
            assert not over, answer
            time.sleep(0.01)
        raise AssertionError(f"{name} did not end: {answer}")

    return poll
