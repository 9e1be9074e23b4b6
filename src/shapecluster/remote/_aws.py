"""Amazon Web Services, through boto3.

Clients are made per thread, since neither they nor the session's factory are safe to share while they are
made; all platforms of one session share them. Every S3 call says whose bucket it expects, so that a bucket
that someone else registered under a guessable name gets no data.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from typing import Any, BinaryIO, Literal, TypeVar, cast
from weakref import WeakValueDictionary

from shapecluster._optional import import_optional
from shapecluster.exceptions import InvalidRequestError, NotFoundError
from shapecluster.remote import _sdk
from shapecluster.remote._errors import is_service_error, translate
from shapecluster.remote._uris import join_uri, split_uri

_PART = 8 * 2**20  # bytes of one part of a multipart upload
_CONNECT = 10.0  # seconds
_READ = 70.0  # seconds; an endpoint may take 60
_THREADS = 4  # parts under way at a time
_ATTEMPTS = 10  # of one call, after the first, by boto3 itself

_SECRET_FIELDS = {"access_key", "secret_key", "token"}  # of botocore's credentials

_Value = TypeVar("_Value")

# Platforms in use, by the identities of the sessions that they hold (and so keep from being reused).
_platforms: WeakValueDictionary[tuple[int, int], AwsPlatform] = WeakValueDictionary()
_making = threading.Lock()


def aws_platform(session: object) -> AwsPlatform:
    """The platform of a session; the same one for the same session while it is in use."""
    boto3 = import_optional("boto3", extra="aws", needed_for="Running jobs on Amazon SageMaker")
    if session is None:
        return AwsPlatform(_guarded(boto3.Session, "boto3.Session"))
    inner = _sdk.boto_session(session)
    if not isinstance(inner, boto3.Session):
        raise TypeError(
            "session must be a boto3.Session, a session of the SageMaker SDK 3, a Rehearsal of "
            f"shapecluster.remote, or None. Got an object of type {type(session).__name__!r} instead."
        )
    with _making:
        key = (id(inner), id(session))
        platform = _platforms.get(key)
        if platform is None:
            platform = _platforms[key] = AwsPlatform(inner, sdk=None if inner is session else session)
        return platform


class AwsPlatform:
    """AWS under one session's credentials and region.

    Parameters
    ----------
    session : boto3.Session
        Makes the clients; its own settings and the environment decide about endpoints, such as
        AWS_ENDPOINT_URL.
    sdk : session of the SageMaker SDK, default=None
        May name a bucket, and knows the execution role where it runs on SageMaker itself.
    """

    kind: Literal["aws", "rehearsal"] = "aws"

    def __init__(self, session: Any, sdk: object = None) -> None:
        self._session = session
        self._sdk = sdk
        self._local = threading.local()
        self._lock = threading.Lock()
        self._account: str | None = None
        self._credentials: object = None

    def __repr__(self) -> str:
        return f"AwsPlatform(region={self._session.region_name!r})"

    def __reduce__(self) -> Any:
        raise TypeError("A connection to AWS holds credentials, and cannot be pickled or copied.")

    @property
    def region(self) -> str:
        """Name of the region."""
        region = self._session.region_name
        if not region:
            raise InvalidRequestError(
                "There is no region: pass session=boto3.Session(region_name='eu-west-1'), or set "
                "AWS_DEFAULT_REGION."
            )
        return str(region)

    @property
    def identity(self) -> str:
        """Account and region."""
        return f"aws:{self.account()}:{self.region}"

    def account(self) -> str:
        """Number of the account, asked for once."""
        if self._account is None:
            self._account = str(self.call("sts.get_caller_identity")["Account"])
        return self._account

    def default_bucket(self) -> str:
        """The bucket that the SageMaker SDK would take."""
        return _sdk.own_bucket(self._sdk) or f"sagemaker-{self.region}-{self.account()}"

    def default_role(self) -> str | None:
        """SAGEMAKER_ROLE, or the role that the SDK's session runs under."""
        named = os.environ.get("SAGEMAKER_ROLE")
        if named:
            return named
        return _guarded(lambda: _sdk.caller_role(self._sdk), "sts.get_caller_identity", self._known)

    def sdk_training_job(self, name: str) -> Any:
        """A training job as the SageMaker SDK knows it."""
        operation = "sagemaker.describe_training_job"
        return _guarded(lambda: _sdk.training_job(name, self._session), operation, self._known)

    def call(self, operation: str, /, **request: Any) -> dict[str, Any]:
        """Call a service with boto3's names: ``call("sagemaker.describe_endpoint", EndpointName=...)``."""
        service, _, name = operation.partition(".")
        if service == "s3":
            request.setdefault("ExpectedBucketOwner", self.account())
            if name == "create_bucket":
                del request["ExpectedBucketOwner"]  # there is no owner yet

        def run() -> dict[str, Any]:
            return cast("dict[str, Any]", getattr(self._client(service), name)(**request))

        answer = _guarded(run, operation, self._known)
        if hasattr(answer.get("Body"), "read"):
            download = _Download(answer["Body"], operation, self._known)
            answer["Body"] = io.BufferedReader(download, 2**20)
        return answer

    def upload(self, body: BinaryIO, uri: str, *, kms_key: str | None = None) -> None:
        """Store a file, in parts where it is large."""
        bucket, key = split_uri(uri)
        extra = {"ExpectedBucketOwner": self.account()}
        if kms_key is not None:
            extra |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key}

        def run() -> None:
            from boto3.s3.transfer import TransferConfig

            config = TransferConfig(
                multipart_threshold=_PART, multipart_chunksize=_PART, max_concurrency=_THREADS
            )
            self._client("s3").upload_fileobj(body, bucket, key, ExtraArgs=extra, Config=config)

        _guarded(run, "s3.put_object", self._known)

    def open(self, uri: str) -> BinaryIO:
        """Read a file, piece by piece."""
        bucket, key = split_uri(uri)
        return cast("BinaryIO", self.call("s3.get_object", Bucket=bucket, Key=key)["Body"])

    def exists(self, uri: str) -> bool:
        """Whether there is a file of this name."""
        bucket, key = split_uri(uri)
        try:
            self.call("s3.head_object", Bucket=bucket, Key=key)
        except NotFoundError:
            return False
        return True

    def list(self, uri: str) -> Iterator[str]:
        """All files below a place."""
        bucket, prefix = split_uri(uri)
        page: dict[str, Any] = {}
        while True:
            answer = self.call("s3.list_objects_v2", Bucket=bucket, Prefix=prefix, **page)
            for entry in answer.get("Contents", []):
                yield join_uri(f"s3://{bucket}", entry["Key"])
            if not answer.get("IsTruncated"):
                return
            page = {"ContinuationToken": answer["NextContinuationToken"]}

    def delete(self, uri: str) -> None:
        """Remove a file."""
        bucket, key = split_uri(uri)
        self.call("s3.delete_object", Bucket=bucket, Key=key)

    def _known(self) -> Iterable[str]:
        """The credentials in use; read without the properties that would refresh them."""
        held = {} if self._credentials is None else vars(self._credentials)
        return [v for k, v in held.items() if k.lstrip("_") in _SECRET_FIELDS and isinstance(v, str)]

    def _client(self, service: str) -> Any:
        clients = vars(self._local)
        if service not in clients:
            from botocore.config import Config

            # Who sets the number of attempts in the environment means it.
            attempts = {} if "AWS_MAX_ATTEMPTS" in os.environ else {"max_attempts": _ATTEMPTS}
            config = Config(
                retries={"mode": "adaptive", **attempts},
                connect_timeout=_CONNECT,
                read_timeout=_READ,
                user_agent_extra=f"shapecluster/{version('shapecluster')}",
            )
            with self._lock:  # the session's factory is not thread-safe
                clients[service] = self._session.client(service, config=config)
                # The session has them by now: asking does not look for them again.
                self._credentials = self._session.get_credentials()
        return clients[service]


class _Download(io.RawIOBase):
    """The body of an answer as a file, whose errors are ours."""

    def __init__(self, body: Any, operation: str, known: Callable[[], Iterable[str]]) -> None:
        self._body = body
        self._operation = operation
        self._known = known

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data: bytes = _guarded(lambda: self._body.read(len(buffer)), self._operation, self._known)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._body.close()
        super().close()


def _guarded(run: Callable[[], _Value], operation: str, known: Callable[[], Iterable[str]] = list) -> _Value:
    """Run a call; its errors become ours, without the original in their context (see `translate`).

    `known` tells the secrets in use, which a call may just have loaded.
    """
    try:
        return run()
    except Exception as error:
        if not is_service_error(error):
            raise  # a mistake of ours, or an installation that lacks a part
        translated = translate(error, operation, known())
    raise translated
