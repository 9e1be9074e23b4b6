"""Unpack a model.tar.gz for a server, as SageMaker does before it starts one."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from shapecluster.exceptions import InvalidRequestError

MAX_BYTES = 2**31  # of all files together


def unpack(file: BinaryIO, target: Path) -> None:
    """Write the plain files of an archive below a folder.

    Raises
    ------
    InvalidRequestError
        When it is not an archive, is too large, or has a member that would lie outside the folder.
    """
    problem = ""
    try:
        # As a stream, so that a small file that expands enormously is given up in time.
        with tarfile.open(fileobj=file, mode="r|gz") as archive:
            left = MAX_BYTES
            for member in archive:
                left -= member.size
                problem = problem or _problem(member, left)
                if problem:
                    break
                _write(archive, member, target)
    except (tarfile.TarError, OSError, EOFError) as error:
        problem = f"it cannot be read ({error})"
    if problem:
        raise InvalidRequestError(f"The model's archive is refused: {problem}.")


def _problem(member: tarfile.TarInfo, left: int) -> str:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        return f"its member {member.name!r} lies outside"
    if not member.isfile() and not member.isdir():
        return f"its member {member.name!r} is neither a file nor a folder"
    return f"it holds more than {MAX_BYTES} bytes" if left < 0 else ""


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    path = target / member.name
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    source = archive.extractfile(member)
    if source is not None:
        with source, path.open("wb") as copy:
            shutil.copyfileobj(source, copy)
