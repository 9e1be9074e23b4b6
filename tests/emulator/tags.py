"""Tags of everything that has an ARN, and the search by tag, whose index is late to forget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.emulator.errors import ServiceError, invalid
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


def forget(emulator: Emulator, arn: str) -> None:
    """A resource is gone; the index of tags has it for good, as the service's has it for a while."""
    emulator.gone_tags[arn] = emulator.tags.pop(arn, {})


def get_resources(emulator: Emulator, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
    """GetResources of the Resource Groups Tagging API: existing resources and earlier ones, in no order."""
    unknown = request.keys() - {"TagFilters", "ResourceTypeFilters", "ResourcesPerPage", "PaginationToken"}
    if unknown:
        raise ServiceError("InvalidParameterException", f"the emulator does not know {sorted(unknown)}")
    types = [kind.split(":") for kind in request.get("ResourceTypeFilters", [])]
    found = []
    for arn, tags in sorted((emulator.tags | emulator.gone_tags).items(), key=lambda item: item[0][::-1]):
        _, _, service, region, _, resource = arn.split(":", 5)
        wanted = any([service, resource.partition("/")[0]][: len(kind)] == kind for kind in types)
        if region != caller.region or (types and not wanted):
            continue
        if all(
            one["Key"] in tags and tags[one["Key"]] in (one.get("Values") or [tags[one["Key"]]])
            for one in request.get("TagFilters", [])
        ):
            found.append({"ResourceARN": arn, "Tags": _listed(tags)})
    start, size = int(request.get("PaginationToken") or 0), request.get("ResourcesPerPage", 50)
    more = str(start + size) if start + size < len(found) else ""
    return {"ResourceTagMappingList": found[start : start + size], "PaginationToken": more}
