"""model.tar.gz: one member read without extracting anything, and archives written the same way every time."""

from __future__ import annotations

import gzip
import io
import os
import secrets
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO, cast

from shapecluster.exceptions import ArtifactError
from shapecluster.formats._streams import Bytes, Readable
from shapecluster.formats._tar import Entry, Tar, refused, safe_name

__all__ = ["Member", "read_member", "write_archive"]

MAX_BYTES = 1 << 29
MAX_TOTAL_BYTES = 1 << 32
MAX_MEMBERS = 10_000
_SHOWN = 10
_LEVEL = 6


@dataclass(frozen=True)
class Member:
    """A file inside an archive.

    Attributes
    ----------
    name : str
        Its name, without a leading "./".
    data : bytes
        Its content.
    """

    name: str
    data: bytes


def read_member(
    source: str | os.PathLike[str] | Bytes | Readable,
    pattern: str,
    *,
    max_bytes: int = MAX_BYTES,
    max_total_bytes: int = MAX_TOTAL_BYTES,
    max_members: int = MAX_MEMBERS,
) -> Member:
    r"""The first file of a .tar.gz whose name matches.

    Nothing is extracted. The archive is read to its end, so that one that was cut short or changed is
    found out, and refused as a whole if any member is something else than a file or a folder, or has a name
    that leads out of it.

    Parameters
    ----------
    source : path, bytes or binary file
        The archive.
    pattern : str
        A name, or a pattern such as ``"model_algo-*"``.
    max_bytes : int, default=512 MiB
        The most that the member may have.
    max_total_bytes : int, default=4 GiB
        The most that the whole archive may have when decompressed.
    max_members : int, default=10,000
        The most members.

    Returns
    -------
    Member
        Its name and content.

    Raises
    ------
    ArtifactError
        If there is no such file, or the archive is not in order.

    Examples
    --------
    >>> import os, tempfile
    >>> from shapecluster.formats import read_member, write_archive
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.tar.gz")
    ...     write_archive(path, {"centroids": b"-1,1\n"})
    ...     read_member(path, "centroids")
    Member(name='centroids', data=b'-1,1\n')
    """
    with _opened(source) as file:
        names: list[str] = []
        found: Member | None = None
        try:
            tar = Tar(_Decompressed(file, max_total_bytes), max_members)
            for entry in tar:
                names.append(entry.name)
                if found is None and entry.is_file and fnmatchcase(entry.name, pattern):
                    found = Member(entry.name, _content(tar, entry, max_bytes))
                elif found is not None and entry.name == found.name:
                    raise refused(f"it holds {found.name!r} twice")
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise refused(f"its compression is damaged or cut short ({error})") from None
    if found is None:
        some = ", ".join(repr(name) for name in names[:_SHOWN]) or "nothing"
        raise ArtifactError(
            f"The archive must hold a file {pattern!r}. Got {some}{' ...' if len(names) > _SHOWN else ''} "
            "instead: check that it comes from the algorithm that you mean."
        )
    return found


def write_archive(path: str | os.PathLike[str], members: Mapping[str, bytes | os.PathLike[str]]) -> None:
    """Write files into a .tar.gz: at once or not at all, and the same bytes for the same content.

    Members are sorted by name; they have no owner and no date.

    Parameters
    ----------
    path : path
        The archive; replaced if it is there.
    members : mapping of str to bytes or path
        What each member holds: bytes, or the path of a file.

    Raises
    ------
    ValueError
        If a name is absolute, leads out of the archive, or is not in its plain form.

    Examples
    --------
    >>> from shapecluster.formats import write_archive
    >>> write_archive("model.tar.gz", {"../centroids": b""})
    Traceback (most recent call last):
        ...
    ValueError: The name of a member must be plain and relative, such as 'code/model.txt'. Got...
    """
    for name in members:
        if not _is_plain(name):
            raise ValueError(
                "The name of a member must be plain and relative, such as 'code/model.txt'. "
                f"Got {name!r} instead."
            )
    target = Path(path)
    unfinished = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        with open(unfinished, "xb") as file:
            _write(file, members)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, target)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise


def _write(file: BinaryIO, members: Mapping[str, bytes | os.PathLike[str]]) -> None:
    with (
        gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=file, mtime=0) as packed,
        tarfile.open(mode="w", fileobj=packed, format=tarfile.PAX_FORMAT) as tar,
    ):
        for name in sorted(members):
            info = tarfile.TarInfo(name)  # mode 0644, date 0, no owner
            content = members[name]
            if isinstance(content, bytes):
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:
                with open(content, "rb") as member:
                    info.size = os.fstat(member.fileno()).st_size
                    tar.addfile(info, member)


def _is_plain(name: str) -> bool:
    try:
        return bool(name) and safe_name(name) == name
    except ArtifactError:
        return False


def _content(tar: Tar, entry: Entry, max_bytes: int) -> bytes:
    if entry.size > max_bytes:
        raise refused(
            f"{entry.name!r} claims {entry.size:,} bytes, above the limit of {max_bytes:,} (`max_bytes`)"
        )
    return tar.content(entry)


@contextmanager
def _opened(source: str | os.PathLike[str] | Bytes | Readable) -> Iterator[Readable]:
    if isinstance(source, (bytes, bytearray, memoryview)):
        yield io.BytesIO(source)
    elif isinstance(source, (str, os.PathLike)):
        with open(source, "rb") as file:
            yield file
    else:
        yield source


class _Decompressed:
    """The decompressed bytes of a gzip stream, up to a limit."""

    def __init__(self, file: Readable, limit: int) -> None:
        start = file.read(2) or b""
        if start != b"\x1f\x8b":
            raise refused("it is not compressed with gzip, as a .tar.gz is")
        self._file = gzip.GzipFile(fileobj=cast(BinaryIO, _Joined(start, file)), mode="rb")
        self._limit = self._left = limit

    def read(self, size: int, /) -> bytes:
        data = self._file.read(min(size, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise refused(
                f"it has more than {self._limit:,} bytes when decompressed "
                "(raise `max_total_bytes` if that is meant)"
            )
        return data


class _Joined:
    """A stream with some bytes of it put back in front."""

    def __init__(self, start: bytes, rest: Readable) -> None:
        self._start = start
        self._rest = rest

    def read(self, size: int = -1, /) -> bytes:
        if self._start:
            data, self._start = self._start[:size], self._start[size:]
            return data
        return self._rest.read(size) or b""
