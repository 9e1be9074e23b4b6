"""SIGTERM, with which a platform asks a program to exit some time before it is killed."""

from __future__ import annotations

import signal
import threading
from types import FrameType

EXIT_CODE = 128 + signal.SIGTERM  # exit code that a shell reports for a program that SIGTERM ended

_sigterm_received = threading.Event()


class Terminated(SystemExit):
    """SIGTERM arrived. Servers that stop on SystemExit also stop on this exception."""

    def __init__(self) -> None:
        super().__init__(EXIT_CODE)


def exit_on_sigterm() -> None:
    """Let the first SIGTERM raise `Terminated`. Call it in a program, not in a function of another one."""
    signal.signal(signal.SIGTERM, _handle_sigterm)


def raise_if_terminated() -> None:
    """Raise `Terminated` if SIGTERM arrived where Python discards exceptions, such as in a destructor."""
    if _sigterm_received.is_set():
        raise Terminated


def _handle_sigterm(number: int, frame: FrameType | None) -> None:
    # A second SIGTERM must not interrupt the checkpoint that the first one causes.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _sigterm_received.set()
    raise Terminated
