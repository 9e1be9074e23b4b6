"""Portfolios as DataFrames and in files: one row per trader ("wide") or one row per holding ("long")."""

from __future__ import annotations

import gzip
import re
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from shapecluster import _tables
from shapecluster._files import atomic_write
from shapecluster._optional import import_optional
from shapecluster._text import listing
from shapecluster._typing import Float64Array, IntArray

Layout: TypeAlias = Literal["auto", "wide", "long"]
Names: TypeAlias = NDArray[Any]
Parts: TypeAlias = tuple[Any, Names, Names]
"""Matrix, tickers and trader ids: the arguments of `Portfolios`."""

TRADER, TICKER, QUANTITY = "TRADER_ID", "Ticker", "Quantity"
_NUMBERED = re.compile(r"ticker\d+", re.IGNORECASE)
_CSV = (".csv", ".csv.gz")
_PARQUET = (".parquet", ".pq")
# At most 18 digits, which int64 always holds. Leading zeros make an id text, or they would be lost.
_WHOLE_NUMBER = re.compile(r"-?[1-9]\d{0,17}|0", re.ASCII)


def wide_frame(matrix: Any, tickers: Names, trader_ids: Names) -> pd.DataFrame:
    """One row per trader: TRADER_ID, Ticker1 ... TickerN."""
    counts = np.diff(matrix.indptr)
    # One ticker column at least, so that a table of empty portfolios can be read back.
    cells = np.full((matrix.shape[0], max(int(counts.max()), 1)), None, dtype=object)
    cells[np.arange(cells.shape[1]) < counts[:, None]] = tickers[matrix.indices]
    columns = {f"{TICKER}{i}": cells[:, i - 1] for i in range(1, cells.shape[1] + 1)}
    return pd.DataFrame({TRADER: trader_ids, **columns})


def long_frame(matrix: Any, tickers: Names, trader_ids: Names) -> pd.DataFrame:
    """One row per holding: TRADER_ID, Ticker, Quantity; a row without a ticker for an empty portfolio."""
    counts = np.diff(matrix.indptr)
    # Without a row of its own, a trader with an empty portfolio would be lost.
    n_rows = np.maximum(counts, 1)
    names = np.full(int(n_rows.sum()), None, dtype=object)
    quantities = np.zeros(len(names), dtype=matrix.dtype)
    filled = np.repeat(counts > 0, n_rows)
    names[filled] = tickers[matrix.indices]
    quantities[filled] = matrix.data
    return pd.DataFrame({TRADER: np.repeat(trader_ids, n_rows), TICKER: names, QUANTITY: quantities})


def read_frame(frame: pd.DataFrame, tickers: Names | None) -> Parts:
    """Read a table of either layout; the names of its columns decide which."""
    lowered = [str(name).strip().lower() for name in frame.columns]
    if lowered.count(TRADER.lower()) != 1:
        raise ValueError(
            f"a table of portfolios has one column {TRADER}. Got the columns {listing(frame.columns)}."
        )
    if not len(frame):
        raise ValueError("the table of portfolios has no rows: at least one trader is expected.")
    ids = frame.iloc[:, lowered.index(TRADER.lower())]
    missing = np.flatnonzero(ids.isna().to_numpy())
    if missing.size:
        raise ValueError(f"row {missing[0]} of the table has no {TRADER}.")
    numbered = [at for at, name in enumerate(lowered) if _NUMBERED.fullmatch(name)]
    others = [at for at in range(len(lowered)) if at not in numbered and lowered[at] != TRADER.lower()]
    if numbered and not others:
        return _read_wide(frame.iloc[:, numbered], ids, tickers)
    rest = sorted(lowered[at] for at in others)
    if not numbered and rest in (["ticker"], ["quantity", "ticker"]):
        quantities = frame.iloc[:, lowered.index("quantity")] if "quantity" in lowered else None
        return _read_long(frame.iloc[:, lowered.index("ticker")], quantities, ids, tickers)
    raise ValueError(
        f"a table of portfolios has the columns {TRADER}, {TICKER}1 ... {TICKER}N (one row per trader), or "
        f"{TRADER}, {TICKER} and {QUANTITY} (one row per holding). Got {listing(frame.columns)} instead."
    )


def _read_wide(cells: pd.DataFrame, ids: pd.Series[Any], tickers: Names | None) -> Parts:
    repeated = ids[ids.duplicated()]
    if len(repeated):
        raise ValueError(f"these traders have more than one row: {listing(repeated.unique())}.")
    flat = cells.to_numpy(dtype=object).ravel()
    columns, names = _ticker_columns(flat, tickers)
    rows = np.repeat(np.arange(len(ids)), cells.shape[1])[columns >= 0]
    held = columns[columns >= 0]
    return _assemble(rows, held, np.ones(len(held)), names, ids.to_numpy())


def _read_long(
    cells: pd.Series[Any], quantity_column: pd.Series[Any] | None, ids: pd.Series[Any], tickers: Names | None
) -> Parts:
    rows, traders = pd.factorize(ids)
    columns, names = _ticker_columns(cells.to_numpy(dtype=object), tickers)
    quantities = np.ones(len(ids)) if quantity_column is None else _quantities(quantity_column)
    lost = np.flatnonzero((columns < 0) & (quantities > 0) & (quantity_column is not None))
    if lost.size:
        at = lost[0]
        raise ValueError(f"row {at} of the table has a quantity, {quantities[at]}, but no ticker.")
    held = columns >= 0
    return _assemble(rows[held], columns[held], quantities[held], names, np.asarray(traders))


def _ticker_columns(cells: Names, tickers: Names | None) -> tuple[IntArray, Names]:
    """The column of each cell's ticker (-1: empty), and the names of the columns."""
    codes, found = pd.factorize(cells)  # None and NaN have code -1
    names: list[str] = []
    for name in found:
        if not isinstance(name, str):
            raise ValueError(f"tickers must be text. Got {name!r} in the table instead.")
        names.append(name.strip())
    universe = np.array(sorted({*names} - {""}), dtype=object) if tickers is None else tickers
    if not len(universe):
        raise ValueError("no trader in the table holds anything, and no tickers are given.")
    # Code -1 selects the last entry, so empty cells get column -1 again.
    columns = np.append(pd.Index(universe).get_indexer(names), -1)
    unknown = [name for name, column in zip(names, columns, strict=False) if name and column < 0]
    if unknown:
        raise ValueError(f"these tickers of the table are not among the tickers given: {listing(unknown)}.")
    return columns[codes], universe


def _quantities(column: pd.Series[Any]) -> Float64Array:
    quantities = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = np.flatnonzero(~(np.isfinite(quantities) & (quantities >= 0)))
    if wrong.size:
        raise ValueError(
            f"row {wrong[0]} of the table: a quantity must be a finite number of at least 0. "
            f"Got {column.iloc[wrong[0]]!r} instead."
        )
    return quantities


def _assemble(
    rows: IntArray, columns: IntArray, quantities: Float64Array, tickers: Names, ids: Names
) -> Parts:
    keys = rows * len(tickers) + columns
    order = np.argsort(keys, kind="stable")
    # Repeats are looked for here, because a sparse matrix would add them up in silence.
    repeats = np.flatnonzero(np.diff(keys[order]) == 0)
    if repeats.size:
        first = order[repeats[0]]
        raise ValueError(f"trader {ids[rows[first]]} holds {tickers[columns[first]]} more than once.")
    matrix = sparse.csr_matrix((quantities, (rows, columns)), shape=(len(ids), len(tickers)))
    return matrix, tickers, ids


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
