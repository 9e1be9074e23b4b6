"""Atomic writes: a file gets its new content as a whole, or keeps the old content.

The content is written to a temporary file in the folder of the target, which then replaces the target in one
step. A writer that fails or is interrupted removes its temporary file. A killed writer cannot. Each write
therefore sweeps the folder first: it removes temporary files whose writers no longer run.

A writer holds a lock (`flock`) on its temporary file, and the kernel releases it when the process ends. The
sweep removes only files that it could lock itself:

- Threads, processes and containers on one machine share the kernel's locks. The next write removes the file
  of a killed writer, and never the file of a live one.
- Other machines may not share the locks, as on NFS mounted with ``nolock``. The name of a temporary file
  tells the machine and its boot. A file of another boot must also be unchanged for a day.
- Where a file system has no locks, and on Windows, nothing is removed.
"""

from __future__ import annotations

import errno
import os
import platform
import re
import secrets
import shutil
import stat
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

if sys.platform != "win32":
    import fcntl

_PREFIX = ".shapecluster-"
_NAME = re.compile(re.escape(_PREFIX) + r"([0-9a-f]{8})-[0-9a-f]{16}(\.\w{1,16})?", re.ASCII)
_SUFFIX = re.compile(r"\.\w{1,16}", re.ASCII)
_ABANDONED = 86_400.0
"""Seconds without a change after which a temporary file of another boot has no writer."""


def _boot_id() -> str:
    """Eight characters that differ between machines, and between boots where the system tells."""
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_text("ascii")
    except OSError:
        text = platform.node()
    return f"{zlib.crc32(text.encode()):08x}"


_BOOT = _boot_id()


@contextmanager
def atomic_write(path: str | os.PathLike[str], *, stage: Path | None = None) -> Iterator[BinaryIO]:
    """Replace a file when its new content is complete and on the disk.

    A symbolic link stays one: the file that it names is replaced. The new file has the permissions that
    `open` would give.

    Parameters
    ----------
    path : str or path-like
        The file. Its folder must exist when the content is complete.
    stage : Path, default=None
        The folder of the temporary file, on the same file system. None is the folder of the target.

    Yields
    ------
    BinaryIO
        The temporary file. Writers that need a path take its `name`, which ends as the target's name.

    Raises
    ------
    OSError
        If the file cannot be written; the file then keeps its content.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if target.exists() and not target.is_file():  # a device would be replaced by a file
        raise OSError(errno.EINVAL, "Not a regular file", os.fspath(path))
    folder = target.parent if stage is None else stage
    sweep(folder)
    suffix = target.suffix if _SUFFIX.fullmatch(target.suffix) else ""
    temporary = folder / new_name(suffix)
    file: BinaryIO | None = None
    try:
        try:
            file = _create(temporary)
            # A sweep that locked the new file first removes it, so another one is needed.
            while _lock(file.fileno()) is False or not temporary.exists():
                file.close()
                temporary = folder / new_name(suffix)
                file = _create(temporary)
        except OSError as error:  # the message must name the user's file, not the temporary one
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error
        yield file
        file.flush()
        with suppress(OSError):  # no such file yet, or a file system without permissions
            os.chmod(temporary, stat.S_IMODE(target.stat().st_mode))
        os.fsync(file.fileno())  # else a crash can leave the new name with no content
        if sys.platform == "win32":
            file.close()  # Windows does not rename an open file; elsewhere it holds the lock
        os.replace(temporary, target)
        _sync_folder(target.parent)
        file.close()
    except BaseException:  # also KeyboardInterrupt
        if file is not None:
            with suppress(OSError):  # closing writes what is buffered, which fails again on a full disk
                file.close()
        with suppress(OSError):
            temporary.unlink()
        raise


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """Create a folder that is removed at the end of the block, or swept when its process was killed.

    Parameters
    ----------
    parent : Path
        The folder to create it in.

    Yields
    ------
    Path
        The temporary folder.
    """
    sweep(parent)
    path = parent / new_name()
    descriptor: int | None = None
    try:
        path.mkdir()
        with suppress(OSError):  # Windows opens no folder
            descriptor = os.open(path, os.O_RDONLY)
            _lock(descriptor, wait=True)  # a sweep that holds it removes the folder
        if path.exists():
            yield path
        else:
            with temporary_folder(parent) as another:
                yield another
    finally:
        shutil.rmtree(path, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def move(source: Path, target: Path) -> None:
    """Move a complete file to another name on the same file system, in one step."""
    with source.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(source, target)
    _sync_folder(target.parent)


def new_name(suffix: str = "") -> str:
    """Draw a name for a temporary file or folder of this machine."""
    return f"{_PREFIX}{_BOOT}-{secrets.token_hex(8)}{suffix}"


def sweep(folder: Path) -> None:
    """Remove temporary files and folders whose writers no longer run."""
    found: list[os.DirEntry[str]] = []
    with suppress(OSError), os.scandir(folder) as entries:
        found = [entry for entry in entries if entry.name.startswith(_PREFIX)]
    for entry in found:
        # Another process may be sweeping too, and files of other users cannot be opened.
        with suppress(OSError):
            _remove_abandoned(entry)


def _remove_abandoned(entry: os.DirEntry[str]) -> None:
    match = _NAME.fullmatch(entry.name)
    if match is None or entry.is_symlink():
        return
    age = time.time() - entry.stat(follow_symlinks=False).st_mtime
    if match[1] != _BOOT and age < _ABANDONED:
        return
    is_folder = entry.is_dir()
    descriptor = os.open(entry.path, os.O_RDONLY if is_folder else os.O_RDWR)
    try:
        if _lock(descriptor):
            # Names are drawn once: a writer that has just finished leaves nothing under this one.
            if is_folder:
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                os.unlink(entry.path)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, *, wait: bool = False) -> bool | None:
    """Lock an open file until it is closed; False if another holds it, None if there are no locks."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _create(path: Path) -> BinaryIO:
    return open(path, "xb")


def _sync_folder(folder: Path) -> None:
    """Make a new name durable where the system can; the file was replaced already, so no error is raised."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
