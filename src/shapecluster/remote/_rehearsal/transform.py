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
from shapecluster.remote._rehearsal.objects import Store
from shapecluster.remote._rehearsal.records import Records, Refusal
from shapecluster.remote._rehearsal.serving import Serving
from shapecluster.remote._rehearsal.supervisor import read_json, write_json

_TICK = 0.02


class TransformJobs:
    """Creates, describes and stops jobs; a job ends with the process that made it.

    Parameters
    ----------
    store : Store
        The rehearsal.
    serving : Serving
        Starts the servers.
    """

    def __init__(self, store: Store, serving: Serving) -> None:
        self.records = Records(store.path / "sagemaker", "transform-job")
        self.store = store
        self.serving = serving
        self._running: set[str] = set()

    def create(self, **request: Any) -> dict[str, Any]:
        """Start a job; in process, also finish it."""
        name = request["TransformJobName"]
        self.serving.models.read(request["ModelName"])
        folder = self.records.create(name, request)
        write_json(folder / "state.json", {"TransformJobStatus": "InProgress"})
        self._running.add(name)
        if self.store.in_process:
            self._run(folder, request)
        else:
            # A daemon: a transform job in progress must not keep the interpreter from ending.
            threading.Thread(target=self._run, args=(folder, request), daemon=True, name=name).start()
        return {"TransformJobArn": self.records.arn(name)}

    def describe(self, TransformJobName: str) -> dict[str, Any]:
        """The description of a job."""
        folder = self.records.folder_of(TransformJobName)
        if not (folder / "record.json").is_file():
            raise Refusal("ValidationException", "Requested resource not found.")
        state: dict[str, Any] = read_json(folder / "state.json")
        if state["TransformJobStatus"] == "InProgress":
            if TransformJobName not in self._running:
                state = _failed("InternalServerError: the process that ran it has ended")
            elif (folder / "halt").exists():
                state = {"TransformJobStatus": "Stopping"}
        return self.records.describe(TransformJobName) | state

    def stop(self, TransformJobName: str) -> dict[str, Any]:
        """Request the end of a job."""
        if self.describe(TransformJobName)["TransformJobStatus"] not in {"InProgress", "Stopping"}:
            raise Refusal(
                "ValidationException", "The request was rejected because the transform job is over."
            )
        (self.records.folder_of(TransformJobName) / "halt").touch()
        return {}

    def _run(self, folder: Path, request: dict[str, Any]) -> None:
        server = folder / "server"
        try:
            server.mkdir()
            self.serving.start_server(server, request["ModelName"])
            state = self._answer(folder, server, request)
        except (Refusal, RemoteError) as error:
            state = _failed(str(error))
        except Exception as error:
            state = _failed(f"InternalServerError: {type(error).__name__}: {error}")
        finally:
            self.serving.stop_server(server)
        write_json(folder / "state.json", state)
        self._running.discard(request["TransformJobName"])

    def _answer(self, folder: Path, server: Path, request: dict[str, Any]) -> dict[str, str]:
        started, status, reason = time.time(), "Creating", ""
        while status == "Creating":
            status, reason = self.serving.server_status(server, started)
            if (folder / "halt").exists():
                return {"TransformJobStatus": "Stopped"}
            time.sleep(_TICK if status == "Creating" else 0.0)
        if status == "Failed":
            return _failed(f"AlgorithmError: {reason}")
        given, wanted = request["TransformInput"], request["TransformOutput"]
        source = given["DataSource"]["S3DataSource"]["S3Uri"]
        base = source[: source.rfind("/")]
        for uri in list(self.store.list(source)):
            answers = io.BytesIO()
            for piece in self._pieces(uri, request):
                if (folder / "halt").exists():
                    return {"TransformJobStatus": "Stopped"}
                code, answer, _ = self.serving.send_request(
                    server, piece, given.get("ContentType", ""), wanted.get("Accept", "*/*")
                )
                if code != 200:
                    text = answer.decode("utf-8", "replace")[:1024]
                    return _failed(f"ClientError: the model answered {code}: {text}")
                answers.write(answer)
            answers.seek(0)
            target = join_uri(wanted["S3OutputPath"], relative_uri(base, uri) + ".out")
            self.store.upload(answers, target)
        return {"TransformJobStatus": "Completed"}

    def _pieces(self, uri: str, request: dict[str, Any]) -> Iterator[bytes]:
        """The records of a file in pieces of at most MaxPayloadInMB."""
        limit = int(request.get("MaxPayloadInMB", 6)) * 2**20
        with self.store.open(uri) as file:
            if request["TransformInput"].get("SplitType", "None") == "None":
                yield file.read()
                return
            piece = bytearray()
            for record in _records(file, request["TransformInput"]["SplitType"]):
                if piece and len(piece) + len(record) > limit:
                    yield bytes(piece)
                    piece.clear()
                piece += record
            if piece:
                yield bytes(piece)


def _failed(reason: str) -> dict[str, str]:
    return {"TransformJobStatus": "Failed", "FailureReason": reason}


def _records(file: Any, split: str) -> Iterator[bytes]:
    if split == "Line":
        yield from file
        return
    while header := file.read(8):  # RecordIO: magic number, length, payload up to a multiple of four
        length = int.from_bytes(header[4:], "little") & (2**29 - 1)
        yield header + file.read(-(-length // 4) * 4)
