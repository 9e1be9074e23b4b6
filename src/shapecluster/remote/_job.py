"""`Job`: all settings of a job that are not about the model, in one immutable object."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from typing import Any, Literal, NoReturn

MAX_HYPERPARAMETER = 2500  # characters, a limit of SageMaker

_INSTANCE = re.compile(r"ml\.[a-z0-9]+[a-z0-9-]*\.[a-z0-9]+")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9!_.*'()-]+(/[A-Za-z0-9!_.*'()-]+)*")
_CHANNEL = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SUBNET = re.compile(r"subnet-[0-9a-zA-Z]+")
_GROUP = re.compile(r"sg-[0-9a-zA-Z]+")
_URI = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?")
_DAYS_28 = 28 * 86_400  # seconds, a limit of SageMaker


@dataclass(frozen=True, kw_only=True)
class Job:
    """Settings of a job: bucket, machines, network, keys, limits.

    A rehearsal has no machines, networks, keys or bills. It ignores those settings, and applies
    `max_run_seconds`.

    Parameters
    ----------
    bucket : str or None, default=None
        Bucket for data and models, which must belong to the caller's account. None means
        ``sagemaker-<region>-<account>``, the default of the SageMaker SDK.
    prefix : str, default="shapecluster"
        Folder in the bucket for all files.
    create_bucket : bool, default=False
        Whether to create the bucket if there is none.
    instance_type : str, default="ml.m5.xlarge"
        Type of the machines.
    instance_count : int, default=1
        Number of machines. The data is cut into as many files, one for each.
    volume_size_gb : int, default=30
        Disk of each machine.
    max_run_seconds : int, default=3600
        The job is stopped after this time. This bounds its bill, also when no process waits for it.
    spot : bool, default=False
        Whether to use spot machines, which are cheaper and can be reclaimed by AWS.
    max_wait_seconds : int or None, default=None
        With `spot`: maximum time for waiting and running together. None means twice `max_run_seconds`.
    checkpoint : bool or str, default=False
        Where an interrupted job resumes from. True means a folder of its own under `prefix`. An S3 URI can be
        shared by several jobs, each of which resumes where another ended.
    keep_alive_seconds : int, default=0
        How long the machines stay ready for the next job (a warm pool); they are billed meanwhile.
    subnets, security_group_ids : tuple of str, default=()
        The VPC that the job runs in; both or neither.
    volume_kms_key, output_kms_key : str or None, default=None
        Keys that encrypt the disks, and the stored data and models.
    tags : mapping of str to str, default={}
        Tags for jobs, models and endpoints, in addition to the tag ``shapecluster``.
    network_isolation : bool, default=False
        Whether the container has no network. Marketplace algorithms never have one.
    channel : str or None, default=None
        Name of the training channel. None means the one that the algorithm requires.
    hyperparameters : mapping of str to str, default={}
        Hyperparameters in addition to those that the estimator sends.
    on_interrupt : {"stop", "detach"}, default="stop"
        What happens to the job when the wait for it is interrupted (Ctrl-C). "stop" stops it, and a second
        Ctrl-C lets it run on; "detach" lets it run on.
    max_parallel_jobs : int, default=4
        Maximum number of jobs that this process runs at a time in one account and region.
    poll_interval : float or None, default=None
        Seconds between two status requests, plus or minus a fifth. None means 10 on AWS, and a fraction of
        a second in a rehearsal.

    Raises
    ------
    ValueError
        When a value is not valid, or two values exclude each other; the message names the field.

    Examples
    --------
    >>> from shapecluster.remote import Job
    >>> job = Job(instance_type="ml.m5.4xlarge", max_run_seconds=1800, tags={"desk": "research"})
    >>> job.max_run_seconds
    1800
    >>> Job(max_wait_seconds=7200)
    Traceback (most recent call last):
        ...
    ValueError: max_wait_seconds of Job has a meaning with spot=True only. Got 7200 instead.
    """

    bucket: str | None = None
    prefix: str = "shapecluster"
    create_bucket: bool = False
    instance_type: str = "ml.m5.xlarge"
    instance_count: int = 1
    volume_size_gb: int = 30
    max_run_seconds: int = 3600
    spot: bool = False
    max_wait_seconds: int | None = None
    checkpoint: bool | str = False
    keep_alive_seconds: int = 0
    subnets: tuple[str, ...] = ()
    security_group_ids: tuple[str, ...] = ()
    volume_kms_key: str | None = None
    output_kms_key: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    network_isolation: bool = False
    channel: str | None = None
    hyperparameters: Mapping[str, str] = field(default_factory=dict, hash=False)
    on_interrupt: Literal["stop", "detach"] = "stop"
    max_parallel_jobs: int = 4
    poll_interval: float | None = None

    def __post_init__(self) -> None:
        for name in ("subnets", "security_group_ids"):
            self._set(name, _strings(name, getattr(self, name)))
        for name in ("tags", "hyperparameters"):
            self._set(name, _pairs(name, getattr(self, name)))
        for name, check in _CHECKS.items():
            check(name, getattr(self, name))
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, Integral) and not isinstance(value, bool):
                self._set(item.name, int(value))  # NumPy's integers are no JSON
        _check_together(self)

    def __sklearn_clone__(self) -> Job:
        return self  # immutable, so that clones of an estimator can share it

    def _set(self, name: str, value: Any) -> None:
        # The only way to normalize a field of a frozen dataclass.
        object.__setattr__(self, name, value)


def _refuse(name: str, expected: str, value: object) -> NoReturn:
    raise ValueError(f"{name} of Job must be {expected}. Got {value!r} instead.")


def _strings(name: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, (tuple, list)):
        _refuse(name, "a tuple of str", value)
    return tuple(value)


def _pairs(name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        _refuse(name, "a mapping of str to str", value)
    for key, entry in value.items():
        if not isinstance(key, str) or not isinstance(entry, str):
            _refuse(name, "a mapping of str to str", dict(value))
    return dict(value)


def _integer(low: int, high: int | None = None, *, optional: bool = False) -> Callable[[str, Any], None]:
    expected = f"an int of at least {low}" if high is None else f"an int from {low} to {high}"

    def check(name: str, value: Any) -> None:
        if optional and value is None:
            return
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        if not whole or value < low or (high is not None and value > high):
            _refuse(name, expected + (", or None" if optional else ""), value)

    return check


def _boolean(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        _refuse(name, "True or False", value)


def _text(pattern: re.Pattern[str], expected: str, *, optional: bool = False) -> Callable[[str, Any], None]:
    def check(name: str, value: Any) -> None:
        if optional and value is None:
            return
        if not isinstance(value, str) or not pattern.fullmatch(value):
            _refuse(name, expected + (", or None" if optional else ""), value)

    return check


def _each(pattern: re.Pattern[str], expected: str) -> Callable[[str, Any], None]:
    def check(name: str, value: tuple[Any, ...]) -> None:
        for item in value:
            if not isinstance(item, str) or not pattern.fullmatch(item):
                _refuse(name, expected, value)

    return check


def _checkpoint(name: str, value: Any) -> None:
    if not isinstance(value, bool) and not (isinstance(value, str) and _URI.fullmatch(value)):
        _refuse(name, "True, False, or a place such as 's3://bucket/folder'", value)


def _prefix(name: str, value: Any) -> None:
    steps = value.split("/") if isinstance(value, str) else [".."]
    if not isinstance(value, str) or not _PREFIX.fullmatch(value) or {".", ".."} & set(steps):
        _refuse(name, "a folder such as 'team/experiments', without a slash at its ends", value)


def _tags(name: str, value: dict[str, str]) -> None:
    if len(value) > 49:  # SageMaker allows 50
        _refuse(name, "at most 49 tags, since shapecluster adds one", f"{len(value)} of them")
    for key, entry in value.items():
        if not 1 <= len(key) <= 128 or len(entry) > 256 or key.lower().startswith("aws:"):
            _refuse(name, "keys of 1 to 128 characters without 'aws:', values of at most 256", {key: entry})


def _hyperparameters(name: str, value: dict[str, str]) -> None:
    for key, entry in value.items():
        if not 1 <= len(key) <= 256 or len(entry) > MAX_HYPERPARAMETER:
            _refuse(
                name, f"names of 1 to 256 characters, values of at most {MAX_HYPERPARAMETER}", {key: entry}
            )


def _on_interrupt(name: str, value: Any) -> None:
    if not isinstance(value, str) or value not in {"stop", "detach"}:
        _refuse(name, "'stop' or 'detach'", value)


def _poll_interval(name: str, value: Any) -> None:
    number = isinstance(value, Real) and not isinstance(value, bool)
    if value is not None and (not number or not 0 < value <= 3600):
        _refuse(name, "a number of seconds above 0 and up to 3600, or None", value)


# The service checks the rest: ids, aliases and ARNs differ by partition.
_key = _text(re.compile(r"[a-zA-Z0-9:/_.-]{1,2048}"), "the id, alias or ARN of a KMS key", optional=True)

_CHECKS: dict[str, Callable[[str, Any], None]] = {
    "bucket": _text(_BUCKET, "the name of a bucket, without 's3://'", optional=True),
    "prefix": _prefix,
    "create_bucket": _boolean,
    "instance_type": _text(_INSTANCE, "an instance type such as 'ml.m5.xlarge'"),
    "instance_count": _integer(1),
    "volume_size_gb": _integer(1),
    "max_run_seconds": _integer(1, _DAYS_28),
    "spot": _boolean,
    "max_wait_seconds": _integer(1, optional=True),
    "checkpoint": _checkpoint,
    "keep_alive_seconds": _integer(0, 3600),
    "subnets": _each(_SUBNET, "ids such as 'subnet-0a1b2c3d'"),
    "security_group_ids": _each(_GROUP, "ids such as 'sg-0a1b2c3d'"),
    "volume_kms_key": _key,
    "output_kms_key": _key,
    "tags": _tags,
    "network_isolation": _boolean,
    "channel": _text(_CHANNEL, "a name of letters, digits, dots, dashes and underscores", optional=True),
    "hyperparameters": _hyperparameters,
    "on_interrupt": _on_interrupt,
    "max_parallel_jobs": _integer(1),
    "poll_interval": _poll_interval,
}


def _check_together(job: Job) -> None:
    if job.max_wait_seconds is not None:
        if not job.spot:
            raise ValueError(
                "max_wait_seconds of Job has a meaning with spot=True only. "
                f"Got {job.max_wait_seconds!r} instead."
            )
        if job.max_wait_seconds < job.max_run_seconds:
            raise ValueError(
                f"max_wait_seconds of Job must be at least max_run_seconds ({job.max_run_seconds}), which it "
                f"contains. Got {job.max_wait_seconds!r} instead."
            )
    if job.spot and job.keep_alive_seconds:
        raise ValueError(
            "keep_alive_seconds of Job must be 0 with spot=True: spot machines have no warm pool. "
            f"Got {job.keep_alive_seconds!r} instead."
        )
    if bool(job.subnets) != bool(job.security_group_ids):
        raise ValueError(
            "subnets and security_group_ids of Job must both be given, or neither. "
            f"Got {job.subnets!r} and {job.security_group_ids!r} instead."
        )
