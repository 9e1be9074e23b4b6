"""The SageMaker SDK, version 3: takes its sessions, and returns its training jobs."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from shapecluster._optional import import_optional

if TYPE_CHECKING:
    from sagemaker.core.resources import TrainingJob

# Earlier versions have one client in the process, made from the session that came first.
_LOWEST = (2, 24)  # of sagemaker-core; that of sagemaker is 3.24


def boto_session(session: Any) -> Any:
    """The boto3 session inside a session of the SDK; any other object unchanged.

    Raises
    ------
    ValueError
        For a session in the SDK's local mode, whose jobs do not run on AWS.
    """
    if getattr(session, "local_mode", False):
        raise ValueError(
            "session must be one whose jobs run on AWS, or a Rehearsal of shapecluster.remote, which runs "
            f"them here without Docker. Got a {type(session).__name__} in local mode instead."
        )
    return getattr(session, "boto_session", session)


def training_job(name: str, session: Any) -> TrainingJob:
    """A training job as an object of the SDK, which makes its calls through this boto3 session.

    Raises
    ------
    ImportError
        When the SDK is not installed, or too old to separate sessions.
    """
    needed_for = "training_job() of an estimator"
    resources = import_optional("sagemaker.core.resources", extra="sagemaker", needed_for=needed_for)
    found = version("sagemaker-core")
    if tuple(map(int, found.split(".")[:2])) < _LOWEST:
        raise ImportError(
            f"{needed_for} needs sagemaker-core {'.'.join(map(str, _LOWEST))} (sagemaker 3.{_LOWEST[1]}) or "
            "newer: earlier versions use the credentials of the first session that they were given. Got "
            f'{found} instead: pip install --upgrade "shapecluster[sagemaker]"'
        )
    return resources.TrainingJob.get(training_job_name=name, session=session, region=session.region_name)
