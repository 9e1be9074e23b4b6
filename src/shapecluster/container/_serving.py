"""Predictions over HTTP: `/ping` says that the model is there, `/invocations` answers with clusters."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, TypeAlias

from shapecluster._optional import import_optional
from shapecluster.container._kshape import ALGORITHM as K_SHAPE
from shapecluster.container._models import ServedModel, load_model
from shapecluster.container._paths import Root
from shapecluster.exceptions import ArtifactError
from shapecluster.formats import decode_rows, encode_predictions, media_type

logger = logging.getLogger("shapecluster.container")

MAX_BYTES = 32 << 20  # more than a real-time endpoint lets through
_MOST_MEGABYTES = 100  # that a batch transform may ask for
_LEAST_THREADS = 4  # so that a ping is answered while requests are being worked on
_TEXT = "text/plain; charset=utf-8"
_REFUSED = re.compile(r"q=0(\.0*)?")  # of a format in an Accept header

_Answer: TypeAlias = tuple[HTTPStatus, bytes, str]


class RequestError(ValueError):
    """A request that cannot be answered.

    Attributes
    ----------
    status : http.HTTPStatus
        What it is answered with, beside the message.
    """

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


def respond(
    model: ServedModel, body: bytes, content_type: str, accept: str = "", *, max_bytes: int = MAX_BYTES
) -> tuple[bytes, str]:
    """Answer a request for predictions, as the endpoint does over HTTP.

    Parameters
    ----------
    model : ServedModel
        What `load_model` gave.
    body : bytes
        Rows without names, in any format of `shapecluster.formats.decode_rows`.
    content_type : str
        What the body is.
    accept : str, default=""
        What the answer should be, as in the header of that name. Without a preference K-Means answers in
        JSON, and k-Shape in CSV with the cluster's id alone.
    max_bytes : int, default=32 MiB
        The most that a body may have.

    Returns
    -------
    body : bytes
        The answer.
    content_type : str
        What it is.

    Raises
    ------
    RequestError
        400, 406, 413 or 415, and what is wrong with the request.
    """
    wanted = _accepted(accept, model)
    _check_content_type(content_type)
    if len(body) > max_bytes:
        raise RequestError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"A request must have at most {max_bytes:,} bytes. Got {len(body):,}: send fewer rows at once.",
        )
    try:
        rows = decode_rows(body, content_type, n_timepoints=model.n_features, max_bytes=max_bytes)
        if not len(rows):
            raise ArtifactError(f"The request holds no row. It must have {model.n_features} values a row.")
        predictions = model.predict(rows)
    except ValueError as error:
        raise RequestError(HTTPStatus.BAD_REQUEST, str(error)) from error
    if model.algorithm == K_SHAPE and wanted == "text/csv":
        return "".join(f"{label}\n" for label in predictions.closest_cluster).encode(), wanted
    return encode_predictions(predictions, wanted), wanted


def application(model: ServedModel, max_bytes: int = MAX_BYTES) -> Callable[..., Iterable[bytes]]:
    """The WSGI application of an endpoint.

    Parameters
    ----------
    model : ServedModel
        What it answers with.
    max_bytes : int, default=32 MiB
        The most that a body may have.
    """

    def serve_one(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            status, body, content_type = _route(model, environ, max_bytes)
        except RequestError as error:
            status, body, content_type = error.status, f"{error}\n".encode(), _TEXT
        except Exception:
            logger.exception("a request failed unexpectedly")
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            body, content_type = b"The server failed unexpectedly: its log says how.\n", _TEXT
        headers = [("Content-Type", content_type), ("Content-Length", str(len(body)))]
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            headers.append(("Allow", "POST" if environ["PATH_INFO"] == "/invocations" else "GET, HEAD"))
        start_response(f"{status.value} {status.phrase}", headers)
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]

    return serve_one


def serve(root: Root, host: str, port: int) -> int:
    """Load the model below the root and answer requests until the process is asked to end.

    Returns
    -------
    int
        The exit code of the program: 1 if there is no model, or no such address to listen on.
    """
    try:
        waitress = import_optional("waitress", extra="container", needed_for="Serving predictions")
        model = load_model(root.model)
        max_bytes = _max_bytes()
        server = waitress.create_server(
            application(model, max_bytes),
            host=host,
            port=port,
            threads=max(_LEAST_THREADS, os.cpu_count() or 1),
            max_request_body_size=max_bytes,
            ident=None,
        )
    except (ValueError, ImportError, OSError, OverflowError) as error:  # also for a host that there is not
        logger.error("serving failed: %s", error, exc_info=True)
        return 1
    logger.info("serving %s at http://%s:%s", model.algorithm, host, server.effective_port)
    server.run()  # until SIGTERM or Ctrl-C; requests that are being worked on are finished
    server.close()
    return 0


def _route(model: ServedModel, environ: dict[str, Any], max_bytes: int) -> _Answer:
    path, method = environ.get("PATH_INFO", ""), environ["REQUEST_METHOD"]
    if path == "/ping":
        if method not in ("GET", "HEAD"):
            raise RequestError(HTTPStatus.METHOD_NOT_ALLOWED, "/ping takes GET.")
        return HTTPStatus.OK, b"\n", _TEXT
    if path == "/invocations":
        if method != "POST":
            raise RequestError(HTTPStatus.METHOD_NOT_ALLOWED, "/invocations takes POST.")
        body = environ["wsgi.input"].read(max_bytes + 1)
        answer = respond(
            model, body, environ.get("CONTENT_TYPE", ""), environ.get("HTTP_ACCEPT", ""), max_bytes=max_bytes
        )
        return HTTPStatus.OK, *answer
    raise RequestError(HTTPStatus.NOT_FOUND, "There are /ping and /invocations.")


def _accepted(accept: str, model: ServedModel) -> str:
    """The format to answer in: the first that the header names and we have."""
    default = "text/csv" if model.algorithm == K_SHAPE else "application/json"
    if not accept.strip():
        return default
    for choice in accept.split(","):
        name, *parameters = (part.strip().lower() for part in choice.split(";"))
        if any(_REFUSED.fullmatch(parameter) for parameter in parameters):
            continue
        if name in ("*/*", f"{default.partition('/')[0]}/*"):
            return default
        try:
            return media_type(name)
        except ValueError:
            continue
    raise RequestError(
        HTTPStatus.NOT_ACCEPTABLE,
        "The answer can be text/csv, application/json, application/jsonlines or "
        f"application/x-recordio-protobuf. Got Accept: {accept[:100]!r} instead.",
    )


def _check_content_type(content_type: str) -> None:
    try:
        media_type(content_type)
    except ValueError as error:
        raise RequestError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, str(error)) from None
    for parameter in content_type.split(";")[1:]:
        name, _, value = (part.strip().strip('"').lower() for part in parameter.partition("="))
        if name == "charset" and value not in ("utf-8", "utf8", "us-ascii", "ascii"):
            raise RequestError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"The charset must be utf-8. Got {value!r} instead."
            )
        if name == "label_size" and value != "0":
            raise RequestError(
                HTTPStatus.BAD_REQUEST,
                "Rows to predict have no column of names. Send them without it, and label_size=0.",
            )


def _max_bytes() -> int:
    """What a batch transform says that its requests may have, else the limit of an endpoint."""
    told = os.environ.get("SAGEMAKER_MAX_PAYLOAD_IN_MB", "")
    if told.isdecimal() and int(told):
        return max(MAX_BYTES, min(int(told), _MOST_MEGABYTES) << 20)
    return MAX_BYTES
