"""Every fault at every stage in the life of a job: what is raised, what `attach` recovers, what is left."""

from __future__ import annotations

from collections import Counter
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import pytest

from shapecluster import SageMakerKShape
from shapecluster.exceptions import (
    AccessError,
    ArtifactError,
    CapacityError,
    ConnectionLostError,
    CredentialsError,
    EndpointError,
    JobFailedError,
    JobStoppedError,
    NameTakenError,
    NotFoundError,
    NotSubscribedError,
    QuotaError,
)
from shapecluster.remote import _polling, _retries
from tests.emulator import Emulator
from tests.sagemaker.journeys import FAULTS, STAGES, Case, World

pytestmark = pytest.mark.slow


class Row(NamedTuple):
    """What has to happen.

    `attach`: what becomes of the job afterward. None: there is none, the estimator is as it was, and fits;
    RECOVERS: its result is found; else what `attach` raises. `left`: kinds of what is left over, all of which
    the error has named, and `clean-up` finds.
    """

    stage: str
    faults: str
    raised: Any
    attach: Any = None
    left: str = ""


FINE = None
RECOVERS = "recovers"
PASSING = "throttled unheard hung"
SERVED = "endpoint config model"
LOST, OLD, DENIED, TAKEN, GONE = (
    ConnectionLostError,
    CredentialsError,
    AccessError,
    NameTakenError,
    NotFoundError,
)
FAILED, HALTED, NO_ROOM, DAMAGED = JobFailedError, JobStoppedError, CapacityError, ArtifactError
QUOTA, UNKNOWN, UNSERVED, CTRL_C = QuotaError, NotSubscribedError, EndpointError, KeyboardInterrupt

# fmt: off
TABLE = [
    # stage                    faults                      raised        attach        left over
    # Before there is a job.
    Row("ask for the account",    PASSING,                    FINE),
    Row("ask for the account",    "down",                     LOST),
    Row("ask for the account",    "expired",                  OLD),
    Row("ask for the account",    "denied",                   DENIED),
    Row("read the listing",       PASSING,                    FINE),
    Row("read the listing",       "down",                     LOST),
    Row("read the listing",       "expired",                  OLD),
    Row("read the listing",       "denied",                   DENIED),
    Row("read the listing",       "unsubscribed",             UNKNOWN),
    Row("look for the bucket",    PASSING,                    FINE),
    Row("look for the bucket",    "down",                     LOST),
    Row("look for the bucket",    "expired",                  OLD),
    Row("look for the bucket",    "denied",                   DENIED),
    Row("look for the bucket",    "missing",                  GONE),
    Row("look for the data",      PASSING,                    FINE),
    Row("look for the data",      "down",                     LOST),
    Row("look for the data",      "expired",                  OLD),
    Row("look for the data",      "denied",                   DENIED),
    Row("upload the data",        PASSING,                    FINE),
    Row("upload the data",        "down deaf",                LOST),
    Row("upload the data",        "expired",                  OLD),
    Row("upload the data",        "denied",                   DENIED),
    Row("write the manifest",     PASSING,                    FINE),
    Row("write the manifest",     "down deaf",                LOST),
    Row("write the manifest",     "expired",                  OLD),
    Row("write the manifest",     "denied",                   DENIED),
    Row("write the record",       PASSING,                    FINE),
    Row("write the record",       "down deaf",                LOST),
    Row("write the record",       "expired",                  OLD),
    Row("write the record",       "denied",                   DENIED),
    Row("create the job",         PASSING,                    FINE),
    Row("create the job",         "deaf duplicate",           FINE),
    Row("create the job",         "down",                     LOST,         GONE),
    Row("create the job",         "expired",                  OLD),
    Row("create the job",         "expired-unheard",          OLD,          RECOVERS,     "job"),
    Row("create the job",         "denied no-pass-role",      DENIED),
    Row("create the job",         "no-name-free",             TAKEN),
    Row("create the job",         "quota",                    QUOTA),
    Row("create a listed job",    "denied no-pass-role",      DENIED),
    Row("create a listed job",    "unsubscribed",             UNKNOWN),
    # While it runs.
    Row("the job starts",         "fails internal",           FAILED,       FAILED),
    Row("the job starts",         "no-capacity",              NO_ROOM,      NO_ROOM),
    Row("the job starts",         "stopped",                  HALTED,       HALTED),
    Row("the job downloads",      "fails internal",           FAILED,       FAILED),
    Row("the job downloads",      "no-capacity",              NO_ROOM,      NO_ROOM),
    Row("the job downloads",      "stopped",                  HALTED,       HALTED),
    Row("the job trains",         "fails internal",           FAILED,       FAILED),
    Row("the job trains",         "no-capacity",              NO_ROOM,      NO_ROOM),
    Row("the job trains",         "stopped out-of-time",      HALTED,       HALTED),
    Row("the job trains",         "reclaimed",                FINE),
    Row("the job trains",         "reclaimed-unannounced",    FINE),
    Row("the job uploads",        "fails internal",           FAILED,       FAILED),
    Row("the job uploads",        "lost-model",               GONE,         GONE),
    Row("the job uploads",        "truncated oversize",       DAMAGED,      DAMAGED),
    Row("the job uploads",        "traversal",                DAMAGED,      DAMAGED),
    Row("the job uploads",        "absolute-link garbage",    DAMAGED,      DAMAGED),
    Row("watch the job",          PASSING,                    FINE),
    Row("watch the job",          "down",                     LOST,         RECOVERS,     "job"),
    Row("watch the job",          "expired",                  OLD,          RECOVERS,     "job"),
    Row("watch the job",          "denied",                   DENIED,       RECOVERS,     "job"),
    Row("find the log",           PASSING,                    FINE),
    Row("find the log",           "down denied",              FINE),
    Row("find the log",           "expired",                  OLD,          RECOVERS,     "job"),
    Row("read the log",           PASSING,                    FINE),
    Row("read the log",           "down denied",              FINE),
    Row("read the log",           "expired",                  OLD,          RECOVERS,     "job"),
    Row("stop the job",           PASSING,                    CTRL_C,       HALTED),
    Row("stop the job",           "deaf",                     CTRL_C,       HALTED),
    Row("stop the job",           "down expired denied",      CTRL_C,       RECOVERS,     "job"),
    # Once it is over.
    Row("fetch the model",        PASSING,                    FINE),
    Row("fetch the model",        "down cut",                 LOST,         RECOVERS),
    Row("fetch the model",        "expired",                  OLD,          RECOVERS),
    Row("fetch the model",        "denied",                   DENIED,       RECOVERS),
    Row("fetch the model",        "missing",                  GONE,         RECOVERS),
    Row("mark as collected",      PASSING,                    FINE),
    Row("mark as collected",      "down deaf expired denied", FINE),
    Row("find the job again",     PASSING,                    FINE),
    Row("find the job again",     "down",                     LOST,         RECOVERS),
    Row("find the job again",     "expired",                  OLD,          RECOVERS),
    Row("find the job again",     "denied",                   DENIED,       RECOVERS),
    Row("read the record",        PASSING,                    FINE),
    Row("read the record",        "down cut",                 LOST,         RECOVERS),
    Row("read the record",        "expired",                  OLD,          RECOVERS),
    Row("read the record",        "denied",                   DENIED,       RECOVERS),
    Row("read the record",        "missing",                  ValueError,   RECOVERS),
    Row("read the manifest",      PASSING,                    FINE),
    Row("read the manifest",      "down cut",                 LOST,         RECOVERS),
    Row("read the manifest",      "expired",                  OLD,          RECOVERS),
    Row("read the manifest",      "denied",                   DENIED,       RECOVERS),
    Row("read the manifest",      "missing",                  DAMAGED,      RECOVERS),
    Row("list the data",          PASSING,                    FINE),
    Row("list the data",          "down",                     LOST,         RECOVERS),
    Row("list the data",          "expired",                  OLD,          RECOVERS),
    Row("list the data",          "denied",                   DENIED,       RECOVERS),
    Row("fetch the data",         PASSING,                    FINE),
    Row("fetch the data",         "down cut",                 LOST,         RECOVERS),
    Row("fetch the data",         "expired",                  OLD,          RECOVERS),
    Row("fetch the data",         "denied",                   DENIED,       RECOVERS),
    Row("fetch the data",         "missing",                  GONE,         RECOVERS),
    # An endpoint, and its end.
    Row("create the package",     PASSING,                    FINE),
    Row("create the package",     "down deaf",                LOST),
    Row("create the package",     "expired",                  OLD),
    Row("create the package",     "expired-unheard",          OLD,          None,         "package"),
    Row("create the package",     "denied",                   DENIED),
    Row("create the package",     "unsubscribed",             UNKNOWN),
    Row("watch the package",      PASSING,                    FINE),
    Row("watch the package",      "down",                     LOST),
    Row("watch the package",      "expired",                  OLD,          None,         "package"),
    Row("watch the package",      "denied",                   DENIED),
    Row("create the model",       PASSING,                    FINE),
    Row("create the model",       "down deaf",                LOST),
    Row("create the model",       "expired",                  OLD),
    Row("create the model",       "expired-unheard",          OLD,          None,         "model"),
    Row("create the model",       "denied no-pass-role",      DENIED),
    Row("create the config",      PASSING,                    FINE),
    Row("create the config",      "down deaf",                LOST),
    Row("create the config",      "expired",                  OLD,          None,         "model"),
    Row("create the config",      "expired-unheard",          OLD,          None,         "config model"),
    Row("create the config",      "denied",                   DENIED),
    Row("create the endpoint",    PASSING,                    FINE),
    Row("create the endpoint",    "down deaf",                LOST),
    Row("create the endpoint",    "expired",                  OLD,          None,         "config model"),
    Row("create the endpoint",    "expired-unheard",          OLD,          None,         SERVED),
    Row("create the endpoint",    "denied duplicate-denied",  DENIED),
    Row("create the endpoint",    "quota duplicate-quota",    QUOTA),
    Row("create the endpoint",    "duplicate",                TAKEN),
    Row("the endpoint comes up",  "fails no-capacity",        UNSERVED),
    Row("watch the endpoint",     PASSING,                    FINE),
    Row("watch the endpoint",     "down",                     LOST),
    Row("watch the endpoint",     "expired",                  OLD,          None,         SERVED),
    Row("watch the endpoint",     "denied",                   DENIED),
    Row("ask the endpoint",       PASSING,                    FINE),
    Row("ask the endpoint",       "cut busy",                 FINE),
    Row("ask the endpoint",       "down busy-for-good",       LOST),
    Row("ask the endpoint",       "expired",                  OLD,          None,         SERVED),
    Row("ask the endpoint",       "denied",                   DENIED),
    Row("ask the endpoint",       "broken",                   UNSERVED),
    Row("delete the endpoint",    PASSING,                    FINE),
    Row("delete the endpoint",    "deaf",                     UNSERVED),
    Row("delete the endpoint",    "down denied",              UNSERVED,     None,         "endpoint"),
    Row("delete the endpoint",    "expired",                  UNSERVED,     None,         SERVED),
    Row("delete the config",      PASSING,                    FINE),
    Row("delete the config",      "deaf",                     UNSERVED),
    Row("delete the config",      "down denied",              UNSERVED,     None,         "config"),
    Row("delete the config",      "expired",                  UNSERVED,     None,         "config model"),
    Row("delete the model",       PASSING,                    FINE),
    Row("delete the model",       "deaf",                     UNSERVED),
    Row("delete the model",       "down denied expired",      UNSERVED,     None,         "model"),
    Row("delete the package",     PASSING,                    FINE),
    Row("delete the package",     "deaf",                     UNSERVED),
    Row("delete the package",     "down denied expired",      UNSERVED,     None,         "package"),
    # A batch transform job, and its end.
    Row("create the transform",   PASSING,                    FINE),
    Row("create the transform",   "down deaf",                LOST),
    Row("create the transform",   "expired",                  OLD,          None,         "model"),
    Row("create the transform",   "expired-unheard",          OLD,          None,         "model transform"),
    Row("create the transform",   "denied",                   DENIED),
    Row("create the transform",   "quota",                    QUOTA),
    Row("the transform runs",     "fails internal",           FAILED),
    Row("the transform runs",     "no-capacity",              NO_ROOM),
    Row("the transform runs",     "stopped",                  HALTED),
    Row("watch the transform",    PASSING,                    FINE),
    Row("watch the transform",    "down",                     LOST),
    Row("watch the transform",    "expired",                  OLD,          None,         "model transform"),
    Row("watch the transform",    "denied",                   DENIED),
    Row("stop the transform",     "with-its-reason",          DENIED,       None,         "transform"),
    Row("clear the model away",   "down denied expired",      UNSERVED,     None,         "model"),
    Row("list the inputs",        PASSING,                    FINE),
    Row("list the inputs",        "down",                     LOST),
    Row("list the inputs",        "expired",                  OLD),
    Row("list the inputs",        "denied",                   DENIED),
    Row("fetch the answers",      PASSING,                    FINE),
    Row("fetch the answers",      "down cut",                 LOST),
    Row("fetch the answers",      "expired",                  OLD),
    Row("fetch the answers",      "denied",                   DENIED),
    Row("fetch the answers",      "missing",                  GONE),
]
# fmt: on

CALLS = {name for name, stage in STAGES.items() if stage.operation}
OF_EVERY_CALL = {"throttled", "unheard", "hung", "down", "expired", "denied"}
LEFT_OUT = {
    # What is not in the table, and why it cannot occur there, or would show nothing more.
    "create a listed job": "as for an image, but for what the listing says",
    "clear the model away": "as after an endpoint, but for what was computed",
    "stop the transform": "it is asked to stop only after something else went wrong: `with-its-reason`",
    "with-its-reason": "only to stop a transform job needs a reason",
    "deaf": "a call that changes nothing is `down` then",
    "expired-unheard": "only what is created can be lost so; names of files and deletions are no loss",
    "no-pass-role": "roles are passed on to training jobs and models only",
    "duplicate": "names of models, configurations and transform jobs are drawn by lot, and never given",
    "no-name-free": "only training jobs are named anew when a name is taken",
    "duplicate-denied": "as `duplicate`",
    "duplicate-quota": "as `duplicate`",
    "unsubscribed": "only calls that use a listing say so",
    "quota": "only what runs on machines has one",
    "missing": "only buckets and files are read by a name that may be gone",
    "cut": "answers of the other calls are small and are read by boto3, as whole as they are sent or not",
    "broken": "only a model answers so",
    "busy": "only a model answers so",
    "busy-for-good": "only a model answers so",
    "fails": "a state of jobs and endpoints, no call",
    "no-capacity": "machines are got before the program runs; a job that uploads has them",
    "internal": "endpoints report it as `fails`",
    "stopped": "an endpoint cannot be stopped; a job that uploads runs to its end",
    "out-of-time": "the limit is on the time that a program runs",
    "reclaimed": "machines are taken while a program runs; only training jobs use such machines",
    "reclaimed-unannounced": "as `reclaimed`",
    **dict.fromkeys(
        ["lost-model", "truncated", "oversize", "traversal", "absolute-link", "garbage"],
        "models are written when a job uploads",
    ),
}
CASES = [(row, fault) for row in TABLE for fault in row.faults.split()]


def test_each_fault_meets_each_stage_once_or_it_is_said_why_not():
    met = Counter((row.stage, fault) for row, fault in CASES)
    assert max(met.values()) == 1
    assert {stage for stage, _ in met} == STAGES.keys()
    assert {fault for _, fault in met} == FAULTS.keys()
    everywhere = {(stage, fault) for stage in CALLS - LEFT_OUT.keys() for fault in OF_EVERY_CALL}
    assert everywhere <= met.keys()
    assert FAULTS.keys() - OF_EVERY_CALL == LEFT_OUT.keys() - STAGES.keys()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """One emulator for all cases; each has folders and names of its own in it."""
    folder = tmp_path_factory.mktemp("faults")
    with pytest.MonkeyPatch.context() as patch, Emulator(folder / "emulator", grace=0.2) as aws:
        for name, value in aws.environment().items():
            patch.setenv(name, value)
        patch.setattr(_retries, "_SLOWEST", 0.02)
        patch.setattr(_retries, "_PATIENCE", 2.0)
        patch.setattr(_polling, "_PATIENCE", 2.0)
        patch.setitem(_polling._INTERVALS, "aws", 0.01)
        patch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.001)
        yield World(aws, folder, patch)


@pytest.fixture(autouse=True)
def wiped(world):
    yield
    world.wipe()


@pytest.mark.parametrize(("row", "fault"), CASES, ids=[f"{row.stage}-{fault}" for row, fault in CASES])
def test_a_fault(world, rng, monkeypatch, row, fault):
    stage, expected = STAGES[row.stage], set(row.left.split())
    assert not world.aws.inventory()
    case = Case(world, stage, rng, monkeypatch)
    FAULTS[fault](case)
    held = bool(expected & {"job", "transform"}) or (stage.state == "Training" and "reclaimed" not in fault)
    try:
        if row.raised is FINE:
            case.travel(hold=False)
            message = ""
        else:
            with pytest.raises(row.raised) as caught:
                case.travel(hold=held)
            assert type(caught.value) is row.raised
            message = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", ())])
        left = case.left(expected)
        assert left.keys() == expected
        assert all(
            len(names) == 1 and names <= set(message.replace("'", " ").split()) for names in left.values()
        )
        assert all(names <= case.existing().get(kind, set()) for kind, names in case.before.items())
    finally:
        case.recover()
    if stage.journey in ("fit", "stop", "attach") and row.raised is not FINE:
        afterward(world, case, row.attach)
    case.clean_up(left)


def afterward(world, case, attach):
    """What becomes of the job once everything works again."""
    if attach is None:
        assert vars(case.model).keys() == vars(world.estimator(case.job())).keys() | {"progress"}
        if case.stage.operation == "PutObject":  # half of the data may be there now
            world.same(case.model.fit(world.X))
        return
    name = case.model.training_job_name_
    if attach is RECOVERS:
        world.same(SageMakerKShape.attach(name, session=world.session).result())
        world.same(case.model.set_params(progress=None).result())
        return
    with pytest.raises(attach) as caught:
        SageMakerKShape.attach(name, session=world.session).result()
    assert name in str(caught.value)
    assert not hasattr(case.model, "labels_")


def test_without_a_fault_the_journeys_pass_all_stages_and_leave_nothing(world, rng, monkeypatch):
    seen = set()
    for journey, listing in {(stage.journey, stage.listing) for stage in STAGES.values()}:
        mine = {n: s for n, s in STAGES.items() if (s.journey, s.listing) == (journey, listing)}
        world.aws.calls.clear()
        case = Case(world, next(iter(mine.values())), rng, monkeypatch)
        if journey == "stop":
            with pytest.raises(KeyboardInterrupt):
                case.travel(hold=False)
        else:
            case.travel(hold=False)
        for name, stage in mine.items():
            calls = world.aws.calls(stage.operation) if stage.operation else ()
            if any(fnmatchcase(call.request.get("Key", ""), stage.key) for call in calls):
                seen.add(name)
        assert not any(call.fault for call in world.aws.calls())
        assert case.left(set()) == {}
    assert seen == CALLS - {"stop the transform"}
