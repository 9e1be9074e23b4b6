"""`load_prices` and `load_sectors`: read csv, csv.gz and parquet files, wide or long."""

from __future__ import annotations

import re
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from shapecluster._sklearn_compat import StrOptions, validate_params
from shapecluster._tables import (
    Table,
    check_file,
    errors_of_file,
    read_parquet,
    read_text,
    table_of_frame,
    table_of_text,
)
from shapecluster._text import listing
from shapecluster.exceptions import PriceFileError
from shapecluster.prices._frames import check_day_order, check_tickers, price_frame, rows_from_triples

_TEXT = (".csv", ".csv.gz")
_PARQUET = (".parquet", ".pq")
_UNNAMED = frozenset({"index", "unnamed: 0", ""})
"""Names under which pandas writes an index without a name."""
# In order of preference: an unnamed column may hold row numbers, and DAY is a ticker too.
_DATE_NAMES = (frozenset({"date", "datetime", "timestamp"}), frozenset({"day"}), _UNNAMED)
_TICKER_NAMES = frozenset({"ticker", "symbol"})
_PRICE_NAMES = frozenset({"price", "close", "adj close", "adj_close", "adjclose", "adjusted_close"})
_FIELD_NAMES = frozenset({"open", "high", "low", "close", "adj close", "volume"})
_LOOKS_LIKE_DATE = re.compile(r"\d{4}-?\d{2}-?\d{2}(\D.*)?|\d{1,2}[/.]\d{1,2}[/.]\d{2,4}")


@validate_params(
    {
        "path": [str, PathLike],
        "ticker": [str, None],
        "date": [str, None],
        "price": [str, None],
        "date_format": [str, None],
        "sort_dates": ["boolean"],
        "sep": [str],
        "decimal": [StrOptions({".", ","})],
    },
    prefer_skip_nested_validation=True,
)
def load_prices(
    path: str | PathLike[str],
    *,
    ticker: str | None = None,
    date: str | None = None,
    price: str | None = None,
    date_format: str | None = None,
    sort_dates: bool = False,
    sep: str = ",",
    decimal: Literal[".", ","] = ".",
) -> pd.DataFrame:
    r"""Load daily prices from a file, one stock per row.

    Nothing is guessed, filled or repaired. An ambiguous file raises an error that names the place.

    Parameters
    ----------
    path : str or path
        A ``.csv``, ``.csv.gz`` or ``.parquet`` file, in one of two layouts. *Wide*: one line per day, a
        column of dates (called "date", or named by `date`, or the first) and one column per ticker.
        *Long*: one line per ticker and day, in any order. A first column of row numbers, as pandas writes
        it, is ignored.
    ticker, date, price : str, default=None
        Long files: the columns that hold tickers, dates and prices. Without these names a file is read as
        long only if its header is unambiguous. It has one column called "ticker" or "symbol", and one called
        "date". The price column is called "price", "close" or similar, or is the single other column. A
        column called "volume", "open", "high" or "low" is never taken.
    date_format : str, default=None
        The format of dates, in the codes of `strptime` ("%d/%m/%Y"). None: ISO 8601 (2020-02-03). The time of
        day and the time zone are ignored; the day is taken as written.
    sort_dates : bool, default=False
        Wide files: whether to accept lines in any order and sort them by date. By default dates that do not
        increase are an error, because they often mean that a file was concatenated or damaged.
    sep : str, default=","
        The character that separates the cells of a csv file.
    decimal : {".", ","}, default="."
        The decimal sign in a csv file; it must differ from `sep`. Thousands separators are not accepted.

    Returns
    -------
    DataFrame of shape (n_tickers, n_days)
        Prices in the file's units. Rows are tickers in the file's order; columns are increasing days.
        float32 if every price in a parquet file is float32, else float64. Empty cells are NaN, and so
        are "NA", "N/A", "NaN", "null", "None" and "-". Zero and negative prices are kept; `clean_prices` and
        `LogReturns` handle them.

    Raises
    ------
    PriceFileError
        When the file cannot be read as prices. The message names the file and the line, row or column.
    ValueError
        For invalid arguments.
    ImportError
        For parquet files, when pyarrow is not installed.

    See Also
    --------
    fetch_prices : Prices from Yahoo.
    clean_prices : Fill gaps, drop late listings and flag bad prints.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from shapecluster.prices import load_prices
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "prices.csv"
    ...     _ = path.write_text("date,AAPL,MSFT\n2020-02-03,76.4,172.2\n2020-02-04,78.9,\n")
    ...     load_prices(path)
    date    2020-02-03  2020-02-04
    ticker
    AAPL          76.4        78.9
    MSFT         172.2         NaN
    """
    if len(sep) != 1 or sep in '"\r\n' or sep == decimal:
        raise ValueError(
            f"sep of load_prices must be one character, other than decimal ({decimal!r}). "
            f"Got {sep!r} instead."
        )
    with errors_of_file(path, PriceFileError):
        table = _read_table(Path(path), sep=sep, decimal=decimal, date_format=date_format)
        if _is_long(table.header, ticker, price):
            return _from_long(table, ticker, date, price)
        return _from_wide(table, date, sort_dates=sort_dates)


def load_sectors(
    path: str | PathLike[str], *, ticker: str = "ticker", sector: str = "sector"
) -> pd.Series[Any]:
    r"""Load the sector of each ticker from a csv file.

    Parameters
    ----------
    path : str or path
        A ``.csv`` or ``.csv.gz`` file with one line per ticker.
    ticker, sector : str
        The columns that hold the tickers and their sectors. Other columns are ignored.

    Returns
    -------
    Series of length n_tickers
        Sectors, named "sector", with the tickers as index.

    Raises
    ------
    PriceFileError
        When the file cannot be read so. The message names the file and the line or column.

    See Also
    --------
    load_prices : Prices from a file.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from shapecluster.prices import load_sectors
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "sectors.csv"
    ...     _ = path.write_text("ticker,name,sector\nAAPL,Apple,Technology\nXOM,Exxon Mobil,Energy\n")
    ...     load_sectors(path).to_dict()
    {'AAPL': 'Technology', 'XOM': 'Energy'}
    """
    with errors_of_file(path, PriceFileError):
        if not Path(path).name.lower().endswith(_TEXT):
            known = " and ".join(_TEXT)
            raise ValueError(f"sectors are read from {known} files. Got {Path(path).suffix!r} instead.")
        table = _read_table(Path(path), sep=",", decimal=".", date_format=None)
        names = table.texts(_column(table.header, ticker, "ticker"))
        sectors = table.texts(_column(table.header, sector, "sector"))
        check_tickers(names, table.row_place)
        for row, text in enumerate(sectors):
            if not text:
                raise ValueError(f"{table.row_place(row)}: {names[row]!r} has no sector.")
    return pd.Series(sectors, index=pd.Index(names, name="ticker"), name="sector")


def _read_table(path: Path, *, sep: str, decimal: str, date_format: str | None) -> Table:
    name = path.name.lower()
    if name.endswith(_TEXT):
        return table_of_text(read_text(path), sep=sep, decimal=decimal, date_format=date_format)
    if name.endswith(_PARQUET):
        return table_of_frame(read_parquet(path), date_format=date_format)
    check_file(path)
    known = ", ".join(_TEXT + _PARQUET)
    raise ValueError(f"the name must end in one of {known}. Got {path.suffix or 'no suffix'!r} instead.")


def _is_long(header: list[str], ticker: str | None, price: str | None) -> bool:
    """Whether one line holds one price: columns were named, or the header has a ticker and a date."""
    named = ticker is not None or price is not None
    dates = [at for at in _called(header, frozenset().union(*_DATE_NAMES)) if header[at]]
    return named or bool(dates and _called(header, _TICKER_NAMES))


def _called(header: list[str], *known: frozenset[str]) -> list[int]:
    """Return the columns with a known name; earlier sets of names are preferred."""
    found: list[int] = []
    for names in known:
        found = found or [at for at, name in enumerate(header) if name.lower() in names]
    return found


def _from_wide(table: Table, date: str | None, *, sort_dates: bool) -> pd.DataFrame:
    header = table.header
    _refuse_tickers_as_rows(table)
    named = _called(header, _DATE_NAMES[0])
    at = named[0] if len(named) == 1 else 0
    if date is not None:
        at = _column(header, date, "date")
    skipped = {at, _row_numbers(table, at)}
    columns = [column for column in range(len(header)) if column not in skipped]
    if not columns:
        raise ValueError(f"there is no column of prices besides the dates (the header is {header}).")
    tickers = [header[column] for column in columns]
    _refuse_fields_as_tickers(table, tickers)
    check_tickers(tickers, lambda position: f"column {columns[position] + 1}")
    dates = table.dates(at)
    # The line of each date, in the order of the result.
    places = np.argsort(dates.asi8, kind="stable") if sort_dates else np.arange(len(dates))
    dates = dates[places]
    remedy = "If the order is intended, pass sort_dates=True to sort them."
    check_day_order(dates, lambda row: table.row_place(int(places[row])), remedy=remedy)
    values = np.stack([table.numbers(column) for column in columns])
    return price_frame(values.take(places, axis=1), tickers, dates)


def _row_numbers(table: Table, dates_at: int) -> int | None:
    """Return the column of row numbers that pandas writes by default, if there is one."""
    if dates_at == 0 or table.header[0].lower() not in _UNNAMED:
        return None
    return 0 if all(re.fullmatch(r"\d+", cell) for cell in table.texts(0)) else None


def _refuse_fields_as_tickers(table: Table, tickers: list[str]) -> None:
    """Raise for opens, highs and volumes of one stock, or (with two lines of names) of several."""
    found = sorted(_FIELD_NAMES.intersection(name.lower() for name in tickers))
    second = {table.header[0].lower(), table.texts(0)[0].lower()} == {"price", "ticker"}
    if second or (len(found) > 1 and found != ["low", "open"]):  # LOW and OPEN are tickers as well
        layout = "has a second line of names" if second else f"holds {', '.join(found)} of a stock"
        raise ValueError(
            f"the file {layout}, but one column of prices per ticker is expected. In pandas, for "
            f"one stock: frame[['Close']].rename(columns={{'Close': 'AAPL'}}).{table.writer}(path); for "
            f"several, as yfinance returns them: frame['Close'].{table.writer}(path)."
        )


def _refuse_tickers_as_rows(table: Table) -> None:
    """Raise when most of the columns are dates, so that the rows must be tickers."""
    header = table.header
    dated = [name for name in header[1:] if _LOOKS_LIKE_DATE.fullmatch(name)]
    if len(dated) > len(header[1:]) / 2:
        raise ValueError(
            f"the columns are dates ({listing(dated, limit=2)}), so the rows are tickers, but files are read "
            f"with a line per day. Transpose it: prices.T.{table.writer}(path)."
        )


def _from_long(table: Table, ticker: str | None, date: str | None, price: str | None) -> pd.DataFrame:
    header = table.header
    ticker_at = _chosen(header, ticker, "ticker", _called(header, _TICKER_NAMES))
    date_at = _chosen(header, date, "date", _called(header, *_DATE_NAMES))
    taken = {ticker_at, date_at, _row_numbers(table, date_at)}
    rest = [at for at in range(len(header)) if at not in taken]
    priced = [at for at in rest if header[at].lower() in _PRICE_NAMES]
    others = _called(header, _FIELD_NAMES - _PRICE_NAMES)
    price_at = _chosen(header, price, "price", priced or rest, never=others)
    names = table.texts(ticker_at)
    if "" in names:
        raise ValueError(f"{table.row_place(names.index(''))} has no ticker.")
    return rows_from_triples(names, table.dates(date_at), table.numbers(price_at), table.row_place)


def _chosen(
    header: list[str], given: str | None, role: str, found: list[int], never: Sequence[int] = ()
) -> int:
    """Return the column given, or the only one found, unless it is one that is never taken."""
    if given is not None:
        return _column(header, given, role)
    if len(found) != 1 or found[0] in never:
        candidates = f"none of {listing(map(repr, header))} is called so"
        if found:
            candidates = f"{listing(repr(header[at]) for at in found)} could"
        raise ValueError(f"cannot tell which column holds the {role}s: {candidates}. Name it: {role}='...'.")
    return found[0]


def _column(header: list[str], name: str, role: str) -> int:
    """Return the position of a named column; case is ignored unless that is ambiguous."""
    exact = [at for at, known in enumerate(header) if known == name]
    found = exact or [at for at, known in enumerate(header) if known.lower() == name.lower()]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"the column {name!r} ({role}) occurs {len(found)} times in the header.")
    raise ValueError(f"there is no column {name!r} ({role}); the columns are {listing(map(repr, header))}.")
