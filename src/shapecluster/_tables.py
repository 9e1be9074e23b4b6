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
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

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


class Table(Protocol):
    """Named columns of equal length, with the place of each row and column in the file.

    Attributes
    ----------
    writer : str
        The method of a DataFrame that writes such a file.
    """

    writer: str

    @property
    def header(self) -> list[str]:
        """The names of the columns."""

    def row_place(self, row: int) -> str:
        """Describe the place of a row: "line 7"."""

    def column_place(self, column: int) -> str:
        """Describe the place of a column: "column 3"."""

    def texts(self, column: int) -> list[str]:
        """Return the cells of a column as stripped text."""

    def dates(self, column: int) -> pd.DatetimeIndex:
        """Return the cells of a column as whole days."""

    def numbers(self, column: int) -> FloatArray:
        """Return the cells of a column as numbers, NaN for missing values."""


class TextTable:
    """A table read from separated text.

    Parameters
    ----------
    text : str
        The whole file.
    sep : str
        The separator of the cells of a line.
    decimal : str
        The decimal sign.
    date_format : str or None
        The format of dates, in the codes of `strptime`; None: ISO 8601.
    """

    writer = "to_csv"

    def __init__(self, text: str, *, sep: str, decimal: str, date_format: str | None) -> None:
        self._sep, self._decimal = sep, decimal
        self._date_format = date_format
        self._lines: list[int] = []
        rows: list[list[str]] = []
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=sep, strict=True)
        try:
            self.header = [name.strip() for name in next((row for row in reader if row), [])]
            self._header_line = reader.line_num
            for row in reader:
                if not row:
                    continue
                if len(row) != len(self.header):
                    raise ValueError(
                        f"line {reader.line_num} has {len(row)} fields where the header has "
                        f"{len(self.header)}. The file may be cut off or damaged."
                    )
                rows.append(row)
                self._lines.append(reader.line_num)
        except csv.Error as error:
            raise ValueError(f"line {reader.line_num} is not readable as separated text: {error}.") from error
        self._columns: list[Sequence[str]] = list(zip(*rows, strict=True))
        self._check_filled()

    def _check_filled(self) -> None:
        if not self.header:
            raise ValueError("the file is empty. A line of column names and a line per day are expected.")
        if not self._lines:
            raise ValueError(f"the file has a header (line {self._header_line}) and no prices below it.")
        others = [other for other in ",;\t|" if other != self._sep and other in self.header[0]]
        if len(self.header) == 1 and others:
            raise ValueError(
                f"line {self._header_line} has one column only, {self.header[0][:40]!r}. "
                f"If the separator is {others[0]!r}, pass sep={others[0]!r}."
            )

    def row_place(self, row: int) -> str:
        return f"line {self._lines[row]}"

    def column_place(self, column: int) -> str:
        return f"column {column + 1}"

    def texts(self, column: int) -> list[str]:
        return [cell.strip() for cell in self._columns[column]]

    def dates(self, column: int) -> pd.DatetimeIndex:
        # A long file repeats each day once per ticker; every distinct text is parsed once.
        codes, written = pd.factorize(np.array(self.texts(column), dtype=object))
        parsed = parse_days([str(text) for text in written], self._date_format)
        bad = np.flatnonzero(parsed.isna())
        if bad.size:
            row = int(np.flatnonzero(codes == bad[0])[0])
            wanted = f"of the form {self._date_format}" if self._date_format else "such as 2020-02-03"
            raise ValueError(
                f"{self.row_place(row)}, column {self.header[column] or column + 1!r}: a date {wanted} is "
                f"expected. Got {written[bad[0]]!r} instead (date_format= says how dates are written)."
            )
        return parsed[codes]

    def numbers(self, column: int) -> Float64Array:
        cells = self._columns[column]
        values = None
        together = "".join(cells)
        # float() also reads 1_5 as 15, and digits of other scripts.
        if self._decimal == "." and together.isascii() and "_" not in together:
            with suppress(ValueError):  # the fast way, for columns without missing cells
                values = np.fromiter(map(float, cells), dtype=np.float64, count=len(cells))
        if values is None:
            values = self._numbers_one_by_one(column)
        infinite = np.flatnonzero(np.isinf(values))
        if infinite.size:
            raise self._not_a_number(column, int(infinite[0]))
        return values

    def _numbers_one_by_one(self, column: int) -> Float64Array:
        values = np.full(len(self._lines), np.nan)
        for row, cell in enumerate(self._columns[column]):
            text = cell.strip()
            if text.lower() in _MISSING:
                continue
            if self._decimal != ".":  # a point may be a thousands separator, so it is an error
                text = text.replace(".", "?").replace(self._decimal, ".")
            if not _NUMBER.fullmatch(text):
                raise self._not_a_number(column, row)
            values[row] = float(text)
        return values

    def _not_a_number(self, column: int, row: int) -> ValueError:
        cell = self._columns[column][row].strip()
        hint = ""
        if self._decimal == "." and re.fullmatch(r"-?\d+,\d+", cell):
            hint = " If the comma is the decimal sign, pass decimal=','"
            hint += " and another separator." if self._sep == "," else "."
        elif self._decimal != "." and "." in cell:
            hint = f" With decimal={self._decimal!r} there must be no points."
        return ValueError(
            f"{self.row_place(row)}, column {self.header[column]!r}: a finite number is expected. "
            f"Got {cell!r} instead.{hint}"
        )


class FrameTable:
    """A table read from parquet; rows are counted from 0, as in pandas."""

    writer = "to_parquet"

    def __init__(self, frame: pd.DataFrame, *, date_format: str | None) -> None:
        self._date_format = date_format
        if frame.columns.nlevels > 1:
            raise ValueError(
                f"the columns have {frame.columns.nlevels} levels (the first is {frame.columns[0]}), as "
                "yfinance makes them. One price per ticker is expected: frame['Close'].to_parquet(path)."
            )
        if not isinstance(frame.index, pd.RangeIndex):
            frame = frame.reset_index()  # pandas calls an index without a name "index"
        self._frame = frame
        self.header = [str(name).strip() for name in frame.columns]
        if not self.header or not len(frame):
            raise ValueError(f"the table is empty: {frame.shape[0]} rows and {frame.shape[1]} columns.")

    def row_place(self, row: int) -> str:
        return f"row {row}"

    def column_place(self, column: int) -> str:
        return f"column {column + 1}"

    def texts(self, column: int) -> list[str]:
        values = self._frame.iloc[:, column]
        return [
            "" if missing else str(value).strip()
            for value, missing in zip(values, values.isna(), strict=True)
        ]

    def dates(self, column: int) -> pd.DatetimeIndex:
        values = self._frame.iloc[:, column]
        if isinstance(values.dtype, pd.DatetimeTZDtype) or values.dtype.kind == "M":
            parsed = days(values)
        else:
            parsed = parse_days(self.texts(column), self._date_format)
        bad = np.flatnonzero(parsed.isna())
        if bad.size:
            raise ValueError(
                f"{self.row_place(int(bad[0]))}, column {self.header[column]!r}: a date is expected. "
                f"Got {values.iloc[bad[0]]!r} instead."
            )
        return parsed

    def numbers(self, column: int) -> FloatArray:
        values = self._frame.iloc[:, column]
        if values.dtype == np.float32:
            numbers: FloatArray = values.to_numpy()
        elif pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype):
            numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        else:
            numbers = self._coerce(column)
        infinite = np.flatnonzero(np.isinf(numbers))
        if infinite.size:
            raise self._not_a_number(column, int(infinite[0]))
        return numbers

    def _coerce(self, column: int) -> Float64Array:
        """Convert decimals or text to numbers; dates and booleans are errors."""
        values = self._frame.iloc[:, column]
        if values.dtype.kind in "Mmb":
            raise self._not_a_number(column, 0)
        numbers = pd.to_numeric(values.astype(object), errors="coerce")
        bad = np.flatnonzero((numbers.isna() & values.notna()).to_numpy())
        if bad.size:
            raise self._not_a_number(column, int(bad[0]))
        return np.asarray(numbers, dtype=np.float64)

    def _not_a_number(self, column: int, row: int) -> ValueError:
        return ValueError(
            f"{self.row_place(row)}, column {self.header[column]!r}: a finite number is expected. "
            f"Got {self._frame.iloc[row, column]!r} instead."
        )


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


def read_text(path: Path) -> str:
    """Read a whole UTF-8 file, and unpack .gz; every failure is a ValueError of one sentence."""
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
    import_optional("pyarrow", extra="market", needed_for="Reading a parquet file")
    try:
        return pd.read_parquet(path, engine="pyarrow")
    except Exception as error:  # pyarrow raises OSError, ValueError and errors of its own for damaged files
        reason: Any = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(f"the file is damaged or no parquet file: {reason}") from error
