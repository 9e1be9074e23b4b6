"""The Dockerfile and its pinned versions as text; `bash .ci/run image` executes it without Docker."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement

from shapecluster import container
from shapecluster.container import _kmeans, _kshape

FOLDER = Path(container.__file__).parent
ROOT = Path(__file__).resolve().parents[2]
TEXT = (FOLDER / "Dockerfile").read_text("utf-8")


def reader() -> ModuleType:
    """The program that executes the Dockerfile in CI, whose parser is used here too."""
    spec = importlib.util.spec_from_file_location("check_image", ROOT / ".ci" / "check_image.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["check_image"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


check_image = reader()
instructions = check_image.instructions
INSTRUCTIONS = instructions(TEXT)


def of(name: str) -> list[str]:
    return [value for found, value in INSTRUCTIONS if found == name]


def pins() -> dict[str, Requirement]:
    lines = (FOLDER / "constraints.txt").read_text("utf-8").splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {requirement.name: requirement for requirement in found}


def test_the_reader_joins_lines_and_leaves_comments_out():
    text = "# hello\nFROM a:1\nRUN one \\\n  # why\n    two\n\nUSER 1"
    assert instructions(text) == [("FROM", "a:1"), ("RUN", "one two"), ("USER", "1")]


def test_every_instruction_is_executed_in_ci():
    known = {name.removeprefix("do_").upper() for name in dir(check_image.Image) if name.startswith("do_")}
    assert {name for name, _ in INSTRUCTIONS} == known | check_image._IGNORED


def test_the_base_image_is_a_version():
    (base,) = of("FROM")
    name, _, tag = base.partition(":")
    assert (name, tag.split("-")[0].count(".")) == ("python", 1)
    assert "latest" not in base
    version = tuple(map(int, tag.split("-")[0].split(".")))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert f"Programming Language :: Python :: {version[0]}.{version[1]}" in project["classifiers"]


def test_the_program_is_the_entry_point_and_gets_signals_itself():
    (entry,) = of("ENTRYPOINT")
    assert json.loads(entry) == ["python", "-m", "shapecluster.container"]
    assert not of("CMD")  # the platform says train or serve


def test_nothing_is_installed_but_our_wheel_at_pinned_versions():
    (run,) = of("RUN")
    assert run.startswith("set -eu")
    assert "--constraint constraints.txt" in run
    assert "[container]" in run
    assert "--no-cache-dir" in run
    for word in ("sudo", "apt", "curl", "wget", "http", "--index-url", "--trusted-host"):
        assert word not in run
    (copied,) = of("COPY")
    assert copied.split() == ["constraints.txt", "shapecluster-*.whl", "./"]
    assert not of("ADD")


def test_the_folder_to_work_in_is_absolute():
    assert all(folder.startswith("/") for folder in of("WORKDIR"))
    names = [name for name, _ in INSTRUCTIONS]
    assert names.index("WORKDIR") < names.index("COPY") < names.index("RUN")


def test_the_reason_to_run_as_root_is_documented():
    assert not of("USER")
    assert re.search(r"# No USER: SageMaker asks that images run as root", TEXT)


def test_the_platform_may_choose_the_port():
    assert "com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true" in of("LABEL")
    assert of("EXPOSE") == ["8080"]


def test_no_secret_and_no_path_of_a_machine():
    for word in ("AWS_", "TOKEN", "PASSWORD", "/root", "/home"):
        assert word not in TEXT


def test_pins_are_exact_and_within_what_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [Requirement(r) for r in project["dependencies"] + project["optional-dependencies"]["container"]]
    found = pins()
    for requirement in wanted:
        (pin,) = found[requirement.name].specifier
        assert pin.operator == "=="
        assert requirement.specifier.contains(pin.version), requirement
    assert list(found) == sorted(found)


def test_dependencies_of_dependencies_are_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    waiting = [
        Requirement(r) for r in project["dependencies"] + project["optional-dependencies"]["container"]
    ]
    seen: set[str] = set()
    while waiting:
        requirement = waiting.pop()
        if requirement.name in seen:
            continue
        seen.add(requirement.name)
        try:
            pinned = pins().get(requirement.name)
            if pinned is not None and version(requirement.name) not in pinned.specifier:
                continue  # another release may need other packages than the pinned one
            needed = [Requirement(r) for r in requires(requirement.name) or []]
        except PackageNotFoundError:
            pytest.fail(f"{requirement.name} is not installed here: the list cannot be checked")
        linux = {"extra": "", "sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
        waiting += [r for r in needed if r.marker is None or r.marker.evaluate(linux)]
    assert seen <= set(pins())


def test_make_builds_from_these_files():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    recipe = makefile.partition("\nimage:")[2].partition("\n\n")[0]
    for file in ("Dockerfile", "constraints.txt"):
        assert str((FOLDER / file).relative_to(FOLDER.parents[1])) in recipe
    assert "build --wheel" in recipe


@pytest.mark.parametrize("program", [_kshape, _kmeans])
def test_the_guide_lists_every_hyperparameter(program):
    page = (ROOT / "docs" / "guide" / "container.rst").read_text("utf-8")
    names = set(re.findall(r"`([a-z_]+)`", "\n".join(re.findall(r"^   \* - (.*)$", page, re.MULTILINE))))
    assert set(program.HYPERPARAMETERS) <= names
    assert names <= set(_kshape.HYPERPARAMETERS) | set(_kmeans.HYPERPARAMETERS)


@pytest.mark.skipif(os.name != "posix", reason="the guide's commands are for a POSIX shell")
def test_the_job_of_the_guide_trains(tmp_path):
    page = (ROOT / "docs" / "guide" / "container.rst").read_text("utf-8")
    (block,) = re.findall(r"^   mkdir -p job/input.*?(?=^\S)", page, re.DOTALL | re.MULTILINE)
    commands = "set -eu\n" + block.replace("python -m", f"'{sys.executable}' -m")
    done = subprocess.run(["sh", "-c", commands], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 2  # the centroids


def test_the_guide_says_that_the_image_was_never_built():
    assert "image itself was never built" in (ROOT / "docs" / "guide" / "container.rst").read_text("utf-8")
