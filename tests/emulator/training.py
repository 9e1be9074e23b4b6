"""Training jobs: files in, a program, model.tar.gz out, and every state on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.emulator import programs
from tests.emulator.artifacts import packed, spoiled
from tests.emulator.errors import invalid
from tests.emulator.faults import JobFault
from tests.emulator.inventory import now, page
from tests.emulator.jobs import Ended, Job, clock
from tests.emulator.training_checks import check_training_job
from tests.emulator.wire import Caller

if TYPE_CHECKING:
    from tests.emulator.server import Emulator

_MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Interrupted": "Training job interrupted: the Spot instance was reclaimed",
    "Stopping": "Stopping the training job",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "MaxWaitTimeExceeded": "Training job exceeded MaxWaitTimeInSeconds provided",
}
_PASSED_ON = (
    *("HyperParameters", "AlgorithmSpecification", "RoleArn", "InputDataConfig", "OutputDataConfig"),
    *("ResourceConfig", "VpcConfig", "StoppingCondition", "EnableNetworkIsolation", "CheckpointConfig"),
    *("EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining", "Environment", "RetryStrategy"),
)


class TrainingJob(Job):
    """One job. Each start on new instances has folders of its own, as a new instance has empty disks."""

    def __init__(
        self,
        emulator: Emulator,
        request: dict[str, Any],
        caller: Caller,
        program: programs.Program,
    ) -> None:
        name = request["TrainingJobName"]
        super().__init__(emulator, name, emulator.training_jobs.arn(name, caller), request, caller)
        self.secondary = ""
        self.transitions: list[dict[str, Any]] = []
        self.started: float | None = None  # when training first started
        self.billed = 0.0
        self.logs: dict[str, Path] = {}
        self.attempt = 0
        self.model_uri = ""
        self._program = program
        self._born = clock()
        self._role = request["RoleArn"]
        self._enter("Starting")

    def describe(self) -> dict[str, Any]:
        """The answer of DescribeTrainingJob."""
        with self._lock:
            return self._description()

    def _description(self) -> dict[str, Any]:
        answer = {member: self.request[member] for member in _PASSED_ON if member in self.request}
        if "KmsKeyId" not in answer["OutputDataConfig"]:
            answer["OutputDataConfig"] = {"KmsKeyId": "", **answer["OutputDataConfig"]}
        answer |= {
            "TrainingJobName": self.name,
            "TrainingJobArn": self.arn,
            "ModelArtifacts": {"S3ModelArtifacts": self.model_uri} if self.model_uri else None,
            "TrainingJobStatus": self.status,
            "SecondaryStatus": self.secondary,
            "SecondaryStatusTransitions": [dict(t) for t in self.transitions],
            "CreationTime": self.created,
            "LastModifiedTime": self.changed,
            "EnableNetworkIsolation": self.request.get("EnableNetworkIsolation", False),
            "EnableManagedSpotTraining": self.request.get("EnableManagedSpotTraining", False),
        }
        if self.reason:
            answer["FailureReason"] = self.reason
        if "KeepAlivePeriodInSeconds" in self.request["ResourceConfig"] and self.status == "Completed":
            retained = {"Status": "Available", "ResourceRetainedBillableTimeInSeconds": 0}
            answer["WarmPoolStatus"] = retained
        if self.started is not None:
            answer["TrainingStartTime"] = self.started
            if self.ended is not None:
                answer["TrainingEndTime"] = self.ended
                # The service counts whole seconds; of a start of a spot job, only what was not lost.
                answer["TrainingTimeInSeconds"] = max(1, round(self.ended - self.started))
                answer["BillableTimeInSeconds"] = max(1, round(self.billed))
        return answer

    # The life, in the order of its states.

    def _live(self) -> None:
        self._stage("Starting")
        while True:
            self.attempt += 1
            self._enter("Downloading")
            roots = self._download()
            self._stage("Downloading")
            self.started = self.started or now()
            self._enter("Training")
            outcome, fault = self._train(roots)
            self._save_checkpoints(roots[0])
            if outcome != "interrupted":
                break
            assert fault is not None
            self._enter("Interrupted")
            self._pause(max(fault.wait, self.emulator.dwell))
            self._enter("Starting")
        if outcome == "stopped":
            self._enter("Stopping")
        self._enter("Uploading")
        self._upload(roots, self._stage("Uploading", stoppable=False))
        if outcome != "done":
            raise Ended("Stopped", secondary={"stopped": "Stopped"}.get(outcome, outcome))

    def _stage(self, stage: str, *, stoppable: bool = True) -> JobFault | None:
        """Let a status last, unless it is to go wrong in it; the fault, if there is one."""
        fault = self.emulator.faults.of_job(self.name, stage)
        if fault is not None and fault.kind == "fail":
            raise Ended("Failed", fault.reason)
        if fault is not None and fault.kind == "stop":
            self.stop()
        if stoppable:
            self._pause(self.emulator.dwell)
        return fault

    def _download(self) -> list[Path]:
        """A folder like /opt/ml for each host, filled with its share of the data."""
        count = 1 if self._program.built_in else self.request["ResourceConfig"].get("InstanceCount", 1)
        hosts = [f"algo-{number + 1}" for number in range(count)]
        roots = [self.folder / f"attempt-{self.attempt}" / host for host in hosts]
        channels = self.request.get("InputDataConfig", [])
        for number, root in enumerate(roots):
            for folder in ("input/config", "input/data", "model", "output/data", "checkpoints"):
                (root / folder).mkdir(parents=True)
            self._write_configs(root, hosts[number], hosts, channels)
            for channel in channels:
                self._download_channel(channel, root, number, count)
            checkpoints = self.request.get("CheckpointConfig")
            if checkpoints:
                self.emulator.storage.mirror_down(checkpoints["S3Uri"], _local(root, checkpoints), self._role)
        return roots

    def _download_channel(self, channel: dict[str, Any], root: Path, number: int, count: int) -> None:
        source = channel["DataSource"]["S3DataSource"]
        bucket, _, prefix = source["S3Uri"].removeprefix("s3://").partition("/")
        keys = self.emulator.storage.keys(source["S3Uri"], self._role)
        if source.get("S3DataDistributionType") == "ShardedByS3Key":
            keys = keys[number::count]
        for key in keys:
            self._check_stop()
            # A prefix is a folder, or the beginning of a name, which is kept whole.
            folder = f"{prefix.rstrip('/')}/"
            cut = len(folder) if prefix and key.startswith(folder) else prefix.rfind("/") + 1
            path = root / "input/data" / channel["ChannelName"] / key[cut:]
            self.emulator.storage.download(bucket, key, path, self._role)

    def _write_configs(self, root: Path, host: str, hosts: list[str], channels: list[dict[str, Any]]) -> None:
        mode = self.request["AlgorithmSpecification"]["TrainingInputMode"]
        configs = {
            "hyperparameters": self.request.get("HyperParameters", {}),
            "inputdataconfig": {
                channel["ChannelName"]: {
                    "ContentType": channel.get("ContentType", ""),
                    "TrainingInputMode": channel.get("InputMode", mode),
                    "S3DistributionType": channel["DataSource"]["S3DataSource"].get(
                        "S3DataDistributionType", "FullyReplicated"
                    ),
                    "RecordWrapperType": channel.get("RecordWrapperType", "None"),
                }
                for channel in channels
            },
            "resourceconfig": {
                "current_host": host,
                "hosts": hosts,
                "current_instance_type": self.request["ResourceConfig"].get("InstanceType", ""),
                "network_interface_name": "eth0",
            },
        }
        for name, config in configs.items():
            (root / f"input/config/{name}.json").write_text(json.dumps(config))

    def _train(self, roots: list[Path]) -> tuple[str, JobFault | None]:
        """Run the program on every host; how it ended, and the fault that ended it, if one did."""
        fault = self.emulator.faults.of_job(self.name, "Training")
        if fault is not None and fault.kind == "spot":
            spot = self.request.get("EnableManagedSpotTraining", False)
            assert spot, f"{self.name} runs on no Spot instance, so it cannot be interrupted"
        running = [self._start(root) for root in roots]
        begun = clock()
        try:
            outcome = self._watch(running, roots, fault, begun)
        finally:
            for process in running:
                process.kill()
            if fault is None or fault.kind != "spot":
                self.billed += clock() - begun
        if outcome == "done":
            self._check_exit(roots, running)
        return outcome, fault

    def _start(self, root: Path) -> programs.Process:
        host = root.name
        stream = f"{self.name}/{host}-{round(self.created)}"
        log = self.logs.setdefault(stream, self.folder / f"{host}.log")
        env = {
            **self.request.get("Environment", {}),
            "TRAINING_JOB_NAME": self.name,
            "TRAINING_JOB_ARN": self.arn,
        }
        isolated = self.request.get("EnableNetworkIsolation", False)
        return programs.train(self._program, root, log, env=env, isolated=isolated, cwd=root)

    def _watch(
        self, running: list[programs.Process], roots: list[Path], fault: JobFault | None, begun: float
    ) -> str:
        """Wait for the end of the programs, or for what ends them."""
        second = self.emulator.second
        limits = self.request["StoppingCondition"]
        overtime = begun + limits["MaxRuntimeInSeconds"] * second
        longest = self._born + limits.get("MaxWaitTimeInSeconds", 1e9) * second
        while True:
            codes = [process.exit_code for process in running]
            if any(codes) or None not in codes:
                return "done"
            if self.stopping.is_set():
                self._enter("Stopping")
                return self._terminate(running, "stopped")
            if clock() > overtime:
                return self._terminate(running, "MaxRuntimeExceeded")
            if clock() > longest:
                return self._terminate(running, "MaxWaitTimeExceeded")
            if fault is not None and self._strikes(fault, roots[0], begun):
                outcome = self._suffer(fault, running)
                if outcome:
                    return outcome
            running[0].wait(0.005)

    def _strikes(self, fault: JobFault, root: Path, begun: float) -> bool:
        seen = not fault.when or any(root.glob(fault.when))
        return seen and clock() >= begun + fault.after

    def _suffer(self, fault: JobFault, running: list[programs.Process]) -> str:
        if fault.kind == "fail":
            raise Ended("Failed", fault.reason)
        if fault.kind == "overtime":
            return self._terminate(running, "MaxRuntimeExceeded")
        if fault.kind == "spot":
            return self._terminate(running, "interrupted", notice=fault.notice)
        self.stop()
        return ""

    def _terminate(self, running: list[programs.Process], outcome: str, *, notice: bool = True) -> str:
        for process in running:
            process.stop(self.emulator.grace) if notice else process.kill()
        return outcome

    def _check_exit(self, roots: list[Path], running: list[programs.Process]) -> None:
        for root, process in zip(roots, running, strict=True):
            code = process.exit_code or 0
            if code:
                # A shell, and so the service, tells of a signal as 128 and its number.
                code = 128 - code if code < 0 else code
                failure = root / "output/failure"
                text = failure.read_text(errors="replace")[:1024] if failure.exists() else ""
                # The code stays readable however long the text is.
                raise Ended("Failed", f"AlgorithmError: {text[:980]}, exit code: {code}")

    def _save_checkpoints(self, root: Path) -> None:
        config = self.request.get("CheckpointConfig")
        if config:
            self.emulator.storage.mirror_up(_local(root, config), config["S3Uri"], self._role)

    def _upload(self, roots: list[Path], fault: JobFault | None) -> None:
        """Model and output of all hosts, as two archives."""
        output = self.request["OutputDataConfig"]
        base = f"{output['S3OutputPath'].rstrip('/')}/{self.name}/output"
        archive: bytes | None = packed([root / "model" for root in roots])
        if fault is not None and fault.kind == "artifact":
            assert archive is not None
            archive = spoiled(archive, fault.spoil, fault.size)
        key = output.get("KmsKeyId")
        if archive is not None:
            self.emulator.storage.write(f"{base}/model.tar.gz", archive, self._role, key)
        data = [root / "output/data" for root in roots]
        if any(any(folder.iterdir()) for folder in data):
            self.emulator.storage.write(f"{base}/output.tar.gz", packed(data), self._role, key)
        self.model_uri = f"{base}/model.tar.gz"

    def _enter(self, secondary: str) -> None:
        if secondary == self.secondary:
            return
        moment = now()
        with self._lock:
            if self.transitions:
                self.transitions[-1]["EndTime"] = moment
            message = _MESSAGES[secondary]
            self.transitions.append({"Status": secondary, "StartTime": moment, "StatusMessage": message})
            self.secondary, self.changed = secondary, moment

    def _finish(self, status: str, reason: str, secondary: str) -> None:
        self._enter(secondary)
        self.transitions[-1]["EndTime"] = now()
        if reason:
            self.transitions[-1]["StatusMessage"] = reason[:1024]
        super()._finish(status, reason, secondary)

    def _release(self) -> None:
        self.emulator.quota.give_back()


def _local(root: Path, config: dict[str, Any]) -> Path:
    """The folder of checkpoints; /opt/ml is the root."""
    path: str = config.get("LocalPath", "/opt/ml/checkpoints")
    return root / path.removeprefix("/opt/ml/").rstrip("/")


def create_training_job(emulator: Emulator, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
    program = check_training_job(emulator, request, caller)
    job = TrainingJob(emulator, request, caller, program)
    emulator.quota.take(request["ResourceConfig"].get("InstanceType", ""))
    try:
        emulator.training_jobs.add(job)
    except Exception:
        emulator.quota.give_back()
        raise
    emulator.tags[job.arn] = {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}
    job.start()
    return {"TrainingJobArn": job.arn}


def describe_training_job(emulator: Emulator, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
    return emulator.training_jobs.get(request["TrainingJobName"], caller).describe()


def stop_training_job(emulator: Emulator, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
    job = emulator.training_jobs.get(request["TrainingJobName"], caller)
    if not job.running:
        raise invalid(f"The request was rejected because the training job is in status {job.status}.")
    job.stop()
    return {}


def list_training_jobs(emulator: Emulator, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
    rows = [
        {
            "TrainingJobName": job.name,
            "TrainingJobArn": job.arn,
            "CreationTime": job.created,
            "LastModifiedTime": job.changed,
            "TrainingJobStatus": job.status,
        }
        for job in emulator.training_jobs
        if request.get("NameContains", "") in job.name
        and job.status == request.get("StatusEquals", job.status)
    ]
    rows, more = page(sorted(rows, key=lambda row: row["CreationTime"], reverse=True), request)
    return {"TrainingJobSummaries": rows, **more}
