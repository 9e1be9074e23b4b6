"""Which program an image or algorithm stands for, and how one is run: as in a container, without one."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "src"
ISOLATED = HERE / "isolated.py"

BUILT_IN_KMEANS = re.compile(r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/kmeans:1")
OURS = "123456789012.dkr.ecr.us-east-1.amazonaws.com/shapecluster:latest"


@dataclass(frozen=True)
class Program:
    """What runs in place of an image: `argv`, then `train` or `serve`, then `--root DIR`."""

    argv: tuple[str, ...]
    options: tuple[str, ...] = ()  # behind `train` and `serve`
    environment: dict[str, str] = field(default_factory=dict)
    built_in: bool = False  # takes no Environment, and is one program however many instances there are


def stub(**environment: str) -> Program:
    """A program that starts in milliseconds; see `stub.py`."""
    return Program((sys.executable, "-I", "-S", str(HERE / "stub.py")), environment=environment)


def foreign_kshape(**environment: str) -> Program:
    """The Marketplace listing's; see `foreign_kshape.py`."""
    return Program((sys.executable, str(HERE / "foreign_kshape.py")), environment=environment)


def ours(algorithm: str, *, built_in: bool = False) -> Program:
    """The library's own container program."""
    argv = (sys.executable, "-m", "shapecluster.container")
    return Program(argv, ("--algorithm", algorithm), {"PYTHONPATH": str(SOURCE)}, built_in)


class Registry:
    """Images by name. A tag or digest is part of a name; a name without one stands for all."""

    def __init__(self) -> None:
        self._programs = {OURS.partition(":")[0]: ours("k-shape")}
        self._kmeans = ours("k-means", built_in=True)

    def add(self, image: str, program: Program) -> None:
        self._programs[image] = program

    def find(self, image: str) -> Program | None:
        if BUILT_IN_KMEANS.fullmatch(image):
            return self._programs.get(image, self._kmeans)
        return self._programs.get(image) or self._programs.get(re.split(r"[:@]", image)[0])


@cache
def can_isolate() -> bool:
    """Whether this machine lets us make network namespaces."""
    command = [sys.executable, "-I", "-S", str(ISOLATED), "/bin/true"]
    return subprocess.run(command, capture_output=True).returncode == 0


def environment(extra: dict[str, str]) -> dict[str, str]:
    """This process' environment without anything that belongs to AWS or to a job of ours."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SAGEMAKER_", "SHAPECLUSTER_"))}
    return {**kept, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", **extra}


class Process:
    """A program in a process group of its own; what it prints goes to a file."""

    def __init__(self, command: list[str], log: Path, env: dict[str, str], cwd: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment(env),
                cwd=cwd,
                start_new_session=True,
            )

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def wait(self, seconds: float) -> bool:
        """Whether it ended in time."""
        end = time.monotonic() + seconds
        while self._process.poll() is None:
            if time.monotonic() >= end:
                return False
            time.sleep(0.002)
        return True

    def signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def stop(self, grace: float) -> None:
        """SIGTERM, and SIGKILL for what is left of the group after a while."""
        if self.exit_code is None:
            self.signal(signal.SIGTERM)
            self.wait(grace)
        self.kill()

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self._process.wait()


def train(
    program: Program, root: Path, log: Path, *, env: dict[str, str], isolated: bool, cwd: Path
) -> Process:
    """Start a training program on a folder that stands for /opt/ml."""
    command = [*program.argv, "train", "--root", str(root), *program.options]
    if isolated and can_isolate():
        command = [sys.executable, "-I", "-S", str(ISOLATED), *command]
    return Process(command, log, {**program.environment, **env}, cwd)


def serve(
    program: Program, root: Path, log: Path, *, port: int, door: Path | None, env: dict[str, str]
) -> Process:
    """Start a serving program; with a door it has no network, and the door leads to its port."""
    options = [*program.options, "--host", "127.0.0.1", "--port", str(port)]
    command = [*program.argv, "serve", "--root", str(root), *options]
    if door is not None:
        command = [sys.executable, "-I", "-S", str(ISOLATED), "--door", str(door), str(port), *command]
    return Process(command, log, {**program.environment, **env}, root)
