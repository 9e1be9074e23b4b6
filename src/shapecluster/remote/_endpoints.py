"""Endpoints: created whole or not at all, asked in pieces, and gone when they are no longer wanted."""

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
_FILL = 0.8  # of the limit that a first guess aims at, since rows differ in length
_BUSY = {429, 503}  # what a server answers that may be asked again


class Endpoint:
    """A server of a model, which costs money for as long as it exists.

    Made by an estimator's `deploy`, or found again by `attach`.

    Parameters
    ----------
    name : str
        Its name.
    session : boto3.Session, session of sagemaker >= 3, Rehearsal or None, default=None
        Where it is. None means the default credentials of boto3.

    Attributes
    ----------
    name : str
        Its name.

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
            Its name.
        session : boto3.Session, session of sagemaker >= 3, Rehearsal or None, default=None
            Where it is.

        Returns
        -------
        Endpoint
            Deleted at the end of a ``with`` block, or by `delete`.

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
        """What the service says: "Creating", "InService", "Failed", ..."""
        return str(self._describe()["EndpointStatus"])

    def invoke(self, body: bytes, content_type: str, accept: str = "*/*") -> bytes:
        """Ask for predictions.

        A request that was not answered is sent again, since predictions change nothing.

        Parameters
        ----------
        body : bytes
            Rows, at most 6 MiB.
        content_type : str
            What they are, such as "text/csv".
        accept : str, default="*/*"
            What the answer should be.

        Returns
        -------
        bytes
            The answer.

        Raises
        ------
        EndpointError
            When the model does not answer with predictions.
        ValueError
            When there are too many bytes.
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
                told = self._refused(error)
            raise told

        return with_retries(run, self._schedule())

    def invoke_rows(
        self, encode: Callable[[slice], bytes], n_rows: int, content_type: str, accept: str = "*/*"
    ) -> Iterator[tuple[slice, bytes]]:
        """Ask for predictions of many rows, as many at a time as a request can hold.

        Parameters
        ----------
        encode : callable
            Gives the bytes of the rows in a slice.
        n_rows : int
            How many rows there are.
        content_type, accept : str
            As for `invoke`.

        Yields
        ------
        rows : slice
            Which rows were asked.
        answer : bytes
            The answer for them.
        """
        for rows, body in chunks(encode, n_rows, MAX_BODY):
            yield rows, self.invoke(body, content_type, accept)

    def delete(self) -> None:
        """Delete the endpoint, its configuration, and its models. What is already gone is passed over.

        Raises
        ------
        EndpointError
            When something could not be deleted; the message says what.
        """
        cleanup = CleanupStack(self._platform, self._schedule())
        with cleanup_at_end(cleanup):
            try:
                _remember(self._platform, self.name, cleanup)
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
        Where.
    source : ModelSource
        The model.
    job : Job
        Machine, network, keys, tags and poll interval.
    name : str, default=None
        Of the endpoint; None for one that nobody has.
    base_name : str, default="shapecluster"
        What names begin with.
    instance_count : int, default=1
        How many machines serve.
    clock : Clock
        Tells the time and waits.

    Raises
    ------
    EndpointError
        When it does not come up. Nothing of it is left then, or the message says what is.
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
    """An endpoint for the length of a block; options as for `deploy`. Nothing of it is left afterward."""
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

    def ours() -> bool:
        answer = platform.call("sagemaker.describe_endpoint", EndpointName=name)
        return bool(answer.get("EndpointConfigName") == drawn)

    create(cleanup, "endpoint", "Endpoint", name, request, ours=None if name == drawn else ours)
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


def _remember(platform: Platform, name: str, cleanup: CleanupStack) -> None:
    """Find what belongs to an endpoint, to be deleted with it; found last is deleted first."""
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
    def ask(operation: str, **request: Any) -> dict[str, Any]:
        try:
            return with_retries(lambda: platform.call(operation, **request), cleanup.schedule)
        except NotFoundError:
            return {}

    found = []
    config = ask("sagemaker.describe_endpoint_config", EndpointConfigName=config_name)
    for variant in config.get("ProductionVariants", []):
        model_name = variant["ModelName"]
        found.append(("model", "Model", model_name))
        model = ask("sagemaker.describe_model", ModelName=model_name)
        package = str(model.get("PrimaryContainer", {}).get("ModelPackageName", "")).rpartition("/")[2]
        if package == model_name:  # made by us for this model
            found.append(("model_package", "ModelPackage", package))
    return found
