"""Portfolios in csv and parquet files."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Callable
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd

from shapecluster import _tables
from shapecluster._files import atomic_write
from shapecluster._optional import import_optional
from shapecluster.exceptions import PortfolioFileError
from shapecluster.portfolios._frames import TICKER, TRADER, Names, Parts, read_frame

_CSV = (".csv", ".csv.gz")
_PARQUET = (".parquet", ".pq")
# At most 18 digits, which int64 always holds. Leading zeros make an id text, or they would be lost.
_WHOLE_NUMBER = re.compile(r"-?[1-9]\d{0,17}|0", re.ASCII)


def write_csv(path: str | PathLike[str], frame: pd.DataFrame) -> None:
    """Write a table to .csv or .csv.gz; equal tables give equal bytes."""
    target = _check_path(path, _CSV)
    # pandas would take the line ends of the system, and gzip the time of day.
    text = frame.to_csv(index=False, lineterminator="\n").encode()
    if target.name.lower().endswith(".gz"):
        text = gzip.compress(text, compresslevel=6, mtime=0)
    with atomic_write(target) as file:
        file.write(text)


def write_parquet(path: str | PathLike[str], frame: pd.DataFrame) -> None:
    """Write a table to parquet."""
    target = _check_path(path, _PARQUET)
    import_optional("pyarrow", extra="market", needed_for="Writing a parquet file")
    with atomic_write(target) as file:
        frame.to_parquet(file, engine="pyarrow", index=False)


def read_csv(path: str | PathLike[str], tickers: Names | None) -> Parts:
    """Read holdings from a .csv or .csv.gz file."""
    return _from_file(path, _CSV, _csv_frame, tickers)


def read_parquet(path: str | PathLike[str], tickers: Names | None) -> Parts:
    """Read holdings from a parquet file."""
    return _from_file(path, _PARQUET, _tables.read_parquet, tickers)


def _from_file(
    path: str | PathLike[str],
    suffixes: tuple[str, ...],
    read: Callable[[Path], pd.DataFrame],
    tickers: Names | None,
) -> Parts:
    try:
        source = _check_path(path, suffixes)
        if not source.is_file():
            raise ValueError("there is no such file.")
        return read_frame(read(source), tickers)
    except ValueError as error:
        raise PortfolioFileError(f"{path}: {error}") from error


def _csv_frame(path: Path) -> pd.DataFrame:
    """The cells as text: a ticker called NA or TRUE stays a ticker, and an empty cell stays empty."""
    lines = csv.reader(io.StringIO(_tables.read_text(path), newline=""), strict=True)
    try:
        numbered = [(lines.line_num, row) for row in lines if row]
    except csv.Error as error:
        raise ValueError(f"line {lines.line_num} is not readable as separated text: {error}.") from error
    if not numbered:
        raise ValueError(f"the file is empty. A header such as {TRADER},{TICKER}1,{TICKER}2 is expected.")
    header = [name.strip() for name in numbered[0][1]]
    for line, row in numbered:
        if len(row) != len(header):
            raise ValueError(
                f"line {line} has {len(row)} fields where the header has {len(header)}. The file may be "
                "cut off or damaged."
            )
    frame = pd.DataFrame([row for _, row in numbered[1:]], columns=header, dtype=object)
    trader_columns = [at for at, name in enumerate(header) if name.lower() == TRADER.lower()]
    if len(trader_columns) == 1:
        column = trader_columns[0]
        ids = frame.iloc[:, column].str.strip()
        # All ids become int or none, because the ids of one table have one type.
        whole = bool(ids.map(_WHOLE_NUMBER.fullmatch).notna().all())
        frame[frame.columns[column]] = ids.astype(np.int64) if whole else ids.replace("", None)
    return frame


def _check_path(path: str | PathLike[str], suffixes: tuple[str, ...]) -> Path:
    checked = Path(path)
    if not checked.name.lower().endswith(suffixes):
        raise ValueError(f"the name must end in {' or '.join(suffixes)}. Got {checked.name!r} instead.")
    return checked
