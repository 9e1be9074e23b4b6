"""Portfolios in csv and parquet files."""

from __future__ import annotations

import gzip
import re
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd

from shapecluster import _tables
from shapecluster._files import atomic_write
from shapecluster._optional import import_optional
from shapecluster.portfolios._frames import TICKER, TRADER

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


def read_csv(path: str | PathLike[str]) -> pd.DataFrame:
    """Read a .csv or .csv.gz file as text: tickers such as NA and TRUE keep their names."""
    header, rows, _ = _tables.read_rows(_tables.read_text(_check_path(path, _CSV)))
    if not header:
        raise ValueError(f"the file is empty. A header such as {TRADER},{TICKER}1,{TICKER}2 is expected.")
    frame = pd.DataFrame(rows, columns=header, dtype=object)
    trader_columns = [at for at, name in enumerate(header) if name.lower() == TRADER.lower()]
    if len(trader_columns) == 1:
        column = trader_columns[0]
        ids = frame.iloc[:, column].str.strip()
        # All ids become int or none, because the ids of one table have one type.
        whole = bool(ids.map(_WHOLE_NUMBER.fullmatch).notna().all())
        frame[frame.columns[column]] = ids.astype(np.int64) if whole else ids.replace("", None)
    return frame


def read_parquet(path: str | PathLike[str]) -> pd.DataFrame:
    """Read a parquet file."""
    return _tables.read_parquet(_check_path(path, _PARQUET))


def _check_path(path: str | PathLike[str], suffixes: tuple[str, ...]) -> Path:
    checked = Path(path)
    if not checked.name.lower().endswith(suffixes):
        raise ValueError(f"the name must end in {' or '.join(suffixes)}. Got {checked.name!r} instead.")
    return checked
