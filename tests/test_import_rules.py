"""Who may import whom, read from the source; and what importing the package costs."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import shapecluster

PACKAGE = Path(shapecluster.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

# Single files below all packages. Every package may import all of them; a file only those in its row.
SINGLE_FILES: dict[str, set[str]] = {
    "exceptions": set(),
    "_typing": set(),
    "_optional": set(),
    "_pipelines": set(),
    "_warnings": set(),
    "_text": set(),
    "_arrays": {"_typing"},
    "_threads": set(),
    "_programs": set(),
    "_files": set(),
    "_sklearn_compat": {"_typing"},
    "_validation": {"_sklearn_compat", "_text", "_typing", "_warnings", "exceptions"},
    "_tables": {"_optional", "_typing"},
}

# Every package, and the packages that it imports; no more and no less.
PACKAGES: dict[str, set[str]] = {
    "_core.sbd": set(),
    "_core.kshape": {"_core.sbd"},
    "_core.index": {"_core.sbd"},
    "_core.matching": set(),
    "formats": set(),
    "remote": set(),
    "prices": set(),
    "preprocessing": {"_core.sbd"},
    "metrics": {"_core.sbd"},
    "cluster": {"_core.kshape", "_core.sbd"},
    "model_selection": {"metrics"},
    "portfolios": {"_core.matching"},
    "datasets": {"_core.sbd", "portfolios"},
    "neighbors": {"_core.index", "_core.kshape", "_core.sbd", "formats"},
    "analogues": {"_core.index", "cluster", "neighbors"},
    "container": {"cluster", "formats"},
    "sagemaker": {"cluster", "formats", "remote"},
    "plotting": {"analogues", "model_selection"},
    "report": {
        "_core.sbd",  # near-identical pairs are correlated as look-alikes are
        *("cluster", "datasets", "metrics", "model_selection", "neighbors"),
        *("plotting", "preprocessing", "prices"),
    },
    "cli": {
        "datasets",
        "metrics",
        "model_selection",
        "plotting",
        "portfolios",
        "remote",
        "report",
        "sagemaker",
    },
}
# The public names of the whole package: nobody imports them, and they are in no layer.
TOP = "__init__"

REQUIRED = {"numpy", "scipy", "sklearn", "pandas", "joblib", "threadpoolctl"}
OPTIONAL = {
    *("yfinance", "pyarrow", "platformdirs", "matplotlib", "jinja2", "plotly", "typer", "rich"),
    *("boto3", "botocore", "sagemaker", "waitress", "dask", "distributed", "torch", "cupy"),
    *("tslearn", "requests", "curl_cffi", "faiss", "igraph", "polars"),
}
# Packages that import less than REQUIRED.
THIRD_PARTY = {
    "_core.sbd": {"numpy", "scipy"},
    "_core.kshape": {"numpy", "scipy"},
    "_core.index": {"numpy", "scipy"},
    "_core.matching": {"numpy", "scipy"},
    "formats": {"numpy"},
    "remote": {"numpy", "boto3", "botocore", "sagemaker"},  # moves bytes, and never knows k-Shape
}


@dataclass(frozen=True)
class Import:
    module: str
    line: int
    late: bool  # inside a function
    typing_only: bool  # under `if TYPE_CHECKING`

    @property
    def root(self) -> str:
        return self.module.split(".")[0]

    @property
    def ours(self) -> str:
        """Dotted name inside the package: "cluster._local"."""
        return self.module.partition(".")[2]


# Functions that import the module whose name is their first argument.
IMPORTERS = {"import_module", "import_optional", "__import__"}
# An `__init__` that imports its own modules by name, on first use.
OWN_MODULE = "{__name__}."
# Modules that get the name as an argument: of an optional package, from a caller that the reader sees.
PASSES_NAMES = {"_optional", "cli._common"}


def imports_of(path: Path) -> list[Import]:
    return list(_imports(ast.parse(path.read_text("utf-8")), late=False, typing_only=False))


def _imports(node: ast.AST, *, late: bool, typing_only: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, child.lineno, late, typing_only)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"relative import on line {child.lineno}"
            for alias in child.names:
                # `from shapecluster import metrics` imports the sub-module, not only the package.
                name = (
                    f"{child.module}.{alias.name}" if _is_module(child.module, alias.name) else child.module
                )
                yield Import(str(name), child.lineno, late, typing_only)
        elif isinstance(child, ast.Call) and ast.unparse(child.func).split(".")[-1] in IMPORTERS:
            if isinstance(child.args[0], ast.Constant):
                yield Import(str(child.args[0].value), child.lineno, late, typing_only)
            yield from _imports(
                ast.Expr(ast.Tuple([*child.args, *child.keywords])), late=late, typing_only=typing_only
            )
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for part in child.body:
                yield from _imports(ast.Module([part], []), late=late, typing_only=True)
            for part in child.orelse:
                yield from _imports(ast.Module([part], []), late=late, typing_only=typing_only)
        else:
            function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from _imports(child, late=late or function, typing_only=typing_only)


def _is_module(package: str, name: str) -> bool:
    """Whether `from package import name` imports a module of ours."""
    if package.split(".")[0] != "shapecluster":
        return False
    folder = PACKAGE.joinpath(*package.split(".")[1:])
    return (folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file()


def dotted(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def row_of(name: str) -> str:
    """The row of the tables for a module, given by its dotted name inside the package: the longest one."""
    steps = name.split(".")
    prefixes = [".".join(steps[:n]) for n in range(len(steps), 0, -1)]
    return next((p for p in prefixes if p in PACKAGES or p in SINGLE_FILES), steps[0])


def may_import(row: str, target: str) -> bool:
    """Whether a module in a row of the tables may import our module `target`."""
    there = row_of(target)
    if row == TOP:
        return True
    if row in SINGLE_FILES:
        return there in SINGLE_FILES[row]
    return there == row or there in SINGLE_FILES or there in PACKAGES[row]


def from_outside(path: Path, package: str) -> list[Import]:
    """Imports of a package, or of its modules, in a file of another one."""
    if row_of(dotted(path)) in (package, TOP) and dotted(path) != TOP:
        return []
    return [i for i in our_imports(path) if row_of(i.ours) == package]


def our_imports(path: Path) -> list[Import]:
    return [i for i in imports_of(path) if i.root == "shapecluster" and i.ours]


@pytest.fixture(params=FILES, ids=[str(p.relative_to(PACKAGE)) for p in FILES])
def source(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_every_module_has_a_row_in_the_tables(source):
    name = dotted(source)
    if source.parent.name == "_core":  # the drawing of the layers below it
        assert not our_imports(source)
        return
    row = row_of(name)
    assert row in PACKAGES or row in SINGLE_FILES or row == TOP, f"enter {row} in the tables above"


def test_modules_import_only_what_their_row_grants(source):
    row = row_of(dotted(source))
    wrong = [f"line {i.line}: {i.module}" for i in our_imports(source) if not may_import(row, i.ours)]
    assert not wrong, f"{row} must not import {wrong}"


def test_the_map_of_modules_in_a_package_is_complete(source):
    """Packages that draw their modules in their docstring name every one of them, and no other."""
    text = ast.get_docstring(ast.parse(source.read_text("utf-8"))) or ""
    if source.name != "__init__.py" or not ("```" in text or "::" in text):
        return
    words = set(re.findall(r"\w+", text))
    modules = {path.stem for path in source.parent.rglob("*.py") if not path.stem.startswith("__")}
    if source.parent.name != "_core":  # it draws the layers within its packages, others only their own files
        modules = {path.stem for path in source.parent.glob("*.py")} - {"__init__", "__main__"}
    assert not modules - words, f"not in the map: {sorted(modules - words)}"
    assert (
        not {w for w in words if re.fullmatch(r"_[a-z]\w*", w)}
        - {path.stem for path in source.parent.iterdir()}
        - {"_client"}
    ), "the map names modules that do not exist"


def test_names_are_imported_from_the_package_that_owns_them(source):
    """The public names of `shapecluster` are for its users: inside they would hide who imports whom."""
    assert not [i.line for i in imports_of(source) if i.module == "shapecluster"]


def test_no_module_is_imported_by_a_name_that_the_reader_cannot_see(source):
    name, hidden = dotted(source), []
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            function = ast.unparse(node.func)
            if function in {
                "exec",
                "eval",
                "runpy.run_module",
                "run_module",
                "importlib.util.module_from_spec",
            }:
                hidden.append(f"line {node.lineno}: {function}")
            if function.split(".")[-1] in IMPORTERS and not isinstance(node.args[0], ast.Constant):
                own = source.name == "__init__.py" and ast.unparse(node.args[0])[2:].startswith(OWN_MODULE)
                if not own and name not in PASSES_NAMES:
                    hidden.append(f"line {node.lineno}: {ast.unparse(node)}")
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) in {"sys.modules", "modules"}:
            hidden.append(f"line {node.lineno}: {ast.unparse(node)}")
    assert not hidden, hidden


@pytest.mark.parametrize("row", THIRD_PARTY)
def test_every_grant_of_another_package_is_used(row):
    used = {i.root for path in FILES if row_of(dotted(path)) == row for i in imports_of(path)}
    assert THIRD_PARTY[row] <= used, f"{row} never imports {sorted(THIRD_PARTY[row] - used)}"


@pytest.mark.parametrize("row", [*PACKAGES, *SINGLE_FILES])
def test_every_grant_is_used(row):
    files = [path for path in FILES if row_of(dotted(path)) == row]
    assert files, f"{row} has a row and no file"
    used = {row_of(i.ours) for path in files for i in our_imports(path)}
    granted = PACKAGES[row] if row in PACKAGES else SINGLE_FILES[row]
    assert granted <= used, f"{row} never imports {sorted(granted - used)}"


def test_the_table_has_no_cycle():
    assert_no_cycle({**PACKAGES, **SINGLE_FILES})


def test_modules_have_no_cycle():
    """Late imports and those for type checkers count as well."""
    names = {dotted(path) for path in FILES}
    graph: dict[str, set[str]] = {}
    for path in FILES:
        if dotted(path) == TOP:
            continue
        for found in our_imports(path):
            # `from package import name` of a package's own module imports that module.
            target = found.ours if found.ours in names else found.ours.rpartition(".")[0]
            if target != dotted(path):
                graph.setdefault(dotted(path), set()).add(target)
    assert_no_cycle(graph)


def assert_no_cycle(graph: dict[str, set[str]]) -> None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a cycle of imports: {' <- '.join(error.args[1])}")


def test_a_cycle_is_found():
    with pytest.raises(pytest.fail.Exception, match=r"a <- b <- a|b <- a <- b"):
        assert_no_cycle({"a": {"b"}, "b": {"a"}})


def test_remote_is_used_through_its_public_names_and_one_facade():
    doors = {"remote", "remote.permissions", "remote._client"}
    used = {i.ours for path in FILES for i in from_outside(path, "remote")}
    assert used <= doors, f"take these from remote._client: {sorted(used - doors)}"


def test_container_is_imported_in_one_place_which_hands_it_over():
    """But for type checkers: `__init__` lists its sub-modules there."""
    users = {
        (dotted(path), i.ours) for path in FILES for i in from_outside(path, "container") if not i.typing_only
    }
    assert users == {("__init__", "container._handover")}


def test_container_takes_only_local_estimators_from_cluster():
    local = {"cluster._local", "cluster._euclidean"}
    wrong = [
        f"{dotted(path)} line {i.line}: {i.module}"
        for path in FILES
        if row_of(dotted(path)) == "container"
        for i in our_imports(path)
        if i.ours.startswith("cluster") and i.ours not in local
    ]
    assert not wrong


def test_other_packages_are_those_that_the_project_declares(source):
    row = row_of(dotted(source))
    allowed = THIRD_PARTY.get(row)
    for found in imports_of(source):
        if found.root in sys.stdlib_module_names or found.root == "shapecluster" or found.typing_only:
            continue
        if allowed is not None:
            assert found.root in allowed, f"line {found.line}: {row} must not import {found.module}"
        else:
            assert found.root in REQUIRED | OPTIONAL, f"line {found.line}: {found.module} is not declared"


def test_optional_packages_are_imported_inside_functions(source):
    early = [
        f"line {i.line}: {i.module}"
        for i in imports_of(source)
        if i.root in OPTIONAL and not i.late and not i.typing_only
    ]
    assert not early, f"import these where they are needed: {early}"


def test_private_names_of_scikit_learn_come_from_one_place(source):
    private = [i.module for i in imports_of(source) if i.root == "sklearn" and "._" in i.module]
    assert not private or source.name == "_sklearn_compat.py", (
        f"take these from shapecluster._sklearn_compat: {private}"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import yfinance", [("yfinance", False, False)]),
        ("def f():\n    from rich.table import Table", [("rich.table", True, False)]),
        ("class A:\n    import typer", [("typer", False, False)]),
        ("try:\n    import dask\nexcept ImportError:\n    pass", [("dask", False, False)]),
        (
            "if TYPE_CHECKING:\n    import torch\nelse:\n    import cupy",
            [("torch", False, True), ("cupy", False, False)],
        ),
        ("from shapecluster import cli", [("shapecluster.cli", False, False)]),
        ("importlib.import_module('torch')", [("torch", False, False)]),
        ("def f():\n    return import_optional('boto3.s3', extra='aws')", [("boto3.s3", True, False)]),
        ("f(__import__('cupy').zeros)", [("cupy", False, False)]),
    ],
)
def test_the_reader_sees_where_an_import_stands(tmp_path, text, expected):
    path = tmp_path / "module.py"
    path.write_text(text)
    assert [(i.module, i.late, i.typing_only) for i in imports_of(path)] == expected


@pytest.mark.parametrize(
    ("row", "target", "allowed"),
    [
        ("_core.sbd", "_core.kshape.run", False),
        ("_core.kshape", "_core.sbd.bounds", True),
        ("_core.matching", "_core.sbd", False),
        ("_core.sbd", "_typing", True),
        ("_typing", "_validation", False),
        ("_validation", "_sklearn_compat", True),
        ("cluster", "remote", False),
        ("sagemaker", "remote", True),
        ("model_selection", "cluster._local", False),
        ("cli", "container", False),
        ("__init__", "container", True),
    ],
)
def test_the_rules_are_read_as_they_are_meant(row, target, allowed):
    assert may_import(row, target) is allowed


def run_python(code: str) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COV"))}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_public_name_works_with_all_optional_packages_blocked():
    code = f"""
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {sorted(OPTIONAL)}:
            raise ModuleNotFoundError(f"{{name}} is blocked", name=name)
sys.meta_path.insert(0, Blocked())
import importlib, pkgutil
import shapecluster
for name in shapecluster.__all__:
    getattr(shapecluster, name)
for module in pkgutil.walk_packages(shapecluster.__path__, "shapecluster."):
    importlib.import_module(module.name)
print("imported")
"""
    assert run_python(code).strip() == "imported"


def test_import_loads_nothing_heavy_beyond_scikit_learn_and_pandas():
    code = """
import json, sys
import sklearn.cluster, pandas
before = set(sys.modules)
import shapecluster
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    added = json.loads(run_python(code))
    # Everything of scipy and scikit-learn that counts was loaded by `sklearn.cluster`. The time itself
    # (no more than 50 ms above these two) is printed by .ci/import_time.py; here it is what loads.
    roots = {name.split(".")[0] for name in added} - set(sys.stdlib_module_names)
    assert roots == {"shapecluster"} or roots <= {"shapecluster", "scipy", "sklearn", "numpy", "pandas"}, (
        roots
    )
    outside = [n for n in added if n.split(".")[0] in {"scipy", "sklearn", "pandas", "numpy"}]
    assert len(outside) <= 40, outside
