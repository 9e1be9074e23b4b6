"""The end of a training job: its outcome, or an error that says why and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, BinaryIO

from shapecluster.exceptions import (
    CapacityError,
    JobFailedError,
    JobStoppedError,
    NotFoundError,
    RemoteError,
)
from shapecluster.remote._errors import restated
from shapecluster.remote._platform import Platform
from shapecluster.remote._scrub import scrub

IS_OVER = frozenset({"Completed", "Failed", "Stopped", "Deleting"})

# Advice by the word that a failure reason begins with.
_ADVICE = {
    "AlgorithmError": "The program refused its data or parameters, or broke: see the reason and the log.",
    "ClientError": "Check the data's place, the execution role's permissions and the parameters.",
    "CapacityError": "Try again later, or with another instance type or region: Job(instance_type=...).",
    "InternalServerError": "The problem is on the service's side: fit again.",
}
_STOPPED = {
    "MaxRuntimeExceeded": "It reached the limit max_run_seconds={limit}: raise it, "
    "Job(max_run_seconds=...), or take a larger instance.",
    "MaxWaitTimeExceeded": "It waited for spot machines longer than max_wait_seconds allows: raise it, or "
    "leave spot out.",
    "Interrupted": "Its spot machines were taken away: fit again, with Job(checkpoint='s3://...') to go on "
    "where it was, or without spot.",
}


@dataclass(frozen=True)
class JobProgress:
    """State of a job, as a `progress` callback gets it.

    Attributes
    ----------
    job_name : str
        Name of the job.
    status : str
        "InProgress", "Completed", "Failed", "Stopping" or "Stopped".
    secondary_status : str
        Current step: "Starting", "Downloading", "Training", "Uploading", ...
    message : str
        The service's message about this step.
    seconds : float
        Seconds since the wait began.
    lines : tuple of str
        Lines that the program printed since the last call.
    """

    job_name: str
    status: str
    secondary_status: str
    message: str
    seconds: float
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class CompletedJob:
    """A training job that completed.

    Attributes
    ----------
    platform : Platform
        Where it ran.
    description : dict
        The service's description of the job.
    """

    platform: Platform
    description: dict[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        """Name of the job."""
        return str(self.description["TrainingJobName"])

    @property
    def artifact_uri(self) -> str:
        """URI of its model.tar.gz."""
        return str(self.description["ModelArtifacts"]["S3ModelArtifacts"])

    @property
    def billable_seconds(self) -> int | None:
        """Billed time of each machine, as the service reports it."""
        return self.description.get("BillableTimeInSeconds")

    def open_model(self) -> BinaryIO:
        """Open the model.tar.gz.

        Raises
        ------
        NotFoundError
            When it is not there.
        """
        try:
            return self.platform.open(self.artifact_uri)
        except NotFoundError as error:
            text = (
                f"The training job {self.name!r} completed, but its model is not at {self.artifact_uri}: it "
                "was removed, by someone or by a rule of the bucket. Fit again."
            )
            missing = restated(error, text, self.name)
        raise missing


def job_cost(description: Mapping[str, Any], hourly_rate: float) -> float | None:
    """The price of a completed job, for a price of one machine for an hour; None where its time is not known.

    Raises
    ------
    ValueError
        When the rate is not a price.
    """
    if not isinstance(hourly_rate, Real) or isinstance(hourly_rate, bool) or not hourly_rate >= 0:
        raise ValueError(f"hourly_rate must be a price of at least 0. Got {hourly_rate!r} instead.")
    seconds = description.get("BillableTimeInSeconds")
    if seconds is None:
        return None
    n_machines = description.get("ResourceConfig", {}).get("InstanceCount", 1)
    return float(seconds * n_machines * float(hourly_rate) / 3600.0)


def job_error(description: Mapping[str, Any], kind: str, tail: tuple[str, ...]) -> RemoteError:
    """The error for a training or transform job that failed or was stopped.

    `tail` holds the last lines of its log.
    """
    title = "TrainingJob" if kind == "training" else "TransformJob"
    name, status = description[f"{title}Name"], description[f"{title}Status"]
    # Programs may print any text, and it becomes part of the error message.
    reason = scrub(str(description.get("FailureReason", "")))
    log = "\n".join(["\nIts log ends with:", *(f"  {line}" for line in tail)]) if tail else ""
    if status == "Failed":
        code = reason.partition(":")[0]
        kind_of_error: type[RemoteError] = CapacityError if code == "CapacityError" else JobFailedError
        end, advice = f"failed: {reason or 'no reason was given'}.", _ADVICE.get(code, "")
    else:
        code = str(description.get("SecondaryStatus", "")) or status
        kind_of_error = JobStoppedError
        limit = description.get("StoppingCondition", {}).get("MaxRuntimeInSeconds")
        end = "was stopped before it was done."
        advice = _STOPPED.get(code, "Someone stopped it: fit again.").format(limit=limit)
    text = f"The {kind} job {name!r} {end} {advice}".rstrip()
    error = kind_of_error(text + log, code=code, job_name=name)
    if isinstance(error, JobFailedError):
        error.failure_reason = reason
        error.log_tail = tail
    return error
