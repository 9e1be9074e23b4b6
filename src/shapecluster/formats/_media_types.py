"""The content types of requests and answers, and JSON that is taken by the letter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

from shapecluster.exceptions import ArtifactError

Media: TypeAlias = Literal[
    "text/csv", "application/json", "application/jsonlines", "application/x-recordio-protobuf"
]

CSV: Media = "text/csv"
JSON: Media = "application/json"
JSON_LINES: Media = "application/jsonlines"
RECORDIO: Media = "application/x-recordio-protobuf"
_SHOWN = 60


def media_type(content_type: str) -> Media:
    """The format that a Content-Type or Accept header names.

    Parameters
    ----------
    content_type : str
        The header's value; what follows a semicolon is passed over.

    Returns
    -------
    str
        "text/csv", "application/json", "application/jsonlines" or "application/x-recordio-protobuf".

    Raises
    ------
    ValueError
        If it is none of these.

    Examples
    --------
    >>> from shapecluster.formats import media_type
    >>> media_type("Text/CSV; label_size=0")
    'text/csv'
    """
    name = content_type.partition(";")[0].strip().lower()
    if name not in (CSV, JSON, JSON_LINES, RECORDIO):
        raise ValueError(
            f"The content type must be {CSV}, {JSON}, {JSON_LINES} or {RECORDIO}. "
            f"Got {content_type[:_SHOWN]!r} instead."
        )
    return name


def parse_json(text: str | bytes, what: str) -> Any:
    """The value of a JSON text; no NaN, no infinity, no nesting without end."""
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise unreadable(what, "it is nested too deeply") from None
    except ValueError as error:  # also of text that is not UTF-8, and of numbers with thousands of digits
        raise unreadable(what, f"it is no JSON ({error})") from None


def json_lines(body: bytes, what: str) -> Iterator[tuple[int, Any]]:
    """The values of the lines that are not empty, and their numbers from 1."""
    for number, line in enumerate(body.split(b"\n"), start=1):
        if line.strip():
            yield number, parse_json(line, f"Line {number} of {what[0].lower()}{what[1:]}")


def unreadable(what: str, problem: str) -> ArtifactError:
    """The error for a body that cannot be read."""
    return ArtifactError(
        f"{what} cannot be read: {problem}. "
        "Check that the content type is that of the body, and the body whole."
    )


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number in JSON")
