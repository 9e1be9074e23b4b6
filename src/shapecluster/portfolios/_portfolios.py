"""The table of holdings: a sparse matrix whose rows and columns have names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from shapecluster._tables import errors_of_file
from shapecluster._text import listing
from shapecluster._typing import ArrayLike, IntArray
from shapecluster.exceptions import PortfolioFileError
from shapecluster.portfolios import _frames

TraderIds: TypeAlias = NDArray[np.int64] | NDArray[np.object_]


class Portfolios:
    """The holdings of many traders.

    A sparse table with one row per trader and one column per ticker. Estimators of scikit-learn take its
    `matrix`. Row i of the matrix, and label i of a fitted clustering, belong to ``trader_ids[i]``.

    Parameters
    ----------
    matrix : sparse matrix or array-like of shape (n_traders, n_tickers)
        The holdings: 0 and 1, or quantities of at least 0. The matrix is copied.
    tickers : array-like of str of shape (n_tickers,), default=None
        A unique name for each column. None: "x0", "x1" and so on. Blanks around names are removed.
    trader_ids : array-like of int or str of shape (n_traders,), default=None
        A unique id for each row. None: the row numbers. Blanks around text are removed.

    Attributes
    ----------
    matrix : scipy.sparse.csr_matrix of shape (n_traders, n_tickers)
        The holdings, in float32 if they were given so, else in float64. Indices are sorted, and no zero is
        stored.
    tickers : ndarray of str (object) of shape (n_tickers,)
        The name of each column.
    trader_ids : ndarray of int64, or of str (object), of shape (n_traders,)
        The id of each row.
    n_holdings : ndarray of int of shape (n_traders,)
        Number of tickers that each trader holds.
    has_quantities : bool
        Whether any quantity differs from 1.

    Raises
    ------
    ValueError
        If there are no traders or no tickers. If a quantity is negative, NaN or infinite. If names are
        missing, repeated or of the wrong number.

    See Also
    --------
    make_portfolios : Synthetic portfolios.

    Notes
    -----
    A table never changes. Do not write to the arrays of `matrix`: they are writeable only because K-Means of
    scikit-learn (1.6 to 1.9) raises for read-only sparse input. `matrix` is a `csr_matrix` because indexing
    a row of a `csr_array` returns one axis, returns two axes or raises, depending on the version of SciPy.

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
        self,
        matrix: ArrayLike | sparse.sparray | sparse.spmatrix,
        tickers: ArrayLike | Iterable[str] | None = None,
        trader_ids: ArrayLike | Iterable[int] | Iterable[str] | None = None,
    ) -> None:
        self._matrix = _check_matrix(matrix)
        n_traders, n_tickers = self._matrix.shape
        if tickers is None:
            tickers = [f"x{column}" for column in range(n_tickers)]
        self._tickers = check_tickers(tickers)
        _check_length(self._tickers, n_tickers, "tickers", "columns")
        self._trader_ids: TraderIds = (
            np.arange(n_traders) if trader_ids is None else _check_trader_ids(trader_ids)
        )
        _check_length(self._trader_ids, n_traders, "trader_ids", "rows")
        self._index: pd.Index[Any] = pd.Index(self._trader_ids)
        _check_unique(self._index, "trader_ids")

    @property
    def matrix(self) -> sparse.csr_matrix:
        """The holdings: csr_matrix of shape (n_traders, n_tickers)."""
        return self._matrix

    @property
    def tickers(self) -> NDArray[np.object_]:
        """The name of each column."""
        return self._tickers

    @property
    def trader_ids(self) -> TraderIds:
        """The id of each row."""
        return self._trader_ids

    @property
    def n_holdings(self) -> IntArray:
        """Number of tickers that each trader holds."""
        counts: IntArray = np.diff(self._matrix.indptr).astype(np.intp)
        return counts

    @property
    def has_quantities(self) -> bool:
        """Whether any quantity differs from 1."""
        return bool(np.any(self._matrix.data != 1))

    def __len__(self) -> int:
        return len(self._trader_ids)

    def __contains__(self, trader_id: object) -> bool:
        return _lookup_key(trader_id) in self._index

    def __getitem__(self, trader_id: int | str) -> pd.Series[float]:
        """The holdings of one trader: quantities by ticker, in the order of the columns."""
        row = self.position(trader_id)
        held = slice(self._matrix.indptr[row], self._matrix.indptr[row + 1])
        index = pd.Index(self._tickers[self._matrix.indices[held]], dtype=object, name="ticker")
        # A copy, so that a change of the answer does not change the table.
        return pd.Series(self._matrix.data[held].copy(), index=index, name=self._trader_ids[row])

    def __repr__(self) -> str:
        counts = self.n_holdings
        low, high = counts.min(), counts.max()
        span = f"{low}" if low == high else f"{low} to {high}"
        words = "with quantities, " if self.has_quantities else ""
        n_traders, n_tickers = self._matrix.shape
        return f"Portfolios({n_traders} traders, {n_tickers} tickers, {words}{span} holdings each)"

    def position(self, trader_id: int | str) -> int:
        """Find the row of a trader.

        Parameters
        ----------
        trader_id : int or str
            The trader's id, of the same type as `trader_ids`.

        Returns
        -------
        int
            The trader's row of `matrix`.

        Raises
        ------
        KeyError
            If there is no such trader.
        """
        try:
            row: Any = self._index.get_loc(_lookup_key(trader_id))
        except KeyError:
            span = f"{self._trader_ids[0]} to {self._trader_ids[-1]}"
            raise KeyError(f"no trader {trader_id!r} among the {len(self)} traders ({span})") from None
        return int(row)

    def take(self, rows: ArrayLike) -> Portfolios:
        """Select some of the traders; all tickers stay.

        Parameters
        ----------
        rows : array-like of int or bool
            Positions of unique rows in the order of the result, or a mask of length n_traders.

        Returns
        -------
        Portfolios
            The selected traders.
        """
        chosen = np.asarray(rows)
        return Portfolios(self._matrix[chosen], self._tickers, self._trader_ids[chosen])

    def to_frame(self, layout: _frames.Layout = "auto") -> pd.DataFrame:
        """Return the holdings as a DataFrame.

        Parameters
        ----------
        layout : {"auto", "wide", "long"}, default="auto"
            - "wide": one row per trader, with columns TRADER_ID, Ticker1 ... TickerN. N is the maximum
              number of holdings, and missing cells are None. This layout drops quantities.
            - "long": one row per holding, with columns TRADER_ID, Ticker, Quantity. A trader without
              holdings has one row with no ticker and quantity 0.
            - "auto": "long" if there are quantities, else "wide".

        Returns
        -------
        DataFrame
            The table. Tickers without a holder are not in it.
        """
        if layout not in ("auto", "wide", "long"):
            raise ValueError(f"layout must be 'auto', 'wide' or 'long'. Got {layout!r} instead.")
        wide = layout == "wide" or (layout == "auto" and not self.has_quantities)
        write = _frames.wide_frame if wide else _frames.long_frame
        return write(self._matrix, self._tickers, self._trader_ids)

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, tickers: ArrayLike | None = None) -> Portfolios:
        """Read holdings from a DataFrame in either layout of `to_frame`.

        Parameters
        ----------
        frame : DataFrame
            The table. A long table may lack the column Quantity: quantities are then 1. Cells that are None,
            NaN or empty text hold nothing. Column names match in any case.
        tickers : array-like of str, default=None
            The columns of the result, in this order. None: all tickers in the table, sorted.

        Returns
        -------
        Portfolios
            The holdings, traders in the order of the table.

        Raises
        ------
        ValueError
            If the table has neither layout, or no rows. If a trader is repeated or has no id. If a trader
            holds a ticker twice, or one outside `tickers`. If a quantity is negative.
        """
        return cls(*_frames.read_frame(frame, None if tickers is None else check_tickers(tickers)))

    def to_csv(self, path: str | PathLike[str], layout: _frames.Layout = "auto") -> None:
        """Write the holdings to a ``.csv`` or ``.csv.gz`` file.

        Parameters
        ----------
        path : str or path
            The file. An existing one is replaced only when the new one is complete.
        layout : {"auto", "wide", "long"}, default="auto"
            As in `to_frame`.
        """
        _frames.write_csv(path, self.to_frame(layout))

    @classmethod
    def from_csv(cls, path: str | PathLike[str], tickers: ArrayLike | None = None) -> Portfolios:
        """Read holdings from a ``.csv`` or ``.csv.gz`` file in either layout of `to_frame`.

        Parameters
        ----------
        path : str or path
            The file. If all trader ids are plain whole numbers, they are read as int.
        tickers : array-like of str, default=None
            As in `from_frame`.

        Returns
        -------
        Portfolios
            The holdings.

        Raises
        ------
        PortfolioFileError
            If the file does not contain holdings. The message names the file and the problem.
        """
        return cls._from_file(_frames.read_csv, path, tickers)

    def to_parquet(self, path: str | PathLike[str], layout: _frames.Layout = "auto") -> None:
        """Write the holdings to a parquet file.

        Parameters
        ----------
        path : str or path
            The file. An existing one is replaced only when the new one is complete.
        layout : {"auto", "wide", "long"}, default="auto"
            As in `to_frame`.

        Raises
        ------
        ImportError
            If pyarrow is not installed.
        """
        _frames.write_parquet(path, self.to_frame(layout))

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
            If the file does not contain holdings. The message names the file and the problem.
        ImportError
            If pyarrow is not installed.
        """
        return cls._from_file(_frames.read_parquet, path, tickers)

    @classmethod
    def _from_file(
        cls, read: Callable[[Path], pd.DataFrame], path: str | PathLike[str], tickers: ArrayLike | None
    ) -> Portfolios:
        if tickers is not None:
            tickers = check_tickers(tickers)  # first, because the file is not to blame for them
        with errors_of_file(path, PortfolioFileError):
            return cls.from_frame(read(Path(path)), tickers)


def check_tickers(tickers: ArrayLike | Iterable[str]) -> NDArray[np.object_]:
    """Check that tickers are unique text, and return them without surrounding blanks."""
    names = _stripped(list(tickers), "tickers must be text that is not empty.")  # type: ignore[arg-type]
    if not len(names):
        raise ValueError("tickers is empty: at least one is expected.")
    _check_unique(pd.Index(names), "tickers")
    return names


def _check_trader_ids(trader_ids: ArrayLike | Iterable[int] | Iterable[str]) -> TraderIds:
    """Check that trader ids are whole numbers or text, and return them as int64 or as objects."""
    given: pd.Index[Any] = pd.Index(trader_ids)  # type: ignore[arg-type]
    if pd.api.types.is_integer_dtype(given.dtype) and not given.hasnans:
        return np.array(given, dtype=np.int64)
    expected = "trader_ids must be whole numbers throughout, or text that is not empty throughout."
    return _stripped(given, expected)


def _stripped(names: Iterable[Any], expected: str) -> NDArray[np.object_]:
    """Return texts without surrounding blanks, and raise for an empty one or another value."""
    stripped = []
    for position, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"{expected} Got {name!r} at {position} instead.")
        stripped.append(str(name).strip())
    return np.array(stripped, dtype=object)


def _check_matrix(matrix: Any) -> sparse.csr_matrix:
    """Copy a matrix to canonical form: CSR, sorted indices, no stored zero, float32 or float64."""
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
    held.sum_duplicates()  # sorts the indices, too
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


def _check_length(names: NDArray[Any], expected: int, subject: str, axis: str) -> None:
    if len(names) != expected:
        raise ValueError(
            f"{subject} must name all {expected} {axis} of matrix. Got {len(names)} names instead."
        )


def _check_unique(names: pd.Index[Any], subject: str) -> None:
    if not names.is_unique:
        repeated = names[names.duplicated()].unique()
        raise ValueError(f"{subject} must differ from each other, but these repeat: {listing(repeated)}.")


def _lookup_key(trader_id: object) -> Any:
    """The id itself, or None if its type can be no id; no trader has the id None."""
    # True and 1.0 equal 1, so pandas would find the trader 1.
    is_id = isinstance(trader_id, str | int | np.integer) and not isinstance(trader_id, bool)
    return trader_id if is_id else None
