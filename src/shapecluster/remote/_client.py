"""The facade of this package: everything that other packages use of it, besides its public names.

```
JobClient(session, job)
  .describe_algorithm            what a Marketplace algorithm takes
  .prepare   -> PreparedTraining   bucket, role and staged data; nothing is billed yet
                  .start  -> TrainingRun -> JobOutcome
  .attach .watch                 a job that exists already
  .deploy .deployed .transform   predictions by an endpoint or a batch transform job
CompletedJob                     the model of a job, its log, and the data it read
```

Outside this package, `shapecluster.remote` and this module alone may be imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO

from shapecluster._optional import import_optional
from shapecluster.remote._account import find_bucket, find_role
from shapecluster.remote._aws import AwsPlatform
from shapecluster.remote._clock import CLOCK, Clock
from shapecluster.remote._concurrency import job_slot
from shapecluster.remote._endpoints import Endpoint, deploy, deployed
from shapecluster.remote._errors import is_service_error, translate
from shapecluster.remote._job import Job
from shapecluster.remote._logs import LogReader
from shapecluster.remote._marketplace import Algorithm, ChannelSpec, describe_algorithm
from shapecluster.remote._models import model_source
from shapecluster.remote._outcome import IS_OVER, JobOutcome, open_artifact
from shapecluster.remote._platform import DROPPED, Platform, open_platform
from shapecluster.remote._records import mark_collected, read_records, staged_folders
from shapecluster.remote._request import Channel, TrainingSpec, merge_hyperparameters
from shapecluster.remote._staging import Dataset, StagedDataset, fingerprint, stage
from shapecluster.remote._training import ProgressCallback, TrainingRun, attach_training, start_training
from shapecluster.remote._transform import TransformSpec, run_transform
from shapecluster.remote._uris import join_uri

if TYPE_CHECKING:
    from sagemaker.core.resources import TrainingJob

__all__ = [
    "DROPPED",
    "Algorithm",
    "AttachedJob",
    "ChannelSpec",
    "CompletedJob",
    "Dataset",
    "JobClient",
    "JobOutcome",
    "PreparedTraining",
    "ProgressCallback",
    "StagedChannel",
    "TrainingRun",
    "fingerprint",
    "open_aws_session",
    "stop_training_job",
]


class JobClient:
    """A platform, and the settings of the jobs that are run there.

    Parameters
    ----------
    session : boto3.Session, session of sagemaker >= 3, Rehearsal or None
        The platform; None means the default credentials of boto3.
    job : Job or None, default=None
        The settings; None means ``Job()``.
    """

    def __init__(self, session: object, job: Job | None = None) -> None:
        self._platform = open_platform(session)
        self.job = Job() if job is None else job

    @property
    def is_aws(self) -> bool:
        """Whether jobs run on AWS, and not in a rehearsal."""
        return self._platform.kind == "aws"

    @property
    def region(self) -> str:
        """Name of the region."""
        return self._platform.region

    def describe_algorithm(self, arn: str) -> Algorithm:
        """Read the listing of a Marketplace algorithm; raises as `describe_algorithm` does."""
        return describe_algorithm(self._platform, arn)

    def prepare(
        self,
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
        job, platform = self.job, self._platform
        sent = merge_hyperparameters(hyperparameters, job)
        # All checks that need no call come before the first upload.
        if isinstance(algorithm, Algorithm):
            algorithm.check(sent, job)
        execution_role = find_role(platform, role)
        base = _base_uri(platform, job)
        staged = {
            name: stage(platform, dataset, base, kms_key=job.output_kms_key)
            for name, dataset in datasets.items()
        }
        channels = tuple(
            # Each machine reads its own share only where there are several files.
            Channel(name, one.data_uri, one.content_type, sharded=one.n_shards > 1)
            for name, one in staged.items()
        )
        name = algorithm.arn if isinstance(algorithm, Algorithm) else algorithm
        output = join_uri(base, "jobs")
        spec = TrainingSpec(name, channels, sent, execution_role, output, base_name=base_name)
        return PreparedTraining(platform, job, spec, tuple(staged.values()), record)

    def watch(self, job_name: str, progress: ProgressCallback | None = None) -> TrainingRun:
        """Return a job that is known to exist, without calling AWS."""
        return TrainingRun(self._platform, job_name, self.job, progress=progress)

    def attach(self, job_name: str, progress: ProgressCallback | None = None) -> AttachedJob:
        """Find a job again, and what was recorded when it was created.

        An interrupted wait lets such a job run on; `on_interrupt` of the job settings does not apply.

        Raises
        ------
        NotFoundError
            When there is no such job.
        """
        run, description = attach_training(self._platform, job_name, progress=progress)
        record = read_records(self._platform, description).record
        return AttachedJob(run, str(description["TrainingJobStatus"]), record)

    def sdk_training_job(self, job_name: str) -> TrainingJob:
        """A job as an object of the SageMaker SDK.

        Raises
        ------
        ValueError
            For a rehearsal, whose jobs the SDK does not know.
        ImportError
            Without the SDK.
        """
        if not isinstance(self._platform, AwsPlatform):
            raise ValueError(
                "session must be one of AWS for training_job(): the SageMaker SDK does not see into a "
                f"rehearsal. Got {self._platform!r} instead."
            )
        return self._platform.sdk_training_job(job_name)

    def deploy(self, outcome: JobOutcome, *, name: str | None = None, instance_count: int = 1) -> Endpoint:
        """Create an endpoint that stays until it is deleted; raises as `deploy` does."""
        source = model_source(outcome)
        return deploy(self._platform, source, self.job, name=name, instance_count=instance_count)

    def deployed(
        self, outcome: JobOutcome, *, name: str | None = None, instance_count: int = 1
    ) -> AbstractContextManager[Endpoint]:
        """An endpoint for the length of a ``with`` block; raises as `deploy` does."""
        source = model_source(outcome)
        return deployed(self._platform, source, self.job, name=name, instance_count=instance_count)

    def transform(self, outcome: JobOutcome, dataset: Dataset, accept: str) -> Iterator[BinaryIO]:
        """Run a batch transform job, and open its files of answers one after the other.

        Raises
        ------
        JobFailedError, JobStoppedError
            When the job did not complete.
        """
        platform, job = self._platform, self.job
        base = _base_uri(platform, job)
        staged = stage(platform, dataset, base, kms_key=job.output_kms_key)
        output = join_uri(base, "predictions")
        spec = TransformSpec(staged.data_uri, dataset.content_type, accept, output)
        for uri in run_transform(platform, model_source(outcome), spec, job):
            with platform.open(uri) as file:
                yield file


@dataclass(frozen=True)
class PreparedTraining:
    """A training job that is checked and staged, and ready to be created.

    Attributes
    ----------
    platform : Platform
        Where it will run.
    job : Job
        Its settings.
    spec : TrainingSpec
        What it will do.
    staged : tuple of StagedDataset
        The data that it will read.
    record : mapping
        Data about it for a later `attach`.
    """

    platform: Platform
    job: Job
    spec: TrainingSpec
    staged: tuple[StagedDataset, ...]
    record: Mapping[str, Any]

    def slot(self) -> AbstractContextManager[None]:
        """Wait until fewer than `Job.max_parallel_jobs` jobs run on this platform, and count as one."""
        return job_slot(self.platform.identity, self.job.max_parallel_jobs)

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
        clock: Clock = CLOCK if sleep is None else replace(CLOCK, sleep=sleep)
        return start_training(
            self.platform,
            self.spec,
            self.job,
            staged=self.staged,
            record=self.record,
            on_named=on_named,
            progress=progress,
            clock=clock,
        )


@dataclass(frozen=True)
class AttachedJob:
    """A training job that was found again.

    Attributes
    ----------
    run : TrainingRun
        The job.
    status : str
        As the service reports it, such as "Completed".
    record : dict or None
        What was recorded when the job was created; None where nothing was.
    """

    run: TrainingRun
    status: str
    record: dict[str, Any] | None


@dataclass(frozen=True)
class StagedChannel:
    """The data of one channel, as it was staged.

    Attributes
    ----------
    folder : str
        URI of its folder.
    manifest : dict
        `Dataset.manifest` of the data.
    """

    folder: str
    manifest: dict[str, Any]
    _platform: Platform

    def files(self) -> Iterator[tuple[str, BinaryIO]]:
        """URI and content of each file in the order of the rows, one open at a time."""
        for uri in self._platform.list(f"{self.folder}/data/"):
            with self._platform.open(uri) as file:
                yield uri, file


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
        folders = staged_folders(self.outcome.description)
        manifests = read_records(self._platform, self.outcome.description).manifests
        return {
            name: StagedChannel(folders[name], found, self._platform) for name, found in manifests.items()
        }

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
    run, description = attach_training(open_platform(session), job_name)
    status = str(description["TrainingJobStatus"])
    if status in IS_OVER:
        return status
    run.stop()
    return None


def open_aws_session(region: str | None, profile: str | None) -> Any:
    """Make a `boto3.Session`.

    Raises
    ------
    ImportError
        Without boto3.
    RemoteError
        When there is no such profile or region.
    """
    boto3 = import_optional("boto3", extra="aws", needed_for="Running jobs on Amazon SageMaker")
    try:
        return boto3.Session(region_name=region, profile_name=profile)
    except Exception as error:
        if not is_service_error(error):
            raise
        raise translate(error, "boto3.Session") from None


def _base_uri(platform: Platform, job: Job) -> str:
    return f"s3://{find_bucket(platform, job)}/{job.prefix}"
