"""k-Shape on a stream: what is kept of members that are gone, and the step that one mini-batch makes.

The center of a cluster is the leading right singular vector of its aligned members. When they pass by in
batches, a few orthogonal rows stand for all that were seen: the Frequent Directions sketch. The rows of a
batch are put under the sketch, the whole is turned onto its principal axes, and what exceeds the size is paid
for evenly by all axes, so none of the great ones can be lost.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from shapecluster._core.kshape.assignment import assign
from shapecluster._core.kshape.run import inertia, participating
from shapecluster._core.sbd.alignment import align_members
from shapecluster._core.sbd.blocks import map_blocks, row_blocks
from shapecluster._core.sbd.normalize import znormalize
from shapecluster._core.sbd.shapes import Shapes, shapes_of
from shapecluster._typing import BoolArray, DType, Float64Array, FloatArray, IntArray

SKETCH_ROWS = 12
"""Rows kept of each cluster."""

_REASSIGNMENT_RATIO = 0.01  # of the largest count; what is below starts anew
_REASSIGNMENT_PERIOD = 10  # series per cluster between two looks
_LOWEST_EXPONENT = -1100  # below that of any weight


@dataclass(frozen=True)
class Sketch:
    """What is remembered of the aligned, centered and weighted members A of one cluster.

    Attributes
    ----------
    rows : ndarray of shape (n_rows, width)
        B: at most `size` orthogonal rows, the longest first, in units of 2 ** (exponent / 2).
    total : ndarray of shape (width,)
        Weighted sum of the members, in units of 2 ** exponent; decides the sign of the center.
    error : float
        Bound on what B lacks, in the same units: 0 <= A.T A - B.T B <= error, as quadratic forms.
    size : int
        Most rows that are kept.
    exponent : int
        An even power of two, near the largest weight: squares of rows neither overflow nor vanish.

    Notes
    -----
    Let d be the sum of what each step took from the squared singular values. A step takes d_t from every
    axis that it keeps and from the next one, and all of the others, so that no direction loses more than d_t,
    and the sum of squares at least (size + 1) d_t. It follows that for every k <= size

        0 <= A.T A - B.T B <= d <= |A - A_k|_F^2 / (size + 1 - k),

    A_k the best approximation of rank k [1]_. Nothing is lost while the members have no more than `size`
    dimensions. A truncated SVD, the incremental SVD of [2]_, takes nothing from the axes that it keeps; it
    has the first bound but not the second, and an adversary can hide a direction from it.

    The error moves the center by an angle of at most

        sin(angle) <= error / (lambda_1 - lambda_2),

    lambda the largest eigenvalues of either matrix (Davis and Kahan in the form of [3]_, applied to
    B.T B + error / 2, which has the same eigenvectors and differs by error / 2 at most).

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
    """Sketch of a cluster that has seen nothing; `width` is channels times timepoints."""
    return Sketch(np.empty((0, width)), np.zeros(width), size=size)


def faded(sketch: Sketch, share: float) -> Sketch:
    """The same sketch with all that it has seen weighing `share`, in [0, 1], of what it did."""
    if share == 1.0:
        return sketch
    if share == 0.0:
        return empty_sketch(len(sketch.total), sketch.size)
    rows = np.sqrt(share) * sketch.rows
    return replace(sketch, rows=rows, total=share * sketch.total, error=share * sketch.error)


def absorb(sketch: Sketch, members: FloatArray, shifts: IntArray, weights: Float64Array) -> Sketch:
    """Add members of the cluster to its sketch.

    Parameters
    ----------
    sketch : Sketch
        What was seen before.
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
    O(n_members size width): members come in by twice the size, and each time the Gram matrix of three times
    the size is diagonalised. Products are einsum's own loops, which round the same way on any number of
    threads; so does LAPACK on 36 rows, far below the size at which a BLAS starts to share its work out.
    """
    exponent = int(np.frexp(weights.max())[1])
    sketch = _rescaled(sketch, max(sketch.exponent, exponent + exponent % 2))
    roots = np.sqrt(np.ldexp(weights, -sketch.exponent))
    aligned = align_members(members, shifts)
    aligned -= aligned.mean(axis=-1, keepdims=True)
    aligned *= roots[:, None, None]
    new = aligned.reshape(len(aligned), -1)
    rows, error = sketch.rows, sketch.error
    for part in row_blocks(len(new), 1, 2 * sketch.size):
        rows, lost = _shrunk(np.concatenate([rows, new[part]]), sketch.size)
        error += lost
    total = sketch.total + np.einsum("ij,i->j", new, roots)
    return replace(sketch, rows=rows, total=total, error=error)


def sketched_shape(sketch: Sketch, n_channels: int, dtype: DType) -> FloatArray | None:
    """Center of a cluster, from its sketch; what `extract_shape` is to its members.

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
        of the members. None when there is nothing that the members agree on.
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
    """All that the next mini-batch needs to know of those before it.

    Attributes
    ----------
    centers : ndarray of shape (n_clusters, n_channels, n_timepoints)
        z-normalized.
    sketches : tuple of Sketch
        What each center was extracted from; empty for a center that was given or drawn.
    counts : ndarray of shape (n_clusters,)
        Weight behind each center, as reassignment sees it.
    n_waiting : int
        Series that came since clusters were last looked at for reassignment.
    """

    centers: FloatArray
    sketches: tuple[Sketch, ...]
    counts: Float64Array
    n_waiting: int = 0

    def restarted(self, clusters: IntArray, rows: FloatArray) -> MiniBatchState:
        """The same stream with some clusters starting anew from given unit rows."""
        centers, sketches = self.centers.copy(), list(self.sketches)
        centers[clusters] = znormalize(rows)
        for cluster in clusters:
            sketches[cluster] = faded(sketches[cluster], 0.0)
        return replace(self, centers=centers, sketches=tuple(sketches))


def start_stream(centers: FloatArray, size: int = SKETCH_ROWS) -> MiniBatchState:
    """Stream that has seen nothing but its first, z-normalized centers; `size` rows are kept of a cluster."""
    sketch = empty_sketch(centers[0].size, size)
    return MiniBatchState(centers, (sketch,) * len(centers), np.zeros(len(centers)))


def advance_stream(
    stream: MiniBatchState,
    batch: Shapes,
    weights: Float64Array,
    rng: np.random.RandomState,
    *,
    fade: float = 1.0,
    n_threads: int = 1,
) -> tuple[MiniBatchState, float]:
    """One mini-batch: assign it, extract the centers of what was seen so far, reassign clusters that died.

    Parameters
    ----------
    stream : MiniBatchState
        What came before.
    batch : Shapes
        The mini-batch; flat rows and rows of weight zero take no part.
    weights : ndarray of shape (n_series,)
        Not negative.
    rng : numpy.random.RandomState
        Draws the series that clusters are reassigned to.
    fade : float, default=1.0
        What all that came before still weighs.
    n_threads : int, default=1
        Threads, for correlations and for clusters; the result does not depend on it.

    Returns
    -------
    stream : MiniBatchState
        The stream after the mini-batch.
    inertia : float
        Of the mini-batch, under the centers before.
    """
    centers = shapes_of(stream.centers, batch.window)
    nearest = assign(batch, centers, keep=False, n_threads=n_threads).nearest
    taking_part = participating(batch, weights)

    def update(clusters: slice) -> tuple[FloatArray, Sketch]:
        cluster = clusters.start
        old, sketch = stream.centers[cluster], faded(stream.sketches[cluster], fade)
        members = np.flatnonzero(taking_part & (nearest.labels == cluster))
        if not len(members):  # fading alone does not turn a center
            return old, sketch
        sketch = absorb(sketch, batch.unit[members], nearest.shifts[members], weights[members])
        shape = sketched_shape(sketch, len(old), old.dtype)
        return (old if shape is None else shape), sketch

    parts = map_blocks(update, row_blocks(len(stream.centers), 1, 1), n_threads)
    gained = np.bincount(nearest.labels, np.where(taking_part, weights, 0.0), len(stream.centers))
    after = MiniBatchState(
        centers=np.stack([center for center, _ in parts]),
        sketches=tuple(sketch for _, sketch in parts),
        counts=fade * stream.counts + gained,
        n_waiting=stream.n_waiting + len(batch),
    )
    return _reassigned(after, batch, taking_part, rng), inertia(1.0 - nearest.ncc, weights)


def _reassigned(
    stream: MiniBatchState, batch: Shapes, taking_part: BoolArray, rng: np.random.RandomState
) -> MiniBatchState:
    """Let clusters of little weight start anew from random series of the batch, half of the batch at most.

    They are given the least count of the other clusters, so that they do not start anew at once again.
    """
    counts = stream.counts
    if counts.all() and stream.n_waiting < _REASSIGNMENT_PERIOD * len(counts):
        return stream
    stream = replace(stream, n_waiting=0)
    alive = counts >= _REASSIGNMENT_RATIO * counts.max()
    order = np.argsort(counts, kind="stable")
    rows = np.flatnonzero(taking_part)
    dead = order[~alive[order]][: len(rows) // 2]
    if not len(dead):
        return stream
    drawn = rng.choice(rows, size=len(dead), replace=False)
    new_counts = counts.copy()
    new_counts[dead] = counts[alive].min()
    return replace(stream.restarted(dead, batch.unit[drawn]), counts=new_counts)


def _rescaled(sketch: Sketch, exponent: int) -> Sketch:
    """The same sketch in larger units; exact, but for what vanishes beside them."""
    down = sketch.exponent - exponent
    if down == 0:
        return sketch
    return replace(
        sketch,
        rows=np.ldexp(sketch.rows, down // 2),
        total=np.ldexp(sketch.total, down),
        error=float(np.ldexp(sketch.error, down)),
        exponent=exponent,
    )


def _shrunk(rows: Float64Array, size: int) -> tuple[Float64Array, float]:
    """At most `size` orthogonal rows in the place of many, and what each axis paid for it at most."""
    values, vectors = np.linalg.eigh(np.einsum("ij,kj->ik", rows, rows))
    values, vectors = values[::-1], vectors[:, ::-1]
    lost = max(0.0, float(values[size])) if len(rows) > size else 0.0
    rounding = len(rows) * np.finfo(np.float64).eps * values[0]
    kept = np.flatnonzero(values[:size] - lost > rounding)
    scale = np.sqrt((values[kept] - lost) / values[kept])
    turn = np.ascontiguousarray((vectors[:, kept] * scale).T)
    return np.einsum("ji,ik->jk", turn, rows), lost
