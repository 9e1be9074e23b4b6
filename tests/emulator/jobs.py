"""What training and transform jobs have in common: a thread, a status, a way to be stopped."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.emulator.inventory import now
from tests.emulator.storage import AccessDenied
from tests.emulator.wire import Caller

if TYPE_CHECKING:
    from tests.emulator.server import Emulator


class Ended(Exception):
    """The job is over before its time; raised inside its life."""

    def __init__(self, status: str, reason: str = "", secondary: str = "") -> None:
        super().__init__(reason)
        self.status, self.reason, self.secondary = status, reason, secondary or status


class Job:
    """A job, which lives in a thread of its own."""

    def __init__(
        self, emulator: Emulator, name: str, arn: str, request: dict[str, Any], caller: Caller
    ) -> None:
        self.emulator, self.name, self.arn, self.request, self.caller = emulator, name, arn, request, caller
        self.status = "InProgress"
        self.reason = ""
        self.created = self.changed = now()
        self.ended: float | None = None
        self.folder: Path = emulator.folder / arn.rpartition(":")[2] / str(self.created)
        self.stopping = threading.Event()
        self._lock = threading.RLock()  # a status, and what belongs to it, change together
        self._thread = threading.Thread(target=self._run, name=arn, daemon=True)

    @property
    def running(self) -> bool:
        return self.status in ("InProgress", "Stopping")

    def start(self) -> None:
        self.folder.mkdir(parents=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end."""
        with self._lock:
            if self.running:
                self.status = "Stopping"
        self.stopping.set()

    def join(self, timeout: float | None = None) -> bool:
        """Wait until it is over."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        end = self._end()
        self._release()  # first: whoever sees that it is over may start the next one
        with self._lock:
            self._finish(end.status, end.reason, end.secondary)

    def _end(self) -> Ended:
        """Live, and tell how it ended."""
        try:
            self._live()
        except Ended as end:
            return end
        except AccessDenied as error:
            return Ended("Failed", f"ClientError: Data download failed:AccessDenied: {error}")
        except Exception as error:  # a bug of the emulator's, which its `close` raises
            self.emulator.errors.append(error)
            return Ended("Failed", "InternalServerError: We encountered an internal error. Please try again.")
        return Ended("Completed")

    def _live(self) -> None:
        raise NotImplementedError

    def _release(self) -> None:
        """Give back what the job took."""

    def _finish(self, status: str, reason: str, secondary: str) -> None:
        self.reason = reason[:1024]
        self.ended = self.changed = now()
        self.status = status

    def _pause(self, seconds: float) -> None:
        """Let a status last so long; a job that is to be stopped ends here."""
        if self.stopping.wait(seconds):
            raise Ended("Stopped")

    def _check_stop(self) -> None:
        self._pause(0)


def clock() -> float:
    return time.monotonic()
