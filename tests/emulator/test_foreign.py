"""The Marketplace listing's program: its contract, and the flaws that a reader has to live with."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.emulator import Emulator, foreign_kshape, programs
from tests.emulator.requests import training_job
from tests.emulator.serving import Container

pytestmark = pytest.mark.slow

Wait = Callable[..., dict[str, Any]]

WAVES = np.sin(np.linspace(0, 6, 24) * np.array([1.0, 1.05, 1.1, 3.0, 3.1])[:, None])


def lay_out(root: Path, parameters: dict[str, str], label_size: int = 1) -> Path:
    for folder in ("input/config", "input/data/train", "model", "output"):
        (root / folder).mkdir(parents=True)
    (root / "input/config/hyperparameters.json").write_text(json.dumps(parameters))
    lines = [",".join(["ABC"][:label_size] + [f"{value}" for value in row]) for row in WAVES]
    (root / "input/data/train/part-0.csv").write_text("\n".join(lines))
    return root


def test_it_lives_its_life_in_the_emulator(emulator: Emulator, sagemaker: Any, s3: Any, wait: Wait) -> None:
    lines = [",".join(["ABC", *map(str, row)]) for row in WAVES]
    for number in range(3):
        s3.delete_object(Bucket=emulator.bucket, Key=f"data/part-{number}.csv")
    s3.put_object(Bucket=emulator.bucket, Key="data/all.csv", Body="\n".join(lines).encode())
    request = training_job(
        emulator,
        hyperparameters={"k": "2", "label_size": "1"},
        AlgorithmSpecification={"AlgorithmName": emulator.algorithm_arn, "TrainingInputMode": "File"},
        EnableNetworkIsolation=True,
    )
    sagemaker.create_training_job(**request)
    answer = wait()
    assert answer["TrainingJobStatus"] == "Completed", answer.get("FailureReason")
    with s3.get_object(Bucket=emulator.bucket, Key="out/job/output/model.tar.gz")["Body"] as body:
        archive = body.read()
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        text = tar.extractfile("centroids").read().decode()
    centroids = np.array([[float(field) for field in line.split(",")] for line in text.splitlines()])
    assert centroids.shape == (2, 24)
    # Six digits, and not quite normalized.
    digits = [field.partition("e")[0].replace(".", "").lstrip("-0") for field in re.split("[,\n]", text)]
    assert max(map(len, digits)) == 6
    assert np.allclose(centroids.std(axis=1), np.sqrt(23 / 24), atol=1e-5)
    ids = foreign_kshape.nearest(WAVES, centroids)
    assert ids.tolist() == [0, 0, 0, 1, 1]  # the larger cluster first


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"k": "2", "tol": "1"}, "Unknown hyperparameters: tol. Known: k, label_size."),
        ({"k": "two"}, "k and label_size must be integers"),
        ({"k": "2"}, "rows of numbers"),
        ({"k": "9", "label_size": "1"}, "There are 5 series for k = 9 clusters."),
    ],
)
def test_what_it_rejects(tmp_path: Path, parameters: dict[str, str], text: str) -> None:
    root = lay_out(tmp_path, parameters)
    assert foreign_kshape.train(root) == 1
    assert text in (root / "output/failure").read_text()
    assert not (root / "model/centroids").exists()


@pytest.mark.parametrize("flaw", ["missing", "nan"])
def test_its_flaws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flaw: str) -> None:
    monkeypatch.setenv("FOREIGN_FLAW", flaw)
    monkeypatch.setattr(foreign_kshape, "fit", lambda values, k: values[:k])
    root = lay_out(tmp_path, {"k": "3"}, label_size=0)
    assert foreign_kshape.train(root) == 0
    lines = (root / "model/centroids").read_text().splitlines()
    assert len(lines) == (2 if flaw == "missing" else 3)
    assert lines[0].startswith("nan,nan") == (flaw == "nan")


@pytest.mark.parametrize("flaw", ["", "ids"])
def test_its_endpoint_answers_ids(tmp_path: Path, flaw: str) -> None:
    lines = [",".join(f"{value:.6g}" for value in row) for row in (WAVES[3], WAVES[0])]
    (tmp_path / "centroids").write_text("\n".join(lines))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.add(tmp_path / "centroids", "centroids")
    container = Container(
        programs.foreign_kshape(FOREIGN_FLAW=flaw),
        buffer.getvalue(),
        tmp_path / "ml",
        environment={},
        isolated=False,
    )
    try:
        assert container.wait(20)
        body = "\n".join(",".join(map(str, 5 + 2 * row)) for row in WAVES[[0, 3, 1]]).encode()
        status, _, answer = container.ask("POST", "/invocations", body, {"Content-Type": "text/csv"})
        assert (status, answer) == (200, b"2\n1\n2\n" if flaw else b"1\n0\n1\n")
        assert container.ask("POST", "/invocations", b"1,2", {"Content-Type": "text/csv"})[0] == 400
        assert container.ask("POST", "/invocations", b"{}", {"Content-Type": "application/json"})[0] == 415
    finally:
        container.close(1)
