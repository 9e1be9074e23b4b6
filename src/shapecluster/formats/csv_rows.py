"""CSV as training jobs take it: no header, one series a line, its name first if names are wanted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from shapecluster._typing import Float64Array, FloatArray
from shapecluster.exceptions import ArtifactError
from shapecluster.formats._streams import PIECE, Readable, Writable, write_all

__all__ = ["NamedRows", "iter_csv", "read_csv", "write_csv"]

MAX_BYTES = 1 << 32
MAX_LINE_BYTES = 1 << 23
_BLOCK = 1 << 22  # bytes of numbers in one block of rows
_SHOWN = 40


@dataclass(frozen=True, eq=False)
class NamedRows:
    """Rows that were read.

    Attributes
    ----------
    values : ndarray of float64, shape (n_rows, n_timepoints)
        The numbers; NaN where the text says "nan".
    names : list of str or None
        The first column, if it has names.
    """

    values: Float64Array
    names: list[str] | None


def write_csv(file: Writable, X: FloatArray, names: Sequence[str] | None = None) -> int:
    r"""Write rows, and their names before them if there are any.

    Numbers are written as `repr` does, so that reading gives the same bits. Names that hold a comma or a
    quote are quoted.

    Parameters
    ----------
    file : binary file
        Opened for writing.
    X : ndarray of shape (n_rows, n_timepoints)
        Numbers; NaN is written as "nan".
    names : sequence of str, default=None
        One for each row: printable text on one line.

    Returns
    -------
    int
        The number of bytes written.

    Raises
    ------
    ValueError
        If the shapes do not fit, or a name cannot be written.

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
        raise ValueError(f"names of write_csv must be {len(matrix)}, one a row. Got {len(names)} instead.")
    step = max(1, PIECE // (20 * matrix.shape[1]))
    written = 0
    for first in range(0, len(matrix), step):
        lines = [",".join(map(repr, row)) for row in matrix[first : first + step].tolist()]
        if names is not None:
            heads = (_quoted(name) for name in names[first : first + step])
            lines = [f"{head},{line}" for head, line in zip(heads, lines, strict=True)]
        written += write_all(file, "".join(f"{line}\n" for line in lines).encode())
    return written


def read_csv(
    file: Readable,
    *,
    label_size: int = 0,
    n_rows: int | None = None,
    n_timepoints: int | None = None,
    max_bytes: int = MAX_BYTES,
    max_line_bytes: int = MAX_LINE_BYTES,
) -> NamedRows:
    r"""Read all rows of a file.

    Parameters
    ----------
    file : binary file
        Opened for reading; no seeking.
    label_size : {0, 1}, default=0
        1: the first column is the name of the row.
    n_rows, n_timepoints : int, default=None
        How many rows, and numbers in each, there must be.
    max_bytes : int, default=4 GiB
        The most that the numbers may take.
    max_line_bytes : int, default=8 MiB
        The most that one line may have.

    Returns
    -------
    NamedRows
        All rows; with no rows, an empty matrix.

    Raises
    ------
    ArtifactError
        If a line is not as it should be: it is named.

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
    blocks: list[NamedRows] = []
    size = found = 0
    for block in iter_csv(
        file, label_size=label_size, n_timepoints=n_timepoints, max_line_bytes=max_line_bytes
    ):
        blocks.append(block)
        found += len(block.values)
        size += block.values.nbytes
        if size > max_bytes:
            raise ArtifactError(
                f"CSV data must have at most {max_bytes:,} bytes of numbers, and has more. "
                "Raise `max_bytes`, or read it in blocks with iter_csv."
            )
    if n_rows is not None and found != n_rows:
        raise _damaged(f"it must have {n_rows:,} lines. Got {found:,} instead")
    if not blocks:
        return NamedRows(np.empty((0, n_timepoints or 0)), [] if label_size else None)
    names = [name for block in blocks for name in block.names or []]
    return NamedRows(np.concatenate([block.values for block in blocks]), names if label_size else None)


def iter_csv(
    file: Readable,
    *,
    label_size: int = 0,
    n_timepoints: int | None = None,
    max_line_bytes: int = MAX_LINE_BYTES,
) -> Iterator[NamedRows]:
    r"""Read rows in blocks of some megabytes, in bounded memory.

    Parameters
    ----------
    file : binary file
        Opened for reading; no seeking.
    label_size : {0, 1}, default=0
        1: the first column is the name of the row.
    n_timepoints : int, default=None
        How many numbers a row must have; None: as many as the first one.
    max_line_bytes : int, default=8 MiB
        The most that one line may have.

    Yields
    ------
    NamedRows
        At least one row each.

    Raises
    ------
    ArtifactError
        If a line is not as it should be: it is named.

    Examples
    --------
    >>> import io
    >>> from shapecluster.formats import iter_csv
    >>> [block.values.tolist() for block in iter_csv(io.BytesIO(b"1,2\n3,4"))]
    [[[1.0, 2.0], [3.0, 4.0]]]
    """
    if label_size not in (0, 1):
        raise ValueError(f"label_size must be 0 or 1. Got {label_size!r} instead.")
    rows: list[Float64Array] = []
    names: list[str] = []
    size = 0
    for number, line in _lines(file, max_line_bytes):
        name, values = _row(line, number, label_size, n_timepoints)
        n_timepoints = len(values)
        rows.append(values)
        names.append(name)
        size += values.nbytes + 256  # a row by itself costs something, too
        if size > _BLOCK:
            yield NamedRows(np.stack(rows), names if label_size else None)
            rows, names, size = [], [], 0
    if rows:
        yield NamedRows(np.stack(rows), names if label_size else None)


def _lines(file: Readable, most: int) -> Iterator[tuple[int, bytes]]:
    """The lines without their ends, and their numbers from 1; empty ones at the end do not count."""
    rest = b""
    number = empty = 0
    while True:
        piece = file.read(PIECE) or b""
        *lines, rest = (rest + piece).split(b"\n")
        if not piece:
            lines, rest = [rest], b""
        for line in lines:
            number += 1
            line = line.removesuffix(b"\r")
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")  # how some programs mark UTF-8
            if not line:
                empty = empty or number
                continue
            if empty:
                raise _damaged(f"line {empty} is empty")
            if len(line) > most:
                raise _damaged(f"line {number} has more than {most:,} bytes (`max_line_bytes`)")
            yield number, line
        if len(rest) > most:
            raise _damaged(f"line {number + 1} has more than {most:,} bytes (`max_line_bytes`)")
        if not piece:
            return


def _row(line: bytes, number: int, label_size: int, n_timepoints: int | None) -> tuple[str, Float64Array]:
    """The name, if one is expected, and the numbers of a line."""
    name = ""
    if label_size:
        name, line = _named(line, number)
    found = line.count(b",") + 1
    if n_timepoints is not None and found != n_timepoints:
        raise _damaged(f"line {number} must have {n_timepoints:,} numbers. Got {found:,} instead")
    tokens = line.split(b",")
    try:
        if b"_" in line:  # Python's own spelling of numbers
            raise ValueError
        return name, np.array(list(map(float, tokens)))
    except ValueError:
        raise _not_a_number(tokens, number, label_size) from None


def _named(line: bytes, number: int) -> tuple[str, bytes]:
    """The name before the first comma, which may be quoted, and the rest of the line."""
    try:
        text = str(line, "utf-8") if line.startswith(b'"') else str(line[: line.find(b",")], "utf-8")
    except UnicodeDecodeError:
        raise _damaged(f"the name in line {number} is not UTF-8") from None
    if b"," not in line:
        raise _damaged(f"line {number} must have a name and then numbers. Got {text[:_SHOWN]!r} instead")
    if not line.startswith(b'"'):
        return text, line[line.find(b",") + 1 :]
    end = 1
    while (end := text.find('"', end)) >= 0 and text[end + 1 : end + 2] == '"':
        end += 2
    if end < 0 or text[end + 1 : end + 2] != ",":
        raise _damaged(f"the quotes around the name in line {number} do not match")
    return text[1:end].replace('""', '"'), text[end + 2 :].encode()


def _not_a_number(tokens: list[bytes], number: int, label_size: int) -> ArtifactError:
    place = next(place for place, token in enumerate(tokens) if not _is_number(token))
    hint = " (it must have no header)" if number == 1 else ""
    return _damaged(
        f"field {place + 1 + label_size} of line {number} must be a number. "
        f"Got {tokens[place][:_SHOWN].decode('utf-8', 'replace')!r} instead{hint}"
    )


def _is_number(token: bytes) -> bool:
    try:
        float(token)
    except ValueError:
        return False
    return b"_" not in token


def _quoted(name: str) -> str:
    if not isinstance(name, str) or not name.isprintable() or not name or name != name.strip():
        raise ValueError(
            "names of write_csv must be printable text on one line, without blanks at their ends. "
            f"Got {name!r} instead: rename that series."
        )
    return '"' + name.replace('"', '""') + '"' if "," in name or '"' in name else name


def _damaged(problem: str) -> ArtifactError:
    return ArtifactError(
        f"CSV data cannot be read: {problem}. It must be text without a header, one series a line, its "
        "numbers between commas: write it again."
    )
