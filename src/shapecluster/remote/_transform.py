"""Batch transform jobs: predictions for staged rows, without an endpoint."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from shapecluster.exceptions import InvalidRequestError, NameTakenError, NotFoundError, RemoteError
from shapecluster.remote._logs import TRANSFORM, LogReader
from shapecluster.remote._names import join_uri, relative_uri, unique_name
from shapecluster.remote._outcome import IS_OVER, job_error
from shapecluster.remote._polling import JobClient
from shapecluster.remote._request import key_of, tags_of
from shapecluster.remote._resources import Cleanup, create_model
from shapecluster.remote._staging import StagedDataset

logger = logging.getLogger("shapecluster.remote")


def run_transform(
    client: JobClient, training: Mapping[str, Any], rows: StagedDataset, accept: str, output_uri: str
) -> list[str]:
    """Run a transform job to its end, and delete its model.

    Parameters
    ----------
    client : JobClient
        Where to run it; machine, keys, tags and poll interval. An interruption always stops the job, even
        with another `on_interrupt`, since no other process would delete its model.
    training : mapping
        Description of the training job that left the model.
    rows : StagedDataset
        Files of lines.
    accept : str
        Media type of the answers.
    output_uri : str
        Folder for answers, with one folder for each job.

    Returns
    -------
    list of str
        URIs of the answers, in the order of the files of rows.

    Raises
    ------
    JobFailedError, JobStoppedError
        When the job did not complete.
    """
    platform = client.platform
    name = unique_name("shapecluster", client.clock.wall())
    output = join_uri(output_uri, name)
    request = {
        "TransformJobName": name,
        "ModelName": name,
        "BatchStrategy": "MultiRecord",
        "MaxPayloadInMB": 6,
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": rows.data_uri}},
            "ContentType": rows.content_type,
            "CompressionType": "None",
            "SplitType": "Line",
        },
        "TransformOutput": {
            "S3OutputPath": output,
            "Accept": accept,
            "AssembleWith": "Line",
            **key_of("KmsKeyId", client.job.output_kms_key),
        },
        "TransformResources": {
            "InstanceType": client.job.instance_type,
            "InstanceCount": client.job.instance_count,
            **key_of("VolumeKmsKeyId", client.job.volume_kms_key),
        },
        "Tags": tags_of(client.job),
    }
    with Cleanup(client) as cleanup:
        create_model(training, name, cleanup)
        try:
            with suppress(NameTakenError):  # the name is random: the answer to an earlier try was lost
                client.call("sagemaker.create_transform_job", **request)
            description = client.poll(
                lambda: platform.call("sagemaker.describe_transform_job", TransformJobName=name),
                lambda answer: answer["TransformJobStatus"] in IS_OVER,
            )
        except BaseException as error:
            _stop(client, name, error)
            raise
        if description["TransformJobStatus"] != "Completed":
            log = LogReader(platform, name, TRANSFORM)
            log.read()
            raise job_error(description, "transform", log.tail)
    inputs = [relative_uri(rows.data_uri, uri) for uri in platform.list(rows.data_uri)]
    return [join_uri(output, f"{path}.out") for path in inputs]


def _stop(client: JobClient, name: str, error: BaseException) -> None:
    """Ask a job to end; where that fails, add a note to `error`, the reason for it."""
    try:
        client.call("sagemaker.stop_transform_job", TransformJobName=name)
    except (InvalidRequestError, NotFoundError):
        return  # it is over, or was never created
    except RemoteError as second:
        logger.warning("The transform job %s could not be stopped: %s", name, second)
        error.add_note(f"The transform job {name!r} could not be stopped, and may run on: {second}")
