"""Print the lowest versions of our direct dependencies that pyproject.toml allows, as pins for pip.

    python .ci/lowest.py market test > lowest.txt

prints the required dependencies and those of the named extras, and of our own extras that these name.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

_REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?P<extras>\[[^\]]*\])?\s*(?P<versions>[^;]*)(?P<marker>;.*)?"
)


def lowest(project: dict, extras: list[str]) -> list[str]:
    """Return the pins for `[project]` of a pyproject.toml, each dependency once."""
    pins: dict[str, str] = {}
    seen: set[str] = set()
    waiting = list(extras)
    requirements = list(project["dependencies"])
    while requirements or waiting:
        if not requirements:
            extra = waiting.pop()
            if extra not in seen:
                seen.add(extra)
                requirements = list(project["optional-dependencies"][extra])
            continue
        match = _REQUIREMENT.fullmatch(requirements.pop().strip())
        if match["name"] == project["name"]:
            waiting += match["extras"].strip("[]").split(",")
            continue
        bound = re.search(r">=\s*([0-9][0-9a-z.]*)", match["versions"])
        if bound is None:
            sys.exit(f"lowest.py: {match['name']} has no lower bound (>=) in pyproject.toml")
        name = match["name"] + (match["extras"] or "")
        pin = f"{name}=={bound[1]}"
        if pins.setdefault(name, pin) != pin:
            sys.exit(f"lowest.py: two lower bounds for {name} in pyproject.toml: {pins[name]} and {pin}")
    return sorted(pins.values())


if __name__ == "__main__":
    path = Path(__file__).resolve().parents[1] / "pyproject.toml"
    print("\n".join(lowest(tomllib.loads(path.read_text("utf-8"))["project"], sys.argv[1:])))
