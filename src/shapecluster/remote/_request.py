"""The specification of a training job, and the request of CreateTrainingJob."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from shapecluster.remote._job import Job
from shapecluster.remote._names import join_uri
from shapecluster.remote._staging import StagedDataset

TAG = "shapecluster"  # on everything that this package creates, with its version as the value

_MOST_HYPERPARAMETERS = 100


@dataclass(frozen=True)
class TrainingSpec:
    """The algorithm and data of a training job; `Job` has its machines and limits.

    Attributes
    ----------
    algorithm : str
        URI of an image, or the ARN of a Marketplace algorithm.
    channels : mapping of str to StagedDataset
        The data, by the name that the program uses.
    hyperparameters : mapping of str to str
        As the program gets them.
    role : str
        ARN of the execution role.
    output_uri : str
        Folder for models, with one folder for each job.
    base_name : str
        What the job's name begins with.
    record : mapping
        Data about the job for a later `attach`; stored as JSON.
    """

    algorithm: str
    channels: Mapping[str, StagedDataset]
    hyperparameters: Mapping[str, str]
    role: str
    output_uri: str
    base_name: str = "shapecluster"
    record: Mapping[str, Any] = field(default_factory=dict)


def merge_hyperparameters(hyperparameters: Mapping[str, str], job: Job) -> dict[str, str]:
    """Merge the hyperparameters of an estimator and those of the job settings.

    Raises
    ------
    ValueError
        When both have the same one, or there are too many.
    """
    twice = sorted(set(hyperparameters) & set(job.hyperparameters))
    if twice:
        raise ValueError(
            f"hyperparameters of Job must not repeat what the estimator sends itself. Got {twice} instead."
        )
    merged = {**hyperparameters, **job.hyperparameters}
    if len(merged) > _MOST_HYPERPARAMETERS:
        raise ValueError(
            f"hyperparameters of Job must be fewer: a job takes {_MOST_HYPERPARAMETERS}, those that the "
            f"estimator sends included. Got {len(merged)} instead."
        )
    return merged


def training_request(name: str, spec: TrainingSpec, job: Job) -> dict[str, Any]:
    """Build the request of CreateTrainingJob.

    Optional members are left out where they are not set: the service refuses empty ones.
    """
    is_arn = spec.algorithm.startswith("arn:")
    request: dict[str, Any] = {
        "TrainingJobName": name,
        "AlgorithmSpecification": {
            ("AlgorithmName" if is_arn else "TrainingImage"): spec.algorithm,
            "TrainingInputMode": "File",
        },
        "RoleArn": spec.role,
        "InputDataConfig": [_channel(name, data) for name, data in spec.channels.items()],
        "OutputDataConfig": {"S3OutputPath": spec.output_uri, **key_of("KmsKeyId", job.output_kms_key)},
        "ResourceConfig": {
            "InstanceType": job.instance_type,
            "InstanceCount": job.instance_count,
            "VolumeSizeInGB": job.volume_size_gb,
            **key_of("VolumeKmsKeyId", job.volume_kms_key),
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": job.max_run_seconds},
        # SageMaker refuses Marketplace algorithms without it.
        "EnableNetworkIsolation": is_arn or job.network_isolation,
        "Tags": tags_of(job),
    }
    if spec.hyperparameters:
        request["HyperParameters"] = dict(spec.hyperparameters)
    if job.keep_alive_seconds:
        request["ResourceConfig"]["KeepAlivePeriodInSeconds"] = job.keep_alive_seconds
    request |= vpc_of(job)
    if job.spot:
        request["EnableManagedSpotTraining"] = True
        request["StoppingCondition"]["MaxWaitTimeInSeconds"] = longest_wait(job)
    if job.checkpoint:
        own = join_uri(spec.output_uri, name, "checkpoints")
        uri = job.checkpoint if isinstance(job.checkpoint, str) else own
        request["CheckpointConfig"] = {"S3Uri": uri, "LocalPath": "/opt/ml/checkpoints"}
    return request


def longest_wait(job: Job) -> int:
    """Seconds that a job on spot machines may wait and run together."""
    return job.max_wait_seconds or 2 * job.max_run_seconds


def tags_of(job: Job) -> list[dict[str, str]]:
    """The job's tags, and the tag by which leftovers are found."""
    own = {TAG: version("shapecluster")}
    return [{"Key": key, "Value": value} for key, value in {**job.tags, **own}.items()]


def vpc_of(job: Job) -> dict[str, Any]:
    """The member of a request for the VPC of a job or a model; none where there is no VPC."""
    if not job.subnets:
        return {}
    return {"VpcConfig": {"Subnets": list(job.subnets), "SecurityGroupIds": list(job.security_group_ids)}}


def _channel(name: str, data: StagedDataset) -> dict[str, Any]:
    return {
        "ChannelName": name,
        "DataSource": {
            "S3DataSource": {
                "S3DataType": "S3Prefix",
                "S3Uri": data.data_uri,
                # Each machine reads its own share only where there are several files.
                "S3DataDistributionType": "ShardedByS3Key" if data.n_shards > 1 else "FullyReplicated",
            }
        },
        "ContentType": data.content_type,
        "CompressionType": "None",
        "RecordWrapperType": "None",
        "InputMode": "File",
    }


def key_of(member: str, key: str | None) -> dict[str, str]:
    """The member of a request for a KMS key; none where there is no key."""
    return {} if key is None else {member: key}
