"""A platform in memory whose every call can be made to fail, and a clock that nobody waits for."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from shapecluster.exceptions import NotFoundError
from shapecluster.remote._errors import from_code
from shapecluster.remote._retries import Clock

ROLE = "arn:aws:iam::123456789012:role/Execution"
ARN = "arn:aws:sagemaker:eu-west-1:123456789012:algorithm/k-shape"


def trained(algorithm: str, artifact_uri: str) -> dict[str, Any]:
    """The description of a job that left a model, as far as servers of the model need it."""
    key = "AlgorithmName" if algorithm.startswith("arn:") else "TrainingImage"
    return {
        "AlgorithmSpecification": {key: algorithm},
        "ModelArtifacts": {"S3ModelArtifacts": artifact_uri},
        "RoleArn": ROLE,
    }


class FakeClock:
    """Time that passes only where somebody waits; `during` runs in every wait."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.waits: list[float] = []
        self.during: Callable[[], None] | None = None

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time += seconds
        if self.during is not None:
            self.during()

    @property
    def clock(self) -> Clock:
        return Clock(
            now=lambda: self.time, wall=lambda: 1.8e9 + self.time, sleep=self.sleep, chance=lambda: 0.5
        )


class FakePlatform:
    """Answers from scripts, remembers calls, stores files in a dict.

    `script(operation, *answers)` says what the next calls answer: dicts, exceptions, or functions of the
    request. The last one stays.
    """

    kind = "aws"
    region = "eu-west-1"

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.files: dict[str, bytes] = {}
        self.uploads: list[str] = []
        self.keys: dict[str, str | None] = {}
        self.scripts: dict[str, list[Any]] = {}
        self.identity = f"fake:{id(self)}"
        self.script("logs.describe_log_streams", {"logStreams": []})

    def script(self, operation: str, *answers: Any) -> None:
        self.scripts[operation] = list(answers)

    def requests(self, operation: str) -> list[dict[str, Any]]:
        return [request for name, request in self.calls if name == operation]

    def call(self, operation: str, /, **request: Any) -> dict[str, Any]:
        self.calls.append((operation, request))
        answers = self.scripts.get(operation, [{}])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if callable(answer):
            answer = answer(**request)
        if isinstance(answer, BaseException):
            raise answer
        return dict(answer)

    def upload(self, body: BinaryIO, uri: str, *, kms_key: str | None = None) -> None:
        self.calls.append(("upload", {"uri": uri}))
        self._fail("upload")
        self.uploads.append(uri)
        self.files[uri] = body.read()
        self.keys[uri] = kms_key

    def open(self, uri: str) -> BinaryIO:
        self._fail("open")
        if uri not in self.files:
            raise NotFoundError(f"no {uri}", operation="s3.get_object", code="NoSuchKey")
        return io.BytesIO(self.files[uri])

    def exists(self, uri: str) -> bool:
        self._fail("exists")
        return uri in self.files

    def list(self, uri: str) -> Iterator[str]:
        return iter(sorted(u for u in self.files if u.startswith(uri)))

    def delete(self, uri: str) -> None:
        self._fail("delete")
        self.files.pop(uri, None)

    def account(self) -> str:
        return "123456789012"

    def default_bucket(self) -> str:
        return "sagemaker-eu-west-1-123456789012"

    def default_role(self) -> str | None:
        return None

    def _fail(self, operation: str) -> None:
        answers = self.scripts.get(operation)
        if answers:
            answer = answers.pop(0)
            if isinstance(answer, BaseException):
                raise answer


class FakeService(FakePlatform):
    """A platform with training jobs that go through the given states, one for each look."""

    def __init__(self, *states: str) -> None:
        super().__init__()
        self.states = list(states or ("Starting", "Downloading", "Training", "Uploading", "Completed"))
        self.jobs: dict[str, dict[str, Any]] = {}
        self.extra: dict[str, Any] = {}
        self.script("sagemaker.create_training_job", self._create)
        self.script("sagemaker.describe_training_job", self._describe)
        self.script("sagemaker.stop_training_job", self._stop)
        self.script("logs.describe_log_streams", self._streams)
        self.script("logs.get_log_events", self._events)
        self.log: list[str] = []

    def _create(self, **request: Any) -> dict[str, Any]:
        name = request["TrainingJobName"]
        if name in self.jobs:
            raise from_code(
                "ResourceInUse", "Training job names must be unique", "sagemaker.create_training_job"
            )
        self.jobs[name] = {"request": request, "states": list(self.states)}
        return {"TrainingJobArn": f"arn:{name}"}

    def _describe(self, TrainingJobName: str) -> dict[str, Any]:
        job = self.jobs.get(TrainingJobName)
        if job is None:
            raise from_code(
                "ValidationException", "Requested resource not found.", "sagemaker.describe_training_job"
            )
        states = job["states"]
        state = states.pop(0) if len(states) > 1 else states[0]
        over = {"Completed": "Completed", "Failed": "Failed", "Stopped": "Stopped"}
        over |= {"MaxRuntimeExceeded": "Stopped", "MaxWaitTimeExceeded": "Stopped", "Stopping": "Stopping"}
        status = over.get(state, "InProgress")
        uri = f"{job['request']['OutputDataConfig']['S3OutputPath']}/{TrainingJobName}/output/model.tar.gz"
        answer = {k: v for k, v in job["request"].items() if k != "Tags"}
        answer |= {"TrainingJobStatus": status, "SecondaryStatus": state}
        answer["SecondaryStatusTransitions"] = [{"Status": state, "StatusMessage": f"{state} now"}]
        if status in {"Completed", "Stopped"}:
            answer |= {"ModelArtifacts": {"S3ModelArtifacts": uri}, "BillableTimeInSeconds": 90}
        return answer | self.extra

    def _stop(self, TrainingJobName: str) -> dict[str, Any]:
        self.jobs[TrainingJobName]["states"] = ["Stopping", "Stopped"]
        return {}

    def _streams(self, **request: Any) -> dict[str, Any]:
        return {
            "logStreams": [{"logStreamName": request["logStreamNamePrefix"] + "algo-1-1"}] if self.log else []
        }

    def _events(self, **request: Any) -> dict[str, Any]:
        start = int(request.get("nextToken", "f/0")[2:])
        events = [{"timestamp": 0, "message": line} for line in self.log[start:]]
        return {"events": events, "nextForwardToken": f"f/{len(self.log)}"}
