"""S3 in a folder: ``s3://bucket/a/b`` is the file ``<folder>/bucket/a/b``."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

from shapecluster._files import atomic_write
from shapecluster.remote._errors import from_code
from shapecluster.remote._names import split_uri


class Objects:
    """The files of a rehearsal.

    Parameters
    ----------
    folder : Path
        Has one folder for each bucket.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, uri: str) -> Path:
        """Path of a file, which need not exist."""
        bucket, key = split_uri(uri)
        return self.folder / bucket / key

    def upload(self, body: BinaryIO, uri: str) -> None:
        """Store a file; it becomes visible when it is complete."""
        target = self.path(uri)
        self.folder.mkdir(parents=True, exist_ok=True)
        # Staged beside the buckets, where `list` does not see it.
        with atomic_write(target, stage=self.folder) as file:
            shutil.copyfileobj(body, file, 2**20)
            target.parent.mkdir(parents=True, exist_ok=True)

    def open(self, uri: str) -> BinaryIO:
        """Read a file."""
        try:
            return cast("BinaryIO", self.path(uri).open("rb"))
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            missing = from_code("NoSuchKey", f"There is no file {uri}.", "s3.get_object", status=404)
        raise missing

    def exists(self, uri: str) -> bool:
        """Whether there is a file at this URI."""
        return self.path(uri).is_file()

    def list(self, uri: str) -> Iterator[str]:
        """All files whose URI begins so, in the order of their names."""
        bucket, prefix = split_uri(uri)
        root = self.folder / bucket
        base = root / prefix[: prefix.rfind("/") + 1]
        found = base.rglob("*") if base.is_dir() else iter(())
        keys = sorted(p.relative_to(root).as_posix() for p in found if p.is_file())
        yield from (f"s3://{bucket}/{key}" for key in keys if key.startswith(prefix))

    def delete(self, uri: str) -> None:
        """Delete a file, and the folders that it leaves empty, since S3 has no folders."""
        path = self.path(uri)
        path.unlink(missing_ok=True)
        bucket = self.folder / split_uri(uri)[0]
        for parent in path.parents:
            if parent == bucket:
                break
            with suppress(OSError):  # not empty
                parent.rmdir()
