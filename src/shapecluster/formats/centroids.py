"""The text file `centroids` of a K-Shape model: one z-normalized centroid a line, with commas."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from shapecluster._typing import ArrayLike, Float64Array
from shapecluster.exceptions import ArtifactError
from shapecluster.formats._streams import Bytes, check_size

__all__ = ["CentroidReport", "decode_centroids", "encode_centroids"]

MAX_BYTES = 1 << 28
_ROUNDING = 1e-12  # of mean and standard deviation, in a centroid that was normalized in float64
_SHOWN = 10  # clusters that a text names one by one


@dataclass(frozen=True)
class CentroidReport:
    """What a file of centroids was like. Clusters are counted from 0, in the order of the file's lines.

    Attributes
    ----------
    n_expected : int
        How many centroids there should have been.
    kept : tuple of int
        Clusters whose centroids can be used: row i of what was read is the centroid of cluster `kept[i]`.
    renormalized : dict of int to float
        Clusters whose centroid did not have zero mean and unit standard deviation, and now has: how far the
        mean was from 0 or the standard deviation from 1, whichever was farther.
    missing : tuple of int
        Clusters that have no line, or an empty one.
    not_finite : tuple of int
        Clusters whose line holds NaN or infinity.
    flat : tuple of int
        Clusters whose centroid never moves, so that it has no shape.
    """

    n_expected: int
    kept: tuple[int, ...]
    renormalized: dict[int, float] = field(default_factory=dict)
    missing: tuple[int, ...] = ()
    not_finite: tuple[int, ...] = ()
    flat: tuple[int, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every centroid can be used."""
        return len(self.kept) == self.n_expected

    def __str__(self) -> str:
        parts = [f"{len(self.kept)} of {self.n_expected} centroids can be used."]
        for clusters, one, several in (
            (self.missing, "is missing", "are missing"),
            (self.not_finite, "holds NaN or infinity", "hold NaN or infinity"),
            (self.flat, "never moves, so it has no shape", "never move, so they have no shape"),
        ):
            if clusters:
                parts.append(f"{_named(clusters)} {one if len(clusters) == 1 else several}.")
        if self.renormalized:
            farthest = max(self.renormalized.values())
            parts.append(
                f"{_named(tuple(self.renormalized))} "
                f"{'was' if len(self.renormalized) == 1 else 'were'} normalized again: mean or standard "
                f"deviation was off by up to {farthest:.2g}."
            )
        return " ".join(parts)


def encode_centroids(centroids: ArrayLike) -> bytes:
    r"""The text of centroids, with 17 significant digits: reading it gives the same bits.

    Parameters
    ----------
    centroids : array-like of shape (n_clusters, n_timepoints) or (n_clusters, n_timepoints, n_channels)
        Finite. Channels of a timepoint stand next to each other.

    Returns
    -------
    bytes
        One line a centroid.

    Raises
    ------
    ValueError
        If there is nothing to write, or a value is not finite.

    Examples
    --------
    >>> from shapecluster.formats import encode_centroids
    >>> encode_centroids([[-1.0, 1.0], [1.0, -1.0]])
    b'-1,1\n1,-1\n'
    """
    values = np.asarray(centroids, dtype=np.float64)
    if values.ndim not in (2, 3) or not values.size:
        raise ValueError(
            f"centroids must be a matrix with at least one row. Got shape {values.shape} instead."
        )
    finite = np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
    if not finite.all():
        raise ValueError(
            f"centroids must be finite. Got NaN or infinity in row {int(np.argmin(finite))} instead."
        )
    lines = (",".join([f"{x:.17g}" for x in row.tolist()]) for row in values.reshape(len(values), -1))
    return "".join(f"{line}\n" for line in lines).encode("ascii")


def decode_centroids(
    data: Bytes,
    n_clusters: int,
    n_timepoints: int,
    *,
    n_channels: int | None = None,
    tolerance: float = _ROUNDING,
    max_bytes: int = MAX_BYTES,
) -> tuple[Float64Array, CentroidReport]:
    r"""Read centroids, also those that another program wrote with few digits, or could not compute.

    A centroid with zero mean and unit standard deviation (up to `tolerance`) is taken bit for bit; any
    other is normalized again. One that is missing, not finite or flat is left out, and reported.

    Parameters
    ----------
    data : bytes
        The content of the file.
    n_clusters, n_timepoints : int
        What is expected.
    n_channels : int, default=None
        For centroids with channels: how many.
    tolerance : float, default=1e-12
        How far mean and standard deviation may be off in a centroid that counts as normalized. For
        centroids that were computed in float32, 4e-6 keeps their bits.
    max_bytes : int, default=256 MiB
        The most that the file may have.

    Returns
    -------
    centroids : ndarray of shape (n_kept, n_timepoints) or (n_kept, n_timepoints, n_channels)
        Those that can be used, in the order of their lines; `report.kept` has their clusters.
    report : CentroidReport
        What was found; `str(report)` says it in words.

    Raises
    ------
    ArtifactError
        If a line has another number of values or something that is no number, if there are more lines than
        clusters, or if no centroid can be used.

    Examples
    --------
    >>> from shapecluster.formats import decode_centroids
    >>> centroids, report = decode_centroids(b"-1.01,1\nnan,nan\n", n_clusters=3, n_timepoints=2)
    >>> centroids
    array([[-1.,  1.]])
    >>> print(report)
    1 of 3 centroids can be used. Cluster 2 is missing. Cluster 1 holds NaN or infinity. Cluster 0 was
    normalized again: mean or standard deviation was off by up to 0.005.
    """
    width = n_timepoints * (n_channels or 1)
    lines = _lines(data, n_clusters, max_bytes)
    kept: dict[int, Float64Array] = {}
    renormalized: dict[int, float] = {}
    left_out: dict[str, list[int]] = {"missing": [], "not_finite": [], "flat": []}
    for cluster in range(n_clusters):
        line = lines[cluster] if cluster < len(lines) else b""
        if not line.strip():
            left_out["missing"].append(cluster)
            continue
        values = _numbers(line, cluster, width)
        if not np.isfinite(values).all():
            left_out["not_finite"].append(cluster)
            continue
        shape, off = _normalized(values.reshape(n_timepoints, -1), tolerance)
        if shape is None:
            left_out["flat"].append(cluster)
            continue
        kept[cluster] = shape
        if off > tolerance:
            renormalized[cluster] = off
    report = CentroidReport(
        n_clusters, tuple(kept), renormalized, **{name: tuple(which) for name, which in left_out.items()}
    )
    if not kept:
        raise _unusable(str(report)[:-1])
    centroids = np.stack(list(kept.values()))
    return (centroids if n_channels is not None else centroids[:, :, 0]), report


def _lines(data: Bytes, n_clusters: int, max_bytes: int) -> list[bytes]:
    """The lines of the file; empty ones at its end do not count."""
    text = bytes(check_size(data, max_bytes, "A file of centroids")).rstrip()
    n_lines = text.count(b"\n") + 1
    if n_lines > n_clusters:
        raise _unusable(f"it has {n_lines:,} lines for {n_clusters:,} clusters")
    return text.split(b"\n")


def _numbers(line: bytes, cluster: int, width: int) -> Float64Array:
    found = line.count(b",") + 1
    if found != width:
        raise _unusable(f"line {cluster + 1} has {found:,} values where {width:,} were expected")
    numbers = np.empty(width)
    for place, token in enumerate(line.split(b",")):
        try:
            if b"_" in token:  # Python's own spelling of numbers
                raise ValueError
            numbers[place] = float(token)
        except ValueError:
            raise _unusable(
                f"value {place + 1} of line {cluster + 1} must be a number. "
                f"Got {token[:40].decode('ascii', 'replace')!r} instead"
            ) from None
    return numbers


def _normalized(values: Float64Array, tolerance: float) -> tuple[Float64Array | None, float]:
    """The z-normalized channels (None if none moves), and how far they were from that."""
    scaled = np.ldexp(values, -np.frexp(np.abs(values).max(axis=0))[1])  # no overflow, and exact
    scaled -= scaled.mean(axis=0)
    scaled -= scaled.mean(axis=0)  # the rounding of the first pass
    std = np.sqrt((scaled * scaled).mean(axis=0))
    moves = std > 8 * np.finfo(np.float64).eps
    if not moves.any():
        return None, 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        off = np.maximum(np.abs(values.mean(axis=0)), np.abs(values.std(axis=0) - 1.0))
    # A flat channel beside others that move is as normalized as it can be, if it is zero.
    worst = float(np.where(moves, np.nan_to_num(off, nan=np.inf), np.abs(values).max(axis=0)).max())
    if worst <= tolerance:
        return values, worst
    return np.where(moves, scaled / np.where(moves, std, 1.0), 0.0), worst


def _named(clusters: tuple[int, ...]) -> str:
    some = ", ".join(str(cluster) for cluster in clusters[:_SHOWN])
    rest = len(clusters) - _SHOWN
    return f"Cluster{'s' if len(clusters) > 1 else ''} {some}{f' and {rest} more' if rest > 0 else ''}"


def _unusable(problem: str) -> ArtifactError:
    return ArtifactError(
        f"The file of centroids cannot be used: {problem}. "
        "Look at the log of the training job, and check the number of rows and columns of its data."
    )
