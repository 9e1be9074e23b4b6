"""The shape-based distance (SBD) between series, and the shifts that reach it."""

from __future__ import annotations

from numbers import Integral
from typing import Any, Literal, overload

import numpy as np

from shapecluster._core.sbd.correlation import align_all, align_pairwise
from shapecluster._core.sbd.shapes import Shapes, shapes_of
from shapecluster._sklearn_compat import BaseEstimator, Interval, StrOptions, validate_params
from shapecluster._threads import n_threads
from shapecluster._typing import DType, Float64Array, IntArray
from shapecluster._validation import SeriesData, check_series, warn_flat

__all__ = ["sbd_distances"]


class _SeriesOwner(BaseEstimator):
    """Owner of the input checks, which name it in their messages."""


# The checks take the name of the owner's class. To users, the owner is this function.
_SeriesOwner.__name__ = "sbd_distances"


@overload
def sbd_distances(
    X: Any,
    Y: Any = None,
    *,
    max_shift: int | None = None,
    missing: Literal["error", "mask"] = "error",
    return_shift: Literal[False] = False,
    n_jobs: int | None = None,
) -> Float64Array: ...


@overload
def sbd_distances(
    X: Any,
    Y: Any = None,
    *,
    max_shift: int | None = None,
    missing: Literal["error", "mask"] = "error",
    return_shift: Literal[True],
    n_jobs: int | None = None,
) -> tuple[Float64Array, IntArray]: ...


@validate_params(
    {
        "max_shift": [None, Interval(Integral, 0, None, closed="left")],
        "missing": [StrOptions({"error", "mask"})],
        "return_shift": ["boolean"],
        "n_jobs": [None, Integral],
    },
    prefer_skip_nested_validation=True,
)
def sbd_distances(
    X: Any,
    Y: Any = None,
    *,
    max_shift: int | None = None,
    missing: Literal["error", "mask"] = "error",
    return_shift: bool = False,
    n_jobs: int | None = None,
) -> Float64Array | tuple[Float64Array, IntArray]:
    """Measure the shape-based distance between series.

    SBD(x, y) = 1 - max_s NCC(x, y)(s). NCC is the cross-correlation of the z-normalized series divided by
    their norms, with zeros outside the series.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n_x, n_timepoints[, n_channels])
        Series as rows.
    Y : array-like or DataFrame of shape (n_y, n_timepoints[, n_channels]), default=None
        Series to compare with; None compares X with itself.
    max_shift : int or None, default=None
        Largest shift in timepoints; None allows all.
    missing : {"error", "mask"}, default="error"
        Treatment of NaN. "error": raise a ValueError. "mask": a value that was not observed.
    return_shift : bool, default=False
        Whether to return the shifts too.
    n_jobs : int or None, default=None
        Number of threads, as joblib counts; the result does not depend on it.

    Returns
    -------
    sbd : ndarray of shape (n_x, n_y)
        Distances, float64, in [0, 1], or [0, 2] with `max_shift`. A flat series is at distance 1 from
        all others. Symmetric with a zero diagonal if Y is None.
    shifts : ndarray of shape (n_x, n_y)
        Only with `return_shift`: timepoints by which the series of X trails that of Y. Antisymmetric if Y
        is None: if a shift and its opposite tie, the earlier row gets the positive one.

    Warns
    -----
    FlatSeriesWarning
        Some series never move.

    References
    ----------
    J. Paparrizos and L. Gravano, "k-Shape: Efficient and Accurate Clustering of Time Series", SIGMOD
    2015.

    Examples
    --------
    >>> from shapecluster.metrics import sbd_distances
    >>> bump = [0, 0, 1, 3, 1, 0, 0, 0]
    >>> later = [5, 5, 5, 5, 7, 11, 7, 5]
    >>> sbd, shift = sbd_distances([later], [bump], return_shift=True)
    >>> sbd.round(2), shift
    (array([[0.1]]), array([[2]]))
    """
    owner = _SeriesOwner()
    allow_nan = missing == "mask"
    x_data = check_series(owner, X, reset=True, allow_nan=allow_nan, allow_3d=True)
    threads = n_threads(n_jobs)
    if Y is None:
        # Each pair is aligned once, so that ties between opposite shifts are resolved in one direction.
        aligned = align_pairwise(_shapes(x_data, max_shift, x_data.values.dtype), n_threads=threads)
    else:
        y_data = check_series(owner, Y, reset=False, allow_nan=allow_nan, allow_3d=True)
        if y_data.values.shape[2:] != x_data.values.shape[2:]:
            raise ValueError(
                "sbd_distances: X and Y must have the same channels. "
                f"Got shapes {x_data.values.shape} and {y_data.values.shape} instead."
            )
        # Both must be prepared in one precision, because tie bands depend on it.
        wider = np.result_type(x_data.values, y_data.values)
        x, y = (_shapes(data, max_shift, wider) for data in (x_data, y_data))
        aligned = align_all(x, y, n_threads=threads)
    sbd = 1.0 - aligned.ncc
    return (sbd, aligned.shifts) if return_shift else sbd


def _shapes(data: SeriesData, max_shift: int | None, dtype: DType) -> Shapes:
    shapes = shapes_of(data.channels_first, max_shift, dtype)
    if shapes.flat.any():
        warn_flat("sbd_distances", data, shapes.flat, "are at distance 1 from all others")
    return shapes
