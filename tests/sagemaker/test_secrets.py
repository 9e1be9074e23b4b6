"""No credential leaves: not in what is shown, raised, written down, logged, staged or recorded."""

from __future__ import annotations

import copy
import logging
import pickle
import sys
import traceback
from pathlib import Path

import cloudpickle
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_html_repr

from shapecluster import KSweep, SageMakerKMeans, SageMakerKShape
from shapecluster.exceptions import RemoteError
from shapecluster.preprocessing import ZScore
from shapecluster.remote import Job, _polling, _retries
from tests.emulator import faults
from tests.emulator.programs import Program
from tests.emulator.server import USER, secret_of
from tests.sagemaker.test_kshape import walks

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/waves:latest"
TOKEN = "FwoGZXIvYXdzEPlantedSessionToken//////////wEaDPlantedPlantedPlanted" + "a1B2" * 20
PLANTED = [USER, secret_of(USER), TOKEN]


@pytest.fixture
def session(emulator, monkeypatch):
    """A session whose credentials are planted everywhere that credentials may be."""
    import boto3

    emulator.images.add(
        IMAGE, Program((sys.executable, "-I", "-S", str(Path(__file__).with_name("waves.py"))))
    )
    monkeypatch.setattr(_retries, "_SLOWEST", 0.05)
    monkeypatch.setattr(_retries, "_PATIENCE", 1.0)
    monkeypatch.setattr(_polling, "_PATIENCE", 1.0)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.01)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    return boto3.Session(
        aws_access_key_id=USER,
        aws_secret_access_key=secret_of(USER),
        aws_session_token=TOKEN,
        region_name="us-east-1",
    )


def estimators(emulator, session):
    job = Job(poll_interval=0.01, hyperparameters={"timepoints": "40"})
    given = {"image_uri": IMAGE, "role": emulator.role, "session": session, "job": job}
    return [SageMakerKShape(2, **given), SageMakerKMeans(2, **given)]


def assert_clean(*things):
    for thing in things:
        text = thing if isinstance(thing, bytes) else str(thing).encode()
        for secret in PLANTED:
            assert secret.encode() not in text, f"{secret[:8]}... in {text[:200]!r}"


def shown(model):
    """All that there is to be seen of an estimator."""
    yield from (
        repr(model),
        str(model),
        estimator_html_repr(model),
        repr(vars(model)),
        repr(model.get_params()),
    )
    yield from (pickle.dumps(model), cloudpickle.dumps(model), pickle.dumps(clone(model)))
    yield from (pickle.dumps(copy.deepcopy(model)), pickle.dumps(make_pipeline(ZScore(), model)))
    yield from (repr(KSweep(model)), pickle.dumps(KSweep(model)), repr(pickle.loads(pickle.dumps(model))))


def stored(emulator):
    """Every file that a job, its data, its model or its records left; and every call's request."""
    s3 = emulator.client("s3")
    for item in s3.list_objects_v2(Bucket=emulator.bucket).get("Contents", []):
        with s3.get_object(Bucket=emulator.bucket, Key=item["Key"])["Body"] as body:
            yield item["Key"].encode() + b"\n" + body.read()
    for path in emulator.folder.rglob("*"):
        if path.is_file():
            yield path.read_bytes()
    for call in emulator.calls(service="sagemaker"):
        yield repr(call.request)


def test_the_search_finds_what_is_planted():
    with pytest.raises(AssertionError):
        assert_clean(f"x{secret_of(USER)}y")


@pytest.mark.parametrize("which", [0, 1], ids=["k-shape", "k-means"])
def test_a_fit_leaves_no_credential_anywhere(emulator, session, rng, caplog, capfd, which):
    caplog.set_level(logging.DEBUG, "shapecluster")
    model = estimators(emulator, session)[which]
    assert_clean(*shown(model))
    model.fit(np.abs(walks(rng)))
    assert_clean(*shown(model), *stored(emulator), *capfd.readouterr())
    ours = [r for r in caplog.records if r.name.startswith("shapecluster")]
    assert ours
    assert_clean(*(r.getMessage() for r in ours))
    attached = type(model).attach(model.training_job_name_, session=session)
    assert_clean(*shown(attached))
    waiting = clone(model).set_params(wait=False).fit(np.abs(walks(rng)))
    assert_clean(*shown(waiting), *stored(emulator))
    waiting.result()


WRONG = [
    ("CreateTrainingJob", faults.error("ValidationException", f"no {secret_of(USER)} with token={TOKEN}")),
    ("DescribeTrainingJob", faults.error("ExpiredTokenException", f"the token {TOKEN} of {USER} is expired")),
    ("DescribeTrainingJob", faults.error("AccessDeniedException", f"key {secret_of(USER)} may not")),
    ("s3.PutObject", faults.error("AccessDenied", f"{USER} may not write", 403)),
    ("s3.GetObject", faults.error("InvalidToken", f"{TOKEN} is malformed")),
    ("DescribeTrainingJob", faults.dropped()),
]


@pytest.mark.parametrize(("operation", "fault"), WRONG, ids=[f"{o}-{i}" for i, (o, _) in enumerate(WRONG)])
def test_no_error_tells_a_credential(emulator, session, rng, caplog, operation, fault):
    caplog.set_level(logging.DEBUG, "shapecluster")
    model = estimators(emulator, session)[0]
    with emulator.faults.during(operation, fault), pytest.raises(RemoteError) as caught:
        model.fit(walks(rng))
    error = caught.value
    assert_clean(str(error), repr(error), repr(vars(error)), pickle.dumps(error.args), *shown(model))
    # Without source lines: they are ours, and tests name their secrets.
    chain = traceback.TracebackException.from_exception(error)
    while chain is not None:
        assert_clean(*chain.format_exception_only())
        chain = chain.__cause__ or (None if chain.__suppress_context__ else chain.__context__)
    assert_clean(*(r.getMessage() for r in caplog.records if r.name.startswith("shapecluster")))
    assert_clean(*stored(emulator))


def test_what_a_job_prints_or_fails_with_is_scrubbed(emulator, session, rng):
    model = estimators(emulator, session)[0]
    hyperparameters = {"timepoints": "40", "fail": f"my key is {secret_of(USER)} {TOKEN}"}
    model.set_params(job=Job(poll_interval=0.01, hyperparameters=hyperparameters))
    with pytest.raises(RemoteError) as caught:
        model.fit(walks(rng))
    assert_clean(str(caught.value), caught.value.failure_reason, *caught.value.log_tail)


def test_what_comes_out_of_a_pickle_never_uses_other_credentials(emulator, session, rng):
    """The environment holds good credentials; an estimator that lost its session must not find them."""
    model = estimators(emulator, session)[0].fit(walks(rng))
    back = pickle.loads(cloudpickle.dumps(model))
    before = len(emulator.calls())
    for call in (lambda: back.fit(walks(rng)), lambda: clone(back).fit(walks(rng))):
        with pytest.raises(RemoteError, match="set it again"):
            call()
    assert len(emulator.calls()) == before
