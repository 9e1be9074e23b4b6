"""A job that is killed or hyperparameters to end goes on from its checkpoint, and ends with the same bits."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shapecluster import LocalKShape
from shapecluster._files import new_name
from shapecluster.container import _checkpoints, _signals
from shapecluster.container._checkpoints import CheckpointStore, fit_fingerprint

SETTINGS = {"n_clusters": 4, "n_init": 4, "random_state": 5}
SRC = str(Path(_checkpoints.__file__).parents[2])


class Killed(BaseException):
    """Simulates SIGKILL: no handler catches it, and nothing is saved before the exit."""


@pytest.fixture
def checkpointed(job, walks):
    """A job whose platform preserves checkpoints."""
    (job.root / "checkpoints").mkdir(parents=True)
    return job.channel("train", walks)


def artifact(job) -> tuple[bytes, bytes]:
    return (job.model / "centroids").read_bytes(), (job.model / "shapecluster.json").read_bytes()


def kill_after(monkeypatch, step: int, how: type[BaseException] = Killed) -> list[int]:
    """Kill the program after `step` steps; returns a list with one element per step."""
    original = CheckpointStore.after_step
    steps: list[int] = []

    def after_step(self, arrays):
        original(self, arrays)
        steps.append(len(steps))
        if len(steps) == step:
            raise how

    monkeypatch.setattr(CheckpointStore, "after_step", after_step)
    return steps


def train_until_killed(job, monkeypatch, step: int, **hyperparameters) -> None:
    """Train until the program is killed after `step` steps."""
    with monkeypatch.context() as patched:
        kill_after(patched, step)
        with pytest.raises(Killed):
            job.train(**hyperparameters)


@pytest.fixture
def uninterrupted(job, walks, tmp_path):
    """An uninterrupted fit, and the number of its steps."""
    steps: list[int] = []
    local = LocalKShape(**SETTINGS)._fit_with_snapshots(walks, None, lambda arrays: steps.append(1))
    return local, len(steps)


@pytest.mark.parametrize("every", [1, 3])
def test_killed_after_any_step_a_job_ends_with_the_same_bits(checkpointed, uninterrupted, monkeypatch, every):
    local, n_steps = uninterrupted
    assert checkpointed.train(**SETTINGS) == 0
    expected = artifact(checkpointed)
    assert n_steps >= 6
    for step in range(1, n_steps + 1):
        for path in [*checkpointed.model.iterdir(), *(checkpointed.root / "checkpoints").iterdir()]:
            path.unlink()
        train_until_killed(checkpointed, monkeypatch, step, **SETTINGS, checkpoint_every=every)
        assert not list(checkpointed.model.iterdir())
        with monkeypatch.context() as patched:
            again = kill_after(patched, 10**6)
            assert checkpointed.train(**SETTINGS, checkpoint_every=every) == 0
        assert len(again) == n_steps - every * (step // every)
        assert artifact(checkpointed) == expected
    assert json.loads(expected[1])["inertia"] == local.inertia_


def test_a_job_may_be_killed_again_and_again(checkpointed, uninterrupted, monkeypatch):
    for _ in range(uninterrupted[1]):
        train_until_killed(checkpointed, monkeypatch, 1, **SETTINGS, checkpoint_every=1)
    steps = kill_after(monkeypatch, 10**6)
    assert checkpointed.train(**SETTINGS) == 0
    assert not steps  # the last step had been saved
    assert checkpointed.description["inertia"] == uninterrupted[0].inertia_


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "extra", [{"max_shift": 2}, {"init": "random"}, {"n_channels": 2}, {"missing": "mask"}]
)
def test_every_kind_of_fit_can_be_resumed(job, rng, monkeypatch, dtype, extra):
    X = rng.normal(size=(40, 20)).cumsum(axis=1).astype(dtype)
    if "missing" in extra:
        X[3, :7] = np.nan
    (job.root / "checkpoints").mkdir(parents=True)
    job.channel("train", X, "application/x-recordio-protobuf")
    assert job.train(**SETTINGS, **extra) == 0
    expected = artifact(job)
    (job.root / "checkpoints" / _checkpoints.FILE_NAME).unlink(missing_ok=True)
    train_until_killed(job, monkeypatch, 2, **SETTINGS, **extra, checkpoint_every=1)
    assert job.train(**SETTINGS, **extra) == 0
    assert artifact(job) == expected


def test_sigterm_saves_a_checkpoint_before_the_exit(checkpointed, uninterrupted, monkeypatch, caplog):
    with monkeypatch.context() as patched:
        kill_after(patched, 4, _signals.Terminated)
        assert checkpointed.train(**SETTINGS, checkpoint_every=1000) == _signals.EXIT_CODE
    assert not checkpointed.model.exists()
    assert not (checkpointed.root / "output" / "failure").exists()
    steps = kill_after(monkeypatch, 10**6)
    with caplog.at_level(logging.INFO, logger="shapecluster"):
        assert checkpointed.train(**SETTINGS) == 0
    assert len(steps) == uninterrupted[1] - 4
    assert "resuming from the checkpoint" in caplog.text
    assert checkpointed.description["inertia"] == uninterrupted[0].inertia_


def test_sigterm_whose_exception_was_discarded_ends_the_job_after_the_step(checkpointed, monkeypatch):
    received = threading.Event()
    received.set()
    monkeypatch.setattr(_signals, "_sigterm_received", received)
    assert checkpointed.train(**SETTINGS, checkpoint_every=1000) == _signals.EXIT_CODE
    assert (checkpointed.root / "checkpoints" / _checkpoints.FILE_NAME).exists()


def test_a_random_seed_is_saved_with_the_checkpoint(checkpointed, monkeypatch, walks):
    hyperparameters = {"n_clusters": 3, "init": "random"}  # ten runs, each from rows of its own
    train_until_killed(checkpointed, monkeypatch, 12, **hyperparameters, checkpoint_every=1)
    assert checkpointed.train(**hyperparameters) == 0
    seed = checkpointed.description["parameters"]["random_state"]
    local = LocalKShape(**hyperparameters, random_state=seed).fit(walks)
    assert checkpointed.description["inertia"] == local.inertia_


@pytest.mark.parametrize(
    "change",
    [{"n_clusters": 3}, {"random_state": 6}, {"tol": 0.1}, {"max_shift": 3}, {"n_channels": 2}, "data"],
)
def test_a_checkpoint_of_another_fit_is_ignored_with_a_warning(
    checkpointed, monkeypatch, walks, caplog, change
):
    train_until_killed(checkpointed, monkeypatch, 3, **SETTINGS, checkpoint_every=1)
    hyperparameters = SETTINGS | (change if isinstance(change, dict) else {})
    if change == "data":
        walks[0, 0] = np.nextafter(walks[0, 0], np.inf)
        path = checkpointed.root / "input" / "data" / "train" / "part-0000"
        np.savetxt(path, walks, delimiter=",", fmt="%.17g")
    assert checkpointed.train(**hyperparameters) == 0
    assert "belongs to other data, parameters or versions" in caplog.text
    parameters = {name: value for name, value in hyperparameters.items() if name != "n_channels"}
    X = walks.reshape(36, 12, 2) if "n_channels" in hyperparameters else walks
    assert checkpointed.description["inertia"] == LocalKShape(**parameters).fit(X).inertia_


def test_a_checkpoint_of_another_version_is_ignored(checkpointed, monkeypatch, caplog):
    train_until_killed(checkpointed, monkeypatch, 3, **SETTINGS, checkpoint_every=1)
    monkeypatch.setattr(_checkpoints, "version", lambda name: "9.9")
    assert checkpointed.train(**SETTINGS) == 0
    assert "belongs to other data, parameters or versions" in caplog.text


def test_without_a_folder_for_checkpoints_none_is_saved(job, walks):
    assert job.channel("train", walks).train(**SETTINGS, checkpoint_every=1) == 0
    assert not (job.root / "checkpoints").exists()


def test_a_partial_file_of_a_killed_write_is_removed(checkpointed, uninterrupted):
    (checkpointed.root / "checkpoints" / new_name(".npz")).write_bytes(b"PK half of a file")
    assert checkpointed.train(**SETTINGS, checkpoint_every=1) == 0
    assert [path.name for path in (checkpointed.root / "checkpoints").iterdir()] == [_checkpoints.FILE_NAME]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_checkpoint_never_stops_a_job(checkpointed, uninterrupted, monkeypatch, data):
    path = checkpointed.root / "checkpoints" / _checkpoints.FILE_NAME
    if not path.with_suffix(".whole").exists():
        train_until_killed(checkpointed, monkeypatch, 5, **SETTINGS, checkpoint_every=1)
        path.rename(path.with_suffix(".whole"))
    content = bytearray(path.with_suffix(".whole").read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    assert checkpointed.train(**SETTINGS) == 0
    assert checkpointed.description["inertia"] == uninterrupted[0].inertia_


def test_inconsistent_arrays_are_not_resumed(checkpointed, uninterrupted, monkeypatch, caplog):
    train_until_killed(checkpointed, monkeypatch, 3, **SETTINGS, checkpoint_every=1)
    path = checkpointed.root / "checkpoints" / _checkpoints.FILE_NAME
    with np.load(path) as file:
        arrays = dict(file)
    arrays["current.labels"] = arrays["current.labels"] + 50
    np.savez(path, **arrays)
    assert checkpointed.train(**SETTINGS) == 0
    assert "the checkpoint cannot be resumed (current: labels and shifts are out of range.)" in caplog.text
    assert checkpointed.description["inertia"] == uninterrupted[0].inertia_


def test_objects_are_never_unpickled(tmp_path, caplog):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    np.savez(tmp_path / _checkpoints.FILE_NAME, checkpoint=np.array([Trap()], dtype=object))
    assert CheckpointStore(tmp_path, "fingerprint", 1).load() is None
    assert "cannot be read" in caplog.text
    assert not (tmp_path / "sprung").exists()


def test_compressed_arrays_are_rejected_before_they_are_read(tmp_path, caplog):
    np.savez_compressed(tmp_path / _checkpoints.FILE_NAME, checkpoint=np.zeros(10**6))
    assert CheckpointStore(tmp_path, "fingerprint", 1).load() is None
    assert "it is compressed" in caplog.text


def test_fingerprints_differ_for_different_arrays():
    a, b = np.arange(6.0), np.arange(6.0).reshape(2, 3)
    fingerprints = [
        fit_fingerprint({}, [a]),
        fit_fingerprint({}, [b]),
        fit_fingerprint({}, [a.astype(np.float32)]),
        fit_fingerprint({}, [a, None]),
        fit_fingerprint({}, [None, a]),
        fit_fingerprint({}, [-a]),
        fit_fingerprint({"k": 1}, [a]),
    ]
    assert len(set(fingerprints)) == len(fingerprints)
    assert fit_fingerprint({"a": 1, "b": 2}, [b.T.copy().T]) == fit_fingerprint({"b": 2, "a": 1}, [b])


PROGRAM = """
import os, signal, sys
from shapecluster.container import _program as program
from shapecluster.container._checkpoints import CheckpointStore
original, steps = CheckpointStore.after_step, []
def after_step(self, arrays):
    original(self, arrays)
    steps.append(1)
    if len(steps) == {step}:
        os.kill(os.getpid(), signal.{signal})
CheckpointStore.after_step = after_step
sys.exit(program.run())
"""


def run_and_kill(job, step: int, name: str) -> subprocess.CompletedProcess[str]:
    code = PROGRAM.format(step=step, signal=name)
    return subprocess.run(
        [sys.executable, "-c", code, "train", "--root", str(job.root)],
        env=os.environ | {"PYTHONPATH": SRC},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.skipif(os.name != "posix", reason="signals of a POSIX system")
@pytest.mark.parametrize(
    ("name", "step", "every", "resumed"),
    [("SIGKILL", 1, 1, 1), ("SIGKILL", 5, 2, 4), ("SIGKILL", None, 1, None), ("SIGTERM", 5, 1000, 5)],
)
def test_a_killed_process_is_resumed_by_another(checkpointed, uninterrupted, name, step, every, resumed):
    step, resumed = step or uninterrupted[1], resumed or uninterrupted[1]  # None: the last one
    checkpointed.configure(**SETTINGS, checkpoint_every=every)
    killed = run_and_kill(checkpointed, step, name)
    assert killed.returncode == (-signal.SIGKILL if name == "SIGKILL" else _signals.EXIT_CODE), killed.stderr
    assert not checkpointed.model.exists()
    again = run_and_kill(checkpointed, 10**6, name)
    assert again.returncode == 0, again.stderr
    assert again.stderr.count(" iteration ") == uninterrupted[1] - resumed
    assert checkpointed.description["inertia"] == uninterrupted[0].inertia_
