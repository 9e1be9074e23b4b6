"""Reads tar archives that cannot be trusted: front to back, every header checked, nothing on disk touched.

Python's own `tarfile` believes what headers claim (sizes, sparse maps, negative lengths), and some of its
releases can be made to loop for ever. This one knows files and folders, long names and POSIX attributes, and
refuses everything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from shapecluster.exceptions import ArtifactError
from shapecluster.formats._streams import PIECE, Readable

BLOCK = 512
_LONGEST_NAME = 4096
_LONGEST_ATTRIBUTES = 1 << 16
_REFUSED = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a pipe",
    b"S": "a sparse file",
    b"M": "a part of a file",
}


class Entry(NamedTuple):
    """A file or folder of an archive: its name without a leading "./", and the size of its content."""

    name: str
    size: int
    is_file: bool


@dataclass
class _Attributes:
    """What records before a header say about the member that it heads."""

    name: bytes | None = None
    size: int | None = None
    seen: set[str] = field(default_factory=set)


class Tar:
    """The members of a stream, one after the other.

    Parameters
    ----------
    stream : Readable
        The archive, decompressed; holds its own limit on bytes.
    max_members : int
        The most members.
    """

    def __init__(self, stream: Readable, max_members: int) -> None:
        self._stream = stream
        self._max_members = max_members
        self._left = 0  # bytes of the member at hand, with its padding, that nobody took

    def __iter__(self) -> Iterator[Entry]:
        """Go through the members; the content of each can be taken until the next one is asked for."""
        attributes = _Attributes()
        n_headers = 0
        while (header := self._take(BLOCK)).count(0) != BLOCK:
            n_headers += 1
            if n_headers > 3 * self._max_members:
                raise refused(f"it has more than {self._max_members:,} members")
            _check_sum(header)
            kind = header[156:157]
            size = _number(header[124:136], "size")
            if kind in (b"L", b"x", b"g"):
                content = self._small(size, _LONGEST_NAME if kind == b"L" else _LONGEST_ATTRIBUTES)
                if kind == b"L":
                    attributes.name = content.rstrip(b"\0")
                elif kind == b"x":
                    _read_attributes(content, attributes)
                else:
                    _read_attributes(content, _Attributes())  # of all members: none that we use
                continue
            entry = _entry(header, kind, size, attributes)
            attributes = _Attributes()
            self._left = entry.size + -entry.size % BLOCK
            yield entry
            self._skip()
        self._check_end()

    def content(self, entry: Entry) -> bytes:
        """The content of the member that was given out last."""
        data = bytearray()
        while len(data) < entry.size:
            data += self._take(min(PIECE, entry.size - len(data)))
        self._left -= len(data)
        return bytes(data)

    def _skip(self) -> None:
        while self._left:
            self._left -= len(self._take(min(PIECE, self._left)))

    def _small(self, size: int, limit: int) -> bytes:
        if size > limit:
            raise refused(f"a name or its attributes take {size:,} bytes")
        content = self._take(size)
        self._take(-size % BLOCK)
        return content

    def _take(self, size: int) -> bytes:
        """Exactly so many bytes."""
        data = bytearray()
        while len(data) < size:
            piece = self._stream.read(size - len(data))
            if not piece:
                raise refused("it is cut short")
            data += piece
        return bytes(data)

    def _check_end(self) -> None:
        """After the first empty block nothing but zeros may follow; at least one more block does."""
        self._take(BLOCK)
        while piece := self._stream.read(PIECE):
            if piece.count(0) != len(piece):
                raise refused("something follows its end")


def _check_sum(header: bytes) -> None:
    """A header's checksum is taken with blanks in its own place; some programs sum signed bytes."""
    claimed = _number(header[148:156], "checksum")
    plain = header[:148] + b" " * 8 + header[156:]
    if claimed not in (sum(plain), sum(byte - 256 if byte > 127 else byte for byte in plain)):
        raise refused("a header does not match its checksum")


def _number(field: bytes, what: str) -> int:
    """An octal number in ASCII, or a large one in binary."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.split(b"\0", 1)[0].strip(b" ")
    if any(digit not in b"01234567" for digit in digits):
        raise refused(f"the {what} of a member makes no sense")
    return int(digits or b"0", 8)


def _read_attributes(content: bytes, attributes: _Attributes) -> None:
    """POSIX attributes: lines of "length key=value", the length in bytes being that of the whole line."""
    at = 0
    while at < len(content):
        digits, blank, _ = content[at : at + 8].partition(b" ")
        length = int(digits) if digits.isdigit() else 0
        line = content[at + len(digits) + 1 : at + length]
        key, equals, value = line[:-1].partition(b"=")
        if not blank or length > len(content) - at or line[-1:] != b"\n" or not equals:
            raise refused("the attributes of a member make no sense")
        if key == b"path":
            attributes.name = value
        elif key == b"size":
            if not value.isdigit() or len(value) > 20:
                raise refused("the size of a member makes no sense")
            attributes.size = int(value)
        elif key.startswith(b"GNU.sparse"):
            raise refused("it holds a sparse file")
        at += length


def _entry(header: bytes, kind: bytes, size: int, attributes: _Attributes) -> Entry:
    name = attributes.name
    if name is None:
        name = header[:100].split(b"\0", 1)[0]
        prefix = header[345:500].split(b"\0", 1)[0]
        if header[257:263] == b"ustar\0" and prefix:
            name = prefix + b"/" + name
    is_file = kind in (b"0", b"\0", b"7") and not name.endswith(b"/")
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError:
        raise refused(f"the name {name[:80]!r} is not UTF-8") from None
    if kind not in (b"0", b"\0", b"5", b"7"):
        raise refused(f"{text!r} is {_REFUSED.get(kind, f'of the unknown type {kind!r}')}, not a file")
    if attributes.size is not None:
        size = attributes.size
    return Entry(safe_name(text), size if is_file else 0, is_file)


def safe_name(name: str) -> str:
    """A name inside the archive's own folder, without "./" and doubled slashes; others are refused."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or name[1:2] == ":":
        raise refused(f"the name {name!r} leads out of it")
    return "/".join(parts)


def refused(problem: str) -> ArtifactError:
    """The error for an archive that is not read to its end."""
    return ArtifactError(
        f"The archive cannot be read: {problem}. Nothing of it was extracted. "
        "Download it again; if that does not help, do not trust the program that wrote it."
    )
