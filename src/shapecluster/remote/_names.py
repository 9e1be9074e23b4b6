"""Names of jobs, models and endpoints, and S3 URIs: make, check, split and join them."""

from __future__ import annotations

import re
import time
import uuid

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_LIMIT = 63


def unique_name(base: str, wall: float) -> str:
    """Make a unique name: `base`, the time in UTC, and eight random digits.

    Parameters
    ----------
    base : str
        What the name begins with; characters that SageMaker does not allow become dashes.
    wall : float
        Seconds since 1970.
    """
    # The base is cut and never the tail, which makes the name unique.
    tail = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(wall))}-{uuid.uuid4().hex[:8]}"
    head = re.sub(r"[^a-zA-Z0-9]+", "-", base).strip("-")[: _LIMIT - len(tail) - 1].rstrip("-")
    return f"{head}-{tail}" if head else f"j-{tail}"


def check_name(name: object, subject: str) -> str:
    """Check that SageMaker allows a name, and return it.

    Raises
    ------
    ValueError
        When it does not.
    """
    if not isinstance(name, str) or len(name) > _LIMIT or not _NAME.fullmatch(name):
        raise ValueError(
            f"{subject} must be a name of 1 to {_LIMIT} letters, digits and dashes that begins and ends with "
            f"a letter or digit. Got {name!r} instead."
        )
    return name


_URI = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?", re.DOTALL)


def split_uri(uri: str) -> tuple[str, str]:
    """Split a URI into its bucket and its key ("" for the bucket itself).

    Raises
    ------
    ValueError
        When it is not an S3 URI, or has a step such as "..".
    """
    match = _URI.fullmatch(uri)
    if match is None:
        raise ValueError(f"A place in S3 must look like 's3://bucket/key'. Got {uri!r} instead.")
    bucket, key = match.group(1), match.group(2) or ""
    # A rehearsal maps keys to paths, which must not leave its folder.
    if any(step in {".", ".."} for step in key.split("/")) or "\0" in key:
        raise ValueError(f"A place in S3 must have no '.' or '..' between its slashes. Got {uri!r} instead.")
    return bucket, key


def join_uri(base: str, *steps: str) -> str:
    """Join steps to a URI with one slash between them; a slash at the end of the last step stays."""
    uri = base
    for step in steps:
        uri = f"{uri.rstrip('/')}/{step.lstrip('/')}"
    return uri


def relative_uri(base: str, uri: str) -> str:
    """The part of `uri` below `base`, without a slash before it."""
    folder = base.rstrip("/") + "/"
    if not uri.startswith(folder):
        raise ValueError(f"{uri!r} does not lie in {folder!r}.")
    return uri[len(folder) :]
