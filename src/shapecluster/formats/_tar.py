"""A tar reader for untrusted archives: from front to back, every header checked, nothing written to disk.

Python's `tarfile` trusts what headers claim (sizes, sparse maps, negative lengths), and crafted archives put
some of its releases into an endless loop. This reader accepts files, folders, long names and POSIX
attributes, and rejects everything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from shapecluster.exceptions import ArtifactError
from shapecluster.formats._streams import CHUNK_BYTES, Readable

BLOCK_BYTES = 512
_MAX_NAME_BYTES = 4096
_MAX_ATTRIBUTES_BYTES = 1 << 16
_HEADERS_PER_MEMBER = 3  # its own, and before it one with a long name and one with attributes
_REJECTED_TYPES = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a pipe",
    b"S": "a sparse file",
    b"M": "a part of a file",
}


class TarEntry(NamedTuple):
    """A file or folder of an archive: its name without a leading "./", and the size of its content."""

    name: str
    size: int
    is_file: bool


@dataclass
class _Attributes:
    """Name and size from the headers that precede the header of a member."""

    name: bytes | None = None
    size: int | None = None


class TarReader:
    """Iterate over the members of a tar stream.

    Parameters
    ----------
    stream : Readable
        The decompressed archive. It enforces its own limit on bytes.
    max_members : int
        The maximum number of members.
    """

    def __init__(self, stream: Readable, max_members: int) -> None:
        self._stream = stream
        self._max_members = max_members
        self._n_unread = 0  # bytes of the current member and its padding

    def __iter__(self) -> Iterator[TarEntry]:
        """Iterate over the members; the content of each can be read until the next one is requested."""
        attributes = _Attributes()
        n_headers = 0
        while (header := self._read_exactly(BLOCK_BYTES)).count(0) != BLOCK_BYTES:
            n_headers += 1
            if n_headers > _HEADERS_PER_MEMBER * self._max_members:
                raise archive_error(f"it has more than {self._max_members:,} members")
            _check_checksum(header)
            typeflag = header[156:157]
            size = _parse_number(header[124:136], "size")
            if typeflag in (b"L", b"x", b"g"):
                limit = _MAX_NAME_BYTES if typeflag == b"L" else _MAX_ATTRIBUTES_BYTES
                content = self._read_extension(size, limit)
                if typeflag == b"L":
                    attributes.name = content.rstrip(b"\0")
                elif typeflag == b"x":
                    _parse_attributes(content, attributes)
                else:
                    # Attributes of all members: parsed to reject damage and sparse files, then dropped.
                    _parse_attributes(content, _Attributes())
                continue
            entry = _parse_entry(header, typeflag, size, attributes)
            attributes = _Attributes()
            self._n_unread = entry.size + -entry.size % BLOCK_BYTES
            yield entry
            self._skip_content()
        self._check_end()

    def read_content(self, entry: TarEntry) -> bytes:
        """Read the content of the member that was yielded last."""
        data = bytearray()
        while len(data) < entry.size:
            data += self._read_exactly(min(CHUNK_BYTES, entry.size - len(data)))
        self._n_unread -= len(data)
        return bytes(data)

    def _skip_content(self) -> None:
        while self._n_unread:
            self._n_unread -= len(self._read_exactly(min(CHUNK_BYTES, self._n_unread)))

    def _read_extension(self, size: int, limit: int) -> bytes:
        """Read the content of a header that describes the next member."""
        if size > limit:
            raise archive_error(f"a name or its attributes take {size:,} bytes")
        content = self._read_exactly(size)
        self._read_exactly(-size % BLOCK_BYTES)
        return content

    def _read_exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            chunk = self._stream.read(size - len(data))
            if not chunk:
                raise archive_error("it is truncated")
            data += chunk
        return bytes(data)

    def _check_end(self) -> None:
        """Check that at least one more empty block and only zeros follow the first empty block."""
        self._read_exactly(BLOCK_BYTES)
        while chunk := self._stream.read(CHUNK_BYTES):
            if chunk.count(0) != len(chunk):
                raise archive_error("something follows its end")


def _check_checksum(header: bytes) -> None:
    claimed = _parse_number(header[148:156], "checksum")
    # The sum counts its own field as blanks, and some old programs summed signed bytes.
    plain = header[:148] + b" " * 8 + header[156:]
    if claimed not in (sum(plain), sum(byte - 256 if byte > 127 else byte for byte in plain)):
        raise archive_error("a header does not match its checksum")


def _parse_number(field: bytes, field_name: str) -> int:
    """Parse an octal number in ASCII, or a large one in binary."""
    if field[0] == 0x80:  # GNU's extension for members beyond 8 GiB
        return int.from_bytes(field[1:], "big")
    digits = field.split(b"\0", 1)[0].strip(b" ")
    # int() would also accept signs and underscores, and so a negative size.
    if any(digit not in b"01234567" for digit in digits):
        raise archive_error(f"the {field_name} of a member is invalid")
    return int(digits or b"0", 8)


def _parse_attributes(content: bytes, attributes: _Attributes) -> None:
    """Parse POSIX attributes: lines of "length key=value", where length counts the whole line in bytes."""
    start = 0
    while start < len(content):
        digits, blank, _ = content[start : start + 8].partition(b" ")
        length = int(digits) if digits.isdigit() else 0
        line = content[start + len(digits) + 1 : start + length]
        key, equals, value = line[:-1].partition(b"=")
        if not blank or length > len(content) - start or line[-1:] != b"\n" or not equals:
            raise archive_error("the attributes of a member are invalid")
        if key == b"path":
            attributes.name = value
        elif key == b"size":
            if not value.isdigit() or len(value) > 20:
                raise archive_error("the size of a member is invalid")
            attributes.size = int(value)
        elif key.startswith(b"GNU.sparse"):
            raise archive_error("it holds a sparse file")
        start += length


def _parse_entry(header: bytes, typeflag: bytes, size: int, attributes: _Attributes) -> TarEntry:
    name = attributes.name
    if name is None:
        name = header[:100].split(b"\0", 1)[0]
        prefix = header[345:500].split(b"\0", 1)[0]
        # GNU archives have other fields in the place of the prefix; their magic ends in a blank.
        if header[257:263] == b"ustar\0" and prefix:
            name = prefix + b"/" + name
    # Before POSIX, a folder was a file whose name ends in a slash.
    is_file = typeflag in (b"0", b"\0", b"7") and not name.endswith(b"/")
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError:
        raise archive_error(f"the name {name[:80]!r} is not UTF-8") from None
    if typeflag not in (b"0", b"\0", b"5", b"7"):
        kind = _REJECTED_TYPES.get(typeflag, f"of the unknown type {typeflag!r}")
        raise archive_error(f"{text!r} is {kind}, not a file")
    if attributes.size is not None:
        size = attributes.size
    return TarEntry(normalize_name(text), size if is_file else 0, is_file)


def normalize_name(name: str) -> str:
    """Remove "./" and doubled slashes from a member's name; raise if it points outside the archive."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    # Backslashes and drive letters lead out of a folder on Windows.
    if name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or name[1:2] == ":":
        raise archive_error(f"the name {name!r} points outside of it")
    return "/".join(parts)


def archive_error(problem: str) -> ArtifactError:
    """Make the error for an archive that is rejected as a whole."""
    return ArtifactError(
        f"The archive cannot be read: {problem}. Nothing of it was extracted. "
        "Download it again. If the error remains, do not trust the program that wrote the archive."
    )
