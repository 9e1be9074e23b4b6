"""Portfolios in csv and parquet files."""

from __future__ import annotations

import csv
import gzip
import io
import os
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd

from shapecluster import _tables
from shapecluster._optional import import_optional
from shapecluster.exceptions import PortfolioFileError
from shapecluster.portfolios._frames import TICKER, TRADER, Names, Parts, read_frame

_CSV = (".csv", ".csv.gz")


_PARQUET = (".parquet", ".pq")


_WHOLE = re.compile(r"-?[1-9]\d{0,17}|0", re.ASCII)


def write_csv(path: str | PathLike[str], frame: pd.DataFrame) -> None:
    """Write a table to .csv or .csv.gz; the bytes depend on nothing but the table."""
    target = _checked_path(path, _CSV)

    def fill(unfinished: Path) -> None:
        text = frame.to_csv(index=False, lineterminator="\n").encode()
        if target.name.lower().endswith(".gz"):
            text = gzip.compress(text, compresslevel=6, mtime=0)
        unfinished.write_bytes(text)

    _replace(target, fill)


def write_parquet(path: str | PathLike[str], frame: pd.DataFrame) -> None:
    """Write a table to parquet."""
    target = _checked_path(path, _PARQUET)
    import_optional("pyarrow", extra="market", needed_for="Writing a parquet file")
    _replace(target, lambda unfinished: frame.to_parquet(unfinished, engine="pyarrow", index=False))


def read_csv(path: str | PathLike[str], tickers: Names | None) -> Parts:
    """Holdings from a .csv or .csv.gz file."""
    return _from_file(path, _CSV, _csv_frame, tickers)


def read_parquet(path: str | PathLike[str], tickers: Names | None) -> Parts:
    """Holdings from a parquet file."""
    return _from_file(path, _PARQUET, _tables.read_parquet, tickers)


def _from_file(
    path: str | PathLike[str],
    suffixes: tuple[str, ...],
    read: Callable[[Path], pd.DataFrame],
    tickers: Names | None,
) -> Parts:
    try:
        source = _checked_path(path, suffixes)
        if not source.is_file():
            raise ValueError("there is no such file.")
        return read_frame(read(source), tickers)
    except ValueError as error:
        raise PortfolioFileError(f"{path}: {error}") from error


def _csv_frame(path: Path) -> pd.DataFrame:
    """Cells as they are written: a ticker called NA or TRUE is a ticker, and an empty cell is empty."""
    lines = csv.reader(io.StringIO(_tables.read_text(path), newline=""), strict=True)
    try:
        rows = [row for row in lines if row]
    except csv.Error as error:
        raise ValueError(f"line {lines.line_num} is not readable as separated text: {error}.") from error
    if not rows:
        raise ValueError(f"the file is empty. A header such as {TRADER},{TICKER}1,{TICKER}2 is expected.")
    for number, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise ValueError(
                f"row {number} has {len(row)} fields where the header has {len(rows[0])}. The file may be "
                "cut off or damaged."
            )
    frame = pd.DataFrame(rows[1:], columns=[name.strip() for name in rows[0]], dtype=object)
    ids = [at for at, name in enumerate(frame.columns) if name.lower() == TRADER.lower()]
    if len(ids) == 1:
        written = frame.iloc[:, ids[0]].str.strip()
        plain = bool(written.map(_WHOLE.fullmatch).notna().all())
        frame[frame.columns[ids[0]]] = written.astype(np.int64) if plain else written.replace("", None)
    return frame


def _checked_path(path: str | PathLike[str], suffixes: tuple[str, ...]) -> Path:
    checked = Path(path)
    if not checked.name.lower().endswith(suffixes):
        raise ValueError(f"the name must end in {' or '.join(suffixes)}. Got {checked.name!r} instead.")
    return checked


def _replace(path: Path, fill: Callable[[Path], None]) -> None:
    """Write a file so that a reader, or a crash half way, sees the old one or the new one only."""
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        fill(unfinished)
        os.replace(unfinished, path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise
