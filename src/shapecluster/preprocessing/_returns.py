"""Log returns of prices."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from shapecluster._sklearn_compat import StrOptions
from shapecluster._text import listing
from shapecluster._typing import ArrayLike, BoolArray, Float64Array, FloatArray, IntArray
from shapecluster._validation import SeriesData
from shapecluster.preprocessing._base import ConvertedRows, RowTransformer


class LogReturns(RowTransformer):
    """Turn prices into log returns: the logarithm of each price divided by the previous one.

    Parameters
    ----------
    nonpositive : {"error", "nan"}, default="error"
        Treatment of a price of zero. "error": raise a ValueError. "nan": the returns to and from it are
        NaN. A negative price always raises.
    missing : {"error", "mask"}, default="error"
        Treatment of a missing price (NaN). "error": raise a ValueError. "mask": the returns to and from it
        are NaN. The returns of a stock listed late start with NaN.

    Attributes
    ----------
    first_price_ : ndarray of shape (n_series,) or (n_series, n_channels)
        First observed price of each series seen in `fit`; NaN if it has none.
    first_position_ : ndarray of shape (n_series,) or (n_series, n_channels)
        Timepoint of that price, counted from 0; NaN if it has none.
    last_position_ : ndarray of shape (n_series,) or (n_series, n_channels)
        Timepoint of the last observed price; NaN if it has none.
    n_features_in_ : int
        Number of prices per series seen in `fit`.
    series_names_in_ : ndarray of objects, shape (n_series,)
        Tickers seen in `fit`; only with a DataFrame.
    timepoints_in_ : pandas.Index
        Columns seen in `fit`; only with a DataFrame.

    See Also
    --------
    ZScore : Scale each series to mean 0 and standard deviation 1.
    MinMax : Scale each series to a range.

    Notes
    -----
    m prices give m - 1 returns, each labeled with the later of its two dates. Returns by kind of price:

    ==================  =================================================
    price               return
    ==================  =================================================
    as the day before   0 (a halted stock has returns of 0, no warning)
    zero                an error, or NaN with ``nonpositive="nan"``
    negative            always an error
    missing (NaN)       an error, or NaN with ``missing="mask"``
    infinite            always an error
    ==================  =================================================

    `inverse_transform` chains the returns from the first observed price. A series may start late or end
    early. A return that is missing before the last observed price raises, because the level after a gap is
    unknown. With ``nonpositive="nan"``, a price of zero counts as missing.

    Examples
    --------
    >>> import pandas as pd
    >>> from shapecluster.preprocessing import LogReturns
    >>> prices = pd.DataFrame(
    ...     [[100.0, 110.0, 99.0], [20.0, 20.0, 21.0]],
    ...     index=["AAA", "BBB"],
    ...     columns=pd.to_datetime(["2020-02-03", "2020-02-04", "2020-02-05"]),
    ... )
    >>> returns = LogReturns()
    >>> returns.fit_transform(prices).round(4)
         2020-02-04  2020-02-05
    AAA      0.0953     -0.1054
    BBB      0.0000      0.0488
    >>> returns.get_feature_names_out()
    array(['2020-02-04', '2020-02-05'], dtype=object)
    """

    nonpositive: Literal["error", "nan"]
    first_price_: Float64Array
    first_position_: Float64Array
    last_position_: Float64Array

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "nonpositive": [StrOptions({"error", "nan"})],
        "missing": [StrOptions({"error", "mask"})],
    }
    _n_lost = 1

    def __init__(
        self,
        *,
        nonpositive: Literal["error", "nan"] = "error",
        missing: Literal["error", "mask"] = "error",
    ) -> None:
        self.nonpositive = nonpositive
        self.missing = missing

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags

    def _check(self, X: ArrayLike | pd.DataFrame, *, reset: bool) -> SeriesData:
        data = super()._check(X, reset=reset)
        values = data.values
        if (values < 0).any():
            raise ValueError(
                "Negative values in data passed to LogReturns: a price below zero has no logarithm. Got them "
                f"in {_counts_by_series(values < 0, data)}. Are these returns already?"
            )
        if self.nonpositive == "error" and (values == 0).any():
            raise ValueError(
                "LogReturns: prices must be positive. Got zeros in "
                f'{_counts_by_series(values == 0, data)}. Correct or drop them, or use nonpositive="nan".'
            )
        return data

    def _convert(self, series: FloatArray) -> ConvertedRows:
        prices = series.astype(np.float64)
        prices[prices == 0] = np.nan
        observed = ~np.isnan(prices)
        # argmax finds the first True; a row without any is set to NaN below.
        start = observed.argmax(axis=-1)
        end = observed.shape[-1] - 1 - observed[..., ::-1].argmax(axis=-1)
        first_price = np.take_along_axis(prices, start[..., None], axis=-1)[..., 0]
        empty = np.isnan(first_price)
        return {
            "values": np.diff(np.log(prices), axis=-1),
            "first_price_": first_price,
            "first_position_": np.where(empty, np.nan, start),
            "last_position_": np.where(empty, np.nan, end),
        }

    def _invert(self, values: Float64Array, rows: IntArray, data: SeriesData) -> Float64Array:
        known = ~np.isnan(values)
        self._check_no_gaps(known, rows, data)
        growth = np.zeros((*values.shape[:-1], values.shape[-1] + 1))
        np.cumsum(np.where(known, values, 0.0), axis=-1, out=growth[..., 1:])
        prices: Float64Array = self.first_price_[rows][..., None] * np.exp(growth)
        time = np.arange(growth.shape[-1])
        # A price is known if the return to it is known, or if the series starts with it.
        there = time == self.first_position_[rows][..., None]
        there[..., 1:] |= known
        prices[~there] = np.nan
        return prices

    def _check_no_gaps(self, known: BoolArray, rows: IntArray, data: SeriesData) -> None:
        """Raise unless all returns are present, from the first price fitted to the last price known."""
        step = np.arange(known.shape[-1])  # return i leads from price i to price i + 1
        first, last = self.first_position_[rows][..., None], self.last_position_[rows][..., None]
        # A series may go on after the last price fitted: its end is then the last return given.
        last = np.fmax(last, np.where(known, step + 1, 0).max(axis=-1, keepdims=True))
        gaps = known != ((first <= step) & (step < last))
        if gaps.any():
            raise ValueError(
                "LogReturns.inverse_transform: returns can be chained only without gaps from the first price "
                "fitted to the last, because the level after a gap is unknown. Returns are missing in "
                f"between in {_counts_by_series(gaps, data)}. Fill those prices before fit, or leave these "
                "series out."
            )


def _counts_by_series(bad: BoolArray, data: SeriesData) -> str:
    """List the series with bad values, and the number of these in each."""
    counts = bad.reshape(len(bad), -1).sum(axis=1)
    return listing(f"{data.name(row)} ({counts[row]})" for row in np.flatnonzero(counts))
