"""What many traders hold: a sparse table of traders and tickers that knows both by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from shapecluster._typing import ArrayLike, IntArray
from shapecluster._validation import listing
from shapecluster.portfolios import _files, _frames


class Portfolios:
    """The holdings of many traders.

    A table with a row per trader and a column per ticker, of which only the holdings are kept. Estimators of
    scikit-learn take `matrix`; row i of it, and label i of a fitted clustering, belong to
    ``trader_ids[i]``.

    Parameters
    ----------
    matrix : sparse matrix or array-like of shape (n_traders, n_tickers)
        What each trader holds of each ticker: 0 and 1, or quantities of at least 0. It is copied.
    tickers : array-like of str of shape (n_tickers,), default=None
        One name per column, none twice. None: "x0", "x1" and so on.
    trader_ids : array-like of int or str of shape (n_traders,), default=None
        One name per row, none twice. None: the numbers from 0, so that a trader's name is its row. Blanks
        around names are dropped, here and in `tickers`.

    Attributes
    ----------
    matrix : scipy.sparse.csr_matrix of shape (n_traders, n_tickers)
        The holdings, in float32 if they came so, else float64; indices are sorted and no zero is stored.
    tickers : ndarray of str (object) of shape (n_tickers,)
        The name of each column.
    trader_ids : ndarray of int64, or of str (object), of shape (n_traders,)
        The name of each row.
    n_holdings : ndarray of int of shape (n_traders,)
        How many tickers each trader holds.
    has_quantities : bool
        Whether anything is held in another quantity than 1.

    Raises
    ------
    ValueError
        For a table without traders or tickers, quantities that are negative, NaN or infinite, and names that
        are missing, repeated or not as many as there are rows or columns; the message says which.

    See Also
    --------
    make_portfolios : Synthetic portfolios.

    Notes
    -----
    Nothing here changes a table once it is made, and nobody else should: the arrays of `matrix` are left
    writeable only because K-Means of scikit-learn (1.6 to 1.9) refuses sparse input that is not. `matrix` is
    a `csr_matrix` because a row of a `csr_array` has one axis, two axes, or is refused, depending on the
    version of scipy.

    Examples
    --------
    >>> from shapecluster.portfolios import Portfolios
    >>> held = Portfolios([[1, 1, 0], [0, 1, 1]], tickers=["AAPL", "KO", "XOM"], trader_ids=["ann", "bob"])
    >>> held
    Portfolios(2 traders, 3 tickers, 2 holdings each)
    >>> held["bob"]
    ticker
    KO     1.0
    XOM    1.0
    Name: bob, dtype: float64
    >>> held.to_frame()
      TRADER_ID Ticker1 Ticker2
    0       ann    AAPL      KO
    1       bob      KO     XOM
    """

    def __init__(
        self, matrix: Any, tickers: ArrayLike | None = None, trader_ids: ArrayLike | None = None
    ) -> None:
        self._matrix = _checked_matrix(matrix)
        n_traders, n_tickers = self._matrix.shape
        if tickers is None:
            tickers = [f"x{column}" for column in range(n_tickers)]
        self._tickers = checked_tickers(tickers)
        _check_length(self._tickers, n_tickers, "tickers", "columns")
        self._trader_ids = np.arange(n_traders) if trader_ids is None else _checked_traders(trader_ids)
        _check_length(self._trader_ids, n_traders, "trader_ids", "rows")
        self._rows: pd.Index[Any] = pd.Index(self._trader_ids)
        _refuse_repeated(self._rows, "trader_ids")

    @property
    def matrix(self) -> Any:
        """The holdings: csr_matrix of shape (n_traders, n_tickers)."""
        return self._matrix

    @property
    def tickers(self) -> NDArray[np.object_]:
        """The name of each column."""
        return self._tickers

    @property
    def trader_ids(self) -> NDArray[Any]:
        """The name of each row."""
        return self._trader_ids

    @property
    def n_holdings(self) -> IntArray:
        """How many tickers each trader holds."""
        counts: IntArray = np.diff(self._matrix.indptr).astype(np.intp)
        return counts

    @property
    def has_quantities(self) -> bool:
        """Whether anything is held in another quantity than 1."""
        return bool(np.any(self._matrix.data != 1))

    def __len__(self) -> int:
        return len(self._trader_ids)

    def __contains__(self, trader_id: object) -> bool:
        return _plain(trader_id) in self._rows

    def __getitem__(self, trader_id: int | str) -> pd.Series[Any]:
        """What one trader holds: quantities by ticker, in the order of the columns."""
        row = self.position(trader_id)
        held = slice(self._matrix.indptr[row], self._matrix.indptr[row + 1])
        index = pd.Index(self._tickers[self._matrix.indices[held]], dtype=object, name="ticker")
        return pd.Series(self._matrix.data[held].copy(), index=index, name=self._trader_ids[row])

    def __repr__(self) -> str:
        counts = self.n_holdings
        least, most = counts.min(), counts.max()
        span = f"{least}" if least == most else f"{least} to {most}"
        words = "with quantities, " if self.has_quantities else ""
        n_traders, n_tickers = self._matrix.shape
        return f"Portfolios({n_traders} traders, {n_tickers} tickers, {words}{span} holdings each)"

    def position(self, trader_id: int | str) -> int:
        """Row of a trader.

        Parameters
        ----------
        trader_id : int or str
            The trader's name, of the type that `trader_ids` has.

        Returns
        -------
        int
            The row of `matrix` that is the trader's.

        Raises
        ------
        KeyError
            If there is no such trader.
        """
        try:
            row: Any = self._rows.get_loc(_plain(trader_id))
        except KeyError:
            span = f"{self._trader_ids[0]} to {self._trader_ids[-1]}"
            raise KeyError(f"no trader {trader_id!r} among the {len(self)} traders ({span})") from None
        return int(row)

    def take(self, rows: ArrayLike) -> Portfolios:
        """Keep some of the traders, and every ticker.

        Parameters
        ----------
        rows : array-like of int or bool
            Positions of rows, none twice, in the order wanted; or a mask of length n_traders.

        Returns
        -------
        Portfolios
            Those traders.
        """
        chosen = np.asarray(rows)
        return Portfolios(self._matrix[chosen], self._tickers, self._trader_ids[chosen])

    def to_frame(self, layout: str = "auto") -> pd.DataFrame:
        """Write the holdings out as a table.

        Parameters
        ----------
        layout : {"auto", "wide", "long"}, default="auto"
            "wide": a line per trader, with columns TRADER_ID, Ticker1 ... TickerN (N: the most that anyone
            holds), the tickers in the order of the columns, missing cells None; it has no place for
            quantities and drops them. "long": a line per holding, with columns TRADER_ID, Ticker, Quantity; a
            trader without holdings has one line with no ticker and quantity 0. "auto": "long" where there
            are quantities, else "wide".

        Returns
        -------
        DataFrame
            The table. A ticker that nobody holds does not stand in it.
        """
        wide = self._is_wide(layout)
        return (_frames.wide_frame if wide else _frames.long_frame)(
            self._matrix, self._tickers, self._trader_ids
        )

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, tickers: ArrayLike | None = None) -> Portfolios:
        """Read holdings from a table such as `to_frame` writes.

        Parameters
        ----------
        frame : DataFrame
            Either layout of `to_frame`; a long table may lack the quantities, which are 1 then. Cells that
            are None, NaN or empty text hold nothing. Names of columns are matched whatever their case.
        tickers : array-like of str, default=None
            All tickers that there are, which become the columns in this order. None: those that someone
            holds, sorted.

        Returns
        -------
        Portfolios
            The holdings, traders in the order of the table.

        Raises
        ------
        ValueError
            If the table has neither layout or no lines, if a trader stands twice or has no name, holds a
            ticker twice or one that is not among `tickers`, or holds a quantity below 0.
        """
        return cls(*_frames.read_frame(frame, None if tickers is None else checked_tickers(tickers)))

    def to_csv(self, path: str | PathLike[str], layout: str = "auto") -> None:
        """Write the holdings to a ``.csv`` or ``.csv.gz`` file, at once or not at all.

        Parameters
        ----------
        path : str or path
            The file; replaced if it is there.
        layout : {"auto", "wide", "long"}, default="auto"
            As in `to_frame`.
        """
        _files.write_csv(path, self.to_frame(layout))

    @classmethod
    def from_csv(cls, path: str | PathLike[str], tickers: ArrayLike | None = None) -> Portfolios:
        """Read holdings from a ``.csv`` or ``.csv.gz`` file in either layout of `to_frame`.

        Parameters
        ----------
        path : str or path
            The file. Traders whose names are all written as plain whole numbers come back as int.
        tickers : array-like of str, default=None
            As in `from_frame`.

        Returns
        -------
        Portfolios
            The holdings.

        Raises
        ------
        PortfolioFileError
            When the file cannot be read as holdings; the message names the file and what is wrong.
        """
        return cls(*_files.read_csv(path, None if tickers is None else checked_tickers(tickers)))

    def to_parquet(self, path: str | PathLike[str], layout: str = "auto") -> None:
        """Write the holdings to a parquet file, at once or not at all.

        Parameters
        ----------
        path : str or path
            The file; replaced if it is there.
        layout : {"auto", "wide", "long"}, default="auto"
            As in `to_frame`.

        Raises
        ------
        ImportError
            When pyarrow is not installed.
        """
        _files.write_parquet(path, self.to_frame(layout))

    @classmethod
    def from_parquet(cls, path: str | PathLike[str], tickers: ArrayLike | None = None) -> Portfolios:
        """Read holdings from a parquet file in either layout of `to_frame`.

        Parameters
        ----------
        path : str or path
            The file.
        tickers : array-like of str, default=None
            As in `from_frame`.

        Returns
        -------
        Portfolios
            The holdings.

        Raises
        ------
        PortfolioFileError
            When the file cannot be read as holdings; the message names the file and what is wrong.
        ImportError
            When pyarrow is not installed.
        """
        return cls(*_files.read_parquet(path, None if tickers is None else checked_tickers(tickers)))

    def _is_wide(self, layout: str) -> bool:
        if layout not in ("auto", "wide", "long"):
            raise ValueError(f"layout must be 'auto', 'wide' or 'long'. Got {layout!r} instead.")
        return layout == "wide" or (layout == "auto" and not self.has_quantities)


def checked_tickers(tickers: ArrayLike | Iterable[str]) -> NDArray[np.object_]:
    """Tickers as an array of text, none empty and none twice."""
    names = list(tickers)  # type: ignore[arg-type]
    for position, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"tickers must be text that is not empty. Got {name!r} at {position} instead.")
    if not names:
        raise ValueError("tickers is empty: at least one is expected.")
    checked = np.empty(len(names), dtype=object)
    checked[:] = [str(name).strip() for name in names]
    _refuse_repeated(pd.Index(checked), "tickers")
    return checked


def _checked_traders(trader_ids: ArrayLike) -> NDArray[Any]:
    """Trader ids as int64, or as an array of text."""
    given: pd.Index[Any] = pd.Index(trader_ids)  # type: ignore[arg-type]
    if pd.api.types.is_integer_dtype(given.dtype) and not given.hasnans:
        return np.array(given, dtype=np.int64)
    names: Sequence[Any] = list(given)
    for position, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            raise ValueError(
                "trader_ids must be whole numbers throughout, or text that is not empty throughout. "
                f"Got {name!r} at {position} instead."
            )
    checked = np.empty(len(names), dtype=object)
    checked[:] = [str(name).strip() for name in names]
    return checked


def _checked_matrix(matrix: Any) -> Any:
    """A copy in canonical form: CSR, indices sorted, no zero stored, float32 or float64."""
    given: Any = matrix if sparse.issparse(matrix) else np.asarray(matrix)
    if given.ndim != 2 or 0 in given.shape:
        raise ValueError(
            "matrix must have two axes, traders and tickers, and at least one of each. "
            f"Got shape {given.shape} instead."
        )
    if given.dtype.kind not in "biuf":
        raise ValueError(f"matrix must hold numbers. Got {given.dtype} instead.")
    dtype = np.float32 if given.dtype == np.float32 else np.float64
    held = sparse.csr_matrix(given, dtype=dtype, copy=True)
    held.sum_duplicates()
    held.eliminate_zeros()
    wrong = ~(np.isfinite(held.data) & (held.data >= 0))
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        row = int(np.searchsorted(held.indptr, at, side="right")) - 1
        raise ValueError(
            "matrix must hold quantities that are finite and not negative. "
            f"Got {held.data[at]} in row {row}, column {held.indices[at]} instead."
        )
    return held


def _check_length(names: NDArray[Any], expected: int, what: str, axis: str) -> None:
    if len(names) != expected:
        raise ValueError(f"{what} must name all {expected} {axis} of matrix. Got {len(names)} names instead.")


def _refuse_repeated(names: pd.Index[Any], what: str) -> None:
    if not names.is_unique:
        repeated = names[names.duplicated()].unique()
        raise ValueError(f"{what} must differ from each other, but these repeat: {listing(repeated)}.")


def _plain(trader_id: object) -> Any:
    """A trader's name, or None, which is nobody's: neither are True and 1.0, which equal 1."""
    is_name = isinstance(trader_id, str | int | np.integer) and not isinstance(trader_id, bool)
    return trader_id if is_name else None
