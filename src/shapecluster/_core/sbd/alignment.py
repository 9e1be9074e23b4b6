"""Members of a cluster, shifted so that they are aligned with its center."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from shapecluster._typing import BoolArray, DType, FloatArray, IntArray


def align_members(
    members: FloatArray | BoolArray, shifts: IntArray, dtype: DType | type[np.float64] = np.float64
) -> FloatArray:
    """Undo the shifts of members: out[i, :, t] = members[i, :, t + shifts[i]], zeros outside.

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
    margin = int(np.abs(shifts).max(initial=0))
    padded = np.zeros((n_members, n_channels, n_timepoints + 2 * margin), dtype=dtype)
    padded[..., margin : margin + n_timepoints] = members
    moved = sliding_window_view(padded, n_timepoints, axis=-1)
    return moved[np.arange(n_members), :, margin + shifts, :]
