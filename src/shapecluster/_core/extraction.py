"""Shape extraction: the centre of a cluster is what its aligned members have most in common."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.linalg import eigh

from shapecluster._core.normalise import znormalise
from shapecluster._typing import BoolArray, Float64Array, FloatArray, IntArray


def align_members(members: FloatArray | BoolArray, shifts: IntArray) -> Float64Array:
    """Shift members back by their lags: out[i, :, t] = members[i, :, t + shifts[i]], zeros outside.

    Parameters
    ----------
    members : ndarray of shape (n_members, n_channels, n_timepoints)
    shifts : ndarray of shape (n_members,)

    Returns
    -------
    ndarray of the shape of `members`, float64
    """
    n_members, n_channels, n_timepoints = members.shape
    reach = int(np.abs(shifts).max(initial=0))
    padded = np.zeros((n_members, n_channels, n_timepoints + 2 * reach))
    padded[..., reach : reach + n_timepoints] = members
    moved = sliding_window_view(padded, n_timepoints, axis=-1)
    aligned: Float64Array = moved[np.arange(n_members), :, reach + shifts, :]
    return aligned


def extract_shape(members: FloatArray, shifts: IntArray, weights: Float64Array) -> FloatArray | None:
    """Centre of one cluster: leading right singular vector of its aligned, centred, weighted members.

    Parameters
    ----------
    members : ndarray of shape (n_members, n_channels, n_timepoints)
        Unit rows.
    shifts : ndarray of shape (n_members,)
        By how much each member trails the old centre.
    weights : ndarray of shape (n_members,)
        Positive; row i counts with sqrt(weights[i]).

    Returns
    -------
    ndarray of shape (n_channels, n_timepoints) or None
        z-normalised per channel, in the dtype of `members`, its sign chosen once over all channels so
        that it agrees with the members. None when the aligned members have nothing left to agree on.

    Notes
    -----
    Solved by LAPACK on the smaller of the two Gram matrices, O(n_members * size * min(n_members, size))
    with size = n_channels * n_timepoints.

    References
    ----------
    Paparrizos and Gravano, "k-Shape: Efficient and Accurate Clustering of Time Series", SIGMOD 2015,
    algorithm 2.
    """
    aligned = align_members(members, shifts)
    aligned -= aligned.mean(axis=-1, keepdims=True)
    aligned *= np.sqrt(weights)[:, None, None]
    flat = aligned.reshape(len(aligned), -1)
    n_members, size = flat.shape
    if n_members <= size:
        vector = _leading_eigenvector(flat @ flat.T) @ flat
    else:
        vector = _leading_eigenvector(flat.T @ flat)
    norm = np.sqrt((vector * vector).sum())
    if not norm > 0.0:
        return None
    vector /= norm
    agreement = ((flat * vector).sum(axis=-1) * np.sqrt(weights)).sum()
    if agreement == 0.0:
        agreement = vector[np.abs(vector).argmax()]
    vector = np.copysign(1.0, agreement) * vector
    shape = vector.reshape(1, *members.shape[1:]).astype(members.dtype)
    centre: FloatArray = znormalise(shape)[0]
    return centre if centre.any() else None


def _leading_eigenvector(gram: Float64Array) -> Float64Array:
    last = len(gram) - 1
    vectors: Float64Array = eigh(gram, subset_by_index=[last, last], check_finite=False)[1]
    return vectors[:, 0]
