"""Translation of AWS errors into the classes of `shapecluster.exceptions`, by one table.

Each line of `TABLE` has an exception class, the advice that ends its message, and what it stands for: codes
of answers, names of botocore's classes, or a pattern of messages. The text of an answer is read only where
its code is ambiguous: `ValidationException` stands for a dozen different problems.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from shapecluster.exceptions import (
    AccessError,
    CapacityError,
    ConnectionLostError,
    CredentialsError,
    EndpointError,
    InvalidRequestError,
    NameTakenError,
    NotFoundError,
    NotSubscribedError,
    QuotaError,
    RemoteError,
    ThrottledError,
)
from shapecluster.remote._scrub import scrub


@dataclass(frozen=True)
class ErrorAdvice:
    """A class of the error tree, the advice that its message ends with, and what it stands for.

    `codes` are those of answers, HTTP statuses included. `classes` are names of botocore's classes, or of
    their parents, that never reached a service; names and not classes, since botocore is not installed
    everywhere. `pattern` is one of messages under a code that is ambiguous.
    """

    error: type[RemoteError]
    advice: str = ""
    codes: str = ""
    classes: str = ""
    pattern: str = ""


_LOG_IN = "Log in again (for example `aws sso login`), and pass a session that is made after that."
_NO_REASON = ErrorAdvice(
    CredentialsError,
    "S3 gives no reasons here; most often the session's token has expired. " + _LOG_IN,
)
_ACCESS = ErrorAdvice(
    AccessError,
    "Ask for the permission {action}; `shapecluster.remote.permissions` writes the policy that is needed.",
    codes="AccessDenied AccessDeniedException UnauthorizedOperation NotAuthorized OptInRequired 403 "
    "Forbidden AllAccessDisabled AccountProblem KMS.AccessDeniedException",
)
_NOT_OUR_BUCKET = ErrorAdvice(
    AccessError,
    "Ask for the permission {action}; or take another bucket, Job(bucket=...), if this one belongs to "
    "another account, since data is stored in the caller's own account only.",
)
_NO_BUCKET = ErrorAdvice(
    NotFoundError,
    "Name a bucket that exists, Job(bucket=...), or have it created: Job(create_bucket=True).",
    codes="NoSuchBucket",
)
_UNKNOWN = ErrorAdvice(RemoteError)

# The first pattern that matches decides.
TABLE = (
    _NO_REASON,
    _ACCESS,
    _NOT_OUR_BUCKET,
    _NO_BUCKET,
    ErrorAdvice(
        NotSubscribedError,
        "Subscribe to the listing on the AWS Marketplace with this account, and look that the ARN is the "
        "one that the listing shows for this region.",
        pattern=r"not subscribed to",
    ),
    ErrorAdvice(
        AccessError,
        "The caller needs iam:PassRole on the execution role, with iam:PassedToService "
        "= sagemaker.amazonaws.com.",
        pattern=r"iam:PassRole",
    ),
    ErrorAdvice(
        AccessError,
        "Check that the execution role exists, and that its trust policy lets sagemaker.amazonaws.com "
        "assume it.",
        pattern=r"could not assume role|unable to assume|trust (policy|relationship)",
    ),
    ErrorAdvice(
        CredentialsError,
        "Log in again (for example `aws sso login`, or new keys in the environment or the profile), and "
        "pass a session that is made after that.",
        codes="ExpiredToken ExpiredTokenException RequestExpired InvalidClientTokenId "
        "UnrecognizedClientException InvalidAccessKeyId SignatureDoesNotMatch InvalidToken "
        "TokenRefreshRequired InvalidSignatureException IncompleteSignature AuthFailure "
        "MissingAuthenticationToken MissingAuthenticationTokenException UnauthorizedException",
        classes="CredentialRetrievalError TokenRetrievalError SSOTokenLoadError SSOError "
        "UnauthorizedSSOTokenError MetadataRetrievalError NoAuthTokenError LoginError",
        pattern=r"security token .* (expired|invalid)|token has expired",
    ),
    ErrorAdvice(
        CredentialsError,
        "Give credentials: `aws configure` or `aws sso login`, the variables AWS_PROFILE or "
        "AWS_ACCESS_KEY_ID, or session=boto3.Session(profile_name=...). Without an account, "
        "session=Rehearsal(folder) runs everything here.",
        classes="NoCredentialsError PartialCredentialsError ProfileNotFound",
    ),
    ErrorAdvice(
        NameTakenError,
        "Choose another name, or remove what has this one.",
        codes="ResourceInUse ConflictException BucketAlreadyExists",
        pattern=r"cannot create already existing|already exists|must be unique within",
    ),
    ErrorAdvice(
        NotFoundError,
        "Check its name, the region and the account.",
        codes="NoSuchKey NotFound 404 ResourceNotFound ResourceNotFoundException",
        pattern=r"requested resource not found|could not find |does not exist",
    ),
    ErrorAdvice(
        ThrottledError,
        "Try again later, or with less at a time: Job(max_parallel_jobs=...), a longer poll_interval.",
        codes="Throttling ThrottlingException ThrottledException RequestThrottled SlowDown "
        "RequestThrottledException TooManyRequestsException RequestLimitExceeded 429 "
        "ProvisionedThroughputExceededException BandwidthLimitExceeded PriorRequestNotComplete",
        pattern=r"rate exceeded",
    ),
    ErrorAdvice(
        CapacityError,
        "Try again later, or with another instance type or region: Job(instance_type=...).",
        codes="CapacityError InsufficientCapacityError InsufficientInstanceCapacity",
        pattern=r"unable to provision requested|insufficient .*capacity",
    ),
    ErrorAdvice(
        QuotaError,
        "Ask for more in the Service Quotas console, or use fewer or other instances: "
        "Job(instance_type=..., max_parallel_jobs=...).",
        codes="ResourceLimitExceeded LimitExceededException ServiceQuotaExceededException",
    ),
    ErrorAdvice(
        InvalidRequestError,
        "Change the parameter that the message names.",
        codes="ValidationException ValidationError InvalidParameterValue InvalidParameterException "
        "SerializationException InvalidRequest InvalidArgument EntityTooLarge 400 InvalidBucketName "
        "PermanentRedirect 301 MalformedPolicyDocument 413",
        classes="ParamValidationError InvalidRegionError BotoCoreError",
    ),
    ErrorAdvice(
        InvalidRequestError,
        "Name the region: session=boto3.Session(region_name='eu-west-1'), or the variable "
        "AWS_DEFAULT_REGION.",
        classes="NoRegionError",
    ),
    ErrorAdvice(
        ConnectionLostError,
        "The problem is on the service's side: try again.",
        codes="InternalFailure InternalServerError InternalError InternalServerException 500 "
        "ServiceUnavailable ServiceUnavailableException 502 503 504 RequestTimeout "
        "InternalDependencyException ModelNotReadyException RequestTimeoutException",
    ),
    ErrorAdvice(
        ConnectionLostError,
        "Check the network, proxies and the region, and try again.",
        # An answer that cannot be parsed comes from something else on the way, such as a proxy.
        classes="HTTPClientError ConnectionError ConnectionClosedError EndpointConnectionError "
        "ReadTimeoutError ConnectTimeoutError ResponseStreamingError IncompleteReadError ProtocolError "
        "IncompleteRead TimeoutError MaxRetriesExceededError ResponseParserError",
    ),
    ErrorAdvice(
        EndpointError,
        "Look into the endpoint's log, and whether it takes this content type and these columns.",
        codes="ModelError ModelErrorException 424",
    ),
)
BY_CODE = {code: line for line in TABLE for code in line.codes.split()}
BY_CLASS = {name: line for line in TABLE for name in line.classes.split()}
BY_MESSAGE = tuple((re.compile(line.pattern, re.IGNORECASE), line) for line in TABLE if line.pattern)

_READ_MESSAGE = {"ValidationException", "ValidationError", "AccessDeniedException", "AccessDenied"}
_LIBRARIES = {"boto3", "botocore", "s3transfer", "urllib3", "ssl", "socket", "sagemaker"}


def translate(error: BaseException, operation: str, secrets: Iterable[str] = ()) -> RemoteError:
    """Translate an exception of boto3 into a `RemoteError`.

    Raise the result outside the `except` block. The original can hold signed requests, and must not become
    the context of the new error.

    Parameters
    ----------
    error : exception
        What a call raised.
    operation : str
        The call, such as ``"sagemaker.create_training_job"``.
    secrets : iterable of str, default=()
        Texts that must not appear in the message.
    """
    if isinstance(error, RemoteError):
        return error
    answer: Any = getattr(error, "response", None)
    if isinstance(answer, dict) and isinstance(answer.get("Error"), dict):
        return _from_answer(answer, operation, secrets)
    names = [parent.__name__ for parent in type(error).__mro__]
    advice = next((BY_CLASS[name] for name in names if name in BY_CLASS), _UNKNOWN)
    return _error(advice, scrub(str(error), secrets), operation, type(error).__name__, None)


def is_service_error(error: BaseException) -> bool:
    """Whether an exception comes from a service or the connection to it, and not from a bug."""
    parents = type(error).__mro__
    return isinstance(error, RemoteError) or any(
        parent.__name__ in BY_CLASS or parent.__module__.split(".")[0] in _LIBRARIES for parent in parents
    )


def restated(error: RemoteError, text: str, job_name: str | None = None) -> RemoteError:
    """The error with another message, and the name of the job or endpoint that it is about."""
    return type(error)(
        text,
        operation=error.operation,
        code=error.code,
        status=error.status,
        job_name=job_name,
        attempts=error.attempts,
    )


def from_code(code: str, message: str, operation: str, *, status: int | None = None) -> RemoteError:
    """The `RemoteError` for a code and a message of the service."""
    return _error(advice_for(code, message, operation), message, operation, code, status)


def advice_for(code: str, message: str, operation: str = "") -> ErrorAdvice:
    """Class and advice for a code; an ambiguous code is resolved by the message."""
    if code in _READ_MESSAGE:
        for pattern, advice in BY_MESSAGE:
            if pattern.search(message):
                return advice
    # S3 answers HEAD requests without a body: a missing bucket and an expired token have only a status.
    if code in {"404", "NotFound"} and operation == "s3.head_bucket":
        return _NO_BUCKET
    if code in {"400", "BadRequest"} and operation.startswith("s3.head_"):
        return _NO_REASON
    advice = BY_CODE.get(code, _UNKNOWN)
    # Every S3 call names the expected owner, so a foreign bucket is "forbidden" as well.
    return _NOT_OUR_BUCKET if advice is _ACCESS and operation.startswith("s3.") else advice


def _from_answer(answer: dict[str, Any], operation: str, secrets: Iterable[str]) -> RemoteError:
    code = str(answer["Error"].get("Code", ""))
    message = str(answer["Error"].get("Message", ""))
    status = answer.get("OriginalStatusCode") or answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if "OriginalMessage" in answer:  # of an endpoint's model, which is more specific than that of the service
        message = str(answer["OriginalMessage"]) or message
    message = scrub(message, secrets)
    # An unknown code still has an HTTP status that shows the kind of problem.
    known = str(status) if code not in BY_CODE and str(status) in BY_CODE else code
    advice = advice_for(known, message, operation)
    error = _error(advice, message, operation, code, int(status) if status else None)
    error.attempts = 1 + int(answer.get("ResponseMetadata", {}).get("RetryAttempts", 0))
    return error


def _error(advice: ErrorAdvice, message: str, operation: str, code: str, status: int | None) -> RemoteError:
    reason = " ".join(scrub(message).split())[:2000] or "No reason was given."
    if reason[-1] not in ".!?":
        reason += "."
    number = f" ({code})" if code else ""
    text = f"{operation}{number}: {reason} {advice.advice.format(action=action_of(operation))}".rstrip()
    return advice.error(text, operation=operation, code=code or None, status=status)


# Calls whose IAM action has another name.
_ACTIONS = {
    "s3.head_object": "s3:GetObject",
    "s3.head_bucket": "s3:ListBucket",
    "s3.list_objects_v2": "s3:ListBucket",
    "s3.put_public_access_block": "s3:PutBucketPublicAccessBlock",
    "resourcegroupstaggingapi.get_resources": "tag:GetResources",
    "sagemaker-runtime.invoke_endpoint": "sagemaker:InvokeEndpoint",
}


def action_of(operation: str) -> str:
    """The IAM action that a call needs: "sagemaker.create_model" -> "sagemaker:CreateModel"."""
    if operation in _ACTIONS:
        return _ACTIONS[operation]
    service, _, name = operation.partition(".")
    return f"{service}:{''.join(word.capitalize() for word in name.split('_'))}"
