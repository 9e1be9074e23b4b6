"""Tags of everything that has an ARN."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.emulator.errors import invalid
from tests.emulator.wire import Caller

if TYPE_CHECKING:
    from tests.emulator.server import Emulator


def _of(emulator: Emulator, arn: str) -> dict[str, str]:
    if arn not in emulator.tags:
        raise invalid(f'Could not find resource "{arn}".')  # our wording
    return emulator.tags[arn]


def _listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def list_tags(emulator: Emulator, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
    return {"Tags": _listed(_of(emulator, request["ResourceArn"]))}


def add_tags(emulator: Emulator, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
    tags = _of(emulator, request["ResourceArn"])
    tags |= {tag["Key"]: tag["Value"] for tag in request["Tags"]}
    return {"Tags": _listed(tags)}


def delete_tags(emulator: Emulator, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
    tags = _of(emulator, request["ResourceArn"])
    for key in request["TagKeys"]:
        tags.pop(key, None)
    return {}
