"""The public names: listed literally, there, and documented as numpydoc asks."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from numpydoc.docscrape import NumpyDocString
from numpydoc.validate import validate

import shapecluster
from tests import typed_api

# numpydoc's checks that we leave out, each for its reason. Everything else it finds is a failure.
IGNORED = {
    "GL01": "our docstrings open on the line of the quotes",
    "GL02": "the same, for the closing quotes of one-line docstrings",
    "ES01": "a summary that says it all needs no second paragraph",
    "SA01": "cross references are given where they help",
    "EX01": "examples stand on classes and functions (tested below); methods are shown there",
    "SS05": "takes any first word that ends in s for a verb; ruff's D401 checks the mood",
    "RT02": "what is returned may be named",
    "YD01": "generators are few, and what they yield is said",
}


def public_modules() -> list[ModuleType]:
    """The package, and whatever in it has no underscore on its way."""
    found = [shapecluster]
    for info in pkgutil.walk_packages(shapecluster.__path__, "shapecluster."):
        if not any(part.startswith("_") for part in info.name.split(".")):
            found.append(importlib.import_module(info.name))
    return found


MODULES = public_modules()


def source_of(module: ModuleType) -> ast.Module:
    return ast.parse(Path(inspect.getfile(module)).read_text("utf-8"))


def literal_all(module: ModuleType) -> list[str] | None:
    """The `__all__` of a module as it is written, or None."""
    for node in source_of(module).body:
        plain = isinstance(node, ast.Assign) and [ast.unparse(t) for t in node.targets] == ["__all__"]
        typed = isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "__all__"
        if plain or typed:
            return ast.literal_eval(node.value)
    return None


def own_public_names(module: ModuleType) -> set[str]:
    """Public functions and classes that a module defines or takes from our private modules."""
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__.startswith(module.__name__)
    }


def test_import_shapecluster_alone_reaches_every_public_module():
    reach = "".join(f"{module.__name__}\n" for module in MODULES)
    program = "import shapecluster\n" + reach + "print(*dir(shapecluster))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    names = [name for name in run.stdout.split() if not name.startswith("__")]
    assert names == sorted(name for name in shapecluster.__all__ if name != "__version__")


@pytest.fixture(params=MODULES, ids=lambda module: module.__name__)
def module(request: pytest.FixtureRequest) -> ModuleType:
    return request.param


def test_all_is_a_literal_without_repeats_and_every_name_is_there(module):
    names = literal_all(module)
    if names is None:
        assert not own_public_names(module), f"{module.__name__} needs a literal __all__"
        return
    assert len(names) == len(set(names))
    assert names == module.__all__
    missing = [name for name in names if not hasattr(module, name)]
    assert not missing


def test_nothing_public_is_left_out_of_all(module):
    assert own_public_names(module) <= set(literal_all(module) or []), "rename it or list it in __all__"


def test_every_public_module_says_what_it_is_for(module):
    assert (module.__doc__ or "").strip(), module.__name__


def public_objects() -> dict[str, Any]:
    """Dotted name -> object, for every name in an `__all__` that is ours; each object once."""
    found: dict[int, tuple[str, Any]] = {}
    for module in reversed(MODULES):  # the subpackage's name wins over the top's
        for name in literal_all(module) or []:
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                found.setdefault(id(value), (f"{module.__name__}.{name}", value))
    return dict(sorted(found.values()))


def documented() -> Iterator[str]:
    """The public functions and classes, and the classes' own public methods and properties."""
    for path, value in public_objects().items():
        yield path
        if not inspect.isclass(value):
            continue
        for name in dir(value):
            if name.startswith("_"):
                continue
            member = inspect.getattr_static(value, name)
            owner = next(c for c in value.__mro__ if name in vars(c))
            callable_or_property = callable(getattr(member, "__func__", member)) or isinstance(
                member, property
            )
            if callable_or_property and owner.__module__.startswith("shapecluster"):
                yield f"{path}.{name}"


DOCUMENTED = sorted(documented())


def is_result(value: Any) -> bool:
    """Made by us and read by the caller: a dataclass, or an error. What it holds are its Attributes."""
    return inspect.isclass(value) and (dataclasses.is_dataclass(value) or issubclass(value, Exception))


def problems(path: str) -> list[str]:
    ignored = set(IGNORED) | ({"PR01"} if is_result(public_objects().get(path)) else set())
    return [f"{code}: {text}" for code, text in validate(path)["errors"] if code not in ignored]


@pytest.mark.parametrize("path", DOCUMENTED)
def test_docstring_has_its_parts_and_agrees_with_the_signature(path):
    assert not problems(path), f"{path}: {problems(path)}"


@pytest.mark.parametrize("path", [p for p, v in public_objects().items() if not is_result(v)])
def test_public_functions_and_estimators_show_an_example(path):
    assert ">>>" in (inspect.getdoc(public_objects()[path]) or ""), f"{path} has no example"


@pytest.mark.parametrize("path", [p for p, v in public_objects().items() if dataclasses.is_dataclass(v)])
def test_the_fields_of_a_result_are_documented_as_its_attributes(path):
    value = public_objects()[path]
    fields = [field.name for field in dataclasses.fields(value) if not field.name.startswith("_")]
    parts = NumpyDocString(inspect.getdoc(value))
    described = {
        name for entry in parts["Attributes"] + parts["Parameters"] for name in entry.name.split(", ")
    }
    assert not set(fields) - described


def test_there_is_something_to_check():
    assert "shapecluster.cluster.LocalKShape" in DOCUMENTED
    assert "shapecluster.cluster.LocalKShape.fit" in DOCUMENTED


def test_a_parameter_without_its_description_is_found(monkeypatch):
    def lacking(first, second):
        """Do something.

        Parameters
        ----------
        first : int
            Only this one is described.
        """

    monkeypatch.setattr(shapecluster, "lacking", lacking, raising=False)
    assert any(problem.startswith("PR01") for problem in problems("shapecluster.lacking"))


def test_the_typed_program_runs():
    typed_api.main()


def defaults_in_docstring(value: Any) -> dict[str, str]:
    """Parameter -> the default that its docstring states, for parameters described one by one."""
    found = {}
    for entry in NumpyDocString(inspect.getdoc(value) or "")["Parameters"]:
        stated = re.search(r"default\s*=\s*(.+)$", entry.type)
        names = [name.strip() for name in entry.name.split(",")]
        if stated is None:
            continue
        texts = re.split(r",\s*|\s+and\s+", stated[1]) if len(names) > 1 else [stated[1]]
        if len(texts) in (1, len(names)):
            found |= dict(zip(names, texts * len(names) if len(texts) == 1 else texts, strict=False))
    return found


def callables() -> Iterator[tuple[str, Any]]:
    """The documented functions, classes and methods, without properties."""
    for path, value in public_objects().items():
        yield path, value
        for name in dir(value) if inspect.isclass(value) else []:
            member = getattr(
                inspect.getattr_static(value, name), "__func__", inspect.getattr_static(value, name)
            )
            if f"{path}.{name}" in DOCUMENTED and callable(member):
                yield f"{path}.{name}", member


CALLABLES = dict(callables())


@pytest.mark.parametrize("path", CALLABLES)
def test_defaults_in_docstrings_are_those_of_the_signature(path):
    value = CALLABLES[path]
    try:
        parameters = inspect.signature(value).parameters
    except ValueError:  # a class that takes its constructor from C
        return
    for name, text in defaults_in_docstring(value).items():
        if name not in parameters or parameters[name].default is inspect.Parameter.empty:
            continue
        default = parameters[name].default
        if dataclasses.is_dataclass(value):  # a signature shows no factories
            field = value.__dataclass_fields__[name]
            default = default if field.default_factory is dataclasses.MISSING else field.default_factory()
        for unit, power in (("KiB", 10), ("MiB", 20), ("GiB", 30)):
            text = text.replace(f" {unit}", f" * 2**{power}")
        stated = eval(text, {"range": range})
        if isinstance(stated, tuple) and ... in stated:  # (2, 3, ..., 20)
            stated = tuple(range(stated[0], stated[-1] + 1))
        assert stated == default, f"{path}: {name} is {default!r}, and its docstring says {text}"


def test_defaults_are_really_read_from_docstrings():
    known = defaults_in_docstring(CALLABLES["shapecluster.cluster.LocalKShape"])
    assert known["tol"] == "1e-6"
    assert known["init"] == '"k-shape++"'
    assert sum(len(defaults_in_docstring(value)) for value in CALLABLES.values()) > 150
