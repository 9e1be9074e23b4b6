"""Every call that reached the emulator, for assertions."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from tests.emulator.wire import Incoming


@dataclass
class Call:
    """One call and how it ended. Holds no secret: of the credentials only the access key's id."""

    service: str
    operation: str
    request: dict[str, Any]
    access_key: str
    region: str
    user_agent: str
    time: float = field(default_factory=time.monotonic)
    status: int = 0  # of HTTP; 0 while it runs, or when the connection was dropped
    error: str = ""  # the code of the refusal
    fault: str = ""  # the fault that was injected, if one was


class Recorder:
    """A list of calls that several threads append to."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._lock = threading.Lock()

    def add(self, incoming: Incoming) -> Call:
        call = Call(
            incoming.service,
            incoming.operation,
            incoming.request,
            incoming.caller.access_key,
            incoming.caller.region,
            incoming.user_agent,
        )
        with self._lock:
            self._calls.append(call)
        return call

    def __call__(self, operation: str = "*", *, service: str = "*", **request: Any) -> list[Call]:
        """The calls whose operation matches ("List*") and whose request has these members, oldest first."""
        with self._lock:
            calls = list(self._calls)
        return [
            call
            for call in calls
            if fnmatchcase(call.operation, operation)
            and fnmatchcase(call.service, service)
            and request.items() <= call.request.items()
        ]

    def counts(self, service: str = "*") -> Counter[str]:
        """How often each operation was called."""
        return Counter(call.operation for call in self(service=service))

    def access_keys(self, operation: str = "*") -> set[str]:
        """Whose credentials the calls used."""
        return {call.access_key for call in self(operation)}

    def clear(self) -> None:
        with self._lock:
            self._calls.clear()
