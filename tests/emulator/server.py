"""The emulator: one HTTP server for all of AWS that the library uses."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from socket import SHUT_RDWR
from typing import Any

import boto3
from moto.core.base_backend import BackendDict
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

from tests.emulator.endpoints import Endpoint, Model
from tests.emulator.errors import Headers, ServiceError, not_authorized, render
from tests.emulator.faults import CallFault, FaultPlan, Throttle, refuse_foreign_owner
from tests.emulator.inventory import Quota, Record, Snapshot, Table
from tests.emulator.jobs import clock
from tests.emulator.marketplace import KSHAPE_ARN, Algorithm, ModelPackage, kshape_listing
from tests.emulator.operations import HANDLERS
from tests.emulator.policies import Policies, hidden_by_s3, requirements
from tests.emulator.programs import Registry
from tests.emulator.recorder import Call, Recorder
from tests.emulator.storage import ACCESS_KEY, Storage, botocore_session
from tests.emulator.training import TrainingJob
from tests.emulator.transform import TransformJob
from tests.emulator.validation import check_answer, check_request
from tests.emulator.wire import Caller, Incoming, identify

ROLE = "arn:aws:iam::123456789012:role/service-role/SageMakerExecution"
BUCKET = "sagemaker-us-east-1-123456789012"
USER = "AKIAIOSFODNN7EXAMPLE"

# Its apps take a while to build and keep no state: that is in moto's backends, which are global.
_MOTO = DomainDispatcherApplication(create_backend_app)
_one_at_a_time = threading.Lock()


@dataclass
class _Answer:
    status: int
    headers: Headers
    body: Iterable[bytes]


class _Handler(MotoRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """Nothing to the terminal: the recorder has it."""


class Emulator:
    """Amazon SageMaker, S3 and STS at `url`; a context manager.

    Parameters
    ----------
    folder : Path, default=None
        Where jobs run; None: a temporary folder.
    dwell : float, default=0.005
        Seconds that a state lasts in which nothing happens.
    second : float, default=1.0
        How long one of the service's seconds takes, for MaxRuntimeInSeconds and MaxWaitTimeInSeconds.
    grace : float, default=2.0
        Seconds between SIGTERM and SIGKILL.
    health_check : float, default=30.0
        Seconds that a serving program has to become ready.
    buckets : iterable of str
        Buckets that exist.

    Attributes
    ----------
    calls : Recorder
        Every call: `calls("Describe*")`.
    faults : FaultPlan
        What goes wrong.
    policies : Policies
        What callers and roles may do.
    images, algorithms
        Which programs run.
    quota, throttle
        How much may be asked for.
    errors : list of Exception
        Bugs of the emulator's own; `close` raises the first.
    """

    role, bucket, algorithm_arn = ROLE, BUCKET, KSHAPE_ARN
    caller = Caller(USER, "us-east-1")

    def __init__(
        self,
        folder: Path | None = None,
        *,
        dwell: float = 0.005,
        second: float = 1.0,
        grace: float = 2.0,
        health_check: float = 30.0,
        buckets: Iterable[str] = (BUCKET,),
    ) -> None:
        self.dwell, self.second, self.grace, self.health_check = dwell, second, grace, health_check
        self._own_folder = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="emulator-"))
        self.calls, self.faults, self.policies = Recorder(), FaultPlan(), Policies()
        self.images, self.quota, self.throttle = Registry(), Quota(), Throttle()
        self.algorithms: dict[str, Algorithm] = {KSHAPE_ARN: kshape_listing()}
        self.training_jobs: Table[TrainingJob] = Table("training-job", "training job")
        self.transform_jobs: Table[TransformJob] = Table("transform-job", "transform job")
        self.models: Table[Model] = Table("model", "model")
        self.endpoint_configs: Table[Record] = Table("endpoint-config", "endpoint configuration")
        self.endpoints: Table[Endpoint] = Table("endpoint", "endpoint")
        self.model_packages: Table[ModelPackage] = Table("model-package", "model package")
        self.endpoint_history: list[Endpoint] = []
        self.tags: dict[str, dict[str, str]] = {}
        self.gone_tags: dict[str, dict[str, str]] = {}
        self.errors: list[Exception] = []
        self._closing = threading.Event()
        self._buckets = list(buckets)
        self.policies.add_role(ROLE)

    # Life of the server.

    def __enter__(self) -> Emulator:
        if not _one_at_a_time.acquire(blocking=False):
            raise RuntimeError("moto keeps its state for the whole process: one emulator at a time")
        try:
            self._open()
        except BaseException:
            _one_at_a_time.release()
            raise
        return self

    def _open(self) -> None:
        BackendDict.reset()
        self._server = make_server("127.0.0.1", 0, self, threaded=True, request_handler=_Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.storage = Storage(self.url, self.policies)
        s3 = self.client("s3", access_key=ACCESS_KEY)
        for bucket in self._buckets:
            s3.create_bucket(Bucket=bucket)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End everything that runs; then raise what went wrong in the emulator itself."""
        self._closing.set()
        for job in (*self.training_jobs, *self.transform_jobs):
            job.stop()
        for endpoint in self.endpoints:
            endpoint.delete()
        for job in (*self.training_jobs, *self.transform_jobs):
            job.join(self.grace + 5)
        for endpoint in self.endpoint_history:
            endpoint.join(self.grace + 5)
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        if self._own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)
        _one_at_a_time.release()
        if self.errors:
            raise AssertionError("the emulator itself failed") from self.errors[0]

    # What tests use.

    def environment(self, access_key: str = USER) -> dict[str, str]:
        """Variables that lead boto3 here and to nothing of this machine's."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": secret_of(access_key),
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def session(self, access_key: str = USER, region: str = "us-east-1") -> boto3.Session:
        """A session of a caller's own. Its clients find the way here by AWS_ENDPOINT_URL."""
        return boto3.Session(
            aws_access_key_id=access_key, aws_secret_access_key=secret_of(access_key), region_name=region
        )

    def client(
        self, service: str, access_key: str = USER, region: str = "us-east-1", **arguments: Any
    ) -> Any:
        """A client (botocore's, which boto3's are as well) that is cheap to make and needs no environment."""
        return botocore_session().create_client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_of(access_key),
            **arguments,
        )

    def inventory(self) -> Snapshot:
        """What exists and costs money, or may come to; an endpoint that is going away takes a moment."""
        jobs = (*self.training_jobs, *self.transform_jobs)
        return Snapshot(
            endpoints=tuple(one.name for one in self.endpoints if one.status != "Deleting"),
            configs=tuple(config.name for config in self.endpoint_configs),
            models=tuple(model.name for model in self.models),
            running_jobs=tuple(job.name for job in jobs if job.running),
            model_packages=tuple(package.name for package in self.model_packages),
        )

    def job(self, name: str) -> TrainingJob:
        """A training job, with everything that Describe does not tell."""
        return self.training_jobs.get(name, self.caller)

    # HTTP.

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        incoming = identify(environ)
        if incoming.caller.access_key == ACCESS_KEY:
            app: Iterable[bytes] = _MOTO.get_application(environ)(environ, start_response)
            return app
        call = self.calls.add(incoming)
        answer = self._spoiled(incoming, environ, call)
        call.status = answer.status
        start_response(f"{answer.status} -", answer.headers)
        return answer.body

    def _spoiled(self, incoming: Incoming, environ: dict[str, Any], call: Call) -> _Answer:
        """The answer, unless a fault is planned."""
        fault = self.faults.of_call(incoming)
        if fault is None:
            return self._answer(incoming, environ, call)
        call.fault = str(fault)
        if fault.error is not None:
            _drain(environ)
            return self._refusal(incoming, _completed(fault.error, incoming), call)
        if fault.kind == "cut":
            answer = self._answer(incoming, environ, call)
            return _Answer(answer.status, answer.headers, _cut(answer.body, fault.n_bytes))
        if fault.after:
            _exhaust(self._answer(incoming, environ, call).body)
        return self._hang_up(fault, environ)

    def _hang_up(self, fault: CallFault, environ: dict[str, Any]) -> _Answer:
        if fault.kind == "hang":
            self._closing.wait(fault.seconds)
        environ["werkzeug.socket"].shutdown(SHUT_RDWR)
        raise ConnectionAbortedError("as planned")  # which werkzeug takes for the client's doing

    def _answer(self, incoming: Incoming, environ: dict[str, Any], call: Call) -> _Answer:
        try:
            self.policies.check(incoming)
            self.throttle.check(incoming.operation, clock())
            if incoming.service == "s3":
                refuse_foreign_owner(incoming)
            handler = HANDLERS.get((incoming.service, incoming.operation))
            if handler is None:
                if incoming.service in ("sagemaker", "runtime"):
                    raise NotImplementedError(f"the emulator has no {incoming.operation}")
                return self._moto(incoming, environ, call)
            return self._ours(handler, incoming)
        except ServiceError as error:
            _drain(environ)
            return self._refusal(incoming, error, call)
        except Exception as error:
            self.errors.append(error)
            _drain(environ)
            return self._refusal(incoming, ServiceError("InternalFailure", repr(error), 500), call)

    def _ours(self, handler: Any, incoming: Incoming) -> _Answer:
        if incoming.service == "runtime":
            status, headers, body = handler(self, incoming.request, incoming.caller)
            return _Answer(status, headers, [body])
        if incoming.service == "sagemaker":
            check_request(incoming.operation, incoming.request)
        request = json.loads(json.dumps(incoming.request))  # the recorder's stays as it came
        result = handler(self, request, incoming.caller)
        if incoming.service == "sagemaker":
            check_answer(incoming.operation, result)
        return _Answer(200, [("Content-Type", "application/x-amz-json-1.1")], [json.dumps(result).encode()])

    def _moto(self, incoming: Incoming, environ: dict[str, Any], call: Call) -> _Answer:
        captured: list[Any] = []

        def start_response(status: str, headers: Headers, exc_info: Any = None, /) -> Any:
            captured[:] = [int(status.split()[0]), headers]

        body = _MOTO.get_application(environ)(environ, start_response)
        status, headers = captured
        if self.policies.bound(incoming.caller) and incoming.service == "s3":
            error = hidden_by_s3(self.policies, incoming, status)
            if error is not None:
                _exhaust(body)
                raise error
        if status >= 400:
            content = b"".join(body)
            found = re.search(rb"<Code>(\w+)</Code>", content)
            call.error = found[1].decode() if found else str(status)
            body = [content]
        return _Answer(status, headers, body)

    def _refusal(self, incoming: Incoming, error: ServiceError, call: Call) -> _Answer:
        call.error = error.code
        status, headers, body = render(error, incoming.service, head=incoming.head)
        return _Answer(status, [*headers, ("Content-Length", str(len(body)))], [body])


def secret_of(access_key: str) -> str:
    """The secret of a caller: something that a test can search for in what must not hold it."""
    return f"planted/secret+of/{access_key}"


def _completed(error: ServiceError, incoming: Incoming) -> ServiceError:
    """A planned refusal that leaves the text to us."""
    if error.message:
        return error
    first = next(requirements(incoming), None)
    action, resource = (first.action, first.resource) if first else (incoming.operation, "*")
    return not_authorized(action, resource, incoming.caller.arn)


def _drain(environ: dict[str, Any]) -> None:
    """Take in a body that nobody reads: a client that is still sending would not see the answer."""
    left = int(environ.get("CONTENT_LENGTH") or 0)
    while left > 0 and (block := environ["wsgi.input"].read(min(left, 1 << 20))):
        left -= len(block)


def _exhaust(body: Iterable[bytes]) -> None:
    for _ in body:
        pass
    close = getattr(body, "close", None)
    if close:
        close()


def _cut(body: Iterable[bytes], n_bytes: int) -> Iterator[bytes]:
    content = b"".join(body)
    yield content[:n_bytes]
    raise ConnectionAbortedError("as planned")
