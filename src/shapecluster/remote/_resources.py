"""Models and the resources around them: created, and deleted even after errors or Ctrl-C."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from shapecluster.exceptions import (
    EndpointError,
    InvalidRequestError,
    NameTakenError,
    NotFoundError,
    RemoteError,
)
from shapecluster.remote._polling import JobClient
from shapecluster.remote._request import tags_of, vpc_of

logger = logging.getLogger("shapecluster.remote")

_LONGEST = 3600.0  # seconds that the deletion of an endpoint may take; it usually takes half of that at most
_IN_PROGRESS = {"Creating", "Updating", "SystemUpdating", "RollingBack"}


def named(noun: str, name: str) -> dict[str, str]:
    """The member of a request that names a resource: ("endpoint_config", "x") -> EndpointConfigName."""
    return {noun.title().replace("_", "") + "Name": name}


class Cleanup:
    """Resources to delete at the end of a ``with`` block, in the reverse order of their creation.

    Parameters
    ----------
    client : JobClient
        Where the resources are created.

    Raises
    ------
    EndpointError
        When the block succeeded, and something could not be deleted. An error of the block itself is raised
        as it is, with a note.
    """

    def __init__(self, client: JobClient) -> None:
        self.client = client
        self._registered: list[tuple[str, str, Callable[[], bool] | None]] = []

    def __enter__(self) -> Cleanup:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        left = self.run()
        if not left:
            return
        text = (
            f"Could not be deleted, and may be billed: {'; '.join(left)}. "
            "`shapecluster sagemaker clean-up` deletes it, or the console does."
        )
        if error is None:
            raise EndpointError(text)
        error.add_note(text)

    def create(
        self, noun: str, name: str, request: Mapping[str, Any], is_own: Callable[[], bool] | None = None
    ) -> None:
        """Create a resource that will be deleted.

        Parameters
        ----------
        noun : str
            Its kind as in operations: "endpoint_config".
        name : str
            Its name.
        request : mapping
            The rest of the request.
        is_own : callable, default=None
            Whether an existing resource of this name was created by this call, whose first answer was lost.
            None: the name is random, so it was.
        """
        # Registered first: a creation whose answer is lost would else be billed for ever.
        self.add(noun, name, is_own)
        try:
            self.client.call(f"sagemaker.create_{noun}", **named(noun, name), **request)
        except NameTakenError:
            if is_own is not None and not is_own():
                raise

    def add(self, noun: str, name: str, is_own: Callable[[], bool] | None = None) -> None:
        """Register a resource for deletion, unless `is_own` then says that it is someone else's."""
        self._registered.append((noun, name, is_own))

    def clear(self) -> None:
        """Drop all registrations: the resources stay."""
        self._registered.clear()

    def run(self) -> list[str]:
        """Delete everything, and return what is left with the reasons.

        An interruption ends the current deletion only; the others still run.
        """
        left = []
        while self._registered:
            noun, name, is_own = self._registered.pop()
            resource = f"{noun.replace('_', ' ')} {name!r}"
            try:
                if is_own is not None and not is_own():
                    continue
                if noun == "endpoint":
                    self._delete_endpoint(name)
                else:
                    self.client.call(f"sagemaker.delete_{noun}", **named(noun, name))
            except NotFoundError:
                continue
            except BaseException as error:  # Ctrl-C as well: resources that are not deleted are billed
                left.append(f"{resource} ({type(error).__name__}: {error})")
                logger.warning("Could not delete the %s: %s", resource, error)
        return left

    def _delete_endpoint(self, name: str) -> None:
        """Delete an endpoint; while it is being created the service refuses that, so try until it is up."""
        platform = self.client.platform

        def try_to_delete() -> dict[str, Any]:
            try:
                return platform.call("sagemaker.delete_endpoint", EndpointName=name)
            except InvalidRequestError:
                status = self._status(name)
                if status == "Deleting":  # by an earlier call
                    return {}
                if status is None or status in _IN_PROGRESS:
                    return {"refused": True}
                return platform.call("sagemaker.delete_endpoint", EndpointName=name)

        deadline = self.client.clock.now() + _LONGEST
        self.client.poll(try_to_delete, lambda answer: "refused" not in answer, deadline=deadline)

    def _status(self, name: str) -> str | None:
        """Status of an endpoint; None where it cannot be read, which must not end the deletion."""
        try:
            answer = self.client.platform.call("sagemaker.describe_endpoint", EndpointName=name)
        except NotFoundError:
            raise
        except RemoteError:
            return None
        return str(answer["EndpointStatus"])


def create_model(training: Mapping[str, Any], name: str, cleanup: Cleanup) -> None:
    """Create a model of this name, of what a training job left, with the algorithm and the role of that job.

    Parameters
    ----------
    training : mapping
        Description of the training job.
    name : str
        Name of the model, and of its package.
    cleanup : Cleanup
        Deletes both.

    Raises
    ------
    EndpointError
        When the package of a Marketplace model fails.
    """
    job = cleanup.client.job
    artifact = training["ModelArtifacts"]["S3ModelArtifacts"]
    # The service refuses a Marketplace image in a model of its own: only a package may name it.
    arn = training["AlgorithmSpecification"].get("AlgorithmName")
    if arn:
        container = {"ModelPackageName": _create_package(arn, artifact, name, cleanup)}
    else:
        image = training["AlgorithmSpecification"]["TrainingImage"]
        container = {"Image": image, "ModelDataUrl": artifact}
    request: dict[str, Any] = {
        "PrimaryContainer": container,
        "ExecutionRoleArn": training["RoleArn"],
        "EnableNetworkIsolation": bool(arn) or job.network_isolation,
        "Tags": tags_of(job),
        **vpc_of(job),
    }
    cleanup.create("model", name, request)


def _create_package(arn: str, artifact: str, name: str, cleanup: Cleanup) -> str:
    client = cleanup.client
    origin = {"AlgorithmName": arn, "ModelDataUrl": artifact}
    request = {"SourceAlgorithmSpecification": {"SourceAlgorithms": [origin]}, "Tags": tags_of(client.job)}
    cleanup.create("model_package", name, request)
    description = client.poll(
        lambda: client.platform.call("sagemaker.describe_model_package", ModelPackageName=name),
        lambda answer: answer["ModelPackageStatus"] in {"Completed", "Failed"},
    )
    if description["ModelPackageStatus"] == "Failed":
        details = description.get("ModelPackageStatusDetails", {})
        items = [*details.get("ValidationStatuses", []), *details.get("ImageScanStatuses", [])]
        reasons = [str(item["FailureReason"]) for item in items if item.get("FailureReason")]
        raise EndpointError(
            f"The model package {name!r} failed: {'; '.join(reasons) or 'no reason was given'}. Check that "
            "the subscription covers deployment, and that the role may read the model.",
            job_name=name,
        )
    return str(description["ModelPackageArn"])
