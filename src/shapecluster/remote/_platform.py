"""The one seam between our code and a cloud: what both AWS and a rehearsal can do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, Literal, Protocol, runtime_checkable

from shapecluster.exceptions import CredentialsError


@runtime_checkable
class Platform(Protocol):
    """Calls and storage. Every method raises errors of our own tree, free of credentials."""

    @property
    def kind(self) -> Literal["aws", "rehearsal"]:
        """Which of the two this is."""

    @property
    def region(self) -> str:
        """Name of the region."""

    @property
    def identity(self) -> str:
        """The same for all platforms that share jobs and limits: account and region, or a folder."""

    def call(self, operation: str, /, **request: Any) -> dict[str, Any]:
        """Call a service: "sagemaker.create_training_job", with boto3's names, requests and answers."""

    def upload(self, body: BinaryIO, uri: str, *, kms_key: str | None = None) -> None:
        """Store all that `body` holds, in pieces; nothing is there until everything is."""

    def open(self, uri: str) -> BinaryIO:
        """Read what is stored, piece by piece."""

    def exists(self, uri: str) -> bool:
        """Whether something is stored at this very place."""

    def list(self, uri: str) -> Iterator[str]:
        """All that is stored below a place, as URIs in the order of their names."""

    def delete(self, uri: str) -> None:
        """Remove what is stored at this place, if anything."""

    def account(self) -> str:
        """Number of the account."""

    def default_bucket(self) -> str:
        """Where data goes unless the job says otherwise."""

    def default_role(self) -> str | None:
        """The role that jobs run under unless the caller names one, if there is one to be found."""


class DroppedSession:
    """Stands where an estimator's session was before it was pickled.

    Sessions hold credentials, so they are not pickled; and what comes out of a pickle must not fall back to
    whatever credentials are lying around.
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
        When it is none of these.
    """
    if isinstance(session, DroppedSession):
        raise CredentialsError(
            "The session was not pickled, since it holds credentials: set it again, for example with "
            "set_params(session=boto3.Session())."
        )
    if isinstance(session, Platform):
        return session
    from shapecluster.remote._aws import aws_platform

    return aws_platform(session)
