"""The content types of requests and responses, and strict parsers for JSON and for numbers in text."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any, Literal, NoReturn, TypeAlias

import numpy as np

from shapecluster._typing import Float64Array
from shapecluster.exceptions import ArtifactError

MediaType: TypeAlias = Literal[
    "text/csv", "application/json", "application/jsonlines", "application/x-recordio-protobuf"
]

CSV: MediaType = "text/csv"
JSON: MediaType = "application/json"
JSON_LINES: MediaType = "application/jsonlines"
RECORDIO: MediaType = "application/x-recordio-protobuf"
MAX_QUOTED = 40


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
            f"Got {content_type[:MAX_QUOTED]!r} instead."
        )
    return name


def content_parameters(content_type: str) -> list[tuple[str, str]]:
    """Return the parameters of a Content-Type header, in lower case and without quotes."""
    pairs = (part.lower().partition("=") for part in content_type.split(";")[1:])
    return [(name.strip(), value.strip().strip('"')) for name, _, value in pairs]


def encode_objects(objects: list[dict[str, Any]], media: MediaType, key: str) -> bytes:
    """Encode objects as JSON Lines, or as one JSON object with their list under `key`."""
    if media == JSON:
        return json.dumps({key: objects}).encode()
    return "".join(f"{json.dumps(item)}\n" for item in objects).encode()


def decode_objects(
    body: memoryview, media: MediaType, subject: str, key: str, *, bare: bool = False
) -> list[tuple[str, Any]]:
    """Decode what `encode_objects` writes, with the place of each object for messages.

    With `bare`, JSON may be the list itself.
    """
    if media == JSON_LINES:
        lines = [(f"line {n}", line) for n, line in enumerate(BytesIO(body), start=1) if line.strip()]
        return [(where, _parse_json(line, subject, where)) for where, line in lines]
    value = _parse_json(bytes(body), subject, "it")
    items = value.get(key) if isinstance(value, dict) else value if bare else None
    if not isinstance(items, list):
        raise body_error(subject, f'it must be {{"{key}": [...]}}{" or a list" if bare else ""}')
    return [(f"row {row}", item) for row, item in enumerate(items)]


def _parse_json(text: bytes, subject: str, where: str) -> Any:
    """Parse JSON; raise ArtifactError for NaN, infinity and excessive nesting too."""
    try:
        return json.loads(text.decode("utf-8"), parse_constant=reject_constant)
    except RecursionError:
        raise body_error(subject, f"{where} is nested too deeply") from None
    # Also for text that is not UTF-8, and for integers of more digits than Python converts.
    except ValueError as error:
        raise body_error(subject, f"{where} is not valid JSON ({error})") from None


def reject_constant(name: str) -> NoReturn:
    """Raise for NaN and Infinity, which Python's parser accepts by default and other parsers reject."""
    raise ValueError(f"{name} is not a number in JSON")


def parse_numbers(
    line: bytes, line_number: int, n_expected: int | None, first_field: int = 1
) -> Float64Array:
    """Parse the numbers between the commas of a line; raise ValueError for another number of them."""
    n_found = line.count(b",") + 1  # before the line is split: it may be longer than any row
    if n_expected is not None and n_found != n_expected:
        raise ValueError(f"line {line_number} must have {n_expected:,} numbers. Got {n_found:,} instead")
    tokens = line.split(b",")
    try:
        if b"_" in line:  # float() accepts 1_000, which no other program writes
            raise ValueError
        return np.array(list(map(float, tokens)))
    except ValueError:
        place = next(place for place, token in enumerate(tokens) if not _is_number(token))
        raise ValueError(
            f"field {first_field + place} of line {line_number} must be a number. "
            f"Got {tokens[place][:MAX_QUOTED].decode('utf-8', 'replace')!r} instead"
        ) from None


def _is_number(token: bytes) -> bool:
    try:
        float(token)
    except ValueError:
        return False
    return b"_" not in token


def body_error(subject: str, problem: str) -> ArtifactError:
    """Make the error for a body that cannot be read."""
    return ArtifactError(
        f"{subject} cannot be read: {problem}. "
        "Check that the content type matches the body, and that the body is complete."
    )
