"""The SageMaker SDK, version 3, as a neighbor: its sessions come in, its training jobs go out."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from shapecluster._optional import import_optional

# Earlier ones have one client for the process, made from whichever session came first.
_LOWEST = (2, 24)  # of sagemaker-core; that of sagemaker is 3.24


def boto_session(session: Any) -> Any:
    """The boto3 session inside a session of the SDK; any other object as it is.

    Raises
    ------
    ValueError
        For a session of the SDK's local mode, whose jobs are not on AWS.
    """
    if getattr(session, "local_mode", False):
        raise ValueError(
            "session must be one whose jobs run on AWS, or a Rehearsal of shapecluster.remote, which runs "
            f"them here without Docker. Got a {type(session).__name__} in local mode instead."
        )
    return getattr(session, "boto_session", session)


def own_bucket(session: Any) -> str | None:
    """The bucket that a session of the SDK was given, or found in the SDK's configuration file.

    Its method `default_bucket` would create the bucket, which is for the caller to ask for.
    """
    return getattr(session, "_default_bucket_name_override", None)


def caller_role(session: Any) -> str | None:
    """The role that a session of the SDK runs under; None for other sessions and for users."""
    find = getattr(session, "get_caller_identity_arn", None)
    arn = "" if find is None else str(find())
    return arn if ":role/" in arn else None


def training_job(name: str, session: Any) -> Any:
    """A training job as the SDK knows it, which keeps asking through this boto3 session.

    Raises
    ------
    ImportError
        When the SDK is not installed, or too old to keep sessions apart.
    """
    needed_for = "training_job() of an estimator"
    resources = import_optional("sagemaker.core.resources", extra="sagemaker", needed_for=needed_for)
    found = version("sagemaker-core")
    if tuple(map(int, found.split(".")[:2])) < _LOWEST:
        raise ImportError(
            f"{needed_for} needs sagemaker-core {'.'.join(map(str, _LOWEST))} (sagemaker 3.{_LOWEST[1]}) or "
            "newer: before, the SDK asked with the credentials of whichever session it saw first. Got "
            f'{found} instead: pip install --upgrade "shapecluster[sagemaker]"'
        )
    return resources.TrainingJob.get(training_job_name=name, session=session, region=session.region_name)
