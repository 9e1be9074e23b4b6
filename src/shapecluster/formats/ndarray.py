"""MXNet NDArray lists, the format in which the built-in K-Means stores its centers.

```
u64 0x112 | u64 0 | u64 n_arrays | arrays | u64 n_names | (u64 length, bytes) per name
```
All numbers are little-endian. Of the four layouts that an array may have, SageMaker's versions of MXNet write
V1 and V2: these are read, and V2 is written.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from shapecluster.exceptions import ArtifactError
from shapecluster.formats._streams import BytesLike, bounded_view, fill_buffer

__all__ = ["ArrayList", "decode_ndarrays", "encode_ndarrays"]

_LIST_MAGIC = 0x112
_MAGIC_V1, _MAGIC_V2 = 0xF993FAC8, 0xF993FAC9
_DENSE = 0
_CPU = 1
_MAX_DIMENSIONS = 32  # of a NumPy array
# A type's code in the file is its place in this list.
_DTYPES = [np.dtype(code) for code in ("<f4", "<f8", "<f2", "u1", "<i4", "i1", "<i8")]
MAX_BYTES = 1 << 30
MAX_ARRAYS = 10_000
# No model compresses further than this: a larger member of a zip archive is there to fill the memory.
_MAX_RATIO = 100
_SMALL_BYTES = 1 << 26  # always accepted
# What zipfile raises for archives that are damaged, encrypted or too new.
_ZIP_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, RuntimeError, OSError, EOFError),
    *(ValueError, struct.error, OverflowError, IndexError),
)


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
    shapecluster.exceptions.ArtifactError: The NDArray list cannot be read: it ends within the 24 bytes...
    """
    view = bounded_view(data, max_bytes, "An NDArray list")
    file = io.BytesIO(data)
    if bytes(view[:2]) != b"PK":
        return _read_list(_Reader(file, len(view)), max_arrays)
    try:
        with zipfile.ZipFile(file) as archive:
            member = _find_list(archive, min(max_bytes, max(_SMALL_BYTES, _MAX_RATIO * len(view))))
            with archive.open(member) as content:
                return _read_list(_Reader(content, member.file_size), max_arrays)
    except ArtifactError:
        raise
    except _ZIP_ERRORS as error:
        raise _ndarray_error(f"its zip archive is damaged ({error})") from None


def _find_list(archive: zipfile.ZipFile, max_bytes: int) -> zipfile.ZipInfo:
    """Find the first member that starts like an NDArray list, and check the size that it claims."""
    for member in archive.infolist():
        if member.is_dir() or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            continue
        with archive.open(member) as file:
            if file.read(8) != struct.pack("<Q", _LIST_MAGIC):
                continue
        if member.file_size > max_bytes:  # zipfile never returns more bytes than this claim
            raise _ndarray_error(
                f"{member.filename!r} in its zip archive claims {member.file_size:,} bytes, above the limit "
                f"of {max_bytes:,} (`max_bytes`, and {_MAX_RATIO} times the size of the archive)"
            )
        return member
    raise _ndarray_error("no member of its zip archive is an NDArray list")


class _Reader:
    """Read from a stream of a claimed size, which bounds what is allocated before it is read."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self.n_read, self.n_left = 0, size

    def read(self, size: int) -> bytearray:
        """Read some bytes."""
        data = bytearray()
        if size > self.n_left or not fill_buffer(self._file, data, size):
            raise _ndarray_error(f"it ends within the {size:,} bytes that were expected at {self.n_read:,}")
        self.n_read, self.n_left = self.n_read + size, self.n_left - size
        return data

    def numbers(self, layout: str) -> tuple[Any, ...]:
        """Read integers in a layout of `struct`."""
        return struct.unpack(f"<{layout}", self.read(struct.calcsize(f"<{layout}")))


def _read_list(reader: _Reader, max_arrays: int) -> ArrayList:
    magic, reserved, n_arrays = reader.numbers("QQQ")
    if magic != _LIST_MAGIC or reserved:
        raise _ndarray_error(
            f"it starts with {magic:#x}, {reserved:#x} where {_LIST_MAGIC:#x}, 0x0 was expected"
        )
    if n_arrays > max_arrays:
        raise _ndarray_error(
            f"it claims {n_arrays:,} arrays, above the limit of {max_arrays:,} (`max_arrays`)"
        )
    arrays = [_read_array(reader, index) for index in range(n_arrays)]
    (n_names,) = reader.numbers("Q")
    if n_names not in (0, n_arrays):
        raise _ndarray_error(f"it has {n_names:,} names for {n_arrays:,} arrays")
    try:
        names = [reader.read(*reader.numbers("Q")).decode() for _ in range(n_names)]
    except UnicodeDecodeError:
        raise _ndarray_error("the name of an array is not UTF-8") from None
    if reader.n_left:
        raise _ndarray_error(f"{reader.n_left:,} bytes follow its end")
    return ArrayList(arrays, names)


def _read_array(reader: _Reader, index: int) -> NDArray[Any]:
    (magic,) = reader.numbers("I")
    if magic not in (_MAGIC_V1, _MAGIC_V2):
        raise _ndarray_error(
            f"array {index} has an unknown layout ({magic:#x}): V1 and V2 of MXNet can be read"
        )
    storage, n_dimensions = reader.numbers("ii") if magic == _MAGIC_V2 else (_DENSE, *reader.numbers("I"))
    if storage != _DENSE:
        raise _ndarray_error(f"array {index} has storage type {storage}: only dense arrays (0) can be read")
    if not 0 <= n_dimensions <= _MAX_DIMENSIONS:
        raise _ndarray_error(f"array {index} has {n_dimensions} dimensions")
    if n_dimensions == 0:
        return np.empty(0, dtype=np.float32)  # an array without data, after which nothing follows
    *shape, _device, _device_number, code = reader.numbers(f"{n_dimensions}qiii")
    if not 0 <= code < len(_DTYPES):
        raise _ndarray_error(f"array {index} has the unknown type {code}")
    # Zeros count as ones, because NumPy rejects too large dimensions next to an empty one as well.
    if min(shape) < 0 or math.prod(max(n, 1) for n in shape) * _DTYPES[code].itemsize >= 1 << 63:
        raise _ndarray_error(f"array {index} has the impossible shape {shape}")
    raw = reader.read(math.prod(shape) * _DTYPES[code].itemsize)
    return np.frombuffer(raw, dtype=_DTYPES[code]).reshape(shape)


def _ndarray_error(problem: str) -> ArtifactError:
    return ArtifactError(
        f"The NDArray list cannot be read: {problem}. The file is damaged, truncated or of another format: "
        "download it again, or check how the model was saved."
    )
