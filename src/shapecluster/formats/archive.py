"""model.tar.gz: read one member without extracting the archive."""

from __future__ import annotations

import gzip
import io
import os
import re
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import BinaryIO, cast

from shapecluster._text import listing
from shapecluster.exceptions import ArtifactError
from shapecluster.formats._streams import CHUNK_BYTES, BytesLike, Readable, fill_buffer

__all__ = ["Member", "read_member"]

MAX_BYTES = 1 << 29
MAX_TOTAL_BYTES = 1 << 32
MAX_MEMBERS = 10_000
_MAX_LISTED = 10
_HEADERS_PER_MEMBER = 3  # its own, and before it one with a long name and one with attributes
_PLAIN_TYPES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE, tarfile.DIRTYPE)
# Headers about the next member, and their maximum sizes.
_EXTENSIONS = {tarfile.GNUTYPE_LONGNAME: 4096, tarfile.XHDTYPE: 1 << 16, tarfile.XGLTYPE: 1 << 16}
_ATTRIBUTE = re.compile(rb"([0-9]{1,7}) ([^=]*)=")


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
    names: list[str] = []
    found: Member | None = None
    with _open_source(source) as file:
        stream = _TarStream(file, max_total_bytes)
        for entry in _iter_entries(stream, max_members):
            names.append(repr(entry.name[:80]))
            # Which of two members counts depends on the reader: an archive could show two models.
            if found is not None and entry.name == found.name:
                raise _archive_error(f"it holds {found.name!r} twice")
            if found is None and entry.isfile() and fnmatchcase(entry.name, pattern):
                if entry.size > max_bytes:
                    raise _archive_error(
                        f"{entry.name!r} claims {entry.size:,} bytes, above the limit of {max_bytes:,} "
                        "(`max_bytes`)"
                    )
                found = Member(entry.name, stream.read(entry.size))
    if found is None:
        raise ArtifactError(
            f"The archive must hold a file {pattern!r}. Got {listing(names, limit=_MAX_LISTED) or 'nothing'} "
            "instead: check that it comes from the algorithm that you expect."
        )
    return found


def _open_source(source: str | os.PathLike[str] | BytesLike | Readable) -> AbstractContextManager[Readable]:
    if isinstance(source, (bytes, bytearray, memoryview)):
        return io.BytesIO(source)
    return open(source, "rb") if isinstance(source, (str, os.PathLike)) else nullcontext(source)


class _TarStream:
    """The decompressed bytes of a .tar.gz, up to a limit, read from front to back."""

    def __init__(self, file: Readable, limit: int) -> None:
        self._file = gzip.GzipFile(fileobj=cast(BinaryIO, file), mode="rb")
        self._limit = self.n_left = limit

    def read(self, size: int) -> bytes:
        """Read exactly that many bytes."""
        data = self._read_some(size)
        if len(data) < size:
            raise _archive_error("it is truncated")
        return data

    def skip(self, size: int) -> None:
        """Skip that many bytes."""
        for start in range(0, size, CHUNK_BYTES):
            self.read(min(CHUNK_BYTES, size - start))

    def check_end(self) -> None:
        """Check that only zeros follow an empty block, and at least one more empty block of them."""
        chunk = self.read(tarfile.BLOCKSIZE)
        while chunk:
            if any(chunk):
                raise _archive_error("something follows its end")
            chunk = self._read_some(CHUNK_BYTES)

    def _read_some(self, size: int) -> bytes:
        """Read that many bytes, or fewer at the end."""
        data = bytearray()
        try:
            # One byte more than the limit shows that there are more.
            fill_buffer(self._file, data, min(size, self.n_left + 1))
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise _archive_error(f"it is not a complete file of gzip, as a .tar.gz is ({error})") from None
        self.n_left -= len(data)
        if self.n_left < 0:
            raise _archive_error(
                f"it has more than {self._limit:,} bytes when decompressed "
                "(raise `max_total_bytes` if this size is intended)"
            )
        return bytes(data)


def _iter_entries(stream: _TarStream, max_members: int) -> Iterator[tarfile.TarInfo]:
    """Iterate over the files and folders of an archive; the caller may read the content of each.

    `tarfile` parses single headers only. Reading a whole archive, it trusts what headers claim (sizes, sparse
    maps, attributes), ends silently at a damaged one, and some of its releases never end on crafted archives.
    """
    attributes: dict[bytes, bytes] = {}
    for _ in range(_HEADERS_PER_MEMBER * max_members + 1):
        block = stream.read(tarfile.BLOCKSIZE)
        if not any(block):
            stream.check_end()
            return
        entry = _parse_header(block)
        if entry.type not in _EXTENSIONS:
            entry = _checked(entry, attributes)
            stop = stream.n_left - _padded(entry.size)
            yield entry
            stream.skip(stream.n_left - stop)
            attributes = {}
            continue
        if entry.size > _EXTENSIONS[entry.type]:
            raise _archive_error(f"a name or its attributes take {entry.size:,} bytes")
        content = stream.read(_padded(entry.size))[: entry.size]
        if entry.type == tarfile.GNUTYPE_LONGNAME:
            attributes[b"path"] = content.rstrip(b"\0")
        else:
            found = _parse_attributes(content)
            # Attributes of all members are parsed to reject damage and sparse files, and then dropped.
            attributes |= found if entry.type == tarfile.XHDTYPE else {}
    raise _archive_error(f"it has more than {max_members:,} members")


def _parse_header(block: bytes) -> tarfile.TarInfo:
    size = block[124:136]
    # tarfile also takes signs, underscores and negative binary numbers.
    if re.search(rb"[^0-7 \0]", block[148:156] + (b"" if size[0] == 0x80 else size)):
        raise _archive_error("a header holds an invalid size or checksum")
    try:
        entry = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise _archive_error(f"a header is damaged ({error})") from None
    # Only POSIX headers have a prefix to the name; others may have other fields in its place.
    if not block.startswith(tarfile.POSIX_MAGIC[:6], 257):
        entry.name = block[:100].split(b"\0")[0].decode("utf-8", "surrogateescape")
    return entry


def _checked(entry: tarfile.TarInfo, attributes: dict[bytes, bytes]) -> tarfile.TarInfo:
    """Apply the attributes from preceding headers; raise for anything but a plain file or folder."""
    name = attributes.get(b"path", entry.name.encode("utf-8", "surrogateescape"))
    try:
        entry.name = name.decode("utf-8")
    except UnicodeDecodeError:
        raise _archive_error(f"the name {name[:80]!r} is not UTF-8") from None
    if entry.type not in _PLAIN_TYPES:
        raise _archive_error(
            f"{entry.name!r} is a link, a device or another special file (type {entry.type!r})"
        )
    size = attributes.get(b"size", b"%d" % entry.size)
    if not size.isdigit() or len(size) > 20:
        raise _archive_error("the size of a member is invalid")
    # Before POSIX, a folder was a file whose name ends in a slash.
    if entry.isdir() or entry.name.endswith("/"):
        entry.type, size = tarfile.DIRTYPE, b"0"
    entry.name, entry.size = _normalize_name(entry.name), int(size)
    return entry


def _padded(size: int) -> int:
    """Return the size of a content and the zeros after it: whole blocks."""
    return size + -size % tarfile.BLOCKSIZE


def _parse_attributes(content: bytes) -> dict[bytes, bytes]:
    """Parse POSIX attributes: lines of "length key=value", where length counts the whole line in bytes."""
    found: dict[bytes, bytes] = {}
    start = 0
    while start < len(content):
        line = _ATTRIBUTE.match(content, start)
        stop = start + int(line[1]) if line else 0
        if line is None or not line.end() < stop <= len(content) or content[stop - 1 : stop] != b"\n":
            raise _archive_error("the attributes of a member are invalid")
        if line[2].startswith(b"GNU.sparse"):
            raise _archive_error("it holds a sparse file")
        found[line[2]] = content[line.end() : stop - 1]
        start = stop
    return found


def _normalize_name(name: str) -> str:
    """Remove "./" and doubled slashes from a member's name; raise if it points outside the archive."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    # Backslashes and drive letters lead out of a folder on Windows.
    if name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or name[1:2] == ":":
        raise _archive_error(f"the name {name!r} points outside of it")
    return "/".join(parts)


def _archive_error(problem: str) -> ArtifactError:
    """Make the error for an archive that is rejected as a whole."""
    return ArtifactError(
        f"The archive cannot be read: {problem}. Nothing of it was extracted. "
        "Download it again. If the error remains, do not trust the program that wrote the archive."
    )
