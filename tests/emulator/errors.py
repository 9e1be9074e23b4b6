"""What the service says when it refuses, in the wire format of each of its APIs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

Headers = list[tuple[str, str]]


@dataclass
class ServiceError(Exception):
    """An answer that boto3 raises as ClientError."""

    code: str
    message: str
    status: int = 400
    extra: dict[str, Any] = field(default_factory=dict)  # more members of a JSON body

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def invalid(message: str) -> ServiceError:
    return ServiceError("ValidationException", message)


def not_authorized(action: str, resource: str, user: str) -> ServiceError:
    """The text names user, action and resource, as IAM does."""
    return ServiceError(
        "AccessDeniedException",
        f"User: {user} is not authorized to perform: {action} on resource: {resource} "
        f"because no identity-based policy allows the {action} action",
    )


# What one and the same refusal is called by the APIs that do not speak JSON: code, status.
_ELSEWHERE = {
    "s3": {
        "ThrottlingException": ("SlowDown", 503),
        "ExpiredTokenException": ("ExpiredToken", 400),
        "AccessDeniedException": ("AccessDenied", 403),
        "InternalFailure": ("InternalError", 500),
    },
    "sts": {
        "ThrottlingException": ("Throttling", 400),
        "ExpiredTokenException": ("ExpiredToken", 403),
        "AccessDeniedException": ("AccessDenied", 403),
    },
    "runtime": {
        "ThrottlingException": ("ThrottlingException", 429),
        "ExpiredTokenException": ("ExpiredTokenException", 403),
        "AccessDeniedException": ("AccessDeniedException", 403),
    },
}


def render(error: ServiceError, service: str, *, head: bool = False) -> tuple[int, Headers, bytes]:
    """Status, headers and body of a refusal."""
    code, status = _ELSEWHERE.get(service, {}).get(error.code, (error.code, error.status))
    headers: Headers = [("x-amzn-RequestId", "00000000-0000-4000-8000-000000000000")]
    if service == "s3":
        body = f"<Error><Code>{code}</Code><Message>{escape(error.message)}</Message></Error>"
        return status, [*headers, ("Content-Type", "application/xml")], b"" if head else body.encode()
    if service == "sts":
        body = (
            '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
            f"<Code>{code}</Code><Message>{escape(error.message)}</Message></Error>"
            "<RequestId>0</RequestId></ErrorResponse>"
        )
        return status, [*headers, ("Content-Type", "text/xml")], body.encode()
    if service == "runtime":
        headers += [("x-amzn-ErrorType", code), ("Content-Type", "application/json")]
        return status, headers, json.dumps({"Message": error.message, **error.extra}).encode()
    headers.append(("Content-Type", "application/x-amz-json-1.1"))
    return status, headers, json.dumps({"__type": code, "message": error.message, **error.extra}).encode()
