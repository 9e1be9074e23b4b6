"""Which operation an HTTP request asks for, with what, and by whom."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, unquote

_CREDENTIAL = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")
_INVOCATION = re.compile(r"/endpoints/([^/]+)/invocations")
_TARGETS = {"SageMaker": "sagemaker", "Logs_20140328": "logs"}

# S3 says by method, path and query what it should do: (method, has a key, a query parameter) -> operation.
_S3 = {
    ("PUT", True, "partNumber"): "UploadPart",
    ("POST", True, "uploads"): "CreateMultipartUpload",
    ("POST", True, "uploadId"): "CompleteMultipartUpload",
    ("DELETE", True, "uploadId"): "AbortMultipartUpload",
    ("GET", True, "uploadId"): "ListParts",
    ("PUT", True, "tagging"): "PutObjectTagging",
    ("GET", True, "tagging"): "GetObjectTagging",
    ("POST", False, "delete"): "DeleteObjects",
    ("GET", False, "location"): "GetBucketLocation",
    ("GET", False, "uploads"): "ListMultipartUploads",
    ("GET", False, "list-type"): "ListObjectsV2",
    ("PUT", True, ""): "PutObject",
    ("GET", True, ""): "GetObject",
    ("HEAD", True, ""): "HeadObject",
    ("DELETE", True, ""): "DeleteObject",
    ("PUT", False, ""): "CreateBucket",
    ("GET", False, ""): "ListObjects",
    ("HEAD", False, ""): "HeadBucket",
    ("DELETE", False, ""): "DeleteBucket",
}
_S3_HEADERS = {
    "ExpectedBucketOwner": "HTTP_X_AMZ_EXPECTED_BUCKET_OWNER",
    "ServerSideEncryption": "HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION",
    "SSEKMSKeyId": "HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION_AWS_KMS_KEY_ID",
    "Tagging": "HTTP_X_AMZ_TAGGING",
    "CopySource": "HTTP_X_AMZ_COPY_SOURCE",
    "Range": "HTTP_RANGE",
    "IfNoneMatch": "HTTP_IF_NONE_MATCH",
}


@dataclass(frozen=True)
class Caller:
    """Whose request it is: the key's id only, never a signature or a secret."""

    access_key: str
    region: str
    account: str = "123456789012"

    @property
    def arn(self) -> str:
        return f"arn:aws:sts::{self.account}:user/{self.access_key}"


@dataclass(frozen=True)
class Incoming:
    """One request."""

    service: str  # sagemaker, runtime, logs, s3, sts, ...
    operation: str  # as the service calls it: CreateTrainingJob
    request: dict[str, Any]
    caller: Caller
    user_agent: str
    head: bool = False


def identify(environ: dict[str, Any]) -> Incoming:
    """Read what is needed to know; a body that was read is put back for whoever comes next."""
    match = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    access_key, region, signed_for = match.groups() if match else ("", "us-east-1", "")
    service, operation, request = _operation(environ, signed_for)
    return Incoming(
        service,
        operation,
        request,
        Caller(access_key, region),
        environ.get("HTTP_USER_AGENT", ""),
        environ["REQUEST_METHOD"] == "HEAD",
    )


def _operation(environ: dict[str, Any], signed_for: str) -> tuple[str, str, dict[str, Any]]:
    prefix, _, operation = environ.get("HTTP_X_AMZ_TARGET", "").partition(".")
    if prefix:
        service = _TARGETS.get(prefix, signed_for)
        return service, operation, json.loads(_body(environ) or b"{}")
    invocation = _INVOCATION.fullmatch(environ["PATH_INFO"])
    if invocation:
        request = {
            "EndpointName": unquote(invocation[1]),
            "Body": _body(environ),
            "ContentType": environ.get("CONTENT_TYPE", ""),
            "Accept": environ.get("HTTP_ACCEPT", ""),
        }
        return "runtime", "InvokeEndpoint", request
    if signed_for in ("s3", ""):
        return "s3", *_s3(environ)
    form = {name: values[0] for name, values in parse_qs(_body(environ).decode()).items()}
    return signed_for, form.pop("Action", ""), form


def _s3(environ: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    bucket, _, key = environ["PATH_INFO"].encode("latin-1").decode().lstrip("/").partition("/")
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    method = environ["REQUEST_METHOD"]
    if not bucket:
        return "ListBuckets", {}
    request: dict[str, Any] = {"Bucket": bucket}
    if key:
        request["Key"] = key
    if "prefix" in query:
        request["Prefix"] = query["prefix"][0]
    for member, header in _S3_HEADERS.items():
        if header in environ:
            request[member] = environ[header]
    for parameter in (*query, ""):
        operation = _S3.get((method, bool(key), parameter))
        if operation == "DeleteObjects":
            request["Keys"] = re.findall(r"<Key>(.*?)</Key>", _body(environ).decode())
        if operation:
            return operation, request
    return f"{method} {environ.get('QUERY_STRING', '')}", request


def _body(environ: dict[str, Any]) -> bytes:
    body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = BytesIO(body)
    return body
