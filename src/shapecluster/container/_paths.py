"""Where SageMaker puts things, below a root folder that is /opt/ml in a container."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

DEFAULT = "/opt/ml"
VARIABLE = "SHAPECLUSTER_ROOT"


@dataclass(frozen=True)
class Root:
    """The folder that a job finds its input in and leaves its output in."""

    path: Path

    def config(self, name: str) -> Path:
        """A file of the job's configuration."""
        return self.path / "input" / "config" / name

    @property
    def data(self) -> Path:
        """The folder of the channels."""
        return self.path / "input" / "data"

    @property
    def model(self) -> Path:
        """What training leaves there becomes model.tar.gz; what serving finds there was that."""
        return self.path / "model"

    @property
    def metrics(self) -> Path:
        """Measures of the model, in JSON."""
        return self.path / "output" / "data" / "metrics.json"

    @property
    def failure(self) -> Path:
        """Why training failed, for people: the reason that the platform shows."""
        return self.path / "output" / "failure"

    @property
    def checkpoints(self) -> Path:
        """Kept by the platform when an instance is lost; absent where the job asked for no checkpoints."""
        return self.path / "checkpoints"


def root_folder(given: str | None) -> Root:
    """The root that was given, else $SHAPECLUSTER_ROOT, else /opt/ml."""
    return Root(Path(given or os.environ.get(VARIABLE) or DEFAULT))
