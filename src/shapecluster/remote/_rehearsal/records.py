"""Stored resources: jobs, models, configurations, packages; each has a folder."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shapecluster.remote._rehearsal.objects import Store
from shapecluster.remote._rehearsal.supervisor import read_json, write_json

ACCOUNT = "000000000000"
REGION = "rehearsal"

Call = Callable[..., dict[str, Any]]
"""One call of a service: boto3's arguments in, boto3's answer out."""


class Refusal(Exception):
    """The refusal of a call, which `Rehearsal.call` translates like one of AWS."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def with_times(answer: Mapping[str, Any]) -> dict[str, Any]:
    """An answer whose times are those of boto3, and not seconds since 1970."""
    return {
        name: datetime.fromtimestamp(value, UTC) if name.endswith("Time") else value
        for name, value in answer.items()
    }


def described(state: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The members of a stored state by the names that the service gives them."""
    return with_times({names[name]: value for name, value in state.items() if name in names})


class Records:
    """All resources of one kind.

    Parameters
    ----------
    store : Store
        The rehearsal.
    kind : str
        The kind as in ARNs, such as "endpoint-config".
    """

    last_verb = "delete"  # in the name of the call that ends a resource

    def __init__(self, store: Store, kind: str) -> None:
        self.folder = store.path / "sagemaker" / kind
        self.kind = kind
        self.title = kind.title().replace("-", "")  # as in requests

    def arn(self, name: str) -> str:
        """The ARN of a resource."""
        return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{self.kind}/{name}"

    def folder_of(self, name: str) -> Path:
        """The folder of a resource; raises for a name that SageMaker does not allow."""
        # Checked before any path is made of it: a name such as "../x" would leave the folder.
        pattern = "[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
        if not re.fullmatch(pattern, name):
            raise Refusal(
                "ValidationException",
                f"Value '{name}' at '{self.kind}Name' failed to satisfy constraint: Member must satisfy "
                f"regular expression pattern: {pattern}",
            )
        return self.folder / name

    def claim(self, name: str) -> Path:
        """Create the folder of a new resource, which exists for others once it has a record."""
        folder = self.folder_of(name)
        folder.parent.mkdir(parents=True, exist_ok=True)
        # mkdir is atomic: of two processes that create the same name, one gets the error.
        try:
            folder.mkdir()
        except FileExistsError:
            raise self._taken(name) from None
        return folder

    def write(self, folder: Path, request: dict[str, Any]) -> None:
        """Write the record of a resource."""
        write_json(folder / "record.json", {"request": request, "created": time.time()})

    def read(self, name: str) -> dict[str, Any]:
        """The record of a resource."""
        try:
            record: dict[str, Any] = read_json(self.folder_of(name) / "record.json")
        except FileNotFoundError:
            text = f'Could not find {self.kind} "{self.arn(name)}".'
            raise Refusal("ValidationException", text) from None
        return record

    def create(self, request: dict[str, Any]) -> None:
        """Create a resource; here it is only stored."""
        self.write(self.claim(request[f"{self.title}Name"]), request)

    def describe(self, name: str) -> dict[str, Any]:
        """The request that created a resource, its ARN and the time."""
        record = self.read(name)
        described = {key: value for key, value in record["request"].items() if key != "Tags"}
        return with_times(described | {f"{self.title}Arn": self.arn(name), "CreationTime": record["created"]})

    def end(self, name: str) -> None:
        """Delete a resource."""
        self.read(name)
        shutil.rmtree(self.folder_of(name))

    def names(self) -> list[str]:
        """All names, the oldest resource first."""
        known = []
        for path in self.folder.glob("*/record.json"):
            try:
                known.append((read_json(path)["created"], path.parent.name))
            except FileNotFoundError:
                continue  # removed meanwhile
        return [name for _, name in sorted(known)]

    def calls(self, **more: Any) -> dict[str, Call]:
        """The calls that create, describe and end a resource; `more` is added to its description."""
        member, noun = f"{self.title}Name", self.kind.replace("-", "_")

        def create(**request: Any) -> dict[str, Any]:
            self.create(request)
            return {f"{self.title}Arn": self.arn(request[member])}

        def describe(**request: Any) -> dict[str, Any]:
            return self.describe(_name(request[member])) | more

        def end(**request: Any) -> dict[str, Any]:
            self.end(_name(request[member]))
            return {}

        calls = {"create": create, "describe": describe, self.last_verb: end}
        return {f"sagemaker.{verb}_{noun}": call for verb, call in calls.items()}

    def _taken(self, name: str) -> Refusal:
        if not self.kind.endswith("-job"):
            text = f'Cannot create already existing {self.kind} "{self.arn(name)}".'
            return Refusal("ValidationException", text)
        title = self.kind.replace("-", " ")
        return Refusal(
            "ResourceInUse",
            f"{title.capitalize()} names must be unique within an AWS account and region, and a {title} with "
            f"this name already exists ({self.arn(name)})",
        )


def search(all_records: Iterable[Records], request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of GetResources: resources with tags of these keys."""
    keys = {one["Key"] for one in request["TagFilters"]}
    found = []
    for records in all_records:
        if f"sagemaker:{records.kind}" in request["ResourceTypeFilters"]:
            for name in records.names():
                tags = records.read(name)["request"].get("Tags", [])
                if keys <= {tag["Key"] for tag in tags}:
                    found.append({"ResourceARN": records.arn(name), "Tags": tags})
    return {"ResourceTagMappingList": found, "PaginationToken": ""}


def _name(name_or_arn: str) -> str:
    return name_or_arn.rpartition("/")[2] if name_or_arn.startswith("arn:") else name_or_arn
