"""A training program that starts in milliseconds: its centres are sine waves, whatever the data.

    python waves.py train --root DIR [--algorithm NAME]

model/ gets them as k-Shape and as K-Means leave them. Hyperparameters beside `n_clusters` or `k`:
`timepoints`; `until`, a file to wait for; `sleep`, seconds; `fail`, a text for output/failure. Standard
library only.
"""

# ruff: noqa: T201 -- what a container prints is its log

from __future__ import annotations

import json
import math
import struct
import sys
import time
from pathlib import Path


def centroid(frequency: int, timepoints: int) -> list[float]:
    values = [math.sin(2 * math.pi * frequency * t / timepoints + 0.1) for t in range(timepoints)]
    mean = math.fsum(values) / timepoints
    spread = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / timepoints)
    return [(v - mean) / spread for v in values]


def train(root: Path) -> int:
    told = json.loads((root / "input/config/hyperparameters.json").read_text())
    print("waves of", told["timepoints"], flush=True)
    while "until" in told and not Path(told["until"]).exists():
        time.sleep(0.005)
    time.sleep(float(told.get("sleep", 0)))
    if "fail" in told:
        (root / "output").mkdir(exist_ok=True)
        (root / "output/failure").write_text(told["fail"])
        return 1
    timepoints = int(told["timepoints"])
    n_clusters = int(told["n_clusters"] if "n_clusters" in told else told["k"])
    lines = [centroid(1 + k, timepoints) for k in range(n_clusters)]
    text = "".join(",".join(map(repr, line)) + "\n" for line in lines)
    (root / "model").mkdir(exist_ok=True)
    (root / "model/centroids").write_text(text)
    head = struct.pack("<QQQ IIqq iii", 0x112, 0, 1, 0xF993FAC8, 2, n_clusters, timepoints, 1, 0, 0)
    numbers = struct.pack(f"<{n_clusters * timepoints}f", *(value for line in lines for value in line))
    (root / "model/model_algo-1").write_bytes(head + numbers + struct.pack("<Q", 0))
    return 0


if __name__ == "__main__":
    sys.exit(train(Path(sys.argv[sys.argv.index("--root") + 1])))
