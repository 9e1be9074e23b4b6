"""Strict parsers of JSON, of numbers in text, and of the parameters of a content type."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import numpy as np

from shapecluster._typing import Float64Array

MAX_QUOTED = 40


def parse_json(text: str | bytes) -> Any:
    """Parse JSON; raise ValueError for NaN, infinity, text that is not UTF-8 and excessive nesting too."""
    try:
        return json.loads(text if isinstance(text, str) else text.decode("utf-8"), parse_constant=_reject)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _reject(name: str) -> NoReturn:
    # Python's parser accepts NaN and Infinity by default; other parsers reject them.
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


def content_parameters(content_type: str) -> list[tuple[str, str]]:
    """Return the parameters of a Content-Type header, in lower case and without quotes."""
    pairs = (part.lower().partition("=") for part in content_type.split(";")[1:])
    return [(name.strip(), value.strip().strip('"')) for name, _, value in pairs]
