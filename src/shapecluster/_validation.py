"""Check the input of estimators: series as rows, with their names and timepoints.

scikit-learn checks types, shapes and the number of features. This module checks what scikit-learn does not
know: rows that are dates instead of series, repeated tickers, unsorted dates, and bad values, which messages
name by their tickers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar, cast, get_args

import numpy as np
import pandas as pd
from pandas.api.types import infer_dtype

from shapecluster._sklearn_compat import BaseEstimator, OutputContainer, _check_sample_weight, validate_data
from shapecluster._text import listing
from shapecluster._typing import BoolArray, Float64Array, FloatArray
from shapecluster._warnings import warn_user
from shapecluster.exceptions import FlatSeriesWarning

_NO_NUMBERS = {"date", "datetime", "datetime64", "timedelta", "timedelta64", "period", "complex"}


_Method = TypeVar("_Method", bound=Callable[..., Any])


def all_or_nothing(method: _Method) -> _Method:
    """Restore the estimator's attributes when a method such as `fit` raises or is interrupted."""

    @wraps(method)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = dict(vars(self))  # shallow: the methods must replace attributes, not change them in place
        try:
            return method(self, *args, **kwargs)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return cast("_Method", wrapper)


@dataclass(frozen=True)
class SeriesData:
    """Checked input: values, and the names of rows and columns.

    Attributes
    ----------
    values : ndarray of shape (n_series, n_timepoints) or (n_series, n_timepoints, n_channels)
        float32 or float64.
    names : pandas.Index or None
        One name per series, if X was a DataFrame.
    timepoints : pandas.Index or None
        One label per timepoint, if X was a DataFrame.
    """

    values: FloatArray
    names: pd.Index[Any] | None = None
    timepoints: pd.Index[Any] | None = None

    @property
    def channels_first(self) -> FloatArray:
        """The values in the layout of the core: (n_series, n_channels, n_timepoints)."""
        if self.values.ndim == 2:
            return self.values[:, None, :]
        return np.ascontiguousarray(self.values.transpose(0, 2, 1))

    def name(self, row: int | np.integer[Any]) -> str:
        """Name a row in a message: its ticker, or "row 3"."""
        return f"row {row}" if self.names is None else repr(str(self.names[int(row)]))


def check_series(
    estimator: BaseEstimator,
    X: Any,
    *,
    reset: bool,
    allow_nan: bool = False,
    allow_3d: bool = False,
    min_timepoints: int = 2,
) -> SeriesData:
    """Check series given as rows, and return them with their names.

    Parameters
    ----------
    estimator : estimator
        The estimator that gets the input; keeps `n_features_in_` and is named in errors.
    X : array-like or DataFrame of shape (n_series, n_timepoints[, n_channels])
        Series as rows; a DataFrame has tickers as its index and dates as its columns.
    reset : bool
        True in `fit`: store the number of timepoints. False: compare with it.
    allow_nan : bool, default=False
        Whether NaN is allowed, as a missing value.
    allow_3d : bool, default=False
        Whether a third axis, channels, is allowed.
    min_timepoints : int, default=2
        Minimum number of timepoints.

    Returns
    -------
    SeriesData
        The values as float32 (if X is float32) or float64, and the names.

    Raises
    ------
    ValueError
        For any other input. The message names the ticker or timepoint.
    """
    owner = type(estimator).__name__
    names = timepoints = None
    if isinstance(X, pd.DataFrame):
        check_labels(X, owner)
        names, timepoints = X.index, X.columns
        X = frame_values(X, owner, "X")
    elif isinstance(X, (list, tuple)):
        _refuse_ragged(X, owner)
    values = validate_data(
        estimator,
        X,
        reset=reset,
        dtype=[np.float64, np.float32],
        ensure_all_finite=False,  # `_check_finite` names the series
        allow_nd=allow_3d,
    )
    if values.ndim == 3 and values.shape[2] == 0:
        raise ValueError(f"{owner}: X has a third axis (channels) of length 0. Got shape {values.shape}.")
    if values.ndim > 3:
        raise ValueError(
            f"{owner} takes (n_series, n_timepoints) or (n_series, n_timepoints, n_channels). "
            f"Got {values.ndim} axes instead: shape {values.shape}."
        )
    if values.shape[1] < min_timepoints:
        raise ValueError(
            f"{owner} needs at least {min_timepoints} timepoints per series. "
            f"Got n_features = {values.shape[1]} instead."
        )
    data = SeriesData(values, names, timepoints)
    _check_finite(data, owner, allow_nan=allow_nan)
    return data


def check_output_container(transform: object, owner: str) -> None:
    """Raise unless `set_output` of an estimator can take this; None changes nothing."""
    if transform not in (None, *get_args(OutputContainer)):
        raise ValueError(
            f"{owner}.set_output: transform must be None or one of "
            f"{', '.join(map(repr, get_args(OutputContainer)))}. Got {transform!r} instead."
        )


def check_weights(sample_weight: Any, X: Any, owner: str, name: Callable[[int], str]) -> Float64Array:
    """Return one weight per row of X: not negative, and at least one positive; `name` names a row."""
    weights: Float64Array = _check_sample_weight(sample_weight, X, dtype=np.float64)
    if (weights < 0).any():
        row = int(np.flatnonzero(weights < 0)[0])
        raise ValueError(
            f"{owner}: sample_weight must not be negative. Got {weights[row]} for {name(row)} instead."
        )
    if not weights.any():
        raise ValueError(f"{owner}: sample_weight must have a positive entry. Got only zeros instead.")
    return weights


def warn_flat(owner: object, data: SeriesData, flat: BoolArray, consequence: str) -> None:
    """Issue a `FlatSeriesWarning` that names the series; `owner` is an estimator or a function's name."""
    rows = np.flatnonzero(flat)
    warn_user(
        owner,
        f"{len(rows)} of {len(flat)} series never move, so they have no shape and {consequence}: "
        f"{listing(data.name(row) for row in rows)}.",
        FlatSeriesWarning,
    )


def check_labels(frame: pd.DataFrame, owner: str) -> None:
    """Raise for a frame whose rows are dates, whose names repeat, or whose dates do not increase."""
    if _as_dates(frame.index) is not None:
        raise ValueError(
            f"{owner}: the rows of X are dates, but rows must be series (tickers) and columns dates. "
            "Pass X.T instead."
        )
    for axis, place, what in ((frame.index, "rows", "series"), (frame.columns, "columns", "timepoint")):
        if axis.nlevels > 1:
            raise ValueError(f"{owner}: the {place} of X must have one name each. Got a MultiIndex instead.")
        repeated = axis[axis.duplicated()].unique()
        if len(repeated):
            raise ValueError(
                f"{owner}: every {what} needs a name of its own, but these {place} of X repeat: "
                f"{listing(repeated)}."
            )
    dates = _as_dates(frame.columns)
    if dates is None:
        return
    if dates.isna().any():
        raise ValueError(f"{owner}: column {int(dates.isna().argmax())} of X has no date (NaT).")
    if not dates.is_monotonic_increasing:
        first = int(np.flatnonzero(np.diff(dates.asi8) < 0)[0])
        raise ValueError(
            f"{owner}: the dates (columns of X) must increase, but {frame.columns[first + 1]} follows "
            f"{frame.columns[first]}. Sort them: X.sort_index(axis=1)."
        )


def _as_dates(labels: pd.Index[Any]) -> pd.DatetimeIndex | None:
    """Convert labels to dates if they are dates of any type, or texts that all look like ISO dates."""
    if isinstance(labels, pd.PeriodIndex):
        return labels.to_timestamp()
    if isinstance(labels, pd.DatetimeIndex):
        return labels
    kind = infer_dtype(labels, skipna=True)
    if kind in {"date", "datetime", "datetime64"}:
        return pd.DatetimeIndex(pd.to_datetime(pd.Series(labels, dtype=object), utc=True))
    # Most labels are tickers: looking at their first characters is cheaper than parsing them.
    if len(labels) and kind == "string" and all(c[4:5] == "-" and c[:4].isdigit() for c in labels):
        parsed = pd.to_datetime(pd.Series(labels), errors="coerce", format="ISO8601", utc=True)
        return pd.DatetimeIndex(parsed) if parsed.notna().all() else None
    return None


def frame_values(frame: pd.DataFrame, owner: str, name: str) -> Any:
    """Return the float32 or float64 values of a frame; an error names the cell that is no number."""
    for kept in (np.float32, np.float64):
        if all(dtype == kept for dtype in frame.dtypes):
            return frame.to_numpy(dtype=kept)
    # Columns of mixed types are converted one by one, so that an error can name its cell.
    columns = [_column_values(frame.iloc[:, position], owner, name) for position in range(frame.shape[1])]
    return np.column_stack(columns) if columns else frame.to_numpy(dtype=np.float64)


def _column_values(column: pd.Series[Any], owner: str, name: str) -> Any:
    kind = infer_dtype(column, skipna=True)
    if kind in _NO_NUMBERS:
        raise ValueError(
            f"{owner}: {name} must hold numbers. Got {kind} values in the column {str(column.name)!r} "
            "instead. Drop it, or make it the index."
        )
    numbers = pd.to_numeric(column, errors="coerce")
    bad = numbers.isna() & column.notna()
    if bad.any():
        row = int(np.flatnonzero(bad.to_numpy())[0])
        raise ValueError(
            f"{owner}: {name} must hold numbers. Got {column.iloc[row]!r} for {str(column.index[row])!r} at "
            f"{column.name} instead; could not convert it to float."
        )
    return numbers.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)


def _refuse_ragged(X: list[Any] | tuple[Any, ...], owner: str) -> None:
    """Raise for rows of different lengths, and name the first one that differs."""
    lengths = [len(row) if hasattr(row, "__len__") and np.shape(row) != () else 0 for row in X]
    for row, length in enumerate(lengths):
        if length != lengths[0]:
            raise ValueError(
                f"{owner}: all series must have the same number of timepoints. Row 0 has {lengths[0]}, "
                f"row {row} has {length}. Pad the shorter ones with NaN where missing values are allowed."
            )


def _check_finite(data: SeriesData, owner: str, *, allow_nan: bool) -> None:
    """Raise for infinity, and for NaN unless it is allowed, and name the series."""
    values = data.values
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.sum(values, dtype=np.float64)
    if np.isfinite(total):  # one fast pass is enough for almost every input
        return
    axes = tuple(range(1, values.ndim))
    infinite = np.isinf(values).sum(axis=axes)
    if infinite.any():
        row = int(np.flatnonzero(infinite)[0])
        raise ValueError(
            f"Input X contains infinity: {owner} takes finite numbers only. {data.name(row)} has "
            f"{infinite[row]} infinite values ({np.count_nonzero(infinite)} series affected)."
        )
    missing = np.isnan(values).sum(axis=axes)
    if missing.any() and not allow_nan:
        rows = np.flatnonzero(missing)
        where = listing(f"{data.name(r)} ({missing[r]} of {values[r].size})" for r in rows)
        raise ValueError(
            f"Input X contains NaN: {owner} needs complete series, but values are missing from {where}. "
            "Fill or drop them (for prices: shapecluster.prices.clean_prices), or use missing='mask' in "
            "an estimator that has it."
        )


def names_and_weights(portfolio: Any) -> tuple[list[Any], Float64Array]:
    """Return the names and weights of a portfolio; all weights are 1 if it has none."""
    if isinstance(portfolio, pd.Series) and pd.api.types.is_numeric_dtype(portfolio):
        portfolio = dict(portfolio.items()) if portfolio.index.is_unique else list(portfolio.index)
    if isinstance(portfolio, Mapping):
        try:
            return list(portfolio), np.array([float(weight) for weight in portfolio.values()])
        except (TypeError, ValueError):
            raise ValueError(
                f"portfolio weights must be numbers. Got {list(portfolio.values())} instead."
            ) from None
    if isinstance(portfolio, (str, pd.DataFrame)) or not isinstance(portfolio, Iterable):
        raise ValueError(
            "portfolio must be names, or names with weights (a mapping or a Series). Got "
            f"{portfolio if isinstance(portfolio, str) else type(portfolio).__name__!r} instead."
        )
    names = list(portfolio)
    return names, np.ones(len(names))
