"""S3 as the service itself uses it: in the name of the job's role, past the recorder and the faults."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.emulator.policies import Policies

ACCESS_KEY = "EMULATOR"  # calls with this key are the service's own


@cache
def botocore_session() -> botocore.session.Session:
    """Shared, so that the models of the APIs are read from disk once."""
    return botocore.session.get_session()


def split(uri: str) -> tuple[str, str]:
    """Bucket and key."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


class AccessDenied(Exception):
    """The role may not do that."""


class Storage:
    """What jobs and endpoints read and write.

    Parameters
    ----------
    url : str
        Where the emulator listens.
    policies : Policies
        What the roles may do.
    """

    def __init__(self, url: str, policies: Policies) -> None:
        self._policies = policies
        self._s3 = botocore_session().create_client(
            "s3",
            region_name="us-east-1",
            endpoint_url=url,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key="x",
            config=Config(retries={"max_attempts": 0}, max_pool_connections=50),
        )

    def bucket_exists(self, bucket: str) -> bool:
        try:
            self._s3.head_bucket(Bucket=bucket)
        except ClientError:
            return False
        return True

    def keys(self, uri: str, role: str) -> list[str]:
        """The keys that start with a URI's, in order, without "folders"."""
        bucket, prefix = split(uri)
        self._check(role, "s3:ListBucket", f"arn:aws:s3:::{bucket}")
        if not self.bucket_exists(bucket):
            return []
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [o["Key"] for page in pages for o in page.get("Contents", []) if not o["Key"].endswith("/")]

    def exists(self, uri: str, role: str) -> bool:
        bucket, key = split(uri)
        self._check(role, "s3:GetObject", f"arn:aws:s3:::{bucket}/{key}")
        try:
            self._s3.head_object(Bucket=bucket, Key=key)
        except ClientError:
            return False
        return True

    def read(self, bucket: str, key: str, role: str) -> bytes:
        self._check(role, "s3:GetObject", f"arn:aws:s3:::{bucket}/{key}")
        with self._s3.get_object(Bucket=bucket, Key=key)["Body"] as body:
            content: bytes = body.read()
        return content

    def download(self, bucket: str, key: str, path: Path, role: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.read(bucket, key, role))

    def write(self, uri: str, content: bytes, role: str, kms_key: str | None = None) -> None:
        bucket, key = split(uri)
        self._check(role, "s3:PutObject", f"arn:aws:s3:::{bucket}/{key}")
        encryption: dict[str, Any] = {}
        if kms_key:
            self._check(role, "kms:GenerateDataKey", kms_key)
            encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key}
        self._s3.put_object(Bucket=bucket, Key=key, Body=content, **encryption)

    def mirror_down(self, uri: str, folder: Path, role: str) -> None:
        """Every object below a URI, as files of the same names."""
        bucket, prefix = split(uri.rstrip("/") + "/")
        folder.mkdir(parents=True, exist_ok=True)
        for key in self.keys(uri.rstrip("/") + "/", role):
            self.download(bucket, key, folder / key.removeprefix(prefix), role)

    def mirror_up(self, folder: Path, uri: str, role: str) -> None:
        """Every file of a folder, and nothing is deleted, as with checkpoints."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.write(
                    f"{uri.rstrip('/')}/{path.relative_to(folder).as_posix()}", path.read_bytes(), role
                )

    def _check(self, role: str, action: str, resource: str) -> None:
        if not self._policies.role_allows(role, action, resource):
            raise AccessDenied(f"{role} is not allowed {action} on {resource}")
