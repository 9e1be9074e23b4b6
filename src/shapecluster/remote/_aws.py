"""The platform AWS, through boto3.

Each thread makes its own clients, since making one is not thread-safe. One session has one platform, so that
all its estimators share these clients.

Every S3 call names the expected owner of the bucket. Default bucket names can be guessed, and a bucket that
someone else registered under such a name must get no data.

Each call is repeated in one place only: `_retries` repeats calls of SageMaker, of which some wait for minutes
and others must fail soon, and boto3 repeats those of files and logs.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeVar, cast
from weakref import WeakValueDictionary

from shapecluster._optional import import_optional
from shapecluster.exceptions import InvalidRequestError, NotFoundError
from shapecluster.remote import _sdk
from shapecluster.remote._errors import is_service_error, translate
from shapecluster.remote._names import join_uri, split_uri
from shapecluster.remote._retries import CLOCK, with_retries

if TYPE_CHECKING:
    from sagemaker.core.resources import TrainingJob

_PART = 8 * 2**20  # bytes of one part of a multipart upload
_CONNECT = 3.1  # seconds; two lost packets are sent again within them
_READ = 15.0  # seconds
_READ_ENDPOINT = 70.0  # seconds; an endpoint may take 60
_THREADS = 4  # parts that are uploaded at a time
_REPEATED = {"s3", "logs"}  # by boto3; calls of the other services by `_retries`

_SECRET_FIELDS = {"access_key", "secret_key", "token"}  # of botocore's credentials

_Value = TypeVar("_Value")

# Platforms in use, by the ids of their sessions. A platform holds its sessions, so the ids are not reused.
_platforms: WeakValueDictionary[tuple[int, int], AwsPlatform] = WeakValueDictionary()
_making = threading.Lock()


def aws_platform(session: object) -> AwsPlatform:
    """The platform of a session; the same one for the same session, as long as it is in use."""
    boto3 = import_optional("boto3", extra="aws", needed_for="Running jobs on Amazon SageMaker")
    if session is None:
        return AwsPlatform(new_session())
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


def new_session(region: str | None = None, profile: str | None = None) -> Any:
    """Make a `boto3.Session` whose credentials are fetched with short timeouts as well.

    Raises
    ------
    ImportError
        Without boto3.
    RemoteError
        When there is no such profile or region.
    """
    boto3 = import_optional("boto3", extra="aws", needed_for="Running jobs on Amazon SageMaker")
    from botocore.config import Config
    from botocore.session import get_session

    # Of the clients that botocore makes for itself, such as to assume a role; it waits for minutes else.
    inner = get_session()
    once = {"mode": "standard", "total_max_attempts": 1}
    inner.set_default_client_config(Config(retries=once, connect_timeout=_CONNECT, read_timeout=_READ))
    return _translating(
        lambda: boto3.Session(region_name=region, profile_name=profile, botocore_session=inner),
        "boto3.Session",
    )


class AwsPlatform:
    """AWS under one session's credentials and region.

    Parameters
    ----------
    session : boto3.Session
        Makes the clients. Its settings and the environment choose the endpoints, such as AWS_ENDPOINT_URL.
    sdk : session of the SageMaker SDK, default=None
        May name a bucket, and has the execution role when it runs on SageMaker itself.
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
        """Number of the account; called for once."""
        if self._account is None:
            answer = with_retries(lambda: self.call("sts.get_caller_identity"), CLOCK)
            self._account = str(answer["Account"])
        return self._account

    def default_bucket(self) -> str:
        """The bucket given to a session of the SDK, or in its configuration file; else its default."""
        # Not by the method `default_bucket` of the SDK's session, which creates a missing bucket.
        configured: str | None = getattr(self._sdk, "_default_bucket_name_override", None)
        return configured or f"sagemaker-{self.region}-{self.account()}"

    def default_role(self) -> str | None:
        """SAGEMAKER_ROLE, or the role that the SDK's session runs under."""
        named = os.environ.get("SAGEMAKER_ROLE")
        find = getattr(self._sdk, "get_caller_identity_arn", None)
        if named or find is None:
            return named or None
        arn = str(_translating(find, "sts.get_caller_identity", self._secrets))
        return arn if ":role/" in arn else None  # none for users

    def sdk_training_job(self, name: str) -> TrainingJob:
        """A training job as an object of the SageMaker SDK."""
        operation = "sagemaker.describe_training_job"
        return _translating(lambda: _sdk.training_job(name, self._session), operation, self._secrets)

    def call(self, operation: str, /, **request: Any) -> dict[str, Any]:
        """Call a service with boto3's names: ``call("sagemaker.describe_endpoint", EndpointName=...)``."""
        service, _, name = operation.partition(".")
        if service == "s3":
            request.setdefault("ExpectedBucketOwner", self.account())
            if name == "create_bucket":
                del request["ExpectedBucketOwner"]  # there is no owner yet

        def run() -> dict[str, Any]:
            return cast("dict[str, Any]", getattr(self._client(service), name)(**request))

        answer = _translating(run, operation, self._secrets)
        if hasattr(answer.get("Body"), "read"):
            # boto3's stream raises its own errors while it is read.
            download = _Download(answer["Body"], operation, self._secrets)
            answer["Body"] = io.BufferedReader(download, 2**20)
        return answer

    def upload(self, body: BinaryIO, uri: str, *, kms_key: str | None = None) -> None:
        """Store a file; a large one is uploaded in parts."""
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

        _translating(run, "s3.put_object", self._secrets)

    def open(self, uri: str) -> BinaryIO:
        """Open a file for reading."""
        bucket, key = split_uri(uri)
        return cast("BinaryIO", self.call("s3.get_object", Bucket=bucket, Key=key)["Body"])

    def exists(self, uri: str) -> bool:
        """Whether there is a file at this URI."""
        bucket, key = split_uri(uri)
        try:
            self.call("s3.head_object", Bucket=bucket, Key=key)
        except NotFoundError:
            return False
        return True

    def list(self, uri: str) -> Iterator[str]:
        """URIs of all files whose URI begins so."""
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

    def _secrets(self) -> Iterable[str]:
        """The credentials in use."""
        # Not by their public properties, which would refresh expired credentials over the network.
        fields = {} if self._credentials is None else vars(self._credentials)
        return [v for k, v in fields.items() if k.lstrip("_") in _SECRET_FIELDS and isinstance(v, str)]

    def _client(self, service: str) -> Any:
        clients = vars(self._local)
        if service not in clients:
            from botocore.config import Config

            once: dict[str, Any] = {"total_max_attempts": 1}
            config = Config(
                retries={"mode": "standard", **({} if service in _REPEATED else once)},
                connect_timeout=_CONNECT,
                read_timeout=_READ_ENDPOINT if service == "sagemaker-runtime" else _READ,
                user_agent_extra=f"shapecluster/{version('shapecluster')}",
            )
            with self._lock:  # the session's factory is not thread-safe
                clients[service] = self._session.client(service, config=config)
                # Making the client has loaded them already, so this starts no second search.
                self._credentials = self._session.get_credentials()
        return clients[service]


class _Download(io.RawIOBase):
    """The body of an answer as a file, with errors of our own classes."""

    def __init__(self, body: Any, operation: str, secrets: Callable[[], Iterable[str]]) -> None:
        self._body = body
        self._operation = operation
        self._secrets = secrets

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data: bytes = _translating(lambda: self._body.read(len(buffer)), self._operation, self._secrets)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._body.close()
        super().close()


def _translating(
    run: Callable[[], _Value], operation: str, secrets: Callable[[], Iterable[str]] = list
) -> _Value:
    """Run a call, and raise its errors as `translate` makes them, without the original in their context.

    `secrets` is called after an error only: the call itself may have loaded the credentials.
    """
    try:
        return run()
    except Exception as error:
        if not is_service_error(error):
            raise  # a bug, or an incomplete installation
        translated = translate(error, operation, secrets())
    raise translated
