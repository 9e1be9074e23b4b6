"""Errors and warnings of shapecluster, in addition to those of Python and scikit-learn."""

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
    """A model, a data file, a request or an answer is damaged or has another format.

    The message names the fault, its place, and a remedy. No part of the data was used.
    """


class ArtifactWarning(UserWarning):
    """A model from outside can be used, but parts of it are wrong; the message names them."""


class FlatSeriesWarning(UserWarning):
    """Some series are constant, so they have no shape; the message names them."""


class SweepWarning(UserWarning):
    """The chosen number of clusters may not describe the data; the message says why."""


class PriceFileError(ValueError):
    """A file cannot be read as prices; the message says where and why."""


class PortfolioFileError(ValueError):
    """A file cannot be read as portfolios; the message says where and why."""


class MissingPricesWarning(UserWarning):
    """Some requested prices are missing; the message lists the tickers with their reasons."""


class MissingPricesError(RuntimeError):
    """Some requested prices could not be fetched.

    Attributes
    ----------
    missing : dict of str to str
        The reason for each missing ticker.
    prices : pandas.DataFrame
        The prices that did arrive, tickers as rows; may be empty.
    """

    def __init__(self, message: str, *, missing: Mapping[str, str], prices: pd.DataFrame) -> None:
        super().__init__(message)
        self.missing = dict(missing)
        self.prices = prices


class RemoteError(RuntimeError):
    """A call to a remote service, or a job there, has failed; the message says what to do next.

    All errors of training jobs, transform jobs, endpoints and storage derive from this class.

    Attributes
    ----------
    operation : str or None
        The call that failed, such as ``"sagemaker.create_training_job"``.
    code : str or None
        The service's name for the error.
    status : int or None
        The HTTP status of the answer. When an endpoint failed, the status of the endpoint's own answer.
    job_name : str or None
        The job, or the endpoint, of the failed call.
    attempts : int
        How often the call was sent. After more than one attempt, an earlier one may have taken effect.
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
    """There are no credentials, or they have expired, or the service rejects them."""


class AccessError(RemoteError):
    """The credentials are valid, but a policy does not allow the call."""


class NotSubscribedError(RemoteError):
    """The account has no subscription to the Marketplace listing."""


class QuotaError(RemoteError):
    """The request exceeds a quota of the account."""


class CapacityError(RemoteError):
    """The service has no free machine of the requested type at the moment."""


class ThrottledError(RemoteError):
    """The service limits the rate of calls, and rejected the call even after many retries."""


class ConnectionLostError(RemoteError, ConnectionError):
    """The service could not be reached or did not answer. A job that has begun continues to run."""


class NotFoundError(RemoteError, LookupError):
    """The file, bucket, job or endpoint of the call does not exist."""


class NameTakenError(RemoteError):
    """A resource with this name exists already."""


class InvalidRequestError(RemoteError, ValueError):
    """The service rejects the request as invalid."""


class JobFailedError(RemoteError):
    """A job failed.

    Attributes
    ----------
    failure_reason : str
        The reason that the service reports.
    log_tail : tuple of str
        The last lines of the job's log; empty when the log could not be read.
    """

    failure_reason: str = ""
    log_tail: tuple[str, ...] = ()


class JobStoppedError(JobFailedError):
    """A job was stopped before its end, by a user or by a limit, so it has no result."""


class JobRunningError(RemoteError, TimeoutError):
    """The job has not ended within the time to wait. It continues to run."""


class EndpointError(RemoteError):
    """An endpoint did not start, returned no usable answer, or could not be deleted."""
