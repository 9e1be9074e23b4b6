"""Endpoints: create them completely or not at all, send rows in requests of legal size, delete them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from shapecluster.exceptions import ConnectionLostError, EndpointError, NotFoundError, RemoteError
from shapecluster.remote._cleanup import CleanupStack, cleanup_at_end
from shapecluster.remote._clock import CLOCK, Clock
from shapecluster.remote._job import Job
from shapecluster.remote._models import ModelSource, create, create_model
from shapecluster.remote._names import check_name, unique_name
from shapecluster.remote._platform import Platform, open_platform
from shapecluster.remote._polling import PollSchedule, poll, with_retries
from shapecluster.remote._request import tags_of
from shapecluster.remote._scrub import scrub
from shapecluster.remote._training import poll_interval_of

logger = logging.getLogger("shapecluster.remote")

MAX_BODY = 6 * 2**20  # bytes of one request
_FILL = 0.8  # share of the limit that the first estimate aims at, since rows differ in length
_BUSY = {429, 503}  # statuses of a server after which a request may be sent again


class Endpoint:
    """A server of a model, which is billed until it is deleted.

    `deploy` of an estimator creates one, and `attach` finds one again.

    Parameters
    ----------
    name : str
        Name of the endpoint.
    session : boto3.Session, session of sagemaker >= 3, Rehearsal or None, default=None
        Platform of the endpoint. None means the default credentials of boto3.

    Attributes
    ----------
    name : str
        Name of the endpoint.

    Examples
    --------
    >>> from shapecluster.remote import Endpoint
    >>> with Endpoint.attach("prices-20260105") as endpoint:  # doctest: +SKIP
    ...     answer = endpoint.invoke(b"1.0,2.0,1.5", "text/csv")
    """

    def __init__(self, name: str, session: object = None) -> None:
        self.name = check_name(name, "name")
        self._platform = open_platform(session)
        self._clock = CLOCK
        self._interval = poll_interval_of(self._platform, Job())

    def __repr__(self) -> str:
        return f"Endpoint({self.name!r})"

    def __enter__(self) -> Endpoint:
        return self

    def __exit__(self, *_: object) -> None:
        self.delete()

    @classmethod
    def attach(cls, name: str, session: object = None) -> Endpoint:
        """Find an endpoint again.

        Parameters
        ----------
        name : str
            Name of the endpoint.
        session : boto3.Session, session of sagemaker >= 3, Rehearsal or None, default=None
            Platform of the endpoint.

        Returns
        -------
        Endpoint
            The end of a ``with`` block deletes it, and so does `delete`.

        Raises
        ------
        NotFoundError
            When there is no such endpoint.
        """
        endpoint = cls(name, session)
        endpoint._describe()
        return endpoint

    @property
    def status(self) -> str:
        """Status that the service reports: "Creating", "InService", "Failed", ..."""
        return str(self._describe()["EndpointStatus"])

    def invoke(self, body: bytes, content_type: str, accept: str = "*/*") -> bytes:
        """Send one request for predictions.

        A request without an answer is sent again, since predictions change nothing.

        Parameters
        ----------
        body : bytes
            Rows, at most 6 MiB.
        content_type : str
            Media type of `body`, such as "text/csv".
        accept : str, default="*/*"
            Media type of the answer.

        Returns
        -------
        bytes
            The answer.

        Raises
        ------
        EndpointError
            When the model answers with an error.
        ValueError
            When `body` is too large.
        """
        if len(body) > MAX_BODY:
            raise ValueError(
                f"body must have at most {MAX_BODY} bytes. Got {len(body)} instead: send fewer rows."
            )

        def run() -> bytes:
            try:
                answer = self._platform.call(
                    "sagemaker-runtime.invoke_endpoint",
                    EndpointName=self.name,
                    Body=body,
                    ContentType=content_type,
                    Accept=accept,
                )
                with answer["Body"] as stream:
                    return bytes(stream.read())
            except EndpointError as error:
                refused = self._refused(error)
            raise refused  # outside the block: an original in the context could hold signed requests

        return with_retries(run, self._schedule())

    def invoke_rows(
        self, encode: Callable[[slice], bytes], n_rows: int, content_type: str, accept: str = "*/*"
    ) -> Iterator[tuple[slice, bytes]]:
        """Send requests for predictions of many rows, each with as many rows as fit.

        Parameters
        ----------
        encode : callable
            Returns the bytes of the rows in a slice.
        n_rows : int
            Number of rows.
        content_type, accept : str
            As for `invoke`.

        Yields
        ------
        rows : slice
            The rows of one request.
        answer : bytes
            The answer for them.
        """
        for rows, body in chunks(encode, n_rows, MAX_BODY):
            yield rows, self.invoke(body, content_type, accept)

    def delete(self) -> None:
        """Delete the endpoint, its configuration and its models. Resources that are gone are skipped.

        Raises
        ------
        EndpointError
            When something could not be deleted; the message names it.
        """
        cleanup = CleanupStack(self._platform, self._schedule())
        with cleanup_at_end(cleanup):
            try:
                _register_all(self._platform, self.name, cleanup)
            except RemoteError as error:
                error.add_note(f"The endpoint {self.name!r} was not deleted, and may be billed.")
                raise

    def _describe(self) -> dict[str, Any]:
        try:
            return with_retries(
                lambda: self._platform.call("sagemaker.describe_endpoint", EndpointName=self.name),
                self._schedule(),
            )
        except NotFoundError as error:
            missing = NotFoundError(
                f"There is no endpoint {self.name!r} in region {self._platform.region} of this account. "
                "Check the name and the session.",
                operation=error.operation,
                code=error.code,
                job_name=self.name,
            )
        raise missing

    def _refused(self, error: EndpointError) -> EndpointError | ConnectionLostError:
        kind = ConnectionLostError if error.status in _BUSY else EndpointError
        return kind(
            f"The endpoint {self.name!r} gave no predictions. {error} Its log is in "
            f"/aws/sagemaker/Endpoints/{self.name}.",
            operation=error.operation,
            code=error.code,
            status=error.status,
            job_name=self.name,
        )

    def _schedule(self) -> PollSchedule:
        return PollSchedule(self._interval, self._clock)


def chunks(encode: Callable[[slice], bytes], n_rows: int, limit: int) -> Iterator[tuple[slice, bytes]]:
    """Cut rows into requests of at most `limit` bytes.

    Raises
    ------
    ValueError
        When one row alone is too long.
    """
    if not n_rows:
        return
    # The first row predicts how many fit; a request that is too large is halved.
    step = max(1, int(_FILL * limit / max(1, len(encode(slice(0, 1))))))
    start = 0
    while start < n_rows:
        rows = slice(start, min(start + step, n_rows))
        body = encode(rows)
        if len(body) <= limit:
            yield rows, body
            start = rows.stop
        elif rows.stop - start == 1:
            raise ValueError(
                f"Row {start} alone has {len(body)} bytes, and a request holds {limit}. Use a batch "
                "transform, or a format with fewer bytes."
            )
        else:
            step = max(1, (rows.stop - start) // 2)


def deploy(
    platform: Platform,
    source: ModelSource,
    job: Job,
    *,
    name: str | None = None,
    base_name: str = "shapecluster",
    instance_count: int = 1,
    clock: Clock = CLOCK,
) -> Endpoint:
    """Create an endpoint that stays, and wait until it is in service.

    Parameters
    ----------
    platform : Platform
        Where to create it.
    source : ModelSource
        The model.
    job : Job
        Machine, network, keys, tags and poll interval.
    name : str, default=None
        Name of the endpoint; None means a unique name.
    base_name : str, default="shapecluster"
        What names begin with.
    instance_count : int, default=1
        Number of machines that serve.
    clock : Clock
        For the waits.

    Raises
    ------
    EndpointError
        When it does not come up. Everything that was created is deleted then; the message names what could
        not be.
    """
    cleanup = CleanupStack(platform, PollSchedule(poll_interval_of(platform, job), clock))
    try:
        endpoint = _create(platform, source, job, cleanup, name, base_name, instance_count)
    except BaseException:
        with cleanup_at_end(cleanup):
            raise
    cleanup.clear()
    return endpoint


@contextmanager
def deployed(
    platform: Platform,
    source: ModelSource,
    job: Job,
    *,
    name: str | None = None,
    base_name: str = "shapecluster",
    instance_count: int = 1,
    clock: Clock = CLOCK,
) -> Iterator[Endpoint]:
    """An endpoint for the length of a block, deleted at its end; parameters as for `deploy`."""
    cleanup = CleanupStack(platform, PollSchedule(poll_interval_of(platform, job), clock))
    with cleanup_at_end(cleanup):
        yield _create(platform, source, job, cleanup, name, base_name, instance_count)


def _create(
    platform: Platform,
    source: ModelSource,
    job: Job,
    cleanup: CleanupStack,
    name: str | None,
    base_name: str,
    instance_count: int,
) -> Endpoint:
    drawn = unique_name(base_name, cleanup.schedule.clock.wall())
    name = drawn if name is None else check_name(name, "name")
    create_model(platform, source, job, drawn, cleanup)
    variant = {
        "VariantName": "all",
        "ModelName": drawn,
        "InstanceType": job.instance_type,
        "InitialInstanceCount": instance_count,
    }
    config: dict[str, Any] = {"ProductionVariants": [variant], "Tags": tags_of(job)}
    if job.volume_kms_key is not None:
        config["KmsKeyId"] = job.volume_kms_key
    create(cleanup, "endpoint_config", "EndpointConfig", drawn, config)
    request = {"EndpointConfigName": drawn, "Tags": tags_of(job)}

    def is_own() -> bool:
        # The drawn name of the configuration is unique, a name that the user chose is not.
        answer = platform.call("sagemaker.describe_endpoint", EndpointName=name)
        return bool(answer.get("EndpointConfigName") == drawn)

    create(cleanup, "endpoint", "Endpoint", name, request, is_own=None if name == drawn else is_own)
    description = poll(
        lambda: platform.call("sagemaker.describe_endpoint", EndpointName=name),
        lambda answer: answer["EndpointStatus"] not in {"Creating", "Updating", "SystemUpdating"},
        cleanup.schedule,
    )
    if description["EndpointStatus"] != "InService":
        raise EndpointError(_failure(name, description), job_name=name, code=description["EndpointStatus"])
    logger.info("The endpoint %s is in service, and billed until it is deleted", name)
    endpoint = Endpoint(name, platform)
    endpoint._clock, endpoint._interval = cleanup.schedule.clock, cleanup.schedule.interval
    return endpoint


def _failure(name: str, description: Mapping[str, Any]) -> str:
    reason = scrub(str(description.get("FailureReason", "no reason was given")))
    advice = "Its log is in /aws/sagemaker/Endpoints; try another instance type if it is about capacity."
    return f"The endpoint {name!r} did not come up ({description['EndpointStatus']}): {reason} {advice}"


def _register_all(platform: Platform, name: str, cleanup: CleanupStack) -> None:
    """Register an endpoint and what belongs to it for deletion, the endpoint last: it goes first."""
    try:
        endpoint = with_retries(
            lambda: platform.call("sagemaker.describe_endpoint", EndpointName=name), cleanup.schedule
        )
    except NotFoundError:
        return
    found = [("endpoint", "Endpoint", name)]
    config_name = endpoint.get("EndpointConfigName")
    if config_name:
        found.append(("endpoint_config", "EndpointConfig", config_name))
        found += _models_of(platform, config_name, cleanup)
    for noun, title, one in reversed(found):
        cleanup.add(noun, title, one)


def _models_of(platform: Platform, config_name: str, cleanup: CleanupStack) -> list[tuple[str, str, str]]:
    def describe(operation: str, **request: Any) -> dict[str, Any]:
        try:
            return with_retries(lambda: platform.call(operation, **request), cleanup.schedule)
        except NotFoundError:
            return {}

    found = []
    config = describe("sagemaker.describe_endpoint_config", EndpointConfigName=config_name)
    for variant in config.get("ProductionVariants", []):
        model_name = variant["ModelName"]
        found.append(("model", "Model", model_name))
        model = describe("sagemaker.describe_model", ModelName=model_name)
        package = str(model.get("PrimaryContainer", {}).get("ModelPackageName", "")).rpartition("/")[2]
        if package == model_name:  # a package of its own, and not one that other models use
            found.append(("model_package", "ModelPackage", package))
    return found
