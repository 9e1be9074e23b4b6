"""Mini-batch k-Shape: the sketch that summarizes earlier members, and the step of one mini-batch.

The center of a cluster is the leading right singular vector of its aligned members. When members come in
batches, a few orthogonal rows summarize all earlier ones: the Frequent Directions sketch. Each step appends
the rows of a batch to the sketch and rotates the result onto its principal axes. It then subtracts the same
amount from all squared singular values, so that at most `size` rows stay and no long axis is lost.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from shapecluster._core.kshape.assignment import assign
from shapecluster._core.kshape.run import inertia, participating
from shapecluster._core.sbd.alignment import align_members
from shapecluster._core.sbd.blocks import map_blocks, row_blocks
from shapecluster._core.sbd.normalize import znormalize
from shapecluster._core.sbd.shapes import Shapes, shapes_of
from shapecluster._typing import BoolArray, DType, Float64Array, FloatArray, IntArray

SKETCH_ROWS = 12
"""Largest number of rows that summarize a cluster."""

_REASSIGNMENT_RATIO = 0.01  # of the largest count; clusters below it restart, as in MiniBatchKMeans
_REASSIGNMENT_PERIOD = 10  # series per cluster between two checks
_LOWEST_EXPONENT = -1100  # below the exponent of any weight, so that the first batch sets the unit


@dataclass(frozen=True)
class Sketch:
    """Summary of the aligned, centered and weighted members A of one cluster.

    Attributes
    ----------
    rows : ndarray of shape (n_rows, width)
        B: at most `size` orthogonal rows, the longest first, in units of 2 ** (exponent / 2).
    total : ndarray of shape (width,)
        Weighted sum of the members, in units of 2 ** exponent; decides the sign of the center.
    error : float
        Bound on the loss, in the same units: 0 <= A.T A - B.T B <= error, as quadratic forms.
    size : int
        Largest number of rows.
    exponent : int
        An even power of two, near the largest weight: squares of rows neither overflow nor vanish.

    Notes
    -----
    Let d be the sum of the amounts d_t that the steps subtracted from the squared singular values. A step
    subtracts d_t from every axis that it keeps and from the next one, and drops the others. No direction
    loses more than d_t, and the sum of squares falls by at least (size + 1) d_t. Therefore, for k <= size,

        0 <= A.T A - B.T B <= d <= |A - A_k|_F^2 / (size + 1 - k),

    with A_k the best approximation of rank k [1]_. Nothing is lost while the members have at most `size`
    dimensions. A truncated SVD, as the incremental SVD of [2]_, subtracts nothing from the axes that it
    keeps. It has the first bound but not the second, and an adversary can hide a direction from it.

    The error moves the center by an angle of at most

        sin(angle) <= error / (lambda_1 - lambda_2),

    with lambda the largest eigenvalues of either matrix. This is the theorem of Davis and Kahan in the form
    of [3]_, applied to B.T B + error / 2. This matrix has the same eigenvectors
    and differs by at most error / 2.

    References
    ----------
    .. [1] M. Ghashami, E. Liberty, J. M. Phillips and D. P. Woodruff, "Frequent Directions: Simple and
       Deterministic Matrix Sketching", SIAM Journal on Computing 45(5), 2016, theorem 1.1.
    .. [2] D. A. Ross, J. Lim, R.-S. Lin and M.-H. Yang, "Incremental Learning for Robust Visual Tracking",
       International Journal of Computer Vision 77, 2008.
    .. [3] Y. Yu, T. Wang and R. J. Samworth, "A useful variant of the Davis-Kahan theorem for
       statisticians", Biometrika 102(2), 2015.
    """

    rows: Float64Array
    total: Float64Array
    error: float = 0.0
    size: int = SKETCH_ROWS
    exponent: int = _LOWEST_EXPONENT


def empty_sketch(width: int, size: int = SKETCH_ROWS) -> Sketch:
    """Sketch of a cluster without members; `width` is channels times timepoints."""
    return Sketch(np.empty((0, width)), np.zeros(width), size=size)


def decayed(sketch: Sketch, share: float) -> Sketch:
    """The same sketch with the weights of all its members multiplied by `share`, in [0, 1]."""
    if share == 1.0:
        return sketch
    if share == 0.0:
        return empty_sketch(len(sketch.total), sketch.size)
    rows = np.sqrt(share) * sketch.rows
    return replace(sketch, rows=rows, total=share * sketch.total, error=share * sketch.error)


def update_sketch(sketch: Sketch, members: FloatArray, shifts: IntArray, weights: Float64Array) -> Sketch:
    """Add members of the cluster to its sketch.

    Parameters
    ----------
    sketch : Sketch
        Of the earlier members.
    members : ndarray of shape (n_members, n_channels, n_timepoints)
        Unit rows, at least one.
    shifts : ndarray of shape (n_members,)
        By how much each member trails the center.
    weights : ndarray of shape (n_members,)
        Positive; row i counts with sqrt(weights[i]).

    Returns
    -------
    Sketch
        Of all members, old and new.

    Notes
    -----
    The cost is O(n_members size width). Members are added `2 * size` at a time, and each time the Gram
    matrix of `3 * size` rows is diagonalized. Products use einsum's own loops, which round the same way on
    any number of threads. So does LAPACK on 36 rows: a BLAS uses threads only for much larger matrices.
    """
    exponent = int(np.frexp(weights.max())[1])
    sketch = _rescale(sketch, max(sketch.exponent, exponent + exponent % 2))
    roots = np.sqrt(np.ldexp(weights, -sketch.exponent))
    aligned = align_members(members, shifts)
    aligned -= aligned.mean(axis=-1, keepdims=True)
    aligned *= roots[:, None, None]
    new = aligned.reshape(len(aligned), -1)
    rows, error = sketch.rows, sketch.error
    for part in row_blocks(len(new), 1, 2 * sketch.size):
        rows, lost = _shrink(np.concatenate([rows, new[part]]), sketch.size)
        error += lost
    total = sketch.total + np.einsum("ij,i->j", new, roots)
    return replace(sketch, rows=rows, total=total, error=error)


def sketched_shape(sketch: Sketch, n_channels: int, dtype: DType) -> FloatArray | None:
    """Center of a cluster from its sketch, as `extract_shape` computes it from the members.

    Parameters
    ----------
    sketch : Sketch
        Of the members.
    n_channels : int
        Channels that its width holds.
    dtype : dtype
        Of the center.

    Returns
    -------
    ndarray of shape (n_channels, n_timepoints) or None
        z-normalized per channel, its sign chosen once over all channels so that it agrees with the sum
        of the members. None if the sketch has no direction that stands out.
    """
    if not len(sketch.rows):
        return None
    vector = sketch.rows[0]
    agreement = (sketch.total * vector).sum()
    if agreement == 0.0:
        agreement = vector[np.abs(vector).argmax()]
    vector = np.copysign(1.0, agreement) / np.sqrt((vector * vector).sum()) * vector
    center: FloatArray = znormalize(vector.reshape(1, n_channels, -1).astype(dtype))[0]
    return center if center.any() else None


@dataclass(frozen=True)
class MiniBatchState:
    """Everything that the next mini-batch needs from the earlier ones.

    Attributes
    ----------
    centers : ndarray of shape (n_clusters, n_channels, n_timepoints)
        z-normalized.
    sketches : tuple of Sketch
        The members behind each center; empty for a center that was given or drawn.
    counts : ndarray of shape (n_clusters,)
        Weight behind each center, for reassignment.
    n_waiting : int
        Series since the last check for reassignment.
    """

    centers: FloatArray
    sketches: tuple[Sketch, ...]
    counts: Float64Array
    n_waiting: int = 0

    def restarted(self, clusters: IntArray, rows: FloatArray) -> MiniBatchState:
        """The same state, with some clusters restarted from given unit rows."""
        centers, sketches = self.centers.copy(), list(self.sketches)
        centers[clusters] = znormalize(rows)
        for cluster in clusters:
            sketches[cluster] = decayed(sketches[cluster], 0.0)
        return replace(self, centers=centers, sketches=tuple(sketches))


class MiniBatchStep(NamedTuple):
    """Result of one mini-batch.

    Attributes
    ----------
    state : MiniBatchState
        The state after the mini-batch.
    inertia : float
        Inertia of the mini-batch under the centers before it.
    n_correlations : int
        Pairs of series and center that were transformed.
    """

    state: MiniBatchState
    inertia: float
    n_correlations: int


def initial_state(centers: FloatArray, size: int = SKETCH_ROWS) -> MiniBatchState:
    """State before the first mini-batch, with its z-normalized centers and sketches of `size` rows."""
    sketch = empty_sketch(centers[0].size, size)
    return MiniBatchState(centers, (sketch,) * len(centers), np.zeros(len(centers)))


def advance_batch(
    state: MiniBatchState,
    batch: Shapes,
    weights: Float64Array,
    rng: np.random.RandomState,
    *,
    decay: float = 1.0,
    n_threads: int = 1,
) -> MiniBatchStep:
    """One mini-batch: assign it, extract the centers of all series so far, reassign clusters of low weight.

    Parameters
    ----------
    state : MiniBatchState
        State after the earlier mini-batches.
    batch : Shapes
        The mini-batch; flat rows and rows of weight zero take no part.
    weights : ndarray of shape (n_series,)
        Not negative.
    rng : numpy.random.RandomState
        Draws the series that clusters are reassigned to.
    decay : float, default=1.0
        Factor for the weights of all earlier members.
    n_threads : int, default=1
        Threads, for correlations and for clusters; the result does not depend on it.

    """
    centers = shapes_of(state.centers, batch.window)
    assigned = assign(batch, centers, keep=False, n_threads=n_threads)
    nearest = assigned.nearest
    taking_part = participating(batch, weights)

    def update(clusters: slice) -> tuple[FloatArray, Sketch]:
        cluster = clusters.start
        old, sketch = state.centers[cluster], decayed(state.sketches[cluster], decay)
        members = np.flatnonzero(taking_part & (nearest.labels == cluster))
        if not len(members):  # a decay alone does not turn a center
            return old, sketch
        sketch = update_sketch(sketch, batch.unit[members], nearest.shifts[members], weights[members])
        shape = sketched_shape(sketch, len(old), old.dtype)
        return (old if shape is None else shape), sketch

    parts = map_blocks(update, row_blocks(len(state.centers), 1, 1), n_threads)
    gained = np.bincount(nearest.labels, np.where(taking_part, weights, 0.0), len(state.centers))
    after = MiniBatchState(
        centers=np.stack([center for center, _ in parts]),
        sketches=tuple(sketch for _, sketch in parts),
        counts=decay * state.counts + gained,
        n_waiting=state.n_waiting + len(batch),
    )
    return MiniBatchStep(
        _reassign(after, batch, taking_part, rng),
        inertia(1.0 - nearest.ncc, weights),
        assigned.n_correlations,
    )


def _reassign(
    state: MiniBatchState, batch: Shapes, taking_part: BoolArray, rng: np.random.RandomState
) -> MiniBatchState:
    """Restart clusters of little weight from random series of the batch, at most half of the batch.

    They get the smallest count of the other clusters, so that the next check does not restart them again.
    """
    counts = state.counts
    if counts.all() and state.n_waiting < _REASSIGNMENT_PERIOD * len(counts):
        return state
    state = replace(state, n_waiting=0)
    alive = counts >= _REASSIGNMENT_RATIO * counts.max()
    order = np.argsort(counts, kind="stable")
    rows = np.flatnonzero(taking_part)
    dead = order[~alive[order]][: len(rows) // 2]
    if not len(dead):
        return state
    drawn = rng.choice(rows, size=len(dead), replace=False)
    new_counts = counts.copy()
    new_counts[dead] = counts[alive].min()
    return replace(state.restarted(dead, batch.unit[drawn]), counts=new_counts)


def _rescale(sketch: Sketch, exponent: int) -> Sketch:
    """The same sketch in larger units; exact, except for values that underflow."""
    down = sketch.exponent - exponent
    return replace(
        sketch,
        rows=np.ldexp(sketch.rows, down // 2),
        total=np.ldexp(sketch.total, down),
        error=float(np.ldexp(sketch.error, down)),
        exponent=exponent,
    )


def _shrink(rows: Float64Array, size: int) -> tuple[Float64Array, float]:
    """Replace many rows by at most `size` orthogonal ones; also return the amount that was subtracted."""
    values, vectors = np.linalg.eigh(np.einsum("ij,kj->ik", rows, rows))
    values, vectors = values[::-1], vectors[:, ::-1]
    lost = max(0.0, float(values[size])) if len(rows) > size else 0.0
    rounding = len(rows) * np.finfo(np.float64).eps * values[0]
    kept = np.flatnonzero(values[:size] - lost > rounding)
    scale = np.sqrt((values[kept] - lost) / values[kept])
    turn = np.ascontiguousarray((vectors[:, kept] * scale).T)
    return np.einsum("ji,ik->jk", turn, rows), lost
