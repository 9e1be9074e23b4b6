"""Base class of the row transformers: input checks, labeled output, inverse transform.

A row transformer treats each series by itself, so `transform` does not depend on `fit`. `fit` stores the
names of the columns, and the statistics of each series that `inverse_transform` needs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import get_config

from shapecluster._core.sbd.blocks import row_blocks
from shapecluster._sklearn_compat import BaseEstimator, OutputContainer, TransformerMixin, check_is_fitted
from shapecluster._text import listing
from shapecluster._typing import ArrayLike, BoolArray, Float64Array, FloatArray, IntArray
from shapecluster._validation import SeriesData, check_output_container, check_series
from shapecluster._warnings import warn_user
from shapecluster.exceptions import FlatSeriesWarning
from shapecluster.preprocessing._labels import data_frame, same_timepoints, timepoint_names

if TYPE_CHECKING:
    from typing import Self

ConvertedRows: TypeAlias = dict[str, NDArray[Any]]
"""Rows after a transformation, by name:

values : shape (n_series, [n_channels,] n_timepoints_out)
    The transformed rows, time last.
flat : bool, shape (n_series,) or (n_series, n_channels)
    Rows that are constant and cannot be scaled; only for transformations that need a scale.
fitted attributes : shape (n_series,) or (n_series, n_channels)
    Statistics that `inverse_transform` needs; their names end with "_".
"""


# scikit-learn's wrapper of `transform` renames the columns of every output to the names seen in `fit`. Rows
# may come from another window here, so it is switched off, and `_labeled` keeps the labels of the input.
class RowTransformer(TransformerMixin, BaseEstimator, ABC, auto_wrap_output_keys=None):
    """Base of the transformers that treat each row by itself.

    A subclass defines how rows are converted and how they are inverted, with time on the last axis.
    """

    missing: Literal["error", "mask"]
    n_features_in_: int
    _n_lost = 0  # number of timepoints that the transformation removes at the start

    @abstractmethod
    def _convert(self, series: FloatArray) -> ConvertedRows:
        """Transform rows; time is the last axis."""

    @abstractmethod
    def _invert(self, values: Float64Array, rows: IntArray, data: SeriesData) -> Float64Array:
        """Undo `_convert` with the statistics of the given rows of `fit`; time is the last axis."""

    def fit(self, X: ArrayLike | pd.DataFrame, y: None = None) -> Self:
        """Check the series, and store their names and statistics.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_series, n_timepoints[, n_channels])
            Series as rows.
        y : None
            Ignored.

        Returns
        -------
        self
            The fitted transformer.

        Raises
        ------
        ValueError
            If X is not such an array; the message names the ticker or timepoint.
        """
        data = self._check(X, reset=True)
        self._store(data, self._convert_in_blocks(data))
        return self

    # A DataFrame gives a DataFrame; an array gives one, too, after set_output(transform="pandas").
    @overload
    def transform(self, X: pd.DataFrame) -> pd.DataFrame: ...

    @overload
    def transform(self, X: ArrayLike) -> FloatArray | pd.DataFrame: ...

    def transform(self, X: ArrayLike | pd.DataFrame) -> FloatArray | pd.DataFrame:
        """Transform each series by itself.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_series, n_timepoints[, n_channels])
            Series as rows: those seen in `fit`, or any others.

        Returns
        -------
        ndarray or DataFrame
            A DataFrame with the same tickers and dates if X is one, else an array. `set_output` can choose
            another container. float32 stays float32.

        Raises
        ------
        ValueError
            If X is not such an array, or has another number of timepoints than X in `fit`.

        Warns
        -----
        FlatSeriesWarning
            If constant series cannot be scaled; the message names them.
        """
        data = self._check(X, reset=False)
        return self._finish(data, self._convert_in_blocks(data))

    @overload
    def fit_transform(self, X: pd.DataFrame, y: None = None, **fit_params: Any) -> pd.DataFrame: ...

    @overload
    def fit_transform(self, X: ArrayLike, y: None = None, **fit_params: Any) -> FloatArray | pd.DataFrame: ...

    def fit_transform(
        self, X: ArrayLike | pd.DataFrame, y: None = None, **fit_params: Any
    ) -> FloatArray | pd.DataFrame:
        """Fit to the series and transform them, in one pass.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_series, n_timepoints[, n_channels])
            Series as rows.
        y : None
            Ignored.
        **fit_params : dict
            No parameters are defined; any name raises an error.

        Returns
        -------
        ndarray or DataFrame
            As from `transform`.
        """
        if fit_params:
            raise TypeError(f"{type(self).__name__}.fit_transform takes X only. Got {list(fit_params)} too.")
        data = self._check(X, reset=True)
        converted = self._convert_in_blocks(data)
        self._store(data, converted)
        return self._finish(data, converted)

    @overload
    def inverse_transform(self, X: pd.DataFrame) -> pd.DataFrame: ...

    @overload
    def inverse_transform(self, X: ArrayLike) -> FloatArray | pd.DataFrame: ...

    def inverse_transform(self, X: ArrayLike | pd.DataFrame) -> FloatArray | pd.DataFrame:
        """Convert transformed series back to the units of the series seen in `fit`.

        Each row has its own units. A DataFrame is matched by its tickers: any of those fitted, in any order,
        over the dates fitted. An array must have the rows of `fit`, in their order.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_series, n_timepoints_out[, n_channels])
            Transformed series.

        Returns
        -------
        ndarray or DataFrame
            The series in their own units.

        Raises
        ------
        ValueError
            If X has a ticker, a number of rows or dates that `fit` has not seen: their units are unknown.
        """
        check_is_fitted(self, "n_features_in_")
        # A copy, because this check overwrites `n_features_in_`, and X may have fewer timepoints.
        data = check_series(copy(self), X, reset=True, allow_nan=True, allow_3d=True, min_timepoints=1)
        rows = self._rows_in_fit(data)
        values = _time_first(self._invert(_time_last(data.values).astype(np.float64), rows, data))
        columns = None
        if data.timepoints is not None:  # a fit on an array names the timepoints only as far as X does
            columns = getattr(self, "timepoints_in_", None if self._n_lost else data.timepoints)
        return self._labeled(values.astype(data.values.dtype, copy=False), data, columns)

    def get_feature_names_out(self, input_features: Sequence[str] | None = None) -> NDArray[np.object_]:
        """Return the names of the output's timepoints.

        Parameters
        ----------
        input_features : sequence of str, default=None
            Names of the input's timepoints; by default those seen in `fit`, or "x0", "x1", ...

        Returns
        -------
        ndarray of str objects
            ISO dates for a date axis, string columns as they are, "x0"-style names for arrays.

        Raises
        ------
        ValueError
            If `input_features` are not those seen in `fit`.
        """
        check_is_fitted(self, "n_features_in_")
        if input_features is None:
            return self._names_for(self.n_features_in_ - self._n_lost)
        names = self._known_names()
        given = np.asarray(input_features, dtype=object)
        if names is not None and not np.array_equal(names, given):
            raise ValueError(
                "input_features is not equal to feature_names_in_, the names of the timepoints in fit: "
                f"{listing(names)}. Got {listing(given)} instead."
            )
        if len(given) != self.n_features_in_:
            raise ValueError(
                f"input_features should have length equal to number of features ({self.n_features_in_}), "
                f"got {len(given)}"
            )
        return given[self._n_lost :]

    def set_output(self, *, transform: OutputContainer | None = None) -> Self:
        """Choose the container of the output.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            "default": the container of the input. "pandas": a DataFrame, with the labels of the input,
            Timestamps included; for an array, with `get_feature_names_out()`. "polars": a polars frame of
            the numbers, whose columns have string names. None changes nothing.

        Returns
        -------
        self
            The transformer.

        Raises
        ------
        ValueError
            If `transform` is none of these.
        """
        check_output_container(transform, type(self).__name__)
        if transform is not None:
            # The name is scikit-learn's, so that `clone` copies the attribute.
            self._sklearn_output_config = {"transform": transform}
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.missing == "mask"
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _check(self, X: ArrayLike | pd.DataFrame, *, reset: bool) -> SeriesData:
        """Check parameters and input."""
        self._validate_params()
        return check_series(self, X, reset=reset, allow_nan=self.missing == "mask", allow_3d=True)

    def _convert_in_blocks(self, data: SeriesData) -> ConvertedRows:
        """Convert a few rows at a time, so that float64 copies are small and stay in the cache."""
        series = _time_last(data.values)
        parts = []
        for rows in row_blocks(len(series), 8 * series[0].size):
            part = self._convert(series[rows])
            part["values"] = part["values"].astype(series.dtype, copy=False)
            parts.append(part)
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _store(self, data: SeriesData, converted: ConvertedRows) -> None:
        """Store names and statistics of the rows fitted, and delete those of an earlier fit."""
        for label in ("series_names_in_", "timepoints_in_"):
            if hasattr(self, label):
                delattr(self, label)
        for name in converted:
            if name.endswith("_"):
                setattr(self, name, converted[name])
        self._shape_in = data.values.shape
        if data.names is not None and data.timepoints is not None:
            self.series_names_in_ = np.asarray(data.names, dtype=object)
            self.timepoints_in_ = data.timepoints

    def _finish(self, data: SeriesData, converted: ConvertedRows) -> FloatArray | pd.DataFrame:
        """Warn of flat rows, restore the axes, and add the labels."""
        if "flat" in converted and converted["flat"].any():
            self._warn_flat(converted["flat"], data)
        columns = None if data.timepoints is None else data.timepoints[self._n_lost :]
        return self._labeled(_time_first(converted["values"]), data, columns)

    def _warn_flat(self, flat: BoolArray, data: SeriesData) -> None:
        """Warn of rows that could not be scaled: constant ones, and those without any observed value."""
        empty = flat & np.isnan(data.values).all(axis=1)
        parts = []
        for rows, what in (
            (flat & ~empty, "never move, so they have no shape, and became one constant"),
            (empty, "have no value at all"),
        ):
            where = _channels(rows, data)
            if where:
                parts.append(f"{len(where)} of {flat.size} series {what}: {listing(where)}.")
        text = f"{' '.join(parts)} Drop them, or expect them to look alike."
        warn_user(self, text, FlatSeriesWarning)

    def _labeled(
        self, values: FloatArray, data: SeriesData, columns: pd.Index[Any] | None
    ) -> FloatArray | pd.DataFrame:
        """Return the values in the chosen container, with the labels of the input."""
        # `set_output` on this transformer takes precedence over scikit-learn's global setting.
        kind: OutputContainer = getattr(self, "_sklearn_output_config", {}).get(
            "transform", get_config()["transform_output"]
        )
        if kind == "default" and data.names is None:
            return values
        if values.ndim == 3:
            raise ValueError(
                f"{type(self).__name__}: series of several channels cannot become a {kind} table. Use "
                'set_output(transform="default").'
            )
        if columns is None:
            columns = pd.Index(self._names_for(values.shape[1]).tolist())
        return data_frame(values, kind, index=data.names, columns=columns)

    def _names_for(self, n_columns: int) -> NDArray[np.object_]:
        """Return names for the columns of an array, which has no labels: those of the last timepoints."""
        names = self._known_names()
        if names is None:
            n_timepoints = getattr(self, "n_features_in_", n_columns + self._n_lost)
            names = np.array([f"x{i}" for i in range(n_timepoints)], dtype=object)
        return names[-n_columns:]

    def _known_names(self) -> NDArray[np.object_] | None:
        """Return the names of the timepoints seen in `fit`, or None if they have no names."""
        return timepoint_names(self.timepoints_in_) if hasattr(self, "timepoints_in_") else None

    def _rows_in_fit(self, data: SeriesData) -> IntArray:
        """Find the rows of `fit` that these rows are, or raise an error that says why not."""
        owner = f"{type(self).__name__}.inverse_transform"
        expected = self.n_features_in_ - self._n_lost
        if data.values.shape[1] != expected:
            raise ValueError(
                f"{owner}: X must have {expected} timepoints, as many as transform returns for the series "
                f"fitted. Got {data.values.shape[1]} instead."
            )
        if data.values.shape[2:] != self._shape_in[2:]:
            raise ValueError(
                f"{owner}: X must have the channels of the series fitted, whose shape was {self._shape_in}. "
                f"Got shape {data.values.shape} instead."
            )
        if data.names is None or data.timepoints is None or not hasattr(self, "series_names_in_"):
            n_series = self._shape_in[0]
            if len(data.values) != n_series:
                raise ValueError(
                    f"{owner}: X must have the {n_series} rows fitted, in their order, because each row has "
                    f"units of its own. Got {len(data.values)} rows instead. To match rows by ticker, fit on "
                    "a DataFrame."
                )
            return np.arange(n_series)
        rows = pd.Index(self.series_names_in_).get_indexer(data.names)
        unknown = data.names[rows < 0]
        if len(unknown):
            raise ValueError(
                f"{owner}: every series has units of its own, and fit has not seen {len(unknown)} of these: "
                f"{listing(map(repr, unknown))}."
            )
        fitted = self.timepoints_in_[self._n_lost :]
        if not same_timepoints(fitted, data.timepoints):
            raise ValueError(
                f"{owner}: the units are those of the window fitted, {fitted[0]} to {fitted[-1]}. Got "
                f"{data.timepoints[0]} to {data.timepoints[-1]} instead. Fit on that window first."
            )
        return np.asarray(rows, dtype=np.intp)


def _channels(bad: BoolArray, data: SeriesData) -> list[str]:
    """Return the names of the flagged rows, with the channel if there are several."""
    return [data.name(row) + "".join(f" channel {c}" for c in rest) for row, *rest in np.argwhere(bad)]


def _time_last(values: FloatArray) -> FloatArray:
    """Move time to the last axis: (n, m, d) becomes (n, d, m), and (n, m) stays."""
    return values if values.ndim == 2 else values.transpose(0, 2, 1)


def _time_first(values: FloatArray) -> FloatArray:
    """Undo `_time_last`."""
    return values if values.ndim == 2 else np.ascontiguousarray(values.transpose(0, 2, 1))
