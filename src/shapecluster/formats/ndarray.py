"""Lists of arrays as MXNet saves them, which is how the built-in K-Means stores its centers.

```
u64 0x112 | u64 0 | u64 n_arrays | arrays | u64 n_names | (u64 length, bytes) per name
```
All numbers are little-endian. There are four layouts of an array (V0 to V3); all are read, V2 is written.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapecluster.exceptions import ArtifactError
from shapecluster.formats._streams import Bytes, check_size

__all__ = ["ArrayList", "decode_ndarrays", "encode_ndarrays"]

_LIST = 0x112
_V1, _V2, _V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_DENSE = 0
_CPU = 1
_MOST_DIMENSIONS = 32
_DTYPES = [np.dtype(code) for code in ("<f4", "<f8", "<f2", "u1", "<i4", "i1", "<i8")]
MAX_BYTES = 1 << 30
MAX_ARRAYS = 10_000


@dataclass(frozen=True, eq=False)
class ArrayList:
    """Arrays, and their names if they have any.

    Attributes
    ----------
    arrays : list of ndarray
        In the order of the file; float16, float32, float64, int8, int32, int64 or uint8.
    names : list of str
        As many as there are arrays, or none.
    """

    arrays: list[NDArray[Any]]
    names: list[str]


def encode_ndarrays(arrays: Sequence[NDArray[Any]], names: Sequence[str] = ()) -> bytes:
    """The bytes of a list of arrays, in layout V2.

    Parameters
    ----------
    arrays : sequence of ndarray
        With one dimension or more, none of them of length 0; float16, float32, float64, int8, int32, int64
        or uint8.
    names : sequence of str, default=()
        As many as there are arrays, or none.

    Returns
    -------
    bytes
        What MXNet's own `save` writes.

    Raises
    ------
    ValueError
        If an array cannot be written, or the names do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from shapecluster.formats import decode_ndarrays, encode_ndarrays
    >>> data = encode_ndarrays([np.ones((3, 4), dtype=np.float32)])
    >>> len(data)
    120
    >>> decode_ndarrays(data).arrays[0].shape
    (3, 4)
    """
    if names and len(names) != len(arrays):
        raise ValueError(
            f"names must be none, or one for each of {len(arrays)} arrays. Got {len(names)} instead."
        )
    out = [struct.pack("<QQQ", _LIST, 0, len(arrays))]
    for number, array in enumerate(arrays):
        values = np.asarray(array)
        dtype = values.dtype.newbyteorder("<")
        if dtype not in _DTYPES or not 0 < values.ndim <= _MOST_DIMENSIONS or not values.size:
            raise ValueError(
                f"array {number} must hold at least one number, in 1 to {_MOST_DIMENSIONS} dimensions, of "
                f"{', '.join(d.name for d in _DTYPES)}. Got shape {values.shape} of {values.dtype} instead."
            )
        out += [
            struct.pack(f"<Iii{values.ndim}q", _V2, _DENSE, values.ndim, *values.shape),
            struct.pack("<iii", _CPU, 0, _DTYPES.index(dtype)),
            values.astype(dtype).tobytes(),
        ]
    out.append(struct.pack("<Q", len(names)))
    for name in names:
        text = name.encode()
        out += [struct.pack("<Q", len(text)), text]
    return b"".join(out)


def decode_ndarrays(data: Bytes, *, max_bytes: int = MAX_BYTES, max_arrays: int = MAX_ARRAYS) -> ArrayList:
    """Read a list of arrays; if the bytes are a zip archive, the list in it.

    Parameters
    ----------
    data : bytes
        All of it: what follows the list is an error.
    max_bytes : int, default=1 GiB
        The most that the list may have.
    max_arrays : int, default=10,000
        The most arrays that it may have.

    Returns
    -------
    ArrayList
        The arrays, copied out of the bytes, and their names.

    Raises
    ------
    ArtifactError
        If the bytes are not such a list, whole and dense. Sizes are checked before anything is allocated.

    Examples
    --------
    >>> from shapecluster.formats import decode_ndarrays
    >>> decode_ndarrays(b"k,m")
    Traceback (most recent call last):
        ...
    shapecluster.exceptions.ArtifactError: The NDArray list cannot be read: it ends at byte 3, where 5 more...
    """
    view = check_size(data, max_bytes, "An NDArray list")
    if bytes(view[:2]) == b"PK":
        view = memoryview(_unzipped(view, max_bytes))
    reader = _ByteReader(view)
    magic, reserved, n_arrays = reader.u64(), reader.u64(), reader.u64()
    if magic != _LIST or reserved:
        raise _damaged(f"it starts with {magic:#x}, {reserved:#x} where {_LIST:#x}, 0x0 was expected")
    if n_arrays > max_arrays:
        raise _damaged(f"it claims {n_arrays:,} arrays, above the limit of {max_arrays:,} (`max_arrays`)")
    arrays = [_array(reader, number) for number in range(n_arrays)]
    n_names = reader.u64()
    if n_names not in (0, n_arrays):
        raise _damaged(f"it has {n_names:,} names for {n_arrays:,} arrays")
    names = [_name(reader) for _ in range(n_names)]
    if reader.at != len(view):
        raise _damaged(f"{len(view) - reader.at:,} bytes follow its end")
    return ArrayList(arrays, names)


class _ByteReader:
    """Takes numbers and bytes from the front, never beyond the end."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self.at = 0

    def take(self, size: int) -> memoryview:
        left = len(self._data) - self.at
        if size > left:
            raise _damaged(f"it ends at byte {len(self._data)}, where {size - left:,} more were expected")
        self.at += size
        return self._data[self.at - size : self.at]

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def i32(self) -> int:
        return int.from_bytes(self.take(4), "little", signed=True)

    def u64(self) -> int:
        return int.from_bytes(self.take(8), "little")

    def i64(self) -> int:
        return int.from_bytes(self.take(8), "little", signed=True)


def _array(reader: _ByteReader, number: int) -> NDArray[Any]:
    magic = reader.u32()
    if magic in (_V2, _V3):
        storage = reader.i32()
        if storage != _DENSE:
            raise _damaged(f"array {number} has storage type {storage}: only dense arrays (0) can be read")
        n_dimensions = reader.i32()
    else:
        n_dimensions = reader.u32() if magic == _V1 else magic
    if not 0 <= n_dimensions <= _MOST_DIMENSIONS:
        raise _damaged(f"array {number} has {n_dimensions} dimensions, or starts with a number of no layout")
    if n_dimensions == 0 and magic != _V3:
        return np.empty(0, dtype=np.float32)
    old = magic not in (_V1, _V2, _V3)
    shape = [reader.u32() if old else reader.i64() for _ in range(n_dimensions)]
    reader.take(8)  # the device that the array was on
    code = reader.i32()
    if not 0 <= code < len(_DTYPES):
        raise _damaged(f"array {number} has the unknown type {code}")
    dtype = _DTYPES[code]
    # NumPy has a word to say about dimensions beside an empty one, too.
    if min(shape, default=1) < 0 or math.prod(max(n, 1) for n in shape) * dtype.itemsize >= 1 << 63:
        raise _damaged(f"array {number} has the impossible shape {shape}")
    raw = reader.take(math.prod(shape) * dtype.itemsize)
    return np.frombuffer(raw, dtype=dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _name(reader: _ByteReader) -> str:
    try:
        return str(reader.take(reader.u64()), "utf-8")
    except UnicodeDecodeError:
        raise _damaged(f"the name before byte {reader.at} is not UTF-8") from None


def _unzipped(data: memoryview, max_bytes: int) -> bytes:
    """The first member of a zip archive that is an NDArray list."""
    start = struct.pack("<Q", _LIST)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.infolist():
                if member.is_dir() or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    continue
                with archive.open(member) as file:
                    if file.read(len(start)) != start:
                        continue
                    content = start + file.read(max_bytes - len(start) + 1)
                if len(content) > max_bytes:
                    raise _damaged(
                        f"{member.filename!r} in its zip archive has more than {max_bytes:,} bytes"
                    )
                return content
    except ArtifactError:
        raise
    # The module for zip archives has many ways of saying that one is damaged, locked or too new.
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        raise _damaged(f"its zip archive is damaged ({error})") from None
    except (ValueError, struct.error, OverflowError, UnicodeError, IndexError) as error:
        raise _damaged(f"its zip archive makes no sense ({error})") from None
    raise _damaged("no member of its zip archive is an NDArray list")


def _damaged(problem: str) -> ArtifactError:
    return ArtifactError(
        f"The NDArray list cannot be read: {problem}. The file is damaged, cut short or of another format: "
        "download it again, or look at how the model was saved."
    )
