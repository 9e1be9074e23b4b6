"""One codec between the values of Python parameters and the strings that a training job takes.

Encoding needs no table: `repr` for floats, JSON for lists, None left out. Decoding goes by what each name is
declared to be, never by what its text looks like, so that "1" is a number here and a word there.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "BOOLEAN",
    "JSON",
    "TEXT",
    "Kind",
    "decode_hyperparameters",
    "either",
    "encode_hyperparameters",
    "integer",
    "number",
    "one_of",
]

MAX_ENTRIES = 100
MAX_NAME = 256
MAX_TEXT = 2500
_SHOWN = 60
_MOST_BITS = 8192  # fewer digits than a hyperparameter may have characters


@dataclass(frozen=True)
class Kind:
    """What a hyperparameter is declared to be.

    Attributes
    ----------
    expects : str
        In words, after "must be": "a whole number >= 1".
    parse : callable
        From the text to the value; ValueError if it is none.
    """

    expects: str
    parse: Callable[[str], Any]


def encode_hyperparameters(parameters: Mapping[str, Any]) -> dict[str, str]:
    """The strings that stand for the values of parameters.

    Parameters
    ----------
    parameters : mapping of str to object
        None, bool, int, float, str, NumPy's scalars of these, or lists, tuples and dicts of these.

    Returns
    -------
    dict of str to str
        Without the parameters that are None. Floats read back exactly; tuples as lists.

    Raises
    ------
    ValueError
        If a value has no string, such as an array or NaN, or is beyond what a job takes: 100 entries of at
        most 2,500 characters on one line.

    Examples
    --------
    >>> from shapecluster.formats import encode_hyperparameters
    >>> encode_hyperparameters({"k": 11, "tol": 1e-6, "max_shift": None, "eval_metrics": ["msd", "ssd"]})
    {'k': '11', 'tol': '1e-06', 'eval_metrics': '["msd", "ssd"]'}
    """
    encoded: dict[str, str] = {}
    for name, value in parameters.items():
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
            raise ValueError(
                f"The name of a hyperparameter must have 1 to {MAX_NAME} characters. "
                f"Got {_short(name)} instead."
            )
        if value is None:
            continue
        text = _encode(name, value)
        if len(text) > MAX_TEXT:
            raise ValueError(
                f"{name} must have at most {MAX_TEXT:,} characters as a hyperparameter. "
                f"Got {len(text):,} instead: long values travel in a channel."
            )
        if not text.isprintable():
            raise ValueError(f"{name} must be printable text on one line. Got {_short(text)} instead.")
        encoded[name] = text
    if len(encoded) > MAX_ENTRIES:
        raise ValueError(
            f"A training job takes at most {MAX_ENTRIES} hyperparameters. Got {len(encoded)} instead, the "
            f"first too many being {list(encoded)[MAX_ENTRIES]!r}."
        )
    return encoded


def decode_hyperparameters(texts: Mapping[str, str], schema: Mapping[str, Kind]) -> dict[str, Any]:
    """The values that strings stand for.

    Parameters
    ----------
    texts : mapping of str to str
        What a job was given.
    schema : mapping of str to Kind
        What each name is declared to be.

    Returns
    -------
    dict of str to object
        The values of the names that were given.

    Raises
    ------
    ValueError
        If a name is not declared, or its text is not what it must be: all such are named.

    Examples
    --------
    >>> from shapecluster.formats import decode_hyperparameters
    >>> from shapecluster.formats.hyperparameters import either, integer, one_of
    >>> schema = {"k": integer(1), "n_init": either(one_of("auto"), integer(1))}
    >>> decode_hyperparameters({"k": "11", "n_init": "auto"}, schema)
    {'k': 11, 'n_init': 'auto'}
    >>> decode_hyperparameters({"k": "eleven"}, schema)
    Traceback (most recent call last):
        ...
    ValueError: k must be a whole number >= 1. Got 'eleven' instead.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, text in texts.items():
        if name not in schema:
            problems.append(f"{name} is no hyperparameter here; there are {', '.join(sorted(schema))}.")
            continue
        try:
            if not isinstance(text, str):
                raise ValueError
            values[name] = schema[name].parse(text)
        except ValueError:
            problems.append(f"{name} must be {schema[name].expects}. Got {_short(text)} instead.")
    if problems:
        raise ValueError(" ".join(problems))
    return values


def integer(minimum: int | None = None, maximum: int | None = None) -> Kind:
    """A whole number.

    Parameters
    ----------
    minimum, maximum : int, default=None
        The range, both ends included.

    Returns
    -------
    Kind
        For a schema.

    Examples
    --------
    >>> from shapecluster.formats.hyperparameters import integer
    >>> integer(1).parse("20")
    20
    """

    def parse(text: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]+", text.strip(" ")):
            raise ValueError(text)
        value = int(text)
        _check_range(value, minimum, maximum)
        return value

    return Kind(f"a whole number{_range(minimum, maximum)}", parse)


def number(minimum: float | None = None, maximum: float | None = None) -> Kind:
    """A number, also infinity if the range lets it.

    Parameters
    ----------
    minimum, maximum : float, default=None
        The range, both ends included.

    Returns
    -------
    Kind
        For a schema.

    Examples
    --------
    >>> from shapecluster.formats.hyperparameters import number
    >>> number(0, 1).parse("1e-4")
    0.0001
    """

    def parse(text: str) -> float:
        if "_" in text or not text.isascii():
            raise ValueError(text)
        value = float(text)
        if math.isnan(value):
            raise ValueError(text)
        _check_range(value, minimum, maximum)
        return value

    return Kind(f"a number{_range(minimum, maximum)}", parse)


def one_of(*words: str) -> Kind:
    """One of some words.

    Parameters
    ----------
    *words : str
        Those that there are.

    Returns
    -------
    Kind
        For a schema.

    Examples
    --------
    >>> from shapecluster.formats.hyperparameters import one_of
    >>> one_of("random", "kmeans++").expects
    "'random' or 'kmeans++'"
    """

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(text)
        return text

    return Kind(" or ".join(repr(word) for word in words), parse)


def either(*kinds: Kind) -> Kind:
    """Whatever the first of several kinds takes that takes it.

    Parameters
    ----------
    *kinds : Kind
        In the order in which they are tried.

    Returns
    -------
    Kind
        For a schema.

    Examples
    --------
    >>> from shapecluster.formats.hyperparameters import either, integer, one_of
    >>> either(one_of("auto"), integer(1)).expects
    "'auto' or a whole number >= 1"
    """

    def parse(text: str) -> Any:
        for kind in kinds:
            try:
                return kind.parse(text)
            except ValueError:
                continue
        raise ValueError(text)

    return Kind(" or ".join(kind.expects for kind in kinds), parse)


def _boolean(text: str) -> bool:
    words = {"True": True, "true": True, "False": False, "false": False}
    if text not in words:
        raise ValueError(text)
    return words[text]


def _json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError(text) from None


def _no_constant(name: str) -> Any:
    raise ValueError(name)


BOOLEAN = Kind("'True' or 'False'", _boolean)
TEXT = Kind("text", str)
JSON = Kind("JSON", _json)


def _encode(name: str, value: Any) -> str:
    try:
        plain = _plain(name, value)
        if isinstance(plain, str):
            return plain
        if isinstance(plain, (bool, int, float)):
            return repr(plain)
        return json.dumps(plain, allow_nan=False)
    except RecursionError:
        raise ValueError(f"{name} is nested too deeply, or holds itself: it is no hyperparameter.") from None


def _plain(name: str, value: Any, *, inside: bool = False) -> Any:
    """The value in Python's own types; ValueError for what has no string."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or type(value) in (bool, str):
        return value
    if isinstance(value, int):
        if value.bit_length() > _MOST_BITS:
            raise ValueError(f"{name} has too many digits to become a hyperparameter.")
        return int(value)
    if isinstance(value, float):
        if math.isnan(value) or (inside and math.isinf(value)):
            what = "a finite number in a list" if inside else "a number"
            raise ValueError(f"{name} must be {what} to become a hyperparameter. Got {value} instead.")
        return float(value)
    if isinstance(value, (list, tuple)):
        return [_plain(name, item, inside=True) for item in value]
    if isinstance(value, dict) and all(type(key) is str for key in value):
        return {key: _plain(name, item, inside=True) for key, item in value.items()}
    if hasattr(value, "__array__") and not isinstance(value, np.generic):
        raise ValueError(
            f"{name} is an array, and an array is no hyperparameter: it travels in a channel of its own, "
            "beside the training data. "
            f"Got {type(value).__name__} of shape {np.shape(value)} instead of a value."
        )
    raise ValueError(
        f"{name} must be a number, a text, a bool, None, or a list of these to become a hyperparameter. "
        f"Got {type(value).__name__} instead."
    )


def _check_range(value: float, minimum: float | None, maximum: float | None) -> None:
    if (minimum is not None and value < minimum) or (maximum is not None and value > maximum):
        raise ValueError(value)


def _range(minimum: float | None, maximum: float | None) -> str:
    if minimum is None:
        return "" if maximum is None else f" <= {maximum}"
    return f" >= {minimum}" if maximum is None else f" from {minimum} to {maximum}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
