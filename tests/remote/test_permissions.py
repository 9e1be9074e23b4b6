"""Policies are valid, complete for what this package calls, and no wider than said."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from shapecluster import remote
from shapecluster.remote._leftovers import _NOUNS
from shapecluster.remote.permissions import (
    REASONS,
    SERVICE,
    TABLE,
    Scope,
    caller_policy,
    execution_role_policy,
    trust_policy,
)
from tests.remote.fakes import ARN, ROLE

ACCOUNT = "123456789012"
PLAIN = Scope(ACCOUNT, "eu-west-1", ROLE)
FULL = Scope(
    ACCOUNT,
    "eu-west-1",
    ROLE,
    bucket="data",
    prefix="team/x",
    algorithm_arn=ARN,
    image_repository=f"arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/shapecluster",
    data_keys=(f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/data",),
    volume_keys=(f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/volume",),
    create_bucket=True,
    vpc=True,
)
POLICIES = [
    caller_policy(PLAIN),
    caller_policy(FULL),
    execution_role_policy(PLAIN),
    execution_role_policy(FULL),
]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_has_the_form_that_iam_takes(policy):
    assert policy["Version"] == "2012-10-17"
    sids = [statement["Sid"] for statement in policy["Statement"]]
    assert len(sids) == len(set(sids))
    for statement in policy["Statement"]:
        assert re.fullmatch(r"[A-Za-z0-9]+", statement["Sid"])
        assert statement["Effect"] == "Allow"
        assert statement["Action"] == sorted(set(statement["Action"]))
        assert all(re.fullmatch(r"[a-z0-9]+:[A-Za-z]+", action) for action in statement["Action"])
        assert statement["Resource"]
        for resource in statement["Resource"]:
            assert resource == "*" or re.fullmatch(r"arn:aws:[a-z0-9]+:[a-z0-9-]*:\d*:\S+", resource)
    assert len(json.dumps(policy, separators=(",", ":"))) <= 6144  # what a managed policy may have


@pytest.mark.parametrize("policy", POLICIES)
def test_nothing_is_allowed_on_everything_without_a_reason(policy):
    for statement in policy["Statement"]:
        assert not [action for action in statement["Action"] if "*" in action]
        if "*" in statement["Resource"]:
            assert set(statement["Action"]) <= set(REASONS)


def test_the_role_may_be_passed_to_sagemaker_only():
    (statement,) = [s for s in caller_policy(PLAIN)["Statement"] if "iam:PassRole" in s["Action"]]
    assert statement["Resource"] == [ROLE]
    assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": SERVICE}}
    assert trust_policy()["Statement"][0]["Principal"] == {"Service": SERVICE}


def operations_in_the_source() -> set[str]:
    """Every call of a service that is written in this package, outside rehearsals."""
    folder = Path(remote.__file__).parent
    text = "\n".join(path.read_text("utf-8") for path in folder.glob("*.py") if path.name != "permissions.py")
    found = set(
        re.findall(
            r"call\(\s*\"((?:sagemaker|sagemaker-runtime|s3|logs|sts|resourcegroupstaggingapi)\.[a-z_0-9]+)\"",
            text,
        )
    )
    found |= set(re.findall(r"\"((?:sagemaker|s3)\.[a-z_0-9]+)\", (?:request|\{|Endpoint|Training)", text))
    for noun in _NOUNS.values():
        found |= {f"sagemaker.{verb}_{noun}" for verb in ("create", "delete", "describe")}
    return found


def test_every_call_of_this_package_stands_in_the_table_once():
    operations = [permission.operation for permission in TABLE]
    assert len(operations) == len(set(operations))
    found = operations_in_the_source()
    assert {"sagemaker.create_training_job", "s3.head_bucket", "logs.get_log_events"} <= found
    assert found <= set(operations)
    # It stands for uploads, which boto3 cuts into parts.
    assert set(operations) - found <= {"s3.put_object"}


def test_every_line_names_a_page_of_aws_and_every_kind_has_an_arn():
    for permission in TABLE:
        assert permission.page.startswith("https://docs.aws.amazon.com/")
        for kind in permission.kinds:
            assert all(FULL._arns(kind))


def test_a_policy_for_some_calls_allows_those_only():
    policy = caller_policy(PLAIN, ["sagemaker.describe_training_job", "sts.get_caller_identity"])
    (statement,) = policy["Statement"]
    assert statement["Action"] == ["sagemaker:DescribeTrainingJob"]
    with pytest.raises(ValueError, match=r"operations of TABLE. Got \['s3.nonsense'\]"):
        caller_policy(PLAIN, ["s3.nonsense"])


def test_what_a_call_implies_is_allowed_with_it():
    policy = caller_policy(FULL, ["sagemaker.create_training_job", "s3.put_object"])
    actions = {action for statement in policy["Statement"] for action in statement["Action"]}
    assert {"iam:PassRole", "sagemaker:AddTags", "kms:CreateGrant", "kms:GenerateDataKey"} <= actions


def test_optional_rights_are_given_only_where_they_are_asked_for():
    plain = json.dumps(caller_policy(PLAIN))
    for word in ("CreateBucket", "kms:", "DescribeAlgorithm"):
        assert word not in plain
        assert word in json.dumps(caller_policy(FULL))
    plain = json.dumps(execution_role_policy(PLAIN))
    for word in ("ec2:", "ecr:", "kms:"):
        assert word not in plain
        assert word in json.dumps(execution_role_policy(FULL))


def test_data_is_within_reach_under_the_prefix_only():
    statements = caller_policy(FULL)["Statement"]
    (objects,) = [s for s in statements if "s3:PutObject" in s["Action"]]
    assert objects["Resource"] == ["arn:aws:s3:::data/team/x/*"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("account", "1234"), ("region", "Ireland"), ("role", "Execution"), ("role", "arn:aws:iam::1")],
)
def test_a_scope_is_checked(field, value):
    given = {"account": ACCOUNT, "region": "eu-west-1", "role": ROLE, field: value}
    with pytest.raises(ValueError, match=f"^{field} must be"):
        Scope(**given)
