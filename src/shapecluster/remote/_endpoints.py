"""Endpoints: create them completely or not at all, send rows in requests of legal size, delete them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from shapecluster.exceptions import ConnectionLostError, EndpointError, NotFoundError, RemoteError
from shapecluster.remote._errors import restated
from shapecluster.remote._names import check_name, unique_name
from shapecluster.remote._polling import JobClient, open_client
from shapecluster.remote._request import key_of, tags_of
from shapecluster.remote._resources import Cleanup, create_model
from shapecluster.remote._scrub import scrub

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
        self._client = open_client(session)

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
                answer = self._client.platform.call(
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

        return self._client.repeat(run)

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
        with Cleanup(self._client) as cleanup:
            try:
                _register_all(self.name, cleanup)
            except RemoteError as error:
                error.add_note(f"The endpoint {self.name!r} was not deleted, and may be billed.")
                raise

    def _describe(self) -> dict[str, Any]:
        try:
            return self._client.call("sagemaker.describe_endpoint", EndpointName=self.name)
        except NotFoundError as error:
            region = self._client.platform.region
            text = f"There is no endpoint {self.name!r} in region {region} of this account. Check the name "
            missing = restated(error, text + "and the session.", self.name)
        raise missing

    def _refused(self, error: EndpointError) -> RemoteError:
        text = (
            f"The endpoint {self.name!r} gave no predictions. {error} Its log is in "
            f"/aws/sagemaker/Endpoints/{self.name}."
        )
        if error.status in _BUSY:
            return ConnectionLostError(
                text, operation=error.operation, code=error.code, status=error.status, job_name=self.name
            )
        return restated(error, text, self.name)


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
    client: JobClient, training: Mapping[str, Any], *, name: str | None = None, instance_count: int = 1
) -> Endpoint:
    """Create an endpoint that stays, and wait until it is in service.

    Parameters
    ----------
    client : JobClient
        Where to create it; machine, network, keys, tags and poll interval.
    training : mapping
        Description of the training job that left the model.
    name : str, default=None
        Name of the endpoint; None means a unique name.
    instance_count : int, default=1
        Number of machines that serve.

    Raises
    ------
    EndpointError
        When it does not come up. Everything that was created is deleted then; the message names what could
        not be.
    """
    with Cleanup(client) as cleanup:
        endpoint = _create(training, cleanup, name, instance_count)
        cleanup.clear()
    return endpoint


@contextmanager
def deployed(
    client: JobClient, training: Mapping[str, Any], *, name: str | None = None, instance_count: int = 1
) -> Iterator[Endpoint]:
    """An endpoint for the length of a block, deleted at its end; parameters as for `deploy`."""
    with Cleanup(client) as cleanup:
        yield _create(training, cleanup, name, instance_count)


def _create(training: Mapping[str, Any], cleanup: Cleanup, name: str | None, instance_count: int) -> Endpoint:
    client, job = cleanup.client, cleanup.client.job
    drawn = unique_name("shapecluster", client.clock.wall())
    name = drawn if name is None else check_name(name, "name")
    create_model(training, drawn, cleanup)
    variant = {
        "VariantName": "all",
        "ModelName": drawn,
        "InstanceType": job.instance_type,
        "InitialInstanceCount": instance_count,
    }
    tags = tags_of(job)
    config = {"ProductionVariants": [variant], "Tags": tags, **key_of("KmsKeyId", job.volume_kms_key)}
    cleanup.create("endpoint_config", drawn, config)

    def describe() -> dict[str, Any]:
        return client.platform.call("sagemaker.describe_endpoint", EndpointName=name)

    def is_own() -> bool:
        # The drawn name of the configuration is unique, a name that the user chose is not.
        return bool(client.repeat(describe).get("EndpointConfigName") == drawn)

    request = {"EndpointConfigName": drawn, "Tags": tags}
    cleanup.create("endpoint", name, request, None if name == drawn else is_own)
    busy = {"Creating", "Updating", "SystemUpdating"}
    description = client.poll(describe, lambda answer: answer["EndpointStatus"] not in busy)
    status = description["EndpointStatus"]
    if status != "InService":
        reason = scrub(str(description.get("FailureReason", "no reason was given")))
        raise EndpointError(
            f"The endpoint {name!r} did not come up ({status}): {reason} Its log is in "
            "/aws/sagemaker/Endpoints; try another instance type if it is about capacity.",
            job_name=name,
            code=status,
        )
    logger.info("The endpoint %s is in service, and billed until it is deleted", name)
    return Endpoint(name, client)


def _register_all(name: str, cleanup: Cleanup) -> None:
    """Register an endpoint and what belongs to it for deletion, the endpoint last: it goes first."""

    def describe(operation: str, **request: Any) -> dict[str, Any]:
        try:
            return cleanup.client.call(operation, **request)
        except NotFoundError:
            return {}

    endpoint = describe("sagemaker.describe_endpoint", EndpointName=name)
    if not endpoint:
        return
    found = [("endpoint", name)]
    if config_name := endpoint.get("EndpointConfigName"):
        found.append(("endpoint_config", config_name))
        config = describe("sagemaker.describe_endpoint_config", EndpointConfigName=config_name)
        for variant in config.get("ProductionVariants", []):
            model_name = variant["ModelName"]
            found.append(("model", model_name))
            model = describe("sagemaker.describe_model", ModelName=model_name)
            package = str(model.get("PrimaryContainer", {}).get("ModelPackageName", "")).rpartition("/")[2]
            if package == model_name:  # a package of its own, and not one that other models use
                found.append(("model_package", package))
    for noun, one in reversed(found):
        cleanup.add(noun, one)
