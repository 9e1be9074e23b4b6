"""What the service looks at before it accepts a training job, beyond the shape of the request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.emulator.errors import invalid
from tests.emulator.marketplace import check_algorithm
from tests.emulator.programs import Program
from tests.emulator.storage import split
from tests.emulator.wire import Caller

if TYPE_CHECKING:
    from tests.emulator.server import Emulator


def check_training_job(emulator: Emulator, request: dict[str, Any], caller: Caller) -> Program:
    """Refuse what the service refuses; else the program that the job is to run."""
    for member in ("AlgorithmSpecification", "ResourceConfig", "StoppingCondition"):
        if member not in request:
            raise invalid(f"{member} is required.")
    check_role(emulator, request["RoleArn"])
    emulator.training_jobs.refuse_duplicate(request["TrainingJobName"], caller)
    program = _program(emulator, request, caller)
    _check_inputs(emulator, request, caller)
    output = request["OutputDataConfig"]
    if output.get("CompressionType", "GZIP") != "GZIP":
        raise NotImplementedError("the emulator writes model.tar.gz only")
    bucket = split(output["S3OutputPath"])[0]
    if not emulator.storage.bucket_exists(bucket):
        raise invalid(f'The bucket "{bucket}" given in S3OutputPath does not exist.')  # our wording
    _check_times(request)
    return program


def check_role(emulator: Emulator, role: str) -> None:
    if not emulator.policies.role_exists(role):
        raise invalid(
            f"Could not assume role {role}. Please ensure that the role exists and allows principal "
            "'sagemaker.amazonaws.com' to assume the role."
        )


def image_program(emulator: Emulator, image: str) -> Program:
    program = emulator.images.find(image)
    if program is None:
        repository = image.partition("/")[2].partition(":")[0]
        raise invalid(
            f"Cannot find repository: {repository} in registry ID: {image.partition('.')[0]} Please check if "
            "your ECR repository exists and role has proper pull permissions for SageMaker."
        )
    return program


def _program(emulator: Emulator, request: dict[str, Any], caller: Caller) -> Program:
    specification = request["AlgorithmSpecification"]
    if ("TrainingImage" in specification) == ("AlgorithmName" in specification):
        raise invalid("Exactly one of TrainingImage and AlgorithmName must be specified.")  # our wording
    if "AlgorithmName" in specification:
        return check_algorithm(emulator, request, caller)
    program = image_program(emulator, specification["TrainingImage"])
    if program.built_in and request.get("Environment"):
        raise invalid("Environment is not supported for built-in algorithms.")  # our wording
    return program


def _check_inputs(emulator: Emulator, request: dict[str, Any], caller: Caller) -> None:
    names = [channel["ChannelName"] for channel in request.get("InputDataConfig", [])]
    if len(set(names)) < len(names):
        raise invalid("Channel names must be unique.")  # our wording
    mode = request["AlgorithmSpecification"]["TrainingInputMode"]
    for channel in request.get("InputDataConfig", []):
        source = channel["DataSource"].get("S3DataSource")
        if source is None or source["S3DataType"] != "S3Prefix":
            raise NotImplementedError("the emulator reads S3Prefix only")
        if channel.get("InputMode", mode) != "File" or channel.get("CompressionType", "None") != "None":
            raise NotImplementedError("the emulator knows mode File without compression only")
        check_prefix(emulator, source["S3Uri"], request["RoleArn"], caller)


def check_prefix(emulator: Emulator, uri: str, role: str, caller: Caller) -> None:
    """There has to be something below an input's URI, which the role can see."""
    bucket = split(uri)[0]
    listing = f"arn:aws:s3:::{bucket}"
    if emulator.policies.role_allows(role, "s3:ListBucket", listing) and emulator.storage.keys(uri, role):
        return
    raise invalid(
        f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket '
        f"exists in the selected region ({caller.region}), that objects exist under that S3 prefix, and that "
        f'the role "{role}" has "s3:ListBucket" permissions on bucket "{bucket}".'
    )


def _check_times(request: dict[str, Any]) -> None:
    condition = request["StoppingCondition"]
    spot = request.get("EnableManagedSpotTraining", False)
    if "MaxRuntimeInSeconds" not in condition:
        condition["MaxRuntimeInSeconds"] = 86400  # the service's default
    longest = condition.get("MaxWaitTimeInSeconds")
    if not spot and longest is not None:
        raise invalid(
            "Invalid MaxWaitTimeInSeconds. It is only supported when EnableManagedSpotTraining is set to true"
        )
    if spot and (longest is None or longest < condition["MaxRuntimeInSeconds"]):
        raise invalid(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to "
            "MaxRuntimeInSeconds"
        )
