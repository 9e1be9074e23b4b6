"""What exists in the account, and how much of it may."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from tests.emulator.errors import ServiceError
from tests.emulator.policies import arn
from tests.emulator.wire import Caller


class _Named(Protocol):
    name: str
    arn: str


R = TypeVar("R", bound=_Named)


@dataclass(frozen=True)
class Snapshot:
    """Names of what exists. Empty, it is false: nothing is left over that costs money or waits to."""

    endpoints: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    running_jobs: tuple[str, ...] = ()
    model_packages: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.endpoints or self.configs or self.models or self.running_jobs)


class Table(Generic[R]):
    """Resources of one kind, by region and name.

    Parameters
    ----------
    kind : str
        As in an ARN: "training-job".
    title : str
        As in texts: "endpoint configuration".
    """

    def __init__(self, kind: str, title: str) -> None:
        self.kind, self.title = kind, title
        self._rows: dict[str, R] = {}
        self._lock = threading.RLock()

    def __iter__(self) -> Iterator[R]:
        with self._lock:
            return iter(list(self._rows.values()))

    def arn(self, name: str, caller: Caller) -> str:
        return arn(self.kind, name, caller)

    def find(self, name: str, caller: Caller) -> R | None:
        """By name or ARN; case does not matter, as in the service."""
        return self._rows.get(self.arn(name, caller))

    def get(self, name: str, caller: Caller) -> R:
        found = self.find(name, caller)
        if found is None:
            raise self.missing(name, caller)
        return found

    def missing(self, name: str, caller: Caller) -> ServiceError:
        if self.kind.endswith("-job"):
            return ServiceError("ValidationException", "Requested resource not found.")
        return ServiceError("ValidationException", f'Could not find {self.title} "{self.arn(name, caller)}".')

    def add(self, resource: R) -> None:
        """Names are unique, whoever is first."""
        with self._lock:
            if resource.arn in self._rows:
                raise self._duplicate(resource.arn)
            self._rows[resource.arn] = resource

    def refuse_duplicate(self, name: str, caller: Caller) -> None:
        if self.find(name, caller):
            raise self._duplicate(self.arn(name, caller))

    def remove(self, resource: R) -> None:
        with self._lock:
            self._rows.pop(resource.arn, None)

    def _duplicate(self, arn: str) -> ServiceError:
        if self.kind.endswith("-job"):
            what = self.title.capitalize()
            return ServiceError(
                "ResourceInUse",
                f"{what} names must be unique within an AWS account and region, "
                f"and a {self.title} with this name already exists ({arn})",
            )
        return ServiceError("ValidationException", f'Cannot create already existing {self.title} "{arn}".')


@dataclass
class Record:
    """A resource that is no more than what its request said."""

    name: str
    arn: str
    request: dict[str, Any]
    created: float


def page(rows: list[dict[str, Any]], request: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """One page of a list, and the member that leads to the next."""
    start, size = int(request.get("NextToken", 0)), request.get("MaxResults", 10)
    more = {"NextToken": str(start + size)} if start + size < len(rows) else {}
    return rows[start : start + size], more


class Quota:
    """How many jobs run at a time: counted, and limited."""

    def __init__(self) -> None:
        self.limit = 1_000_000
        self.running = 0
        self.peak = 0
        self._lock = threading.Lock()

    def take(self, instance_type: str) -> None:
        """One more job, unless there are as many as allowed."""
        with self._lock:
            if self.running >= self.limit:
                raise ServiceError(
                    "ResourceLimitExceeded",
                    f"The account-level service limit '{instance_type} for training job usage' is "
                    f"{self.limit} Instances, with current utilization of {self.running} Instances and a "
                    "request delta of 1 Instances. Please contact AWS support to request an increase for "
                    "this limit.",
                )
            self.running += 1
            self.peak = max(self.peak, self.running)

    def give_back(self) -> None:
        with self._lock:
            self.running -= 1


def now() -> float:
    """Seconds since 1970, as the service's JSON has them."""
    return round(time.time(), 3)
