"""One file of named arrays: checksummed, versioned, written whole or not at all, and never unpickled.

::

    8 bytes    the magic
    4 bytes    version, little-endian like all that follows
    4 bytes    length of the header
               the header: JSON of the kind of content, its settings, and name, type and shape of each array
               the arrays, one after the other, C order
    32 bytes   SHA-256 of everything before
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from shapecluster.exceptions import ArtifactError
from shapecluster.formats._streams import PIECE, write_all

__all__ = ["ArrayFile", "read_arrays", "write_arrays"]

MAGIC = b"\x93SHPARR\n"
VERSION = 1

_MAX_HEADER = 1 << 20
_DIGEST = hashlib.sha256().digest_size
_TYPES = ("<f4", "<f8", "<i4", "<i8", "|u1", "|b1")


@dataclass(frozen=True, eq=False)
class ArrayFile:
    """What a file of arrays holds.

    Attributes
    ----------
    settings : dict
        What JSON can tell: strings, numbers, None, lists and dicts of them.
    arrays : dict of str to ndarray
        By name.
    """

    settings: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


def write_arrays(
    path: str | os.PathLike[str], kind: str, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Write arrays to a file, which is replaced in one step once all is on the disk.

    Parameters
    ----------
    path : str or path-like
        The file; its folder must exist.
    kind : str
        What the content is; whoever reads must ask for the same.
    settings : mapping
        What JSON can tell.
    arrays : mapping of str to ndarray
        Of float32, float64, int32, int64, uint8 or bool.

    Raises
    ------
    TypeError
        For arrays of other types, and for settings that JSON cannot tell.
    OSError
        When the file cannot be written; an older one is left as it was.

    Examples
    --------
    >>> import numpy as np, tempfile, pathlib
    >>> from shapecluster.formats import read_arrays, write_arrays
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "example.arrays")
    ...     write_arrays(path, "example", {"unit": "days"}, {"lags": np.arange(3)})
    ...     read_arrays(path, "example").arrays["lags"].tolist()
    [0, 1, 2]
    """
    little = {name: _little(name, array) for name, array in arrays.items()}
    told = [{"name": n, "dtype": a.dtype.str, "shape": list(a.shape)} for n, a in little.items()]
    content = {"kind": kind, "settings": dict(settings), "arrays": told}
    header = json.dumps(content, allow_nan=False).encode()
    if len(header) > _MAX_HEADER:
        raise TypeError(f"settings must take at most {_MAX_HEADER:,} bytes. Got {len(header):,} instead.")
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(unfinished, "xb") as file:
            digest = hashlib.sha256()
            start = MAGIC + VERSION.to_bytes(4, "little") + len(header).to_bytes(4, "little") + header
            pieces: list[bytes | memoryview] = [start]
            pieces += [_bytes_of(array) for array in little.values() if array.size]
            for piece in pieces:
                digest.update(piece)
                write_all(file, piece)
            write_all(file, digest.digest())
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise


def read_arrays(path: str | os.PathLike[str], kind: str) -> ArrayFile:
    """Read a file of arrays, once its size and afterward its checksum are found to be right.

    Parameters
    ----------
    path : str or path-like
        The file.
    kind : str
        What the content has to be.

    Returns
    -------
    ArrayFile
        Settings and arrays. Memory never exceeds the size of the file by more than a megabyte or two.

    Raises
    ------
    ArtifactError
        When the file is of another kind or version, cut short, or damaged.
    OSError
        When it cannot be read.

    Examples
    --------
    >>> import numpy as np, tempfile, pathlib
    >>> from shapecluster.formats import read_arrays, write_arrays
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "example.arrays")
    ...     write_arrays(path, "example", {"unit": "days"}, {"lags": np.arange(3)})
    ...     read_arrays(path, "example").settings
    {'unit': 'days'}
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        digest = hashlib.sha256()
        header = _read_header(file, size, digest, kind)
        arrays = {}
        for name, dtype, shape in _listed(header, size - file.tell() - _DIGEST):
            array = np.empty(shape, dtype=dtype)
            if array.size:
                _fill(file, _bytes_of(array), digest)
            arrays[name] = array
        if file.read(_DIGEST + 1) != digest.digest():
            raise ArtifactError(
                "The file is damaged: its content does not have the checksum it was written with. Take "
                "another copy, or make it anew."
            )
    settings = header.get("settings")
    if header.get("kind") != kind or not isinstance(settings, dict):
        raise ArtifactError(f"The file must hold {kind!r}. Got {header.get('kind')!r} instead.")
    return ArrayFile(settings, arrays)


def _read_header(file: BinaryIO, size: int, digest: Any, kind: str) -> dict[str, Any]:
    start = file.read(16)
    if start[:8] != MAGIC:
        raise ArtifactError(
            f"This is no file of {kind!r}: it must begin with {MAGIC!r}. Got {start[:8]!r} instead."
        )
    version, length = int.from_bytes(start[8:12], "little"), int.from_bytes(start[12:16], "little")
    if len(start) == 16 and version != VERSION:
        raise ArtifactError(
            f"The file must be of version {VERSION}. Got version {version} instead. "
            f"{'Update shapecluster to read it' if version > VERSION else 'It is damaged'}."
        )
    if length > min(_MAX_HEADER, size - 16 - _DIGEST):
        raise ArtifactError(f"The file is cut short or damaged: its header claims {length:,} bytes.")
    text = file.read(length)
    digest.update(start + text)
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ArtifactError("The file is damaged: its header is no JSON.") from error
    if not isinstance(header, dict):
        raise ArtifactError("The file is damaged: its header is no JSON object.")
    return header


def _listed(header: dict[str, Any], available: int) -> list[tuple[str, str, tuple[int, ...]]]:
    """Name, type and shape of each array, which must take all the bytes there are."""
    listed = []
    try:
        for entry in header["arrays"]:
            name, dtype, shape = entry["name"], entry["dtype"], tuple(entry["shape"])
            if not isinstance(name, str) or dtype not in _TYPES or len(shape) > 8:
                raise TypeError
            if any(type(length) is not int or not 0 <= length < 1 << 48 for length in shape):
                raise TypeError
            listed.append((name, dtype, shape))
    except (KeyError, TypeError) as error:
        raise ArtifactError("The file is damaged: its header does not list arrays as it should.") from error
    claimed = sum(prod(shape) * int(dtype[2]) for _, dtype, shape in listed)
    if claimed != available or len({name for name, *_ in listed}) != len(listed):
        raise ArtifactError(
            f"The file is cut short or damaged: its arrays must take {claimed:,} bytes. Got {available:,} "
            "bytes instead."
        )
    return listed


def _fill(file: BinaryIO, buffer: memoryview, digest: Any) -> None:
    done = 0
    while done < len(buffer):
        piece = file.read(min(PIECE, len(buffer) - done))
        if not piece:
            raise ArtifactError("The file ended while it was read.")
        buffer[done : done + len(piece)] = piece
        digest.update(piece)
        done += len(piece)


def _little(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """The array in C order and little-endian."""
    dtype = array.dtype.newbyteorder("<")
    if dtype.str not in _TYPES:
        raise TypeError(f"array {name!r} must be of one of the types {_TYPES}. Got {array.dtype} instead.")
    return np.ascontiguousarray(array, dtype=dtype)


def _bytes_of(array: NDArray[Any]) -> memoryview:
    flat: Any = array.reshape(-1).view(np.uint8)
    return memoryview(flat)
