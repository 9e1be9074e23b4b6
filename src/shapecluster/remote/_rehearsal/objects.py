"""The folder of a rehearsal, and S3 in it: ``s3://bucket/a/b`` is the file ``<folder>/s3/bucket/a/b``."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

from shapecluster._files import atomic_write
from shapecluster.remote._errors import from_code
from shapecluster.remote._names import split_uri


class Store:
    """The folder and the options of a `Rehearsal`, and its files."""

    path: Path
    in_process: bool
    program: tuple[str, ...] | None

    @property
    def buckets(self) -> Path:
        """The folder with one folder for each bucket."""
        return self.path / "s3"

    def _file(self, uri: str) -> Path:
        """Path of a file, which need not exist."""
        bucket, key = split_uri(uri)
        return self.buckets / bucket / key

    def upload(self, body: BinaryIO, uri: str, *, kms_key: str | None = None) -> None:
        """Store a file; it becomes visible when it is complete.

        Parameters
        ----------
        body : binary file
            Read to its end.
        uri : str
            URI of the file, such as ``"s3://rehearsal/folder/file"``.
        kms_key : str, default=None
            Ignored.
        """
        target = self._file(uri)
        self.buckets.mkdir(parents=True, exist_ok=True)
        # Staged beside the buckets, where `list` does not see it.
        with atomic_write(target, stage=self.buckets) as file:
            shutil.copyfileobj(body, file, 2**20)
            target.parent.mkdir(parents=True, exist_ok=True)

    def open(self, uri: str) -> BinaryIO:
        """Open a stored file for reading.

        Parameters
        ----------
        uri : str
            URI of the file.

        Returns
        -------
        binary file
            Close it after use.
        """
        try:
            return cast("BinaryIO", self._file(uri).open("rb"))
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            missing = from_code("NoSuchKey", f"There is no file {uri}.", "s3.get_object", status=404)
        raise missing

    def exists(self, uri: str) -> bool:
        """Whether there is a file at this URI.

        Parameters
        ----------
        uri : str
            The URI.

        Returns
        -------
        bool
            False for a folder.
        """
        return self._file(uri).is_file()

    def list(self, uri: str) -> Iterator[str]:
        """URIs of all files whose URI begins so.

        Parameters
        ----------
        uri : str
            The beginning.

        Returns
        -------
        iterator of str
            URIs in the order of their names.
        """
        bucket, prefix = split_uri(uri)
        root = self.buckets / bucket
        base = root / prefix[: prefix.rfind("/") + 1]
        found = base.rglob("*") if base.is_dir() else iter(())
        keys = sorted(p.relative_to(root).as_posix() for p in found if p.is_file())
        return iter([f"s3://{bucket}/{key}" for key in keys if key.startswith(prefix)])

    def delete(self, uri: str) -> None:
        """Delete a file, if it exists.

        Parameters
        ----------
        uri : str
            URI of the file.
        """
        path = self._file(uri)
        path.unlink(missing_ok=True)
        # S3 has no folders, so those that it leaves empty go as well.
        bucket = self.buckets / split_uri(uri)[0]
        for parent in path.parents:
            if parent == bucket:
                break
            with suppress(OSError):  # not empty
                parent.rmdir()
