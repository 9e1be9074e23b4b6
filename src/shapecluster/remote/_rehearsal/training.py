"""Training jobs of a rehearsal: create, describe and stop them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from shapecluster.remote._rehearsal import folders, programs
from shapecluster.remote._rehearsal.captured import logging_to_folder
from shapecluster.remote._rehearsal.objects import Store
from shapecluster.remote._rehearsal.records import Records, Refusal, with_times
from shapecluster.remote._rehearsal.supervisor import State, supervise, write_json

GRACE = 120.0  # seconds between SIGTERM and SIGKILL, as on SageMaker

_REQUIRED = (
    *("TrainingJobName", "AlgorithmSpecification", "OutputDataConfig", "ResourceConfig"),
    "StoppingCondition",
)


class TrainingJobs:
    """Creates, describes and stops jobs; each has a folder of its own.

    Parameters
    ----------
    store : Store
        The rehearsal.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.records = Records(store.path / "sagemaker", "training-job")

    def create(self, **request: Any) -> dict[str, Any]:
        """Start a job; in process, also finish it."""
        for member in _REQUIRED:
            if member not in request:
                raise Refusal("ValidationException", f"Missing required parameter: {member}")
        name = request["TrainingJobName"]
        folder = self.records.claim(name)
        state = {"TrainingJobStatus": "InProgress", "SecondaryStatusTransitions": []}
        write_json(folder / "state.json", state)
        State(folder).enter("Starting", "Starting the training job")
        try:
            self._start(folder, request, partial(self.records.write, folder, request))
        except BaseException:
            folders.request_stop(folder)  # the program may run already
            raise
        return {"TrainingJobArn": self.records.arn(name)}

    def describe(self, TrainingJobName: str) -> dict[str, Any]:
        """The description of a job."""
        folder = self.records.folder_of(TrainingJobName)
        if not (folder / "record.json").is_file():
            raise Refusal("ValidationException", "Requested resource not found.")
        state = with_times(self._state(folder))
        transitions = [with_times(one) for one in state["SecondaryStatusTransitions"]]
        return self.records.describe(TrainingJobName) | state | {"SecondaryStatusTransitions": transitions}

    def stop(self, TrainingJobName: str) -> dict[str, Any]:
        """Request the end of a job."""
        status = self.describe(TrainingJobName)["TrainingJobStatus"]
        if status not in {"InProgress", "Stopping"}:
            text = f"The request was rejected because the training job is in status {status}."
            raise Refusal("ValidationException", text)
        folders.request_stop(self.records.folder_of(TrainingJobName))
        return {}

    def _start(self, folder: Path, request: dict[str, Any], announce: Callable[[], None]) -> None:
        """Run the program; other processes see the job once `announce` is called."""
        spec = request["AlgorithmSpecification"]
        image = spec.get("TrainingImage") or spec.get("AlgorithmName", "")
        given = programs.arguments("train", folder / "root", image)
        variables = {"TRAINING_JOB_NAME": request["TrainingJobName"], **request.get("Environment", {})}
        more = {"grace": GRACE, "objects": str(self.store.buckets), "request": request}
        plan = programs.plan("train", given, self.store.program, folder, variables, **more)
        if not self.store.in_process:
            folders.start_supervisor(folder, plan, announce)
            return
        write_json(folder / "plan.json", plan)
        main = programs.load_main()
        with folders.locked(folder), logging_to_folder(folder):
            announce()
            supervise(folder, lambda root, plan: programs.exit_code(partial(main, given)))

    def _state(self, folder: Path) -> dict[str, Any]:
        state = State(folder)
        if state.now["TrainingJobStatus"] != "InProgress":
            return state.now
        if not folders.is_alive(folder):
            # The supervisor may have written its final state between the two looks.
            state = State(folder)
            if state.now["TrainingJobStatus"] == "InProgress":
                state.fail("InternalServerError: the process that ran this rehearsal was ended from outside")
        elif (folder / "stop").exists():
            return state.now | {"TrainingJobStatus": "Stopping", "SecondaryStatus": "Stopping"}
        return state.now
