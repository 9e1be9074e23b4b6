"""Things that go wrong on purpose: in a call, or in the life of a job.

emulator.faults.add("DescribeTrainingJob", faults.throttling(), nth=2, times=3)
emulator.faults.job("*", faults.spot_interruption(when="checkpoints/*"))
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from tests.emulator.errors import ServiceError, not_authorized
from tests.emulator.wire import Incoming


@dataclass(frozen=True)
class CallFault:
    """What happens to a call."""

    kind: Literal["error", "drop", "hang", "cut"]
    error: ServiceError | None = None
    after: bool = False  # the call is carried out first, and only its answer is lost
    seconds: float = 60.0  # how long an answer hangs, unless the caller gives up first
    n_bytes: int = 0  # how much of an answer arrives before it is cut

    def __str__(self) -> str:
        return self.error.code if self.error else f"{self.kind}{' after' if self.after else ''}"


def error(code: str, message: str, status: int = 400) -> CallFault:
    return CallFault("error", ServiceError(code, message, status))


def throttling() -> CallFault:
    return error("ThrottlingException", "Rate exceeded")


def expired_token() -> CallFault:
    return error("ExpiredTokenException", "The security token included in the request is expired")


def access_denied() -> CallFault:
    """The text is completed with user, action and resource."""
    return error("AccessDeniedException", "")


def pass_role_denied(role: str) -> CallFault:
    """The caller may make jobs, but not give them this role."""
    denied = not_authorized("iam:PassRole", role, "arn:aws:iam::123456789012:user/somebody")
    return CallFault("error", denied)


def internal_failure() -> CallFault:
    return error("InternalFailure", "The request processing has failed because of an unknown error.", 500)


def unavailable() -> CallFault:
    return error(
        "ServiceUnavailable", "The request has failed due to a temporary failure of the server.", 503
    )


def dropped(*, after: bool = False) -> CallFault:
    """The connection is closed without an answer; `after`: the call took effect all the same."""
    return CallFault("drop", after=after)


def hung(seconds: float = 60.0, *, after: bool = False) -> CallFault:
    """No answer for so long, and then the connection is closed."""
    return CallFault("hang", after=after, seconds=seconds)


def cut(n_bytes: int = 0) -> CallFault:
    """The answer breaks off."""
    return CallFault("cut", n_bytes=n_bytes)


def model_error(status: int = 500, message: str = "the model broke") -> CallFault:
    """What InvokeEndpoint answers when the container answers `status`."""
    side = "server" if status >= 500 else "client"
    text = f'Received {side} error ({status}) from primary with message "{message}". See the logs.'
    extra = {"OriginalStatusCode": status, "OriginalMessage": message}
    return CallFault("error", ServiceError("ModelError", text, 424, extra))


@dataclass(frozen=True)
class JobFault:
    """What happens to a job; `stage` is the secondary status it happens in."""

    kind: Literal["fail", "stop", "spot", "overtime", "artifact"]
    stage: str = "Training"
    reason: str = ""
    when: str = ""  # a pattern below the job's root: happens once such a file exists
    after: float = 0.0  # seconds into the stage
    notice: bool = True  # a spot interruption announces itself with SIGTERM, else it is SIGKILL
    wait: float = 0.0  # seconds until the next instance
    spoil: str = ""
    size: int = 300 << 20


def job_failed(
    reason: str = "AlgorithmError: something broke, exit code: 1", stage: str = "Training"
) -> JobFault:
    return JobFault("fail", stage, reason)


def capacity_error(stage: str = "Starting") -> JobFault:
    """Of a training job; of an endpoint with `stage="Creating"`."""
    return JobFault(
        "fail",
        stage,
        "CapacityError: Unable to provision requested ML compute capacity. "
        "Please retry using a different ML instance type.",
    )


def internal_job_error(stage: str = "Downloading") -> JobFault:
    return JobFault("fail", stage, "InternalServerError: We encountered an internal error. Please try again.")


def job_stopped(stage: str = "Training") -> JobFault:
    """Somebody else stops the job."""
    return JobFault("stop", stage)


def out_of_time() -> JobFault:
    """The job reaches its MaxRuntimeInSeconds at once."""
    return JobFault("overtime")


def spot_interruption(
    *, when: str = "", after: float = 0.0, notice: bool = True, wait: float = 0.0
) -> JobFault:
    """The instance is taken away, and another one comes."""
    return JobFault("spot", when=when, after=after, notice=notice, wait=wait)


def artifact(
    spoil: Literal["missing", "truncated", "oversize", "traversal", "absolute link", "garbage"],
    size: int = 300 << 20,
) -> JobFault:
    """model.tar.gz is not what it should be; see `artifacts.spoiled`."""
    return JobFault("artifact", "Uploading", spoil=spoil, size=size)


@dataclass
class _Rule:
    pattern: str
    fault: CallFault | JobFault
    nth: int = 1
    times: int = 1
    every: int = 0
    caller: str = "*"
    key: str = "*"
    spreads: bool = False
    seen: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def strikes(self) -> bool:
        with self.lock:
            self.seen += 1
            if self.every:
                return self.seen >= self.nth and (self.seen - self.nth) % self.every == 0
            return self.nth <= self.seen < self.nth + self.times


class FaultPlan:
    """Which calls and jobs go wrong."""

    def __init__(self) -> None:
        self._calls: list[_Rule] = []
        self._jobs: list[_Rule] = []

    def add(
        self,
        operation: str,
        fault: CallFault,
        *,
        nth: int = 1,
        times: int = 1,
        every: int = 0,
        caller: str = "*",
        key: str = "*",
    ) -> None:
        """Spoil the nth call of an operation ("Describe*", "s3.PutObject") and the times - 1 after it.

        `every=3`: the nth, and each third one from there on. `caller`: only calls with this access key.
        `key`: only those of S3 that are about such a key.
        """
        self._calls.append(_Rule(operation, fault, nth, times, every, caller, key))

    def always(self, operation: str, fault: CallFault, *, caller: str = "*", key: str = "*") -> None:
        """Spoil every call."""
        self.add(operation, fault, every=1, caller=caller, key=key)

    def from_then_on(self, operation: str, fault: CallFault, *, nth: int = 1, key: str = "*") -> None:
        """Spoil the nth call of an operation, and every call of any operation after it."""
        self._calls.append(_Rule(operation, fault, nth, key=key, spreads=True))

    def job(self, name: str, fault: JobFault, *, times: int = 1, nth: int = 1) -> None:
        """Spoil the jobs whose name matches: the nth that gets to the fault's stage, and the next ones.

        Each start of a job's program after a spot interruption gets there anew.
        """
        self._jobs.append(_Rule(name, fault, nth, times))

    def of_call(self, incoming: Incoming) -> CallFault | None:
        names = (incoming.operation, f"{incoming.service}.{incoming.operation}")
        for rule in list(self._calls):
            if not any(fnmatchcase(name, rule.pattern) for name in names):
                continue
            if not fnmatchcase(str(incoming.request.get("Key", "")), rule.key):
                continue
            if fnmatchcase(incoming.caller.access_key, rule.caller) and rule.strikes():
                assert isinstance(rule.fault, CallFault)
                if rule.spreads:
                    self.always("*", rule.fault)
                return rule.fault
        return None

    def of_job(self, name: str, stage: str) -> JobFault | None:
        for rule in list(self._jobs):
            assert isinstance(rule.fault, JobFault)
            if rule.fault.stage == stage and fnmatchcase(name, rule.pattern) and rule.strikes():
                return rule.fault
        return None

    def clear(self) -> None:
        """Everything works again."""
        self._calls.clear()
        self._jobs.clear()

    @contextmanager
    def during(self, operation: str, fault: CallFault) -> Iterator[None]:
        """Spoil every call inside a `with` block."""
        self.always(operation, fault)
        rule = self._calls[-1]
        try:
            yield
        finally:
            self._calls.remove(rule)


class Throttle:
    """At most `rate` calls of an operation in any one second; more are refused."""

    def __init__(self) -> None:
        self._rates: dict[str, int] = {}
        self._recent: dict[str, list[float]] = {}
        self._lock = threading.Lock()

    def limit(self, operation: str, rate: int) -> None:
        self._rates[operation] = rate

    def check(self, operation: str, now: float) -> None:
        rate = self._rates.get(operation)
        if rate is None:
            return
        with self._lock:
            recent = [moment for moment in self._recent.get(operation, []) if moment > now - 1.0]
            if len(recent) >= rate:
                self._recent[operation] = recent
                raise ServiceError("ThrottlingException", "Rate exceeded")
            self._recent[operation] = [*recent, now]


def refuse_foreign_owner(incoming: Incoming) -> None:
    """S3 refuses a call that expects somebody else to own the bucket; moto does not look."""
    owner = incoming.request.get("ExpectedBucketOwner", incoming.caller.account)
    if owner != incoming.caller.account:
        raise ServiceError("AccessDeniedException", "Access Denied")
