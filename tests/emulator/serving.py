"""A model behind HTTP: the container that an endpoint or a transform job talks to."""

from __future__ import annotations

import http.client
import shutil
import socket
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

from tests.emulator import programs
from tests.emulator.jobs import clock


class Unreachable(Exception):
    """The container gives no answer."""


class _ByDoor(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, door: Path, timeout: float) -> None:
        super().__init__("container", timeout=timeout)
        self._door = door

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._door))


class Container:
    """A serving program with a model.

    Parameters
    ----------
    program : Program
        What to run.
    archive : bytes
        model.tar.gz, which lies unpacked below root/model, as in a container.
    root : Path
        Stands for /opt/ml.
    environment : dict
        The model's.
    isolated : bool
        Without a network, where this machine allows it.
    """

    def __init__(
        self,
        program: programs.Program,
        archive: bytes,
        root: Path,
        *,
        environment: dict[str, str],
        isolated: bool,
    ) -> None:
        self.log = root / "serve.log"
        (root / "model").mkdir(parents=True)
        with tarfile.open(fileobj=BytesIO(archive)) as tar:
            tar.extractall(root / "model", filter="data")
        isolated = isolated and programs.can_isolate()
        # The path of a Unix socket has to be short.
        self._private = Path(tempfile.mkdtemp(prefix="door-")) if isolated else None
        self._door = self._private / "door" if self._private else None
        self._port = 8080 if isolated else _free_port()
        env = {**environment, "SAGEMAKER_BIND_TO_PORT": str(self._port)}
        self._process = programs.serve(program, root, self.log, port=self._port, door=self._door, env=env)

    @property
    def alive(self) -> bool:
        return self._process.exit_code is None

    def ready(self) -> bool:
        """Whether /ping answers 200."""
        try:
            return self.ask("GET", "/ping", timeout=2.0)[0] == 200
        except Unreachable:
            return False

    def wait(self, seconds: float) -> bool:
        """Wait until it is ready; False if it dies or takes too long."""
        end = clock() + seconds
        while clock() < end and self.alive:
            if self.ready():
                return True
            self._process.wait(0.01)
        return False

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        timeout: float = 60.0,
    ) -> tuple[int, str, bytes]:
        """Status, content type and body of an answer."""
        connection: http.client.HTTPConnection
        if self._door:
            connection = _ByDoor(self._door, timeout)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=timeout)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.getheader("Content-Type", ""), answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(str(error)) from None
        finally:
            connection.close()

    def close(self, grace: float) -> None:
        self._process.stop(grace)
        if self._private:
            shutil.rmtree(self._private, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
