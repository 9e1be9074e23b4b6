"""A program with the container's contract and no dependencies, which does what its hyperparameters say."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

say = partial(print, flush=True)  # what a program prints is its log


def option(name: str) -> str:
    return sys.argv[sys.argv.index(name) + 1]


def train(root: Path) -> int:
    hyperparameters = json.loads((root / "input/config/hyperparameters.json").read_text())
    if "ignore_sigterm" in hyperparameters:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "save_on_sigterm" in hyperparameters:
        signal.signal(
            signal.SIGTERM, lambda *_: sys.exit((root / "model/partial").write_text("half") and 143)
        )
    if "environment" in hyperparameters:
        (root / "model/environment").write_text(json.dumps(dict(os.environ)))
    for name in sorted(p.name for p in (root / "input/data").iterdir()):
        say("channel", name)
    say("\n".join(f"line {i}" for i in range(int(hyperparameters.get("lines", 0)))))
    (root / "checkpoints/seen").open("a").write("x")
    if "child" in hyperparameters:
        os.spawnvp(os.P_NOWAIT, "sleep", ["sleep", "60"])
    if "sleep" in hyperparameters:
        (root / "output/data/ready").touch()
        time.sleep(float(hyperparameters["sleep"]))
    while "until" in hyperparameters and not Path(hyperparameters["until"]).exists():
        time.sleep(0.01)
    if "fail" in hyperparameters:
        (root / "output/failure").write_text(hyperparameters["fail"])
        return 7
    if "no_model" not in hyperparameters:
        parts = sorted((root / "input/data/train").iterdir())
        (root / "model/centroids").write_bytes(b"".join(p.read_bytes() for p in parts))
    return 0


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.answer(200 if self.path == "/ping" else 404, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if body.startswith(b"bad"):
            self.answer(400, b"row 0 is no number")
        elif body.startswith(b"break"):
            self.answer(500, b"Traceback")
        else:
            self.answer(200, b"".join(b"%d\n" % len(line) for line in body.splitlines()))

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", self.headers.get("Accept", "text/csv"))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def serve(root: Path) -> int:
    say("serving", sorted(p.name for p in (root / "model").iterdir()))
    if (root / "model/broken").exists():
        say("the model is broken")
        return 1
    HTTPServer((option("--host"), int(option("--port"))), Handler).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit({"train": train, "serve": serve}[sys.argv[1]](Path(option("--root"))))
