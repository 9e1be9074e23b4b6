"""Check what was built, in an environment that holds the wheel and its required dependencies alone.

python -I check_wheel.py DIST
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
import tarfile
import zipfile
from pathlib import Path

# Brought by extras only; "not found" shows that no required dependency drags one in.
_OPTIONAL = [
    *("boto3", "botocore", "sagemaker", "waitress", "dask", "torch", "cupy", "tslearn"),
    *("yfinance", "pyarrow", "matplotlib", "plotly", "jinja2", "typer", "rich"),
]


def check_contents(dist: Path) -> None:
    """The wheel holds the package, its license and its type marker, and nothing else."""
    (wheel,) = dist.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "shapecluster/py.typed" in names, "py.typed is missing"
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names), "LICENSE is missing"
    stray = [n for n in names if not n.startswith(("shapecluster/", "shapecluster-"))]
    assert not stray, f"stray files in the wheel: {stray}"
    (archive,) = dist.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        inside = {name.partition("/")[2] for name in tar.getnames()}
    for needed in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "Makefile", "tests/conftest.py"):
        assert needed in inside, f"{needed} is missing from the source archive"
    print(f"{wheel.name}: {wheel.stat().st_size // 1024} KiB, {len(names)} files")


def check_import() -> None:
    """Every public name works without any extra."""
    for name in _OPTIONAL:
        assert importlib.util.find_spec(name) is None, f"{name} came with the required dependencies"
    import shapecluster

    assert "site-packages" in shapecluster.__file__, shapecluster.__file__
    for name in shapecluster.__all__:
        getattr(shapecluster, name)
    version = importlib.metadata.version("shapecluster")
    assert shapecluster.__version__ == version
    print(f"shapecluster {version}: {len(shapecluster.__all__)} public names")

    import numpy as np

    waves = np.sin(np.linspace(0, 6, 40)[None, :] * np.array([1.0, 1.1, 3.0, 3.1])[:, None])
    labels = shapecluster.LocalKShape(n_clusters=2, random_state=0).fit(waves).labels_
    assert labels[0] == labels[1] != labels[2] == labels[3], labels


if __name__ == "__main__":
    check_contents(Path(sys.argv[1]))
    check_import()
