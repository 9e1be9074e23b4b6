"""Training jobs of a rehearsal: create, describe and stop them."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

from shapecluster._programs import container_programs
from shapecluster.remote._rehearsal import programs
from shapecluster.remote._rehearsal.captured import logging_to_folder
from shapecluster.remote._rehearsal.jobs import Jobs
from shapecluster.remote._rehearsal.objects import Store
from shapecluster.remote._rehearsal.records import Refusal, described
from shapecluster.remote._rehearsal.supervisor import State, supervise, write_json

GRACE = 120.0  # seconds between SIGTERM and SIGKILL, as on SageMaker

# What state.json holds, by the names of DescribeTrainingJob.
_STATE = {
    "status": "TrainingJobStatus",
    "secondary": "SecondaryStatus",
    "created": "CreationTime",
    "modified": "LastModifiedTime",
    "started": "TrainingStartTime",
    "ended": "TrainingEndTime",
    "reason": "FailureReason",
}
_STEP = {"status": "Status", "start": "StartTime", "end": "EndTime", "message": "StatusMessage"}
_REQUIRED = (
    *("TrainingJobName", "AlgorithmSpecification", "OutputDataConfig", "ResourceConfig"),
    "StoppingCondition",
)


class TrainingJobs(Jobs):
    """Creates, describes and stops jobs; each has a folder of its own.

    Parameters
    ----------
    store : Store
        The rehearsal.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(store, "training-job")
        self._store = store

    def create(self, request: dict[str, Any]) -> None:
        """Start a job; in process, also finish it."""
        for member in _REQUIRED:
            if member not in request:
                raise Refusal("ValidationException", f"Missing required parameter: {member}")
        folder = self.claim(request["TrainingJobName"])
        now = time.time()
        state = {"status": "InProgress", "secondary": "Starting", "created": now, "modified": now}
        write_json(folder / "state.json", state | {"transitions": []})
        State(folder).enter("Starting", "Starting the training job")
        try:
            self._start(folder, request)
        except BaseException:
            programs.request_stop(folder)  # the program may run already
            raise

    def _start(self, folder: Path, request: dict[str, Any]) -> None:
        spec = request["AlgorithmSpecification"]
        image = spec.get("TrainingImage") or spec.get("AlgorithmName", "")
        variables = {"TRAINING_JOB_NAME": request["TrainingJobName"], **request.get("Environment", {})}
        plan = programs.plan("train", image, self._store.program, folder, variables)
        plan |= {"grace": GRACE, "objects": str(self._store.buckets), "request": request}
        announce = partial(self.write, folder, request)
        if not self._store.in_process:
            programs.start_supervisor(folder, plan, announce)
            return
        write_json(folder / "plan.json", plan)
        main = container_programs().load_main()
        with programs.locked(folder), logging_to_folder(folder):
            announce()
            supervise(folder, partial(programs.exit_code, main))

    def state(self, folder: Path) -> dict[str, Any]:
        """State of a job, with the time of each step."""
        state = self._current(folder)
        answer = described(state, _STATE)
        answer["SecondaryStatusTransitions"] = [described(step, _STEP) for step in state["transitions"]]
        if "artifact" in state:
            answer["ModelArtifacts"] = {"S3ModelArtifacts": state["artifact"]}
        if "billable" in state:
            answer["TrainingTimeInSeconds"] = answer["BillableTimeInSeconds"] = state["billable"]
        return answer

    def _current(self, folder: Path) -> dict[str, Any]:
        state = State(folder)
        if state.now["status"] != "InProgress":
            return state.now
        if not programs.is_alive(folder):
            # The supervisor may have written its final state between the two looks.
            state = State(folder)
            if state.now["status"] == "InProgress":
                state.fail("InternalServerError: the process that ran this rehearsal was ended from outside")
        elif programs.stop_requested(folder):
            return state.now | {"status": "Stopping", "secondary": "Stopping"}
        return state.now
