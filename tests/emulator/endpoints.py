"""Models, endpoint configurations and endpoints, which really serve."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.emulator.errors import Headers, ServiceError, invalid
from tests.emulator.inventory import Record, Table, now, page
from tests.emulator.marketplace import NOT_SUBSCRIBED
from tests.emulator.programs import Program
from tests.emulator.serving import Container, Unreachable
from tests.emulator.storage import AccessDenied, split
from tests.emulator.tags import forget
from tests.emulator.training_checks import check_role, image_program
from tests.emulator.wire import Caller

if TYPE_CHECKING:
    from tests.emulator.server import Emulator

MAX_BODY = 6 << 20


class Model(Record):
    """A program, an archive and a role."""

    def program(self, emulator: Emulator) -> Program:
        container = self.request["PrimaryContainer"]
        if "ModelPackageName" in container:
            program: Program = self._package(emulator).algorithm.program
            return program
        return image_program(emulator, container["Image"])

    def archive(self, emulator: Emulator) -> bytes:
        container = self.request["PrimaryContainer"]
        uri = container.get("ModelDataUrl")
        role = self.request["ExecutionRoleArn"]
        if "ModelPackageName" in container:
            uri, role = self._package(emulator).model_uri, ""
        return emulator.storage.read(*split(uri), role)

    def start(self, emulator: Emulator, root: Path, environment: dict[str, str] | None = None) -> Container:
        return Container(
            self.program(emulator),
            self.archive(emulator),
            root,
            environment={**self.request["PrimaryContainer"].get("Environment", {}), **(environment or {})},
            isolated=self.request.get("EnableNetworkIsolation", False),
        )

    def _package(self, emulator: Emulator) -> Any:
        region, account = self.arn.split(":")[3:5]
        name = self.request["PrimaryContainer"]["ModelPackageName"]
        return emulator.model_packages.get(name, Caller("", region, account))


class Endpoint(Record):
    """A container that answers, some time after it was asked for."""

    def __init__(self, emulator: Emulator, request: dict[str, Any], caller: Caller) -> None:
        name = request["EndpointName"]
        super().__init__(name, emulator.endpoints.arn(name, caller), request, now())
        config = emulator.endpoint_configs.get(request["EndpointConfigName"], caller)
        self.variant = config.request["ProductionVariants"][0]
        self.status, self.reason, self.changed = "Creating", "", self.created
        self.stream = f"{self.variant['VariantName']}/i-0123456789abcdef0"
        self._emulator = emulator
        self._model = emulator.models.get(self.variant["ModelName"], caller)
        self._root = emulator.folder / "endpoint" / f"{name}-{self.created}"
        self.log = self._root / "serve.log"
        self._container: Container | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._live, name=self.arn, daemon=True)
        self._thread.start()

    def describe(self) -> dict[str, Any]:
        variant = {
            "VariantName": self.variant["VariantName"],
            "CurrentInstanceCount": self.variant.get("InitialInstanceCount", 1),
        }
        answer = {
            "EndpointName": self.name,
            "EndpointArn": self.arn,
            "EndpointConfigName": self.request["EndpointConfigName"],
            "EndpointStatus": self.status,
            "CreationTime": self.created,
            "LastModifiedTime": self.changed,
        }
        if self.status == "InService":
            answer["ProductionVariants"] = [variant]
        return {**answer, "FailureReason": self.reason} if self.reason else answer

    def delete(self) -> None:
        self._become("Deleting")
        self._end.set()

    def join(self, timeout: float) -> None:
        self._thread.join(timeout)

    def ask(self, body: bytes, headers: dict[str, str]) -> tuple[int, str, bytes]:
        assert self._container is not None
        return self._container.ask("POST", "/invocations", body, headers)

    def _live(self) -> None:
        try:
            self._start()
        except Exception as error:
            self._become("Failed", "InternalServerError: We encountered an internal error.")
            self._emulator.errors.append(error)
        self._end.wait()
        if self._container is not None:
            self._container.close(self._emulator.grace)
        self._end_of_deleting()

    def _start(self) -> None:
        self._end.wait(self._emulator.dwell)
        fault = self._emulator.faults.of_job(self.name, "Creating")
        if fault is not None:
            self._become("Failed", fault.reason)
            return
        variant = self.variant["VariantName"]
        try:
            self._container = self._model.start(self._emulator, self._root)
        except AccessDenied as error:
            self._become("Failed", f"Could not access model data: {error}")
            return
        if self._container.wait(self._emulator.health_check):
            self._become("InService")
            return
        self._become(
            "Failed",
            f"The primary container for production variant {variant} did not pass the ping health check. "
            "Please check CloudWatch logs for this endpoint.",
        )

    def _become(self, status: str, reason: str = "") -> None:
        if self.status != "Deleting":
            self.status, self.reason, self.changed = status, reason, now()

    def _end_of_deleting(self) -> None:
        threading.Event().wait(self._emulator.dwell)
        self._emulator.endpoints.remove(self)
        forget(self._emulator, self.arn)
        shutil.rmtree(self._root / "model", ignore_errors=True)


# Models.


def create_model(emulator: Emulator, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
    name = request["ModelName"]
    role = request.get("ExecutionRoleArn", "")
    check_role(emulator, role)
    emulator.models.refuse_duplicate(name, caller)
    container = request.get("PrimaryContainer") or {}
    if "ModelPackageName" in container:
        _check_package(emulator, request, caller)
    elif "Image" in container:
        image_program(emulator, container["Image"])
        _check_data(emulator, container.get("ModelDataUrl", ""), role, caller)
    else:
        raise invalid("PrimaryContainer must have an Image or a ModelPackageName.")  # our wording
    model = Model(name, emulator.models.arn(name, caller), request, now())
    return {"ModelArn": _add(emulator, emulator.models, model)}


def _check_package(emulator: Emulator, request: dict[str, Any], caller: Caller) -> None:
    package = emulator.model_packages.get(request["PrimaryContainer"]["ModelPackageName"], caller)
    if not package.algorithm.subscribed:
        raise invalid(NOT_SUBSCRIBED)
    if not request.get("EnableNetworkIsolation"):
        raise invalid("EnableNetworkIsolation must be true for models using SageMaker Marketplace resources")
    if request["PrimaryContainer"].get("Environment"):
        raise invalid("Environment is not supported for model packages of the Marketplace.")  # our wording
    if package.status != "Completed":
        raise invalid(f"Model package {package.arn} is in status {package.status}.")  # our wording


def _check_data(emulator: Emulator, uri: str, role: str, caller: Caller) -> None:
    try:
        if emulator.storage.exists(uri, role):
            return
    except AccessDenied:
        pass
    raise invalid(
        f'Could not access model data at {uri}. Please ensure that the role "{role}" exists and that its '
        'trust relationship policy allows the action "sts:AssumeRole" for the service principal '
        '"sagemaker.amazonaws.com". Also ensure that the role has "s3:GetObject" permissions and that the '
        f"object is located in {caller.region}."
    )


def describe_model(emulator: Emulator, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
    model = emulator.models.get(request["ModelName"], caller)
    kept = ("PrimaryContainer", "ExecutionRoleArn", "VpcConfig", "EnableNetworkIsolation")
    return {
        **{member: model.request[member] for member in kept if member in model.request},
        "ModelName": model.name,
        "ModelArn": model.arn,
        "CreationTime": model.created,
    }


def delete_model(emulator: Emulator, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
    return _remove(emulator, emulator.models, request["ModelName"], caller)


def list_models(emulator: Emulator, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
    return _list(emulator.models, "Model", request)


# Endpoint configurations.


def create_endpoint_config(emulator: Emulator, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
    name = request["EndpointConfigName"]
    emulator.endpoint_configs.refuse_duplicate(name, caller)
    if len(request["ProductionVariants"]) > 1:
        raise NotImplementedError("the emulator has one variant an endpoint")
    emulator.models.get(request["ProductionVariants"][0]["ModelName"], caller)
    config = Record(name, emulator.endpoint_configs.arn(name, caller), request, now())
    return {"EndpointConfigArn": _add(emulator, emulator.endpoint_configs, config)}


def describe_endpoint_config(emulator: Emulator, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
    config = emulator.endpoint_configs.get(request["EndpointConfigName"], caller)
    kept = ("ProductionVariants", "KmsKeyId")
    return {
        **{member: config.request[member] for member in kept if member in config.request},
        "EndpointConfigName": config.name,
        "EndpointConfigArn": config.arn,
        "CreationTime": config.created,
    }


def delete_endpoint_config(emulator: Emulator, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
    return _remove(emulator, emulator.endpoint_configs, request["EndpointConfigName"], caller)


def list_endpoint_configs(emulator: Emulator, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
    return _list(emulator.endpoint_configs, "EndpointConfig", request)


# Endpoints.


def create_endpoint(emulator: Emulator, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
    emulator.endpoints.refuse_duplicate(request["EndpointName"], caller)
    endpoint = Endpoint(emulator, request, caller)
    emulator.endpoint_history.append(endpoint)
    return {"EndpointArn": _add(emulator, emulator.endpoints, endpoint)}


def describe_endpoint(emulator: Emulator, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
    return emulator.endpoints.get(request["EndpointName"], caller).describe()


def delete_endpoint(emulator: Emulator, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
    endpoint = emulator.endpoints.get(request["EndpointName"], caller)
    if endpoint.status in ("Creating", "Deleting"):
        raise invalid(f'Cannot update in-progress endpoint "{endpoint.arn}".')
    endpoint.delete()
    return {}


def list_endpoints(emulator: Emulator, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
    rows = _list(emulator.endpoints, "Endpoint", request)
    for row in rows["Endpoints"]:
        endpoint = emulator.endpoints.get(row["EndpointName"], caller)
        row |= {"EndpointStatus": endpoint.status, "LastModifiedTime": endpoint.changed}
    return rows


def invoke_endpoint(
    emulator: Emulator, request: dict[str, Any], caller: Caller
) -> tuple[int, Headers, bytes]:
    name, body = request["EndpointName"], request["Body"]
    endpoint = emulator.endpoints.find(name, caller)
    if endpoint is None:
        raise ServiceError("ValidationError", f"Endpoint {name} of account {caller.account} not found.")
    if endpoint.status != "InService":
        text = f"Endpoint {name} of account {caller.account} is not in service."  # our wording
        raise ServiceError("ValidationError", text)
    if len(body) > MAX_BODY:
        raise ServiceError("413", f"HTTP content length exceeded {MAX_BODY} bytes.", 413)
    members = {"Content-Type": request["ContentType"], "Accept": request["Accept"]}
    headers = {header: value for header, value in members.items() if value}
    try:
        status, content_type, answer = endpoint.ask(body, headers)
    except Unreachable as error:
        raise _model_error(endpoint, 0, str(error), caller) from None
    if status != 200:
        raise _model_error(endpoint, status, answer.decode(errors="replace"), caller)
    return 200, [("Content-Type", content_type), ("x-Amzn-Invoked-Production-Variant", "AllTraffic")], answer


def _model_error(endpoint: Endpoint, status: int, message: str, caller: Caller) -> ServiceError:
    group = f"/aws/sagemaker/Endpoints/{endpoint.name}"
    where = f"https://{caller.region}.console.aws.amazon.com/cloudwatch/home?region={caller.region}"
    side = "client" if 400 <= status < 500 else "server"
    text = (
        f'Received {side} error ({status}) from primary with message "{message}". See '
        f"{where}#logEventViewer:group={group} in account {caller.account} for more information."
    )
    stream = f"arn:aws:logs:{caller.region}:{caller.account}:log-group:{group}"
    extra = {"OriginalStatusCode": status, "OriginalMessage": message, "LogStreamArn": stream}
    return ServiceError("ModelError", text, 424, extra)


# What the three kinds share.


def _add(emulator: Emulator, table: Table[Any], resource: Any) -> str:
    table.add(resource)
    emulator.tags[resource.arn] = {t["Key"]: t["Value"] for t in resource.request.get("Tags", [])}
    arn: str = resource.arn
    return arn


def _remove(emulator: Emulator, table: Table[Any], name: str, caller: Caller) -> dict[str, Any]:
    resource = table.get(name, caller)
    table.remove(resource)
    forget(emulator, resource.arn)
    return {}


def _list(table: Table[Any], what: str, request: dict[str, Any]) -> dict[str, Any]:
    rows = [
        {f"{what}Name": row.name, f"{what}Arn": row.arn, "CreationTime": row.created}
        for row in table
        if request.get("NameContains", "") in row.name
    ]
    rows, more = page(rows, request)
    return {f"{what}s": rows, **more}
