"""Servers and endpoints of a rehearsal: start, call and stop a program that serves a model."""

from __future__ import annotations

import http.client
import io
import shutil
import socket
import tarfile
import time
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from shapecluster._programs import WsgiApp, container_programs
from shapecluster.exceptions import InvalidRequestError, RemoteError
from shapecluster.remote._errors import from_code
from shapecluster.remote._rehearsal import programs
from shapecluster.remote._rehearsal.captured import logging_to_folder
from shapecluster.remote._rehearsal.objects import Store
from shapecluster.remote._rehearsal.records import ACCOUNT, Records, Refusal
from shapecluster.remote._rehearsal.supervisor import read_json, write_json

MAX_BODY = 6 * 2**20  # bytes of a request that SageMaker takes
MAX_MODEL = 2**31  # bytes of all files of a model together
_GRACE = 30.0  # seconds between SIGTERM and SIGKILL
_STARTUP = 120.0  # seconds until an endpoint that answers no ping has failed
_TIMEOUT = 60.0  # seconds that an answer may take
_NO_PING = "The primary container for production variant all did not pass the ping health check"


class Servers:
    """Starts, calls and stops servers of models; each has a folder of its own.

    Parameters
    ----------
    store : Store
        The rehearsal.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.models = Records(store, "model")
        self.packages = Records(store, "model-package")
        self._apps: dict[Path, WsgiApp] = {}

    def start(self, folder: Path, model_name: str) -> None:
        """Start a server for a model in a folder."""
        container = self.models.read(model_name)["request"]["PrimaryContainer"]
        image, artifact = container.get("Image", ""), container.get("ModelDataUrl")
        if "ModelPackageName" in container:
            package = self.packages.read(container["ModelPackageName"].rpartition("/")[2])
            source = package["request"]["SourceAlgorithmSpecification"]["SourceAlgorithms"][0]
            image, artifact = source["AlgorithmName"], source["ModelDataUrl"]
        target = folder / "root" / "model"
        target.mkdir(parents=True, exist_ok=True)
        if artifact:
            with self.store.open(artifact) as file:
                _unpack(file, target)
        if self.store.in_process:
            return
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        plan = programs.plan("serve", image, self.store.program, folder, container.get("Environment", {}))
        plan["arguments"] += ["--host", "127.0.0.1", "--port", str(port)]
        programs.start_supervisor(folder, plan | {"grace": _GRACE, "port": port})

    def status(self, folder: Path) -> tuple[str, str]:
        """Status of a server, in the words for endpoints, and the reason of a failure."""
        if self.store.in_process:
            try:
                with logging_to_folder(folder):
                    self._app(folder)
            except Exception as error:
                return "Failed", f"The model cannot be loaded: {error}"
            return "InService", ""
        if not programs.is_alive(folder):
            tail = "; ".join(event["message"] for event in programs.read_log(folder)[-5:])
            return "Failed", f"{_NO_PING}: its program ended. {tail}"
        try:
            answer, _, _ = _exchange(folder, "GET", "/ping", b"", {})
        except OSError:
            answer = 0
        if answer == 200:
            return "InService", ""
        is_late = time.time() - (folder / "plan.json").stat().st_mtime > _STARTUP
        return ("Failed", _NO_PING) if is_late else ("Creating", "")

    def send(self, folder: Path, body: bytes, content_type: str, accept: str) -> tuple[int, bytes, str]:
        """Send a request to a server; its status, its answer, and the media type."""
        if self.store.in_process:
            with logging_to_folder(folder):
                return programs.post_to_app(self._app(folder), body, content_type, accept)
        try:
            headers = {"Content-Type": content_type, "Accept": accept}
            return _exchange(folder, "POST", "/invocations", body, headers)
        except OSError as error:
            lost = from_code("ServiceUnavailable", f"The server does not answer: {error}", "invoke_endpoint")
        raise lost

    def stop(self, folder: Path) -> None:
        """Stop a server, and wait until its process has ended."""
        self._apps.pop(folder, None)
        programs.request_stop(folder)
        while not self.store.in_process and programs.is_alive(folder):
            time.sleep(0.01)

    def _app(self, folder: Path) -> WsgiApp:
        if folder not in self._apps:
            self._apps[folder] = container_programs().load_app(folder / "root" / "model")
        return self._apps[folder]


class Endpoints(Records):
    """Endpoints, each with a server in its folder.

    Parameters
    ----------
    servers : Servers
        The servers of the rehearsal.
    """

    def __init__(self, servers: Servers) -> None:
        super().__init__(servers.store, "endpoint")
        self.configs = Records(servers.store, "endpoint-config")
        self._servers = servers

    def create(self, request: dict[str, Any]) -> None:
        """Start a server; it is in service when it answers a ping."""
        variant = self.configs.read(request["EndpointConfigName"])["request"]["ProductionVariants"][0]
        folder = self.claim(request["EndpointName"])
        self.write(folder, request | {"ProductionVariants": [{"VariantName": variant["VariantName"]}]})
        try:
            self._servers.start(folder, variant["ModelName"])
        except (Refusal, RemoteError) as error:  # a missing model: as on AWS, DescribeEndpoint reports it
            write_json(folder / "failure.json", str(error))

    def describe(self, name: str) -> dict[str, Any]:
        """The request that created an endpoint, and its status."""
        answer, folder = super().describe(name), self.folder_of(name)
        if (folder / "failure.json").exists():
            status, reason = "Failed", str(read_json(folder / "failure.json"))
        else:
            status, reason = self._servers.status(folder)
        answer |= {"EndpointStatus": status, "LastModifiedTime": answer["CreationTime"]}
        return answer | ({"FailureReason": reason} if reason else {})

    def end(self, name: str) -> None:
        """Stop a server, and delete its record."""
        self.read(name)
        self._servers.stop(self.folder_of(name))
        super().end(name)

    def invoke(
        self,
        EndpointName: str,
        Body: bytes,
        ContentType: str = "application/octet-stream",
        Accept: str = "*/*",
        **_: Any,
    ) -> dict[str, Any]:
        """Send a request to a server."""
        body = Body.encode() if isinstance(Body, str) else bytes(Body)
        if len(body) > MAX_BODY:
            text = f"Request body of {len(body)} bytes exceeds the limit of {MAX_BODY} bytes."
            raise Refusal("ValidationError", text, 413)
        if self.describe(EndpointName)["EndpointStatus"] != "InService":
            raise Refusal("ValidationError", f"Endpoint {EndpointName} of account {ACCOUNT} not found.")
        folder = self.folder_of(EndpointName)
        status, answer, media = self._servers.send(folder, body, ContentType, Accept)
        if status != 200:
            text = f"Received {'client' if status < 500 else 'server'} error ({status}) from primary "
            text += 'with message "' + answer.decode("utf-8", "replace")[:1024] + '".'
            raise Refusal("ModelError", text, status)
        return {"Body": io.BytesIO(answer), "ContentType": media, "InvokedProductionVariant": "all"}


def _exchange(
    folder: Path, method: str, path: str, body: bytes, headers: dict[str, str]
) -> tuple[int, bytes, str]:
    """Send a request to the server of a folder."""
    port = read_json(folder / "plan.json")["port"]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.getheader("Content-Type", "")
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()


def _unpack(file: BinaryIO, target: Path) -> None:
    """Write the plain files of a model.tar.gz below a folder, as SageMaker does before it starts a server.

    Raises
    ------
    InvalidRequestError
        When it is not an archive, is too large, or has a member that would lie outside the folder.
    """
    try:
        # As a stream, so that a small file that expands enormously is given up in time.
        with tarfile.open(fileobj=file, mode="r|gz") as archive:
            left = MAX_MODEL
            for member in archive:
                left -= member.size
                problem = _problem(member, left)
                if problem:
                    break
                path = target / member.name
                (path if member.isdir() else path.parent).mkdir(parents=True, exist_ok=True)
                if source := archive.extractfile(member):
                    with source, path.open("wb") as copy:
                        shutil.copyfileobj(source, copy)
            else:
                return
    except (tarfile.TarError, OSError, EOFError) as error:
        problem = f"it cannot be read ({error})"
    raise InvalidRequestError(f"The model's archive is refused: {problem}.")


def _problem(member: tarfile.TarInfo, left: int) -> str:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        return f"its member {member.name!r} lies outside"
    if not member.isfile() and not member.isdir():
        return f"its member {member.name!r} is neither a file nor a folder"
    return f"it holds more than {MAX_MODEL} bytes" if left < 0 else ""
