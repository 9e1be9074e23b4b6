"""Names of timepoints, and data frames with such labels."""

from __future__ import annotations

import datetime
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shapecluster._sklearn_compat import OutputContainer
from shapecluster._typing import FloatArray


def timepoint_names(timepoints: pd.Index[Any]) -> NDArray[np.object_] | None:
    """Turn labels of timepoints into feature names: ISO dates for dates, strings unchanged.

    Parameters
    ----------
    timepoints : pandas.Index
        Labels of the columns.

    Returns
    -------
    ndarray of str objects, or None
        None if the labels are neither all dates nor all strings. scikit-learn has no feature names then.
    """
    if isinstance(timepoints, pd.PeriodIndex) or all(isinstance(label, str) for label in timepoints):
        return np.array([str(label) for label in timepoints], dtype=object)
    if not all(isinstance(label, datetime.date) for label in timepoints):
        return None
    stamps = [pd.Timestamp(label) for label in timepoints]
    # The time of day is written only if some label has one.
    daily = all(stamp == stamp.normalize() for stamp in stamps)
    return np.array([str(s.date()) if daily else s.isoformat() for s in stamps], dtype=object)


def same_timepoints(fitted: pd.Index[Any], given: pd.Index[Any]) -> bool:
    """Whether these are the same timepoints; dates equal their ISO names."""
    if fitted.equals(given):
        return True
    names, other = timepoint_names(fitted), timepoint_names(given)
    return names is not None and other is not None and np.array_equal(names, other)


def data_frame(
    values: FloatArray, kind: OutputContainer, *, index: pd.Index[Any] | None, columns: pd.Index[Any]
) -> pd.DataFrame:
    """Put values into a data frame.

    Parameters
    ----------
    values : ndarray of shape (n_series, n_timepoints)
        Values of the frame.
    kind : {"default", "pandas", "polars"}
        The library, as in scikit-learn's `set_output`; "default" is pandas.
    index : pandas.Index or None
        Names of the rows; polars frames have no index and drop them.
    columns : pandas.Index
        Labels of the columns; polars takes them as strings.

    Returns
    -------
    pandas.DataFrame or polars.DataFrame
        The frame; pandas keeps `values` without a copy. Type checkers see pandas, since polars is optional.

    Raises
    ------
    ImportError
        If kind is "polars" and polars is not installed.
    """
    if kind != "polars":
        return pd.DataFrame(values, index=index, columns=columns, copy=False)
    try:
        polars: Any = import_module("polars")
    except ImportError as error:
        raise ImportError(
            'set_output(transform="polars") needs polars, which is not installed: pip install polars'
        ) from error
    names = timepoint_names(columns)
    schema = list(columns.map(str) if names is None else names)
    frame: pd.DataFrame = polars.DataFrame(values, schema=schema, orient="row")
    return frame
