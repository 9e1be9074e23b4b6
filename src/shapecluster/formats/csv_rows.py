"""CSV in the form that training jobs accept: no header, one series per line, optionally its name first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from shapecluster._typing import Float64Array, FloatArray
from shapecluster.exceptions import ArtifactError
from shapecluster.formats._parsers import MAX_QUOTED, parse_numbers
from shapecluster.formats._streams import CHUNK_BYTES, Readable, Writable, join_rows, write_all

__all__ = ["NamedRows", "read_csv", "write_csv"]

MAX_BYTES = 1 << 32
MAX_LINE_BYTES = 1 << 23
_NUMBER_BYTES = 20  # of the text of one float64 and its comma, at about 17 digits


@dataclass(frozen=True, eq=False)
class NamedRows:
    """Rows read from CSV, with their names if they have any.

    Attributes
    ----------
    values : ndarray of float64, shape (n_rows, n_timepoints)
        The numbers; NaN where the text says "nan".
    names : list of str or None
        The first column, if it holds names.
    """

    values: Float64Array
    names: list[str] | None


def write_csv(file: Writable, X: FloatArray, names: Sequence[str] | None = None) -> int:
    r"""Write rows, each after its name if names are given.

    Numbers are written as `repr` does, so that reading returns the same bits. Names that hold a comma or a
    quote are quoted.

    Parameters
    ----------
    file : binary file
        The target, opened for writing.
    X : ndarray of shape (n_rows, n_timepoints)
        The numbers. NaN is written as "nan".
    names : sequence of str, default=None
        One name per row, each printable text on one line.

    Returns
    -------
    int
        The number of bytes written.

    Raises
    ------
    ValueError
        If the shapes do not match, or a name cannot be written.

    Examples
    --------
    >>> import io
    >>> import numpy as np
    >>> from shapecluster.formats import write_csv
    >>> file = io.BytesIO()
    >>> write_csv(file, np.array([[1.0, 2.5], [0.1, 3.0]]), ["AAPL", "BRK-B"])
    27
    >>> file.getvalue()
    b'AAPL,1.0,2.5\nBRK-B,0.1,3.0\n'
    """
    matrix = np.asarray(X)
    if matrix.ndim != 2 or matrix.shape[1] == 0 or matrix.dtype.kind not in "fiu":
        raise ValueError(
            "X of write_csv must be a matrix of numbers with at least one column. "
            f"Got shape {matrix.shape} of {matrix.dtype} instead."
        )
    if names is not None and len(names) != len(matrix):
        raise ValueError(f"names of write_csv must be {len(matrix)}, one per row. Got {len(names)} instead.")
    step = max(1, CHUNK_BYTES // (_NUMBER_BYTES * matrix.shape[1]))
    written = 0
    for first in range(0, len(matrix), step):
        lines = [",".join(map(repr, row)) for row in matrix[first : first + step].tolist()]
        if names is not None:
            fields = (_quote_name(name) for name in names[first : first + step])
            lines = [f"{field},{line}" for field, line in zip(fields, lines, strict=True)]
        written += write_all(file, "".join(f"{line}\n" for line in lines).encode())
    return written


def read_csv(
    file: Readable,
    *,
    label_size: Literal[0, 1] = 0,
    n_rows: int | None = None,
    n_timepoints: int | None = None,
    max_bytes: int = MAX_BYTES,
    max_line_bytes: int = MAX_LINE_BYTES,
) -> NamedRows:
    r"""Read all rows of a file.

    Parameters
    ----------
    file : binary file
        The source, opened for reading. It need not be seekable.
    label_size : {0, 1}, default=0
        1: the first column is the name of the row.
    n_rows, n_timepoints : int, default=None
        The expected number of rows, and of numbers per row.
    max_bytes : int, default=4 GiB
        The maximum size of all numbers.
    max_line_bytes : int, default=8 MiB
        The maximum length of one line.

    Returns
    -------
    NamedRows
        All rows. A file without rows gives an empty matrix.

    Raises
    ------
    ArtifactError
        If a line is malformed. The message names the line.

    Examples
    --------
    >>> import io
    >>> from shapecluster.formats import read_csv
    >>> read_csv(io.BytesIO(b"AAPL,1.0,2.5\n"), label_size=1)
    NamedRows(values=array([[1. , 2.5]]), names=['AAPL'])
    >>> read_csv(io.BytesIO(b"AAPL,1.0,2.5\n"))
    Traceback (most recent call last):
        ...
    shapecluster.exceptions.ArtifactError: CSV data cannot be read: field 1 of line 1 must be a number...
    """
    if label_size not in (0, 1):
        raise ValueError(f"label_size must be 0 or 1. Got {label_size!r} instead.")
    names: list[str] | None = [] if label_size else None
    rows = _iter_rows(file, names, n_timepoints, max_line_bytes)
    values = join_rows(rows, n_rows, max_bytes, "CSV data") or [np.empty((0, n_timepoints or 0))]
    return NamedRows(values[0], names)


def _iter_rows(
    file: Readable, names: list[str] | None, n_timepoints: int | None, max_line_bytes: int
) -> Iterator[tuple[Float64Array]]:
    """Iterate over the rows as matrices of one row; if they have names, append these to `names`."""
    first_empty = 0
    for number, line in enumerate(_iter_lines(file, max_line_bytes), start=1):
        line = line.removesuffix(b"\r")
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")  # Excel writes this mark before UTF-8
        if not line:
            first_empty = first_empty or number
            continue
        # An empty line is an error only if rows follow it: it may be a row that was lost.
        if first_empty:
            raise _csv_error(f"line {first_empty} is empty")
        if len(line) > max_line_bytes:
            raise _csv_error(f"line {number} has more than {max_line_bytes:,} bytes (`max_line_bytes`)")
        if names is not None:
            name, line = _split_name(line, number)
            names.append(name)
        try:
            values = parse_numbers(line, number, n_timepoints, 1 if names is None else 2)
        except ValueError as error:
            raise _csv_error(f"{error}{' (it must have no header)' if number == 1 else ''}") from None
        n_timepoints = len(values)
        yield (values[None],)


def _iter_lines(file: Readable, max_line_bytes: int) -> Iterator[bytes]:
    """Iterate over the lines without their ends. The last one may be cut if it is too long."""
    rest = b""
    # The four bytes are a mark and a line end, which do not count.
    while len(rest) <= max_line_bytes + 4 and (chunk := file.read(CHUNK_BYTES)):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    yield rest


def _split_name(line: bytes, line_number: int) -> tuple[str, bytes]:
    """Split a line into the name before the first comma, which may be quoted, and the rest."""
    name, comma, numbers = line.partition(b",")
    if not comma:
        raise _csv_error(
            f"line {line_number} must have a name and then numbers. "
            f"Got {name[:MAX_QUOTED].decode('utf-8', 'replace')!r} instead"
        )
    if line.startswith(b'"'):
        end = 1
        # Inside quotes, two quotes are one character of the name.
        while (end := line.find(b'"', end)) >= 0 and line[end + 1 : end + 2] == b'"':
            end += 2
        if end < 0 or line[end + 1 : end + 2] != b",":
            raise _csv_error(f"the quotes around the name in line {line_number} do not match")
        name, numbers = line[1:end].replace(b'""', b'"'), line[end + 2 :]
    try:
        return name.decode("utf-8"), numbers
    except UnicodeDecodeError:
        raise _csv_error(f"the name in line {line_number} is not UTF-8") from None


def _quote_name(name: str) -> str:
    if not isinstance(name, str) or not name.isprintable() or not name or name != name.strip():
        raise ValueError(
            "names of write_csv must be printable text on one line, without blanks at their ends. "
            f"Got {name!r} instead: rename that series."
        )
    return '"' + name.replace('"', '""') + '"' if "," in name or '"' in name else name


def _csv_error(problem: str) -> ArtifactError:
    return ArtifactError(
        f"CSV data cannot be read: {problem}. It must be text without a header, one series per line, with "
        "commas between its numbers: write it again."
    )
