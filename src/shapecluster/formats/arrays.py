"""Named arrays in one file: checksummed, versioned, written atomically, and read without pickle.

::

    8 bytes    the magic
    4 bytes    version, little-endian like all that follows
    4 bytes    length of the header
               the header: JSON of the kind of content, its settings, and name, type and shape of each array
               the arrays, one after the other, in C order
    32 bytes   SHA-256 of everything before
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from shapecluster._files import atomic_write
from shapecluster.exceptions import ArtifactError
from shapecluster.formats._parsers import parse_json
from shapecluster.formats._streams import byte_view, fill_array, write_all

__all__ = ["ArrayFile", "read_arrays", "write_arrays"]

MAGIC = b"\x93SHPARR\n"
VERSION = 1

_MAX_HEADER_BYTES = 1 << 20
_DIGEST_BYTES = hashlib.sha256().digest_size
# No object and no text: reading one would need pickle, or sizes that the header does not state.
_DTYPES = ("<f4", "<f8", "<i4", "<i8", "|u1", "|b1")


@dataclass(frozen=True, eq=False)
class ArrayFile:
    """The content of a file of arrays.

    Attributes
    ----------
    settings : dict
        Values that JSON can represent: strings, numbers, None, lists and dicts of them.
    arrays : dict of str to ndarray
        The arrays by name.
    """

    settings: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


def write_arrays(
    path: str | os.PathLike[str], kind: str, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Write arrays to a file, atomically: an existing file is replaced once all bytes are on the disk.

    Parameters
    ----------
    path : str or path-like
        The file. Its folder must exist.
    kind : str
        A name for the kind of content, which `read_arrays` compares.
    settings : mapping
        Values that JSON can represent.
    arrays : mapping of str to ndarray
        Arrays of float32, float64, int32, int64, uint8 or bool.

    Raises
    ------
    TypeError
        If an array has another type, or JSON cannot represent the settings.
    OSError
        If the file cannot be written. An existing file then keeps its content.

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
    converted = {name: _to_little_endian(name, array) for name, array in arrays.items()}
    listing = [{"name": n, "dtype": a.dtype.str, "shape": list(a.shape)} for n, a in converted.items()]
    content = {"kind": kind, "settings": dict(settings), "arrays": listing}
    header = json.dumps(content, allow_nan=False).encode()
    if len(header) > _MAX_HEADER_BYTES:
        raise TypeError(
            f"settings must take at most {_MAX_HEADER_BYTES:,} bytes. Got {len(header):,} instead."
        )
    digest = hashlib.sha256()
    start = memoryview(MAGIC + VERSION.to_bytes(4, "little") + len(header).to_bytes(4, "little") + header)
    with atomic_write(path) as file:
        for piece in (start, *map(byte_view, converted.values())):
            digest.update(piece)
            write_all(file, piece)
        write_all(file, digest.digest())


def read_arrays(path: str | os.PathLike[str], kind: str) -> ArrayFile:
    """Read a file of arrays, and verify its size first and its checksum at the end.

    Parameters
    ----------
    path : str or path-like
        The file.
    kind : str
        The expected kind of content.

    Returns
    -------
    ArrayFile
        Settings and arrays. Memory never exceeds the size of the file by more than two megabytes.

    Raises
    ------
    ArtifactError
        If the file is of another kind or version, truncated, or damaged.
    OSError
        If the file cannot be read.

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
        header, listing = _read_header(file, size, digest, kind)
        arrays = {}
        for name, dtype, shape in listing:
            array = np.empty(shape, dtype=dtype)
            if not fill_array(file, array):  # its size was right before: another process truncated it
                raise ArtifactError("The file ended while it was read.")
            digest.update(byte_view(array))
            arrays[name] = array
        # One byte more than the checksum has, so that anything after it is damage too.
        if file.read(_DIGEST_BYTES + 1) != digest.digest():
            raise ArtifactError(
                "The file is damaged: its content does not match its checksum. Use another copy, or create "
                "the file again."
            )
    settings = header.get("settings")
    if header.get("kind") != kind or not isinstance(settings, dict):
        raise ArtifactError(f"The file must hold {kind!r}. Got {header.get('kind')!r} instead.")
    return ArrayFile(settings, arrays)


def _read_header(
    file: BinaryIO, size: int, digest: hashlib._Hash, kind: str
) -> tuple[dict[str, Any], list[tuple[str, str, tuple[int, ...]]]]:
    """Return the header, and from it name, type and shape of each array."""
    start = file.read(16)
    if start[:8] != MAGIC:
        raise ArtifactError(
            f"This is not a file of {kind!r}: it must begin with {MAGIC!r}. Got {start[:8]!r} instead."
        )
    version, length = int.from_bytes(start[8:12], "little"), int.from_bytes(start[12:16], "little")
    if len(start) == 16 and version != VERSION:
        raise ArtifactError(
            f"The file must be of version {VERSION}. Got version {version} instead. "
            f"{'Update shapecluster to read it' if version > VERSION else 'It is damaged'}."
        )
    if length > min(_MAX_HEADER_BYTES, size - 16 - _DIGEST_BYTES):
        raise ArtifactError(f"The file is truncated or damaged: its header claims {length:,} bytes.")
    text = file.read(length)
    digest.update(start + text)
    try:
        header = parse_json(text)
        listing = [(entry["name"], entry["dtype"], tuple(entry["shape"])) for entry in header["arrays"]]
        for name, dtype, shape in listing:
            # By exact type, because True is an int too.
            countable = all(type(length) is int and 0 <= length < 1 << 48 for length in shape)
            if not isinstance(name, str) or dtype not in _DTYPES or len(shape) > 8 or not countable:
                raise TypeError(f"{name!r} has no valid name, type or shape")
    except (ValueError, LookupError, TypeError) as error:
        raise ArtifactError("The file is damaged: its header has no valid list of arrays.") from error
    claimed = sum(prod(shape) * int(dtype[2]) for _, dtype, shape in listing)
    available = size - file.tell() - _DIGEST_BYTES
    if claimed != available or len({name for name, *_ in listing}) != len(listing):
        raise ArtifactError(
            f"The file is truncated or damaged: its arrays must take {claimed:,} bytes. Got {available:,} "
            "bytes instead."
        )
    return header, listing


def _to_little_endian(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Return the array in C order and little-endian, so that equal arrays give equal bytes."""
    dtype = array.dtype.newbyteorder("<")
    if dtype.str not in _DTYPES:
        raise TypeError(f"array {name!r} must be of one of the types {_DTYPES}. Got {array.dtype} instead.")
    return np.ascontiguousarray(array, dtype=dtype)
