"""Transform jobs: every object below a prefix through a serving program, the answers as .out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.emulator.errors import invalid
from tests.emulator.inventory import now, page
from tests.emulator.jobs import Ended, Job
from tests.emulator.serving import Container, Unreachable
from tests.emulator.storage import split
from tests.emulator.training_checks import check_prefix
from tests.emulator.wire import Caller

if TYPE_CHECKING:
    from tests.emulator.server import Emulator

_PASSED_ON = (
    *("ModelName", "MaxConcurrentTransforms", "MaxPayloadInMB", "BatchStrategy", "Environment"),
    *("TransformInput", "TransformOutput", "TransformResources", "DataProcessing", "ModelClientConfig"),
)


class TransformJob(Job):
    """One job."""

    def __init__(self, emulator: Emulator, request: dict[str, Any], caller: Caller) -> None:
        name = request["TransformJobName"]
        super().__init__(emulator, name, emulator.transform_jobs.arn(name, caller), request, caller)
        self.started: float | None = None
        self.logs: dict[str, Path] = {}
        self._model = emulator.models.get(request["ModelName"], caller)
        self._role = self._model.request["ExecutionRoleArn"]

    def describe(self) -> dict[str, Any]:
        """The answer of DescribeTransformJob."""
        with self._lock:
            return self._description()

    def _description(self) -> dict[str, Any]:
        answer = {member: self.request[member] for member in _PASSED_ON if member in self.request}
        answer |= {
            "TransformJobName": self.name,
            "TransformJobArn": self.arn,
            "TransformJobStatus": self.status,
            "CreationTime": self.created,
        }
        if self.started is not None:
            answer["TransformStartTime"] = self.started
        if self.ended is not None:
            answer["TransformEndTime"] = self.ended
        return {**answer, "FailureReason": self.reason} if self.reason else answer

    def _live(self) -> None:
        fault = self.emulator.faults.of_job(self.name, "Transforming")
        if fault is not None and fault.kind == "fail":
            raise Ended("Failed", fault.reason)
        if fault is not None:
            self.stop()
        self._pause(self.emulator.dwell)
        self.started = now()
        container = self._model.start(self.emulator, self.folder / "root", self.request.get("Environment"))
        self.logs[f"{self.name}/i-0123456789abcdef0"] = container.log
        try:
            if not container.wait(self.emulator.health_check):
                raise Ended("Failed", "AlgorithmError: See job logs for more information")
            self._transform_all(container)
        finally:
            container.close(self.emulator.grace)

    def _transform_all(self, container: Container) -> None:
        uri = self.request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]
        bucket, prefix = split(uri)
        base = self.request["TransformOutput"]["S3OutputPath"].rstrip("/")
        folder = f"{prefix.rstrip('/')}/"
        for key in self.emulator.storage.keys(uri, self._role):
            content = self.emulator.storage.read(bucket, key, self._role)
            answer = self._transform(container, content)
            name = key.removeprefix(folder) if key.startswith(folder) else key.rpartition("/")[2]
            kms_key = self.request["TransformOutput"].get("KmsKeyId")
            self.emulator.storage.write(f"{base}/{name}.out", answer, self._role, kms_key)

    def _transform(self, container: Container, content: bytes) -> bytes:
        headers = {}
        if "ContentType" in self.request["TransformInput"]:
            headers["Content-Type"] = self.request["TransformInput"]["ContentType"]
        if "Accept" in self.request["TransformOutput"]:
            headers["Accept"] = self.request["TransformOutput"]["Accept"]
        joint = b"\n" if self.request["TransformOutput"].get("AssembleWith") == "Line" else b""
        answers = []
        for batch in self._batches(content):
            self._check_stop()
            try:
                status, _, answer = container.ask("POST", "/invocations", batch, headers)
            except Unreachable:
                status, answer = 0, b""
            if status != 200:
                side = "ClientError" if 400 <= status < 500 else "AlgorithmError"
                raise Ended("Failed", f"{side}: See job logs for more information")
            answers.append(answer.rstrip(b"\n") if joint else answer)
        return joint.join(answers) + joint

    def _batches(self, content: bytes) -> list[bytes]:
        """The payloads: a file, or as many of its lines as fit."""
        longest = self.request.get("MaxPayloadInMB", 6) << 20
        split_type = self.request["TransformInput"].get("SplitType", "None")
        if split_type == "None":
            parts = [content]
        elif split_type == "Line":
            parts = content.splitlines(keepends=True)
        else:
            raise NotImplementedError(f"the emulator splits by line only, not by {split_type}")
        if self.request.get("BatchStrategy", "MultiRecord") == "MultiRecord":
            parts = _merged(parts, longest)
        if any(len(part) > longest for part in parts):
            raise Ended("Failed", "ClientError: Too much data for max payload size")
        return parts


def _merged(parts: list[bytes], longest: int) -> list[bytes]:
    merged: list[list[bytes]] = []
    room = 0
    for part in parts:
        if not merged or len(part) > room:
            merged.append([])
            room = longest
        merged[-1].append(part)
        room -= len(part)
    return [b"".join(group) for group in merged]


def create_transform_job(emulator: Emulator, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
    emulator.transform_jobs.refuse_duplicate(request["TransformJobName"], caller)
    model = emulator.models.get(request["ModelName"], caller)
    if "ModelPackageName" in model.request["PrimaryContainer"] and request.get("Environment"):
        raise invalid("Environment is not supported for model packages of the Marketplace.")  # our wording
    source = request["TransformInput"]["DataSource"]["S3DataSource"]
    if source["S3DataType"] != "S3Prefix" or request.get("DataProcessing"):
        raise NotImplementedError("the emulator transforms S3Prefix only, and filters and joins nothing")
    check_prefix(emulator, source["S3Uri"], model.request["ExecutionRoleArn"], caller)
    bucket = split(request["TransformOutput"]["S3OutputPath"])[0]
    if not emulator.storage.bucket_exists(bucket):
        raise invalid(f'The bucket "{bucket}" given in S3OutputPath does not exist.')  # our wording
    job = TransformJob(emulator, request, caller)
    emulator.transform_jobs.add(job)
    emulator.tags[job.arn] = {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}
    job.start()
    return {"TransformJobArn": job.arn}


def describe_transform_job(emulator: Emulator, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
    return emulator.transform_jobs.get(request["TransformJobName"], caller).describe()


def stop_transform_job(emulator: Emulator, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
    job = emulator.transform_jobs.get(request["TransformJobName"], caller)
    if not job.running:
        raise invalid(f"The request was rejected because the transform job is in status {job.status}.")
    job.stop()
    return {}


def list_transform_jobs(emulator: Emulator, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
    rows = [
        {
            "TransformJobName": job.name,
            "TransformJobArn": job.arn,
            "CreationTime": job.created,
            "TransformJobStatus": job.status,
        }
        for job in emulator.transform_jobs
        if request.get("NameContains", "") in job.name
    ]
    rows, more = page(rows, request)
    return {"TransformJobSummaries": rows, **more}
