"""Writing files at once or not at all, so that nobody ever reads half of one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file, and the folders that it needs."""

    def fill(file: BinaryIO) -> None:
        file.write(data)

    write_with(path, fill)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON that people can read."""
    write_bytes(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def write_with(path: Path, fill: Callable[[BinaryIO], None]) -> None:
    """Write what `fill` writes. What a process that was killed left behind is written over."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.part")
    with unfinished.open("wb") as file:
        fill(file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)
