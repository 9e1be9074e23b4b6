"""Training jobs: create one, wait for it, stop it, find it again.

```
start_training    draw a name, record what the job reads, create it
TrainingRun       describe, wait with progress, stop; handle an interrupted wait
attach_training   the TrainingRun of a job that exists already
```
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from shapecluster.exceptions import (
    ConnectionLostError,
    InvalidRequestError,
    JobRunningError,
    NameTakenError,
    NotFoundError,
    RemoteError,
)
from shapecluster.remote._errors import restated
from shapecluster.remote._job import Job
from shapecluster.remote._logs import LogReader
from shapecluster.remote._names import check_name, unique_name
from shapecluster.remote._outcome import IS_OVER, CompletedJob, JobProgress, job_error
from shapecluster.remote._polling import JobClient, open_client
from shapecluster.remote._process import stopped_at_exit
from shapecluster.remote._request import TrainingSpec, longest_wait, training_request
from shapecluster.remote._staging import delete_records, write_records

logger = logging.getLogger("shapecluster.remote")

ProgressCallback = Callable[[JobProgress], object]

_NAMES = 3  # drawn before giving up; one that is taken is very unlikely already


class TrainingRun:
    """A training job that exists.

    Parameters
    ----------
    client : JobClient
        Where it runs, how often to poll, and what to do when the wait is interrupted.
    name : str
        Its name.
    progress : callable, default=None
        Called with a `JobProgress` at every change of state, and with new lines of the log.
    """

    def __init__(self, client: JobClient, name: str, progress: ProgressCallback | None = None) -> None:
        self.client = client
        self.name = name
        self._progress = progress
        self._log = LogReader(client.platform, name)
        self._seen: tuple[str, str] | None = None
        self._started = client.clock.now()

    def __repr__(self) -> str:
        return f"TrainingRun({self.name!r})"

    def describe(self) -> dict[str, Any]:
        """The service's description of the job."""
        return self.client.repeat(self._describe_once)

    def _describe_once(self) -> dict[str, Any]:
        return self.client.platform.call("sagemaker.describe_training_job", TrainingJobName=self.name)

    def result(self, timeout: float | None = None) -> CompletedJob:
        """Wait for the job to complete.

        Parameters
        ----------
        timeout : float, default=None
            Seconds to wait; 0 asks once, None waits to the end.

        Raises
        ------
        JobFailedError, JobStoppedError, CapacityError
            When the job did not complete. A stopped job is no success, even if it left a model.
        JobRunningError
            When the time is over before the job is.
        CredentialsError, ConnectionLostError, RemoteError
            When the status cannot be read any more. The job runs on.
        """
        deadline = None if timeout is None else self.client.clock.now() + timeout
        try:
            with stopped_at_exit(self._stop_at_exit):
                description = self._wait(deadline, self._progress)
        except RemoteError as error:
            running = self._with_job_state(error)
        except BaseException as error:  # Ctrl-C, an error in the progress callback, the interpreter's end
            self.handle_interruption(error)
            raise
        else:
            if description["TrainingJobStatus"] == "Completed":
                return CompletedJob(self.client.platform, description)
            self._log.read()
            raise job_error(description, "training", self._log.tail)
        raise running

    def stop(self) -> None:
        """Ask the job to end, unless it is over."""
        try:
            self.client.call("sagemaker.stop_training_job", TrainingJobName=self.name)
        except InvalidRequestError:
            if self.describe()["TrainingJobStatus"] not in IS_OVER:
                raise

    def handle_interruption(self, error: BaseException) -> None:
        """Stop the job or let it run on, as `on_interrupt` says, and add a note on that to the error."""
        if self.client.job.on_interrupt == "detach":
            return self._note(error, f"{self._title} runs on. {self._how_to_attach}")
        logger.warning("Interrupted: stopping %s. Interrupt again to let it run on.", self._title)
        try:
            self.stop()
            end = self._wait()
        except NotFoundError:
            return self._note(error, f"{self._title} had not been created.")
        except BaseException as second:
            why = "" if isinstance(second, KeyboardInterrupt) else f" ({second})"
            text = f"{self._title} may run on{why}, {self._time_limit}. {self._how_to_attach}"
            return self._note(error, text)
        if end["TrainingJobStatus"] == "Completed":
            return self._note(error, f"{self._title} had completed before that. {self._how_to_attach}")
        return self._note(error, f"{self._title} was stopped.")

    def _wait(
        self, deadline: float | None = None, progress: ProgressCallback | None = None
    ) -> dict[str, Any]:
        def is_over(description: dict[str, Any]) -> bool:
            if progress is not None:
                self._report_progress(progress, description)
            return description["TrainingJobStatus"] in IS_OVER

        return self.client.poll(self._describe_once, is_over, deadline=deadline)

    def _report_progress(self, progress: ProgressCallback, description: Mapping[str, Any]) -> None:
        lines = tuple(self._log.read())
        state = (str(description["TrainingJobStatus"]), str(description.get("SecondaryStatus", "")))
        if state == self._seen and not lines:
            return
        self._seen = state
        transitions = description.get("SecondaryStatusTransitions") or [{}]
        message = str(transitions[-1].get("StatusMessage", ""))
        waited = self.client.clock.now() - self._started
        progress(JobProgress(self.name, *state, message, waited, lines))

    def _stop_at_exit(self) -> None:
        """Handle the end of the interpreter while a thread waits: an interruption, but without a wait."""
        if self.client.job.on_interrupt == "detach":
            return
        try:
            self.client.platform.call("sagemaker.stop_training_job", TrainingJobName=self.name)
        except Exception as error:
            logger.warning(
                "%s may run on (%s), %s. %s", self._title, error, self._time_limit, self._how_to_attach
            )
        else:
            logger.warning("%s was asked to stop, since no thread waits for it any more.", self._title)

    def _with_job_state(self, error: RemoteError) -> RemoteError:
        if isinstance(error, NotFoundError):
            region = self.client.platform.region
            text = (
                f"There is no training job {self.name!r} in region {region} of this account. Check the name "
                "and the session."
            )
        elif isinstance(error, JobRunningError):
            text = f"{self._title} is not over yet, and runs on {self._time_limit}. Call result() again."
        else:
            text = f"{error} {self._title} runs on without you, {self._time_limit}. {self._how_to_attach}"
        return restated(error, text, self.name)

    def _note(self, error: BaseException, text: str) -> None:
        logger.warning("%s", text)
        error.add_note(text)

    @property
    def _title(self) -> str:
        return f"The training job {self.name!r}"

    @property
    def _time_limit(self) -> str:
        seconds = longest_wait(self.client.job) if self.client.job.spot else self.client.job.max_run_seconds
        return f"for at most {seconds} seconds in all"

    @property
    def _how_to_attach(self) -> str:
        return f"attach({self.name!r}, session=...) takes it up again, stop() ends it."


def start_training(
    client: JobClient,
    spec: TrainingSpec,
    *,
    on_named: Callable[[str], None] | None = None,
    progress: ProgressCallback | None = None,
) -> TrainingRun:
    """Create a training job.

    Parameters
    ----------
    client : JobClient
        Where to run it, and its settings.
    spec : TrainingSpec
        What to train.
    on_named : callable, default=None
        Called with the job's name before the job is created.
    progress : callable, default=None
        As for `TrainingRun`.
    """
    for _ in range(_NAMES):
        # Record, name, job, in this order: if a step fails, no job runs without a record and a known name.
        name = unique_name(spec.base_name, client.clock.wall())
        run = TrainingRun(client, name, progress)
        write_records(client.platform, spec.channels.values(), name, spec.record, client.job.output_kms_key)
        if on_named is not None:
            on_named(name)
        try:
            created = _created(run, training_request(name, spec, client.job), spec)
        except RemoteError:
            raise
        except BaseException as error:  # the job may exist
            run.handle_interruption(error)
            raise
        if created:
            logger.info("Created the training job %s", name)
            return run
    raise NameTakenError(
        f"No free name for a training job was found in {_NAMES} tries; the last was {name!r}."
    )


def _created(run: TrainingRun, request: dict[str, Any], spec: TrainingSpec) -> bool:
    """Create a job; False when its name belongs to another job."""
    try:
        run.client.call("sagemaker.create_training_job", **request)
    except RemoteError as error:
        # Names are random, so a job of this name is most likely this one: the answer to a try was lost.
        is_lost = isinstance(error, ConnectionLostError)
        if is_lost or isinstance(error, NameTakenError) or error.attempts > 1:
            try:
                if _is_same(run.describe(), request):
                    return True
            except RemoteError as second:
                # A request that got lost on its way may still arrive.
                if is_lost or not isinstance(second, NotFoundError):
                    text = (
                        f"{error} Whether the training job {run.name!r} was created is not known. If it was, "
                        f"it runs on, {run._time_limit}. {run._how_to_attach}"
                    )
                    raise restated(error, text, run.name) from None
        with suppress(RemoteError):  # a record without a job does no harm
            delete_records(run.client.platform, spec.channels.values(), run.name)
        if not isinstance(error, NameTakenError):
            raise
        return False
    return True


def _is_same(description: Mapping[str, Any], request: Mapping[str, Any]) -> bool:
    """Whether a described job was created by this request: same parameters, data and output."""

    def identity(job: Mapping[str, Any]) -> tuple[Any, ...]:
        channels = job.get("InputDataConfig", [])
        uris = [channel["DataSource"]["S3DataSource"]["S3Uri"] for channel in channels]
        output = str(job.get("OutputDataConfig", {}).get("S3OutputPath")).rstrip("/")
        return job.get("HyperParameters", {}), uris, output

    return identity(description) == identity(request)


def attach_training(
    session: object, name: str, *, progress: ProgressCallback | None = None
) -> tuple[TrainingRun, dict[str, Any]]:
    """Find a training job again, and return it with the service's description.

    It runs on when the wait for it is interrupted.

    Parameters
    ----------
    session : session or Platform
        Where it runs.
    name : str
        Its name.
    progress : callable, default=None
        As for `TrainingRun`.

    Raises
    ------
    NotFoundError
        When there is no such job.
    """
    client = open_client(session, Job(on_interrupt="detach"))
    run = TrainingRun(client, check_name(name, "job_name"), progress)
    try:
        return run, run.describe()
    except NotFoundError as error:
        missing = run._with_job_state(error)
    raise missing
