"""Translation of AWS errors into the classes of `shapecluster.exceptions`, by tables.

```
class of a botocore exception --+
                                +--> ErrorAdvice: exception class, and advice --> RemoteError
code of an answer             --+
```

The text of an answer is read only where its code is ambiguous: `ValidationException` stands for a dozen
different problems.
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
    """A class of the error tree, and the advice that its message ends with."""

    error: type[RemoteError]
    advice: str


_CREDENTIALS = ErrorAdvice(
    CredentialsError,
    "Log in again (for example `aws sso login`, or new keys in the environment or the profile), and pass a "
    "session that is made after that.",
)
_NO_REASON = ErrorAdvice(
    CredentialsError,
    "S3 gives no reasons here; most often the session's token has expired. Log in again (for example "
    "`aws sso login`), and pass a session that is made after that.",
)
_NO_CREDENTIALS = ErrorAdvice(
    CredentialsError,
    "Give credentials: `aws configure` or `aws sso login`, the variables AWS_PROFILE or AWS_ACCESS_KEY_ID, "
    "or session=boto3.Session(profile_name=...). Without an account, session=Rehearsal(folder) runs "
    "everything here.",
)
_NO_REGION = ErrorAdvice(
    InvalidRequestError,
    "Name the region: session=boto3.Session(region_name='eu-west-1'), or the variable AWS_DEFAULT_REGION.",
)
_ACCESS = ErrorAdvice(
    AccessError,
    "Ask for the permission {action}; `shapecluster.remote.permissions` writes the policy that is needed.",
)
_NOT_OUR_BUCKET = ErrorAdvice(
    AccessError,
    "Ask for the permission {action}; or take another bucket, Job(bucket=...), if this one belongs to "
    "another account, since data is stored in the caller's own account only.",
)
_PASS_ROLE = ErrorAdvice(
    AccessError,
    "The caller needs iam:PassRole on the execution role, with iam:PassedToService "
    "= sagemaker.amazonaws.com.",
)
_BAD_ROLE = ErrorAdvice(
    AccessError,
    "Check that the execution role exists, and that its trust policy lets sagemaker.amazonaws.com assume it.",
)
_THROTTLED = ErrorAdvice(
    ThrottledError,
    "Try again later, or with less at a time: Job(max_parallel_jobs=...), a longer poll_interval.",
)
_QUOTA = ErrorAdvice(
    QuotaError,
    "Ask for more in the Service Quotas console, or use fewer or other instances: Job(instance_type=..., "
    "max_parallel_jobs=...).",
)
_CAPACITY = ErrorAdvice(
    CapacityError, "Try again later, or with another instance type or region: Job(instance_type=...)."
)
_SUBSCRIBE = ErrorAdvice(
    NotSubscribedError,
    "Subscribe to the listing on the AWS Marketplace with this account, and look that the ARN is the one "
    "that the listing shows for this region.",
)
_TAKEN = ErrorAdvice(NameTakenError, "Choose another name, or remove what has this one.")
_NOT_FOUND = ErrorAdvice(NotFoundError, "Check its name, the region and the account.")
_NO_BUCKET = ErrorAdvice(
    NotFoundError, "Name a bucket that exists, Job(bucket=...), or have it created: Job(create_bucket=True)."
)
_INVALID = ErrorAdvice(InvalidRequestError, "Change the parameter that the message names.")
_CONNECTION = ErrorAdvice(ConnectionLostError, "Check the network, proxies and the region, and try again.")
_SERVICE = ErrorAdvice(ConnectionLostError, "The problem is on the service's side: try again.")
_MODEL = ErrorAdvice(
    EndpointError, "Look into the endpoint's log, and whether it takes this content type and these columns."
)

BY_CODE: dict[str, ErrorAdvice] = {
    **dict.fromkeys(
        [
            *("ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidClientTokenId"),
            *("UnrecognizedClientException", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken"),
            *("TokenRefreshRequired", "InvalidSignatureException", "IncompleteSignature", "AuthFailure"),
            *("MissingAuthenticationToken", "MissingAuthenticationTokenException", "UnauthorizedException"),
        ],
        _CREDENTIALS,
    ),
    **dict.fromkeys(
        [
            *(
                "AccessDenied",
                "AccessDeniedException",
                "UnauthorizedOperation",
                "NotAuthorized",
                "OptInRequired",
            ),
            *("403", "Forbidden", "AllAccessDisabled", "AccountProblem", "KMS.AccessDeniedException"),
        ],
        _ACCESS,
    ),
    **dict.fromkeys(
        [
            *("Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "SlowDown"),
            *("RequestThrottledException", "TooManyRequestsException", "RequestLimitExceeded", "429"),
            *("ProvisionedThroughputExceededException", "BandwidthLimitExceeded", "PriorRequestNotComplete"),
        ],
        _THROTTLED,
    ),
    **dict.fromkeys(
        ["ResourceLimitExceeded", "LimitExceededException", "ServiceQuotaExceededException"], _QUOTA
    ),
    **dict.fromkeys(
        ["CapacityError", "InsufficientCapacityError", "InsufficientInstanceCapacity"], _CAPACITY
    ),
    **dict.fromkeys(["ResourceInUse", "ConflictException", "BucketAlreadyExists"], _TAKEN),
    **dict.fromkeys(
        ["NoSuchKey", "NotFound", "404", "ResourceNotFound", "ResourceNotFoundException"], _NOT_FOUND
    ),
    "NoSuchBucket": _NO_BUCKET,
    **dict.fromkeys(
        [
            *("ValidationException", "ValidationError", "InvalidParameterValue", "InvalidParameterException"),
            *("SerializationException", "InvalidRequest", "InvalidArgument", "EntityTooLarge", "400"),
            *("InvalidBucketName", "PermanentRedirect", "301", "MalformedPolicyDocument", "413"),
        ],
        _INVALID,
    ),
    **dict.fromkeys(
        [
            *("InternalFailure", "InternalServerError", "InternalError", "InternalServerException", "500"),
            *("ServiceUnavailable", "ServiceUnavailableException", "502", "503", "504", "RequestTimeout"),
            *("InternalDependencyException", "ModelNotReadyException", "RequestTimeoutException"),
        ],
        _SERVICE,
    ),
    **dict.fromkeys(["ModelError", "ModelErrorException", "424"], _MODEL),
}

# AWS has no code of its own for these. The first pattern that matches decides.
BY_MESSAGE: tuple[tuple[re.Pattern[str], ErrorAdvice], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), advice)
    for pattern, advice in (
        (r"not subscribed to", _SUBSCRIBE),
        (r"iam:PassRole", _PASS_ROLE),
        (r"could not assume role|unable to assume|trust (policy|relationship)", _BAD_ROLE),
        (r"security token .* (expired|invalid)|token has expired", _CREDENTIALS),
        (r"cannot create already existing|already exists|must be unique within", _TAKEN),
        (r"requested resource not found|could not find |does not exist", _NOT_FOUND),
        (r"rate exceeded", _THROTTLED),
        (r"unable to provision requested|insufficient .*capacity", _CAPACITY),
    )
)
_READ_MESSAGE = {"ValidationException", "ValidationError", "AccessDeniedException", "AccessDenied"}

# Exceptions of botocore that never reached a service, by the name of the class or of a parent class. Names
# and not classes: botocore is not installed everywhere.
BY_CLASS: dict[str, ErrorAdvice] = {
    **dict.fromkeys(["NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"], _NO_CREDENTIALS),
    **dict.fromkeys(
        [
            *("CredentialRetrievalError", "TokenRetrievalError", "SSOTokenLoadError", "SSOError"),
            *("UnauthorizedSSOTokenError", "MetadataRetrievalError", "NoAuthTokenError", "LoginError"),
        ],
        _CREDENTIALS,
    ),
    "NoRegionError": _NO_REGION,
    **dict.fromkeys(
        [
            *("HTTPClientError", "ConnectionError", "ConnectionClosedError", "EndpointConnectionError"),
            *("ReadTimeoutError", "ConnectTimeoutError", "ResponseStreamingError", "IncompleteReadError"),
            *("ProtocolError", "IncompleteRead", "TimeoutError", "MaxRetriesExceededError"),
        ],
        _CONNECTION,
    ),
    **dict.fromkeys(["ParamValidationError", "InvalidRegionError", "BotoCoreError"], _INVALID),
}

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
    for parent in type(error).__mro__:
        if parent.__name__ in BY_CLASS:
            message = scrub(str(error), secrets)
            return _error(BY_CLASS[parent.__name__], message, operation, type(error).__name__, None)
    message = scrub(str(error), secrets)
    return _error(ErrorAdvice(RemoteError, ""), message, operation, type(error).__name__, None)


def is_service_error(error: BaseException) -> bool:
    """Whether an exception comes from a service or the connection to it, and not from a bug."""
    parents = type(error).__mro__
    return isinstance(error, RemoteError) or any(
        parent.__name__ in BY_CLASS or parent.__module__.split(".")[0] in _LIBRARIES for parent in parents
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
    advice = BY_CODE.get(code, ErrorAdvice(RemoteError, ""))
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
    "s3.upload": "s3:PutObject",
    "sagemaker-runtime.invoke_endpoint": "sagemaker:InvokeEndpoint",
}


def action_of(operation: str) -> str:
    """The IAM action that a call needs: "sagemaker.create_model" -> "sagemaker:CreateModel"."""
    if operation in _ACTIONS:
        return _ACTIONS[operation]
    service, _, name = operation.partition(".")
    return f"{service}:{''.join(word.capitalize() for word in name.split('_'))}"
