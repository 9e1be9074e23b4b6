"""Scale each series by itself: to zero mean and unit standard deviation, or to a range."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np

from shapecluster._core.sbd.normalize import standardize
from shapecluster._sklearn_compat import StrOptions
from shapecluster._typing import Float64Array, FloatArray, IntArray
from shapecluster._validation import SeriesData
from shapecluster.preprocessing._base import ConvertedRows, RowTransformer


class ZScore(RowTransformer):
    """Scale each series to mean 0 and standard deviation 1.

    Parameters
    ----------
    missing : {"error", "mask"}, default="error"
        Treatment of NaN. "error": raise a ValueError. "mask": a missing value, which stays NaN. Mean and
        standard deviation are then those of the observed values.

    Attributes
    ----------
    mean_ : ndarray of shape (n_series,) or (n_series, n_channels)
        Mean of each series seen in `fit`, in its own units; NaN if it has no observed value.
    scale_ : ndarray of shape (n_series,) or (n_series, n_channels)
        Standard deviation (ddof=0) of each series seen in `fit`, in its own units.
    n_features_in_ : int
        Number of timepoints seen in `fit`.
    series_names_in_ : ndarray of objects, shape (n_series,)
        Tickers seen in `fit`; only with a DataFrame.
    timepoints_in_ : pandas.Index
        Columns seen in `fit`; only with a DataFrame.

    See Also
    --------
    MinMax : Scale each series to a range.
    LogReturns : Turn prices into log returns.

    Notes
    -----
    Unlike scikit-learn's `StandardScaler`, which scales columns, this scales rows. Nothing is carried over
    from one set of series to another. Estimators that measure the shape-based distance z-normalize their
    input, so `ZScore` before them changes nothing.

    Each channel (third axis) is scaled by itself. A series that never moves becomes 0 everywhere, and a
    `FlatSeriesWarning` names it. A series never moves if its standard deviation is below 8 machine epsilons
    of its maximum absolute value.

    Examples
    --------
    >>> import pandas as pd
    >>> from shapecluster.preprocessing import ZScore
    >>> prices = pd.DataFrame([[1.0, 2.0, 3.0], [30.0, 10.0, 20.0]], index=["UP", "DIP"])
    >>> scaler = ZScore()
    >>> scaler.fit_transform(prices).round(2)
            0     1     2
    UP  -1.22  0.00  1.22
    DIP  1.22 -1.22  0.00
    >>> scaler.inverse_transform(scaler.transform(prices))
            0     1     2
    UP    1.0   2.0   3.0
    DIP  30.0  10.0  20.0
    """

    mean_: Float64Array
    scale_: Float64Array

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"missing": [StrOptions({"error", "mask"})]}

    def __init__(self, *, missing: Literal["error", "mask"] = "error") -> None:
        self.missing = missing

    def _convert(self, series: FloatArray) -> ConvertedRows:
        z, mean, std, flat = standardize(series)
        z[np.isnan(series)] = np.nan
        return {"values": z, "mean_": mean, "scale_": std, "flat": flat}

    def _invert(self, values: Float64Array, rows: IntArray, data: SeriesData) -> Float64Array:
        return values * self.scale_[rows][..., None] + self.mean_[rows][..., None]


class MinMax(RowTransformer):
    """Scale each series to a range, by default from -1 to 1.

    Parameters
    ----------
    feature_range : tuple of (float, float), default=(-1, 1)
        Values that the minimum and the maximum of each series become.
    missing : {"error", "mask"}, default="error"
        Treatment of NaN. "error": raise a ValueError. "mask": a missing value, which stays NaN. Minimum and
        maximum are then those of the observed values.

    Attributes
    ----------
    data_min_, data_max_ : ndarray of shape (n_series,) or (n_series, n_channels)
        Minimum and maximum of each series seen in `fit`, in its own units; NaN if it has no observed value.
    n_features_in_ : int
        Number of timepoints seen in `fit`.
    series_names_in_ : ndarray of objects, shape (n_series,)
        Tickers seen in `fit`; only with a DataFrame.
    timepoints_in_ : pandas.Index
        Columns seen in `fit`; only with a DataFrame.

    See Also
    --------
    ZScore : Scale each series to mean 0 and standard deviation 1.
    LogReturns : Turn prices into log returns.

    Notes
    -----
    Unlike scikit-learn's `MinMaxScaler`, which scales columns, this scales rows. Each channel (third axis)
    is scaled by itself. A series that never moves becomes the middle of the range, and a
    `FlatSeriesWarning` names it.

    Examples
    --------
    >>> import pandas as pd
    >>> from shapecluster.preprocessing import MinMax
    >>> prices = pd.DataFrame([[1.0, 2.0, 3.0], [30.0, 10.0, 20.0]], index=["UP", "DIP"])
    >>> MinMax().fit_transform(prices)
           0    1    2
    UP  -1.0  0.0  1.0
    DIP  1.0 -1.0  0.0
    """

    data_min_: Float64Array
    data_max_: Float64Array

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "feature_range": [tuple, list],
        "missing": [StrOptions({"error", "mask"})],
    }

    def __init__(
        self,
        feature_range: tuple[float, float] = (-1, 1),
        *,
        missing: Literal["error", "mask"] = "error",
    ) -> None:
        self.feature_range = feature_range
        self.missing = missing

    def _range(self) -> tuple[float, float]:
        """Return the range as two floats, or raise an error."""
        ends = np.asarray(self.feature_range)
        if ends.shape != (2,) or ends.dtype.kind not in "iuf" or not -np.inf < ends[0] < ends[1] < np.inf:
            raise ValueError(
                "The 'feature_range' parameter of MinMax must be two finite numbers, the smaller first. Got "
                f"{self.feature_range!r} instead."
            )
        return float(ends[0]), float(ends[1])

    def _convert(self, series: FloatArray) -> ConvertedRows:
        low, high = self._range()
        flat = standardize(series).flat
        x = series.astype(np.float64)
        observed = ~np.isnan(x)
        # maximum - minimum may overflow. Dividing by a power of two prevents this, and is exact.
        exponent = np.frexp(np.max(np.abs(x), axis=-1, where=observed, initial=0.0, keepdims=True))[1]
        x = np.ldexp(x, -exponent)
        minimum = np.min(x, axis=-1, where=observed, initial=np.inf, keepdims=True)
        maximum = np.max(x, axis=-1, where=observed, initial=-np.inf, keepdims=True)
        empty = ~observed.any(axis=-1, keepdims=True)
        minimum[empty] = maximum[empty] = np.nan
        span = np.where(flat[..., None], 1.0, maximum - minimum)
        fraction = (x - minimum) / span
        fraction[flat[..., None] & observed] = 0.5
        # This form gives both ends exactly; rounding may leave values in between slightly outside.
        scaled = np.clip(low * (1.0 - fraction) + high * fraction, low, high)
        return {
            "values": scaled,
            "data_min_": np.ldexp(minimum, exponent)[..., 0],
            "data_max_": np.ldexp(maximum, exponent)[..., 0],
            "flat": flat,
        }

    def _invert(self, values: Float64Array, rows: IntArray, data: SeriesData) -> Float64Array:
        low, high = self._range()
        fraction = (values - low) / (high - low)
        return self.data_min_[rows][..., None] * (1.0 - fraction) + self.data_max_[rows][..., None] * fraction
