"""Batch transform jobs: predictions for staged rows, without an endpoint."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Literal

from shapecluster.exceptions import InvalidRequestError, NameTakenError, NotFoundError, RemoteError
from shapecluster.remote._cleanup import CleanupStack, cleanup_at_end
from shapecluster.remote._clock import CLOCK, Clock
from shapecluster.remote._job import Job
from shapecluster.remote._logs import TRANSFORM, LogReader
from shapecluster.remote._models import ModelSource, create_model
from shapecluster.remote._names import unique_name
from shapecluster.remote._outcome import IS_OVER, job_error
from shapecluster.remote._platform import Platform
from shapecluster.remote._polling import PollSchedule, poll, with_retries
from shapecluster.remote._request import tags_of
from shapecluster.remote._training import poll_interval_of
from shapecluster.remote._uris import join_uri, relative_uri

logger = logging.getLogger("shapecluster.remote")


@dataclass(frozen=True)
class TransformSpec:
    """The data of a batch transform job, and the form of its answers.

    Attributes
    ----------
    data_uri : str
        Folder of the files, with a slash at its end.
    content_type : str
        Media type of the files.
    accept : str
        Media type of the answers.
    output_uri : str
        Folder for answers, with one folder for each job.
    split : {"Line", "RecordIO", "None"}
        How a file can be cut into requests.
    """

    data_uri: str
    content_type: str
    accept: str
    output_uri: str
    split: Literal["Line", "RecordIO", "None"] = "Line"


def run_transform(
    platform: Platform,
    source: ModelSource,
    spec: TransformSpec,
    job: Job,
    *,
    base_name: str = "shapecluster",
    clock: Clock = CLOCK,
) -> list[str]:
    """Run a transform job to its end, and delete its model.

    Parameters
    ----------
    platform : Platform
        Where to run it.
    source : ModelSource
        The model.
    spec : TransformSpec
        The data.
    job : Job
        Machine, keys, tags and poll interval. An interruption always stops the job, even with another
        `on_interrupt`, since no other process would delete its model.
    base_name : str, default="shapecluster"
        What names begin with.
    clock : Clock
        For the waits.

    Returns
    -------
    list of str
        URIs of the answers, in the order of the files of rows.

    Raises
    ------
    JobFailedError, JobStoppedError
        When the job did not complete.
    """
    name = unique_name(base_name, clock.wall())
    cleanup = CleanupStack(platform, PollSchedule(poll_interval_of(platform, job), clock))
    with cleanup_at_end(cleanup):
        create_model(platform, source, job, name, cleanup)
        output = join_uri(spec.output_uri, name)
        try:
            description = _run(platform, _request(name, output, spec, job), cleanup.schedule)
        except BaseException as error:
            _stop(platform, name, cleanup.schedule, error)
            raise
        if description["TransformJobStatus"] != "Completed":
            log = LogReader(platform, name, TRANSFORM)
            log.read()
            raise job_error(description, "transform", log.tail)
    inputs = [relative_uri(spec.data_uri, uri) for uri in platform.list(spec.data_uri)]
    return [join_uri(output, f"{path}.out") for path in inputs]


def _request(name: str, output: str, spec: TransformSpec, job: Job) -> dict[str, Any]:
    lines = spec.split == "Line"
    request: dict[str, Any] = {
        "TransformJobName": name,
        "ModelName": name,
        "BatchStrategy": "SingleRecord" if spec.split == "None" else "MultiRecord",
        "MaxPayloadInMB": 6,
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": spec.data_uri}},
            "ContentType": spec.content_type,
            "CompressionType": "None",
            "SplitType": spec.split,
        },
        "TransformOutput": {
            "S3OutputPath": output,
            "Accept": spec.accept,
            "AssembleWith": "Line" if lines else "None",
        },
        "TransformResources": {"InstanceType": job.instance_type, "InstanceCount": job.instance_count},
        "Tags": tags_of(job),
    }
    if job.output_kms_key is not None:
        request["TransformOutput"]["KmsKeyId"] = job.output_kms_key
    if job.volume_kms_key is not None:
        request["TransformResources"]["VolumeKmsKeyId"] = job.volume_kms_key
    return request


def _run(platform: Platform, request: dict[str, Any], schedule: PollSchedule) -> dict[str, Any]:
    name = request["TransformJobName"]

    def create() -> None:
        try:
            platform.call("sagemaker.create_transform_job", **request)
        except NameTakenError:
            # The name is random, so it is this job.
            logger.debug("%s exists already: the answer to an earlier try was lost", name)

    with_retries(create, schedule)
    return poll(
        lambda: platform.call("sagemaker.describe_transform_job", TransformJobName=name),
        lambda answer: answer["TransformJobStatus"] in IS_OVER,
        schedule,
    )


def _stop(platform: Platform, name: str, schedule: PollSchedule, error: BaseException) -> None:
    """Ask a job to end; where that fails, add a note to `error`, the reason for it."""
    try:
        with_retries(lambda: platform.call("sagemaker.stop_transform_job", TransformJobName=name), schedule)
    except (InvalidRequestError, NotFoundError):
        return  # it is over, or was never created
    except RemoteError as second:
        logger.warning("The transform job %s could not be stopped: %s", name, second)
        error.add_note(f"The transform job {name!r} could not be stopped, and may run on: {second}")
