"""What options take: how the help shows it, and how the text of the user is read."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

_MAX_KS = 1000  # a typing error such as 2-20000 would run for days
_MAX_DIGITS = 7  # longer numbers are errors, and could exhaust the memory as a range


@dataclass(frozen=True)
class Kind:
    """What an option takes.

    Attributes
    ----------
    metavar : str
        The value in the help.
    read : callable
        Converts the text of the user. A ValueError says what the text must be, after the name of the option.
    """

    metavar: str
    read: Callable[[str], Any]


def wrong(expected: str, text: str) -> ValueError:
    """Return the error that says what a text must do, after the name of its option."""
    return ValueError(f"must {expected}. Got {text!r} instead.")


def number(
    convert: Callable[[str], float],
    minimum: float,
    maximum: float = math.inf,
    metavar: str = "N",
    *,
    above: bool = False,
) -> Kind:
    """Return the kind of finite numbers, int or float, from a minimum (or `above` it) to a maximum."""
    lower = f"above {minimum}" if above else f"{minimum} or more"
    upper = "" if maximum == math.inf else f", at most {maximum}"
    expected = f"be a {'whole ' if convert is int else ''}number, {lower}{upper}"

    def read(text: str) -> float:
        try:
            value = convert(text)
        except ValueError:
            value = math.nan
        if not minimum <= value <= maximum or value == math.inf or (above and value == minimum):
            raise wrong(expected, text)
        return value

    return Kind(metavar, read)


def choice(literal: Any) -> Kind:
    """Return the kind of a few words: those of a Literal type."""
    words = get_args(literal)
    expected = " or ".join(words) if len(words) == 2 else f"one of {', '.join(words)}"

    def read(text: str) -> str:
        if text not in words:
            raise wrong(f"be {expected}", text)
        return text

    return Kind("|".join(words), read)


def file(*suffixes: str) -> Kind:
    """Return the kind of files whose names have one of these endings; without endings that of all files."""

    def read(text: str) -> Path:
        if not text.lower().endswith(suffixes or ("",)):
            raise wrong(f"name a file ending in {' or '.join(suffixes)}", text)
        return Path(text)

    return Kind("FILE", read)


def output(*suffixes: str) -> Kind:
    """Return the kind of files that can be written. That is checked before anything is computed or billed."""

    def read(text: str) -> Path:
        path: Path = file(*suffixes).read(text)
        folder = path.absolute().parent
        reason = None
        if path.is_dir():
            reason = "it is a folder"
        elif not folder.is_dir():
            reason = f"there is no folder {str(folder)!r}"
        elif not os.access(folder, os.W_OK):
            reason = f"the folder {str(folder)!r} is not writable"
        if reason is not None:
            raise ValueError(f"cannot be written to {text!r}: {reason}.")
        return path

    return Kind("FILE", read)


def _read_date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise wrong("be a date like 2020-02-03", text) from None


def _read_tickers(text: str) -> tuple[str, ...]:
    tickers = [ticker.strip() for ticker in text.split(",") if ticker.strip()]
    if not tickers:
        raise wrong("name at least one ticker", text)
    # A repeated holding is an error in the user's list: dropping it would change a weight unseen.
    repeated = sorted({ticker for ticker in tickers if tickers.count(ticker) > 1})
    if repeated:
        raise ValueError(f"names these tickers more than once: {', '.join(repeated)}.")
    return tuple(tickers)


def _is_count(text: str) -> bool:
    # `isdigit` alone accepts digits of other scripts and superscripts.
    return text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS


def _read_range(text: str, expected: str = "be like 5, or 2-6") -> tuple[int, int]:
    """Convert "2-6" or "5" to the first and the last number."""
    first, dash, last = text.partition("-")
    ends = (first.strip(), last.strip() if dash else first.strip())
    if not all(_is_count(end) for end in ends):
        raise wrong(expected, text)
    return int(ends[0]), int(ends[1])


def _read_ks(text: str) -> tuple[int, ...]:
    """Convert "2-20", "2,5,8", "11" or a mixture to the numbers in increasing order."""
    ks: set[int] = set()
    for part in text.split(","):
        low, high = _read_range(part, "be like 2-20, or 2,5,8, or 11")
        if low < 1:
            raise wrong("be at least 1", text)
        if low > high:
            raise wrong("run from the smaller to the larger number", text)
        if high - low >= _MAX_KS:
            raise ValueError(f"tries at most {_MAX_KS} numbers of clusters. Got {text!r} instead.")
        ks.update(range(low, high + 1))
    return tuple(sorted(ks))


def _read_shift(text: str) -> int | Literal["all"]:
    if text.strip().lower() == "all":
        return "all"
    if not _is_count(text.strip()):
        raise wrong("be a number of trading days, 0 or more, or all", text)
    return int(text)


FLAG = Kind("", bool)  # `read` is not called: the parser gives a bool
FOLDER = Kind("DIR", Path)
SHIFT = Kind("DAYS|all", _read_shift)
ARN = Kind("ARN", str)
COUNT = number(int, 1)
SECONDS = number(float, 0, 10**9, "SECONDS")

_BY_TYPE = {
    bool: FLAG,
    str: Kind("NAME", str),
    date: Kind("DATE", _read_date),
    Path: file(),
    tuple[str, ...]: Kind("A,B,...", _read_tickers),
    tuple[int, ...]: Kind("2-20", _read_ks),
    tuple[int, int]: Kind("2-6", _read_range),
}


def of_type(annotation: Any) -> Kind:
    """Return the kind of values of a type. `X | None` is that of X."""
    if NoneType in get_args(annotation):
        annotation = get_args(annotation)[0]
    return choice(annotation) if get_origin(annotation) is Literal else _BY_TYPE[annotation]
