"""`Job`: all settings of a job that are not about the model, in one immutable object."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from numbers import Real
from typing import Any, Literal, NoReturn

from shapecluster._typing import is_integer

MAX_HYPERPARAMETER = 2500  # characters, a limit of SageMaker

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
        for item in fields(self):
            name, value = item.name, getattr(self, item.name)
            expected, is_valid = _CHECKS[name]
            if name in {"tags", "hyperparameters"}:
                if not isinstance(value, Mapping):
                    _refuse(name, expected, value)
                for key, entry in value.items():
                    if not is_valid((key, entry)):
                        _refuse(name, expected, {key: entry})
                self._set(name, dict(value))
            elif item.default is None:
                if value is not None and not is_valid(value):
                    _refuse(name, f"{expected}, or None", value)
            elif not is_valid(value):
                _refuse(name, expected, value)
            if is_integer(value):
                self._set(name, int(value))  # NumPy's integers are no JSON
            elif isinstance(value, list):
                self._set(name, tuple(value))
        _check_together(self)

    def __sklearn_clone__(self) -> Job:
        return self  # immutable, so that clones of an estimator can share it

    def _set(self, name: str, value: Any) -> None:
        # The only way to normalize a field of a frozen dataclass.
        object.__setattr__(self, name, value)


def _refuse(name: str, expected: str, value: object) -> NoReturn:
    raise ValueError(f"{name} of Job must be {expected}. Got {value!r} instead.")


def _integer(low: int, high: int | None = None) -> tuple[str, Callable[[Any], bool]]:
    expected = f"an int of at least {low}" if high is None else f"an int from {low} to {high}"
    return expected, lambda value: is_integer(value) and low <= value and (high is None or value <= high)


def _text(pattern: str, expected: str) -> tuple[str, Callable[[Any], bool]]:
    return expected, lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _each(pattern: str, expected: str) -> tuple[str, Callable[[Any], bool]]:
    is_valid = _text(pattern, expected)[1]
    return (
        f"a tuple of {expected}",
        lambda values: isinstance(values, (tuple, list)) and all(map(is_valid, values)),
    )


def _entry(longest_key: int, longest_value: int, key_rule: str = "") -> tuple[str, Callable[[Any], bool]]:
    """The check of one entry of a mapping."""

    def is_valid(entry: Any) -> bool:
        key, value = entry
        if not isinstance(key, str) or not isinstance(value, str):
            return False
        is_reserved = bool(key_rule) and key.lower().startswith(key_rule)
        return 1 <= len(key) <= longest_key and len(value) <= longest_value and not is_reserved

    rule = f" without {key_rule!r}" if key_rule else ""
    return (
        f"a mapping of str to str: keys of 1 to {longest_key} characters{rule}, values of at most "
        f"{longest_value}",
        is_valid,
    )


def _is_interval(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and 0 < float(value) <= 3600


def _is_checkpoint(value: Any) -> bool:
    return isinstance(value, bool) or _text(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?", "")[1](value)


_BOOLEAN = ("True or False", lambda value: isinstance(value, bool))
# The service checks the rest: ids, aliases and ARNs differ by partition.
_KEY = _text(r"[a-zA-Z0-9:/_.-]{1,2048}", "the id, alias or ARN of a KMS key")
_STEP = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9!_.*'()-]+"

# What each field must be. Fields with the default None may be None as well.
_CHECKS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "bucket": _text(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "the name of a bucket, without 's3://'"),
    "prefix": _text(
        f"{_STEP}(?:/{_STEP})*", "a folder such as 'team/experiments', without a slash at its ends"
    ),
    "create_bucket": _BOOLEAN,
    "instance_type": _text(r"ml\.[a-z0-9]+[a-z0-9-]*\.[a-z0-9]+", "an instance type such as 'ml.m5.xlarge'"),
    "instance_count": _integer(1),
    "volume_size_gb": _integer(1),
    "max_run_seconds": _integer(1, _DAYS_28),
    "spot": _BOOLEAN,
    "max_wait_seconds": _integer(1),
    "checkpoint": ("True, False, or a place such as 's3://bucket/folder'", _is_checkpoint),
    "keep_alive_seconds": _integer(0, 3600),
    "subnets": _each(r"subnet-[0-9a-zA-Z]+", "ids such as 'subnet-0a1b2c3d'"),
    "security_group_ids": _each(r"sg-[0-9a-zA-Z]+", "ids such as 'sg-0a1b2c3d'"),
    "volume_kms_key": _KEY,
    "output_kms_key": _KEY,
    "tags": _entry(128, 256, key_rule="aws:"),
    "network_isolation": _BOOLEAN,
    "channel": _text(r"[A-Za-z0-9._-]{1,64}", "a name of letters, digits, dots, dashes and underscores"),
    "hyperparameters": _entry(256, MAX_HYPERPARAMETER),
    "on_interrupt": _text("stop|detach", "'stop' or 'detach'"),
    "max_parallel_jobs": _integer(1),
    "poll_interval": ("a number of seconds above 0 and up to 3600", _is_interval),
}


def _check_together(job: Job) -> None:
    if len(job.tags) > 49:  # SageMaker allows 50
        _refuse("tags", "at most 49 tags, since shapecluster adds one", f"{len(job.tags)} of them")
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
