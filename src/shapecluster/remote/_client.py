"""The facade of this package: everything that other packages use of it, besides its public names.

```
open_client(session, job) -> JobClient   a platform, and the settings of its jobs
describe_algorithm                       what a Marketplace algorithm takes
prepare -> PreparedTraining              bucket, role and staged data; nothing is billed yet
             .start -> TrainingRun -> JobOutcome
attach_training, read_record             a job that exists already
deploy, deployed, transform              predictions by an endpoint or a batch transform job
CompletedJob                             the model of a job, its log, and the data it read
```

Outside this package, `shapecluster.remote` and this module alone may be imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO

from shapecluster.remote._account import find_bucket, find_role
from shapecluster.remote._aws import AwsPlatform, new_session
from shapecluster.remote._endpoints import deploy, deployed
from shapecluster.remote._logs import LogReader
from shapecluster.remote._marketplace import Algorithm, ChannelSpec, describe_algorithm
from shapecluster.remote._names import join_uri
from shapecluster.remote._outcome import IS_OVER, JobOutcome, open_artifact
from shapecluster.remote._platform import DROPPED, Platform
from shapecluster.remote._polling import JobClient, open_client
from shapecluster.remote._process import job_slot
from shapecluster.remote._request import Channel, TrainingSpec, merge_hyperparameters
from shapecluster.remote._resources import model_source
from shapecluster.remote._retries import CLOCK
from shapecluster.remote._staging import (
    Dataset,
    StagedChannel,
    StagedDataset,
    fingerprint,
    mark_collected,
    read_record,
    stage,
    staged_channels,
    staged_folders,
)
from shapecluster.remote._training import ProgressCallback, TrainingRun, attach_training, start_training
from shapecluster.remote._transform import TransformSpec, run_transform

if TYPE_CHECKING:
    from sagemaker.core.resources import TrainingJob

__all__ = [
    "DROPPED",
    "Algorithm",
    "ChannelSpec",
    "CompletedJob",
    "Dataset",
    "JobClient",
    "JobOutcome",
    "PreparedTraining",
    "ProgressCallback",
    "StagedChannel",
    "TrainingRun",
    "attach_training",
    "deploy",
    "deployed",
    "describe_algorithm",
    "fingerprint",
    "model_source",
    "new_session",
    "open_client",
    "prepare",
    "read_record",
    "sdk_training_job",
    "stop_training_job",
    "transform",
]


def prepare(
    client: JobClient,
    algorithm: str | Algorithm,
    datasets: Mapping[str, Dataset],
    hyperparameters: Mapping[str, str],
    *,
    role: str | None,
    record: Mapping[str, Any],
    base_name: str,
) -> PreparedTraining:
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
    execution_role = find_role(platform, role)
    base = _base_uri(client)
    staged = {
        name: stage(platform, data, base, kms_key=job.output_kms_key) for name, data in datasets.items()
    }
    channels = tuple(
        # Each machine reads its own share only where there are several files.
        Channel(name, one.data_uri, one.content_type, sharded=one.n_shards > 1)
        for name, one in staged.items()
    )
    name = algorithm.arn if isinstance(algorithm, Algorithm) else algorithm
    output = join_uri(base, "jobs")
    spec = TrainingSpec(name, channels, sent, execution_role, output, base_name=base_name)
    return PreparedTraining(client, spec, tuple(staged.values()), record)


def transform(client: JobClient, outcome: JobOutcome, dataset: Dataset, accept: str) -> Iterator[BinaryIO]:
    """Run a batch transform job, and open its files of answers one after the other.

    Raises
    ------
    JobFailedError, JobStoppedError
        When the job did not complete.
    """
    base = _base_uri(client)
    staged = stage(client.platform, dataset, base, kms_key=client.job.output_kms_key)
    spec = TransformSpec(staged.data_uri, dataset.content_type, accept, join_uri(base, "predictions"))
    for uri in run_transform(client, model_source(outcome), spec):
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


@dataclass(frozen=True)
class PreparedTraining:
    """A training job that is checked and staged, and ready to be created.

    Attributes
    ----------
    client : JobClient
        Where it will run, and its settings.
    spec : TrainingSpec
        What it will do.
    staged : tuple of StagedDataset
        The data that it will read.
    record : mapping
        Data about it for a later `attach`.
    """

    client: JobClient
    spec: TrainingSpec
    staged: tuple[StagedDataset, ...]
    record: Mapping[str, Any]

    def slot(self) -> AbstractContextManager[None]:
        """Wait until fewer than `Job.max_parallel_jobs` jobs run on this platform, and count as one."""
        return job_slot(self.client.platform.identity, self.client.job.max_parallel_jobs)

    def start(
        self,
        *,
        on_named: Callable[[str], None],
        progress: ProgressCallback | None = None,
        sleep: Callable[[float], None] | None = None,
    ) -> TrainingRun:
        """Create the job.

        Parameters
        ----------
        on_named : callable
            Called with the job's name before the job is created.
        progress : callable, default=None
            Called with a `JobProgress` at every change of state.
        sleep : callable, default=None
            Replaces `time.sleep` in all waits for this job.
        """
        clock = CLOCK if sleep is None else replace(CLOCK, sleep=sleep)
        return start_training(
            replace(self.client, clock=clock),
            self.spec,
            staged=self.staged,
            record=self.record,
            on_named=on_named,
            progress=progress,
        )


class CompletedJob:
    """A completed training job, and its files.

    Parameters
    ----------
    platform : Platform
        Where it ran.
    outcome : JobOutcome
        How it ended.
    """

    def __init__(self, platform: Platform, outcome: JobOutcome) -> None:
        self._platform = platform
        self.outcome = outcome

    @property
    def name(self) -> str:
        """Name of the job."""
        return self.outcome.name

    @property
    def metrics(self) -> dict[str, float]:
        """Final metrics that the service reports, by name."""
        found = self.outcome.description.get("FinalMetricDataList", [])
        return {str(metric["MetricName"]): float(metric["Value"]) for metric in found}

    def open_model(self) -> BinaryIO:
        """Open the model.tar.gz; NotFoundError where it was removed."""
        return open_artifact(self._platform, self.outcome)

    def read_log(self) -> list[str]:
        """All lines that the program printed, as far as the log can be read."""
        return LogReader(self._platform, self.name).read()

    def has_staged(self, channel: str) -> bool:
        """Whether the job read staged data in a channel of this name."""
        return channel in staged_folders(self.outcome.description)

    def staged_channels(self) -> dict[str, StagedChannel]:
        """The channels whose data is still where it was staged, by name."""
        return staged_channels(self._platform, self.outcome.description)

    def mark_collected(self, kms_key: str | None) -> None:
        """Record that the result was read, so that the staged data may be cleaned up."""
        mark_collected(self._platform, self.outcome.description, kms_key)


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
