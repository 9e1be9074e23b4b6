"""Training jobs: create one, wait for it, stop it, find it again.

```
start_training    draw a name, record what the job reads, create it
TrainingRun       describe, wait with progress, stop; handle an interrupted wait
attach_training   the TrainingRun of a job that exists already
```
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
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
from shapecluster.remote._atexit import stopped_at_exit
from shapecluster.remote._clock import CLOCK, Clock
from shapecluster.remote._job import Job
from shapecluster.remote._logs import LogReader
from shapecluster.remote._names import check_name, unique_name
from shapecluster.remote._outcome import IS_OVER, JobOutcome, JobProgress, job_outcome
from shapecluster.remote._platform import Platform
from shapecluster.remote._polling import PollSchedule, poll, with_retries
from shapecluster.remote._records import delete_records, write_records
from shapecluster.remote._request import TrainingSpec, training_request
from shapecluster.remote._staging import StagedDataset

logger = logging.getLogger("shapecluster.remote")

ProgressCallback = Callable[[JobProgress], object]

_NAMES = 3  # drawn before giving up; one that is taken is very unlikely already
_INTERVALS = {"aws": 10.0, "rehearsal": 0.1}


def poll_interval_of(platform: Platform, job: Job) -> float:
    """Seconds between two status requests."""
    return _INTERVALS[platform.kind] if job.poll_interval is None else float(job.poll_interval)


class TrainingRun:
    """A training job that exists.

    Parameters
    ----------
    platform : Platform
        Where it runs.
    name : str
        Its name.
    job : Job
        How often to poll, and what to do when the wait is interrupted.
    progress : callable, default=None
        Called with a `JobProgress` at every change of state, and with new lines of the log.
    clock : Clock
        For the waits.
    """

    def __init__(
        self,
        platform: Platform,
        name: str,
        job: Job,
        *,
        progress: ProgressCallback | None = None,
        clock: Clock = CLOCK,
    ) -> None:
        self.platform = platform
        self.name = name
        self.job = job
        self._progress = progress
        self._clock = clock
        self._log = LogReader(platform, name)
        self._seen: tuple[str, str] | None = None
        self._started = clock.now()

    def __repr__(self) -> str:
        return f"TrainingRun({self.name!r})"

    def describe(self) -> dict[str, Any]:
        """The service's description of the job."""
        return self.platform.call("sagemaker.describe_training_job", TrainingJobName=self.name)

    def result(self, timeout: float | None = None) -> JobOutcome:
        """Wait for the job to complete.

        Parameters
        ----------
        timeout : float, default=None
            Seconds to wait; 0 asks once, None waits to the end.

        Raises
        ------
        JobFailedError, JobStoppedError, CapacityError
            When the job did not complete.
        JobRunningError
            When the time is over before the job is.
        CredentialsError, ConnectionLostError, RemoteError
            When the status cannot be read any more. The job runs on.
        """
        deadline = None if timeout is None else self._clock.now() + timeout
        try:
            with stopped_at_exit(self):
                description = self._wait(deadline)
        except RemoteError as error:
            running = self._with_job_state(error)
        except BaseException as error:  # Ctrl-C, an error in the progress callback, the interpreter's end
            self.handle_interruption(error)
            raise
        else:
            return job_outcome(description, self._read_tail)
        raise running

    def stop(self) -> None:
        """Ask the job to end, unless it is over."""
        try:
            self._ask_to_stop()
        except InvalidRequestError:
            if self.describe()["TrainingJobStatus"] not in IS_OVER:
                raise

    def handle_interruption(self, error: BaseException) -> None:
        """Stop the job or let it run on, as `on_interrupt` says, and add a note on that to the error."""
        if self.job.on_interrupt == "detach":
            return self._note(error, f"{self._title} runs on. {self._how_to_attach}")
        logger.warning("Interrupted: stopping %s. Interrupt again to let it run on.", self._title)
        try:
            self.stop()
            schedule = PollSchedule(poll_interval_of(self.platform, self.job), self._clock)
            end = poll(self.describe, lambda d: d["TrainingJobStatus"] in IS_OVER, schedule)
        except NotFoundError:
            return self._note(error, f"{self._title} had not been created.")
        except BaseException as second:
            why = "" if isinstance(second, KeyboardInterrupt) else f" ({second})"
            text = f"{self._title} may run on{why}, {self._time_limit}. {self._how_to_attach}"
            return self._note(error, text)
        if end["TrainingJobStatus"] == "Completed":
            return self._note(error, f"{self._title} had completed before that. {self._how_to_attach}")
        return self._note(error, f"{self._title} was stopped.")

    def _wait(self, deadline: float | None) -> dict[str, Any]:
        schedule = PollSchedule(poll_interval_of(self.platform, self.job), self._clock, deadline)
        return poll(
            self.describe, lambda d: d["TrainingJobStatus"] in IS_OVER, schedule, self._report_progress
        )

    def _report_progress(self, description: Mapping[str, Any]) -> None:
        if self._progress is None:
            return
        lines = tuple(self._log.read())
        state = (str(description["TrainingJobStatus"]), str(description.get("SecondaryStatus", "")))
        if state == self._seen and not lines:
            return
        self._seen = state
        transitions = description.get("SecondaryStatusTransitions") or [{}]
        message = str(transitions[-1].get("StatusMessage", ""))
        waited = self._clock.now() - self._started
        self._progress(JobProgress(self.name, *state, message, waited, lines))

    def at_exit(self) -> None:
        """Handle the end of the interpreter while a thread waits: an interruption, but without a wait."""
        if self.job.on_interrupt == "detach":
            return
        try:
            self.platform.call("sagemaker.stop_training_job", TrainingJobName=self.name)
        except Exception as error:
            logger.warning(
                "%s may run on (%s), %s. %s", self._title, error, self._time_limit, self._how_to_attach
            )
        else:
            logger.warning("%s was asked to stop, since no thread waits for it any more.", self._title)

    def _ask_to_stop(self) -> None:
        def ask() -> None:
            self.platform.call("sagemaker.stop_training_job", TrainingJobName=self.name)

        with_retries(ask, PollSchedule(poll_interval_of(self.platform, self.job), self._clock))

    def _read_tail(self) -> tuple[str, ...]:
        self._log.read()
        return self._log.tail

    def _with_job_state(self, error: RemoteError) -> RemoteError:
        if isinstance(error, NotFoundError):
            text = (
                f"There is no training job {self.name!r} in region {self.platform.region} of this account. "
                "Check the name and the session."
            )
        elif isinstance(error, JobRunningError):
            text = f"{self._title} is not over yet, and runs on {self._time_limit}. Call result() again."
        else:
            text = f"{error} {self._title} runs on without you, {self._time_limit}. {self._how_to_attach}"
        return type(error)(
            text, operation=error.operation, code=error.code, status=error.status, job_name=self.name
        )

    def _note(self, error: BaseException, text: str) -> None:
        logger.warning("%s", text)
        error.add_note(text)

    @property
    def _title(self) -> str:
        return f"The training job {self.name!r}"

    @property
    def _time_limit(self) -> str:
        seconds = self.job.max_wait_seconds or self.job.max_run_seconds * (2 if self.job.spot else 1)
        return f"for at most {seconds} seconds in all"

    @property
    def _how_to_attach(self) -> str:
        return f"attach({self.name!r}, session=...) takes it up again, stop() ends it."


def start_training(
    platform: Platform,
    spec: TrainingSpec,
    job: Job,
    *,
    staged: Sequence[StagedDataset] = (),
    record: Mapping[str, Any] | None = None,
    on_named: Callable[[str], None] | None = None,
    progress: ProgressCallback | None = None,
    clock: Clock = CLOCK,
) -> TrainingRun:
    """Create a training job.

    Parameters
    ----------
    platform : Platform
        Where to run it.
    spec : TrainingSpec
        What to train.
    job : Job
        Its settings.
    staged : sequence of StagedDataset
        The data that it reads, for the records.
    record : mapping, default=None
        Data about the job for a later `attach`; stored as JSON.
    on_named : callable, default=None
        Called with the job's name before the job is created.
    progress : callable, default=None
        As for `TrainingRun`.
    clock : Clock
        For the waits.
    """
    for _ in range(_NAMES):
        # Record, name, job, in this order: if a step fails, no job runs without a record and a known name.
        name = unique_name(spec.base_name, clock.wall())
        run = TrainingRun(platform, name, job, progress=progress, clock=clock)
        write_records(platform, staged, name, record or {}, job.output_kms_key)
        if on_named is not None:
            on_named(name)
        if _created(run, training_request(name, spec, job), staged):
            logger.info("Created the training job %s", name)
            return run
    raise NameTakenError(
        f"No free name for a training job was found in {_NAMES} tries; the last was {name!r}."
    )


def _created(run: TrainingRun, request: dict[str, Any], staged: Sequence[StagedDataset]) -> bool:
    """Create a job; False when its name belongs to another job."""
    unsure = False  # whether a try without an answer may have created the job

    def create() -> bool:
        nonlocal unsure
        try:
            run.platform.call("sagemaker.create_training_job", **request)
        except NameTakenError:
            unsure = True
            # Names are random, so the job is most likely this one: the answer to an earlier try was lost.
            return _is_same(run.describe(), request)
        except RemoteError as error:
            unsure = unsure or error.attempts > 1 or isinstance(error, ConnectionLostError)
            raise
        return True

    try:
        created = with_retries(create, PollSchedule(poll_interval_of(run.platform, run.job), run._clock))
    except RemoteError as error:
        exists = _exists(run, request, error) if unsure else False
        if exists is None:
            raise _maybe_created_error(run, error) from None
        if not exists:
            _delete_records_quietly(run, staged)
            raise
        created = True
    except BaseException as error:
        run.handle_interruption(error)
        raise
    if not created:
        _delete_records_quietly(run, staged)
    return created


def _exists(run: TrainingRun, request: Mapping[str, Any], error: RemoteError) -> bool | None:
    """Whether the job exists although its creation failed; None where that cannot be found out."""
    try:
        return _is_same(run.describe(), request)
    except NotFoundError:
        # A request that got lost on its way may still arrive.
        return None if isinstance(error, ConnectionLostError) else False
    except RemoteError:
        return None


def _delete_records_quietly(run: TrainingRun, staged: Sequence[StagedDataset]) -> None:
    with suppress(RemoteError):  # a record without a job does no harm
        delete_records(run.platform, staged, run.name)


def _maybe_created_error(run: TrainingRun, error: RemoteError) -> RemoteError:
    text = (
        f"{error} Whether the training job {run.name!r} was created is not known. If it was, it runs on, "
        f"{run._time_limit}. {run._how_to_attach}"
    )
    return type(error)(
        text, operation=error.operation, code=error.code, status=error.status, job_name=run.name
    )


def _is_same(description: Mapping[str, Any], request: Mapping[str, Any]) -> bool:
    """Whether a described job was created by this request: same parameters, data and output."""
    if description.get("HyperParameters", {}) != request.get("HyperParameters", {}):
        return False
    requested, described = request["OutputDataConfig"], description.get("OutputDataConfig", {})
    uris = [
        [channel["DataSource"]["S3DataSource"]["S3Uri"] for channel in one.get("InputDataConfig", [])]
        for one in (description, request)
    ]
    same_output = bool(
        requested["S3OutputPath"].rstrip("/") == str(described.get("S3OutputPath")).rstrip("/")
    )
    return same_output and uris[0] == uris[1]


def attach_training(
    platform: Platform,
    name: str,
    job: Job | None = None,
    *,
    progress: ProgressCallback | None = None,
    clock: Clock = CLOCK,
) -> tuple[TrainingRun, dict[str, Any]]:
    """Find a training job again, and return it with the service's description.

    Parameters
    ----------
    platform : Platform
        Where it runs.
    name : str
        Its name.
    job : Job, default=None
        Its settings. None means that it runs on when the wait is interrupted.
    progress, clock
        As for `TrainingRun`.

    Raises
    ------
    NotFoundError
        When there is no such job.
    """
    job = Job(on_interrupt="detach") if job is None else job
    run = TrainingRun(platform, check_name(name, "job_name"), job, progress=progress, clock=clock)
    schedule = PollSchedule(poll_interval_of(platform, job), clock)
    try:
        return run, with_retries(run.describe, schedule)
    except NotFoundError as error:
        missing = run._with_job_state(error)
    raise missing
