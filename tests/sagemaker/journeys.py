"""Journeys through the life of a job, the stages that they pass, and what can go wrong at them.

`test_faults.py` has the table of what then has to happen; this is how it is made to happen.
"""

from __future__ import annotations

import copy
import itertools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shapecluster import SageMakerKShape
from shapecluster.remote import Job, _training, clean_up, list_leftovers
from shapecluster.remote._aws import aws_platform
from shapecluster.remote._leftovers import STAGED
from tests.emulator import Emulator, faults
from tests.emulator.marketplace import NOT_SUBSCRIBED
from tests.emulator.programs import Program
from tests.sagemaker.test_kshape import frame

WAVES = "123456789012.dkr.ecr.us-east-1.amazonaws.com/waves:latest"
TIMEPOINTS = 16
HASTE = 0.5  # seconds until a session gives an answer up that hangs
SERVICES = ("sts", "s3", "sagemaker", "sagemaker-runtime", "logs")


@dataclass(frozen=True)
class Stage:
    """A step of a journey: a call, or a state of a job.

    `strikes`: how often a passing fault strikes. boto3 asks three times for files and logs, so two strikes
    pass; calls of SageMaker have the greater patience of our own.
    """

    journey: str
    operation: str = ""
    key: str = "*"
    strikes: int = 4
    listing: bool = False  # of the Marketplace, else an image
    state: str = ""


STAGES = {
    "ask for the account": Stage("fit", "GetCallerIdentity", strikes=2),
    "read the listing": Stage("fit", "DescribeAlgorithm", listing=True),
    "look for the bucket": Stage("fit", "HeadBucket", strikes=2),
    "look for the data": Stage("fit", "HeadObject", strikes=2),
    "upload the data": Stage("fit", "PutObject", "*/data/*", strikes=2),
    "write the manifest": Stage("fit", "PutObject", "*/manifest.json", strikes=2),
    "write the record": Stage("fit", "PutObject", "*/jobs/*.json", strikes=2),
    "create the job": Stage("fit", "CreateTrainingJob"),
    "create a listed job": Stage("fit", "CreateTrainingJob", listing=True),
    "the job starts": Stage("fit", state="Starting"),
    "the job downloads": Stage("fit", state="Downloading"),
    "the job trains": Stage("fit", state="Training"),
    "the job uploads": Stage("fit", state="Uploading"),
    "watch the job": Stage("fit", "DescribeTrainingJob"),
    "find the log": Stage("fit", "DescribeLogStreams", strikes=2),
    "read the log": Stage("fit", "GetLogEvents", strikes=2),
    "stop the job": Stage("stop", "StopTrainingJob"),
    "fetch the model": Stage("fit", "GetObject", "*/model.tar.gz", strikes=2),
    "mark as collected": Stage("fit", "PutObject", "*.collected", strikes=2),
    "find the job again": Stage("attach", "DescribeTrainingJob"),
    "read the record": Stage("attach", "GetObject", "*/jobs/*.json", strikes=2),
    "read the manifest": Stage("attach", "GetObject", "*/manifest.json", strikes=2),
    "list the data": Stage("attach", "ListObjectsV2", strikes=2),
    "fetch the data": Stage("attach", "GetObject", "*/data/*", strikes=2),
    "create the package": Stage("endpoint", "CreateModelPackage", listing=True),
    "watch the package": Stage("endpoint", "DescribeModelPackage", listing=True),
    "create the model": Stage("endpoint", "CreateModel"),
    "create the config": Stage("endpoint", "CreateEndpointConfig"),
    "create the endpoint": Stage("endpoint", "CreateEndpoint"),
    "the endpoint comes up": Stage("endpoint", state="Creating"),
    "watch the endpoint": Stage("endpoint", "DescribeEndpoint"),
    "ask the endpoint": Stage("endpoint", "InvokeEndpoint"),
    "delete the endpoint": Stage("endpoint", "DeleteEndpoint"),
    "delete the config": Stage("endpoint", "DeleteEndpointConfig"),
    "delete the model": Stage("endpoint", "DeleteModel"),
    "delete the package": Stage("endpoint", "DeleteModelPackage", listing=True),
    "create the transform": Stage("batch", "CreateTransformJob"),
    "the transform runs": Stage("batch", state="Transforming"),
    "watch the transform": Stage("batch", "DescribeTransformJob"),
    "stop the transform": Stage("batch", "StopTransformJob"),
    "clear the model away": Stage("batch", "DeleteModel"),
    "list the inputs": Stage("batch", "ListObjectsV2", strikes=2),
    "fetch the answers": Stage("batch", "GetObject", "*/predictions/*", strikes=2),
}


def passing(fault: faults.CallFault) -> Callable[[Case], None]:
    return lambda case: case.aws.faults.add(
        case.stage.operation, fault, times=case.stage.strikes, key=case.stage.key
    )


def lasting(fault: faults.CallFault) -> Callable[[Case], None]:
    return lambda case: case.aws.faults.always(case.stage.operation, fault, key=case.stage.key)


def refused(code: str, message: str, status: int = 400) -> Callable[[Case], None]:
    return lasting(faults.error(code, message, status))


def expired(case: Case) -> None:
    """Credentials expire for every call, and not for one kind of them."""
    case.aws.faults.from_then_on(case.stage.operation, faults.expired_token(), key=case.stage.key)


def expired_unheard(case: Case) -> None:
    """The call takes effect, its answer is lost, and the next try comes with a token that has expired."""
    case.aws.faults.add(case.stage.operation, faults.dropped(after=True))
    case.aws.faults.from_then_on(case.stage.operation, faults.expired_token())


def hung(case: Case) -> None:
    case.session = case.world.hasty
    case.aws.faults.add(case.stage.operation, faults.hung(1.0), key=case.stage.key)


def duplicate(case: Case) -> None:
    """The name is another's: of a job that has it already; or given to an endpoint by its user."""
    if case.stage.journey == "fit":
        names = itertools.chain([case.world.model().training_job_name_], map(str, itertools.count()))
        draw = _training.unique_name
        case.monkeypatch.setattr(
            _training, "unique_name", lambda *a: n if not (n := next(names)).isdigit() else draw(*a)
        )
        return
    theirs = case.world.model().deploy(keep=True, name=f"theirs-{case.number}", job=case.job())
    case.name = theirs.name
    case.before = case.existing()


def no_name(case: Case) -> None:
    taken = case.world.model().training_job_name_
    case.monkeypatch.setattr(_training, "unique_name", lambda *_: taken)


def named_and(fault: Callable[[Case], None]) -> Callable[[Case], None]:
    """A fault at the creation of an endpoint whose name somebody else's endpoint has."""

    def arm(case: Case) -> None:
        duplicate(case)
        fault(case)

    return arm


def in_job(make: Callable[[str], faults.JobFault]) -> Callable[[Case], None]:
    return lambda case: case.aws.faults.job("*", make(case.stage.state))


def spoiled(kind: Any) -> Callable[[Case], None]:
    return lambda case: case.aws.faults.job("*", faults.artifact(kind, size=40 << 20))


def denied_with_its_reason(case: Case) -> None:
    """Stopping follows on something else that went wrong."""
    case.aws.faults.always("DescribeTransformJob", faults.access_denied())
    lasting(faults.access_denied())(case)


_NO_PASS = faults.pass_role_denied("arn:aws:iam::123456789012:role/x")
_QUOTA = "The account-level service limit 'ml.m5.large' is 0 Instances"

FAULTS: dict[str, Callable[[Case], None]] = {
    # of any call
    "throttled": passing(faults.throttling()),
    "unheard": passing(faults.dropped(after=True)),
    "hung": hung,
    "down": lasting(faults.dropped()),
    "expired": expired,
    "denied": lasting(faults.access_denied()),
    # of some calls
    "deaf": lasting(faults.dropped(after=True)),
    "expired-unheard": expired_unheard,
    "no-pass-role": lasting(_NO_PASS),
    "duplicate": duplicate,
    "no-name-free": no_name,
    "duplicate-denied": named_and(lasting(faults.access_denied())),
    "duplicate-quota": named_and(refused("ResourceLimitExceeded", _QUOTA)),
    "unsubscribed": refused("ValidationException", NOT_SUBSCRIBED),
    "quota": refused("ResourceLimitExceeded", _QUOTA),
    "missing": refused("NoSuchKey", "The specified key does not exist.", 404),
    "cut": passing(faults.cut(5)),
    "broken": lasting(faults.model_error(500)),
    "busy": passing(faults.model_error(503)),
    "busy-for-good": lasting(faults.model_error(503)),
    "with-its-reason": denied_with_its_reason,
    # of jobs and endpoints
    "fails": in_job(lambda state: faults.job_failed(stage=state)),
    "no-capacity": in_job(faults.capacity_error),
    "internal": in_job(faults.internal_job_error),
    "stopped": in_job(faults.job_stopped),
    "out-of-time": in_job(lambda _: faults.out_of_time()),
    "reclaimed": in_job(lambda _: faults.spot_interruption()),
    "reclaimed-unannounced": in_job(lambda _: faults.spot_interruption(notice=False)),
    "lost-model": spoiled("missing"),
    "truncated": spoiled("truncated"),
    "oversize": spoiled("oversize"),
    "traversal": spoiled("traversal"),
    "absolute-link": spoiled("absolute link"),
    "garbage": spoiled("garbage"),
}


def waves() -> Any:
    """Series near the centers that jobs of this program find."""
    time, rng = np.arange(TIMEPOINTS) / TIMEPOINTS, np.random.default_rng(7)
    clean = [np.sin(2 * np.pi * (frequency * time + rng.uniform())) for frequency in (1, 2, 1, 2, 2, 1)]
    return frame(np.array(clean) + 0.1 * rng.normal(size=(6, TIMEPOINTS)))


class World:
    """An emulator, sessions for it, and two models whose jobs went well; shared by all cases."""

    def __init__(self, aws: Emulator, folder: Path, monkeypatch: Any) -> None:
        self.aws, self.folder = aws, folder
        command = (sys.executable, "-I", "-S", str(Path(__file__).with_name("waves.py")))
        program = Program(command, environment={"WAVES_TIMEPOINTS": str(TIMEPOINTS)})
        aws.images.add(WAVES, program)
        aws.algorithms[aws.algorithm_arn].program = program
        self.session, self.hasty = aws.session(), aws.session()
        self._platforms = [aws_platform(self.session)]  # held, so that its clients are made once
        with monkeypatch.context() as patch:
            patch.setattr("shapecluster.remote._aws._READ", HASTE)
            patch.setattr("shapecluster.remote._aws._READ_ENDPOINT", HASTE)
            self._platforms.append(aws_platform(self.hasty))
            for service in SERVICES:
                self._platforms[1]._client(service)
        self.X = waves()
        self._models = {
            listing: self.estimator(Job(poll_interval=0.01), listing=listing).fit(self.X)
            for listing in (False, True)
        }
        self._count = itertools.count()

    def estimator(self, job: Job, *, listing: bool = False, session: Any = None) -> SageMakerKShape:
        what = {"algorithm_arn": self.aws.algorithm_arn} if listing else {"image_uri": WAVES}
        return SageMakerKShape(2, role=self.aws.role, session=session or self.session, job=job, **what)

    def model(self, *, listing: bool = False, session: Any = None) -> SageMakerKShape:
        """A model whose job went well."""
        return copy.copy(self._models[listing]).set_params(session=session or self.session)

    def forget_the_account(self) -> None:
        for platform in self._platforms:
            platform._account = None

    def wipe(self) -> None:
        """Remove what is left, past the library: one case that went wrong is not to spoil the next."""
        aws = self.aws
        aws.faults.clear()
        for job in (*aws.training_jobs, *aws.transform_jobs):
            if job.running:
                job.stop()
                job.join(10)
        for endpoint in aws.endpoints:
            endpoint.delete()
            endpoint.join(10)
        for table in (aws.endpoint_configs, aws.models, aws.model_packages):
            for one in table:
                table.remove(one)

    def same(self, model: Any) -> None:
        """Assert that a model is as good as one whose job went well."""
        good = self._models[False]
        np.testing.assert_array_equal(model.labels_, good.labels_)
        assert model.inertia_ == good.inertia_
        assert model.members() == good.members()


class Case:
    """One fault at one stage: a journey of its own, and what there was before and is after it."""

    def __init__(self, world: World, stage: Stage, rng: np.random.Generator, monkeypatch: Any) -> None:
        self.world, self.aws, self.stage, self.monkeypatch = world, world.aws, stage, monkeypatch
        self.number = next(world._count)
        self.go = world.folder / f"go-{self.number}"
        self.session: Any = world.session
        self.name: str | None = None
        self.model: Any = None
        self._interval = float(rng.uniform(0.002, 0.02))
        self.aws.dwell = float(rng.uniform(0.0, 0.01))
        self.before = self.existing()

    def job(self, *, hold: bool = False, pause: bool = False) -> Job:
        """`hold`: until `go` is there; `pause`: long enough for something to happen to it."""
        hyperparameters = {"timepoints": str(TIMEPOINTS)} if not self.stage.listing else {}
        hyperparameters |= {"until": str(self.go)} if hold else {}
        hyperparameters |= {"sleep": "0.05"} if pause else {}
        return Job(
            poll_interval=self._interval,
            prefix=f"case-{self.number}",
            hyperparameters=hyperparameters,
            spot=pause,
        )

    # The journeys. What is wrong with them is the caller's doing.

    def travel(self, *, hold: bool) -> None:
        self.world.forget_the_account()
        getattr(self, f"_{self.stage.journey}")(hold)

    def _fit(self, hold: bool) -> None:
        job = self.job(hold=hold, pause=self.stage.state == "Training" and not hold)
        self.model = self.world.estimator(job, listing=self.stage.listing, session=self.session)
        self.model.set_params(progress=lambda news: None).fit(self.world.X)
        self.world.same(self.model)

    def _stop(self, hold: bool) -> None:
        def interrupt(news: Any) -> None:
            raise KeyboardInterrupt

        self.model = self.world.estimator(self.job(hold=True), session=self.session)
        self.model.set_params(progress=interrupt).fit(self.world.X)

    def _attach(self, hold: bool) -> None:
        self.model = self.world.model(listing=self.stage.listing)
        self.world.same(SageMakerKShape.attach(self.model.training_job_name_, session=self.session))

    def _endpoint(self, hold: bool) -> None:
        model = self.world.model(listing=self.stage.listing, session=self.session)
        with model.deploy(job=self.job(), name=self.name) as endpoint:
            ids = model.predict_at(endpoint, self.world.X)
        np.testing.assert_array_equal(ids, model.labels_)

    def _batch(self, hold: bool) -> None:
        model = self.world.model(listing=self.stage.listing, session=self.session)
        if hold:
            self.aws.dwell = 30.0  # of which it is woken when it is to stop
        np.testing.assert_array_equal(model.batch_predict(self.world.X, job=self.job()), model.labels_)

    # What there is.

    def existing(self) -> dict[str, set[str]]:
        """What costs money, by kind, as the emulator itself knows it."""
        aws = self.aws
        found = {
            "endpoint": {one.name for one in aws.endpoints if one.status != "Deleting"},
            "config": {one.name for one in aws.endpoint_configs},
            "model": {one.name for one in aws.models},
            "package": {one.name for one in aws.model_packages},
            "job": {job.name for job in aws.training_jobs if job.running},
            "transform": {job.name for job in aws.transform_jobs if job.running},
        }
        return {kind: names for kind, names in found.items() if names}

    def left(self, expected: set[str]) -> dict[str, set[str]]:
        """What is left over; what is about to go gets the time to."""
        end = time.monotonic() + 20
        while True:
            now = self.existing()
            new = {kind: names - self.before.get(kind, set()) for kind, names in now.items()}
            new = {kind: names for kind, names in new.items() if names}
            going = any(one.status == "Deleting" for one in self.aws.endpoints)
            if (new.keys() == expected and not going) or time.monotonic() > end:
                return new
            time.sleep(0.005)

    def recover(self) -> None:
        """Everything works again, and who was held goes on."""
        self.aws.faults.clear()
        self.monkeypatch.undo()
        self.aws.dwell = 0.001
        self.go.touch()

    def clean_up(self, left: dict[str, set[str]]) -> None:
        """What the library's own clean-up is for; it must find all that is left, and nothing else."""
        if not left and not self.before:
            return
        for job in (*self.aws.training_jobs, *self.aws.transform_jobs):
            if job.running:
                job.stop()
                assert job.join(10)
        platform = aws_platform(self.world.session)
        found = [one for one in list_leftovers(platform, prefix="none") if one.kind != STAGED]
        lasting_kinds = left.keys() - {"job", "transform"}
        theirs = set().union(*self.before.values()) if self.before else set()
        assert {one.name for one in found} == set().union(theirs, *(left[kind] for kind in lasting_kinds))
        assert sorted(clean_up(found, platform), key=str) == sorted(found, key=str)
        self.before = {}
        assert self.left(set()) == {}
