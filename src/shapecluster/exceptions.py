"""Errors and warnings that shapecluster raises beside Python's own and scikit-learn's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "AccessError",
    "ArtifactError",
    "ArtifactWarning",
    "CapacityError",
    "ConnectionLostError",
    "CredentialsError",
    "EndpointError",
    "FlatSeriesWarning",
    "InvalidRequestError",
    "JobFailedError",
    "JobRunningError",
    "JobStoppedError",
    "MissingPricesError",
    "MissingPricesWarning",
    "NameTakenError",
    "NotFoundError",
    "NotSubscribedError",
    "PortfolioFileError",
    "PriceFileError",
    "QuotaError",
    "RemoteError",
    "SweepWarning",
    "ThrottledError",
]


class ArtifactError(ValueError):
    """Bytes from outside are not what they should be: a model, a data file, a request or an answer.

    The message says what is wrong with them and where, and what to do next. Nothing of them was used.
    """


class ArtifactWarning(UserWarning):
    """A model from elsewhere can be used, but not all of it is as it should be; the message says what."""


class FlatSeriesWarning(UserWarning):
    """Some series never move, so they have no shape; the message names them."""


class SweepWarning(UserWarning):
    """The chosen number of clusters deserves a second look; the message says why."""


class PriceFileError(ValueError):
    """A file could not be read as prices; the message says where and why."""


class PortfolioFileError(ValueError):
    """A file could not be read as portfolios; the message says where and why."""


class MissingPricesWarning(UserWarning):
    """Some of the requested prices are missing; the message lists them with their reasons."""


class MissingPricesError(RuntimeError):
    """Some of the requested prices could not be fetched.

    Attributes
    ----------
    missing : dict of str to str
        The reason for each ticker that is missing.
    prices : pandas.DataFrame
        Everything that did arrive, tickers as rows; may be empty.
    """

    def __init__(self, message: str, *, missing: Mapping[str, str], prices: pd.DataFrame) -> None:
        super().__init__(message)
        self.missing = dict(missing)
        self.prices = prices


class RemoteError(RuntimeError):
    """Something went wrong on the way to another machine, or on it; the message says what to do next.

    All errors of training jobs, transform jobs, endpoints and storage are kinds of this one.

    Attributes
    ----------
    operation : str or None
        The call that failed, such as ``"sagemaker.create_training_job"``.
    code : str or None
        What the service calls the error.
    status : int or None
        The HTTP status of the answer; of an endpoint's own answer where it was the endpoint that failed.
    job_name : str or None
        The job, or the endpoint, that the error is about.
    attempts : int
        How often the call was sent. When more than once, an earlier one may have taken effect.
    """

    def __init__(
        self,
        message: str,
        *,
        operation: str | None = None,
        code: str | None = None,
        status: int | None = None,
        job_name: str | None = None,
        attempts: int = 1,
    ) -> None:
        super().__init__(message)
        self.operation = operation
        self.code = code
        self.status = status
        self.job_name = job_name
        self.attempts = attempts


class CredentialsError(RemoteError):
    """There are no credentials, or they have expired, or the service does not know them."""


class AccessError(RemoteError):
    """The credentials are good, but a policy does not allow the call."""


class NotSubscribedError(RemoteError):
    """The account has no subscription to the Marketplace listing."""


class QuotaError(RemoteError):
    """A quota of the account does not leave room for what was asked."""


class CapacityError(RemoteError):
    """The cloud has no machine of the wanted type to give just now."""


class ThrottledError(RemoteError):
    """The service asked to be called less often, and went on to do so after many tries."""


class ConnectionLostError(RemoteError, ConnectionError):
    """The service could not be reached, or did not answer. A job that had begun runs on."""


class NotFoundError(RemoteError, LookupError):
    """What the call refers to does not exist: a file, a bucket, a job, an endpoint."""


class NameTakenError(RemoteError):
    """Something of this name exists already."""


class InvalidRequestError(RemoteError, ValueError):
    """The service refuses the request as it stands."""


class JobFailedError(RemoteError):
    """A job failed.

    Attributes
    ----------
    failure_reason : str
        The reason as the service tells it.
    log_tail : tuple of str
        The last lines of the job's log, as far as they could be read.
    """

    failure_reason: str = ""
    log_tail: tuple[str, ...] = ()


class JobStoppedError(JobFailedError):
    """A job was stopped, by someone or by a limit, before it was done. Never a success."""


class JobRunningError(RemoteError, TimeoutError):
    """The time to wait is over, and the job is not. It runs on."""


class EndpointError(RemoteError):
    """An endpoint did not come up, gave no usable answer, or could not be removed."""
