"""Stored resources: jobs, models, configurations, packages; each has a folder."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shapecluster.remote._errors import from_code
from shapecluster.remote._rehearsal.folders import create_exclusive, read_json, write_json

ACCOUNT = "000000000000"
REGION = "rehearsal"

Call = Callable[..., dict[str, Any]]
"""One call of a service: boto3's arguments in, boto3's answer out."""


def arn(kind: str, name: str) -> str:
    """The ARN of a resource."""
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind}/{name}"


def utc_datetime(seconds: float) -> datetime:
    """A time as boto3 returns it."""
    return datetime.fromtimestamp(seconds, UTC)


class Records:
    """All resources of one kind.

    Parameters
    ----------
    folder : Path
        Folder of the rehearsal, with one folder for each kind.
    kind : str
        The kind as in ARNs, such as "endpoint-config".
    title : str
        The kind as in messages, such as "endpoint configuration".
    """

    def __init__(self, folder: Path, kind: str, title: str) -> None:
        self.folder = folder / kind
        self.kind = kind
        self.title = title

    def folder_of(self, name: str, operation: str) -> Path:
        """The folder of a resource; raises for a name that SageMaker does not allow."""
        # Checked before any path is made of it: a name such as "../x" would leave the folder.
        if not re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", name):
            raise from_code(
                "ValidationException",
                f"Value '{name}' at '{self.kind}Name' failed to satisfy constraint: Member must satisfy "
                "regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}",
                operation,
            )
        return self.folder / name

    def create(self, name: str, request: dict[str, Any], operation: str, **more: Any) -> Path:
        """Store a new resource."""
        folder = self.folder_of(name, operation)
        if not create_exclusive(folder):
            raise self.name_taken_error(name, operation)
        write_json(folder / "record.json", {"request": request, "created": time.time(), **more})
        return folder

    def name_taken_error(self, name: str, operation: str) -> Exception:
        """The error for a name that is in use."""
        text = f'Cannot create already existing {self.title} "{arn(self.kind, name)}".'
        return from_code("ValidationException", text, operation, status=400)

    def read(self, name: str, operation: str) -> dict[str, Any]:
        """The record of a resource."""
        try:
            record: dict[str, Any] = read_json(self.folder_of(name, operation) / "record.json")
        except FileNotFoundError:
            pass
        else:
            return record
        raise self.not_found_error(name, operation)

    def not_found_error(self, name: str, operation: str) -> Exception:
        """The error for a resource that does not exist."""
        text = f'Could not find {self.title} "{arn(self.kind, name)}".'
        return from_code("ValidationException", text, operation, status=400)

    def delete(self, name: str, operation: str) -> None:
        """Delete a resource."""
        import shutil

        self.read(name, operation)
        shutil.rmtree(self.folder_of(name, operation))

    def names(self) -> list[str]:
        """All names, the oldest resource first."""
        known = []
        for path in self.folder.glob("*/record.json"):
            try:
                known.append((read_json(path)["created"], path.parent.name))
            except FileNotFoundError:
                continue  # removed meanwhile
        return [name for _, name in sorted(known)]
