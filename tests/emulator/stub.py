"""A program for tests of the emulator itself: starts in milliseconds, and does what its parameters say.

    python stub.py train|serve --root DIR [--port N] [--host H]

`train` writes model/centroids: one line "1,2,...,k". Hyperparameters: `k`; `sleep`, seconds; `fail`, a
text for output/failure; `exit`, a code; `deaf`: ignores SIGTERM; `checkpoint`: sleeps only where there is
none yet; `network`, an address: prints whether it can be reached. `serve` answers the length of each line,
or does what the body asks for: `status 500`, `sleep 1`, `connect host:port`, `die`. Standard library only.
"""

# ruff: noqa: T201 -- what a container prints is its log

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def train(root: Path) -> int:
    parameters = json.loads((root / "input/config/hyperparameters.json").read_text())
    channels = json.loads((root / "input/config/inputdataconfig.json").read_text())
    for channel in sorted(channels):
        names = sorted(p.name for p in (root / "input/data" / channel).rglob("*") if p.is_file())
        print(f"channel {channel}: {' '.join(names)}", flush=True)
    print(
        "environment:", *sorted(name for name in os.environ if name.startswith(("AWS", "JOB_"))), flush=True
    )
    if "network" in parameters:
        print("network:", reach(parameters["network"]), flush=True)
    if "fail" in parameters:
        (root / "output").mkdir(exist_ok=True)
        (root / "output/failure").write_text(parameters["fail"])
        return int(parameters.get("exit", 1))
    return _work(root, parameters)


def reach(address: str) -> int:
    """0 if somebody listens there, else the system's error."""
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, int(port)))


def _work(root: Path, parameters: dict[str, str]) -> int:
    """Sleep, interruptible by SIGTERM, which still leaves a model."""
    stopped = []
    handler = signal.SIG_IGN if "deaf" in parameters else lambda *_: stopped.append(True)
    signal.signal(signal.SIGTERM, handler)
    checkpoint = root / "checkpoints/step"
    resumed = checkpoint.exists()
    if "checkpoint" in parameters:
        checkpoint.parent.mkdir(exist_ok=True)
        checkpoint.write_text("1")
    end = time.monotonic() + (0 if resumed else float(parameters.get("sleep", 0)))
    while time.monotonic() < end and not stopped:
        time.sleep(0.002)
    print("resumed" if resumed else "stopped" if stopped else "done", flush=True)
    (root / "model").mkdir(exist_ok=True)
    host = json.loads((root / "input/config/resourceconfig.json").read_text())["current_host"]
    (root / "model/centroids").write_text(",".join(str(1 + i) for i in range(int(parameters.get("k", 3)))))
    (root / "model" / f"from-{host}").write_text("")
    return int(parameters.get("exit", 0))


class Server(ThreadingHTTPServer):
    """A server that knows its folder."""

    root: Path


class Handler(BaseHTTPRequestHandler):
    """One GET for the health check, one POST for everything else."""

    server: Server

    def do_GET(self) -> None:
        ready = (Path(self.server.root) / "model/centroids").exists()
        self._answer(200 if ready else 503, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        word, _, rest = body.decode(errors="replace").partition(" ")
        if word == "die":
            os._exit(3)
        if word == "sleep":
            time.sleep(float(rest))
        if word == "connect":
            self._answer(200, str(reach(rest)).encode())
            return
        status = int(rest) if word == "status" else 200
        text = "".join(f"{len(line)}\n" for line in body.splitlines())
        self._answer(status, text.encode(), self.headers.get("Accept") or "text/csv")

    def _answer(self, status: int, body: bytes, content_type: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, text: str, *values: object) -> None:
        print(text % values, flush=True)


def serve(root: Path, host: str, port: int) -> int:
    if os.environ.get("STUB_REFUSE"):
        print("I do not start", flush=True)
        return 1
    server = Server((host, port), Handler)
    server.root = root
    server.serve_forever()
    return 0


if __name__ == "__main__":
    options = dict(zip(sys.argv[2::2], sys.argv[3::2], strict=True))
    folder = Path(options["--root"])
    if sys.argv[1] == "train":
        sys.exit(train(folder))
    sys.exit(serve(folder, options.get("--host", "0.0.0.0"), int(options.get("--port", 8080))))
