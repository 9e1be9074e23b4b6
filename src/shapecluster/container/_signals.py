"""SIGTERM: how a platform asks a program to end, some time before it is killed."""

from __future__ import annotations

import signal
import threading
from types import FrameType

EXIT_CODE = 128 + signal.SIGTERM  # what a shell reports for a program that SIGTERM ended

_asked = threading.Event()


class Terminated(SystemExit):
    """SIGTERM came. Servers that end on SystemExit end on it too."""

    def __init__(self) -> None:
        super().__init__(EXIT_CODE)


def end_on_sigterm() -> None:
    """From now on SIGTERM raises `Terminated`, once; for programs, not for what is called inside another."""
    signal.signal(signal.SIGTERM, _terminate)


def raise_if_asked() -> None:
    """Raise `Terminated` if SIGTERM came where Python lets no exception through, such as a destructor."""
    if _asked.is_set():
        raise Terminated


def _terminate(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _asked.set()
    raise Terminated
