"""The content types of requests and responses, and a strict JSON parser for their bodies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal, NoReturn, TypeAlias

from shapecluster.exceptions import ArtifactError

MediaType: TypeAlias = Literal[
    "text/csv", "application/json", "application/jsonlines", "application/x-recordio-protobuf"
]

CSV: MediaType = "text/csv"
JSON: MediaType = "application/json"
JSON_LINES: MediaType = "application/jsonlines"
RECORDIO: MediaType = "application/x-recordio-protobuf"
_MAX_QUOTED = 60


def media_type(content_type: str) -> MediaType:
    """The format that a Content-Type or Accept header names.

    Parameters
    ----------
    content_type : str
        The value of the header. Parameters after a semicolon are ignored.

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
            f"Got {content_type[:_MAX_QUOTED]!r} instead."
        )
    return name


def parse_json(text: str | bytes, subject: str) -> Any:
    """Parse JSON; raise ArtifactError for NaN, infinity and excessive nesting too."""
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        return json.loads(text, parse_constant=_reject_constant)
    except RecursionError:
        raise body_error(subject, "it is nested too deeply") from None
    # Also for text that is not UTF-8, and for integers of more digits than Python converts.
    except ValueError as error:
        raise body_error(subject, f"it is not valid JSON ({error})") from None


def iter_json_lines(body: bytes, subject: str) -> Iterator[tuple[int, Any]]:
    """Iterate over the lines that are not empty: their numbers from 1, and their values."""
    for line_number, line in enumerate(body.split(b"\n"), start=1):
        if line.strip():
            yield line_number, parse_json(line, f"Line {line_number} of {subject[0].lower()}{subject[1:]}")


def body_error(subject: str, problem: str) -> ArtifactError:
    """Make the error for a body that cannot be read."""
    return ArtifactError(
        f"{subject} cannot be read: {problem}. "
        "Check that the content type matches the body, and that the body is complete."
    )


def _reject_constant(name: str) -> NoReturn:
    # Python's parser accepts NaN and Infinity by default; other parsers fail on them.
    raise ValueError(f"{name} is not a number in JSON")
