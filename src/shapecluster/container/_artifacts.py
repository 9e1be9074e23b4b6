"""The files of a model, which training writes and serving or the caller of the job reads.

```
k-shape   centroids              text, one center per line, 17 digits; channels of a timepoint side by side
k-means   model_algo-1           NDArray list, array 0 the k x d matrix of centers in float32
          state_<uuid>           JSON, the number of iterations
both      shapecluster.json      the library's version, the algorithm, its parameters, the results
```
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from shapecluster.container._files import write_bytes, write_json
from shapecluster.container._paths import ContainerPaths

CENTROIDS_FILE = "centroids"
NDARRAYS_FILE = "model_algo-1"
DESCRIPTION_FILE = "shapecluster.json"


def write_artifact(
    paths: ContainerPaths,
    algorithm: str,
    files: Mapping[str, bytes],
    parameters: Mapping[str, Any],
    **results: Any,
) -> None:
    """Write the files of a model and its description."""
    for name, data in files.items():
        write_bytes(paths.model / name, data)
    description = {
        "library": version("shapecluster"),
        "algorithm": algorithm,
        "parameters": dict(parameters),
        **results,
    }
    # Last, so that a folder with a description is complete.
    write_json(paths.model / DESCRIPTION_FILE, description)
