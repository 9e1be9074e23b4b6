"""Shape extraction: the center of a cluster from its aligned members."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from scipy.linalg import eigh_tridiagonal

from shapecluster._core.sbd.alignment import align_members
from shapecluster._core.sbd.blocks import row_blocks
from shapecluster._core.sbd.normalize import scaled_weights
from shapecluster._typing import Float64Array, FloatArray, IntArray

HELD_BYTES = 1 << 24
"""Bytes of aligned members of one cluster that may be held, unless a caller can spare more."""

_BLOCK_BYTES = 1 << 21  # sums run block by block, so their rounding must not depend on a memory budget
_FEW_ROWS = 32  # for so few rows the dense eigenproblem costs less than a Lanczos iteration
_LANCZOS_STEPS = 100
_LANCZOS_ROUNDS = 3
_BASIS_BYTES = 1 << 24  # long series get shorter rounds, and more of them
_DENSE_SIZE = 3000
_TOLERANCE = {np.dtype(np.float32): 4e-6, np.dtype(np.float64): 2e-13}


MatrixBlocks = list[FloatArray] | Callable[[], Iterable[FloatArray]]
"""Rows of a matrix in blocks: held in a list, or computed again for each pass by a callable."""


def extract_shape(
    members: Callable[[slice], FloatArray],
    shifts: IntArray,
    weights: Float64Array,
    old: FloatArray,
    *,
    held_bytes: int = HELD_BYTES,
) -> FloatArray | None:
    """Center of one cluster: the leading right singular vector of its aligned, centered, weighted members.

    Parameters
    ----------
    members : callable
        Returns the unit rows of a slice of the members, shape (n_rows, n_channels, n_timepoints).
    shifts : ndarray of shape (n_members,)
        By how much each member trails the old center.
    weights : ndarray of shape (n_members,)
        Positive; row i counts with sqrt(weights[i]).
    old : ndarray of shape (n_channels, n_timepoints)
        The old center, where the search for the new one starts.
    held_bytes : int
        Aligned members are held if they are few or fit this budget, else computed again for each pass
        over them. The result does not depend on it.

    Returns
    -------
    ndarray of shape (n_channels, n_timepoints) or None
        In the dtype of `old`, to be z-normalized per channel. Its sign is chosen once over all channels so
        that it agrees with the members. None if all aligned members are zero.

    References
    ----------
    Paparrizos and Gravano, "k-Shape: Efficient and Accurate Clustering of Time Series", SIGMOD 2015,
    algorithm 2.
    """
    roots = np.sqrt(scaled_weights(weights))
    weighted = bool((roots != roots[0]).any())

    def blocks() -> Iterator[FloatArray]:
        for part in row_blocks(len(shifts), 8 * old.size, max(_BLOCK_BYTES, 64 * old.size)):
            aligned = align_members(members(part), shifts[part], old.dtype)
            aligned -= aligned.mean(axis=-1, keepdims=True)
            if weighted:
                aligned *= roots[part, None, None].astype(old.dtype)
            yield aligned.reshape(len(aligned), -1)

    held = len(shifts) <= _FEW_ROWS or len(shifts) * old.nbytes <= held_bytes
    rows: MatrixBlocks = list(blocks()) if held else blocks
    if not any(block.any() for block in _each(rows)):
        return None
    vector = leading_right_vector(rows, old.reshape(-1).astype(np.float64))
    image = _product(rows, vector)
    agreement = (image * roots).sum()
    if agreement == 0.0:
        agreement = vector[np.abs(vector).argmax()]
    vector = np.copysign(1.0, agreement) * vector
    shape: FloatArray = vector.reshape(old.shape).astype(old.dtype)
    return shape


def leading_right_vector(rows: MatrixBlocks, start: Float64Array) -> Float64Array:
    """Unit vector v that maximizes |rows @ v|.

    Parameters
    ----------
    rows : list of ndarray of shape (n_rows, size), or callable
        The matrix in blocks. Not all zero, and of a scale whose squares neither overflow nor vanish.
    start : ndarray of shape (size,)
        A guess; a good one saves steps.

    Returns
    -------
    ndarray of shape (size,)
        Its residual is at most 2e-13 (for float32 rows 4e-6) of the largest eigenvalue sigma_1^2. Its angle
        to the exact vector is at most that factor times sigma_1 / (sigma_1 - sigma_2). A small residual
        alone does not show that the vector is the leading one; `_perturbed_start` makes that so. The one
        exception seen is a start within rounding of another vector, with values equal to ten digits.

    Notes
    -----
    Up to 32 rows are solved as the dense eigenproblem of their products with each other. More rows use a
    restarted Lanczos iteration on rows.T @ rows: O(n_rows * size) a step, and no size x size matrix. Products
    use einsum's own loops, which unlike BLAS round the same way on any number of threads. If the leading
    values are so close that the iteration does not converge, the dense problem is solved, up to a size of
    3000. Beyond it, the best vector found is returned. If the leading values are equal, the iteration leads
    to the vector of their space that is nearest to the start.
    """
    if isinstance(rows, list) and sum(len(block) for block in rows) <= _FEW_ROWS:
        return _from_products(_joined(rows), start)
    vector = _unit(_perturbed_start(rows, start))
    for _ in range(_LANCZOS_ROUNDS * _LANCZOS_STEPS // _steps_of(start)):
        vector, converged = _lanczos(rows, vector)
        if converged:
            return vector
    return _dense(rows, vector)


def _from_products(rows: Float64Array, start: Float64Array) -> Float64Array:
    """Leading vector from the small matrix of all products of rows."""
    products = np.zeros((len(rows), len(rows)))
    # The eigensolver reads only the lower triangle, so half of the products are enough.
    for some in row_blocks(len(rows), 1, max(8, len(rows) // 4)):
        products[some, : some.stop] = np.einsum("it,jt->ij", rows[some], rows[: some.stop])
    values, vectors = np.linalg.eigh(products)
    leading = vectors[:, -1]
    tied = values >= values[-1] * (1 - 4 * len(rows) * np.finfo(np.float64).eps)
    if tied[:-1].any():  # of a space of leading vectors, take the one nearest to the start
        image = vectors[:, tied].T @ np.einsum("ij,j->i", rows, start)
        leading = vectors[:, tied] @ image if image.any() else leading
    return _unit(np.einsum("ij,i->j", rows, leading))


def _dense(rows: MatrixBlocks, best: Float64Array) -> Float64Array:
    """Leading vector by a dense eigensolver, or the best so far if the matrix would be too large."""
    n_rows = sum(len(block) for block in _each(rows))
    if min(n_rows, len(best)) > _DENSE_SIZE:
        return best
    if n_rows <= len(best):
        return _from_products(_joined(list(_each(rows))), best)
    products = np.zeros((len(best), len(best)))
    for block in _each(rows):
        double = block.astype(np.float64, copy=False)
        products += double.T @ double
    return np.linalg.eigh(products)[1][:, -1]


def _lanczos(rows: MatrixBlocks, start: Float64Array) -> tuple[Float64Array, bool]:
    """One round: the best vector of a Krylov space, which grows until the residual is small."""
    n_rows = sum(len(block) for block in _each(rows))
    basis = np.empty((min(_steps_of(start), n_rows, len(start)) + 1, len(start)))
    diagonal, off_diagonal = np.empty(len(basis)), np.empty(len(basis))
    basis[0] = start
    for step in range(len(basis) - 1):
        new, diagonal[step], tolerance = _square_product(rows, basis[step])
        new -= diagonal[step] * basis[step]
        if step:
            new -= off_diagonal[step - 1] * basis[step - 1]
        known = basis[: step + 1]
        # Full reorthogonalization: without it rounding lets copies of found vectors come back.
        new -= np.einsum("ij,i->j", known, np.einsum("ij,j->i", known, new))
        off_diagonal[step] = np.sqrt((new * new).sum())
        exhausted = off_diagonal[step] <= tolerance * diagonal[: step + 1].max()
        last = exhausted or step == len(basis) - 2
        if last or step % 3 == 2:
            value, weight = _leading_pair(diagonal[: step + 1], off_diagonal[:step])
            converged = exhausted or off_diagonal[step] * abs(weight[-1]) <= tolerance * value
            if last or converged:
                break
        np.divide(new, off_diagonal[step], out=basis[step + 1])
    return _unit(np.einsum("ij,i->j", known, weight)), bool(converged)


def _steps_of(vector: Float64Array) -> int:
    """Number of steps of a round, from the memory that its basis needs."""
    return max(min(8, _LANCZOS_STEPS), min(_LANCZOS_STEPS, _BASIS_BYTES // vector.nbytes))


def _each(rows: MatrixBlocks) -> Iterable[FloatArray]:
    return rows if isinstance(rows, list) else rows()


def _joined(rows: list[FloatArray]) -> Float64Array:
    return (rows[0] if len(rows) == 1 else np.concatenate(rows)).astype(np.float64, copy=False)


def _product(rows: MatrixBlocks, vector: Float64Array) -> Float64Array:
    """Rows @ vector, in the precision of the rows."""
    parts = [np.einsum("ij,j->i", block, vector.astype(block.dtype, copy=False)) for block in _each(rows)]
    return np.concatenate(parts).astype(np.float64, copy=False)


def _square_product(rows: MatrixBlocks, vector: Float64Array) -> tuple[Float64Array, float, float]:
    """rows.T @ rows @ vector, |rows @ vector|^2, and the tolerance that suits the precision of the rows."""
    total, square_norm = np.zeros(len(vector)), 0.0
    for block in _each(rows):
        image = np.einsum("ij,j->i", block, vector.astype(block.dtype, copy=False))
        total += np.einsum("ij,i->j", block, image)
        square_norm += float((image * image).sum(dtype=np.float64))
        tolerance = _TOLERANCE[block.dtype]
    return total, square_norm, tolerance


def _perturbed_start(rows: MatrixBlocks, start: Float64Array) -> Float64Array:
    """The start after one power step, plus one percent of a fixed irregular vector.

    Without that share a start orthogonal to the leading vector would never reach it.
    """
    irregular = (np.arange(1, len(start) + 1) * np.sqrt(2.0)) % 1.0 - 0.5
    image = _unit(_product(rows, start)) + 0.01 * _unit(_product(rows, irregular))
    perturbed, done = np.zeros(len(start)), 0
    for block in _each(rows):
        part = image[done : done + len(block)]
        perturbed += np.einsum("ij,i->j", block, part.astype(block.dtype, copy=False))
        done += len(block)
    return perturbed


def _unit(vector: Float64Array) -> Float64Array:
    norm = np.sqrt((vector * vector).sum())
    return vector / norm if norm > 0.0 else vector


def _leading_pair(diagonal: Float64Array, off_diagonal: Float64Array) -> tuple[float, Float64Array]:
    """Largest eigenvalue of a small tridiagonal matrix, and its eigenvector."""
    last = len(diagonal) - 1
    if last <= 24:  # the special routine costs more than it saves on small matrices
        values, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(off_diagonal, -1))
        return float(values[-1]), vectors[:, -1]
    values, vectors = eigh_tridiagonal(
        diagonal, off_diagonal, select="i", select_range=(last, last), check_finite=False
    )
    return float(values[0]), np.asarray(vectors[:, 0], dtype=np.float64)
