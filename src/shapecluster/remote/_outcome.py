"""The end of a training job: its outcome, or an error that says why and what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
class JobOutcome:
    """A training job that completed.

    Attributes
    ----------
    name : str
        Name of the job.
    artifact_uri : str
        URI of its model.tar.gz.
    billable_seconds : int or None
        Billed time of each machine, as the service reports it.
    instance_count : int
        Number of machines.
    description : dict
        The service's whole description of the job.
    """

    name: str
    artifact_uri: str
    billable_seconds: int | None
    instance_count: int
    description: dict[str, Any] = field(repr=False)

    def cost(self, hourly_rate: float) -> float | None:
        """Estimate what the job cost.

        Parameters
        ----------
        hourly_rate : float
            Price of one machine for an hour, in any currency.

        Returns
        -------
        float or None
            In the same currency; None when the service does not report the billed time.
        """
        if not isinstance(hourly_rate, Real) or isinstance(hourly_rate, bool) or not hourly_rate >= 0:
            raise ValueError(f"hourly_rate must be a price of at least 0. Got {hourly_rate!r} instead.")
        if self.billable_seconds is None:
            return None
        return self.billable_seconds * self.instance_count * float(hourly_rate) / 3600.0


def job_outcome(description: dict[str, Any], read_tail: Callable[[], tuple[str, ...]]) -> JobOutcome:
    """The outcome of a job that is over.

    Parameters
    ----------
    description : dict
        Answer of DescribeTrainingJob.
    read_tail : callable
        Returns the last lines of the log; called only when the job did not complete.

    Raises
    ------
    JobFailedError, JobStoppedError, CapacityError
        When it did not complete. A stopped job is no success, even if it left a model.
    """
    status = description["TrainingJobStatus"]
    if status == "Completed":
        return JobOutcome(
            name=description["TrainingJobName"],
            artifact_uri=description["ModelArtifacts"]["S3ModelArtifacts"],
            billable_seconds=description.get("BillableTimeInSeconds"),
            instance_count=description.get("ResourceConfig", {}).get("InstanceCount", 1),
            description=description,
        )
    raise job_error(description, "training", read_tail())


def open_artifact(platform: Platform, outcome: JobOutcome) -> BinaryIO:
    """Open the model.tar.gz that a job left.

    Raises
    ------
    NotFoundError
        When it is not there.
    """
    try:
        return platform.open(outcome.artifact_uri)
    except NotFoundError as error:
        text = (
            f"The training job {outcome.name!r} completed, but its model is not at {outcome.artifact_uri}: "
            "it was removed, by someone or by a rule of the bucket. Fit again."
        )
        missing = restated(error, text, outcome.name)
    raise missing


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
        advice = _ADVICE.get(code, "")
        text = f"The {kind} job {name!r} failed: {reason or 'no reason was given'}. {advice}".rstrip()
        if code == "CapacityError":
            return CapacityError(text, code=code, job_name=name)
        return _with_details(JobFailedError(text + log, code=code, job_name=name), reason, tail)
    secondary = str(description.get("SecondaryStatus", ""))
    limit = description.get("StoppingCondition", {}).get("MaxRuntimeInSeconds")
    advice = _STOPPED.get(secondary, "Someone stopped it: fit again.").format(limit=limit)
    text = f"The {kind} job {name!r} was stopped before it was done. {advice}"
    return _with_details(JobStoppedError(text + log, code=secondary or status, job_name=name), reason, tail)


def _with_details(error: JobFailedError, reason: str, tail: tuple[str, ...]) -> JobFailedError:
    error.failure_reason = reason
    error.log_tail = tail
    return error
