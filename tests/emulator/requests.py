"""Requests that tests of the emulator start from."""

from __future__ import annotations

from typing import Any

from tests.emulator import Emulator
from tests.emulator.programs import stub

STUB = "123456789012.dkr.ecr.us-east-1.amazonaws.com/stub:1"


def training_job(emulator: Emulator, name: str = "job", **changes: Any) -> dict[str, Any]:
    """A job of the stub, whose hyperparameters may be given as `hyperparameters=`."""
    emulator.images.add(STUB, stub())
    hyperparameters = changes.pop("hyperparameters", {})
    request = {
        "TrainingJobName": name,
        "RoleArn": emulator.role,
        "AlgorithmSpecification": {"TrainingImage": STUB, "TrainingInputMode": "File"},
        "HyperParameters": {"k": "3", **hyperparameters},
        "InputDataConfig": [channel(emulator, "train")],
        "OutputDataConfig": {"S3OutputPath": f"s3://{emulator.bucket}/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    return {**request, **changes}


def channel(emulator: Emulator, name: str, prefix: str = "data/", **source: str) -> dict[str, Any]:
    return {
        "ChannelName": name,
        "ContentType": "text/csv",
        "DataSource": {
            "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{emulator.bucket}/{prefix}", **source}
        },
    }
