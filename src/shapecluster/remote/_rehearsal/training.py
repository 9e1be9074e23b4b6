"""Training jobs of a rehearsal: create, describe and stop them."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from shapecluster.remote._errors import from_code
from shapecluster.remote._rehearsal import folders, programs
from shapecluster.remote._rehearsal.objects import Objects
from shapecluster.remote._rehearsal.records import Records, arn, utc_datetime
from shapecluster.remote._rehearsal.supervisor import supervise

GRACE = 120.0  # seconds between SIGTERM and SIGKILL, as on SageMaker

_REQUIRED = (
    "TrainingJobName",
    "AlgorithmSpecification",
    "OutputDataConfig",
    "ResourceConfig",
    "StoppingCondition",
)


class TrainingJobs:
    """Creates, describes and stops jobs; each has a folder of its own.

    Parameters
    ----------
    folder : Path
        Folder of the rehearsal.
    objects : Objects
        Store of data and models.
    program : tuple of str or None
        Command that takes the place of the container; None means this package's container.
    in_process : bool
        Whether the program runs as a function, inside the call that creates the job.
    """

    def __init__(
        self, folder: Path, objects: Objects, program: tuple[str, ...] | None, *, in_process: bool
    ) -> None:
        self.records = Records(folder, "training-job", "training job")
        self.objects = objects
        self.program = program
        self.in_process = in_process

    def create(self, **request: Any) -> dict[str, Any]:
        """Start a job; in process, also finish it."""
        operation = "sagemaker.create_training_job"
        for name in _REQUIRED:
            if name not in request:
                raise from_code("ValidationException", f"Missing required parameter: {name}", operation)
        name = request["TrainingJobName"]
        folder = self.records.folder_of(name, operation)
        if not folders.create_exclusive(folder):
            text = (
                "Training job names must be unique within an AWS account and region, and a training job with "
            )
            text += f"this name already exists ({arn('training-job', name)})"
            raise from_code("ResourceInUse", text, operation, status=400)
        now = time.time()
        state = {"status": "InProgress", "secondary": "Starting", "created": now, "modified": now}
        transition = {"status": "Starting", "start": now, "message": "Starting the training job"}
        folders.write_json(folder / "state.json", state | {"transitions": [transition]})
        record = {"request": request, "created": now}
        try:
            self._start(folder, request, partial(folders.write_json, folder / "record.json", record))
        except BaseException:
            folders.request_stop(folder)  # the program may run already
            raise
        return {"TrainingJobArn": arn("training-job", name)}

    def describe(self, TrainingJobName: str) -> dict[str, Any]:
        """The description of a job."""
        operation = "sagemaker.describe_training_job"
        folder = self.records.folder_of(TrainingJobName, operation)
        if not (folder / "record.json").is_file():
            raise from_code("ValidationException", "Requested resource not found.", operation, status=400)
        request = self.records.read(TrainingJobName, operation)["request"]
        request = {key: value for key, value in request.items() if key != "Tags"}
        return request | _described(self._state(folder), arn("training-job", TrainingJobName))

    def stop(self, TrainingJobName: str) -> dict[str, Any]:
        """Request the end of a job."""
        operation = "sagemaker.stop_training_job"
        status = self.describe(TrainingJobName)["TrainingJobStatus"]
        if status not in {"InProgress", "Stopping"}:
            text = f"The request was rejected because the training job is in status {status}."
            raise from_code("ValidationException", text, operation, status=400)
        folders.request_stop(self.records.folder_of(TrainingJobName, operation))
        return {}

    def _start(self, folder: Path, request: dict[str, Any], announce: Callable[[], None]) -> None:
        """Run the program; other processes see the job once `announce` is called."""
        spec = request["AlgorithmSpecification"]
        image = spec.get("TrainingImage") or spec.get("AlgorithmName", "")
        given = programs.arguments("train", folder / "root", image)
        extra = {"TRAINING_JOB_NAME": request["TrainingJobName"], **request.get("Environment", {})}
        plan = {
            "kind": "train",
            "command": programs.command_line(self.program, given),
            "environment": programs.environment(folder, extra),
            "grace": GRACE,
            "objects": str(self.objects.folder),
            "request": request,
        }
        if not self.in_process:
            folders.start_supervisor(folder, plan, programs.environment(folder, {}), announce)
            return
        folders.write_json(folder / "plan.json", plan)
        main = programs.load_main()
        with folders.locked(folder), folders.logging_to_folder(folder):
            announce()
            supervise(folder, lambda root, plan: programs.exit_code(partial(main, given)))

    def _state(self, folder: Path) -> dict[str, Any]:
        state = folders.read_json(folder / "state.json")
        if state["status"] != "InProgress":
            return dict(state)
        if not folders.is_alive(folder):
            # The supervisor may have written its final state between the two looks.
            state = folders.read_json(folder / "state.json")
            if state["status"] == "InProgress":
                reason = "InternalServerError: the process that ran this rehearsal was ended from outside"
                now = time.time()
                state |= {"status": "Failed", "secondary": "Failed", "reason": reason, "ended": now}
                state["transitions"].append({"status": "Failed", "start": now, "end": now, "message": reason})
                folders.write_json(folder / "state.json", state)
        elif (folder / "stop").exists():
            state |= {"status": "Stopping", "secondary": "Stopping"}
        return dict(state)


def _described(state: dict[str, Any], name: str) -> dict[str, Any]:
    """A state as an answer of DescribeTrainingJob."""
    answer: dict[str, Any] = {
        "TrainingJobArn": name,
        "TrainingJobStatus": state["status"],
        "SecondaryStatus": state["secondary"],
        "CreationTime": utc_datetime(state["created"]),
        "LastModifiedTime": utc_datetime(state["modified"]),
        "SecondaryStatusTransitions": [
            {
                "Status": entry["status"],
                "StartTime": utc_datetime(entry["start"]),
                "StatusMessage": entry["message"],
                **({"EndTime": utc_datetime(entry["end"])} if "end" in entry else {}),
            }
            for entry in state["transitions"]
        ],
    }
    if "started" in state:
        answer["TrainingStartTime"] = utc_datetime(state["started"])
    if "ended" in state:
        answer["TrainingEndTime"] = utc_datetime(state["ended"])
    if "reason" in state:
        answer["FailureReason"] = state["reason"]
    if "artifact" in state:
        answer["ModelArtifacts"] = {"S3ModelArtifacts": state["artifact"]}
    if "billable" in state:
        answer["TrainingTimeInSeconds"] = answer["BillableTimeInSeconds"] = state["billable"]
    return answer
