"""Convert parameters to the strings of a training job's hyperparameters, and back.

Encoding follows the Python type: `repr` for numbers, JSON for lists, and None is left out. Decoding follows
the declared type of each name and never the look of its text, so that "1" may be a number or a word.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from shapecluster.formats._parsers import parse_json

__all__ = [
    "BOOLEAN",
    "JSON",
    "TEXT",
    "HyperparameterType",
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
_MAX_QUOTED = 60
_MAX_BITS = 8192  # fewer digits than MAX_TEXT, and few enough for Python to print them


@dataclass(frozen=True)
class HyperparameterType:
    """The declared type of a hyperparameter.

    Attributes
    ----------
    description : str
        How messages call a valid value, after "must be": "an integer >= 1".
    parse : callable
        Returns the value of a text; raises ValueError if it has none.
    """

    description: str
    parse: Callable[[str], Any]


def encode_hyperparameters(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Encode the values of parameters as strings.

    Parameters
    ----------
    parameters : mapping of str to object
        None, bool, int, float, str, NumPy scalars of these, or lists, tuples and dicts of these.

    Returns
    -------
    dict of str to str
        The parameters that are not None. Decoding returns the same floats, and lists for tuples.

    Raises
    ------
    ValueError
        If a value cannot be encoded, such as an array or NaN. If the limits of a training job are exceeded:
        100 entries of at most 2,500 characters on one line.

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
                f"Got {_shorten(name)} instead."
            )
        if value is None:
            continue
        text = _encode(name, value)
        if len(text) > MAX_TEXT:
            raise ValueError(
                f"{name} must have at most {MAX_TEXT:,} characters as a hyperparameter. "
                f"Got {len(text):,} instead: send long values as a channel."
            )
        if not text.isprintable():
            raise ValueError(f"{name} must be printable text on one line. Got {_shorten(text)} instead.")
        encoded[name] = text
    if len(encoded) > MAX_ENTRIES:
        raise ValueError(
            f"A training job takes at most {MAX_ENTRIES} hyperparameters. Got {len(encoded)} instead, the "
            f"first too many being {list(encoded)[MAX_ENTRIES]!r}."
        )
    return encoded


def decode_hyperparameters(
    texts: Mapping[str, str], schema: Mapping[str, HyperparameterType]
) -> dict[str, Any]:
    """Decode strings to the values of parameters.

    Parameters
    ----------
    texts : mapping of str to str
        The hyperparameters of a job.
    schema : mapping of str to HyperparameterType
        The declared type of each name.

    Returns
    -------
    dict of str to object
        The values of the names in `texts`.

    Raises
    ------
    ValueError
        If a name is not declared, or a text is not valid for its type. The message lists all of them.

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
    ValueError: k must be an integer >= 1. Got 'eleven' instead.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []  # all at once: each attempt of a remote job takes minutes
    for name, text in texts.items():
        if name not in schema:
            problems.append(f"{name} is not a hyperparameter. Valid names: {', '.join(sorted(schema))}.")
            continue
        try:
            if not isinstance(text, str):
                raise ValueError
            values[name] = schema[name].parse(text)
        except ValueError:
            problems.append(f"{name} must be {schema[name].description}. Got {_shorten(text)} instead.")
    if problems:
        raise ValueError(" ".join(problems))
    return values


def integer(minimum: int | None = None, maximum: int | None = None) -> HyperparameterType:
    """Declare an integer.

    Parameters
    ----------
    minimum, maximum : int, default=None
        The range, with both ends included.

    Returns
    -------
    HyperparameterType
        A type for a schema.

    Examples
    --------
    >>> from shapecluster.formats.hyperparameters import integer
    >>> integer(1).parse("20")
    20
    """
    return _ranged("an integer", int, minimum, maximum)


def number(minimum: float | None = None, maximum: float | None = None) -> HyperparameterType:
    """Declare a number. Infinity is valid if the range includes it.

    Parameters
    ----------
    minimum, maximum : float, default=None
        The range, with both ends included.

    Returns
    -------
    HyperparameterType
        A type for a schema.

    Examples
    --------
    >>> from shapecluster.formats.hyperparameters import number
    >>> number(0, 1).parse("1e-4")
    0.0001
    """
    return _ranged("a number", float, minimum, maximum)


def one_of(*words: str) -> HyperparameterType:
    """Declare a choice of words.

    Parameters
    ----------
    *words : str
        The valid words.

    Returns
    -------
    HyperparameterType
        A type for a schema.

    Examples
    --------
    >>> from shapecluster.formats.hyperparameters import one_of
    >>> one_of("random", "kmeans++").description
    "'random' or 'kmeans++'"
    """
    return HyperparameterType(" or ".join(map(repr, words)), lambda text: words[words.index(text)])


def either(*types: HyperparameterType) -> HyperparameterType:
    """Declare a choice of types; the first one that can parse a text gives its value.

    Parameters
    ----------
    *types : HyperparameterType
        The types in the order in which they are tried.

    Returns
    -------
    HyperparameterType
        A type for a schema.

    Examples
    --------
    >>> from shapecluster.formats.hyperparameters import either, integer, one_of
    >>> either(one_of("auto"), integer(1)).description
    "'auto' or an integer >= 1"
    """

    def parse(text: str) -> Any:
        for candidate in types:
            with suppress(ValueError):
                return candidate.parse(text)
        raise ValueError(text)

    return HyperparameterType(" or ".join(candidate.description for candidate in types), parse)


def _ranged(
    kind: str, cast: Callable[[str], float], minimum: float | None, maximum: float | None
) -> HyperparameterType:
    """Declare a kind of number in a range; None is no limit."""

    def parse(text: str) -> float:
        # The casts also accept underscores, tabs and the digits of other scripts.
        if "_" in text or not text.isascii() or not text.isprintable():
            raise ValueError(text)
        value = cast(text)
        low, high = -math.inf if minimum is None else minimum, math.inf if maximum is None else maximum
        if not low <= value <= high:  # NaN too, for which every comparison is False
            raise ValueError(text)
        return value

    if None not in (minimum, maximum):
        return HyperparameterType(f"{kind} from {minimum} to {maximum}", parse)
    ends = "" if minimum is None else f" >= {minimum}", "" if maximum is None else f" <= {maximum}"
    return HyperparameterType(kind + "".join(ends), parse)


_BOOLEANS = ("False", "false", "True", "true")
BOOLEAN = HyperparameterType("'True' or 'False'", lambda text: _BOOLEANS.index(text) >= 2)
TEXT = HyperparameterType("text", str)
JSON = HyperparameterType("JSON", parse_json)


def _encode(name: str, value: Any) -> str:
    try:
        builtin = _to_builtin(name, value)
        if isinstance(builtin, str):
            return builtin
        if isinstance(builtin, (bool, int, float)):
            return repr(builtin)  # the shortest text that reads back as the same float
        return json.dumps(builtin, allow_nan=False)
    except RecursionError:
        raise ValueError(
            f"{name} is nested too deeply, or contains itself: it cannot be a hyperparameter."
        ) from None


def _to_builtin(name: str, value: Any, *, inside: bool = False) -> Any:
    """Convert to Python's built-in types; raise ValueError for a value that has no string."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or type(value) in (bool, str):
        return value
    if isinstance(value, int):
        if value.bit_length() > _MAX_BITS:
            raise ValueError(f"{name} has too many digits for a hyperparameter.")
        return int(value)
    if isinstance(value, float):
        if math.isnan(value) or (inside and math.isinf(value)):
            expected = "a finite number in a list" if inside else "a number"  # JSON has no infinity
            raise ValueError(f"{name} must be {expected} as a hyperparameter. Got {value} instead.")
        return float(value)
    if isinstance(value, (list, tuple)):
        return [_to_builtin(name, item, inside=True) for item in value]
    if isinstance(value, dict) and all(type(key) is str for key in value):
        return {key: _to_builtin(name, item, inside=True) for key, item in value.items()}
    # Scalars that item() left as they are, such as np.longdouble, have __array__ too.
    if hasattr(value, "__array__") and not isinstance(value, np.generic):
        raise ValueError(
            f"{name} is an array, which cannot be a hyperparameter: send it as a channel of its own, in "
            "addition to the training data. "
            f"Got {type(value).__name__} of shape {np.shape(value)} instead of a value."
        )
    raise ValueError(
        f"{name} must be a number, a text, a bool, None, or a list of these as a hyperparameter. "
        f"Got {type(value).__name__} instead."
    )


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED]}..."
