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

__all__ = [
    "REASONS",
    "TABLE",
    "Permission",
    "Scope",
    "caller_policy",
    "execution_role_policy",
    "trust_policy",
]

_SERVICE = "https://docs.aws.amazon.com/service-authorization/latest/reference/list_"
_SAGEMAKER = _SERVICE + "amazonsagemaker.html"
_S3 = _SERVICE + "amazons3.html"
_LOGS = _SERVICE + "amazoncloudwatchlogs.html"
_STS = _SERVICE + "awssecuritytokenservice.html"

SERVICE = "sagemaker.amazonaws.com"

REASONS = {
    **dict.fromkeys(
        [
            "sagemaker:ListEndpoints",
            "sagemaker:ListEndpointConfigs",
            "sagemaker:ListModels",
            "sagemaker:ListModelPackages",
        ],
        "A list of everything acts on no particular resource.",
    ),
    "cloudwatch:PutMetricData": "Metrics have no ARN.",
    "ecr:GetAuthorizationToken": "The token is for the whole registry.",
    **dict.fromkeys(
        [
            "ec2:CreateNetworkInterface",
            "ec2:CreateNetworkInterfacePermission",
            "ec2:DeleteNetworkInterface",
            "ec2:DeleteNetworkInterfacePermission",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeVpcs",
            "ec2:DescribeDhcpOptions",
            "ec2:DescribeSubnets",
            "ec2:DescribeSecurityGroups",
        ],
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
    implies: tuple[str, ...] = ()
    page: str = _SAGEMAKER


_CREATED = ("sagemaker:AddTags",)
_UNDER_A_ROLE = ("sagemaker:AddTags", "iam:PassRole")

TABLE: tuple[Permission, ...] = (
    Permission("sts.get_caller_identity", "", (), page=_STS),  # allowed to everyone
    Permission("s3.head_bucket", "s3:ListBucket", ("bucket",), page=_S3),
    Permission("s3.create_bucket", "s3:CreateBucket", ("new-bucket",), page=_S3),
    Permission("s3.put_public_access_block", "s3:PutBucketPublicAccessBlock", ("new-bucket",), page=_S3),
    Permission("s3.list_objects_v2", "s3:ListBucket", ("bucket",), page=_S3),
    # Without s3:ListBucket a missing file is "forbidden", and not "not found".
    Permission("s3.head_object", "s3:GetObject", ("objects",), ("s3:ListBucket",), page=_S3),
    Permission("s3.get_object", "s3:GetObject", ("objects",), ("s3:ListBucket",), page=_S3),
    # Large files are uploaded in parts; after a failure the parts are removed.
    Permission("s3.put_object", "s3:PutObject", ("objects",), ("s3:AbortMultipartUpload",), page=_S3),
    Permission("s3.delete_object", "s3:DeleteObject", ("objects",), page=_S3),
    Permission("logs.describe_log_streams", "logs:DescribeLogStreams", ("log-group",), page=_LOGS),
    Permission("logs.get_log_events", "logs:GetLogEvents", ("log-stream",), page=_LOGS),
    Permission("sagemaker.describe_algorithm", "sagemaker:DescribeAlgorithm", ("algorithm",)),
    Permission(
        "sagemaker.create_training_job", "sagemaker:CreateTrainingJob", ("training-job",), _UNDER_A_ROLE
    ),
    Permission("sagemaker.describe_training_job", "sagemaker:DescribeTrainingJob", ("training-job",)),
    Permission("sagemaker.stop_training_job", "sagemaker:StopTrainingJob", ("training-job",)),
    Permission(
        "sagemaker.create_transform_job", "sagemaker:CreateTransformJob", ("transform-job",), _CREATED
    ),
    Permission("sagemaker.describe_transform_job", "sagemaker:DescribeTransformJob", ("transform-job",)),
    Permission("sagemaker.stop_transform_job", "sagemaker:StopTransformJob", ("transform-job",)),
    Permission(
        "sagemaker.create_model_package", "sagemaker:CreateModelPackage", ("model-package",), _CREATED
    ),
    Permission("sagemaker.describe_model_package", "sagemaker:DescribeModelPackage", ("model-package",)),
    Permission("sagemaker.delete_model_package", "sagemaker:DeleteModelPackage", ("model-package",)),
    Permission("sagemaker.create_model", "sagemaker:CreateModel", ("model",), _UNDER_A_ROLE),
    Permission("sagemaker.describe_model", "sagemaker:DescribeModel", ("model",)),
    Permission("sagemaker.delete_model", "sagemaker:DeleteModel", ("model",)),
    Permission(
        "sagemaker.create_endpoint_config",
        "sagemaker:CreateEndpointConfig",
        ("endpoint-config",),
        _CREATED,
    ),
    Permission(
        "sagemaker.describe_endpoint_config", "sagemaker:DescribeEndpointConfig", ("endpoint-config",)
    ),
    Permission("sagemaker.delete_endpoint_config", "sagemaker:DeleteEndpointConfig", ("endpoint-config",)),
    Permission(
        "sagemaker.create_endpoint", "sagemaker:CreateEndpoint", ("endpoint", "endpoint-config"), _CREATED
    ),
    Permission("sagemaker.describe_endpoint", "sagemaker:DescribeEndpoint", ("endpoint",)),
    Permission("sagemaker.delete_endpoint", "sagemaker:DeleteEndpoint", ("endpoint",)),
    Permission("sagemaker-runtime.invoke_endpoint", "sagemaker:InvokeEndpoint", ("endpoint",)),
    Permission("sagemaker.list_endpoints", "sagemaker:ListEndpoints", ("*",)),
    Permission("sagemaker.list_endpoint_configs", "sagemaker:ListEndpointConfigs", ("*",)),
    Permission("sagemaker.list_models", "sagemaker:ListModels", ("*",)),
    Permission("sagemaker.list_model_packages", "sagemaker:ListModelPackages", ("*",)),
    # Of everything in the lists, to find the resources with the tag of this package.
    Permission(
        "sagemaker.list_tags",
        "sagemaker:ListTags",
        ("any-endpoint", "any-endpoint-config", "any-model", "any-model-package"),
    ),
)
"""The permissions of every call of this package."""

_VOLUMES = {
    "sagemaker.create_training_job",
    "sagemaker.create_transform_job",
    "sagemaker.create_endpoint_config",
}


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
        name = "*" if kind.startswith("any-") else self.names
        service = f"arn:{self.partition}:sagemaker:{self.region}:{self.account}"
        return [f"{service}:{kind.removeprefix('any-')}/{name}"]


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
    statements = [_caller_statement(scope, kind, found) for kind, found in actions.items()]
    return _document(statements + _caller_keys(scope, wanted))


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
    statements = [
        _statement("Objects", ["s3:GetObject", "s3:PutObject"], scope._arns("objects")),
        _statement("Bucket", ["s3:ListBucket"], scope._arns("bucket")),
        _statement("Logs", [f"logs:{action}" for action in write_logs], [logs]),
        _statement("Metrics", ["cloudwatch:PutMetricData"], ["*"]),
    ]
    if scope.image_repository is not None:
        layers = ["BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer"]
        statements += [
            _statement("Image", [f"ecr:{action}" for action in layers], [scope.image_repository]),
            _statement("Registry", ["ecr:GetAuthorizationToken"], ["*"]),
        ]
    if scope.vpc:
        network = [action for action in REASONS if action.startswith("ec2:")]
        statements.append(_statement("Network", network, ["*"]))
    if scope.data_keys:
        statements.append(_statement("DataKeys", ["kms:Decrypt", "kms:GenerateDataKey"], scope.data_keys))
    if scope.volume_keys:
        statements.append(_statement("VolumeKeys", ["kms:CreateGrant"], scope.volume_keys))
    return _document(statements)


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


def _caller_statement(scope: Scope, kind: str, actions: Iterable[str]) -> dict[str, Any]:
    words = {"*": "lists", "objects": "objects"}.get(kind, kind).split("-")
    statement = _statement("".join(word.capitalize() for word in words), actions, scope._arns(kind))
    if kind == "role":
        statement["Condition"] = {"StringEquals": {"iam:PassedToService": SERVICE}}
    return statement


def _caller_keys(scope: Scope, wanted: set[str]) -> list[dict[str, Any]]:
    statements = []
    if scope.data_keys and wanted & {"s3.put_object", "s3.get_object"}:
        actions = ["kms:Decrypt", "kms:GenerateDataKey"]  # both for uploads in parts
        statements.append(_statement("DataKeys", actions, scope.data_keys))
    if scope.volume_keys and wanted & _VOLUMES:
        statements.append(_statement("VolumeKeys", ["kms:CreateGrant"], scope.volume_keys))
    return statements


def _statement(sid: str, actions: Iterable[str], resources: Sequence[str]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": sorted(actions), "Resource": list(resources)}


def _document(statements: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}
