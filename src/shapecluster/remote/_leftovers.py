"""Leftovers: billable resources that jobs left behind, found by the tag of this package."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from shapecluster.exceptions import AccessError, NotFoundError, RemoteError
from shapecluster.remote._names import join_uri, relative_uri, split_uri
from shapecluster.remote._polling import JobClient, open_client
from shapecluster.remote._request import TAG
from shapecluster.remote._resources import Cleanup, named
from shapecluster.remote._staging import collected_mark_uri

HOUR = 3600.0

# Kinds and their nouns in operations, in the order of deletion: no kind is used by a kind after it.
_NOUNS = {
    "endpoint": "endpoint",
    "endpoint configuration": "endpoint_config",
    "model": "model",
    "model package": "model_package",
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

    Notes
    -----
    AWS searches its index of tags, which it updates with a delay: a resource that was created a moment ago
    may be missing, so search again before you rely on an empty list. The index also has resources for a
    while after their deletion. Each resource is therefore looked up, and not listed when it is gone. The
    caller needs the permission ``tag:GetResources``.

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
    client = open_client(session)
    base = join_uri(f"s3://{bucket or client.platform.default_bucket()}", prefix)
    found = list(_tagged(client))
    order = list(_NOUNS)
    # The newest first, as SageMaker lists them; a time that is not known comes last.
    found.sort(key=lambda one: (order.index(one.kind), -one.created.timestamp() if one.created else 0.0))
    return found + list(_staged(client, base, client.clock.wall() - min_age))


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
    client, order = open_client(session), [*_NOUNS, STAGED]
    deleted, left = [], []
    for one in sorted(leftovers, key=lambda leftover: order.index(leftover.kind)):
        if one.kept_for:
            continue
        if one.kind == STAGED:
            failed = _delete_data(client, one.name)
        else:
            cleanup = Cleanup(client)
            cleanup.add(_NOUNS[one.kind], one.name)
            failed = cleanup.run()
        left += failed
        if not failed:
            deleted.append(one)
    if left:
        raise RemoteError(f"Could not be deleted: {'; '.join(left)}.")
    return deleted


def _tagged(client: JobClient) -> Iterator[Leftover]:
    """Resources with the tag of this package that exist, in any order."""
    kinds = {noun.replace("_", "-"): kind for kind, noun in _NOUNS.items()}
    request = {
        "TagFilters": [{"Key": TAG}],
        "ResourceTypeFilters": [f"sagemaker:{kind}" for kind in kinds],
    }
    page = {"PaginationToken": ""}
    while True:
        answer = client.call("resourcegroupstaggingapi.get_resources", **request, **page)
        for row in answer["ResourceTagMappingList"]:
            kind, _, name = row["ResourceARN"].rpartition(":")[2].partition("/")
            noun = kind.replace("-", "_")
            try:
                found = client.call(f"sagemaker.describe_{noun}", **named(noun, name))
            except NotFoundError:
                continue  # deleted, but not in the index of tags yet
            except AccessError:
                found = {}  # its name is not one that the caller's policy covers
            (member,) = named(noun, name)
            # The service writes names in ARNs in lower case.
            yield Leftover(kinds[kind], str(found.get(member, name)), found.get("CreationTime"))
        page = {"PaginationToken": answer.get("PaginationToken", "")}
        if not page["PaginationToken"]:
            return


def _staged(client: JobClient, base: str, before: float) -> Iterator[Leftover]:
    folders: dict[str, list[str]] = {}
    try:
        for uri in client.platform.list(base + "/"):
            step = relative_uri(base, uri).partition("/")[0]
            if _FOLDER.fullmatch(step):
                folders.setdefault(join_uri(base, step), []).append(uri)
    except NotFoundError:
        return  # no bucket, no data
    for folder, uris in folders.items():
        # The newest file decides: an upload may still run, or a job may be about to be created.
        created = max(_modified(client, uri) for uri in uris)
        if created.timestamp() <= before:
            yield Leftover(STAGED, folder, created, _readers(client, folder, uris))


def _modified(client: JobClient, uri: str) -> datetime:
    bucket, key = split_uri(uri)
    try:
        modified: datetime = client.platform.call("s3.head_object", Bucket=bucket, Key=key)["LastModified"]
    except NotFoundError:
        return datetime.fromtimestamp(0.0, UTC)
    return modified


def _readers(client: JobClient, folder: str, uris: list[str]) -> tuple[str, ...]:
    """Jobs that read this data, and whose results can still be collected."""
    records = [uri for uri in uris if uri.startswith(join_uri(folder, "jobs/")) and uri.endswith(".json")]
    open_records = [uri for uri in records if collected_mark_uri(uri) not in uris]
    names = [uri.rpartition("/")[2].removesuffix(".json") for uri in open_records]
    return tuple(name for name in names if _may_have_result(client, name))


def _may_have_result(client: JobClient, job_name: str) -> bool:
    try:
        description = client.call("sagemaker.describe_training_job", TrainingJobName=job_name)
    except NotFoundError:
        return False
    return description["TrainingJobStatus"] not in _NO_RESULT


def _delete_data(client: JobClient, folder: str) -> list[str]:
    """Delete a folder of staged data, unless a job reads it; what is left and why."""
    uris = list(client.platform.list(folder + "/"))
    # Read again: a job may have begun since the list was made.
    if readers := _readers(client, folder, uris):
        return [f"{STAGED} {folder} (read by {', '.join(readers)}, whose results are not collected)"]
    # The manifest marks the data as complete, so it is deleted first.
    for uri in [join_uri(folder, "manifest.json"), *uris]:
        client.platform.delete(uri)
    return []
