"""What the service checks before it looks at what a request means: its own published model, with patterns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from botocore.model import ServiceModel, Shape

from tests.emulator.errors import invalid
from tests.emulator.storage import botocore_session

# Java's classes of Unicode, as far as the model uses them.
_JAVA = {
    r"\p{L}": r"a-zA-Z\u00aa-\uffff",
    r"\p{Z}": r"\s",
    r"\p{N}": r"0-9",
    r"\p{M}": "",
    r"\p{S}": r"$^`|~<>",
}


@cache
def model() -> ServiceModel:
    return botocore_session().get_service_model("sagemaker")


def check_request(operation: str, request: dict[str, Any]) -> None:
    """Refuse a request that breaks a constraint of the model, all of them in one text."""
    shape = model().operation_model(operation).input_shape
    problems = list(_problems(request, shape, "")) if shape else []
    if problems:
        errors = "error" if len(problems) == 1 else "errors"
        raise invalid(f"{len(problems)} validation {errors} detected: {'; '.join(problems)}")


def check_answer(operation: str, answer: dict[str, Any]) -> None:
    """The emulator's own answers keep to the model as well."""
    shape = model().operation_model(operation).output_shape
    if shape is None:
        assert not answer, f"{operation} answers nothing"
        return
    unknown = answer.keys() - shape.members.keys()
    missing = set(shape.required_members) - answer.keys()
    assert not unknown, f"{operation} has no member {sorted(unknown)}"
    assert not missing, f"{operation} must answer {sorted(missing)}"


def _problems(value: Any, shape: Shape, path: str) -> Iterator[str]:
    if shape.type_name == "structure":
        for name in shape.required_members:
            if name not in value:
                yield _failed(None, _join(path, name), "Member must not be null")
        for name, member in value.items():
            if name in shape.members:
                yield from _problems(member, shape.members[name], _join(path, name))
    elif shape.type_name == "list":
        yield from _length(len(value), value, shape, path)
        for number, member in enumerate(value, 1):
            yield from _problems(member, shape.member, f"{path}.{number}.member")
    elif shape.type_name == "map":
        yield from _length(len(value), value, shape, path)
        for key, member in value.items():
            yield from _problems(key, shape.key, path)
            yield from _problems(member, shape.value, f"{path}.{key}")
    else:
        yield from _scalar(value, shape, path)


def _scalar(value: Any, shape: Shape, path: str) -> Iterator[str]:
    if shape.type_name == "string":
        enum = getattr(shape, "enum", [])
        if enum and value not in enum:
            yield _failed(value, path, f"Member must satisfy enum value set: [{', '.join(enum)}]")
        yield from _length(len(value), value, shape, path)
        pattern = _pattern(shape.metadata.get("pattern", ""))
        if pattern and not pattern.fullmatch(value):
            constraint = f"Member must satisfy regular expression pattern: {shape.metadata['pattern']}"
            yield _failed(value, path, constraint)
    elif shape.type_name in ("integer", "long", "float", "double"):
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        if low is not None and value < low:
            yield _failed(value, path, f"Member must have value greater than or equal to {low}")
        if high is not None and value > high:
            yield _failed(value, path, f"Member must have value less than or equal to {high}")


def _length(length: int, value: Any, shape: Shape, path: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and length < low:
        yield _failed(value, path, f"Member must have length greater than or equal to {low}")
    if high is not None and length > high:
        yield _failed(value, path, f"Member must have length less than or equal to {high}")


def _failed(value: Any, path: str, constraint: str) -> str:
    shown = "null" if value is None else f"'{value}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: {constraint}"


def _join(path: str, name: str) -> str:
    name = name[0].lower() + name[1:]
    return f"{path}.{name}" if path else name


@cache
def _pattern(java: str) -> re.Pattern[str] | None:
    if not java:
        return None
    for theirs, ours in _JAVA.items():
        java = java.replace(theirs, ours)
    return re.compile(java, re.DOTALL)
