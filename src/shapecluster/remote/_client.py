"""The facade of this package: everything that other packages use of it, besides its public names.

```
open_client(session, job) -> JobClient   a platform, and the settings of its jobs
describe_algorithm                       what a Marketplace algorithm takes
prepare -> TrainingSpec                  bucket, role and staged data; nothing is billed yet
start_training -> TrainingRun            a job; its result is a CompletedJob
attach_training, read_record             a job that exists already
deploy, deployed, transform              predictions by an endpoint or a batch transform job
```

Outside this package, `shapecluster.remote` and this module alone may be imported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from shapecluster.exceptions import NotFoundError
from shapecluster.remote._aws import AwsPlatform, new_session
from shapecluster.remote._endpoints import deploy, deployed
from shapecluster.remote._errors import restated
from shapecluster.remote._job import Job
from shapecluster.remote._logs import LogReader
from shapecluster.remote._marketplace import Algorithm, ChannelSpec, describe_algorithm
from shapecluster.remote._names import join_uri
from shapecluster.remote._outcome import IS_OVER, CompletedJob, job_cost
from shapecluster.remote._platform import DROPPED, Platform
from shapecluster.remote._polling import JobClient, open_client
from shapecluster.remote._process import job_slot
from shapecluster.remote._request import TrainingSpec, merge_hyperparameters
from shapecluster.remote._staging import (
    Dataset,
    StagedChannel,
    fingerprint,
    mark_collected,
    read_record,
    stage,
    staged_channels,
    staged_folders,
)
from shapecluster.remote._training import TrainingRun, attach_training, start_training
from shapecluster.remote._transform import run_transform

if TYPE_CHECKING:
    from sagemaker.core.resources import TrainingJob

__all__ = [
    "DROPPED",
    "Algorithm",
    "ChannelSpec",
    "CompletedJob",
    "Dataset",
    "JobClient",
    "LogReader",
    "StagedChannel",
    "TrainingRun",
    "attach_training",
    "deploy",
    "deployed",
    "describe_algorithm",
    "fingerprint",
    "job_cost",
    "job_slot",
    "mark_collected",
    "new_session",
    "open_client",
    "prepare",
    "read_record",
    "sdk_training_job",
    "staged_channels",
    "staged_folders",
    "start_training",
    "stop_training_job",
    "transform",
]

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+")


def prepare(
    client: JobClient,
    algorithm: str | Algorithm,
    datasets: Mapping[str, Dataset],
    hyperparameters: Mapping[str, str],
    *,
    role: str | None,
    record: Mapping[str, Any],
    base_name: str,
) -> TrainingSpec:
    """Check the request, find role and bucket, and stage the data.

    Parameters
    ----------
    client : JobClient
        Where the job will run, and its settings.
    algorithm : str or Algorithm
        URI of an image, or a Marketplace algorithm, against which the hyperparameters are checked.
    datasets : mapping of str to Dataset
        The data of each channel.
    hyperparameters : mapping of str to str
        What the estimator sends; those of the job settings are added.
    role : str or None
        ARN of the execution role; None means the platform's default.
    record : mapping
        Data about the job for a later `attach`; stored as JSON.
    base_name : str
        What the job's name begins with.

    Raises
    ------
    ValueError
        When a hyperparameter, a machine or the role is not valid.
    RemoteError
        When the bucket is missing, or the data cannot be stored.
    """
    job, platform = client.job, client.platform
    sent = merge_hyperparameters(hyperparameters, job)
    # All checks that need no call come before the first upload.
    if isinstance(algorithm, Algorithm):
        algorithm.check(sent, job)
    execution_role, base = find_role(platform, role), _base_uri(client)
    return TrainingSpec(
        algorithm.arn if isinstance(algorithm, Algorithm) else algorithm,
        {n: stage(platform, data, base, kms_key=job.output_kms_key) for n, data in datasets.items()},
        sent,
        execution_role,
        join_uri(base, "jobs"),
        base_name,
        record,
    )


def transform(
    client: JobClient, training: Mapping[str, Any], dataset: Dataset, accept: str
) -> Iterator[BinaryIO]:
    """Run a batch transform job, and open its files of answers one after the other.

    Parameters
    ----------
    client : JobClient
        Where to run it, and its settings.
    training : mapping
        Description of the training job that left the model.
    dataset : Dataset
        Rows as lines.
    accept : str
        Media type of the answers.

    Raises
    ------
    JobFailedError, JobStoppedError
        When the job did not complete.
    """
    base = _base_uri(client)
    staged = stage(client.platform, dataset, base, kms_key=client.job.output_kms_key)
    for uri in run_transform(client, training, staged, accept, join_uri(base, "predictions")):
        with client.platform.open(uri) as file:
            yield file


def sdk_training_job(client: JobClient, job_name: str) -> TrainingJob:
    """A job as an object of the SageMaker SDK.

    Raises
    ------
    ValueError
        For a rehearsal, whose jobs the SDK does not know.
    ImportError
        Without the SDK.
    """
    if not isinstance(client.platform, AwsPlatform):
        raise ValueError(
            "session must be one of AWS for training_job(): the SageMaker SDK does not see into a "
            f"rehearsal. Got {client.platform!r} instead."
        )
    return client.platform.sdk_training_job(job_name)


def stop_training_job(session: object, job_name: str) -> str | None:
    """Ask a training job to end.

    Returns
    -------
    str or None
        The status of a job that was over already; None where it was asked to end.

    Raises
    ------
    NotFoundError
        When there is no such job.
    """
    run, description = attach_training(session, job_name)
    status = str(description["TrainingJobStatus"])
    if status in IS_OVER:
        return status
    run.stop()
    return None


def _base_uri(client: JobClient) -> str:
    return f"s3://{find_bucket(client.platform, client.job)}/{client.job.prefix}"


def find_role(platform: Platform, role: str | None = None) -> str:
    """Find the execution role: the one given, SAGEMAKER_ROLE, or the session's own.

    Raises
    ------
    ValueError
        When there is none, or it is not the ARN of a role.
    """
    found = role if role is not None else platform.default_role()
    if found is None:
        raise ValueError(
            "role must be the ARN of an execution role: pass role='arn:aws:iam::<account>:role/<name>', set "
            "the variable SAGEMAKER_ROLE, or use a SageMaker SDK session on SageMaker itself. Got None "
            "instead. shapecluster.remote.permissions writes the policy that such a role needs."
        )
    if not isinstance(found, str) or not _ROLE.fullmatch(found):
        raise ValueError(
            "role must be the ARN of a role, such as 'arn:aws:iam::123456789012:role/SageMakerExecution'. "
            f"Got {found!r} instead."
        )
    return found


def find_bucket(platform: Platform, job: Job) -> str:
    """Find the bucket of a job, and create it where the job asks for that.

    Raises
    ------
    NotFoundError
        When there is no such bucket, and `create_bucket` is False.
    """
    bucket = job.bucket or platform.default_bucket()
    try:
        platform.call("s3.head_bucket", Bucket=bucket)
    except NotFoundError as error:
        if not job.create_bucket:
            text = (
                f"There is no bucket {bucket!r} in this account: name one that exists, Job(bucket=...), or "
                "have it created, Job(create_bucket=True)."
            )
            raise restated(error, text) from None
        _create_bucket(platform, bucket)
    return bucket


def _create_bucket(platform: Platform, bucket: str) -> None:
    # S3 refuses the name of its oldest region in this call.
    place = {"CreateBucketConfiguration": {"LocationConstraint": platform.region}}
    platform.call("s3.create_bucket", Bucket=bucket, **({} if platform.region == "us-east-1" else place))
    # Prices and portfolios are confidential, and the account's defaults may allow public access.
    blocks = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    blocked = dict.fromkeys(blocks, True)
    platform.call("s3.put_public_access_block", Bucket=bucket, PublicAccessBlockConfiguration=blocked)
