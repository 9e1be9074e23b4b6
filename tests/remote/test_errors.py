"""From the codes of services to our errors, and no credential on the way."""

from __future__ import annotations

import pickle
import traceback

import pytest

from shapecluster import exceptions
from shapecluster.exceptions import (
    AccessError,
    CapacityError,
    ConnectionLostError,
    CredentialsError,
    EndpointError,
    InvalidRequestError,
    JobFailedError,
    NameTakenError,
    NotFoundError,
    NotSubscribedError,
    QuotaError,
    RemoteError,
    ThrottledError,
)
from shapecluster.remote._errors import BY_CODE, BY_MESSAGE, action_of, from_code, translate
from shapecluster.remote._scrub import HIDDEN, scrub

CREATE = "sagemaker.create_training_job"
KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TOKEN = "IQoJb3JpZ2luX2VjE" + "aB3/x+9" * 40 + "=="


@pytest.mark.parametrize(
    ("code", "message", "error", "says"),
    [
        ("ExpiredTokenException", "The security token included is expired", CredentialsError, "Log in again"),
        ("ExpiredToken", "expired", CredentialsError, "Log in again"),
        ("UnrecognizedClientException", "invalid", CredentialsError, "Log in again"),
        ("AccessDeniedException", "User is not authorized", AccessError, "sagemaker:CreateTrainingJob"),
        ("AccessDeniedException", "not authorized to perform: iam:PassRole on", AccessError, "iam:PassRole"),
        ("ValidationException", "Could not assume role arn:aws:iam", AccessError, "trust policy"),
        (
            "ValidationException",
            "Caller is not subscribed to the marketplace offering",
            NotSubscribedError,
            "Subscribe",
        ),
        ("ResourceLimitExceeded", "The account-level service limit", QuotaError, "Service Quotas"),
        ("CapacityError", "Unable to provision", CapacityError, "another instance type"),
        ("ThrottlingException", "Rate exceeded", ThrottledError, "max_parallel_jobs"),
        ("ResourceInUse", "must be unique", NameTakenError, "another name"),
        ("ValidationException", "Cannot create already existing endpoint", NameTakenError, "another name"),
        ("ValidationException", "Requested resource not found.", NotFoundError, "region"),
        ("ValidationException", 'Could not find model "x".', NotFoundError, "region"),
        ("NoSuchBucket", "The specified bucket does not exist", NotFoundError, "create_bucket=True"),
        ("ValidationException", "1 validation error detected", InvalidRequestError, "parameter"),
        ("InternalFailure", "", ConnectionLostError, "try again"),
        ("ModelError", "Received server error (500)", EndpointError, "log"),
        ("SomethingNew", "never heard of", RemoteError, "never heard of"),
    ],
)
def test_a_code_becomes_an_error_that_says_what_to_do(code, message, error, says):
    found = from_code(code, message, CREATE)
    assert type(found) is error
    assert says in str(found)
    assert code in str(found)
    assert (found.code, found.operation) == (code, CREATE)


@pytest.mark.parametrize("trouble", [*BY_CODE.values(), *(trouble for _, trouble in BY_MESSAGE)])
def test_every_line_of_the_table_advises(trouble):
    assert issubclass(trouble.error, RemoteError)
    assert trouble.advice.endswith(".")
    assert "{" not in trouble.advice.replace("{action}", "")


def test_a_bucket_of_somebody_else_is_told_from_a_missing_permission():
    assert "another account" in str(from_code("403", "Forbidden", "s3.head_bucket"))
    assert "another account" not in str(from_code("AccessDeniedException", "no", CREATE))


def test_errors_keep_their_facts_through_a_pickle():
    error = RemoteError("text", operation=CREATE, code="X", status=400, job_name="job")
    failed = JobFailedError("failed", job_name="job")
    failed.failure_reason, failed.log_tail = "why", ("a", "b")
    for one in (error, failed):
        copy = pickle.loads(pickle.dumps(one))
        assert (type(copy), str(copy), vars(copy)) == (type(one), str(one), vars(one))


def test_every_error_of_the_tree_is_public_and_a_remote_error():
    tree = {name for name, value in vars(exceptions).items() if isinstance(value, type)}
    tree = {name for name in tree if issubclass(getattr(exceptions, name), RemoteError)}
    assert tree <= set(exceptions.__all__)
    assert {"JobStoppedError", "EndpointError", "JobRunningError"} <= tree


@pytest.mark.parametrize(
    "text",
    [
        f"aws_secret_access_key = {SECRET}",
        f'{{"SecretAccessKey": "{SECRET}", "AccessKeyId": "{KEY}"}}',
        f"GET /?X-Amz-Credential={KEY}%2F20260101&X-Amz-Signature=0123abcd&X-Amz-Security-Token={TOKEN}",
        f"Authorization: AWS4-HMAC-SHA256 Credential={KEY}/20260101, Signature=0123abcd",
        f"the key was {SECRET}, the token {TOKEN}",
        f"password=hunter2 and {KEY}",
    ],
)
def test_what_looks_like_a_credential_is_hidden(text):
    clean = scrub(text)
    assert HIDDEN in clean
    for secret in (KEY, SECRET, TOKEN, "0123abcd", "hunter2"):
        assert secret not in clean


def test_credentials_of_the_environment_are_hidden_whatever_they_look_like(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test-secret")
    assert scrub("x test-secret y") == f"x {HIDDEN} y"


@pytest.mark.parametrize(
    "text",
    [
        "s3://sagemaker-eu-west-1-123456789012/shapecluster/" + "0123456789abcdef" * 2 + "01234567/data/",
        "arn:aws:sagemaker:eu-west-1:123456789012:training-job/shapecluster-20260101-120000-0123abcd",
        "trains in /tmp/tmpQ7x/cloud/sagemaker/training-job/x",
        "/tmp/tmpqz2c6A1b/sagemaker/trainingAbcde/job",
        "k must be at most 99, the number of series. Got 120 instead.",
        "No shape: 'ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMN' is flat",
    ],
)
def test_what_people_need_is_left_alone(text):
    assert scrub(text) == text


def test_exceptions_of_botocore_become_ours_without_a_trace_of_the_original():
    botocore = pytest.importorskip("botocore.exceptions", reason="boto3 comes with the extra `aws`")
    table = {
        botocore.NoCredentialsError(): CredentialsError,
        botocore.TokenRetrievalError(provider="sso", error_msg="expired"): CredentialsError,
        botocore.ReadTimeoutError(endpoint_url="https://x"): ConnectionLostError,
        botocore.EndpointConnectionError(endpoint_url="https://x"): ConnectionLostError,
        botocore.NoRegionError(): InvalidRequestError,
        botocore.ParamValidationError(report="Missing RoleArn"): InvalidRequestError,
        ConnectionResetError("reset"): ConnectionLostError,
        KeyError("what"): RemoteError,
    }
    for original, expected in table.items():
        assert type(translate(original, CREATE)) is expected
    leaking = botocore.ClientError(
        {
            "Error": {
                "Code": "SignatureDoesNotMatch",
                "Message": f"Canonical: x-amz-security-token:{TOKEN}\n{KEY}",
            }
        },
        "CreateTrainingJob",
    )
    from shapecluster.remote._aws import _translating

    def fail():
        raise leaking

    with pytest.raises(CredentialsError) as caught:
        _translating(fail, CREATE)
    text = "".join(traceback.format_exception(caught.value))
    assert TOKEN not in text
    assert KEY not in text
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("operation", "action"),
    [
        (CREATE, "sagemaker:CreateTrainingJob"),
        ("s3.head_object", "s3:GetObject"),
        ("sagemaker-runtime.invoke_endpoint", "sagemaker:InvokeEndpoint"),
        ("logs.get_log_events", "logs:GetLogEvents"),
    ],
)
def test_the_permission_behind_a_call_is_named(operation, action):
    assert action_of(operation) == action
