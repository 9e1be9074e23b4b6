"""Options of commands: each is declared once, as a field of the dataclass that the command's run receives.

The parser, the help and the messages of errors take all from the field, which `option` makes. A field that it
did not make is no option of this command, and has the value that the run takes instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar, dataclass_transform, get_type_hints

from shapecluster.cli import _kinds as kinds

T = TypeVar("T")

PANELS = ("Prices", "Traders", "Holdings", "Copycats", "Question", "Job", "Where", "Output", "Computing")
"""The panels of the help, in their order."""


@dataclass(frozen=True)
class Option:
    """What an option is beyond its name and its default.

    Attributes
    ----------
    help, panel : str
        The text in the help, and the panel that has it: one of `PANELS`.
    kind : Kind
        What it takes.
    argument : str or None
        The argument of the library that gets the value, if it has another name.
    positional : bool
        Whether the value is typed without the name.
    """

    help: str
    panel: str
    kind: kinds.Kind
    argument: str | None = None
    positional: bool = False


def option(default: Any, help: str, panel: str, kind: kinds.Kind | None = None, **more: Any) -> Any:
    """Declare an option. The type of the field says what it takes unless `kind` does."""
    about = {"help": help, "panel": panel, "kind": kind} | more
    return field(default=default, metadata={"option": about})


@dataclass_transform(frozen_default=True, kw_only_default=True)
def options(cls: type[T]) -> type[T]:
    """Make a class of options a dataclass."""
    return dataclass(frozen=True, kw_only=True)(cls)


def offered(options: Any) -> list[tuple[str, Option, Field[Any]]]:
    """Return the name as typed, the declaration and the field of each option, in the order of the help."""
    found = []
    types = get_type_hints(options if isinstance(options, type) else type(options))
    for item in fields(options):
        if "option" in item.metadata:
            about = item.metadata["option"]
            declared = Option(**about | {"kind": about["kind"] or kinds.of_type(types[item.name])})
            name = declared.kind.metavar if declared.positional else f"--{item.name.replace('_', '-')}"
            found.append((name, declared, item))
    return sorted(found, key=lambda entry: PANELS.index(entry[1].panel))


def shown_default(default: Any) -> str | None:
    """Return a default as a user would type it; None for none."""
    if isinstance(default, tuple):
        return "-".join(map(str, default)) or None
    return None if default is None else str(default)


def read_options(options: type[T], typed: Mapping[str, Any]) -> T:
    """Convert what the user typed to an instance of a class of options; a ValueError names the option."""
    values = {name: value for name, value in typed.items() if value is not None}
    for name, declared, item in offered(options):
        text = values.get(item.name)
        if isinstance(text, str):
            try:
                if not text.strip():
                    raise kinds.wrong("not be empty", text)
                values[item.name] = declared.kind.read(text)
            except ValueError as error:
                raise ValueError(f"{name} {error}") from None
    return options(**values)


def name_options(message: str, options: object) -> str:
    """Replace arguments of the library in a message by the options of the command."""
    names = {}
    for name, declared, item in offered(options):
        names[item.name] = names[declared.argument or item.name] = name
    any_name = "|".join(names)  # a single word is replaced only where it can be no word of English
    with_underscore = "|".join(name for name in names if "_" in name) or "(?!)"
    forms = (
        rf"(?:[Tt]he )?'({any_name})' parameter of \w+",  # scikit-learn's form
        rf"(?:\bJob\()?(?<![\w-])({any_name})=(?:True\b|\.\.\.)?\)?",
        rf"`({any_name})`",
        rf"(?<![\w-])({any_name}) of [A-Z]\w+",
        rf"^(?:the )?({any_name})(?= (?:must|names|holds)\b)",
        rf"(?<![\w-])({with_underscore})\b",
    )

    def replaced(match: re.Match[str]) -> str:
        argument = next(filter(None, match.groups()))
        return names[argument] + ("=" if match[0].endswith("=") else "")

    return re.sub("|".join(forms), replaced, message)


def name_source(message: str, options: object) -> str:
    """Begin a message that names no option with the options whose text it quotes, such as a file."""
    entries = offered(options)
    if any(re.search(rf"(?<![\w-]){name}\b", message) for name, _, _ in entries):
        return message
    sources = []
    for name, declared, item in entries:
        value = getattr(options, item.name)
        is_text = declared.kind.read is str or isinstance(value, Path)
        texts = value if isinstance(value, tuple) else [value] if is_text and not declared.positional else []
        words = "|".join(re.escape(str(text)) for text in texts)
        if words and value != item.default and re.search(rf"(?:^|['\"(])(?:{words})(?:['\"):]|$)", message):
            sources.append(name)
    return f"{' or '.join(sources)}: {message}" if sources else message


Series = Literal["log-returns", "levels"]
_SHIFT_ON_RETURNS = 5  # a trading week; a best match at a lag of months is chance

_SEED = kinds.number(int, 0, 2**32 - 1)
seed = partial(
    option, help="Seed of all random numbers.", panel="Computing", kind=_SEED, argument="random_state"
)
one_k = partial(option, 8, "Number of clusters.", "Question", kinds.COUNT, argument="n_clusters")
several_k = partial(
    option, None, "Numbers of clusters: 2-20, or 2,5,8, or 11 (2-20 if left out).", "Question"
)


@options
class SeriesOptions:
    """The options for the prices, and for the series that are made of them and compared."""

    prices: Path | None = option(None, "Prices: csv, csv.gz or parquet, one day per line.", "Prices")
    repair_prints: bool = option(False, "Repair bad prints instead of flagging them.", "Prices")
    on: Series = option("log-returns", "Series to compare: log returns or price levels.", "Question")
    max_shift: int | Literal["all"] | None = option(
        None, "Maximum lag in trading days (if left out: 5, or all on levels).", "Question", kinds.SHIFT
    )

    @property
    def shift_bound(self) -> int | None:
        """The maximum lag in trading days, or None for no bound: the default on levels, as in the lab."""
        if self.max_shift is None:
            return _SHIFT_ON_RETURNS if self.on == "log-returns" else None
        return None if self.max_shift == "all" else self.max_shift
