"""Shape extraction: the centre of a cluster is what its aligned members have most in common."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.linalg import eigh_tridiagonal

from shapecluster._core.normalise import scaled_weights, znormalise
from shapecluster._typing import BoolArray, Float64Array, FloatArray, IntArray

_LANCZOS_STEPS = 100
_LANCZOS_ROUNDS = 30
_LANCZOS_RESIDUAL = 1e-14


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


def extract_shape(
    members: FloatArray, shifts: IntArray, weights: Float64Array, old: FloatArray
) -> FloatArray | None:
    """Centre of one cluster: leading right singular vector of its aligned, centred, weighted members.

    Parameters
    ----------
    members : ndarray of shape (n_members, n_channels, n_timepoints)
        Unit rows.
    shifts : ndarray of shape (n_members,)
        By how much each member trails the old centre.
    weights : ndarray of shape (n_members,)
        Positive; row i counts with sqrt(weights[i]).
    old : ndarray of shape (n_channels, n_timepoints)
        The old centre, where the search for the new one starts.

    Returns
    -------
    ndarray of shape (n_channels, n_timepoints) or None
        z-normalised per channel, in the dtype of `members`, its sign chosen once over all channels so
        that it agrees with the members. None when the aligned members have nothing left to agree on.

    References
    ----------
    Paparrizos and Gravano, "k-Shape: Efficient and Accurate Clustering of Time Series", SIGMOD 2015,
    algorithm 2.
    """
    roots = np.sqrt(scaled_weights(weights))
    aligned = align_members(members, shifts)
    aligned -= aligned.mean(axis=-1, keepdims=True)
    aligned *= roots[:, None, None]
    rows = aligned.reshape(len(aligned), -1)
    if not rows.any():
        return None
    vector = leading_right_vector(rows, old.reshape(-1).astype(np.float64))
    agreement = (np.einsum("ij,j->i", rows, vector) * roots).sum()
    if agreement == 0.0:
        agreement = vector[np.abs(vector).argmax()]
    vector = np.copysign(1.0, agreement) * vector
    shape = vector.reshape(1, *members.shape[1:]).astype(members.dtype)
    centre: FloatArray = znormalise(shape)[0]
    return centre if centre.any() else None


def leading_right_vector(rows: Float64Array, start: Float64Array) -> Float64Array:
    """Unit vector v that maximises |rows @ v|, by restarted Lanczos iteration on rows.T @ rows.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, size)
        Not all zero, and of a scale whose squares neither overflow nor vanish.
    start : ndarray of shape (size,)
        A guess; a good one saves steps, a bad one costs some.

    Returns
    -------
    ndarray of shape (size,)
        Its residual is at most 1e-14 of the largest eigenvalue, so its angle to the exact vector is at
        most 1e-14 sigma_1 / (sigma_1 - sigma_2). Where leading values are so near each other that 30
        rounds of 100 steps do not get there, the best vector found.

    Notes
    -----
    O(n_rows * size) a step and no size x size matrix. Products are einsum's own loops, which unlike BLAS
    round the same way on any number of threads.
    """
    vector = _unit(_stirred(rows, start))
    for _ in range(_LANCZOS_ROUNDS):
        vector, converged = _lanczos(rows, vector)
        if converged:
            break
    return vector


def _lanczos(rows: Float64Array, start: Float64Array) -> tuple[Float64Array, bool]:
    """One round: the best vector of a Krylov space that grows until its residual is small."""
    basis = np.empty((min(_LANCZOS_STEPS, *rows.shape) + 1, rows.shape[1]))
    diagonal, off_diagonal = np.empty(len(basis)), np.empty(len(basis))
    basis[0] = start
    for step in range(len(basis) - 1):
        image = np.einsum("ij,j->i", rows, basis[step])
        new = np.einsum("ij,i->j", rows, image)
        diagonal[step] = (image * image).sum()
        known = basis[: step + 1]
        for _ in range(2):  # twice is enough
            new -= np.einsum("ij,i->j", known, np.einsum("ij,j->i", known, new))
        off_diagonal[step] = np.sqrt((new * new).sum())
        exhausted = off_diagonal[step] <= _LANCZOS_RESIDUAL * diagonal[: step + 1].max()
        last = exhausted or step == len(basis) - 2
        if last or step % 4 == 3:
            value, weight = _leading_pair(diagonal[: step + 1], off_diagonal[:step])
            converged = exhausted or off_diagonal[step] * abs(weight[-1]) <= _LANCZOS_RESIDUAL * value
            if last or converged:
                break
        basis[step + 1] = new / off_diagonal[step]
    return _unit(np.einsum("ij,i->j", known, weight)), bool(converged)


def _stirred(rows: Float64Array, start: Float64Array) -> Float64Array:
    """The start after one power step, within the span of the rows, plus a little of every row.

    The little makes sure that a start that is orthogonal to what is looked for still leads there.
    """
    image = _unit(np.einsum("ij,j->i", rows, start))
    phases = np.arange(1, len(rows) + 1) * np.sqrt(2.0)
    stirred: Float64Array = np.einsum("ij,i->j", rows, image + 0.01 * _unit(0.5 + phases % 1.0))
    return stirred


def _unit(vector: Float64Array) -> Float64Array:
    norm = np.sqrt((vector * vector).sum())
    return vector / norm if norm > 0.0 else vector


def _leading_pair(diagonal: Float64Array, off_diagonal: Float64Array) -> tuple[float, Float64Array]:
    """Largest eigenvalue of a small tridiagonal matrix, and its eigenvector."""
    last = len(diagonal) - 1
    if last == 0:  # which older SciPy refuses
        return float(diagonal[0]), np.ones(1)
    values, vectors = eigh_tridiagonal(
        diagonal, off_diagonal, select="i", select_range=(last, last), check_finite=False
    )
    return float(values[0]), np.asarray(vectors[:, 0], dtype=np.float64)
