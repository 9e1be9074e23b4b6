"""Serve predictions over HTTP: `/ping` reports a loaded model, `/invocations` returns clusters."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from shapecluster._optional import import_optional
from shapecluster.container._files import MODEL
from shapecluster.container._kshape import ALGORITHM as K_SHAPE
from shapecluster.container._models import ServedModel, load_model
from shapecluster.exceptions import ArtifactError
from shapecluster.formats import decode_rows, encode_predictions, media_type
from shapecluster.formats._parsers import content_parameters

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

logger = logging.getLogger("shapecluster.container")

MAX_BYTES = 32 << 20  # above the limit of a real-time endpoint
_MAX_PAYLOAD_MB = 100  # the largest that a batch transform may request
_MIN_THREADS = 4  # so that /ping is answered within its 2 seconds while other requests are computed
_METHODS = {"/ping": ("GET", "HEAD"), "/invocations": ("POST",)}
_TEXT = "text/plain; charset=utf-8"
_ZERO_QUALITY = re.compile(r"q=0(\.0*)?")  # marks a format as unacceptable in an Accept header

_Response: TypeAlias = tuple[HTTPStatus, bytes, str]


class RequestError(ValueError):
    """A request that has no valid response.

    Attributes
    ----------
    status : http.HTTPStatus
        The HTTP status of the response that carries the message.
    """

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


def respond(
    model: ServedModel, body: bytes, content_type: str, accept: str = "", *, max_bytes: int = MAX_BYTES
) -> tuple[bytes, str]:
    """Respond to a request for predictions, as the endpoint does over HTTP.

    Parameters
    ----------
    model : ServedModel
        The model from `load_model`.
    body : bytes
        Rows without names, in any format of `shapecluster.formats.decode_rows`.
    content_type : str
        The format of the body.
    accept : str, default=""
        The requested format of the response, as in an Accept header. By default K-Means responds in JSON,
        and k-Shape in CSV with the cluster id only.
    max_bytes : int, default=32 MiB
        The maximum size of the body.

    Returns
    -------
    body : bytes
        The body of the response.
    content_type : str
        Its format.

    Raises
    ------
    RequestError
        With status 400, 406, 413 or 415, and a message that names the fault of the request.
    """
    response_type = _negotiate(accept, model)
    _check_content_type(content_type)
    if len(body) > max_bytes:
        raise RequestError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"A request must have at most {max_bytes:,} bytes. Got {len(body):,}: send fewer rows at once.",
        )
    try:
        rows = decode_rows(body, content_type, n_timepoints=model.n_features, max_bytes=max_bytes)
        if not len(rows):
            raise ArtifactError(f"The request holds no row. It must have {model.n_features} values per row.")
        predictions = model.predict(rows)
    except ValueError as error:
        raise RequestError(HTTPStatus.BAD_REQUEST, str(error)) from error
    # Without distances, as the K-Shape algorithm of the AWS Marketplace responds.
    if model.algorithm == K_SHAPE and response_type == "text/csv":
        return "".join(f"{label}\n" for label in predictions.closest_cluster).encode(), response_type
    return encode_predictions(predictions, response_type), response_type


def application(model: ServedModel, max_bytes: int = MAX_BYTES) -> WSGIApplication:
    """Make the WSGI application of an endpoint.

    Parameters
    ----------
    model : ServedModel
        The model from `load_model`.
    max_bytes : int, default=32 MiB
        The maximum size of the body of a request.

    Returns
    -------
    WSGIApplication
        A function of a WSGI environment and of `start_response`. Several threads may call it at once.

    Examples
    --------
    >>> import io, pathlib, tempfile
    >>> import numpy as np
    >>> from shapecluster.container import application, load_model
    >>> from shapecluster.formats import encode_ndarrays
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     centers = np.array([[0, 0], [3, 4]], dtype=np.float32)
    ...     _ = pathlib.Path(folder, "model_algo-1").write_bytes(encode_ndarrays([centers]))
    ...     app = application(load_model(pathlib.Path(folder)))
    >>> request = {"REQUEST_METHOD": "POST", "PATH_INFO": "/invocations", "CONTENT_TYPE": "text/csv"}
    >>> request["wsgi.input"] = io.BytesIO(b"3,3")
    >>> app(request, lambda status, headers: print(status))
    200 OK
    [b'{"predictions": [{"closest_cluster": 1.0, "distance_to_cluster": 1.0}]}']
    """

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            status, body, content_type = _route(model, environ, max_bytes)
        except RequestError as error:
            status, body, content_type = error.status, f"{error}\n".encode(), _TEXT
        except Exception:
            # Details stay in the log: the client of an endpoint is not its owner.
            logger.exception("a request failed unexpectedly")
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            body, content_type = b"The server failed unexpectedly. Its log has the details.\n", _TEXT
        headers = [("Content-Type", content_type), ("Content-Length", str(len(body)))]
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            headers.append(("Allow", ", ".join(_METHODS[environ["PATH_INFO"]])))
        start_response(f"{status.value} {status.phrase}", headers)
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]

    return app


def serve(root: Path, host: str, port: int) -> int:
    """Load the model and respond to requests until SIGTERM.

    Returns
    -------
    int
        The exit code: 1 if there is no model, or the server cannot listen on the address.
    """
    try:
        waitress = import_optional("waitress", extra="container", needed_for="Serving predictions")
        model = load_model(root / MODEL)
        max_bytes = _payload_limit()
        server = waitress.create_server(
            application(model, max_bytes),
            host=host,
            port=port,
            threads=max(_MIN_THREADS, os.cpu_count() or 1),
            max_request_body_size=max_bytes,
            ident=None,
        )
    except (ValueError, ImportError, OSError, OverflowError) as error:  # OverflowError: an invalid port
        logger.error("serving failed: %s", error, exc_info=True)
        return 1
    logger.info("serving %s at http://%s:%s", model.algorithm, host, server.effective_port)
    server.run()  # until SIGTERM or Ctrl-C, and then until open requests have their responses
    server.close()
    return 0


def _route(model: ServedModel, environ: WSGIEnvironment, max_bytes: int) -> _Response:
    path, method = environ.get("PATH_INFO", ""), environ["REQUEST_METHOD"]
    if path not in _METHODS:
        raise RequestError(HTTPStatus.NOT_FOUND, f"The paths are {' and '.join(_METHODS)}.")
    if method not in _METHODS[path]:
        raise RequestError(HTTPStatus.METHOD_NOT_ALLOWED, f"{path} accepts {_METHODS[path][0]} only.")
    if path == "/ping":
        return HTTPStatus.OK, b"\n", _TEXT
    # One byte more shows that the body is too large, even if the request claims less.
    body = environ["wsgi.input"].read(max_bytes + 1)
    content_type, accept = environ.get("CONTENT_TYPE", ""), environ.get("HTTP_ACCEPT", "")
    return HTTPStatus.OK, *respond(model, body, content_type, accept, max_bytes=max_bytes)


def _negotiate(accept: str, model: ServedModel) -> str:
    """Return the first format of an Accept header that can be written; the order outweighs `q`."""
    default = "text/csv" if model.algorithm == K_SHAPE else "application/json"
    if not accept.strip():
        return default
    for choice in accept.split(","):
        name, *parameters = (part.strip().lower() for part in choice.split(";"))
        if any(_ZERO_QUALITY.fullmatch(parameter) for parameter in parameters):
            continue
        if name in ("*/*", f"{default.partition('/')[0]}/*"):
            return default
        try:
            return media_type(name)
        except ValueError:
            continue
    raise RequestError(
        HTTPStatus.NOT_ACCEPTABLE,
        "The response can be text/csv, application/json, application/jsonlines or "
        f"application/x-recordio-protobuf. Got Accept: {accept[:100]!r} instead.",
    )


def _check_content_type(content_type: str) -> None:
    try:
        media_type(content_type)
    except ValueError as error:
        raise RequestError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, str(error)) from None
    for name, value in content_parameters(content_type):
        if name == "charset" and value not in ("utf-8", "utf8", "us-ascii", "ascii"):
            raise RequestError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"The charset must be utf-8. Got {value!r} instead."
            )
        if name == "label_size" and value != "0":
            raise RequestError(
                HTTPStatus.BAD_REQUEST,
                "Rows to predict have no column of names. Send the rows without it, with label_size=0.",
            )


def _payload_limit() -> int:
    """Return the limit that a batch transform sets in the environment, else that of an endpoint."""
    megabytes = os.environ.get("SAGEMAKER_MAX_PAYLOAD_IN_MB", "")
    if megabytes.isdecimal() and int(megabytes):
        return max(MAX_BYTES, min(int(megabytes), _MAX_PAYLOAD_MB) << 20)
    return MAX_BYTES
