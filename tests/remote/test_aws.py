"""AWS through real boto3, with answers put in below it: what is sent, and what comes of what is answered."""

from __future__ import annotations

import io
import json
import pickle
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest

from shapecluster import SageMakerKShape
from shapecluster.exceptions import (
    AccessError,
    ConnectionLostError,
    CredentialsError,
    InvalidRequestError,
    NotFoundError,
    ThrottledError,
)
from shapecluster.remote import Job, Rehearsal, _aws
from shapecluster.remote._client import find_bucket, find_role
from shapecluster.remote._platform import DROPPED, Platform, open_platform
from shapecluster.remote._polling import JobClient
from tests.remote.fakes import FakeClock

boto3 = pytest.importorskip("boto3", reason="boto3 comes with the extra `aws`")
from botocore.awsrequest import AWSResponse  # noqa: E402

KEY, SECRET, TOKEN = "AKIAPLANTEDKEY123456", "planted/Secret+0123456789abcdefghijABCDE", "planted-token-value"
ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/Execution"


class Network:
    """Stands where the network is: remembers requests, answers from a list or a function."""

    def __init__(self, session: Any) -> None:
        self.requests: list[Any] = []
        self.answer: Callable[[Any], Any] = lambda request: (200, b"")
        session.events.register("before-send.*", self._send)

    def _send(self, request: Any, **_: Any) -> AWSResponse:
        self.requests.append(request)
        if "sts." in request.url:
            body = (
                "<GetCallerIdentityResponse><GetCallerIdentityResult>"
                f"<Account>{ACCOUNT}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
            )
            return self._response(request, 200, body.encode())
        answer = self.answer(request)
        if isinstance(answer, Exception):
            raise answer
        status, body = answer
        if isinstance(body, dict):
            body = json.dumps(body).encode()
        return self._response(request, status, body)

    def _response(self, request: Any, status: int, body: bytes) -> AWSResponse:
        class Raw(io.BytesIO):
            def stream(self, *_: Any, **__: Any) -> Any:
                yield self.read()

        return AWSResponse(request.url, status, {"content-length": str(len(body)), "etag": "e"}, Raw(body))

    def sent(self, service: str) -> list[Any]:
        return [r for r in self.requests if f"{service}." in urlsplit(r.url).netloc]


@pytest.fixture
def session(monkeypatch, tmp_path) -> Any:
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_ENDPOINT_URL", "SAGEMAKER_ROLE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return boto3.Session(
        aws_access_key_id=KEY, aws_secret_access_key=SECRET, aws_session_token=TOKEN, region_name="eu-west-1"
    )


@pytest.fixture
def network(session) -> Network:
    return Network(session)


@pytest.fixture
def platform(session, network, monkeypatch) -> Platform:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # botocore's own waits between tries
    return open_platform(session)


def test_both_platforms_keep_the_protocol(platform, tmp_path):
    assert isinstance(platform, Platform)
    rehearsal = Rehearsal(tmp_path)
    assert isinstance(rehearsal, Platform)
    assert open_platform(rehearsal) is rehearsal
    assert (platform.kind, platform.region, platform.account()) == ("aws", "eu-west-1", ACCOUNT)
    assert platform.identity == f"aws:{ACCOUNT}:eu-west-1"
    assert platform.default_bucket() == f"sagemaker-eu-west-1-{ACCOUNT}"


def test_every_call_to_s3_expects_the_callers_own_bucket(platform, network):
    platform.upload(io.BytesIO(b"data"), "s3://bucket/key")
    platform.exists("s3://bucket/key")
    platform.delete("s3://bucket/key")
    with platform.open("s3://bucket/key") as file:
        file.read()
    list(platform.list("s3://bucket/key"))
    platform.call("s3.head_bucket", Bucket="bucket")
    sent = network.sent("s3")
    assert len(sent) == 6
    for request in sent:
        owner = request.headers["x-amz-expected-bucket-owner"]
        assert (owner if isinstance(owner, str) else owner.decode()) == ACCOUNT


def test_the_account_is_asked_for_once(platform, network):
    for _ in range(3):
        platform.exists("s3://bucket/key")
    assert len(network.sent("sts")) == 1


def test_large_files_travel_in_parts_and_owner_and_key_with_each(platform, network):
    part = b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
    done = b"<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>"

    def answer(request):
        if request.method == "POST":
            return 200, part if request.url.endswith("?uploads") else done
        return 200, b""

    network.answer = answer
    platform.upload(io.BytesIO(bytes(20 * 2**20)), "s3://bucket/key", kms_key="the-key")
    sent = network.sent("s3")
    assert sorted(r.method for r in sent) == ["POST", "POST", "PUT", "PUT", "PUT"]
    assert all("x-amz-expected-bucket-owner" in r.headers for r in sent)
    (first,) = [r for r in sent if r.url.endswith("?uploads")]
    assert first.headers["x-amz-server-side-encryption-aws-kms-key-id"] in ("the-key", b"the-key")


def test_a_listing_is_read_page_by_page(platform, network):
    def answer(request):
        more = "continuation-token=next" not in unquote(request.url)
        key, token = ("a b", "<NextContinuationToken>next</NextContinuationToken>") if more else ("c", "")
        return 200, (
            f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{token}"
            f"<Contents><Key>p/{key}</Key></Contents></ListBucketResult>"
        ).encode()

    network.answer = answer
    assert list(platform.list("s3://bucket/p")) == ["s3://bucket/p/a b", "s3://bucket/p/c"]


def test_calls_go_out_with_our_name_and_come_back_as_dicts(platform, network):
    network.answer = lambda request: (200, {"TrainingJobStatus": "Completed"})
    answer = platform.call("sagemaker.describe_training_job", TrainingJobName="job")
    assert answer["TrainingJobStatus"] == "Completed"
    (request,) = network.sent("sagemaker")
    agent = request.headers["User-Agent"]
    assert b"shapecluster/" in (agent if isinstance(agent, bytes) else agent.encode())


def failing(code: str, message: str = "m", status: int = 400) -> Callable[[Any], Any]:
    return lambda request: (status, {"__type": code, "message": message})


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (failing("ExpiredTokenException"), CredentialsError),
        (failing("AccessDeniedException", f"user with {KEY}, {SECRET} and {TOKEN}"), AccessError),
        (failing("ValidationException", "Requested resource not found."), NotFoundError),
        (failing("ThrottlingException", "Rate exceeded"), ThrottledError),
        (failing("InternalFailure", status=500), ConnectionLostError),
        (lambda request: ConnectionResetError("reset"), ConnectionLostError),
    ],
)
def test_errors_are_ours_and_hold_no_credential(platform, network, answer, expected):
    network.answer = answer
    with pytest.raises(expected) as caught:
        platform.call("sagemaker.describe_training_job", TrainingJobName="job")
    for secret in (KEY, SECRET, TOKEN):
        assert secret not in str(caught.value)
        assert secret not in repr(vars(caught.value))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_what_breaks_off_while_it_is_read_is_told(platform, network):
    class Broken(io.BytesIO):
        def read(self, *_):
            raise ConnectionResetError("reset")

    network.answer = lambda request: (200, b"x" * 10)
    file = platform.open("s3://bucket/key")
    file.raw._body._raw_stream = Broken()
    with pytest.raises(ConnectionLostError):
        file.read()


@pytest.mark.parametrize(("attempts", "expected"), [(None, 3), ("5", 5)])
def test_calls_for_files_are_repeated_by_boto3_as_often_as_the_environment_says(
    platform, network, monkeypatch, attempts, expected
):
    monkeypatch.delenv("AWS_MAX_ATTEMPTS")
    if attempts is not None:
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", attempts)
    network.answer = lambda request: (503, b"")
    with pytest.raises(ConnectionLostError) as caught:
        platform.exists("s3://bucket/key")
    assert len(network.sent("s3")) == caught.value.attempts == expected


def test_boto3_repeats_no_call_that_is_repeated_here(platform, network, monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "5")
    network.answer = failing("InternalFailure", status=500)
    with pytest.raises(ConnectionLostError):
        platform.call("sagemaker.describe_training_job", TrainingJobName="job")
    assert len(network.sent("sagemaker")) == 1
    time = FakeClock()
    with pytest.raises(ConnectionLostError) as caught:
        JobClient(platform, clock=time.clock).call("sagemaker.describe_training_job", TrainingJobName="job")
    assert len(network.sent("sagemaker")) == 1 + caught.value.attempts
    assert caught.value.attempts <= 5
    assert sum(time.waits) <= 10.0


@pytest.mark.parametrize("lost", [ConnectionResetError("reset"), TimeoutError("no route")])
def test_without_a_network_fit_ends_soon(session, network, monkeypatch, lost):
    """The account is asked for first; its lost tries take seconds in all, however each of them ends."""
    slept = []
    clock = FakeClock()
    monkeypatch.setattr("shapecluster.remote._aws.CLOCK", clock.clock)
    monkeypatch.setattr("time.sleep", slept.append)
    connect = _aws._CONNECT if isinstance(lost, TimeoutError) else 0.0

    def fail(request, **_):
        clock.time += connect
        network.requests.append(request)
        raise lost

    session.events.register_first("before-send.*", fail)
    begin = clock.time
    model = SageMakerKShape(2, role=ROLE, session=session, image_uri="1.dkr.ecr/x:1")
    with pytest.raises(ConnectionLostError, match="Check the network"):
        model.fit(np.random.default_rng(0).normal(size=(6, 8)))
    assert clock.time - begin + sum(slept) < 15.0
    assert len(network.requests) <= 5


def test_a_mistake_in_a_request_is_told_before_it_is_sent(platform, network):
    with pytest.raises(InvalidRequestError, match="TrainingJobName"):
        platform.call("sagemaker.describe_training_job")
    assert not network.sent("sagemaker")


def test_a_mistake_of_ours_is_not_taken_for_the_services(platform, network):
    network.answer = lambda request: KeyError("slip")
    with pytest.raises(KeyError):
        platform.call("sagemaker.describe_training_job", TrainingJobName="job")
    with pytest.raises(AttributeError):
        platform.call("sagemaker.no_such_call")


def test_each_thread_has_clients_of_its_own(platform, session, monkeypatch):
    made = []
    original = session.client

    def client(*args, **kwargs):
        made.append((threading.get_ident(), args[0]))
        return original(*args, **kwargs)

    monkeypatch.setattr(session, "client", client)
    barrier = threading.Barrier(3)

    def run():
        barrier.wait(timeout=10)
        for _ in range(3):
            platform.exists("s3://bucket/key")
        barrier.wait(timeout=10)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    s3 = [ident for ident, service in made if service == "s3"]
    assert len(s3) == len(set(s3)) == 3


def test_one_session_is_one_platform_while_it_is_in_use(session, network):
    platform = open_platform(session)
    assert open_platform(session) is platform

    class Sdk:  # the session of the SageMaker SDK 3
        boto_session = session

        def get_caller_identity_arn(self):
            return ROLE

    sdk = Sdk()
    assert open_platform(sdk) is open_platform(sdk)
    assert open_platform(sdk) is not platform


def test_no_credential_in_repr_and_no_pickle(platform):
    assert repr(platform) == "AwsPlatform(region='eu-west-1')"
    with pytest.raises(TypeError, match="credentials"):
        pickle.dumps(platform)


def test_what_is_no_session_is_refused():
    with pytest.raises(TypeError, match=r"Got an object of type 'str' instead\."):
        open_platform("default")


def test_a_session_that_was_dropped_never_falls_back_to_the_default(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    with pytest.raises(CredentialsError, match="set it again"):
        open_platform(pickle.loads(pickle.dumps(DROPPED)))
    assert repr(DROPPED) == "<no session: it was not pickled>"


def test_credentials_of_a_session_of_our_own_are_fetched_with_short_timeouts(session, network):
    """To assume a role, say, botocore makes a client of its own, which would wait for minutes."""
    inner = _aws.new_session(region="eu-west-1")._session
    client = inner.create_client("sts", aws_access_key_id=KEY, aws_secret_access_key=SECRET)
    assert client.meta.config.connect_timeout < 5
    assert client.meta.config.retries["total_max_attempts"] == 1
    assert session._session.get_default_client_config() is None  # a session of the user's stays as it is


def test_a_region_is_needed(session, monkeypatch):
    with pytest.raises(InvalidRequestError, match="region_name="):
        _ = open_platform(boto3.Session()).region


def test_credentials_are_needed(session, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    bare = boto3.Session(region_name="eu-west-1")
    with pytest.raises(CredentialsError, match="aws configure"):
        open_platform(bare).account()


# --------------------------------------------------------------------------------------- role and bucket


def test_the_role_is_the_given_one_the_variables_or_the_sessions(platform, session, monkeypatch):
    assert find_role(platform, ROLE) == ROLE
    with pytest.raises(ValueError, match="SAGEMAKER_ROLE"):
        find_role(platform)

    class Sdk:
        boto_session = session
        arn = ROLE + "-of-the-session"

        def get_caller_identity_arn(self):
            return self.arn

    sdk = Sdk()
    assert find_role(open_platform(sdk)) == sdk.arn
    monkeypatch.setenv("SAGEMAKER_ROLE", ROLE)
    assert find_role(platform) == ROLE
    with pytest.raises(ValueError, match="ARN of a role"):
        find_role(platform, "Execution")
    monkeypatch.delenv("SAGEMAKER_ROLE")
    sdk.arn = f"arn:aws:iam::{ACCOUNT}:user/someone"
    with pytest.raises(ValueError, match="SAGEMAKER_ROLE"):
        find_role(open_platform(sdk))


def test_a_bucket_is_created_only_on_request(platform, network):
    created = []

    def answer(request):
        if request.method == "PUT":
            created.append(request)
        return (404, b"") if request.method == "HEAD" else (200, b"")

    network.answer = answer
    with pytest.raises(NotFoundError, match=r"no bucket 'sagemaker-eu-west-1-\d+' .*create_bucket=True"):
        find_bucket(platform, Job())
    assert not created
    assert find_bucket(platform, Job(create_bucket=True)) == f"sagemaker-eu-west-1-{ACCOUNT}"
    assert b"eu-west-1" in created[0].body
    assert b"<BlockPublicAcls>true" in created[1].body


def test_a_session_of_the_sdk_may_have_a_bucket_of_its_own(session, network):
    class Sdk:
        boto_session = session
        _default_bucket_name_override = "our-own-bucket"

    network.answer = lambda request: (200, b"")
    assert find_bucket(open_platform(Sdk()), Job()) == "our-own-bucket"
    assert find_bucket(open_platform(Sdk()), Job(bucket="another")) == "another"


def test_local_mode_of_the_sdk_is_refused(session):
    class LocalSession:
        boto_session = session
        local_mode = True

    with pytest.raises(ValueError, match=r"a Rehearsal .* Got a LocalSession in local mode instead\."):
        open_platform(LocalSession())


def test_a_bucket_of_somebody_else_is_never_used(platform, network):
    network.answer = lambda request: (403, b"")
    with pytest.raises(AccessError, match="another account"):
        find_bucket(platform, Job(bucket="somebody-elses"))


def test_a_rehearsal_needs_neither(tmp_path):
    rehearsal = Rehearsal(tmp_path)
    assert find_bucket(rehearsal, Job()) == "rehearsal"
    assert find_role(rehearsal).endswith(":role/rehearsal")
