"""The folders and files of a SageMaker container, below a root that is /opt/ml there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

DEFAULT_ROOT = "/opt/ml"
ROOT_VARIABLE = "SHAPECLUSTER_ROOT"


@dataclass(frozen=True)
class ContainerPaths:
    """The places below the root that the platform fills before a job and collects after it.

    Attributes
    ----------
    root : Path
        The folder that contains all others.
    """

    root: Path

    def config(self, name: str) -> Path:
        """A file of the job's configuration."""
        return self.root / "input" / "config" / name

    @property
    def data(self) -> Path:
        """The folder that contains a folder for each channel."""
        return self.root / "input" / "data"

    @property
    def model(self) -> Path:
        """The folder that the platform packs into model.tar.gz after training and unpacks before serving."""
        return self.root / "model"

    @property
    def metrics(self) -> Path:
        """The metrics of the model, in JSON."""
        return self.root / "output" / "data" / "metrics.json"

    @property
    def failure(self) -> Path:
        """The reason of a failure, which the platform shows."""
        return self.root / "output" / "failure"

    @property
    def checkpoints(self) -> Path:
        """The folder that the platform preserves if an instance is lost; absent if the job asked for none."""
        return self.root / "checkpoints"


def container_paths(root: str | None) -> ContainerPaths:
    """Return the paths below `root`, else below $SHAPECLUSTER_ROOT, else below /opt/ml."""
    return ContainerPaths(Path(root or os.environ.get(ROOT_VARIABLE) or DEFAULT_ROOT))
