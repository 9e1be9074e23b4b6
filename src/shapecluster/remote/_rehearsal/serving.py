"""Models and endpoints of a rehearsal: start, call and stop servers."""

from __future__ import annotations

import http.client
import socket
import time
from pathlib import Path
from typing import Any

from shapecluster._programs import WsgiApp
from shapecluster.exceptions import RemoteError
from shapecluster.remote._errors import from_code
from shapecluster.remote._rehearsal import folders, programs
from shapecluster.remote._rehearsal.archive import unpack
from shapecluster.remote._rehearsal.objects import Objects
from shapecluster.remote._rehearsal.records import ACCOUNT, Records, arn, utc_datetime

MAX_BODY = 6 * 2**20  # bytes of a request that SageMaker takes
_GRACE = 30.0  # seconds between SIGTERM and SIGKILL
_STARTUP = 120.0  # seconds until an endpoint that answers no ping has failed
_TIMEOUT = 60.0  # seconds that an answer may take


class Serving:
    """Starts, calls and stops servers; each has a folder of its own.

    Parameters
    ----------
    folder : Path
        Of the rehearsal.
    objects : Objects
        Store of the models.
    program : tuple of str or None
        Command that takes the place of the container; None means this package's container.
    in_process : bool
        Whether the program answers as a function, without a port.
    """

    def __init__(
        self, folder: Path, objects: Objects, program: tuple[str, ...] | None, *, in_process: bool
    ) -> None:
        self.models = Records(folder, "model", "model")
        self.configs = Records(folder, "endpoint-config", "endpoint configuration")
        self.endpoints = Records(folder, "endpoint", "endpoint")
        self.packages = Records(folder, "model-package", "model package")
        self.objects = objects
        self.program = program
        self.in_process = in_process
        self._apps: dict[Path, WsgiApp] = {}

    def create_endpoint(self, EndpointName: str, EndpointConfigName: str, **more: Any) -> dict[str, Any]:
        """Start a server; it is in service when it answers a ping."""
        operation = "sagemaker.create_endpoint"
        config = self.configs.read(EndpointConfigName, operation)["request"]
        variant = config["ProductionVariants"][0]
        request = {"EndpointName": EndpointName, "EndpointConfigName": EndpointConfigName, **more}
        folder = self.endpoints.create(EndpointName, request, operation, variant=variant["VariantName"])
        try:
            self.start_server(folder, variant["ModelName"], operation)
        except RemoteError as error:  # such as a missing model: as on AWS, DescribeEndpoint reports it
            folders.write_json(folder / "failure.json", str(error))
        return {"EndpointArn": arn("endpoint", EndpointName)}

    def describe_endpoint(self, EndpointName: str) -> dict[str, Any]:
        """Status of an endpoint."""
        operation = "sagemaker.describe_endpoint"
        record = self.endpoints.read(EndpointName, operation)
        folder = self.endpoints.folder_of(EndpointName, operation)
        status, reason = self.server_status(folder, record["created"])
        answer = {key: value for key, value in record["request"].items() if key != "Tags"}
        answer |= {
            "EndpointArn": arn("endpoint", EndpointName),
            "EndpointStatus": status,
            "CreationTime": utc_datetime(record["created"]),
            "LastModifiedTime": utc_datetime(record["created"]),
            "ProductionVariants": [{"VariantName": record["variant"]}],
        }
        return answer | ({"FailureReason": reason} if reason else {})

    def delete_endpoint(self, EndpointName: str) -> dict[str, Any]:
        """Stop a server, and delete its record."""
        operation = "sagemaker.delete_endpoint"
        self.endpoints.read(EndpointName, operation)
        self.stop_server(self.endpoints.folder_of(EndpointName, operation))
        self.endpoints.delete(EndpointName, operation)
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
        operation = "sagemaker-runtime.invoke_endpoint"
        body = Body.encode() if isinstance(Body, str) else bytes(Body)
        if len(body) > MAX_BODY:
            text = f"Request body of {len(body)} bytes exceeds the limit of {MAX_BODY} bytes."
            raise from_code("ValidationError", text, operation, status=413)
        description = self.describe_endpoint(EndpointName)
        if description["EndpointStatus"] != "InService":
            text = f"Endpoint {EndpointName} of account {ACCOUNT} not found."
            raise from_code("ValidationError", text, operation, status=400)
        folder = self.endpoints.folder_of(EndpointName, operation)
        status, answer, media = self.send_request(folder, body, ContentType, Accept)
        if status != 200:
            text = f"Received {'client' if status < 500 else 'server'} error ({status}) from primary "
            text += 'with message "' + answer.decode("utf-8", "replace")[:1024] + '".'
            raise from_code("ModelError", text, operation, status=status)
        return {
            "Body": folders.response_body(answer),
            "ContentType": media,
            "InvokedProductionVariant": "all",
        }

    def start_server(self, folder: Path, model_name: str, operation: str) -> None:
        """Start a server for a model in a folder."""
        container = self.models.read(model_name, operation)["request"]["PrimaryContainer"]
        image, artifact = container.get("Image", ""), container.get("ModelDataUrl")
        if "ModelPackageName" in container:
            package = self.packages.read(container["ModelPackageName"].rpartition("/")[2], operation)
            source = package["request"]["SourceAlgorithmSpecification"]["SourceAlgorithms"][0]
            image, artifact = source["AlgorithmName"], source["ModelDataUrl"]
        target = folder / "root" / "model"
        target.mkdir(parents=True, exist_ok=True)
        if artifact:
            with self.objects.open(artifact) as file:
                unpack(file, target)
        if self.in_process:
            return
        port = _free_port()
        given = programs.arguments("serve", folder / "root", image)
        environment = programs.environment(folder, container.get("Environment", {}))
        plan = {
            "kind": "serve",
            "command": programs.command_line(
                self.program, [*given, "--host", "127.0.0.1", "--port", str(port)]
            ),
            "environment": environment,
            "grace": _GRACE,
            "port": port,
        }
        folders.start_supervisor(folder, plan, programs.environment(folder, {}))

    def server_status(self, folder: Path, created: float) -> tuple[str, str]:
        """Status of a server, in the words for endpoints, and the reason of a failure."""
        if (folder / "failure.json").exists():
            return "Failed", str(folders.read_json(folder / "failure.json"))
        if self.in_process:
            return self._status_in_process(folder)
        if not folders.is_alive(folder):
            tail = "; ".join(event["message"] for event in folders.read_log(folder)[-5:])
            text = "The primary container for production variant all did not pass the ping health check"
            return "Failed", f"{text}: its program ended. {tail}"
        port = folders.read_json(folder / "plan.json")["port"]
        try:
            status, _, _ = _exchange(port, "GET", "/ping", b"", {})
        except OSError:
            status = 0
        if status == 200:
            return "InService", ""
        if time.time() - created > _STARTUP:
            return (
                "Failed",
                "The primary container for production variant all did not pass the ping health check.",
            )
        return "Creating", ""

    def send_request(
        self, folder: Path, body: bytes, content_type: str, accept: str
    ) -> tuple[int, bytes, str]:
        """Send a request to a server; its status, its answer, and the media type."""
        if self.in_process:
            with folders.logging_to_folder(folder):
                return programs.post_to_app(self._app(folder), body, content_type, accept)
        port = folders.read_json(folder / "plan.json")["port"]
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
        while not self.in_process and folders.is_alive(folder):
            time.sleep(0.01)

    def _status_in_process(self, folder: Path) -> tuple[str, str]:
        try:
            with folders.logging_to_folder(folder):
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
