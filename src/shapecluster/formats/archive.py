"""model.tar.gz: read one member without extracting the archive."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import BinaryIO, cast

from shapecluster.exceptions import ArtifactError
from shapecluster.formats._streams import BytesLike, Readable
from shapecluster.formats._tar import TarEntry, TarReader, archive_error

__all__ = ["Member", "read_member"]

MAX_BYTES = 1 << 29
MAX_TOTAL_BYTES = 1 << 32
MAX_MEMBERS = 10_000
_MAX_LISTED = 10


@dataclass(frozen=True)
class Member:
    """A file inside an archive.

    Attributes
    ----------
    name : str
        The name, without a leading "./".
    data : bytes
        The content.
    """

    name: str
    data: bytes


def read_member(
    source: str | os.PathLike[str] | BytesLike | Readable,
    pattern: str,
    *,
    max_bytes: int = MAX_BYTES,
    max_total_bytes: int = MAX_TOTAL_BYTES,
    max_members: int = MAX_MEMBERS,
) -> Member:
    r"""Read the first file of a .tar.gz whose name matches a pattern.

    Nothing is extracted. The whole archive is read, so that truncation and damage anywhere in it are
    detected. An archive is rejected if any member is neither a file nor a folder, or has a name that points
    outside of it.

    Parameters
    ----------
    source : path, bytes or binary file
        The archive, or where it is.
    pattern : str
        A name, or a pattern such as ``"model_algo-*"``.
    max_bytes : int, default=512 MiB
        The maximum size of the member.
    max_total_bytes : int, default=4 GiB
        The maximum size of the whole decompressed archive.
    max_members : int, default=10000
        The maximum number of members.

    Returns
    -------
    Member
        The name and content of that file.

    Raises
    ------
    ArtifactError
        If there is no such file, or the archive is damaged, too large or not to be trusted.

    Examples
    --------
    >>> import pathlib, tarfile, tempfile
    >>> from shapecluster.formats import read_member
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "centroids")
    ...     _ = path.write_bytes(b"-1,1\n")
    ...     with tarfile.open(path.with_name("model.tar.gz"), "w:gz") as archive:
    ...         archive.add(path, "centroids")
    ...     read_member(path.with_name("model.tar.gz"), "centroids")
    Member(name='centroids', data=b'-1,1\n')
    """
    with _open_source(source) as file:
        names: list[str] = []
        found: Member | None = None
        try:
            tar = TarReader(_BoundedGzipReader(file, max_total_bytes), max_members)
            for entry in tar:
                names.append(entry.name)
                if found is None and entry.is_file and fnmatchcase(entry.name, pattern):
                    found = Member(entry.name, _read_content(tar, entry, max_bytes))
                # Which of two members counts depends on the reader: an archive could show two models.
                elif found is not None and entry.name == found.name:
                    raise archive_error(f"it holds {found.name!r} twice")
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise archive_error(f"its compression is damaged or truncated ({error})") from None
    if found is None:
        listed = ", ".join(repr(name) for name in names[:_MAX_LISTED]) or "nothing"
        ellipsis = " ..." if len(names) > _MAX_LISTED else ""
        raise ArtifactError(
            f"The archive must hold a file {pattern!r}. Got {listed}{ellipsis} instead: "
            "check that it comes from the algorithm that you expect."
        )
    return found


def _read_content(tar: TarReader, entry: TarEntry, max_bytes: int) -> bytes:
    if entry.size > max_bytes:
        raise archive_error(
            f"{entry.name!r} claims {entry.size:,} bytes, above the limit of {max_bytes:,} (`max_bytes`)"
        )
    return tar.read_content(entry)


@contextmanager
def _open_source(source: str | os.PathLike[str] | BytesLike | Readable) -> Iterator[Readable]:
    if isinstance(source, (bytes, bytearray, memoryview)):
        yield io.BytesIO(source)
    elif isinstance(source, (str, os.PathLike)):
        with open(source, "rb") as file:
            yield file
    else:
        yield source


class _BoundedGzipReader:
    """Decompress a gzip stream, up to a limit."""

    def __init__(self, file: Readable, limit: int) -> None:
        start = file.read(2) or b""
        if start != b"\x1f\x8b":
            raise archive_error("it is not compressed with gzip, as a .tar.gz is")
        self._file = gzip.GzipFile(fileobj=cast(BinaryIO, _PrefixedStream(start, file)), mode="rb")
        self._limit = self._n_left = limit

    def read(self, size: int, /) -> bytes:
        data = self._file.read(min(size, self._n_left + 1))  # one byte more shows that there are more
        self._n_left -= len(data)
        if self._n_left < 0:
            raise archive_error(
                f"it has more than {self._limit:,} bytes when decompressed "
                "(raise `max_total_bytes` if this size is intended)"
            )
        return data


class _PrefixedStream:
    """A stream whose first bytes were read already and are returned again."""

    def __init__(self, start: bytes, rest: Readable) -> None:
        self._start = start
        self._rest = rest

    def read(self, size: int = -1, /) -> bytes:
        if self._start:
            data, self._start = self._start[:size], self._start[size:]
            return data
        return self._rest.read(size) or b""
