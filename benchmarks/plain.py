"""k-Shape in efficient plain NumPy: the baseline for the bounds of LocalKShape.

Every step transforms all pairs of series and center, in blocks that fit in cache. Every center is a leading
eigenvector from the dense solver of LAPACK. The stopping rule is that of `LocalKShape`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import fft, linalg

BLOCK_BYTES = 1 << 21  # of one block of correlations: it stays in the second-level cache


class Assigned(NamedTuple):
    """Nearest centers, shifts and distances of all series."""

    labels: np.ndarray
    shifts: np.ndarray
    sbd: np.ndarray


class Result(NamedTuple):
    """The best iterate of a run."""

    centers: np.ndarray
    assigned: Assigned
    inertia: float
    n_iter: int


def unit_rows(X: np.ndarray) -> np.ndarray:
    """Rows with zero mean and norm one."""
    rows = X - X.mean(axis=1, keepdims=True)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def transform_length(n_timepoints: int) -> int:
    """Length of the transforms, without wrap-around."""
    return int(fft.next_fast_len(2 * n_timepoints - 1, real=True))


def spectra_of(rows: np.ndarray) -> np.ndarray:
    """Transforms of the rows."""
    return fft.rfft(rows, n=transform_length(rows.shape[1]))


def correlations(spectra: np.ndarray, centers: np.ndarray):
    """Yield blocks of rows, their maximum correlation with each center, and its position."""
    length = transform_length(centers.shape[1])
    conjugate = spectra_of(centers).conj()
    step = max(1, BLOCK_BYTES // (16 * length * len(centers)))
    for start in range(0, len(spectra), step):
        rows = slice(start, start + step)
        ncc = fft.irfft(spectra[rows, None] * conjugate, n=length, overwrite_x=True)
        position = ncc.argmax(axis=2)
        yield rows, np.take_along_axis(ncc, position[:, :, None], axis=2)[:, :, 0], position


def assign(spectra: np.ndarray, centers: np.ndarray) -> Assigned:
    """Nearest of `centers` (z-normalized or unit rows) for every series."""
    n_timepoints = centers.shape[1]
    n_series, length = len(spectra), transform_length(n_timepoints)
    labels, shifts = np.empty(n_series, dtype=np.intp), np.empty(n_series, dtype=np.intp)
    sbd = np.empty(n_series)
    for rows, peak, position in correlations(spectra, unit_rows(centers)):
        labels[rows] = nearest = peak.argmax(axis=1)
        each = np.arange(len(peak))
        sbd[rows] = 1.0 - peak[each, nearest]
        shifts[rows] = position[each, nearest]
    return Assigned(labels, np.where(shifts < n_timepoints, shifts, shifts - length), sbd)


def extract(members: np.ndarray, shifts: np.ndarray, *, small_side: bool) -> np.ndarray:
    """Leading right singular vector of the aligned members, z-normalized, by a dense eigensolver.

    With `small_side`, the solver gets the smaller of two matrices of scalar products: of members or of
    timepoints. Other implementations of k-Shape always use the second.
    """
    n_members, n_timepoints = members.shape
    padded = np.zeros((n_members, 3 * n_timepoints))
    padded[:, n_timepoints : 2 * n_timepoints] = members
    aligned = padded[np.arange(n_members)[:, None], n_timepoints + shifts[:, None] + np.arange(n_timepoints)]
    aligned -= aligned.mean(axis=1, keepdims=True)
    by_member = small_side and n_members < n_timepoints
    scatter = aligned @ aligned.T if by_member else aligned.T @ aligned
    last = len(scatter) - 1
    vector = linalg.eigh(scatter, subset_by_index=(last, last), overwrite_a=True, check_finite=False)[1][:, 0]
    if by_member:
        vector = aligned.T @ vector
    # An eigenvector has no sign; this one agrees with the members.
    vector = np.copysign(1.0, (aligned @ vector).sum()) * vector
    return (vector - vector.mean()) / vector.std()


def k_shape(
    X: np.ndarray, centers: np.ndarray, *, small_side: bool = False, max_iter: int = 100, tol: float = 1e-6
) -> Result:
    """Cluster the rows of X from given centers until labels and shifts stay, or inertia stops falling."""
    unit = unit_rows(X)
    spectra = spectra_of(unit)
    centers = np.array(centers, dtype=np.float64)
    assigned = assign(spectra, centers)
    best = Result(centers, assigned, float(assigned.sbd @ assigned.sbd), 0)
    anchor, stalled = best.inertia, 0
    for n_iter in range(1, max_iter + 1):
        before, centers = assigned, centers.copy()
        for label in range(len(centers)):
            members = assigned.labels == label
            if members.any():
                centers[label] = extract(unit[members], assigned.shifts[members], small_side=small_side)
            else:
                centers[label] = unit[assigned.sbd.argmax()]  # an empty cluster
        assigned = assign(spectra, centers)
        inertia = float(assigned.sbd @ assigned.sbd)
        if inertia < best.inertia:
            best = Result(centers, assigned, inertia, n_iter)
        stalled = 0 if inertia <= (1 - tol) * anchor else stalled + 1
        anchor = inertia if stalled == 0 else anchor
        unchanged = (assigned.labels == before.labels).all() and (assigned.shifts == before.shifts).all()
        if unchanged or stalled >= 5:
            break
    return best._replace(n_iter=n_iter)
