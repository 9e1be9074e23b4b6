"""Execute the Dockerfile's instructions without Docker, and run the program of the image.

    python check_image.py build/image        with the Python version of the Dockerfile

`make image DOCKER=:` makes the folder. Each instruction of the Dockerfile runs in a temporary folder in place
of the image's root, and in a virtual environment in place of its Python. Then a job trains and its model is
served, with the calls that SageMaker makes. This script needs only the standard library.
"""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from dataclasses import dataclass, field
from pathlib import Path

_START_SECONDS = 60.0  # time for a server to start
_IGNORED = {"LABEL", "EXPOSE"}  # instructions without an effect outside Docker
_NOT_PINNED = {"pip", "setuptools", "wheel", "shapecluster"}  # they come with Python or from the wheel


def instructions(text: str) -> list[tuple[str, str]]:
    """Parse a Dockerfile: continued lines are joined, and comments are dropped."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in joined.splitlines() if line.strip()]


@dataclass
class Image:
    """The state of the build below `root`, after the instructions so far."""

    context: Path
    root: Path
    workdir: Path = field(init=False)
    variables: dict[str, str] = field(default_factory=dict)
    entry: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.workdir = self.root
        python = self.root / "venv"
        venv.create(python, with_pip=True)
        # Neither the caller's Python settings nor its credentials may reach the program.
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "AWS_", "SHAPECLUSTER_"))}
        self.variables = kept | {"PATH": f"{python / 'bin'}:/usr/bin:/bin"}
        self.variables |= {
            "PIP_NO_COMPILE": "1",
            "PIP_PROGRESS_BAR": "off",
        }  # most are never imported

    def build(self) -> None:
        for name, value in instructions((self.context / "Dockerfile").read_text("utf-8")):
            if name not in _IGNORED:
                getattr(self, f"do_{name.lower()}")(value)  # an AttributeError names an unknown instruction

    def do_from(self, value: str) -> None:
        wanted = re.match(r"python:(\d+\.\d+)", value)[1]
        found = "{}.{}".format(*sys.version_info)
        if wanted != found:
            print(f"Note: the image has Python {wanted}, and this is {found}.")

    def do_env(self, value: str) -> None:
        self.variables |= dict(pair.split("=", 1) for pair in shlex.split(value))

    def do_workdir(self, value: str) -> None:
        self.workdir = self.root / value.lstrip("/")
        self.workdir.mkdir(parents=True)

    def do_copy(self, value: str) -> None:
        *sources, target = value.split()
        for source in sources:
            found = list(self.context.glob(source))
            assert found, f"COPY {source}: nothing of this name in {self.context}"
            for path in found:
                shutil.copy(path, self.workdir / target)

    def do_run(self, value: str) -> None:
        print(f"RUN {value}", flush=True)
        subprocess.run(["sh", "-c", value], cwd=self.workdir, env=self.variables, check=True)

    def do_entrypoint(self, value: str) -> None:
        self.entry = json.loads(value)

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start the program as `docker run IMAGE arguments` does."""
        return subprocess.Popen(
            [*self.entry, *arguments],
            cwd=self.workdir,
            env=self.variables | variables,
            executable=shutil.which(self.entry[0], path=self.variables["PATH"]),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def check_versions(image: Image) -> None:
    """Check that every installed package has its pinned version."""
    ask = [str(image.root / "venv" / "bin" / "python"), "-I", "-m", "pip", "list", "--format=json"]
    listed = json.loads(subprocess.run(ask, capture_output=True, check=True, text=True).stdout)
    installed = {row["name"].lower().replace("_", "-"): row["version"] for row in listed}
    lines = (image.context / "constraints.txt").read_text("utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    free = {n: v for n, v in installed.items() if n not in _NOT_PINNED and pinned.get(n) != v}
    assert not free, f"not at the versions of constraints.txt: {free}"
    assert "shapecluster" in installed
    print(f"Installed: {len(pinned)} packages, all at their pins")


def sines(frequencies: list[float]) -> str:
    """Sine waves as CSV, one series per line."""
    rows = [[math.sin(f * t / 5) for t in range(40)] for f in frequencies]
    return "".join(",".join(map(repr, row)) + "\n" for row in rows)


def lay_out(job: Path, hyperparameters: dict[str, str]) -> None:
    """Create the folder of a job as SageMaker fills /opt/ml."""
    config, train = job / "input" / "config", job / "input" / "data" / "train"
    for folder in (config, train, job / "model", job / "output" / "data"):
        folder.mkdir(parents=True)
    channel = {"ContentType": "text/csv", "TrainingInputMode": "File", "RecordWrapperType": "None"}
    (config / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    (config / "inputdataconfig.json").write_text(json.dumps({"train": channel}))
    (config / "resourceconfig.json").write_text(json.dumps({"current_host": "algo-1", "hosts": ["algo-1"]}))
    (train / "part-0.csv").write_text(sines([1.0, 1.02, 3.0, 3.02]))


def check_job(image: Image, algorithm: str, hyperparameters: dict[str, str]) -> None:
    """Train a job, request `/ping` and `/invocations` from its model, and end the server by SIGTERM."""
    job = image.root / algorithm
    lay_out(job, hyperparameters)
    settings = {"SHAPECLUSTER_ALGORITHM": algorithm}
    training = image.start("train", "--root", str(job), **settings)
    log, _ = training.communicate(timeout=300)
    assert training.returncode == 0, log
    with socket.socket() as free:  # the system chooses a free port
        free.bind(("127.0.0.1", 0))
        settings["SAGEMAKER_BIND_TO_PORT"] = str(free.getsockname()[1])
    url = f"http://127.0.0.1:{settings['SAGEMAKER_BIND_TO_PORT']}"
    serving = image.start("serve", "--root", str(job), "--host", "127.0.0.1", **settings)
    try:
        wait_for(f"{url}/ping", serving)
        headers = {"Content-Type": "text/csv", "Accept": "application/json"}
        body = sines([1.01, 3.01, 0.99]).encode()
        asked = urllib.request.Request(f"{url}/invocations", data=body, headers=headers)
        with urllib.request.urlopen(asked, timeout=30) as answer:
            rows = json.load(answer)["predictions"]
    finally:
        serving.terminate()
        log, _ = serving.communicate(timeout=30)
    assert serving.returncode == 0, log
    first, other, again = (row["closest_cluster"] for row in rows)
    assert first == again != other, rows
    print(f"{algorithm}: trained {sorted(p.name for p in (job / 'model').iterdir())}, served {rows}")


def wait_for(url: str, server: subprocess.Popen[str]) -> None:
    end = time.monotonic() + _START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            if server.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.05)


def main(context: Path) -> None:
    checkout = Path(__file__).resolve().parents[1]
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        assert checkout not in Path(folder).resolve().parents, f"TMPDIR must be outside of {checkout}"
        image = Image(context, Path(folder).resolve())
        image.build()
        check_versions(image)
        check_job(image, "k-shape", {"n_clusters": "2", "random_state": "0"})
        check_job(image, "k-means", {"k": "2", "feature_dim": "40"})


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
