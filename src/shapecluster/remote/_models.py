"""Models that can be deployed, from the files that jobs left; Marketplace models need a model package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shapecluster.exceptions import EndpointError, NameTakenError
from shapecluster.remote._cleanup import CleanupStack
from shapecluster.remote._job import Job
from shapecluster.remote._outcome import JobOutcome
from shapecluster.remote._platform import Platform
from shapecluster.remote._polling import poll, with_retries
from shapecluster.remote._request import is_arn, tags_of, vpc_config


@dataclass(frozen=True)
class ModelSource:
    """The parts of a model.

    Attributes
    ----------
    algorithm : str
        URI of an image, or the ARN of an algorithm of the Marketplace.
    artifact_uri : str
        URI of its model.tar.gz.
    role : str
        ARN of the execution role.
    environment : mapping of str to str
        Variables for the program; none for the Marketplace.
    """

    algorithm: str
    artifact_uri: str
    role: str
    environment: Mapping[str, str] = field(default_factory=dict)


def model_source(outcome: JobOutcome) -> ModelSource:
    """The model that a training job left, run by the algorithm and under the role of that job."""
    description = outcome.description
    algorithm = description["AlgorithmSpecification"]
    return ModelSource(
        algorithm.get("AlgorithmName") or algorithm["TrainingImage"],
        outcome.artifact_uri,
        description["RoleArn"],
    )


def create(
    cleanup: CleanupStack,
    noun: str,
    title: str,
    name: str,
    request: Mapping[str, Any],
    *,
    is_own: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """Create a resource that `cleanup` will delete.

    Parameters
    ----------
    cleanup : CleanupStack
        Registers the resource.
    noun, title : str
        As for `CleanupStack.add`.
    name : str
        Its name.
    request : mapping
        The rest of the request.
    is_own : callable, default=None
        Whether an existing resource of this name was created by this call, whose first answer was lost. None:
        the name is random, so it was.
    """

    def run() -> dict[str, Any]:
        try:
            return cleanup.platform.call(f"sagemaker.create_{noun}", **{f"{title}Name": name}, **request)
        except NameTakenError:
            if is_own is not None and not is_own():
                raise
            return {}

    # Registered first: a creation whose answer is lost would else be billed for ever.
    cleanup.add(noun, title, name, is_own)
    return with_retries(run, cleanup.schedule)


def create_model(platform: Platform, source: ModelSource, job: Job, name: str, cleanup: CleanupStack) -> None:
    """Create a model of this name.

    Raises
    ------
    EndpointError
        When the package of a Marketplace model fails.
    """
    # The service refuses a Marketplace image in a model of its own: only a package may name it.
    if is_arn(source.algorithm):
        container: dict[str, Any] = {
            "ModelPackageName": _create_package(platform, source, job, name, cleanup)
        }
    else:
        container = {"Image": source.algorithm, "ModelDataUrl": source.artifact_uri}
        if source.environment:
            container["Environment"] = dict(source.environment)
    request: dict[str, Any] = {
        "PrimaryContainer": container,
        "ExecutionRoleArn": source.role,
        "EnableNetworkIsolation": is_arn(source.algorithm) or job.network_isolation,
        "Tags": tags_of(job),
    }
    if job.subnets:
        request["VpcConfig"] = vpc_config(job)
    create(cleanup, "model", "Model", name, request)


def _create_package(
    platform: Platform, source: ModelSource, job: Job, name: str, cleanup: CleanupStack
) -> str:
    origin = {"AlgorithmName": source.algorithm, "ModelDataUrl": source.artifact_uri}
    request = {"SourceAlgorithmSpecification": {"SourceAlgorithms": [origin]}, "Tags": tags_of(job)}
    create(cleanup, "model_package", "ModelPackage", name, request)
    description = poll(
        lambda: platform.call("sagemaker.describe_model_package", ModelPackageName=name),
        lambda answer: answer["ModelPackageStatus"] in {"Completed", "Failed"},
        cleanup.schedule,
    )
    if description["ModelPackageStatus"] == "Failed":
        raise EndpointError(
            f"The model package {name!r} failed: {_reasons(description)}. Check that the subscription covers "
            "deployment, and that the role may read the model.",
            job_name=name,
        )
    return str(description["ModelPackageArn"])


def _reasons(description: Mapping[str, Any]) -> str:
    details = description.get("ModelPackageStatusDetails", {})
    found = [
        str(item.get("FailureReason"))
        for part in ("ValidationStatuses", "ImageScanStatuses")
        for item in details.get(part, [])
        if item.get("FailureReason")
    ]
    return "; ".join(found) or "no reason was given"
