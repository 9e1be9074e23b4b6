"""Atomic writes: a file gets its new content as a whole or keeps the old one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically, and create its folders."""

    def write(file: BinaryIO) -> None:
        file.write(data)

    write_atomically(path, write)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write indented JSON atomically."""
    write_bytes(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def write_atomically(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Replace a file by what `write` writes, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # One fixed name: the next attempt overwrites the file of a killed process.
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())  # else a crash can leave the new name with no content
    os.replace(temporary, path)
