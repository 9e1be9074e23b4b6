"""Models and endpoints of a rehearsal: start, call and stop servers."""

from __future__ import annotations

import http.client
import io
import socket
import time
from pathlib import Path
from typing import Any

from shapecluster._programs import WsgiApp
from shapecluster.exceptions import RemoteError
from shapecluster.remote._errors import from_code
from shapecluster.remote._rehearsal import folders, programs
from shapecluster.remote._rehearsal.archive import unpack
from shapecluster.remote._rehearsal.captured import logging_to_folder
from shapecluster.remote._rehearsal.objects import Store
from shapecluster.remote._rehearsal.records import ACCOUNT, Records, Refusal
from shapecluster.remote._rehearsal.supervisor import read_json, write_json

MAX_BODY = 6 * 2**20  # bytes of a request that SageMaker takes
_GRACE = 30.0  # seconds between SIGTERM and SIGKILL
_STARTUP = 120.0  # seconds until an endpoint that answers no ping has failed
_TIMEOUT = 60.0  # seconds that an answer may take


class Serving:
    """Starts, calls and stops servers; each has a folder of its own.

    Parameters
    ----------
    store : Store
        The rehearsal.
    """

    def __init__(self, store: Store) -> None:
        folder = store.path / "sagemaker"
        self.models = Records(folder, "model")
        self.configs = Records(folder, "endpoint-config")
        self.endpoints = Records(folder, "endpoint")
        self.packages = Records(folder, "model-package")
        self.store = store
        self._apps: dict[Path, WsgiApp] = {}

    def create_endpoint(self, EndpointName: str, EndpointConfigName: str, **more: Any) -> dict[str, Any]:
        """Start a server; it is in service when it answers a ping."""
        variant = self.configs.read(EndpointConfigName)["request"]["ProductionVariants"][0]
        request = {"EndpointName": EndpointName, "EndpointConfigName": EndpointConfigName, **more}
        folder = self.endpoints.create(EndpointName, request, variant=variant["VariantName"])
        try:
            self.start_server(folder, variant["ModelName"])
        except (Refusal, RemoteError) as error:  # a missing model: as on AWS, DescribeEndpoint reports it
            write_json(folder / "failure.json", str(error))
        return {"EndpointArn": self.endpoints.arn(EndpointName)}

    def describe_endpoint(self, EndpointName: str) -> dict[str, Any]:
        """Status of an endpoint."""
        record = self.endpoints.read(EndpointName)
        status, reason = self.server_status(self.endpoints.folder_of(EndpointName), record["created"])
        answer = self.endpoints.describe(EndpointName)
        answer |= {
            "EndpointStatus": status,
            "LastModifiedTime": answer["CreationTime"],
            "ProductionVariants": [{"VariantName": record["variant"]}],
        }
        return answer | ({"FailureReason": reason} if reason else {})

    def delete_endpoint(self, EndpointName: str) -> dict[str, Any]:
        """Stop a server, and delete its record."""
        self.endpoints.read(EndpointName)
        self.stop_server(self.endpoints.folder_of(EndpointName))
        self.endpoints.delete(EndpointName)
        return {}

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
        if self.describe_endpoint(EndpointName)["EndpointStatus"] != "InService":
            raise Refusal("ValidationError", f"Endpoint {EndpointName} of account {ACCOUNT} not found.")
        folder = self.endpoints.folder_of(EndpointName)
        status, answer, media = self.send_request(folder, body, ContentType, Accept)
        if status != 200:
            text = f"Received {'client' if status < 500 else 'server'} error ({status}) from primary "
            text += 'with message "' + answer.decode("utf-8", "replace")[:1024] + '".'
            raise Refusal("ModelError", text, status)
        return {"Body": io.BytesIO(answer), "ContentType": media, "InvokedProductionVariant": "all"}

    def start_server(self, folder: Path, model_name: str) -> None:
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
                unpack(file, target)
        if self.store.in_process:
            return
        port = _free_port()
        given = programs.arguments("serve", folder / "root", image)
        given += ["--host", "127.0.0.1", "--port", str(port)]
        variables = container.get("Environment", {})
        plan = programs.plan("serve", given, self.store.program, folder, variables, grace=_GRACE, port=port)
        folders.start_supervisor(folder, plan)

    def server_status(self, folder: Path, created: float) -> tuple[str, str]:
        """Status of a server, in the words for endpoints, and the reason of a failure."""
        if (folder / "failure.json").exists():
            return "Failed", str(read_json(folder / "failure.json"))
        if self.store.in_process:
            return self._status_in_process(folder)
        failed = "The primary container for production variant all did not pass the ping health check"
        if not folders.is_alive(folder):
            tail = "; ".join(event["message"] for event in folders.read_log(folder)[-5:])
            return "Failed", f"{failed}: its program ended. {tail}"
        try:
            status, _, _ = _exchange(read_json(folder / "plan.json")["port"], "GET", "/ping", b"", {})
        except OSError:
            status = 0
        if status == 200:
            return "InService", ""
        return ("Failed", failed) if time.time() - created > _STARTUP else ("Creating", "")

    def send_request(
        self, folder: Path, body: bytes, content_type: str, accept: str
    ) -> tuple[int, bytes, str]:
        """Send a request to a server; its status, its answer, and the media type."""
        if self.store.in_process:
            with logging_to_folder(folder):
                return programs.post_to_app(self._app(folder), body, content_type, accept)
        port = read_json(folder / "plan.json")["port"]
        try:
            headers = {"Content-Type": content_type, "Accept": accept}
            return _exchange(port, "POST", "/invocations", body, headers)
        except OSError as error:
            lost = from_code("ServiceUnavailable", f"The server does not answer: {error}", "invoke_endpoint")
        raise lost

    def stop_server(self, folder: Path) -> None:
        """Stop a server, and wait until its process has ended."""
        self._apps.pop(folder, None)
        folders.request_stop(folder)
        while not self.store.in_process and folders.is_alive(folder):
            time.sleep(0.01)

    def _status_in_process(self, folder: Path) -> tuple[str, str]:
        try:
            with logging_to_folder(folder):
                self._app(folder)
        except Exception as error:
            return "Failed", f"The model cannot be loaded: {error}"
        return "InService", ""

    def _app(self, folder: Path) -> WsgiApp:
        if folder not in self._apps:
            self._apps[folder] = programs.load_app(folder / "root" / "model")
        return self._apps[folder]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _exchange(
    port: int, method: str, path: str, body: bytes, headers: dict[str, str]
) -> tuple[int, bytes, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.getheader("Content-Type", "")
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()
