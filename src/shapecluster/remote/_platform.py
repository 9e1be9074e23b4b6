"""The interface of the two platforms, AWS and rehearsal: service calls and storage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, Literal, Protocol, runtime_checkable

from shapecluster.exceptions import CredentialsError


@runtime_checkable
class Platform(Protocol):
    """Service calls and storage. Every method raises `RemoteError`s without credentials in them."""

    @property
    def kind(self) -> Literal["aws", "rehearsal"]:
        """Which of the two platforms this is."""

    @property
    def region(self) -> str:
        """Name of the region."""

    @property
    def identity(self) -> str:
        """Equal for all platforms that share jobs and limits: account and region, or a folder."""

    def call(self, operation: str, /, **request: Any) -> dict[str, Any]:
        """Call a service with boto3's names: ``call("sagemaker.describe_model", ModelName=...)``."""

    def upload(self, body: BinaryIO, uri: str, *, kms_key: str | None = None) -> None:
        """Store the content of `body`; the file becomes visible when it is complete."""

    def open(self, uri: str) -> BinaryIO:
        """Open a stored file for reading."""

    def exists(self, uri: str) -> bool:
        """Whether there is a file at exactly this URI."""

    def list(self, uri: str) -> Iterator[str]:
        """URIs of all files whose URI begins so, in the order of their names."""

    def delete(self, uri: str) -> None:
        """Delete a file, if there is one."""

    def account(self) -> str:
        """Number of the account."""

    def default_bucket(self) -> str:
        """The bucket for jobs that name none."""

    def default_role(self) -> str | None:
        """The execution role for callers that name none; None where there is none either."""


class DroppedSession:
    """Takes the place of an estimator's session in a pickle.

    Sessions hold credentials, so they are not pickled. None would not do in their place: a loaded estimator
    must not fall back to the default credentials of another machine.
    """

    def __repr__(self) -> str:
        return "<no session: it was not pickled>"


DROPPED = DroppedSession()


def open_platform(session: object = None) -> Platform:
    """Find the platform behind a session.

    Parameters
    ----------
    session : boto3.Session, session of sagemaker >= 3, Rehearsal or None
        None means the default credentials of boto3.

    Raises
    ------
    CredentialsError
        When the session was dropped by pickling.
    TypeError
        When the session is of another type.
    """
    if isinstance(session, DroppedSession):
        raise CredentialsError(
            "The session was not pickled, since it holds credentials: set it again, for example with "
            "set_params(session=boto3.Session())."
        )
    if isinstance(session, Platform):
        return session
    # Late: a rehearsal needs no boto3.
    from shapecluster.remote._aws import aws_platform

    return aws_platform(session)
