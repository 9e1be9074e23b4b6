"""IAM policies with the permissions that this package needs, and no others.

Two identities need permissions. The *caller* is the identity of the session's credentials. The *execution
role* is the role under which a job reads data and writes models. `TABLE` has a line for each call of this
package: the IAM action, its resources, further actions that it implies, and the page of AWS that says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from shapecluster.remote._errors import action_of

__all__ = [
    "REASONS",
    "TABLE",
    "Permission",
    "Scope",
    "caller_policy",
    "execution_role_policy",
    "trust_policy",
]

SERVICE = "sagemaker.amazonaws.com"

_NETWORK = [
    *("CreateNetworkInterface", "CreateNetworkInterfacePermission", "DeleteNetworkInterface"),
    *("DeleteNetworkInterfacePermission", "DescribeNetworkInterfaces", "DescribeVpcs"),
    *("DescribeDhcpOptions", "DescribeSubnets", "DescribeSecurityGroups"),
]

REASONS = {
    "tag:GetResources": "A search by tag acts on no particular resource.",
    "cloudwatch:PutMetricData": "Metrics have no ARN.",
    "ecr:GetAuthorizationToken": "The token is for the whole registry.",
    **dict.fromkeys(
        [f"ec2:{action}" for action in _NETWORK],
        "The interfaces are not there yet when the policy is written, and describing has no ARN.",
    ),
}
"""Why an action is allowed on the resource ``*``."""


@dataclass(frozen=True)
class Permission:
    """The permissions that one call needs.

    Attributes
    ----------
    operation : str
        The call: "sagemaker.create_model".
    action : str
        The IAM action; "" where none is needed.
    kinds : tuple of str
        Kinds of resources that it acts on, all of which must be allowed.
    implies : tuple of str
        Further actions that it needs: "sagemaker:AddTags", "iam:PassRole".
    page : str
        The page of AWS that says so.
    """

    operation: str
    action: str
    kinds: tuple[str, ...]
    implies: tuple[str, ...]
    page: str


_PAGES = {
    "sts": "awssecuritytokenservice",
    "s3": "amazons3",
    "logs": "amazoncloudwatchlogs",
    "resourcegroupstaggingapi": "amazonresourcegrouptaggingapi",
    "sagemaker": "amazonsagemaker",
    "sagemaker-runtime": "amazonsagemaker",
}

# Operation, kinds of resources, implied actions.
_CALLS: tuple[tuple[str, str, str], ...] = (
    ("sts.get_caller_identity", "", ""),
    ("s3.head_bucket", "bucket", ""),
    ("s3.create_bucket", "new-bucket", ""),
    ("s3.put_public_access_block", "new-bucket", ""),
    ("s3.list_objects_v2", "bucket", ""),
    # Without s3:ListBucket a missing file is "forbidden", and not "not found".
    ("s3.head_object", "objects", "s3:ListBucket"),
    ("s3.get_object", "objects", "s3:ListBucket"),
    # Large files are uploaded in parts; after a failure the parts are removed.
    ("s3.put_object", "objects", "s3:AbortMultipartUpload"),
    ("s3.delete_object", "objects", ""),
    ("logs.describe_log_streams", "log-group", ""),
    ("logs.get_log_events", "log-stream", ""),
    ("sagemaker.describe_algorithm", "algorithm", ""),
    ("sagemaker.create_training_job", "training-job", "sagemaker:AddTags iam:PassRole"),
    ("sagemaker.describe_training_job", "training-job", ""),
    ("sagemaker.stop_training_job", "training-job", ""),
    ("sagemaker.create_transform_job", "transform-job", "sagemaker:AddTags"),
    ("sagemaker.describe_transform_job", "transform-job", ""),
    ("sagemaker.stop_transform_job", "transform-job", ""),
    ("sagemaker.create_model_package", "model-package", "sagemaker:AddTags"),
    ("sagemaker.describe_model_package", "model-package", ""),
    ("sagemaker.delete_model_package", "model-package", ""),
    ("sagemaker.create_model", "model", "sagemaker:AddTags iam:PassRole"),
    ("sagemaker.describe_model", "model", ""),
    ("sagemaker.delete_model", "model", ""),
    ("sagemaker.create_endpoint_config", "endpoint-config", "sagemaker:AddTags"),
    ("sagemaker.describe_endpoint_config", "endpoint-config", ""),
    ("sagemaker.delete_endpoint_config", "endpoint-config", ""),
    ("sagemaker.create_endpoint", "endpoint endpoint-config", "sagemaker:AddTags"),
    ("sagemaker.describe_endpoint", "endpoint", ""),
    ("sagemaker.delete_endpoint", "endpoint", ""),
    ("sagemaker-runtime.invoke_endpoint", "endpoint", ""),
    ("resourcegroupstaggingapi.get_resources", "*", ""),
)

TABLE: tuple[Permission, ...] = tuple(
    Permission(
        operation,
        action_of(operation) if kinds else "",  # who asks for the own identity needs no permission
        tuple(kinds.split()),
        tuple(implied.split()),
        "https://docs.aws.amazon.com/service-authorization/latest/reference/"
        f"list_{_PAGES[operation.partition('.')[0]]}.html",
    )
    for operation, kinds, implied in _CALLS
)
"""The permissions of every call of this package."""

_VOLUMES = {f"sagemaker.create_{noun}" for noun in ("training_job", "transform_job", "endpoint_config")}


@dataclass(frozen=True)
class Scope:
    """The account, region, role and resources that a policy is written for.

    Parameters
    ----------
    account : str
        Number of the account.
    region : str
        Name of the region.
    role : str
        ARN of the execution role.
    bucket : str or None, default=None
        As in `Job`; None means ``sagemaker-<region>-<account>``.
    prefix : str, default="shapecluster"
        As in `Job`.
    names : str, default="shapecluster*"
        Pattern of the names of jobs, models and endpoints. Endpoints with names of your own need another.
    algorithm_arn : str or None, default=None
        The Marketplace algorithm, if there is one.
    image_repository : str or None, default=None
        ARN of the repository that holds an image of your own.
    data_keys, volume_keys : tuple of str, default=()
        ARNs of the keys for stored data and for disks.
    create_bucket : bool, default=False
        Whether the caller may create the bucket.
    vpc : bool, default=False
        Whether jobs run in a VPC.
    partition : str, default="aws"
        "aws-cn" in China, "aws-us-gov" in GovCloud.

    Examples
    --------
    >>> from shapecluster.remote.permissions import Scope
    >>> scope = Scope("123456789012", "eu-west-1", "arn:aws:iam::123456789012:role/Execution")
    >>> scope.bucket_name
    'sagemaker-eu-west-1-123456789012'
    """

    account: str
    region: str
    role: str
    bucket: str | None = None
    prefix: str = "shapecluster"
    names: str = "shapecluster*"
    algorithm_arn: str | None = None
    image_repository: str | None = None
    data_keys: tuple[str, ...] = ()
    volume_keys: tuple[str, ...] = ()
    create_bucket: bool = False
    vpc: bool = False
    partition: str = "aws"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\d{12}", self.account):
            raise ValueError(f"account must be a number of 12 digits. Got {self.account!r} instead.")
        if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d", self.region):
            raise ValueError(f"region must be a name such as 'eu-west-1'. Got {self.region!r} instead.")
        if not re.fullmatch(r"arn:[a-z-]+:iam::\d{12}:role/\S+", self.role):
            raise ValueError(f"role must be the ARN of a role. Got {self.role!r} instead.")

    @property
    def bucket_name(self) -> str:
        """The bucket, also where it is the default."""
        return self.bucket or f"sagemaker-{self.region}-{self.account}"

    def _arns(self, kind: str) -> list[str]:
        """ARNs of a kind of resource in the table."""
        bucket = f"arn:{self.partition}:s3:::{self.bucket_name}"
        logs = f"arn:{self.partition}:logs:{self.region}:{self.account}:log-group:/aws/sagemaker"
        places = {
            "*": "*",
            "bucket": bucket,
            "new-bucket": bucket,
            "objects": f"{bucket}/{self.prefix}/*",
            "algorithm": self.algorithm_arn or "",
            "role": self.role,
        }
        if kind in places:
            return [places[kind]]
        if kind.startswith("log-"):
            streams = {"log-group": ":log-stream:", "log-stream": f":log-stream:{self.names}"}[kind]
            return [f"{logs}/{group}{streams}" for group in ("TrainingJobs", "TransformJobs")]
        return [f"arn:{self.partition}:sagemaker:{self.region}:{self.account}:{kind}/{self.names}"]


def caller_policy(scope: Scope, calls: Iterable[str] | None = None) -> dict[str, Any]:
    """Write the policy for the identity that calls AWS: the user who runs `fit`.

    Parameters
    ----------
    scope : Scope
        Account, region, bucket, role, ...
    calls : iterable of str, default=None
        Operations to allow, such as ``"sagemaker.create_training_job"``. None means all of `TABLE`.

    Returns
    -------
    dict
        A policy document, ready for JSON.

    Raises
    ------
    ValueError
        For an operation that `TABLE` does not have.

    Examples
    --------
    >>> from shapecluster.remote.permissions import Scope, caller_policy
    >>> scope = Scope("123456789012", "eu-west-1", "arn:aws:iam::123456789012:role/Execution")
    >>> policy = caller_policy(scope, ["sagemaker.describe_training_job"])
    >>> policy["Statement"][0]["Resource"]
    ['arn:aws:sagemaker:eu-west-1:123456789012:training-job/shapecluster*']
    """
    known = {permission.operation: permission for permission in TABLE}
    wanted = set(known) if calls is None else set(calls)
    if unknown := sorted(wanted - set(known)):
        raise ValueError(f"calls must be operations of TABLE. Got {unknown} instead.")
    if calls is None and not scope.create_bucket:
        wanted -= {"s3.create_bucket", "s3.put_public_access_block"}
    if scope.algorithm_arn is None:
        wanted.discard("sagemaker.describe_algorithm")
    actions: dict[str, set[str]] = {}
    for permission in (p for p in TABLE if p.operation in wanted and p.action):
        for kind in permission.kinds:
            actions.setdefault(kind, set()).add(permission.action)
        for implied in permission.implies:
            kind = {"iam:PassRole": "role", "s3:ListBucket": "bucket"}.get(implied, permission.kinds[0])
            actions.setdefault(kind, set()).add(implied)
    statements = []
    for kind, found in actions.items():
        sid = "".join(word.capitalize() for word in kind.replace("*", "search").split("-"))
        statements += _statement(sid, found, scope._arns(kind))
        if kind == "role":
            statements[-1]["Condition"] = {"StringEquals": {"iam:PassedToService": SERVICE}}
    if wanted & {"s3.put_object", "s3.get_object"}:
        statements += _data_keys(scope)  # of both actions, since a file may be uploaded in parts
    if wanted & _VOLUMES:
        statements += _volume_keys(scope)
    return _document(statements)


def execution_role_policy(scope: Scope) -> dict[str, Any]:
    """Write the policy for the role that jobs run under. It was never tested on AWS.

    Parameters
    ----------
    scope : Scope
        Account, region, bucket, ...

    Returns
    -------
    dict
        A policy document, ready for JSON.

    Notes
    -----
    After https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html. Images of built-in algorithms
    and of the Marketplace are fetched by the service, and need no permission.

    Examples
    --------
    >>> from shapecluster.remote.permissions import Scope, execution_role_policy
    >>> scope = Scope("123456789012", "eu-west-1", "arn:aws:iam::123456789012:role/Execution")
    >>> [statement["Sid"] for statement in execution_role_policy(scope)["Statement"]]
    ['Objects', 'Bucket', 'Logs', 'Metrics']
    """
    logs = f"arn:{scope.partition}:logs:{scope.region}:{scope.account}:log-group:/aws/sagemaker/*"
    write_logs = ["CreateLogGroup", "CreateLogStream", "DescribeLogStreams", "PutLogEvents"]
    layers = ["BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer"]
    images = [scope.image_repository] if scope.image_repository is not None else []
    return _document(
        [
            *_statement("Objects", ["s3:GetObject", "s3:PutObject"], scope._arns("objects")),
            *_statement("Bucket", ["s3:ListBucket"], scope._arns("bucket")),
            *_statement("Logs", [f"logs:{action}" for action in write_logs], [logs]),
            *_statement("Metrics", ["cloudwatch:PutMetricData"], ["*"]),
            *_statement("Image", [f"ecr:{action}" for action in layers], images),
            *_statement("Registry", ["ecr:GetAuthorizationToken"], ["*"] if images else []),
            *_statement("Network", [f"ec2:{action}" for action in _NETWORK], ["*"] if scope.vpc else []),
            *_data_keys(scope),
            *_volume_keys(scope),
        ]
    )


def trust_policy() -> dict[str, Any]:
    """Write the trust policy of the execution role: only SageMaker may assume it.

    Returns
    -------
    dict
        A policy document, ready for JSON.

    Examples
    --------
    >>> from shapecluster.remote.permissions import trust_policy
    >>> trust_policy()["Statement"][0]["Principal"]
    {'Service': 'sagemaker.amazonaws.com'}
    """
    statement = {"Effect": "Allow", "Principal": {"Service": SERVICE}, "Action": "sts:AssumeRole"}
    return _document([statement])


def _data_keys(scope: Scope) -> list[dict[str, Any]]:
    return _statement("DataKeys", ["kms:Decrypt", "kms:GenerateDataKey"], scope.data_keys)


def _volume_keys(scope: Scope) -> list[dict[str, Any]]:
    return _statement("VolumeKeys", ["kms:CreateGrant"], scope.volume_keys)


def _statement(sid: str, actions: Iterable[str], resources: Sequence[str]) -> list[dict[str, Any]]:
    """A statement in a list, which is empty where there are no resources."""
    statement = {"Sid": sid, "Effect": "Allow", "Action": sorted(actions), "Resource": list(resources)}
    return [statement] if resources else []


def _document(statements: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}
