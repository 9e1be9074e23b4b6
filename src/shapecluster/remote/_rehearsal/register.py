"""Calls that only store and return requests: create, describe, list, delete, tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shapecluster.remote._errors import from_code
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
    return {f"sagemaker.{verb}_{noun}": call for verb, call in calls.items()} | list_call(
        records, noun, title
    )


def list_call(records: Records, noun: str, title: str) -> dict[str, Call]:
    """The call that lists all resources of a kind."""
    heading = "ModelPackageSummaryList" if noun == "model_package" else f"{title}s"

    def list_all(NameContains: str = "", **_: Any) -> dict[str, Any]:
        operation = f"sagemaker.list_{noun}s"
        rows = [
            {
                f"{title}Name": name,
                f"{title}Arn": arn(records.kind, name),
                "CreationTime": utc_datetime(records.read(name, operation)["created"]),
            }
            for name in records.names()
            if NameContains in name
        ]
        return {heading: rows}

    return {f"sagemaker.list_{noun}s": list_all}


def list_tags_call(all_records: Sequence[Records]) -> dict[str, Call]:
    """The call that returns the tags of a resource."""

    def list_tags(ResourceArn: str, **_: Any) -> dict[str, Any]:
        kind, name = ResourceArn.rpartition(":")[2].split("/", 1)
        for records in all_records:
            if records.kind == kind:
                known = records.read(name, "sagemaker.list_tags")
                return {"Tags": known["request"].get("Tags", [])}
        raise from_code("ValidationException", f"Invalid ARN: {ResourceArn}", "sagemaker.list_tags")

    return {"sagemaker.list_tags": list_tags}


def _name(name_or_arn: str) -> str:
    return name_or_arn.rpartition("/")[2]
