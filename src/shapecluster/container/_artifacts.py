"""The files of a model: written by training, read by serving, and by whoever fetches the artifact.

```
k-shape   centroids              text, one center a line, 17 digits; channels of a timepoint side by side
k-means   model_algo-1           NDArray list, array 0 the k x d matrix of centers in float32
          state_<uuid>           JSON, how the training went
both      shapecluster.json      the library's version, the algorithm, its parameters, what came out
```
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from shapecluster.container._files import write_bytes, write_json
from shapecluster.container._paths import Root

CENTROIDS = "centroids"
MODEL = "model_algo-1"
DESCRIPTION = "shapecluster.json"


def write_artifact(
    root: Root, algorithm: str, files: Mapping[str, bytes], parameters: Mapping[str, Any], **found: Any
) -> None:
    """Write a model and its description; the description comes last, when all else is there."""
    for name, data in files.items():
        write_bytes(root.model / name, data)
    described = {
        "library": version("shapecluster"),
        "algorithm": algorithm,
        "parameters": dict(parameters),
        **found,
    }
    write_json(root.model / DESCRIPTION, described)
