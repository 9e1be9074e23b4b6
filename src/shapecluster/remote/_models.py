"""From an artifact to a model that can be deployed; for the Marketplace, by way of a model package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shapecluster.exceptions import EndpointError, NameTakenError
from shapecluster.remote._cleanup import CleanupStack
from shapecluster.remote._job import Job
from shapecluster.remote._platform import Platform
from shapecluster.remote._polling import poll, with_retries
from shapecluster.remote._request import is_arn, tags, vpc


@dataclass(frozen=True)
class ModelSource:
    """What a model is made of.

    Attributes
    ----------
    algorithm : str
        URI of an image, or the ARN of an algorithm of the Marketplace.
    artifact_uri : str
        Where its model.tar.gz is.
    role : str
        ARN of the execution role.
    environment : mapping of str to str
        Variables for the program; none for the Marketplace.
    """

    algorithm: str
    artifact_uri: str
    role: str
    environment: Mapping[str, str] = field(default_factory=dict)


def create(
    undo: CleanupStack,
    noun: str,
    title: str,
    name: str,
    request: Mapping[str, Any],
    *,
    ours: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """Create a thing that `undo` will delete.

    Parameters
    ----------
    undo : CleanupStack
        Remembers it.
    noun, title : str
        As for `CleanupStack.add`.
    name : str
        Its name.
    request : mapping
        The rest of the request.
    ours : callable, default=None
        Tells whether what has this name was created by this very call, the answer to an earlier try having
        been lost. None: the name was drawn by lot, so it was.
    """

    def run() -> dict[str, Any]:
        try:
            return undo.platform.call(f"sagemaker.create_{noun}", **{f"{title}Name": name}, **request)
        except NameTakenError:
            if ours is not None and not ours():
                raise
            return {}

    undo.add(noun, title, name, ours)
    return with_retries(run, undo.pace)


def create_model(platform: Platform, source: ModelSource, job: Job, name: str, undo: CleanupStack) -> None:
    """Create a model of this name.

    Raises
    ------
    EndpointError
        When the Marketplace's package fails.
    """
    if is_arn(source.algorithm):
        container: dict[str, Any] = {"ModelPackageName": _create_package(platform, source, job, name, undo)}
    else:
        container = {"Image": source.algorithm, "ModelDataUrl": source.artifact_uri}
        if source.environment:
            container["Environment"] = dict(source.environment)
    request: dict[str, Any] = {
        "PrimaryContainer": container,
        "ExecutionRoleArn": source.role,
        "EnableNetworkIsolation": is_arn(source.algorithm) or job.network_isolation,
        "Tags": tags(job),
    }
    if job.subnets:
        request["VpcConfig"] = vpc(job)
    create(undo, "model", "Model", name, request)


def _create_package(platform: Platform, source: ModelSource, job: Job, name: str, undo: CleanupStack) -> str:
    origin = {"AlgorithmName": source.algorithm, "ModelDataUrl": source.artifact_uri}
    request = {"SourceAlgorithmSpecification": {"SourceAlgorithms": [origin]}, "Tags": tags(job)}
    create(undo, "model_package", "ModelPackage", name, request)
    description = poll(
        lambda: platform.call("sagemaker.describe_model_package", ModelPackageName=name),
        lambda answer: answer["ModelPackageStatus"] in {"Completed", "Failed"},
        undo.pace,
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
    told = [
        str(item.get("FailureReason"))
        for part in ("ValidationStatuses", "ImageScanStatuses")
        for item in details.get(part, [])
        if item.get("FailureReason")
    ]
    return "; ".join(told) or "no reason was given"
