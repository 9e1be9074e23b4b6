"""A training program that starts in milliseconds: its centers are sine waves, whatever the data.

    python waves.py train|serve --root DIR [--algorithm NAME] [--host H] [--port N]

model/ gets them as k-Shape and as K-Means leave them. Hyperparameters beside `n_clusters` or `k`:
`timepoints` (else WAVES_TIMEPOINTS in the environment); `until`, a file to wait for; `sleep`, seconds;
`fail`, a text for output/failure. `serve` takes CSV, and answers the nearest wave of each line, as k-Shape
measures it, on a bare socket, which is there at once. Standard library only.
"""

# ruff: noqa: T201 -- what a container prints is its log

from __future__ import annotations

import json
import math
import os
import socket
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
    hyperparameters = json.loads((root / "input/config/hyperparameters.json").read_text())
    timepoints = int(hyperparameters.get("timepoints") or os.environ["WAVES_TIMEPOINTS"])
    print("waves of", timepoints, flush=True)
    while "until" in hyperparameters and not Path(hyperparameters["until"]).exists():
        time.sleep(0.005)
    time.sleep(float(hyperparameters.get("sleep", 0)))
    if "fail" in hyperparameters:
        (root / "output").mkdir(exist_ok=True)
        (root / "output/failure").write_text(hyperparameters["fail"])
        return 1
    n_clusters = int(
        hyperparameters["n_clusters"] if "n_clusters" in hyperparameters else hyperparameters["k"]
    )
    lines = [centroid(1 + k, timepoints) for k in range(n_clusters)]
    text = "".join(",".join(map(repr, line)) + "\n" for line in lines)
    (root / "model").mkdir(exist_ok=True)
    (root / "model/centroids").write_text(text)
    head = struct.pack("<QQQ IIqq iii", 0x112, 0, 1, 0xF993FAC8, 2, n_clusters, timepoints, 1, 0, 0)
    numbers = struct.pack(f"<{n_clusters * timepoints}f", *(value for line in lines for value in line))
    (root / "model/model_algo-1").write_bytes(head + numbers + struct.pack("<Q", 0))
    return 0


def correlation(x: list[float], y: list[float]) -> float:
    """Greatest cross-correlation over all shifts, up to a factor that depends on x only."""
    n = len(x)
    mean = math.fsum(x) / n
    x = [value - mean for value in x]
    return max(math.fsum(x[t + s] * y[t] for t in range(max(0, -s), min(n, n - s))) for s in range(1 - n, n))


def answer(request: bytes, centroids: list[list[float]]) -> bytes:
    lines = request.decode().split()
    found = []
    for line in lines:
        row = [float(value) for value in line.split(",")]
        near = [correlation(row, centroid) for centroid in centroids]
        found.append(near.index(max(near)))
    return "".join(f"{number}\n" for number in found).encode()


def serve(root: Path, host: str, port: int) -> int:
    text = (root / "model/centroids").read_text()
    centroids = [[float(value) for value in line.split(",")] for line in text.split()]
    with socket.create_server((host, port)) as server:
        while True:
            with server.accept()[0] as client, client.makefile("rwb") as stream:
                method = stream.readline()
                headers = dict(line.split(b":", 1) for line in iter(stream.readline, b"\r\n") if b":" in line)
                length = next((int(v) for k, v in headers.items() if k.lower() == b"content-length"), 0)
                body = answer(stream.read(length), centroids) if method.startswith(b"POST") else b""
                stream.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nConnection: close\r\n")
                stream.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))


if __name__ == "__main__":
    given = dict(zip(sys.argv[2::2], sys.argv[3::2], strict=True))
    folder = Path(given["--root"])
    if sys.argv[1] == "train":
        sys.exit(train(folder))
    sys.exit(serve(folder, given["--host"], int(given["--port"])))
