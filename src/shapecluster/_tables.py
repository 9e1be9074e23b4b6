"""Read csv and parquet files as tables with named columns of text, days or numbers.

Text is read by Python's csv reader and not by pandas, because pandas guesses. A trailing comma, a ticker
called NA or TRUE, a repeated column or a short line silently change its result. The csv reader also counts
lines, for error messages.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_any_real_numeric_dtype

from shapecluster._optional import import_optional
from shapecluster._typing import Float64Array, FloatArray

_MISSING = frozenset({"", "-", "na", "n/a", "#n/a", "nan", "null", "none"})
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_CLOCK = re.compile(r"[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?\s*(Z|[+-]\d{2}:?\d{2})?$")


def days(values: Any) -> pd.DatetimeIndex:
    """Convert dates to whole days without a time zone, named "date"; the exchange's local day is kept."""
    index = pd.DatetimeIndex(values)
    if index.tz is not None:
        index = index.tz_localize(None)
    # Built from plain numbers, because pandas sets a frequency on some paths and not on others.
    return pd.DatetimeIndex(index.normalize().as_unit("ns").to_numpy(), name="date")


@dataclass(frozen=True)
class Table:
    """Named columns of equal length, with the place of each row in the file.

    Attributes
    ----------
    header : list of str
        The names of the columns.
    columns : list of sequences of str, or of Series
        The cells of each column: text as it stands in a file, or values of any type.
    row_place : callable
        Describes the place of a row: "line 7".
    writer : str
        The method of a DataFrame that writes such a file.
    date_format : str or None
        The format of dates given as text, in the codes of `strptime`; None: ISO 8601.
    sep, decimal : str
        The separator of the cells (None if they are separate already), and the decimal sign.
    """

    header: list[str]
    columns: list[Sequence[str] | pd.Series[Any]]
    row_place: Callable[[int], str]
    writer: str
    date_format: str | None
    sep: str | None = None
    decimal: str = "."

    def texts(self, column: int) -> list[str]:
        """Return the cells of a column as stripped text; a missing value is empty."""
        cells = self.columns[column]
        if isinstance(cells, pd.Series):
            cells = cells.astype(object).where(cells.notna(), "")
        return [str(cell).strip() for cell in cells]

    def dates(self, column: int) -> pd.DatetimeIndex:
        """Return the cells of a column as whole days."""
        cells = self.columns[column]
        if isinstance(cells, pd.Series) and cells.dtype.kind == "M":
            dates = days(cells)
        else:
            # A long file repeats each day once per ticker; every distinct text is parsed once.
            codes, written = pd.factorize(np.array(self.texts(column), dtype=object))
            dates = parse_days([str(text) for text in written], self.date_format)[codes]
        bad = np.flatnonzero(dates.isna())
        if bad.size:
            wanted = f"of the form {self.date_format}" if self.date_format else "such as 2020-02-03"
            hint = " (date_format= says how dates are written)."
            raise self._unexpected(int(bad[0]), column, f"a date {wanted}", hint)
        return dates

    def numbers(self, column: int) -> FloatArray:
        """Return the cells of a column as finite numbers, NaN for missing values."""
        cells = self.columns[column]
        if isinstance(cells, pd.Series) and is_any_real_numeric_dtype(cells.dtype):
            dtype = np.float32 if cells.dtype == np.float32 else np.float64
            values = cells.to_numpy(dtype=dtype, na_value=np.nan)
        else:
            values = self._parsed_numbers(column)
        infinite = np.flatnonzero(np.isinf(values))
        if infinite.size:
            raise self._not_a_number(int(infinite[0]), column)
        return values

    def _parsed_numbers(self, column: int) -> Float64Array:
        cells = self.columns[column]
        texts = self.texts(column) if isinstance(cells, pd.Series) else cells
        together = "".join(texts)
        # float() also reads 1_5 as 15, and digits of other scripts.
        if self.decimal == "." and together.isascii() and "_" not in together:
            with suppress(ValueError):  # the fast way, for columns without missing cells
                return np.fromiter(map(float, texts), dtype=np.float64, count=len(texts))
        values = np.full(len(texts), np.nan)
        for row, text in enumerate(self.texts(column)):
            if text.lower() in _MISSING:
                continue
            if self.decimal != ".":  # a point may be a thousands separator, so it is an error
                text = text.replace(".", "?").replace(self.decimal, ".")
            if not _NUMBER.fullmatch(text):
                raise self._not_a_number(row, column)
            values[row] = float(text)
        return values

    def _not_a_number(self, row: int, column: int) -> ValueError:
        text, hint = str(self.columns[column][row]).strip(), "."
        if self.sep and self.decimal == "." and re.fullmatch(r"-?\d+,\d+", text):
            another = " and another separator" if self.sep == "," else ""
            hint = f". If the comma is the decimal sign, pass decimal=','{another}."
        elif self.decimal != "." and "." in text:
            hint = f". With decimal={self.decimal!r} there must be no points."
        return self._unexpected(row, column, "a finite number", hint)

    def _unexpected(self, row: int, column: int, expected: str, hint: str) -> ValueError:
        cell = self.columns[column][row]
        shown = cell.strip() if isinstance(cell, str) else cell
        name = self.header[column] or column + 1
        return ValueError(
            f"{self.row_place(row)}, column {name!r}: {expected} is expected. Got {shown!r} instead{hint}"
        )


def table_of_text(text: str, *, sep: str, decimal: str, date_format: str | None) -> Table:
    """Split separated text into a table of text; lines are counted as in an editor."""
    header, rows, lines = read_rows(text, sep)
    if not header:
        raise ValueError("the file is empty. A line of column names and a line per day are expected.")
    if not rows:
        raise ValueError(f"the file has a header (line {lines[0]}) and no prices below it.")
    others = [other for other in ",;\t|" if other != sep and other in header[0]]
    if len(header) == 1 and others:
        raise ValueError(
            f"line {lines[0]} has one column only, {header[0][:40]!r}. "
            f"If the separator is {others[0]!r}, pass sep={others[0]!r}."
        )
    columns: list[Any] = list(zip(*rows, strict=True))
    return Table(header, columns, lambda row: f"line {lines[row + 1]}", "to_csv", date_format, sep, decimal)


def table_of_frame(frame: pd.DataFrame, *, date_format: str | None) -> Table:
    """Take a table from a file of typed columns; rows are counted from 0, as in pandas."""
    if frame.columns.nlevels > 1:
        raise ValueError(
            f"the columns have {frame.columns.nlevels} levels (the first is {frame.columns[0]}), as "
            "yfinance makes them. One price per ticker is expected: frame['Close'].to_parquet(path)."
        )
    # Row numbers hold nothing. pandas calls another index without a name "index".
    frame = frame.reset_index(drop=isinstance(frame.index, pd.RangeIndex))
    if not frame.size:
        raise ValueError(f"the table is empty: {frame.shape[0]} rows and {frame.shape[1]} columns.")
    header = [str(name).strip() for name in frame.columns]
    columns: list[Any] = [frame.iloc[:, column] for column in range(len(header))]
    return Table(header, columns, lambda row: f"row {row}", "to_parquet", date_format)


def read_rows(text: str, sep: str = ",") -> tuple[list[str], list[list[str]], list[int]]:
    """Split separated text into names of columns, rows, and the number of each line, the header's first.

    Names are stripped, and blank lines are skipped. The header of an empty file is empty.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=sep, strict=True)
    rows, lines = [], []
    try:
        header = [name.strip() for name in next((row for row in reader if row), [])]
        lines.append(reader.line_num)
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                raise ValueError(
                    f"line {reader.line_num} has {len(row)} fields where the header has {len(header)}. "
                    "The file may be cut off or damaged."
                )
            rows.append(row)
            lines.append(reader.line_num)
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num} is not readable as separated text: {error}.") from error
    return header, rows, lines


def parse_days(written: Sequence[str], date_format: str | None) -> pd.DatetimeIndex:
    """Parse dates, and return NaT for other texts. A time of day is dropped; the local day is kept."""
    if date_format is None:
        written = [text[:10] if _CLOCK.fullmatch(text[10:]) else text for text in written]
        # A bare year or month is ISO 8601 too, but a price needs a day.
        written = [text if len(text) in (8, 10) else "" for text in written]
    parsed = pd.to_datetime(
        pd.Series(written, dtype=object), format=date_format or "ISO8601", errors="coerce"
    )
    sensible = parsed.dt.year.between(1800, 2200)  # 64-bit nanoseconds end in 1677 and 2262
    return days(parsed.where(sensible))


@contextmanager
def errors_of_file(path: str | PathLike[str], kind: type[ValueError]) -> Iterator[None]:
    """Raise the ValueErrors of the block as errors of a kind that name the file."""
    try:
        yield
    except ValueError as error:
        raise kind(f"{path}: {error}") from error


def check_file(path: Path) -> None:
    """Raise a ValueError unless there is such a file."""
    if path.is_dir():
        raise ValueError("this is a directory, not a file.")
    if not path.exists():
        raise ValueError("there is no such file.")


def read_text(path: Path) -> str:
    """Read a whole UTF-8 file, and unpack .gz; every failure is a ValueError of one sentence."""
    check_file(path)
    try:
        raw = path.read_bytes()
        if path.suffix.lower() == ".gz":
            raw = gzip.decompress(raw)
        elif raw[:2] == b"\x1f\x8b":  # gzip's signature
            raise ValueError(f"the file is packed with gzip. Rename it to {path.name}.gz.")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"the file is damaged or no gzip file: {error}.") from error
    except OSError as error:
        raise ValueError(f"the file cannot be read: {error.strerror or error}.") from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        kind = " It looks like UTF-16." if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        raise ValueError(
            f"line {line} is not UTF-8 text (byte 0x{raw[error.start]:02x}).{kind} Save the file as UTF-8."
        ) from error


def read_parquet(path: Path) -> pd.DataFrame:
    """Read a parquet file; every failure is a ValueError of one sentence."""
    check_file(path)
    import_optional("pyarrow", extra="market", needed_for="Reading a parquet file")
    try:
        return pd.read_parquet(path, engine="pyarrow")
    except Exception as error:  # pyarrow raises OSError, ValueError and errors of its own for damaged files
        reason: Any = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(f"the file is damaged or no parquet file: {reason}") from error
