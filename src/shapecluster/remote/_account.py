"""The bucket and the execution role of a job, found before the job is created."""

from __future__ import annotations

import re

from shapecluster.exceptions import NotFoundError
from shapecluster.remote._errors import restated
from shapecluster.remote._job import Job
from shapecluster.remote._platform import Platform

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+")


def find_role(platform: Platform, role: str | None = None) -> str:
    """Find the execution role: the one given, SAGEMAKER_ROLE, or the session's own.

    Raises
    ------
    ValueError
        When there is none, or it is not the ARN of a role.
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
    """Find the bucket of a job, and create it where the job asks for that.

    Raises
    ------
    NotFoundError
        When there is no such bucket, and `create_bucket` is False.
    """
    bucket = job.bucket or platform.default_bucket()
    try:
        platform.call("s3.head_bucket", Bucket=bucket)
    except NotFoundError as error:
        if not job.create_bucket:
            text = (
                f"There is no bucket {bucket!r} in this account: name one that exists, Job(bucket=...), or "
                "have it created, Job(create_bucket=True)."
            )
            raise restated(error, text) from None
        _create_bucket(platform, bucket)
    return bucket


def _create_bucket(platform: Platform, bucket: str) -> None:
    # S3 refuses the name of its oldest region in this call.
    place = {"CreateBucketConfiguration": {"LocationConstraint": platform.region}}
    platform.call("s3.create_bucket", Bucket=bucket, **({} if platform.region == "us-east-1" else place))
    # Prices and portfolios are confidential, and the account's defaults may allow public access.
    blocks = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    blocked = dict.fromkeys(blocks, True)
    platform.call("s3.put_public_access_block", Bucket=bucket, PublicAccessBlockConfiguration=blocked)
