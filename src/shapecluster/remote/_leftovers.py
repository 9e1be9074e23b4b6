"""Leftovers: billable resources that jobs left behind, found by the tag of this package."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from shapecluster.exceptions import NotFoundError, RemoteError
from shapecluster.remote._cleanup import CleanupStack
from shapecluster.remote._clock import CLOCK, Clock
from shapecluster.remote._job import Job
from shapecluster.remote._platform import Platform, open_platform
from shapecluster.remote._polling import PollSchedule, with_retries
from shapecluster.remote._records import collected_mark_uri
from shapecluster.remote._request import TAG
from shapecluster.remote._training import poll_interval_of
from shapecluster.remote._uris import join_uri, relative_uri, split_uri

HOUR = 3600.0

# In the order of deletion: no kind is used by a kind after it.
_KINDS = {
    "endpoint": ("endpoint", "Endpoint", "Endpoints"),
    "endpoint configuration": ("endpoint_config", "EndpointConfig", "EndpointConfigs"),
    "model": ("model", "Model", "Models"),
    "model package": ("model_package", "ModelPackage", "ModelPackageSummaryList"),
}
STAGED = "staged data"

_FOLDER = re.compile(r"[0-9a-f]{40}")
_NO_RESULT = {"Failed", "Stopped", "Deleting"}


@dataclass(frozen=True)
class Leftover:
    """A billable resource left behind by a job.

    Attributes
    ----------
    kind : str
        "endpoint", "endpoint configuration", "model", "model package" or "staged data".
    name : str
        Its name; for data, the URI of its folder.
    created : datetime or None
        Time of its creation, if known.
    kept_for : tuple of str
        Training jobs that read this data, and whose results were not collected. The data is not deleted then.
    """

    kind: str
    name: str
    created: datetime | None = None
    kept_for: tuple[str, ...] = field(default=())


def list_leftovers(
    session: object = None,
    *,
    bucket: str | None = None,
    prefix: str = "shapecluster",
    min_age: float = HOUR,
) -> list[Leftover]:
    """List billable resources that jobs left behind: endpoints, models and staged data.

    Only resources with the tag of this package are listed. Model files in the bucket are results, and are
    not listed.

    Parameters
    ----------
    session : boto3.Session, session of the SageMaker SDK 3, Rehearsal or None, default=None
        Platform to search; None means the default credentials of boto3.
    bucket : str or None, default=None
        Bucket of the staged data, as in `Job`; None means the session's default bucket.
    prefix : str, default="shapecluster"
        As in `Job`.
    min_age : float, default=3600
        Seconds. Younger data is skipped, since a job may be about to use it.

    Returns
    -------
    list of Leftover
        In the order in which they can be deleted.

    Raises
    ------
    RemoteError
        When a call fails.

    See Also
    --------
    clean_up : Deletes leftovers.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from shapecluster import SageMakerKShape
    >>> from shapecluster.remote import Rehearsal, list_leftovers
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     session = Rehearsal(folder, in_process=True)
    ...     X = np.random.default_rng(0).normal(size=(20, 30))
    ...     model = SageMakerKShape(2, session=session, random_state=0).fit(X)
    ...     print([leftover.kind for leftover in list_leftovers(session, min_age=0)])
    ['staged data']
    """
    return find_leftovers(open_platform(session), bucket, prefix, min_age=min_age)


def clean_up(leftovers: Iterable[Leftover], session: object = None) -> list[Leftover]:
    """Delete leftovers, except for data that an uncollected job reads.

    Parameters
    ----------
    leftovers : iterable of Leftover
        As `list_leftovers` returns them, in any order. Data with `kept_for` is neither deleted nor returned.
    session : boto3.Session, session of the SageMaker SDK 3, Rehearsal or None, default=None
        As in `list_leftovers`.

    Returns
    -------
    list of Leftover
        The leftovers that were deleted.

    Raises
    ------
    RemoteError
        When something could not be deleted. The message names it; everything else is deleted.

    See Also
    --------
    list_leftovers : Finds leftovers.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from shapecluster import SageMakerKShape
    >>> from shapecluster.remote import Rehearsal, clean_up, list_leftovers
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     session = Rehearsal(folder, in_process=True)
    ...     X = np.random.default_rng(0).normal(size=(20, 30))
    ...     model = SageMakerKShape(2, session=session, random_state=0).fit(X)
    ...     gone = clean_up(list_leftovers(session, min_age=0), session)
    ...     print(len(gone), len(list_leftovers(session, min_age=0)))
    1 0
    """
    free = [leftover for leftover in leftovers if not leftover.kept_for]
    deleted, left = delete_leftovers(open_platform(session), free)
    if left:
        raise RemoteError(f"Could not be deleted: {'; '.join(left)}.")
    return deleted


def find_leftovers(
    platform: Platform,
    bucket: str | None = None,
    prefix: str = "shapecluster",
    *,
    min_age: float = HOUR,
    clock: Clock = CLOCK,
) -> list[Leftover]:
    """List leftovers, see `list_leftovers`.

    Parameters
    ----------
    platform : Platform
        Where to search.
    bucket : str, default=None
        Bucket of the staged data; None means the default bucket.
    prefix : str, default="shapecluster"
        As in `Job`.
    min_age : float, default=3600
        Seconds. Younger data is skipped.
    clock : Clock
        For ages and waits.
    """
    schedule = PollSchedule(poll_interval_of(platform, Job()), clock)
    found = [leftover for kind in _KINDS for leftover in _tagged(platform, kind, schedule)]
    base = join_uri(f"s3://{bucket or platform.default_bucket()}", prefix)
    return found + list(_staged(platform, base, clock.wall() - min_age, schedule))


def delete_leftovers(
    platform: Platform, leftovers: Iterable[Leftover], *, clock: Clock = CLOCK
) -> tuple[list[Leftover], list[str]]:
    """Delete leftovers, except for data that an uncollected job reads.

    Parameters
    ----------
    platform : Platform
        Where they are.
    leftovers : iterable of Leftover
        In any order.
    clock : Clock
        For the waits.

    Returns
    -------
    deleted : list of Leftover
        What was deleted.
    left : list of str
        What could not be deleted, and why.
    """
    schedule = PollSchedule(poll_interval_of(platform, Job()), clock)
    order = [*_KINDS, STAGED]
    deleted, left = [], []
    for one in sorted(leftovers, key=lambda leftover: order.index(leftover.kind)):
        if one.kind == STAGED:
            # Read again: a job may have begun since the list was made.
            readers = one.kept_for or _readers(
                platform, one.name, list(platform.list(one.name + "/")), schedule
            )
            if readers:
                left.append(
                    f"{one.kind} {one.name} (read by {', '.join(readers)}, whose results are not collected)"
                )
                continue
            _delete_folder(platform, one.name, schedule)
            deleted.append(one)
            continue
        cleanup = CleanupStack(platform, schedule)
        cleanup.add(*_KINDS[one.kind][:2], one.name)
        failed = cleanup.run()
        left += failed
        if not failed:
            deleted.append(one)
    return deleted, left


def _tagged(platform: Platform, kind: str, schedule: PollSchedule) -> Iterator[Leftover]:
    noun, title, heading = _KINDS[kind]
    for row in _pages(platform, f"sagemaker.list_{noun}s", heading, schedule):
        arn = row[f"{title}Arn"]
        try:
            tags = _pages(platform, "sagemaker.list_tags", "Tags", schedule, ResourceArn=arn)
            is_own = any(tag["Key"] == TAG for tag in tags)
        except NotFoundError:
            continue  # deleted meanwhile
        if is_own:
            name = row.get(f"{title}Name") or arn.rpartition("/")[2]
            yield Leftover(kind, str(name), row.get("CreationTime"))


def _pages(
    platform: Platform, operation: str, heading: str, schedule: PollSchedule, **request: Any
) -> Iterator[Mapping[str, Any]]:
    token: dict[str, Any] = {}
    while True:
        answer = with_retries(_caller(platform, operation, request | token), schedule)
        yield from answer.get(heading, [])
        if not answer.get("NextToken"):
            return
        token = {"NextToken": answer["NextToken"]}


def _caller(platform: Platform, operation: str, request: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    return lambda: platform.call(operation, **request)


def _staged(platform: Platform, base: str, before: float, schedule: PollSchedule) -> Iterator[Leftover]:
    folders: dict[str, list[str]] = {}
    try:
        for uri in platform.list(base + "/"):
            step = relative_uri(base, uri).partition("/")[0]
            if _FOLDER.fullmatch(step):
                folders.setdefault(join_uri(base, step), []).append(uri)
    except NotFoundError:
        return  # no bucket, no data
    for folder, uris in folders.items():
        # The newest file decides: an upload may still run, or a job may be about to be created.
        created = max(_modified(platform, uri, schedule) for uri in uris)
        if created.timestamp() <= before:
            yield Leftover(STAGED, folder, created, _readers(platform, folder, uris, schedule))


def _modified(platform: Platform, uri: str, schedule: PollSchedule) -> datetime:
    bucket, key = split_uri(uri)
    try:
        answer = with_retries(_caller(platform, "s3.head_object", {"Bucket": bucket, "Key": key}), schedule)
    except NotFoundError:
        return datetime.fromtimestamp(0.0, UTC)
    modified: datetime = answer["LastModified"]
    return modified


def _readers(platform: Platform, folder: str, uris: list[str], schedule: PollSchedule) -> tuple[str, ...]:
    """Jobs that read this data, and whose results can still be collected."""
    records = [uri for uri in uris if uri.startswith(join_uri(folder, "jobs/")) and uri.endswith(".json")]
    open_records = [uri for uri in records if collected_mark_uri(uri) not in uris]
    names = [uri.rpartition("/")[2].removesuffix(".json") for uri in open_records]
    return tuple(name for name in names if _may_have_result(platform, name, schedule))


def _may_have_result(platform: Platform, job_name: str, schedule: PollSchedule) -> bool:
    try:
        request = {"TrainingJobName": job_name}
        description = with_retries(_caller(platform, "sagemaker.describe_training_job", request), schedule)
    except NotFoundError:
        return False
    return description["TrainingJobStatus"] not in _NO_RESULT


def _delete_folder(platform: Platform, folder: str, schedule: PollSchedule) -> None:
    # The manifest marks the data as complete, so it is deleted first.
    for uri in [join_uri(folder, "manifest.json"), *platform.list(folder + "/")]:
        with_retries(_deleting(platform, uri), schedule)


def _deleting(platform: Platform, uri: str) -> Callable[[], None]:
    return lambda: platform.delete(uri)
