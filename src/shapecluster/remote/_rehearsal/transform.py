"""Batch transform jobs of a rehearsal: a thread of this process sends the rows to a server."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shapecluster.exceptions import RemoteError
from shapecluster.remote._names import join_uri, relative_uri
from shapecluster.remote._rehearsal.jobs import Jobs
from shapecluster.remote._rehearsal.programs import stop_requested
from shapecluster.remote._rehearsal.records import Refusal, described
from shapecluster.remote._rehearsal.serving import Servers
from shapecluster.remote._rehearsal.supervisor import read_json, write_json

_TICK = 0.02
_STOPPED = {"status": "Stopped"}


class TransformJobs(Jobs):
    """Creates, describes and stops jobs; a job ends with the process that made it.

    Parameters
    ----------
    servers : Servers
        The servers of the rehearsal.
    """

    def __init__(self, servers: Servers) -> None:
        super().__init__(servers.store, "transform-job")
        self._servers = servers
        self._running: set[str] = set()

    def create(self, request: dict[str, Any]) -> None:
        """Start a job; in process, also finish it."""
        name, split = request["TransformJobName"], request["TransformInput"].get("SplitType")
        if split != "Line":
            text = f"A rehearsal splits files by 'Line' only. Got SplitType={split!r} instead."
            raise Refusal("ValidationException", text)
        self._servers.models.read(request["ModelName"])
        folder = self.claim(name)
        write_json(folder / "state.json", {"status": "InProgress"})
        self._running.add(name)
        self.write(folder, request)
        if self._servers.store.in_process:
            self._run(folder, request)
        else:
            # A daemon: a transform job in progress must not keep the interpreter from ending.
            threading.Thread(target=self._run, args=(folder, request), daemon=True, name=name).start()

    def state(self, folder: Path) -> dict[str, Any]:
        """State of a job."""
        state: dict[str, Any] = read_json(folder / "state.json")
        if state["status"] == "InProgress":
            if folder.name not in self._running:
                state = _failed("InternalServerError: the process that ran it has ended")
            elif stop_requested(folder):
                state = {"status": "Stopping"}
        return described(state, {"status": "TransformJobStatus", "reason": "FailureReason"})

    def _run(self, folder: Path, request: dict[str, Any]) -> None:
        server = folder / "server"
        try:
            server.mkdir()
            self._servers.start(server, request["ModelName"])
            state = self._answer(folder, server, request)
        except (Refusal, RemoteError) as error:
            state = _failed(str(error))
        except Exception as error:
            state = _failed(f"InternalServerError: {type(error).__name__}: {error}")
        finally:
            self._servers.stop(server)
        write_json(folder / "state.json", state)
        self._running.discard(folder.name)

    def _answer(self, folder: Path, server: Path, request: dict[str, Any]) -> dict[str, str]:
        status, reason = self._servers.status(server)
        while status == "Creating" and not stop_requested(folder):
            time.sleep(_TICK)
            status, reason = self._servers.status(server)
        if stop_requested(folder):
            return _STOPPED
        if status == "Failed":
            return _failed(f"AlgorithmError: {reason}")
        given, wanted = request["TransformInput"], request["TransformOutput"]
        source = given["DataSource"]["S3DataSource"]["S3Uri"]
        base = source[: source.rfind("/")]
        limit = int(request.get("MaxPayloadInMB", 6)) * 2**20
        content_type, accept = given.get("ContentType", ""), wanted.get("Accept", "*/*")
        for uri in list(self._servers.store.list(source)):
            answers = io.BytesIO()
            for piece in self._pieces(uri, limit):
                if stop_requested(folder):
                    return _STOPPED
                code, answer, _ = self._servers.send(server, piece, content_type, accept)
                if code != 200:
                    text = answer.decode("utf-8", "replace")[:1024]
                    return _failed(f"ClientError: the model answered {code}: {text}")
                answers.write(answer)
            answers.seek(0)
            target = join_uri(wanted["S3OutputPath"], relative_uri(base, uri) + ".out")
            self._servers.store.upload(answers, target)
        return {"status": "Completed"}

    def _pieces(self, uri: str, limit: int) -> Iterator[bytes]:
        """The lines of a file in pieces of at most so many bytes."""
        piece = bytearray()
        with self._servers.store.open(uri) as file:
            for line in file:
                if piece and len(piece) + len(line) > limit:
                    yield bytes(piece)
                    piece.clear()
                piece += line
        if piece:
            yield bytes(piece)


def _failed(reason: str) -> dict[str, str]:
    return {"status": "Failed", "reason": reason}
