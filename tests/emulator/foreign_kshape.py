"""Somebody else's k-Shape: what an AWS Marketplace listing runs, on tslearn, with nothing of ours.

    python foreign_kshape.py train|serve --root DIR [--host H] [--port N]

Hyperparameters `k` and `label_size` (1: the first column of the CSV is the ticker), and no others. model/
gets `centroids`: a line each, six digits, scaled by the *sample* standard deviation, so that they are not
quite z-normalized; the largest cluster comes first. An endpoint takes CSV without tickers and answers ids,
the numbers of lines. FOREIGN_FLAW in the environment: `missing` leaves the last centroid out, `nan` spoils
the first; `ids` makes the endpoint count from 1.
"""

# ruff: noqa: T201 -- what a container prints is its log

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

KNOWN = {"k", "label_size"}


class Refused(Exception):
    """Something a person has to change; goes to output/failure."""


def hyperparameters(root: Path) -> tuple[int, int]:
    given = json.loads((root / "input/config/hyperparameters.json").read_text())
    unknown = sorted(given.keys() - KNOWN)
    if unknown:
        raise Refused(f"Unknown hyperparameters: {', '.join(unknown)}. Known: {', '.join(sorted(KNOWN))}.")
    try:
        return int(given["k"]), int(given.get("label_size", 0))
    except (KeyError, ValueError) as error:
        raise Refused(f"k and label_size must be integers: {error!r}") from None


def read_rows(text: str, label_size: int = 0) -> np.ndarray:
    rows = [line.split(",")[label_size:] for line in text.splitlines() if line.strip()]
    try:
        values = np.array([[float(field) for field in row] for row in rows])
    except ValueError as error:
        raise Refused(f"The CSV must hold rows of numbers of one length: {error}") from None
    if values.ndim != 2 or not np.isfinite(values).all():
        raise Refused("The CSV must hold rows of finite numbers.")
    return values


def normalized(rows: np.ndarray) -> np.ndarray:
    spread = rows.std(axis=1, keepdims=True)
    centered: np.ndarray = rows - rows.mean(axis=1, keepdims=True)
    return centered / np.where(spread > 0, spread, 1)


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    norm = np.linalg.norm(x) * np.linalg.norm(y)
    return float(np.correlate(x, y, "full").max() / norm) if norm > 0 else 0.0


def nearest(rows: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    return np.array([np.argmax([correlation(row, c) for c in centroids]) for row in normalized(rows)])


def fit(values: np.ndarray, k: int) -> np.ndarray:
    if len(values) < k:
        raise Refused(f"There are {len(values)} series for k = {k} clusters.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about things that tslearn could do as well
        from tslearn.clustering import KShape

    model = KShape(n_clusters=k, n_init=1, random_state=0)
    labels = model.fit_predict(normalized(values)[:, :, None])
    order = np.argsort(-np.bincount(labels, minlength=k), kind="stable")
    centroids: np.ndarray = model.cluster_centers_[order, :, 0]
    centroids = centroids - centroids.mean(axis=1, keepdims=True)
    return centroids / centroids.std(axis=1, ddof=1, keepdims=True)


def train(root: Path) -> int:
    try:
        k, label_size = hyperparameters(root)
        files = sorted((root / "input/data/train").rglob("*"))
        text = "\n".join(path.read_text() for path in files if path.is_file())
        values = read_rows(text, label_size)
        print(f"{len(values)} series of {values.shape[1]} points, k = {k}", flush=True)
        lines = [",".join(f"{value:.6g}" for value in centroid) for centroid in fit(values, k)]
    except Refused as error:
        (root / "output").mkdir(exist_ok=True)
        (root / "output/failure").write_text(str(error))
        return 1
    flaw = os.environ.get("FOREIGN_FLAW")
    if flaw == "missing":
        lines.pop()
    if flaw == "nan":
        lines[0] = ",".join(["nan"] * values.shape[1])
    (root / "model/centroids").write_text("\n".join(lines) + "\n")
    return 0


class Server(ThreadingHTTPServer):
    """A server that knows its centroids."""

    def __init__(self, address: tuple[str, int], centroids: np.ndarray) -> None:
        super().__init__(address, Handler)
        self.centroids = centroids


class Handler(BaseHTTPRequestHandler):
    """/ping and /invocations."""

    server: Server

    def do_GET(self) -> None:
        self._answer(200 if self.path == "/ping" else 404, "")

    def do_POST(self) -> None:
        if self.headers.get("Content-Type", "").split(";")[0] != "text/csv":
            self._answer(415, "only text/csv is understood")
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        try:
            rows = read_rows(body)
            if rows.shape[1] != self.server.centroids.shape[1]:
                raise Refused(f"Series must have {self.server.centroids.shape[1]} points.")
        except Refused as error:
            self._answer(400, str(error))
            return
        first = 1 if os.environ.get("FOREIGN_FLAW") == "ids" else 0
        ids = nearest(rows, self.server.centroids) + first
        self._answer(200, "".join(f"{number}\n" for number in ids))

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/csv")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, text: str, *values: object) -> None:
        print(text % values, flush=True)


def serve(root: Path, host: str, port: int) -> int:
    centroids = np.nan_to_num(np.loadtxt(root / "model/centroids", delimiter=",", ndmin=2))
    Server((host, port), centroids).serve_forever()
    return 0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["train", "serve"])
    parser.add_argument("--root", type=Path, default=Path("/opt/ml"))
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--port", type=int, default=8080)
    options = parser.parse_args()
    # Compiling takes tslearn 20 seconds in each process, and most of its work is NumPy's anyhow.
    os.environ["NUMBA_DISABLE_JIT"] = "1"
    if options.command == "train":
        return train(options.root)
    return serve(options.root, options.host, options.port)


if __name__ == "__main__":
    sys.exit(main())
