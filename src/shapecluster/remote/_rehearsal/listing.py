"""The Marketplace listing that a rehearsal has for every ARN.

A rehearsal cannot look up an ARN. It answers with the K-Shape listing that this package was made for: two
hyperparameters, one channel, CSV. The instance types are made up.
"""

from __future__ import annotations

from typing import Any

from shapecluster.remote._rehearsal.records import utc_datetime

_MACHINES = ["ml.m5.large", "ml.m5.xlarge", "ml.m5.2xlarge", "ml.m5.4xlarge", "ml.c5.4xlarge"]


def describe_listing(name: str) -> dict[str, Any]:
    """The answer of DescribeAlgorithm."""
    return {
        "AlgorithmName": name.rpartition("/")[2],
        "AlgorithmArn": name,
        "CreationTime": utc_datetime(0.0),
        "AlgorithmStatus": "Completed",
        "AlgorithmStatusDetails": {},
        "TrainingSpecification": {
            "SupportedHyperParameters": [
                _integer("k", "Number of clusters", required=True),
                _integer("label_size", "Number of columns before the series", required=False, default="0"),
            ],
            "SupportedTrainingInstanceTypes": _MACHINES,
            "SupportsDistributedTraining": False,
            "TrainingChannels": [
                {
                    "Name": "train",
                    "IsRequired": True,
                    "SupportedContentTypes": ["text/csv"],
                    "SupportedCompressionTypes": ["None"],
                    "SupportedInputModes": ["File"],
                }
            ],
        },
        "InferenceSpecification": {
            "Containers": [],
            "SupportedTransformInstanceTypes": _MACHINES,
            "SupportedRealtimeInferenceInstanceTypes": _MACHINES,
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
    }


def _integer(name: str, description: str, *, required: bool, default: str | None = None) -> dict[str, Any]:
    bounds = {"IntegerParameterRangeSpecification": {"MinValue": "0", "MaxValue": "1000000"}}
    entry = {
        "Name": name,
        "Description": description,
        "Type": "Integer",
        "Range": bounds,
        "IsTunable": False,
        "IsRequired": required,
    }
    return entry if default is None else entry | {"DefaultValue": default}
