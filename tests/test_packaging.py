"""What surrounds the code: README, make targets, environments, versions, the pins for old releases."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import matplotlib as mpl
import pytest

import shapecluster
from shapecluster.cli import build_app

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
README = (ROOT / "README.md").read_text("utf-8")
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")

needs_shell = pytest.mark.skipif(os.name != "posix", reason="the Makefile's scripts are for a POSIX shell")


def blocks(language: str, text: str = README) -> list[str]:
    """The fenced blocks of one language in a Markdown page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


# ---------------------------------------------------------------------------------------------- README


def test_readme_python_runs_as_it_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # what it writes goes here
    mpl.use("Agg")
    code = blocks("python")
    assert len(code) >= 3
    namespace: dict[str, object] = {"__name__": "readme"}
    for number, block in enumerate(code, 1):
        exec(compile(block, f"README.md, Python block {number}", "exec"), namespace)


OPTION = r"(?<![\w-])--?[a-z][a-z-]*"


@functools.cache
def command_options() -> dict[str, set[str]]:
    """The options of each command: "stocks", "sagemaker fit"."""
    from typer.main import get_command

    found = {}
    for name, command in get_command(build_app()).commands.items():
        for inner, one in getattr(command, "commands", {"": command}).items():
            found[f"{name} {inner}".strip()] = {option for p in one.params for option in p.opts} | {"--help"}
    return found


def pages_with_commands() -> list[Path]:
    return [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "SECURITY.md",
        *sorted(ROOT.glob("docs/**/*.rst")),
    ]


def shell_lines(text: str) -> list[str]:
    """Commands as they stand on pages: lines with `\\` at their end are joined."""
    return re.sub(r"\\\n\s*", " ", text).splitlines()


@pytest.mark.parametrize("page", pages_with_commands(), ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_on_pages_exist(page):
    known = command_options()
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, flags=re.MULTILINE))
    for line in shell_lines(page.read_text("utf-8")):
        for target in re.findall(r"(?:^|`)\s*make ([a-z]+)", line):
            assert target in targets, f"`make {target}` is no target: {line}"
        for found in re.finditer(
            r"(?:^|`)\s*(?:\$ )?shapecluster ((?:(?:sagemaker|portfolios) )?[a-z][a-z-]*)([^`]*)", line
        ):
            assert found[1] in known, f"no such command: {line}"
            assert set(re.findall(OPTION, found[2])) <= known[found[1]], f"no such options in: {line}"


def test_every_command_stands_on_its_page():
    page = (ROOT / "docs" / "guide" / "command.rst").read_text("utf-8")
    assert len(command_options()) > 5
    assert not [name for name in command_options() if f"shapecluster {name}" not in page]


def test_the_test_command_of_the_readme_is_what_ci_runs():
    assert "make test" in README
    assert re.search(r'^ *stage "tests" make test$', (ROOT / ".ci" / "run").read_text("utf-8"), re.MULTILINE)


def test_links_inside_the_project_lead_somewhere():
    for page in ROOT.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)", page.read_text("utf-8")):
            assert "://" in target or (ROOT / target).exists(), f"{page.name} links to {target}"


# ------------------------------------------------------------------------------------------- metadata


def test_the_version_is_the_same_everywhere():
    version = PROJECT["version"]
    assert shapecluster.__version__ == version
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\n## [{version}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_no_classifier_for_a_platform_that_has_not_run():
    systems = [c for c in PROJECT["classifiers"] if c.startswith("Operating System")]
    assert systems == ["Operating System :: POSIX :: Linux"]


def test_every_dependency_has_a_lower_bound_and_a_reason():
    lines = re.findall(r'^    ("[a-z].*)$', (ROOT / "pyproject.toml").read_text("utf-8"), flags=re.MULTILINE)
    requirements = [line for line in lines if re.match(r'"[A-Za-z0-9_.\[\],-]+>=', line)]
    declared = [*PROJECT["dependencies"], *(r for e in PROJECT["optional-dependencies"].values() for r in e)]
    outside = [r for r in declared if not r.startswith("shapecluster[")]
    assert len(requirements) == len(outside), "write each dependency on a line of its own, with >="
    assert not [line for line in requirements if "#" not in line]


def test_the_extra_called_all_is_what_users_run():
    extras = PROJECT["optional-dependencies"]
    (everything,) = extras["all"]
    listed = set(everything.removeprefix("shapecluster[").rstrip("]").split(","))
    # The SDK pulls in much that few users need; the others are for those who work on the project.
    assert listed == set(extras) - {"all", "sagemaker", "compare", "docs", "test"}


# The names under which distributions are imported, where they differ.
MODULES = {"scikit-learn": "sklearn", "faiss-cpu": "faiss", "sagemaker-core": "sagemaker.core"}


def test_every_dependency_of_users_is_imported_somewhere():
    source = "\n".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py"))
    extras = {
        k: v for k, v in PROJECT["optional-dependencies"].items() if k not in ("compare", "docs", "test")
    }
    for extra, requirements in {"required": PROJECT["dependencies"], **extras}.items():
        for requirement in requirements:
            name = re.match(r"[A-Za-z0-9-]+", requirement)[0]
            module = re.escape(MODULES.get(name, name))
            pattern = rf'^ *(import|from) {module}\b|import_(optional|module)\(\s*"{module}\b'
            used = name == "shapecluster" or re.search(pattern, source, re.MULTILINE)
            assert used, f"nothing imports {name}, which the extra {extra} installs"


# --------------------------------------------------------------------------------- the lowest versions


@pytest.fixture(scope="module")
def lowest_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("lowest", ROOT / ".ci" / "lowest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_lowest_pins_follow_our_own_extras_and_no_others(lowest_module):
    project = {
        "name": "ours",
        "dependencies": ["numpy>=1.26", "pandas >= 2.2.2, <4"],
        "optional-dependencies": {
            "test": ["pytest>=8.3", "ours[plot]"],
            "plot": ["matplotlib>=3.8; python_version > '3'", "numpy>=1.26"],
            "far": ["dask[array]>=2024.8"],
        },
    }
    assert lowest_module.lowest(project, []) == ["numpy==1.26", "pandas==2.2.2"]
    assert lowest_module.lowest(project, ["test"]) == [
        *("matplotlib==3.8", "numpy==1.26", "pandas==2.2.2", "pytest==8.3"),
    ]
    assert "dask[array]==2024.8" in lowest_module.lowest(project, ["far"])


@pytest.mark.parametrize(
    ("requirements", "message"),
    [(["numpy"], "numpy has no lower bound"), (["numpy>=1", "numpy>=2"], "two lower bounds for numpy")],
)
def test_lowest_refuses_what_it_cannot_pin(lowest_module, requirements, message):
    project = {"name": "ours", "dependencies": requirements, "optional-dependencies": {}}
    with pytest.raises(SystemExit, match=message):
        lowest_module.lowest(project, [])


# ---------------------------------------------------------------------------------------- environments


def fake_python(folder: Path, name: str, code: str) -> Path:
    """A command that is Python, but runs `code` (which may hide modules) before anything else."""
    (folder / "hidden").mkdir(exist_ok=True)
    (folder / "hidden" / "sitecustomize.py").write_text(code)
    path = folder / name
    path.write_text(f'#!/bin/sh\nPYTHONPATH="{folder}/hidden:$PYTHONPATH" exec "{sys.executable}" "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


# Installing pip takes seconds each time, and it is `make` itself that shows that it works: here, environments
# are made without it, and this stands in for it.
NO_ENSUREPIP = "import venv\nvenv.EnvBuilder._setup_pip = lambda self, context: None\n"
PIP = """
import pathlib, sys
for flag, value in zip(sys.argv, sys.argv[1:]):
    if flag == "-r" and not pathlib.Path(value).exists():
        sys.exit(f"no such requirements file: {value}")
"""


def environment(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run .ci/environment in a project that needs nothing installed."""
    (folder / "modules" / "pip").mkdir(parents=True, exist_ok=True)
    (folder / "modules" / "sitecustomize.py").write_text(NO_ENSUREPIP)
    (folder / "modules" / "pip" / "__init__.py").touch()
    (folder / "modules" / "pip" / "__main__.py").write_text(PIP)
    (folder / ".ci").mkdir(exist_ok=True)
    shutil.copy(ROOT / ".ci" / "environment", folder / ".ci" / "environment")
    (folder / "pyproject.toml").touch()
    (folder / ".ci" / "lint-requirements.txt").touch()
    (folder / "nothing.txt").write_text("# nothing\n")
    return subprocess.run(
        ["sh", ".ci/environment", *arguments],
        cwd=folder,
        env={"HOME": str(folder), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(folder / "modules")} | variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


NO_VENV = "import sys\nsys.modules['ensurepip'] = None\n"
OLD = "import sys\nsys.version_info = (3, 10, 13, 'final', 0)\n"


@needs_shell
def test_missing_venv_is_one_line_that_says_what_to_install(tmp_path):
    python = fake_python(tmp_path, "mypython", NO_VENV)
    done = environment(tmp_path, "env", "test", "-r", "nothing.txt", PYTHON=str(python))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    major, minor = sys.version_info[:2]
    assert f"apt-get install python{major}.{minor}-venv" in line
    assert not (tmp_path / "env").exists()


@needs_shell
def test_python_that_is_too_old_or_absent_is_refused_in_one_line(tmp_path):
    python = fake_python(tmp_path, "oldpython", OLD)
    done = environment(tmp_path, "env", "test", PYTHON=str(python))
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "is Python 3.10: shapecluster needs 3.11 or newer" in done.stderr
    done = environment(tmp_path, "env", "test", PYTHON="no-such-python")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "no-such-python does not run" in done.stderr


@needs_shell
def test_another_name_is_tried_when_python3_is_too_old(tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    fake_python(tools, "python3", OLD)
    for tool in ("sh", "cat", "cksum", "rm", "ls", "mkdir"):
        (tools / tool).symlink_to(shutil.which(tool))
    done = environment(tmp_path, "env", "test", "-r", "nothing.txt", PATH=str(tools))
    assert "No Python 3.11 or newer on PATH" in done.stderr
    (tools / "python3.11").symlink_to(sys.executable)
    done = environment(tmp_path, "env", "test", "-r", "nothing.txt", PATH=str(tools))
    assert done.returncode == 0, done.stderr


@needs_shell
def test_a_second_run_installs_nothing_and_a_half_made_environment_is_redone(tmp_path):
    arguments = ("env", "test", "-r", "nothing.txt")
    python = {"PYTHON": sys.executable}
    first = environment(tmp_path, *arguments, **python)
    assert first.returncode == 0, first.stderr
    assert "Making env" in first.stdout
    assert environment(tmp_path, *arguments, **python).stdout == ""
    # An installation that failed leaves no stamp, and its environment is not trusted.
    failed = environment(tmp_path, "env", "demo", "-r", "absent.txt", **python)
    assert failed.returncode != 0
    assert "absent.txt" in failed.stderr
    again = environment(tmp_path, *arguments, **python)
    assert "Making env" in again.stdout
    assert "Installing into env" in again.stdout
    # A change of pyproject.toml installs again, into the same environment.
    (tmp_path / "pyproject.toml").write_text("# changed\n")
    changed = environment(tmp_path, *arguments, **python)
    assert "Making env" not in changed.stdout
    assert "Installing into env" in changed.stdout


@needs_shell
def test_a_folder_that_is_no_environment_is_left_alone(tmp_path):
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "thesis.txt").write_text("years of work")
    done = environment(tmp_path, "env", "test", PYTHON=sys.executable)
    assert done.returncode == 1
    assert "env exists and is no virtual environment" in done.stderr
    assert (tmp_path / "env" / "thesis.txt").read_text() == "years of work"
