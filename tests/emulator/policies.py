"""Who may do what: IAM policies of callers and roles, as far as the library's own need it.

A caller or role without a policy may do everything. `requirements` is the emulator's own reading of the
service's authorization reference, so that the policies that the library hands out are held against it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from tests.emulator.errors import ServiceError, not_authorized
from tests.emulator.wire import Caller, Incoming

SERVICE = "sagemaker.amazonaws.com"


@dataclass(frozen=True)
class Requirement:
    """One action on one resource, which a policy has to allow."""

    action: str
    resource: str
    context: dict[str, str] = field(default_factory=dict)


class Policies:
    """The policies of callers and roles, and the roles that exist."""

    def __init__(self) -> None:
        self._callers: dict[str, dict[str, Any]] = {}
        self._roles: dict[str, dict[str, Any] | None] = {}

    def attach(self, access_key: str, policy: dict[str, Any]) -> None:
        """From now on a caller may do what a policy says, and nothing else."""
        self._callers[access_key] = policy

    def add_role(self, arn: str, policy: dict[str, Any] | None = None) -> None:
        """A role that the service can assume, and what it may do."""
        self._roles[arn] = policy

    def role_exists(self, arn: str) -> bool:
        return arn in self._roles

    def role_allows(self, arn: str, action: str, resource: str) -> bool:
        policy = self._roles.get(arn)
        return policy is None or allowed(policy, Requirement(action, resource))

    def bound(self, caller: Caller) -> bool:
        return caller.access_key in self._callers

    def allows(self, caller: Caller, requirement: Requirement) -> bool:
        policy = self._callers.get(caller.access_key)
        return policy is None or allowed(policy, requirement)

    def check(self, incoming: Incoming) -> None:
        """Refuse a call that its caller's policy does not allow, or not all that it implies."""
        if not self.bound(incoming.caller):
            return
        for requirement in requirements(incoming):
            if not self.allows(incoming.caller, requirement):
                raise not_authorized(requirement.action, requirement.resource, incoming.caller.arn)


def allowed(policy: dict[str, Any], requirement: Requirement) -> bool:
    """Whether a statement allows it and none denies it."""
    effects = {statement["Effect"] for statement in policy["Statement"] if _applies(statement, requirement)}
    return "Allow" in effects and "Deny" not in effects


def _applies(statement: dict[str, Any], requirement: Requirement) -> bool:
    return (
        any(fnmatchcase(requirement.action.lower(), p.lower()) for p in _listed(statement["Action"]))
        and any(fnmatchcase(requirement.resource, p) for p in _listed(statement["Resource"]))
        and all(
            _holds(operator, key, _listed(values), requirement.context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, values in keys.items()
        )
    )


def _holds(operator: str, key: str, values: list[str], context: dict[str, str]) -> bool:
    """An unknown operator is an error here, not a silent no."""
    if_exists = operator.endswith("IfExists")
    if key not in context:
        return if_exists
    match operator.removesuffix("IfExists"):
        case "StringEquals" | "ArnEquals":
            return context[key] in values
        case "StringLike" | "ArnLike":
            return any(fnmatchcase(context[key], value) for value in values)
        case "StringNotEquals":
            return context[key] not in values
        case "Bool":
            return context[key] in [str(value).lower() for value in values]
    raise NotImplementedError(f"the emulator does not know the condition {operator}")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# What the operations of the service act on: the member of the request that names it, and the kind of ARN.
_NAMED = {
    "TrainingJob": ("TrainingJobName", "training-job"),
    "TransformJob": ("TransformJobName", "transform-job"),
    "Model": ("ModelName", "model"),
    "EndpointConfig": ("EndpointConfigName", "endpoint-config"),
    "Endpoint": ("EndpointName", "endpoint"),
    "ModelPackage": ("ModelPackageName", "model-package"),
    "Algorithm": ("AlgorithmName", "algorithm"),
}
_VERBS = ("Create", "Describe", "Stop", "Delete", "Invoke")
_S3_ACTIONS = {
    "PutObject": ["s3:PutObject"],
    "CreateMultipartUpload": ["s3:PutObject"],
    "UploadPart": ["s3:PutObject"],
    "CompleteMultipartUpload": ["s3:PutObject"],
    "AbortMultipartUpload": ["s3:AbortMultipartUpload"],
    "ListParts": ["s3:ListMultipartUploadParts"],
    "GetObject": ["s3:GetObject"],
    "HeadObject": ["s3:GetObject"],
    "DeleteObject": ["s3:DeleteObject"],
    "DeleteObjects": ["s3:DeleteObject"],
    "PutObjectTagging": ["s3:PutObjectTagging"],
    "GetObjectTagging": ["s3:GetObjectTagging"],
    "ListObjectsV2": ["s3:ListBucket"],
    "ListObjects": ["s3:ListBucket"],
    "HeadBucket": ["s3:ListBucket"],
    "GetBucketLocation": ["s3:GetBucketLocation"],
    "ListMultipartUploads": ["s3:ListBucketMultipartUploads"],
    "CreateBucket": ["s3:CreateBucket"],
    "DeleteBucket": ["s3:DeleteBucket"],
}


def arn(kind: str, name: str, caller: Caller) -> str:
    """The service writes names in ARNs in lower case."""
    if name.startswith("arn:"):
        return name
    return f"arn:aws:sagemaker:{caller.region}:{caller.account}:{kind}/{name.lower()}"


def requirements(incoming: Incoming) -> Iterator[Requirement]:
    """Everything that a call needs to be allowed."""
    if incoming.service == "s3":
        yield from _of_s3(incoming)
    elif incoming.service in ("sagemaker", "runtime"):
        yield from _of_sagemaker(incoming)
    elif incoming.service == "logs":
        caller, request = incoming.caller, incoming.request
        group = f"arn:aws:logs:{caller.region}:{caller.account}:log-group:{request.get('logGroupName')}"
        resource = f"{group}:log-stream:{request.get('logStreamName', '')}"
        yield Requirement(f"logs:{incoming.operation}", resource)
    elif incoming.service == "tagging":
        yield Requirement(f"tag:{incoming.operation}", "*")
    # sts:GetCallerIdentity needs no permission.


def _of_s3(incoming: Incoming) -> Iterator[Requirement]:
    request = incoming.request
    bucket = f"arn:aws:s3:::{request.get('Bucket', '')}"
    context = {"s3:ResourceAccount": incoming.caller.account, "aws:ResourceAccount": incoming.caller.account}
    if "Prefix" in request:
        context["s3:prefix"] = request["Prefix"]
    keys = request.get("Keys") or ([request["Key"]] if "Key" in request else [])
    for action in _S3_ACTIONS.get(incoming.operation, [f"s3:{incoming.operation}"]):
        for resource in [f"{bucket}/{key}" for key in keys] or [bucket]:
            yield Requirement(action, resource, context)
    if request.get("ServerSideEncryption") == "aws:kms" and "SSEKMSKeyId" in request:
        yield Requirement("kms:GenerateDataKey", request["SSEKMSKeyId"])
        if incoming.operation == "CreateMultipartUpload":
            yield Requirement("kms:Decrypt", request["SSEKMSKeyId"])
    if "Tagging" in request:
        yield Requirement("s3:PutObjectTagging", f"{bucket}/{request['Key']}", context)


def _of_sagemaker(incoming: Incoming) -> Iterator[Requirement]:
    operation, request, caller = incoming.operation, incoming.request, incoming.caller
    verb = next((verb for verb in _VERBS if operation.startswith(verb)), "")
    member, kind = _NAMED.get(operation.removeprefix(verb), ("", ""))
    if operation in ("AddTags", "ListTags", "DeleteTags"):
        resource = request["ResourceArn"]
    else:
        resource = arn(kind, request.get(member, ""), caller) if verb and member else "*"
    yield Requirement(f"sagemaker:{operation}", resource)
    if verb != "Create":
        return
    if operation == "CreateEndpoint":  # acts on both
        config = request.get("EndpointConfigName", "")
        yield Requirement("sagemaker:CreateEndpoint", arn("endpoint-config", config, caller))
    if request.get("Tags"):
        yield Requirement("sagemaker:AddTags", resource)
    role = request.get("RoleArn") or request.get("ExecutionRoleArn")
    if role:
        yield Requirement("iam:PassRole", role, {"iam:PassedToService": SERVICE})
    for key in _volume_keys(request):
        yield Requirement("kms:CreateGrant", key)


def _volume_keys(request: dict[str, Any]) -> Iterator[str]:
    """Keys of volumes: the service grants their use to the instances in the caller's name."""
    for member in ("ResourceConfig", "TransformResources"):
        if "VolumeKmsKeyId" in request.get(member, {}):
            yield request[member]["VolumeKmsKeyId"]
    if "ProductionVariants" in request and "KmsKeyId" in request:
        yield request["KmsKeyId"]


def hidden_by_s3(policies: Policies, incoming: Incoming, status: int) -> ServiceError | None:
    """S3 tells nobody that a key is missing unless they may list the bucket: it answers 403."""
    if status != 404 or incoming.operation not in ("HeadObject", "GetObject"):
        return None
    bucket = f"arn:aws:s3:::{incoming.request['Bucket']}"
    context = {"s3:prefix": incoming.request["Key"]}
    if policies.allows(incoming.caller, Requirement("s3:ListBucket", bucket, context)):
        return None
    return not_authorized("s3:ListBucket", bucket, incoming.caller.arn)
