"""The supervisor of a rehearsal: runs one program in a folder, as SageMaker does.

Started as a script (``python -I supervisor.py FOLDER LOCK``), it detaches from the process that started it.
Jobs and endpoints outlive that process, and other processes find them by their files:

```
plan.json    command, environment and request                    (written before the start)
state.json   state of the job; always complete                   (written here)
log.jsonl    output of the program, with times                   (written here)
stop         requests the end of the program                     (written by any process)
lock         held as long as the supervisor lives
root/        what the program sees as /opt/ml
```

It imports the standard library only: starting NumPy a second time would delay each job.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

_TICK = 0.02  # seconds between two looks at a program that has just begun
_SLOWEST = 0.2  # seconds between two looks at a program that has run for a while
_LINE = 2**16  # bytes; longer lines of a log are cut
_REASON = 1024  # characters of output/failure in the reason, as on SageMaker


def write_json(path: Path, value: Any) -> None:
    """Replace a file atomically, so that no process reads half of it."""
    # Not `shapecluster._files`, which a script started with -I may not find. Its fsync is not needed
    # either: a crash of the machine ends the supervisor as well.
    # Threads of one process may write the same file: the name has both numbers.
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    fresh.write_text(json.dumps(value), encoding="utf-8")
    os.replace(fresh, path)


def read_json(path: Path) -> Any:
    """Read what `write_json` wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


class State:
    """State of a job, stored in state.json."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "state.json"
        self.now: dict[str, Any] = read_json(self.path)

    def enter(self, secondary: str, message: str, status: str | None = None, **more: Any) -> None:
        """Enter the next state, and store the time."""
        moment = time.time()
        transitions = self.now["transitions"]
        if transitions:
            transitions[-1]["end"] = moment
        transitions.append({"status": secondary, "start": moment, "message": message})
        self.now |= more | {"secondary": secondary, "modified": moment}
        if status is not None:
            transitions[-1]["end"] = self.now["ended"] = moment
            self.now["status"] = status
        write_json(self.path, self.now)

    def fail(self, reason: str, **more: Any) -> None:
        """Enter the state of a job that failed."""
        self.enter("Failed", reason, "Failed", reason=reason, **more)


def supervise(folder: Path, run: Callable[[list[str]], int] | None = None) -> None:
    """Run the program in plan.json to its end.

    Parameters
    ----------
    folder : Path
        Folder of the job or endpoint.
    run : callable, default=None
        Runs the program in this process. It takes the arguments, and returns the exit code. None starts a
        process.
    """
    plan = read_json(folder / "plan.json")
    if plan["kind"] == "serve":
        _execute(folder, plan, None)
        return
    state = State(folder)
    try:
        _train(folder, plan, state, run)
    except _JobError as error:
        _remove_data(folder / "root")
        state.fail(str(error))
    except Exception as error:
        _remove_data(folder / "root")
        state.fail(f"InternalServerError: the rehearsal broke: {type(error).__name__}: {error}")


def _remove_data(root: Path) -> None:
    """Remove the copy of the data; called before the final state, after which nothing may change."""
    shutil.rmtree(root / "input" / "data", ignore_errors=True)


class _JobError(Exception):
    """The job fails for this reason."""


def _train(folder: Path, plan: dict[str, Any], state: State, run: Callable[[list[str]], int] | None) -> None:
    request, objects, root = plan["request"], Path(plan["objects"]), folder / "root"
    if (folder / "stop").exists():
        state.enter("Stopped", "The job was stopped", "Stopped")
        return
    state.enter("Downloading", "Downloading input data")
    _prepare(root, request, objects)
    started = time.time()
    state.enter("Training", "Training is under way", started=started)
    limit = request["StoppingCondition"]["MaxRuntimeInSeconds"]
    if run is None:
        code, ended_by = _execute(folder, plan, limit)
    else:
        code, ended_by = run(plan["arguments"]), None
    # AWS bills whole seconds, and at least one.
    billable = max(1, math.ceil(time.time() - started))
    _remove_data(root)
    _store_checkpoints(root, request, objects)
    if ended_by is None and code != 0:
        failure = root / "output" / "failure"
        text = failure.read_text(encoding="utf-8", errors="replace")[:_REASON] if failure.is_file() else ""
        state.fail(f"AlgorithmError: {text}, exit code: {code}", billable=billable)
        return
    state.enter("Uploading", "Uploading generated training model", billable=billable)
    _upload(root, request, objects, state)
    if ended_by is None:
        state.enter("Completed", "Training job completed", "Completed")
    else:
        stopped = ended_by == "Stopped"
        message = "The job was stopped" if stopped else "Maximum runtime exceeded"
        state.enter(ended_by, message, "Stopped")


def _prepare(root: Path, request: dict[str, Any], objects: Path) -> None:
    """Create the files that the program finds when it starts."""
    for folder in ("input/config", "input/data", "model", "output/data", "checkpoints"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    channels = {}
    for channel in request.get("InputDataConfig", []):
        name, source = channel["ChannelName"], channel["DataSource"]["S3DataSource"]
        if not _copy_out(objects, source["S3Uri"], root / "input" / "data" / name):
            raise _JobError(
                f"ClientError: Data download failed:NoSuchKey (404): no file is under {source['S3Uri']}, "
                f"the data of channel {name}"
            )
        channels[name] = {
            "ContentType": channel.get("ContentType", "application/octet-stream"),
            "TrainingInputMode": "File",
            "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        }
    if "CheckpointConfig" in request:
        _copy_out(objects, request["CheckpointConfig"]["S3Uri"].rstrip("/") + "/", root / "checkpoints")
    hosts = {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "lo"}
    hosts["current_instance_type"] = request["ResourceConfig"]["InstanceType"]
    config = root / "input" / "config"
    write_json(config / "hyperparameters.json", request.get("HyperParameters", {}))
    write_json(config / "inputdataconfig.json", channels)
    write_json(config / "resourceconfig.json", hosts)


def _bucket_and_key(objects: Path, uri: str) -> tuple[Path, str]:
    match = re.fullmatch(r"s3://([^/]+)/?(.*)", uri, re.DOTALL)
    if match is None or ".." in match.group(2).split("/"):
        raise _JobError(f"ClientError: {uri!r} is no place in S3")
    return objects / match.group(1), match.group(2)


def _copy_out(objects: Path, uri: str, target: Path) -> int:
    """Copy all files under a prefix into a folder; returns their number."""
    bucket, prefix = _bucket_and_key(objects, uri)
    base = prefix[: prefix.rfind("/") + 1]
    found = [p for p in sorted(bucket.rglob("*")) if p.is_file()] if bucket.is_dir() else []
    keys = [key for key in (p.relative_to(bucket).as_posix() for p in found) if key.startswith(prefix)]
    for key in keys:
        path = target / key[len(base) :]
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(bucket / key, path)
    return len(keys)


def _store_checkpoints(root: Path, request: dict[str, Any], objects: Path) -> None:
    if "CheckpointConfig" in request:
        bucket, prefix = _bucket_and_key(objects, request["CheckpointConfig"]["S3Uri"])
        shutil.copytree(
            root / "checkpoints", bucket / prefix, ignore_dangling_symlinks=True, dirs_exist_ok=True
        )


def _upload(root: Path, request: dict[str, Any], objects: Path, state: State) -> None:
    """Pack and store the files that the program left, as SageMaker does."""
    base = f"{request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{request['TrainingJobName']}/output"
    bucket, prefix = _bucket_and_key(objects, base)
    for source, name in ((root / "model", "model.tar.gz"), (root / "output" / "data", "output.tar.gz")):
        if not any(source.iterdir()):
            continue
        target = bucket / prefix / name
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f".{name}.{os.getpid()}")
        # The lowest level: the archive is read once, on this machine.
        with tarfile.open(fresh, "w:gz", compresslevel=1) as archive:
            for path in sorted(source.iterdir()):
                archive.add(path, arcname=path.name)
        os.replace(fresh, target)
        if name == "model.tar.gz":
            state.now["artifact"] = f"{base}/{name}"


def _execute(folder: Path, plan: dict[str, Any], limit: float | None) -> tuple[int, str | None]:
    """Run the program in a process group; its exit code, and what else than itself ended it, if anything."""
    root = folder / "root"
    root.mkdir(exist_ok=True)
    try:
        program = subprocess.Popen(
            [*plan["program"], *plan["arguments"]],
            cwd=root,
            env=plan["environment"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise _JobError(
            f"ClientError: the program {plan['program'][0]!r} cannot be started: {error}"
        ) from None
    assert program.stdout is not None
    writer = threading.Thread(target=_write_log, args=(program.stdout, folder / "log.jsonl"), daemon=True)
    writer.start()
    try:
        ended_by = _watch(program, folder / "stop", limit, plan["grace"])
    finally:
        _signal(program, signal.SIGKILL)  # processes that the program started and left
        code = program.wait()
    writer.join(timeout=5.0)
    return code, ended_by


def _watch(program: subprocess.Popen[bytes], stop: Path, limit: float | None, grace: float) -> str | None:
    started, asked, ended_by = time.monotonic(), None, None
    while program.poll() is None:
        now = time.monotonic()
        if asked is None:
            if stop.exists() or not stop.parent.exists():  # a removed folder is a request to stop as well
                ended_by = "Stopped"
            elif limit is not None and now - started > limit:
                ended_by = "MaxRuntimeExceeded"
            if ended_by is not None:
                asked = now
                _signal(program, signal.SIGTERM)
        elif now - asked > grace:
            _signal(program, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            program.wait(min(_SLOWEST, _TICK + (now - started) / 50))
    return ended_by


def _signal(program: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(program.pid, number)


def _write_log(stream: IO[bytes], path: Path) -> None:
    with stream, path.open("a", encoding="utf-8") as log:
        while line := stream.readline(_LINE):
            if text := line.rstrip(b"\r\n").decode("utf-8", "replace"):
                log.write(json.dumps({"timestamp": int(time.time() * 1000), "message": text}) + "\n")
                log.flush()


def main(folder: str, lock: str) -> None:
    """Detach from the process that started this, and supervise; `lock` is the number of a locked file."""
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)  # forked twice: a session's leader could acquire a terminal, and its Ctrl-C
    stop = Path(folder) / "stop"
    signal.signal(signal.SIGTERM, lambda *_: stop.touch())
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    os.set_inheritable(int(lock), False)  # the program must not hold it
    with contextlib.suppress(FileNotFoundError):  # the folder was removed
        supervise(Path(folder))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
