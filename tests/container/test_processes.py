"""The program as a platform runs it: a process that trains, and one that serves over HTTP."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from shapecluster import LocalKShape
from shapecluster import container as package
from shapecluster.formats import decode_predictions, encode_rows

SRC = str(Path(package.__file__).parents[2])
pytestmark = pytest.mark.skipif(os.name != "posix", reason="the containers are Linux")


def program(*arguments: str, **environment: str) -> list[str]:
    return [sys.executable, "-m", "shapecluster.container", *arguments]


def environment(**more: str) -> dict[str, str]:
    """The environment of a platform: no other variables of this process."""
    # The last bits depend on which kernels of OpenBLAS compute.
    names = ("PATH", "HOME", "TMPDIR", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return kept | {"PYTHONPATH": SRC, "OMP_NUM_THREADS": "1"} | more


def train(job, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        program("train"),
        env=environment(SHAPECLUSTER_ROOT=str(job.root), **more),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@contextmanager
def served(job, *arguments: str, **more: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """A server on a free port, which is named in its log."""
    process = subprocess.Popen(
        program("serve", "--root", str(job.root), "--host", "127.0.0.1", "--port", "0", *arguments),
        env=environment(**more),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(r"http://127\.0\.0\.1:([0-9]+)", line):
                yield int(found[1]), process
                break
    finally:
        process.kill()
        process.wait(30)
        process.stderr.close()


def ask(port: int, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


def test_train_and_serve(job, walks):
    job.channel("train", walks).configure(k=3, random_state=2)
    done = train(job)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "iteration 1: inertia" in done.stderr
    local = LocalKShape(3, random_state=2).fit(walks)
    body, accept = encode_rows(walks, "text/csv"), {"Content-Type": "text/csv", "Accept": "application/json"}
    with served(job) as (port, process):
        assert ask(port, "GET", "/ping")[0] == 200

        def one(_: int) -> tuple[int, bytes]:
            return ask(port, "POST", "/invocations", body, accept)[:2]

        with ThreadPoolExecutor(8) as pool:
            answers = set(pool.map(one, range(24)))
        ((status, content),) = answers
        assert status == 200
        found = decode_predictions(content, "application/json")
        np.testing.assert_array_equal(found.closest_cluster, local.labels_)
        np.testing.assert_array_equal(found.distance_to_cluster, local.sbd_)
        status, content, headers = ask(port, "POST", "/invocations", b"1,2", {"Content-Type": "text/csv"})
        assert (status, headers["Content-Type"]) == (400, "text/plain; charset=utf-8")
        assert b"must have 24 numbers. Got 2" in content
        assert "Server" not in headers or "waitress" not in headers["Server"]
        # The server rejects a body by its claimed length, before it is sent.
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.putrequest("POST", "/invocations")
        connection.putheader("Content-Length", str(1 << 40))
        connection.endheaders()
        assert connection.getresponse().status == 413
        connection.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_a_failed_job_says_why_and_exits_with_one(job, walks):
    job.channel("train", walks).configure(k=100)
    done = train(job, SHAPECLUSTER_ALGORITHM="k-shape")
    assert done.returncode == 1
    assert "fewer than n_clusters=100" in job.failure
    assert "Traceback" in done.stderr
    assert "Traceback" not in job.failure


def test_serving_without_a_model_fails(job):
    job.model.mkdir(parents=True)
    done = subprocess.run(
        program("serve", "--root", str(job.root), "--port", "0"),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "The model must hold a file" in done.stderr
