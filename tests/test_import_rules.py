"""Who may import whom, read from the source; and what importing the package costs."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import shapecluster

PACKAGE = Path(shapecluster.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

# Single files below everything else, lowest first: each may import those before it.
FOUNDATION = [
    "exceptions",
    "_typing",
    "_optional",
    "_warnings",
    "_threads",
    "_sklearn_bases",
    "_sklearn_compat",
    "_validation",
    "_tables",
]

# What each part may import of ours, beside itself and these files. A new part has to be entered here.
OURS = {
    "_core": set(),
    "formats": set(),
    "cluster": {"_core"},
    "sagemaker": {"_core", "cluster", "formats", "remote"},
    "neighbors": {"_core", "formats"},
    "analogues": {"_core", "cluster", "neighbors"},
    "portfolios": {"_core"},
    "prices": set(),
    "preprocessing": {"_core"},
    "metrics": {"_core"},
    "model_selection": set(),
    "datasets": {"portfolios"},
    "plotting": {"analogues"},
    "report": {
        *("cluster", "datasets", "metrics", "model_selection", "neighbors"),
        *("plotting", "preprocessing", "prices"),
    },
    "remote": set(),
    "container": {"cluster", "formats"},
}
# May import any of ours but `container`: the public names, and the command.
TOP = {"__init__", "cli", "__main__"}

REQUIRED = {"numpy", "scipy", "sklearn", "pandas", "joblib", "threadpoolctl"}
OPTIONAL = {
    *("yfinance", "pyarrow", "platformdirs", "matplotlib", "jinja2", "plotly", "typer", "rich"),
    *("boto3", "botocore", "sagemaker", "waitress", "dask", "distributed", "torch", "cupy"),
    *("tslearn", "requests", "curl_cffi", "faiss"),
}
# Parts that keep to less than REQUIRED.
THIRD_PARTY = {"_core": {"numpy", "scipy", "array_api_compat"}, "formats": {"numpy"}}


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
                # `from shapecluster import metrics` imports the part, not only the package.
                name = f"{child.module}.{alias.name}" if child.module == "shapecluster" else child.module
                yield Import(str(name), child.lineno, late, typing_only)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for part in child.body:
                yield from _imports(ast.Module([part], []), late=late, typing_only=True)
            for part in child.orelse:
                yield from _imports(ast.Module([part], []), late=late, typing_only=typing_only)
        else:
            function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from _imports(child, late=late or function, typing_only=typing_only)


def dotted(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def part_of(name: str) -> str:
    """The entry of the tables that a dotted name falls under: the longest one."""
    steps = name.split(".")
    prefixes = [".".join(steps[:n]) for n in range(len(steps), 0, -1)]
    return next((prefix for prefix in prefixes if prefix in OURS), steps[0])


def may_import(part: str, target: str) -> bool:
    """Whether a module of `part` may import our module `target` (a dotted name inside the package)."""
    root = target.split(".")[0]
    if root == "container":
        return part == "container"
    if part in TOP:
        return True
    if part in FOUNDATION:
        return root in FOUNDATION[: FOUNDATION.index(part)]
    if root in FOUNDATION or root == part.split(".")[0]:
        return True
    return root in OURS[part]


@pytest.fixture(params=FILES, ids=[str(p.relative_to(PACKAGE)) for p in FILES])
def source(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_every_part_stands_in_the_table(source):
    part = part_of(dotted(source))
    assert part in OURS or part in TOP or part in FOUNDATION, f"enter {part} in the tables above"


def test_our_own_modules_are_imported_downwards_only(source):
    part = part_of(dotted(source))
    wrong = [
        f"line {i.line}: {i.module}"
        for i in imports_of(source)
        if i.root == "shapecluster" and i.ours and not i.typing_only and not may_import(part, i.ours)
    ]
    assert not wrong, f"{part} must not import {wrong}"


def test_container_takes_only_what_is_computed_locally_from_cluster():
    local = {"cluster._local", "cluster._euclidean"}
    wrong = [
        f"{dotted(path)} line {i.line}: {i.module}"
        for path in FILES
        if part_of(dotted(path)) == "container"
        for i in imports_of(path)
        if i.root == "shapecluster" and i.ours.startswith("cluster") and i.ours not in local
    ]
    assert not wrong


def test_remote_never_knows_k_shape():
    sources = [p for p in FILES if part_of(dotted(p)) == "remote"]
    assert not [p for p in sources if any(i.root in {"scipy", "sklearn"} for i in imports_of(p))]


def test_other_packages_are_those_that_the_project_declares(source):
    part = part_of(dotted(source)).split(".")[0]
    allowed = THIRD_PARTY.get(part)
    for found in imports_of(source):
        if found.root in sys.stdlib_module_names or found.root == "shapecluster" or found.typing_only:
            continue
        if allowed is not None:
            assert found.root in allowed, f"line {found.line}: {part} must not import {found.module}"
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
    ],
)
def test_the_reader_sees_where_an_import_stands(tmp_path, text, expected):
    path = tmp_path / "module.py"
    path.write_text(text)
    assert [(i.module, i.late, i.typing_only) for i in imports_of(path)] == expected


@pytest.mark.parametrize(
    ("part", "target", "allowed"),
    [
        ("_core", "cluster", False),
        ("_core", "_typing", True),
        ("_typing", "_validation", False),
        ("_validation", "_sklearn_compat", True),
        ("cluster", "_core.kshape", True),
        ("cluster", "remote.jobs", False),
        ("sagemaker", "remote.jobs", True),
        ("model_selection", "cluster._local", False),
        ("__init__", "container", False),
        ("cli", "datasets", True),
    ],
)
def test_the_rules_are_read_as_they_are_meant(part, target, allowed):
    assert may_import(part, target) is allowed


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
