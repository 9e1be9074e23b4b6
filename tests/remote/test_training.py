"""The life of a training job, and every way in which it can go wrong."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest

from shapecluster.exceptions import (
    AccessError,
    CapacityError,
    ConnectionLostError,
    CredentialsError,
    InvalidRequestError,
    JobFailedError,
    JobRunningError,
    JobStoppedError,
    NameTakenError,
    NotFoundError,
    NotSubscribedError,
    QuotaError,
    RemoteError,
    ThrottledError,
)
from shapecluster.remote import Job
from shapecluster.remote._errors import from_code
from shapecluster.remote._names import check_name, unique_name
from shapecluster.remote._outcome import CompletedJob, job_cost
from shapecluster.remote._polling import JobClient
from shapecluster.remote._process import job_slot
from shapecluster.remote._request import TrainingSpec, merge_hyperparameters, training_request
from shapecluster.remote._staging import (
    Dataset,
    StagedDataset,
    fingerprint,
    mark_collected,
    read_record,
    stage,
    staged_channels,
)
from shapecluster.remote._training import (
    TrainingRun,
    attach_training,
    start_training,
)
from tests.remote.fakes import ARN, ROLE, FakeClock, FakeService

CREATE, DESCRIBE, STOP = (f"sagemaker.{verb}_training_job" for verb in ("create", "describe", "stop"))
JOB = Job(poll_interval=10.0)


def error(code: str, message: str = "so it is", operation: str = CREATE) -> RemoteError:
    return from_code(code, message, operation)


def run_in_slot(service: FakeService, job: Job) -> CompletedJob:
    with job_slot(service.identity, job.max_parallel_jobs):
        return start_training(JobClient(service, job), spec()).result()


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def time() -> FakeClock:
    return FakeClock()


def spec(**changes):
    channel = StagedDataset("s3://bucket/p/0123", "text/csv")
    given = {
        "algorithm": "image",
        "channels": {"train": channel},
        "hyperparameters": {"k": "3"},
        "role": ROLE,
    }
    return TrainingSpec(**{**given, "output_uri": "s3://bucket/p/models", "base_name": "test", **changes})


def start(service, time, job=JOB, **options):
    return start_training(JobClient(service, job, time.clock), spec(), **options)


# ------------------------------------------------------------------------------------------ all goes well


def test_a_job_is_created_watched_and_its_outcome_told(service, time):
    service.log = ["one", "two"]
    news, names = [], []
    run = start(service, time, progress=news.append, on_named=names.append)
    outcome = run.result()
    assert names == [run.name] == [outcome.name]
    assert outcome.artifact_uri == f"s3://bucket/p/models/{run.name}/output/model.tar.gz"
    assert [n.secondary_status for n in news] == [
        *("Starting", "Downloading", "Training", "Uploading", "Completed")
    ]
    assert news[0].lines == ("one", "two")
    assert news[1].lines == ()
    assert news[-1].seconds == pytest.approx(40.0)
    assert outcome.billable_seconds == 90
    assert job_cost(outcome.description, 2.0) == pytest.approx(0.05)


def test_the_name_is_told_before_the_job_is_created(service, time):
    seen = []
    start(service, time, on_named=lambda name: seen.append((name, list(service.jobs))))
    assert seen[0][1] == []


def test_waits_are_spread_around_the_interval(service, time):
    from dataclasses import replace

    chances = iter([0.0, 1.0, 0.5, 0.5])
    clock = replace(time.clock, chance=lambda: next(chances))
    start_training(JobClient(service, JOB, clock), spec()).result()
    assert time.waits == pytest.approx([8.0, 12.0, 10.0, 10.0])


def test_the_cost_needs_a_price_and_counts_every_machine(service, time):
    outcome = start(service, time, Job(poll_interval=10, instance_count=3)).result()
    assert job_cost(outcome.description, 1.0) == pytest.approx(3 * 90 / 3600)
    for wrong in (-1.0, "1", None, True, float("nan")):
        with pytest.raises(ValueError, match="hourly_rate"):
            job_cost(outcome.description, wrong)


def test_listing_is_never_used(service, time):
    start(service, time).result()
    assert {name for name, _ in service.calls} == {CREATE, DESCRIBE, "upload"}


# ------------------------------------------------------------------------------------------- the request


def test_the_request_says_everything_that_the_job_says():
    job = Job(
        instance_type="ml.c5.xlarge",
        instance_count=2,
        volume_size_gb=50,
        max_run_seconds=100,
        spot=True,
        max_wait_seconds=300,
        checkpoint="s3://bucket/checkpoints",
        subnets=("subnet-1",),
        security_group_ids=("sg-1",),
        volume_kms_key="volume",
        output_kms_key="output",
        tags={"desk": "x", "shapecluster": "mine"},
        network_isolation=True,
    )
    request = training_request("name", spec(), job)
    assert request["ResourceConfig"] == {
        "InstanceType": "ml.c5.xlarge",
        "InstanceCount": 2,
        "VolumeSizeInGB": 50,
        "VolumeKmsKeyId": "volume",
    }
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 100, "MaxWaitTimeInSeconds": 300}
    assert request["EnableManagedSpotTraining"]
    assert request["EnableNetworkIsolation"]
    assert request["CheckpointConfig"]["S3Uri"] == "s3://bucket/checkpoints"
    assert request["VpcConfig"] == {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
    assert request["OutputDataConfig"]["KmsKeyId"] == "output"
    keys = [tag["Key"] for tag in request["Tags"]]
    assert sorted(keys) == ["desk", "shapecluster"]
    assert request["HyperParameters"] == {"k": "3"}
    assert "Environment" not in request


def test_an_algorithm_of_the_marketplace_is_named_and_isolated():
    request = training_request("name", spec(algorithm=ARN), Job())
    assert request["AlgorithmSpecification"] == {"AlgorithmName": ARN, "TrainingInputMode": "File"}
    assert request["EnableNetworkIsolation"] is True


def test_what_is_not_asked_for_is_not_sent():
    request = training_request("name", spec(), Job())
    optional = {"VpcConfig", "CheckpointConfig", "EnableManagedSpotTraining", "Environment"}
    assert not optional & set(request)
    assert set(request["StoppingCondition"]) == {"MaxRuntimeInSeconds"}
    assert set(request["OutputDataConfig"]) == {"S3OutputPath"}


def test_a_checkpoint_folder_of_its_own_bears_the_jobs_name():
    config = training_request("name", spec(), Job(checkpoint=True))["CheckpointConfig"]
    assert config["S3Uri"] == "s3://bucket/p/models/name/checkpoints"


def test_spot_without_a_limit_waits_at_most_twice_as_long():
    request = training_request("name", spec(), Job(spot=True, max_run_seconds=100))
    assert request["StoppingCondition"]["MaxWaitTimeInSeconds"] == 200


def test_hyperparameters_are_strings_of_a_length_that_the_service_takes():
    with pytest.raises(ValueError, match=r"'x+'"):
        Job(hyperparameters={"k": "x" * 2501})
    with pytest.raises(ValueError, match=r"takes 100, .* Got 101"):
        merge_hyperparameters({"k": "3"}, Job(hyperparameters={f"k{i}": "" for i in range(100)}))
    assert merge_hyperparameters({"k": "3"}, Job(hyperparameters={"seed": "1"})) == {"k": "3", "seed": "1"}
    with pytest.raises(ValueError, match="repeat"):
        merge_hyperparameters({"k": "3"}, Job(hyperparameters={"k": "4"}))


def test_names_are_valid_unique_and_keep_their_beginning():
    names = {unique_name("a_b/" * 30, 1.8e9) for _ in range(200)}
    assert len(names) == 200
    for name in names:
        assert check_name(name, "name") == name
        assert name.startswith("a-b-a-b")
    assert check_name(unique_name("", 0.0), "name")
    for wrong in ("", "-a", "a-", "a_b", "x" * 64, None):
        with pytest.raises(ValueError, match="job_name must be"):
            check_name(wrong, "job_name")


# ---------------------------------------------------------------------------------- it cannot be created


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        ("ValidationException", "Caller is not subscribed to the marketplace offering", NotSubscribedError),
        ("AccessDeniedException", "not authorized to perform: iam:PassRole", AccessError),
        ("AccessDeniedException", "not authorized to perform: sagemaker:CreateTrainingJob", AccessError),
        ("ResourceLimitExceeded", "The account-level service limit", QuotaError),
        ("ValidationException", "1 validation error", InvalidRequestError),
        ("ExpiredTokenException", "expired", CredentialsError),
    ],
)
def test_a_job_that_is_refused_leaves_no_record(service, time, code, message, expected):
    service.script(CREATE, error(code, message))
    with pytest.raises(expected):
        start(service, time)
    assert service.uploads
    assert not [uri for uri in service.files if "/jobs/" in uri]


def test_throttling_is_waited_out_longer_each_time(service, time):
    service.script(CREATE, *[error("ThrottlingException")] * 4, service._create)
    start(service, time)
    assert time.waits == [10.0, 20.0, 40.0, 60.0]
    assert len(service.requests(CREATE)) == 5


def test_throttling_without_end_is_told(service, time):
    service.script(CREATE, error("ThrottlingException"))
    with pytest.raises(ThrottledError, match="max_parallel_jobs"):
        start(service, time)
    assert not service.jobs


def test_a_lost_answer_does_not_make_two_jobs(service, time):
    def create_and_lose(**request):
        service._create(**request)
        raise error("InternalFailure")

    service.script(CREATE, create_and_lose, service._create)
    run = start(service, time)
    assert list(service.jobs) == [run.name]
    assert run.result().name == run.name


def test_a_name_that_is_another_jobs_is_not_taken_for_ours(service, time):
    other = {"HyperParameters": {"k": "99"}, "OutputDataConfig": {"S3OutputPath": "s3://elsewhere"}}

    def taken(**request):
        service.jobs[request["TrainingJobName"]] = {"request": request | other, "states": ["Training"]}
        raise error("ResourceInUse")

    service.script(CREATE, taken, service._create)
    run = start(service, time)
    assert len(service.jobs) == 2
    assert service.jobs[run.name]["request"]["HyperParameters"] == {"k": "3"}


def test_when_no_name_is_free_it_is_told(service, time):
    def taken(**request):
        request = request | {"HyperParameters": {"k": "99"}}
        service.jobs[request["TrainingJobName"]] = {"request": request, "states": ["Training"]}
        raise error("ResourceInUse")

    service.script(CREATE, taken)
    with pytest.raises(NameTakenError):
        start(service, time)


def test_a_connection_lost_while_creating_names_the_job_that_may_exist(service, time):
    service.script(CREATE, error("InternalFailure"))
    with pytest.raises(ConnectionLostError, match="is not known") as caught:
        start(service, time)
    assert caught.value.job_name in str(caught.value)
    assert "attach" in str(caught.value)


# ----------------------------------------------------------------------------------------- it goes wrong


def test_a_failed_job_tells_its_reason_the_tail_of_its_log_and_what_to_do(time):
    service = FakeService("Training", "Failed")
    service.log = [f"line {i}" for i in range(50)]
    service.extra = {"FailureReason": "AlgorithmError: k must be at most 2, exit code: 1"}
    run = start(service, time)
    with pytest.raises(JobFailedError, match="k must be at most 2") as caught:
        run.result()
    assert caught.value.failure_reason.startswith("AlgorithmError")
    assert caught.value.log_tail == tuple(f"line {i}" for i in range(30, 50))
    assert caught.value.job_name == run.name
    assert "line 49" in str(caught.value)
    assert not isinstance(caught.value, JobStoppedError)


def test_want_of_machines_is_told_as_such(time):
    service = FakeService("Starting", "Failed")
    service.extra = {"FailureReason": "CapacityError: Unable to provision requested ML compute capacity"}
    with pytest.raises(CapacityError, match="another instance type"):
        start(service, time).result()


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("Stopped", "Someone stopped it"),
        ("MaxRuntimeExceeded", "max_run_seconds=3600"),
        ("MaxWaitTimeExceeded", "max_wait_seconds"),
    ],
)
def test_a_job_that_was_stopped_is_never_a_success(time, state, says):
    service = FakeService("Training", state)  # and it left a model
    with pytest.raises(JobStoppedError, match=says):
        start(service, time).result()


def test_a_log_that_may_not_be_read_does_no_harm(time, caplog):
    service = FakeService("Training", "Failed")
    service.script("logs.describe_log_streams", error("AccessDeniedException", operation="logs.x"))
    with pytest.raises(JobFailedError) as caught:
        start(service, time, progress=lambda news: None).result()
    assert caught.value.log_tail == ()
    assert len([r for r in caplog.records if "cannot be read" in r.getMessage()]) == 1


def test_the_logs_of_all_machines_are_read_also_of_those_that_come_later(time):
    service = FakeService("Training", "Training", "Completed")
    service.log = ["a"]
    names = [["algo-1-1"], ["algo-1-1", "algo-2-1"]]

    def streams(logStreamNamePrefix, **_):
        found = names.pop(0) if len(names) > 1 else names[0]
        return {"logStreams": [{"logStreamName": logStreamNamePrefix + name} for name in found]}

    service.script("logs.describe_log_streams", streams)
    news = []
    start(service, time, progress=news.append).result()
    assert [n.lines for n in news] == [("a",), ("a",), ()]


def test_credentials_in_a_log_are_hidden(time):
    service = FakeService("Training", "Failed")
    service.log = ["aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"]
    service.extra = {"FailureReason": "AlgorithmError: AKIAIOSFODNN7EXAMPLE"}
    news = []
    with pytest.raises(JobFailedError) as caught:
        start(service, time, progress=news.append).result()
    text = f"{caught.value} {caught.value.failure_reason} {caught.value.log_tail} {news}"
    assert "wJalr" not in text
    assert "AKIA" not in text


# --------------------------------------------------------------------------------- it cannot be watched


@pytest.mark.parametrize(
    ("code", "expected"),
    [("ExpiredTokenException", CredentialsError), ("AccessDeniedException", AccessError)],
)
def test_a_job_that_can_no_longer_be_watched_runs_on_and_is_named(service, time, code, expected):
    run = start(service, time)
    service.script(DESCRIBE, service._describe, error(code, operation=DESCRIBE))
    with pytest.raises(expected) as caught:
        run.result()
    assert caught.value.job_name == run.name
    for word in (run.name, "runs on", "3600 seconds", "attach"):
        assert word in str(caught.value)
    assert not service.requests(STOP)
    service.script(DESCRIBE, service._describe)
    again, _ = attach_training(JobClient(service, JOB, time.clock), run.name)
    assert again.result().name == run.name


def test_a_short_loss_of_the_connection_is_waited_out(service, time):
    run = start(service, time)
    lost = error("ServiceUnavailable", operation=DESCRIBE)
    service.script(DESCRIBE, service._describe, lost, lost, lost, service._describe)
    assert run.result().name == run.name


def test_a_long_loss_of_the_connection_is_told(service, time):
    run = start(service, time)
    service.script(DESCRIBE, service._describe, error("ServiceUnavailable", operation=DESCRIBE))
    with pytest.raises(ConnectionLostError, match="runs on") as caught:
        run.result()
    assert isinstance(caught.value, ConnectionError)
    assert 590 <= sum(time.waits) <= 620  # minutes, of which the waits grow longer and longer
    assert len(service.requests(DESCRIBE)) <= 20


def test_throttled_questions_are_asked_less_often(service, time):
    run = start(service, time)
    service.script(DESCRIBE, *[error("ThrottlingException", operation=DESCRIBE)] * 3, service._describe)
    run.result()
    assert time.waits[:3] == [10.0, 20.0, 40.0]


def test_a_wait_with_an_end_can_be_taken_up_again(time):
    service = FakeService(*["Training"] * 10, "Completed")
    run = start(service, time)
    begin = time.time
    with pytest.raises(JobRunningError, match="runs on") as caught:
        run.result(timeout=25)
    assert isinstance(caught.value, TimeoutError)
    assert time.time - begin == pytest.approx(25)
    assert run.result().name == run.name


def test_a_timeout_of_zero_looks_once(service, time):
    run = start(service, time)
    with pytest.raises(JobRunningError):
        run.result(timeout=0)
    assert len(service.requests(DESCRIBE)) == 1
    assert time.waits == []


# ----------------------------------------------------------------------------------------- interruptions


def interrupt(times=1):
    left = [times]

    def during():
        if left[0]:
            left[0] -= 1
            raise KeyboardInterrupt

    return during


def test_an_interrupted_job_is_stopped(time):
    service = FakeService("Training")
    run = start(service, time)
    time.during = interrupt()
    with pytest.raises(KeyboardInterrupt) as caught:
        run.result()
    assert len(service.requests(STOP)) == 1
    assert service.jobs[run.name]["states"] == ["Stopped"]
    assert caught.value.__notes__ == [f"The training job {run.name!r} was stopped."]


def test_a_second_interruption_lets_it_run_on(time):
    service = FakeService("Training")
    run = start(service, time)
    time.during = interrupt(2)
    with pytest.raises(KeyboardInterrupt) as caught:
        run.result()
    (note,) = caught.value.__notes__
    assert "may run on" in note
    assert run.name in note
    assert "attach" in note


def test_detached_jobs_run_on(time):
    service = FakeService("Training")
    run = start(service, time, Job(poll_interval=10, on_interrupt="detach"))
    time.during = interrupt()
    with pytest.raises(KeyboardInterrupt) as caught:
        run.result()
    assert not service.requests(STOP)
    assert "runs on" in caught.value.__notes__[0]


def test_an_interruption_while_creating_stops_what_was_created(service, time):
    def create(**request):
        service._create(**request)
        raise KeyboardInterrupt

    service.script(CREATE, create)
    with pytest.raises(KeyboardInterrupt) as caught:
        start(service, time)
    (job,) = service.jobs.values()
    assert job["states"] == ["Stopped"]
    assert "was stopped" in caught.value.__notes__[0]


def test_an_interruption_before_anything_was_created_says_so(service, time):
    service.script(CREATE, KeyboardInterrupt())
    missing = error("ValidationException", "Requested resource not found.", STOP)
    service.script(STOP, missing)
    with pytest.raises(KeyboardInterrupt) as caught:
        start(service, time)
    assert "had not been created" in caught.value.__notes__[0]


def test_a_callback_that_breaks_does_not_leave_a_job_behind(time):
    service = FakeService("Training")

    def progress(news):
        raise ZeroDivisionError

    run = start(service, time, progress=progress)
    with pytest.raises(ZeroDivisionError):
        run.result()
    assert service.jobs[run.name]["states"] == ["Stopped"]


def test_stopping_what_cannot_be_stopped_is_told(time):
    service = FakeService("Training")
    run = start(service, time)
    service.script(STOP, error("AccessDeniedException", operation=STOP))
    time.during = interrupt()
    with pytest.raises(KeyboardInterrupt) as caught:
        run.result()
    assert "sagemaker:StopTrainingJob" in caught.value.__notes__[0]


def test_stopping_a_job_that_is_over_does_nothing(service, time):
    run = start(service, time)
    run.result()
    service.script(STOP, error("ValidationException", "The job is in status Completed", STOP))
    run.stop()
    service.states = ["Training"]
    other = start(service, time)
    with pytest.raises(InvalidRequestError):
        other.stop()


# ------------------------------------------------------------------------------------ attach, and records


def dataset(values=None, manifest=None):
    values = np.arange(12.0).reshape(4, 3) if values is None else values

    def write(file, rows):
        np.savetxt(file, values[rows], delimiter=",")

    mark = fingerprint(values, "csv")
    return Dataset(mark, len(values), write, "text/csv", ".csv", {} if manifest is None else manifest)


def test_attach_restores_what_was_written_down(service, time):
    staged = stage(service, dataset(manifest={"names": ["A", "B"]}), "s3://bucket/p")
    record = {"estimator": "K", "params": {"k": 3}}
    run = start_training(JobClient(service, JOB, time.clock), spec(channels={"train": staged}, record=record))
    again, description = attach_training(service, run.name)
    assert read_record(service, description) == {"estimator": "K", "params": {"k": 3}}
    manifests = {name: one.manifest for name, one in staged_channels(service, description).items()}
    assert manifests == {"train": {"names": ["A", "B"]}}
    assert again.client.job.on_interrupt == "detach"
    mark_collected(service, description)
    assert f"{staged.folder}/jobs/{run.name}.collected" in service.files
    assert json.loads(service.files[f"{staged.folder}/jobs/{run.name}.json"])["estimator"] == "K"


def test_attach_to_what_is_not_there_says_where_it_looked(service, time):
    with pytest.raises(NotFoundError, match=r"'nothing' in region eu-west-1"):
        attach_training(service, "nothing")
    with pytest.raises(ValueError, match="job_name"):
        attach_training(service, "not a name")


def test_a_job_of_somebody_else_has_no_record(service, time):
    theirs = start(service, time).describe()
    theirs["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"] = "s3://theirs/prices/"
    assert read_record(service, theirs) is None
    assert staged_channels(service, theirs) == {}


def test_a_model_that_is_gone_is_told(service, time):
    outcome = start(service, time).result()
    with pytest.raises(NotFoundError, match="removed"):
        outcome.open_model()
    service.files[outcome.artifact_uri] = b"model"
    with outcome.open_model() as file:
        assert file.read() == b"model"


# ----------------------------------------------------------------------------------------- many at a time


def test_no_more_jobs_run_at_a_time_than_the_job_allows():
    service = FakeService("Training", "Completed")
    lock, running, peak = threading.Lock(), set(), [0]
    create, describe = service._create, service._describe

    def created(**request):
        with lock:
            running.add(request["TrainingJobName"])
            peak[0] = max(peak[0], len(running))
            return create(**request)

    def described(TrainingJobName):
        with lock:
            answer = describe(TrainingJobName=TrainingJobName)
            if answer["TrainingJobStatus"] == "Completed":
                running.discard(TrainingJobName)
            return answer

    service.script(CREATE, created)
    service.script(DESCRIBE, described)
    job = Job(max_parallel_jobs=3, poll_interval=0.005)
    outcomes = []
    threads = [threading.Thread(target=lambda: outcomes.append(run_in_slot(service, job))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len({o.name for o in outcomes}) == 8
    assert peak[0] == 3


def test_a_slot_is_given_back_whatever_happens(service):
    job = Job(max_parallel_jobs=1)
    service.script(CREATE, error("ResourceLimitExceeded"))
    for _ in range(3):
        with pytest.raises(QuotaError):
            run_in_slot(service, job)


def test_repr_of_a_run_is_its_name():
    assert repr(TrainingRun(JobClient(FakeService(), JOB), "abc")) == "TrainingRun('abc')"
