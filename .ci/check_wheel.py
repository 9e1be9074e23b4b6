"""Check the built archives, in an environment with only the wheel and its required dependencies.

python -I check_wheel.py DIST
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
import tarfile
import zipfile
from pathlib import Path

# Only extras install these: a required dependency that needed one of them would be found out here.
_OPTIONAL = [
    *("boto3", "botocore", "sagemaker", "waitress", "faiss", "tslearn"),
    *("yfinance", "pyarrow", "platformdirs", "matplotlib", "jinja2", "typer", "rich"),
]


def check_contents(dist: Path) -> None:
    """Check that the wheel holds only the package, its license and its type marker."""
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
    """Check that every public name can be imported without any extra."""
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
