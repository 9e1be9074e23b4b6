"""The folder of a job as a platform creates it, and the results of the program in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shapecluster.container import main
from shapecluster.formats import encode_hyperparameters, encode_rows, write_csv, write_recordio

RECORDIO = "application/x-recordio-protobuf"


@dataclass
class JobFolder:
    """The input and output of a training job."""

    root: Path
    channels: dict[str, dict[str, str]] = field(default_factory=dict)

    def channel(
        self,
        name: str,
        X: np.ndarray,
        content_type: str = "text/csv",
        *,
        names: Sequence[str] | None = None,
        files: int = 1,
        **settings: str,
    ) -> JobFolder:
        """Write a matrix as a channel, in `files` files."""
        folder = self.root / "input" / "data" / name
        folder.mkdir(parents=True)
        media = content_type.partition(";")[0]
        for number, rows in enumerate(np.array_split(np.arange(len(X)), files)):
            with (folder / f"part-{number:04d}").open("wb") as file:
                if media == "text/csv":
                    write_csv(file, X[rows], None if names is None else [names[row] for row in rows])
                elif media == RECORDIO:
                    write_recordio(file, X[rows], dtype=X.dtype.name)
                else:
                    file.write(encode_rows(X[rows], media))
        self.channels[name] = {"ContentType": content_type, "TrainingInputMode": "File"} | settings
        return self

    def train(self, algorithm: str = "k-shape", **hyperparameters: Any) -> int:
        """Run the program in this process; returns its exit code."""
        self.configure(**hyperparameters)
        return main(["train", "--root", str(self.root), "--algorithm", algorithm])

    def configure(self, **hyperparameters: Any) -> None:
        """Write the configuration files of the platform."""
        folder = self.root / "input" / "config"
        folder.mkdir(parents=True, exist_ok=True)
        texts = {
            "hyperparameters.json": encode_hyperparameters(hyperparameters),
            "inputdataconfig.json": self.channels,
            "resourceconfig.json": {"current_host": "algo-1", "hosts": ["algo-1"]},
        }
        for name, value in texts.items():
            (folder / name).write_text(json.dumps(value))

    @property
    def model(self) -> Path:
        return self.root / "model"

    @property
    def failure(self) -> str:
        return (self.root / "output" / "failure").read_text("utf-8")

    @property
    def description(self) -> dict[str, Any]:
        return json.loads((self.model / "shapecluster.json").read_text())

    @property
    def metrics(self) -> dict[str, float]:
        return json.loads((self.root / "output" / "data" / "metrics.json").read_text())


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    return JobFolder(tmp_path / "ml")


@pytest.fixture
def walks(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(36, 24)).cumsum(axis=1)
