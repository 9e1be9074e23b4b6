"""Series moved by their shifts, so that they lie on one another."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from shapecluster._typing import BoolArray, DType, FloatArray, IntArray


def align_members(
    members: FloatArray | BoolArray, shifts: IntArray, dtype: DType | type[np.float64] = np.float64
) -> FloatArray:
    """Shift members back by their lags: out[i, :, t] = members[i, :, t + shifts[i]], zeros outside.

    Parameters
    ----------
    members : ndarray of shape (n_members, n_channels, n_timepoints)
    shifts : ndarray of shape (n_members,)
    dtype : dtype, default=float64

    Returns
    -------
    ndarray of the shape of `members`, float64 unless `dtype` says otherwise
    """
    n_members, n_channels, n_timepoints = members.shape
    reach = int(np.abs(shifts).max(initial=0))
    padded = np.zeros((n_members, n_channels, n_timepoints + 2 * reach), dtype=dtype)
    padded[..., reach : reach + n_timepoints] = members
    moved = sliding_window_view(padded, n_timepoints, axis=-1)
    aligned: FloatArray = moved[np.arange(n_members), :, reach + shifts, :]
    return aligned
