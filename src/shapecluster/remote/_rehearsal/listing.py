"""The Marketplace listing that a rehearsal has for every ARN.

A rehearsal cannot look up an ARN. It answers with the K-Shape listing that this package was made for: two
hyperparameters, one channel, CSV. The instance types are made up.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

_MACHINES = ["ml.m5.large", "ml.m5.xlarge", "ml.m5.2xlarge", "ml.m5.4xlarge", "ml.c5.4xlarge"]


def describe_listing(name: str) -> dict[str, Any]:
    """The answer of DescribeAlgorithm."""
    return {
        "AlgorithmName": name.rpartition("/")[2],
        "AlgorithmArn": name,
        "CreationTime": datetime.fromtimestamp(0.0, UTC),
        "AlgorithmStatus": "Completed",
        "AlgorithmStatusDetails": {},
        "TrainingSpecification": {
            "SupportedHyperParameters": [
                _integer("k", "Number of clusters"),
                _integer("label_size", "Number of columns before the series", default="0"),
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


def _integer(name: str, description: str, default: str | None = None) -> dict[str, Any]:
    return {
        "Name": name,
        "Description": description,
        "Type": "Integer",
        "Range": {"IntegerParameterRangeSpecification": {"MinValue": "0", "MaxValue": "1000000"}},
        "IsTunable": False,
        "IsRequired": default is None,
        **({} if default is None else {"DefaultValue": default}),
    }
