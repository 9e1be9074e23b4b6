"""What a job needs of the account before it can be created: a bucket and a role."""

from __future__ import annotations

import re

from shapecluster.exceptions import NotFoundError
from shapecluster.remote._job import Job
from shapecluster.remote._platform import Platform

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+")


def find_role(platform: Platform, role: str | None = None) -> str:
    """The execution role: the one given, SAGEMAKER_ROLE, or the session's.

    Raises
    ------
    ValueError
        When there is none, or what there is has not the form of a role's ARN.
    """
    found = role if role is not None else platform.default_role()
    if found is None:
        raise ValueError(
            "role must be the ARN of an execution role: pass role='arn:aws:iam::<account>:role/<name>', set "
            "the variable SAGEMAKER_ROLE, or use a SageMaker SDK session on SageMaker itself. Got None "
            "instead. shapecluster.remote.permissions writes the policy that such a role needs."
        )
    if not isinstance(found, str) or not _ROLE.fullmatch(found):
        raise ValueError(
            "role must be the ARN of a role, such as 'arn:aws:iam::123456789012:role/SageMakerExecution'. "
            f"Got {found!r} instead."
        )
    return found


def find_bucket(platform: Platform, job: Job) -> str:
    """The bucket of a job, which is there when this returns.

    Raises
    ------
    NotFoundError
        When there is no such bucket, and the job does not ask to create it.
    """
    bucket = job.bucket or platform.default_bucket()
    try:
        platform.call("s3.head_bucket", Bucket=bucket)
    except NotFoundError as error:
        if not job.create_bucket:
            raise NotFoundError(
                f"There is no bucket {bucket!r} in this account: name one that exists, Job(bucket=...), or "
                "have it created, Job(create_bucket=True).",
                operation=error.operation,
                code=error.code,
                status=error.status,
            ) from None
        _create_bucket(platform, bucket)
    return bucket


def _create_bucket(platform: Platform, bucket: str) -> None:
    # S3's oldest region has no name in this call.
    place = {} if platform.region == "us-east-1" else {"LocationConstraint": platform.region}
    platform.call(
        "s3.create_bucket", Bucket=bucket, **({"CreateBucketConfiguration": place} if place else {})
    )
    platform.call(
        "s3.put_public_access_block",
        Bucket=bucket,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        },
    )
