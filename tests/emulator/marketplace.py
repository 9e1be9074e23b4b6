"""Algorithms that others sell, and the model packages that make their models usable."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.emulator.errors import invalid
from tests.emulator.inventory import Record, now, page
from tests.emulator.jobs import clock
from tests.emulator.programs import Program, foreign_kshape
from tests.emulator.storage import split
from tests.emulator.wire import Caller

if TYPE_CHECKING:
    from tests.emulator.server import Emulator

KSHAPE_ARN = "arn:aws:sagemaker:us-east-1:111122223333:algorithm/k-shape-time-series-clustering"
NOT_SUBSCRIBED = "Caller is not subscribed to the marketplace offering."


@dataclass
class Algorithm:
    """A listing. The fields' types are those of DescribeAlgorithm."""

    arn: str
    program: Program
    hyperparameters: list[dict[str, Any]]
    channels: list[dict[str, Any]]
    instance_types: list[str]
    content_types: list[str]
    subscribed: bool = True
    packages_take: float = 0.0  # seconds that a model package of it is in progress
    packages_fail: bool = False
    created: float = field(default_factory=now)

    def describe(self) -> dict[str, Any]:
        return {
            "AlgorithmName": self.arn.rpartition("/")[2],
            "AlgorithmArn": self.arn,
            "CreationTime": self.created,
            "AlgorithmStatus": "Completed",
            "AlgorithmStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
            "ProductId": "prod-0123456789abc",
            "TrainingSpecification": {
                "TrainingImage": "",
                "SupportedHyperParameters": self.hyperparameters,
                "SupportedTrainingInstanceTypes": self.instance_types,
                "SupportsDistributedTraining": False,
                "TrainingChannels": self.channels,
            },
            "InferenceSpecification": {
                "Containers": [],
                "SupportedTransformInstanceTypes": self.instance_types,
                "SupportedRealtimeInferenceInstanceTypes": self.instance_types,
                "SupportedContentTypes": self.content_types,
                "SupportedResponseMIMETypes": ["text/csv"],
            },
        }


def kshape_listing() -> Algorithm:
    """The K-Shape of the lab: `k`, `label_size`, one channel of CSV."""
    integer = {"IntegerParameterRangeSpecification": {"MinValue": "2", "MaxValue": "100"}}
    return Algorithm(
        KSHAPE_ARN,
        foreign_kshape(),
        hyperparameters=[
            {"Name": "k", "Type": "Integer", "Range": integer, "IsRequired": True, "IsTunable": False},
            {
                "Name": "label_size",
                "Type": "Integer",
                "Range": {"IntegerParameterRangeSpecification": {"MinValue": "0", "MaxValue": "1"}},
                "DefaultValue": "0",
                "IsRequired": False,
                "IsTunable": False,
            },
        ],
        channels=[
            {
                "Name": "train",
                "IsRequired": True,
                "SupportedContentTypes": ["text/csv"],
                "SupportedInputModes": ["File"],
            }
        ],
        instance_types=["ml.m5.4xlarge", "ml.m5.xlarge"],
        content_types=["text/csv"],
    )


def check_algorithm(emulator: Emulator, request: dict[str, Any], caller: Caller) -> Program:
    """Refuse a training job that the listing does not allow; else the program that it runs."""
    name = request["AlgorithmSpecification"]["AlgorithmName"]
    algorithm = _subscribed(emulator, name, caller)
    if not request.get("EnableNetworkIsolation"):
        raise invalid("EnableNetworkIsolation must be true for jobs using SageMaker Marketplace algorithms")
    known = {parameter["Name"]: parameter for parameter in algorithm.hyperparameters}
    given = request.get("HyperParameters", {})
    # The wording of what follows is ours.
    for unknown in given.keys() - known.keys():
        raise invalid(f"Hyperparameter {unknown} is not supported by the algorithm {algorithm.arn}.")
    for name, parameter in known.items():
        if parameter["IsRequired"] and name not in given:
            raise invalid(f"Hyperparameter {name} is required by the algorithm {algorithm.arn}.")
        if name in given:
            _check_range(name, given[name], parameter)
    channels = {channel["ChannelName"] for channel in request.get("InputDataConfig", [])}
    required = {channel["Name"] for channel in algorithm.channels if channel["IsRequired"]}
    if not required <= channels <= {channel["Name"] for channel in algorithm.channels}:
        raise invalid(f"The channels of {algorithm.arn} are {sorted(required)}, not {sorted(channels)}.")
    instance_type = request["ResourceConfig"].get("InstanceType", "")
    if instance_type not in algorithm.instance_types:
        raise invalid(f"Instance type {instance_type} is not supported by the algorithm {algorithm.arn}.")
    if request["ResourceConfig"].get("InstanceCount", 1) > 1:
        raise invalid(f"The algorithm {algorithm.arn} does not support distributed training.")
    return algorithm.program


def _check_range(name: str, value: str, parameter: dict[str, Any]) -> None:
    bounds = parameter["Range"]["IntegerParameterRangeSpecification"]
    low, high = int(bounds["MinValue"]), int(bounds["MaxValue"])
    if not value.lstrip("-").isdigit() or not low <= int(value) <= high:
        raise invalid(f"Hyperparameter {name} must be an integer from {low} to {high}, not {value}.")


def _subscribed(emulator: Emulator, name: str, caller: Caller) -> Algorithm:
    algorithm = emulator.algorithms.get(name)
    if algorithm is None:
        raise invalid(f'Could not find algorithm "{name}".')
    region = algorithm.arn.split(":")[3]
    if region != caller.region:
        raise invalid(f"The algorithm {name} is in region {region}, not in {caller.region}.")  # our wording
    if not algorithm.subscribed:
        raise invalid(NOT_SUBSCRIBED)
    return algorithm


def describe_algorithm(emulator: Emulator, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
    return _subscribed(emulator, request["AlgorithmName"], caller).describe()


@dataclass
class ModelPackage(Record):
    """The model of a Marketplace algorithm, which only the service itself can look into."""

    algorithm: Algorithm
    born: float

    @property
    def status(self) -> str:
        age = clock() - self.born
        if age < self.algorithm.packages_take:
            return "Pending" if age < self.algorithm.packages_take / 2 else "InProgress"
        return "Failed" if self.algorithm.packages_fail else "Completed"

    @property
    def model_uri(self) -> str:
        uri: str = self.request["SourceAlgorithmSpecification"]["SourceAlgorithms"][0]["ModelDataUrl"]
        return uri


def create_model_package(emulator: Emulator, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
    if "SourceAlgorithmSpecification" not in request or "ModelPackageName" not in request:
        raise NotImplementedError("the emulator makes model packages of algorithms only")
    (source,) = request["SourceAlgorithmSpecification"]["SourceAlgorithms"]
    algorithm = _subscribed(emulator, source["AlgorithmName"], caller)
    bucket, key = split(source.get("ModelDataUrl", ""))
    # A package of a model is made in the caller's name.
    if not emulator.storage.exists(f"s3://{bucket}/{key}", ""):
        raise invalid(f"Could not access model data at {source.get('ModelDataUrl')}.")
    name = request["ModelPackageName"]
    arn = emulator.model_packages.arn(name, caller)
    emulator.model_packages.add(ModelPackage(name, arn, request, now(), algorithm, clock()))
    emulator.tags[arn] = {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}
    return {"ModelPackageArn": arn}


def describe_model_package(emulator: Emulator, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
    package = emulator.model_packages.get(request["ModelPackageName"], caller)
    return {
        "ModelPackageName": package.name,
        "ModelPackageArn": package.arn,
        "CreationTime": package.created,
        "SourceAlgorithmSpecification": package.request["SourceAlgorithmSpecification"],
        "ModelPackageStatus": package.status,
        "ModelPackageStatusDetails": {"ValidationStatuses": []},
        "InferenceSpecification": package.algorithm.describe()["InferenceSpecification"],
    }


def delete_model_package(emulator: Emulator, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
    emulator.model_packages.remove(emulator.model_packages.get(request["ModelPackageName"], caller))
    return {}


def list_model_packages(emulator: Emulator, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
    rows = [
        {
            "ModelPackageName": package.name,
            "ModelPackageArn": package.arn,
            "CreationTime": package.created,
            "ModelPackageStatus": package.status,
        }
        for package in emulator.model_packages
    ]
    rows, more = page(rows, request)
    return {"ModelPackageSummaryList": rows, **more}
