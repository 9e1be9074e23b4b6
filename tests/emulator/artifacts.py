"""model.tar.gz: as a job leaves it, and spoiled in the ways that a reader must survive."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path


def packed(folders: list[Path]) -> bytes:
    """The files of folders as tar.gz; where two hosts left the same name, the first one's stays."""
    buffer = io.BytesIO()
    seen: set[str] = set()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as tar:
        for folder in folders:
            for path in sorted(folder.rglob("*")):
                name = path.relative_to(folder).as_posix()
                if name not in seen:
                    seen.add(name)
                    tar.add(path, name, recursive=False)
    return buffer.getvalue()


def spoiled(archive: bytes, spoil: str, size: int) -> bytes | None:
    """What is uploaded in the archive's place; None: nothing."""
    if spoil == "missing":
        return None
    if spoil == "truncated":
        return archive[: len(archive) // 2]
    if spoil == "garbage":
        return b"<html>not an archive</html>" * 20
    if spoil == "oversize":
        return _oversize(archive, size)
    return _rewritten(archive, spoil)


def _rewritten(archive: bytes, spoil: str) -> bytes:
    buffer = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(archive)) as old,
        tarfile.open(fileobj=buffer, mode="w:gz") as new,
    ):
        for member in old.getmembers():
            content = old.extractfile(member)
            if spoil == "traversal":
                member.name = f"../../{member.name}"
            else:
                assert spoil == "absolute link", f"no such way to spoil an archive: {spoil}"
                member.type, member.linkname, member.size, content = tarfile.SYMTYPE, "/etc/passwd", 0, None
            new.addfile(member, content)
    return buffer.getvalue()


def _oversize(archive: bytes, size: int) -> bytes:
    """Each file padded with zeros to `size`: a few KiB of gzip, which are cheap to make and dear to read."""
    mebibyte = gzip.compress(bytes(1 << 20))
    parts = []
    with tarfile.open(fileobj=io.BytesIO(archive)) as old:
        for member in old.getmembers():
            if member.isfile():
                member.size = size - size % (1 << 20)
                parts.append(gzip.compress(member.tobuf(tarfile.GNU_FORMAT)))
                parts += [mebibyte] * (member.size >> 20)
    return b"".join(parts) + gzip.compress(bytes(1024))
