"""Calls that only store and return requests: create, describe, delete, search by tag."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shapecluster.remote._rehearsal.records import Call, Records, arn, utc_datetime


def crud_calls(records: Records, noun: str, title: str) -> dict[str, Call]:
    """The calls for models, configurations and packages.

    Parameters
    ----------
    records : Records
        The store.
    noun : str
        The kind as in operations, such as "endpoint_config".
    title : str
        The kind as in requests, such as "EndpointConfig".
    """

    def create(**request: Any) -> dict[str, Any]:
        name = request[f"{title}Name"]
        records.create(name, request, f"sagemaker.create_{noun}")
        return {f"{title}Arn": arn(records.kind, name)}

    def describe(**request: Any) -> dict[str, Any]:
        name = _name(request[f"{title}Name"])
        record = records.read(name, f"sagemaker.describe_{noun}")
        answer = {key: value for key, value in record["request"].items() if key != "Tags"}
        if noun == "model_package":
            answer |= {"ModelPackageStatus": "Completed", "ModelPackageStatusDetails": {}}
        return answer | {
            f"{title}Arn": arn(records.kind, name),
            "CreationTime": utc_datetime(record["created"]),
        }

    def delete(**request: Any) -> dict[str, Any]:
        records.delete(_name(request[f"{title}Name"]), f"sagemaker.delete_{noun}")
        return {}

    calls = {"create": create, "describe": describe, "delete": delete}
    return {f"sagemaker.{verb}_{noun}": call for verb, call in calls.items()}


def search_call(all_records: Sequence[Records]) -> dict[str, Call]:
    """The call that finds resources by the keys of their tags."""

    def get_resources(
        TagFilters: Sequence[dict[str, Any]], ResourceTypeFilters: Sequence[str], **_: Any
    ) -> dict[str, Any]:
        wanted = {one["Key"] for one in TagFilters}
        operation = "resourcegroupstaggingapi.get_resources"
        found = []
        for records in all_records:
            if f"sagemaker:{records.kind}" in ResourceTypeFilters:
                for name in records.names():
                    tags = records.read(name, operation)["request"].get("Tags", [])
                    if wanted <= {tag["Key"] for tag in tags}:
                        found.append({"ResourceARN": arn(records.kind, name), "Tags": tags})
        return {"ResourceTagMappingList": found, "PaginationToken": ""}

    return {"resourcegroupstaggingapi.get_resources": get_resources}


def _name(name_or_arn: str) -> str:
    return name_or_arn.rpartition("/")[2]
