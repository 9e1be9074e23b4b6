"""S3 URIs: split, join and check them."""

from __future__ import annotations

import re

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
