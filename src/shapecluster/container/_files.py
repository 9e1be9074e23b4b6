"""The files of a job below its root folder: where the platform looks for them, and how they are written.

A trained model is the folder `MODEL`, with these files:

```
k-shape   centroids              text, one center per line, 17 digits; channels of a timepoint side by side
k-means   model_algo-1           NDArray list, array 0 the k x d matrix of centers in float32
          state_<uuid>           JSON, the number of iterations
both      shapecluster.json      the library's version, the algorithm, its parameters, the results
```
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from shapecluster._files import atomic_write
from shapecluster.exceptions import ArtifactError
from shapecluster.formats._parsers import parse_json

CONFIGURATION = "input/config"
DATA = "input/data"
"""The folder that contains a folder for each channel."""
MODEL = "model"
"""The folder that the platform packs into model.tar.gz after training and unpacks before serving."""
METRICS = "output/data/metrics.json"
FAILURE = "output/failure"
"""The reason of a failure, which the platform shows."""
CHECKPOINTS = "checkpoints"
"""The folder that the platform preserves if an instance is lost; absent if the job asked for none."""

CENTROIDS_FILE = "centroids"
NDARRAYS_FILE = "model_algo-1"
DESCRIPTION_FILE = "shapecluster.json"


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically, and create its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write(data)


def parse_object(data: bytes, name: str) -> dict[str, Any]:
    """Parse the JSON object of the file `name`."""
    try:
        value = parse_json(data)
    except ValueError as error:
        raise ArtifactError(f"{name} cannot be read: {error}. Write it again, as JSON.") from None
    if not isinstance(value, dict):
        raise ArtifactError(f"{name} must be a JSON object. Got {type(value).__name__} instead.")
    return value


def write_results(
    root: Path,
    algorithm: str,
    files: Mapping[str, bytes],
    parameters: Mapping[str, Any],
    metrics: Mapping[str, float],
    **results: Any,
) -> None:
    """Write the files of a model, its description, and the metrics of the job."""
    for name, data in files.items():
        write_bytes(root / MODEL / name, data)
    description = {"library": version("shapecluster"), "algorithm": algorithm, "parameters": dict(parameters)}
    # After the files, so that a folder with a description is complete.
    for path, value in ((f"{MODEL}/{DESCRIPTION_FILE}", description | results), (METRICS, metrics)):
        write_bytes(root / path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())
