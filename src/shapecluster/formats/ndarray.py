"""MXNet NDArray lists, the format in which the built-in K-Means stores its centers.

```
u64 0x112 | u64 0 | u64 n_arrays | arrays | u64 n_names | (u64 length, bytes) per name
```
All numbers are little-endian. An array has one of four layouts (V0 to V3): all are read, and V2 is written.
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
from shapecluster.formats._streams import BytesLike, bounded_view

__all__ = ["ArrayList", "decode_ndarrays", "encode_ndarrays"]

_LIST_MAGIC = 0x112
_MAGIC_V1, _MAGIC_V2, _MAGIC_V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_DENSE = 0
_CPU = 1
_MAX_DIMENSIONS = 32  # of a NumPy array
# A type's code in the file is its place in this list.
_DTYPES = [np.dtype(code) for code in ("<f4", "<f8", "<f2", "u1", "<i4", "i1", "<i8")]
MAX_BYTES = 1 << 30
MAX_ARRAYS = 10_000


@dataclass(frozen=True, eq=False)
class ArrayList:
    """Arrays of an NDArray list, with their names if they have any.

    Attributes
    ----------
    arrays : list of ndarray
        Arrays of float16, float32, float64, int8, int32, int64 or uint8, in the order of the file.
    names : list of str
        One name per array, or an empty list.
    """

    arrays: list[NDArray[Any]]
    names: list[str]


def encode_ndarrays(arrays: Sequence[NDArray[Any]], names: Sequence[str] = ()) -> bytes:
    """Encode a list of arrays, in layout V2.

    Parameters
    ----------
    arrays : sequence of ndarray
        Arrays of float16, float32, float64, int8, int32, int64 or uint8. Each has at least one dimension and
        at least one element.
    names : sequence of str, default=()
        One name per array, or none.

    Returns
    -------
    bytes
        The same bytes that `mxnet.nd.save` writes.

    Raises
    ------
    ValueError
        If an array cannot be encoded, or the number of names differs from that of arrays.

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
    out = [struct.pack("<QQQ", _LIST_MAGIC, 0, len(arrays))]
    for index, array in enumerate(arrays):
        values = np.asarray(array)
        dtype = values.dtype.newbyteorder("<")
        if dtype not in _DTYPES or not 0 < values.ndim <= _MAX_DIMENSIONS or not values.size:
            raise ValueError(
                f"array {index} must hold at least one number, in 1 to {_MAX_DIMENSIONS} dimensions, of "
                f"{', '.join(d.name for d in _DTYPES)}. Got shape {values.shape} of {values.dtype} instead."
            )
        out += [
            struct.pack(f"<Iii{values.ndim}q", _MAGIC_V2, _DENSE, values.ndim, *values.shape),
            struct.pack("<iii", _CPU, 0, _DTYPES.index(dtype)),
            values.astype(dtype).tobytes(),
        ]
    out.append(struct.pack("<Q", len(names)))
    for name in names:
        text = name.encode()
        out += [struct.pack("<Q", len(text)), text]
    return b"".join(out)


def decode_ndarrays(
    data: BytesLike, *, max_bytes: int = MAX_BYTES, max_arrays: int = MAX_ARRAYS
) -> ArrayList:
    """Decode a list of arrays, also from inside a zip archive.

    Parameters
    ----------
    data : bytes
        The whole list, or a zip archive with the list as one of its members.
    max_bytes : int, default=1 GiB
        The maximum size of the list.
    max_arrays : int, default=10000
        The maximum number of arrays.

    Returns
    -------
    ArrayList
        The arrays, copied from the bytes, and their names.

    Raises
    ------
    ArtifactError
        If the bytes are not a complete list of dense arrays, or more bytes follow it. Sizes are checked
        before memory is allocated.

    Examples
    --------
    >>> from shapecluster.formats import decode_ndarrays
    >>> decode_ndarrays(b"k,m")
    Traceback (most recent call last):
        ...
    shapecluster.exceptions.ArtifactError: The NDArray list cannot be read: it ends at byte 3 where 5 more...
    """
    view = bounded_view(data, max_bytes, "An NDArray list")
    if bytes(view[:2]) == b"PK":
        view = memoryview(_read_zip_member(view, max_bytes))
    reader = _ByteReader(view)
    magic, reserved, n_arrays = reader.u64(), reader.u64(), reader.u64()
    if magic != _LIST_MAGIC or reserved:
        raise _ndarray_error(
            f"it starts with {magic:#x}, {reserved:#x} where {_LIST_MAGIC:#x}, 0x0 was expected"
        )
    if n_arrays > max_arrays:
        raise _ndarray_error(
            f"it claims {n_arrays:,} arrays, above the limit of {max_arrays:,} (`max_arrays`)"
        )
    arrays = [_read_array(reader, index) for index in range(n_arrays)]
    n_names = reader.u64()
    if n_names not in (0, n_arrays):
        raise _ndarray_error(f"it has {n_names:,} names for {n_arrays:,} arrays")
    names = [_read_name(reader) for _ in range(n_names)]
    if reader.position != len(view):
        raise _ndarray_error(f"{len(view) - reader.position:,} bytes follow its end")
    return ArrayList(arrays, names)


class _ByteReader:
    """Read numbers and bytes from the front, and raise at the end."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self.position = 0

    def read(self, size: int) -> memoryview:
        n_left = len(self._data) - self.position
        if size > n_left:
            raise _ndarray_error(
                f"it ends at byte {len(self._data)} where {size - n_left:,} more were expected"
            )
        self.position += size
        return self._data[self.position - size : self.position]

    def u32(self) -> int:
        return int.from_bytes(self.read(4), "little")

    def i32(self) -> int:
        return int.from_bytes(self.read(4), "little", signed=True)

    def u64(self) -> int:
        return int.from_bytes(self.read(8), "little")

    def i64(self) -> int:
        return int.from_bytes(self.read(8), "little", signed=True)


def _read_array(reader: _ByteReader, index: int) -> NDArray[Any]:
    magic = reader.u32()
    if magic in (_MAGIC_V2, _MAGIC_V3):
        storage = reader.i32()
        if storage != _DENSE:
            raise _ndarray_error(
                f"array {index} has storage type {storage}: only dense arrays (0) can be read"
            )
        n_dimensions = reader.i32()
    else:
        # The oldest layout has no magic number: it starts with the number of dimensions.
        n_dimensions = reader.u32() if magic == _MAGIC_V1 else magic
    if not 0 <= n_dimensions <= _MAX_DIMENSIONS:
        raise _ndarray_error(f"array {index} has {n_dimensions} dimensions, or an unknown layout")
    # No dimensions are an array without data before V3, and a scalar in V3.
    if n_dimensions == 0 and magic != _MAGIC_V3:
        return np.empty(0, dtype=np.float32)
    is_v0 = magic not in (_MAGIC_V1, _MAGIC_V2, _MAGIC_V3)
    shape = [reader.u32() if is_v0 else reader.i64() for _ in range(n_dimensions)]
    reader.read(8)  # type and number of the device that held the array
    code = reader.i32()
    if not 0 <= code < len(_DTYPES):
        raise _ndarray_error(f"array {index} has the unknown type {code}")
    dtype = _DTYPES[code]
    # Zeros count as ones, because NumPy rejects too large dimensions next to an empty one as well.
    if min(shape, default=1) < 0 or math.prod(max(n, 1) for n in shape) * dtype.itemsize >= 1 << 63:
        raise _ndarray_error(f"array {index} has the impossible shape {shape}")
    raw = reader.read(math.prod(shape) * dtype.itemsize)
    return np.frombuffer(raw, dtype=dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _read_name(reader: _ByteReader) -> str:
    try:
        return str(reader.read(reader.u64()), "utf-8")
    except UnicodeDecodeError:
        raise _ndarray_error(f"the name before byte {reader.position} is not UTF-8") from None


def _read_zip_member(data: memoryview, max_bytes: int) -> bytes:
    """Return the first member of a zip archive that starts like an NDArray list."""
    start = struct.pack("<Q", _LIST_MAGIC)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.infolist():
                if member.is_dir() or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    continue
                with archive.open(member) as file:
                    if file.read(len(start)) != start:
                        continue
                    # Up to one byte above the limit, since the archive may claim any size.
                    content = start + file.read(max_bytes - len(start) + 1)
                if len(content) > max_bytes:
                    raise _ndarray_error(
                        f"{member.filename!r} in its zip archive has more than {max_bytes:,} bytes"
                    )
                return content
    except ArtifactError:
        raise
    # zipfile raises all of these for archives that are damaged, encrypted or too new.
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        raise _ndarray_error(f"its zip archive is damaged ({error})") from None
    except (ValueError, struct.error, OverflowError, UnicodeError, IndexError) as error:
        raise _ndarray_error(f"its zip archive is invalid ({error})") from None
    raise _ndarray_error("no member of its zip archive is an NDArray list")


def _ndarray_error(problem: str) -> ArtifactError:
    return ArtifactError(
        f"The NDArray list cannot be read: {problem}. The file is damaged, truncated or of another format: "
        "download it again, or check how the model was saved."
    )
