"""The pages' examples run, the programs in examples/ run, and the reference lists every public name."""

from __future__ import annotations

import doctest
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import shapecluster

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.rst"))
PAGES = [p for p in PAGES if not {"_build", "generated", "_templates"} & set(p.parts)]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", [p for p in PAGES if ">>>" in p.read_text("utf-8")], ids=name)
def test_code_on_the_pages_runs_as_shown(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    outcome = doctest.testfile(str(page), module_relative=False, optionflags=flags, encoding="utf-8")
    assert outcome.attempted > 0
    assert outcome.failed == 0, "see the captured output"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_names_imported_on_the_pages_exist(page):
    for line in re.findall(r"^[ >]*(from shapecluster[\w.]* import [\w, ]+)$", page.read_text("utf-8"), re.M):
        exec(line, {})


@pytest.mark.parametrize("script", EXAMPLES, ids=name)
def test_examples_run_without_network_and_warnings(script, tmp_path):
    no_network = tmp_path / "blocked"
    no_network.mkdir()
    (no_network / "sitecustomize.py").write_text(
        "import socket\n"
        "def refuse(*args, **kwargs):\n"
        "    raise OSError('examples must not use the network')\n"
        "socket.socket.connect = socket.create_connection = refuse\n"
    )
    paths = os.pathsep.join([str(no_network), os.environ.get("PYTHONPATH", "")])
    # Deprecations are errors where they are ours; an old matplotlib may have its own.
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "default::DeprecationWarning", str(script)],
        cwd=tmp_path,
        env=os.environ | {"MPLBACKEND": "agg", "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert str(script) not in done.stderr
    assert str(Path(shapecluster.__file__).parent) not in done.stderr
    assert done.stdout
    for picture in re.findall(r'savefig\("([^"]+)"', script.read_text("utf-8")):
        assert (tmp_path / picture).stat().st_size > 1000


def test_the_examples_page_shows_every_example():
    page = (ROOT / "docs" / "examples.rst").read_text("utf-8")
    assert EXAMPLES
    for script in EXAMPLES:
        assert f"../examples/{script.name}" in page
        assert f"_build/examples/{script.stem}.txt" in page


def test_the_reference_has_a_page_for_every_package_with_public_names():
    """The pages list what stands in `__all__`; see docs/_templates/autosummary/module.rst."""
    from tests.test_public_api import MODULES, literal_all, public_objects

    listed = re.findall(r"^   (shapecluster\.[\w.]+)$", (ROOT / "docs" / "api.rst").read_text("utf-8"), re.M)
    assert len(listed) == len(set(listed))
    pages = {module.__name__: literal_all(module) or [] for module in MODULES if module.__name__ in listed}
    assert set(pages) == set(listed)
    shown = {
        id(getattr(importlib.import_module(page), name)) for page, names in pages.items() for name in names
    }
    # The command has a page of its own in the guide.
    missing = [
        path for path, value in public_objects().items() if id(value) not in shown and ".cli." not in path
    ]
    assert not missing


# The tables of the page on SageMaker

SAGEMAKER = (ROOT / "docs" / "guide" / "sagemaker.rst").read_text("utf-8")


def table(name: str) -> dict[str, list[str]]:
    """A list-table of the page by its name: first cell -> the others."""
    body = SAGEMAKER.partition(f"   :name: {name}\n")[2]
    lines = re.match(r"(?:   .*\n|\n(?=   ))*", body)[0]
    rows = [re.split(r"^     - ", row, flags=re.M) for row in re.split(r"^   \* - ", lines, flags=re.M)[2:]]
    return {first.strip().strip("`"): [" ".join(c.split()) for c in cells] for first, *cells in rows}


def test_the_page_says_where_every_parameter_of_k_shape_goes():
    from shapecluster import LocalKShape
    from shapecluster.cluster._local import FIT_PARAMETERS
    from shapecluster.remote._marketplace import Algorithm
    from shapecluster.sagemaker._algorithm import container_hyperparameters, listing_hyperparameters

    defaults = LocalKShape().get_params()
    arn = "arn:aws:sagemaker:eu-west-1:123456789012:algorithm/x"
    rows = table("kshape-parameters")
    assert list(rows) == [*FIT_PARAMETERS, "n_jobs", "verbose"]
    assert set(rows) == set(defaults)
    given = defaults | {"max_shift": 3, "random_state": 1}
    for name, (image, marketplace) in rows.items():
        assert (name in container_hyperparameters(given, None)) == image.startswith("hyperparameter")
        assert ("channel" in image) == (
            container_hyperparameters(given | {name: [[0.0]]}, None).get(name) == "channel"
        )
        listed = listing_hyperparameters(
            defaults | {name: given[name]}, defaults, Algorithm(arn, dict.fromkeys(["k", name]), {}), "X"
        )
        assert (name in listed or (name == "n_clusters" and "k" in listed)) == (marketplace != "stays here")
        bare = Algorithm(arn, {"k": None}, {})
        if marketplace.startswith("if listed"):
            with pytest.raises(ValueError, match=f"{name} of X must be at its default"):
                listing_hyperparameters(defaults | {name: "other"}, defaults, bare, "X")
        else:
            listing_hyperparameters(defaults | {name: 3}, defaults, bare, "X")


def test_the_page_says_where_every_parameter_of_k_means_goes():
    from shapecluster import SageMakerKMeans
    from shapecluster.sagemaker._base import TrainingJobEstimator
    from shapecluster.sagemaker._kmeans import _SENT

    rows = table("kmeans-parameters")
    about_the_job = {*TrainingJobEstimator._remote_constraints, "image_uri"}
    assert set(rows) == set(SageMakerKMeans().get_params()) - about_the_job
    assert set(rows) == {"n_clusters", "eval_metrics", *_SENT}
    assert all(aws.startswith("hyperparameter") for aws, _ in rows.values())


def test_the_page_has_every_setting_of_a_job_and_every_error():
    import dataclasses

    from shapecluster import exceptions
    from shapecluster.remote import Job

    fields = {field.name for field in dataclasses.fields(Job)}
    assert {name for key in table("job-settings") for name in key.replace("`", "").split(", ")} == fields
    errors = {
        name
        for name in exceptions.__all__
        if issubclass(getattr(exceptions, name), exceptions.RemoteError) and name != "RemoteError"
    }
    assert set(table("remote-errors")) == errors
