"""The text file `centroids` of a K-Shape model: one z-normalized centroid per line, separated by commas."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from shapecluster._text import listing
from shapecluster._typing import ArrayLike, Float64Array
from shapecluster.exceptions import ArtifactError
from shapecluster.formats._parsers import parse_numbers
from shapecluster.formats._streams import BytesLike, bounded_view

__all__ = ["CentroidReport", "decode_centroids", "encode_centroids"]

MAX_BYTES = 1 << 28
_FLOAT64_TOLERANCE = 1e-12  # bounds the rounding of mean and standard deviation in float64
_MAX_LISTED = 10


@dataclass(frozen=True)
class CentroidReport:
    """Which centroids of a file can be used, and why the others cannot.

    Clusters are numbered from 0, in the order of the file's lines.

    Attributes
    ----------
    n_expected : int
        The expected number of centroids.
    kept : tuple of int
        Clusters whose centroids can be used. Row i of the centroids belongs to cluster `kept[i]`.
    renormalized : dict of int to float
        Clusters whose centroid was normalized again, and its largest deviation before: of the mean from 0 or
        of the standard deviation from 1.
    missing : tuple of int
        Clusters without a line, or with an empty one.
    not_finite : tuple of int
        Clusters whose line holds NaN or infinity.
    flat : tuple of int
        Clusters whose centroid is constant and therefore has no shape.
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
                parts.append(f"{_list_clusters(clusters)} {one if len(clusters) == 1 else several}.")
        if self.renormalized:
            largest = max(self.renormalized.values())
            parts.append(
                f"{_list_clusters(tuple(self.renormalized))} "
                f"{'was' if len(self.renormalized) == 1 else 'were'} normalized again: mean or standard "
                f"deviation was off by up to {largest:.2g}."
            )
        return " ".join(parts)


def encode_centroids(centroids: ArrayLike) -> bytes:
    r"""Encode centroids as text with 17 significant digits, so that decoding returns the same bits.

    Parameters
    ----------
    centroids : array-like of shape (n_clusters, n_timepoints) or (n_clusters, n_timepoints, n_channels)
        Finite centroids. The channels of a timepoint are written next to each other.

    Returns
    -------
    bytes
        One line per centroid.

    Raises
    ------
    ValueError
        If there is no centroid, or a value is not finite.

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
    data: BytesLike,
    n_clusters: int,
    n_timepoints: int,
    *,
    n_channels: int | None = None,
    tolerance: float = _FLOAT64_TOLERANCE,
    max_bytes: int = MAX_BYTES,
) -> tuple[Float64Array, CentroidReport]:
    r"""Decode centroids, also incomplete or imprecise ones that another program wrote.

    A centroid with zero mean and unit standard deviation (up to `tolerance`) keeps its bits; any other is
    normalized again. A missing, flat or not finite centroid is left out and reported.

    Parameters
    ----------
    data : bytes
        The content of the file.
    n_clusters, n_timepoints : int
        The expected numbers of centroids and of timepoints.
    n_channels : int, default=None
        The number of channels, for centroids with channels.
    tolerance : float, default=1e-12
        The maximum deviation of mean and standard deviation in a normalized centroid. Use 4e-6 for
        centroids that were computed in float32.
    max_bytes : int, default=256 MiB
        The maximum size of the file.

    Returns
    -------
    centroids : ndarray of shape (n_kept, n_timepoints) or (n_kept, n_timepoints, n_channels)
        The centroids that can be used, in the order of their lines. `report.kept` lists their clusters.
    report : CentroidReport
        Which centroids can be used; `str(report)` is a readable summary.

    Raises
    ------
    ArtifactError
        If a line has another number of values, or a value that is not a number. Also if there are more lines
        than clusters, or if no centroid can be used.

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
    # Lines are counted before they are split: a file of line ends must not become a list of millions.
    text = bytes(bounded_view(data, max_bytes, "A file of centroids")).rstrip()
    n_lines = text.count(b"\n") + 1
    if n_lines > n_clusters:
        raise _centroids_error(f"it has {n_lines:,} lines for {n_clusters:,} clusters")
    kept: dict[int, Float64Array] = {}
    renormalized: dict[int, float] = {}
    left_out: dict[str, list[int]] = {"missing": [], "not_finite": [], "flat": []}
    # Clusters after the end of the file have empty lines.
    for cluster, line in enumerate(text.split(b"\n") + [b""] * (n_clusters - n_lines)):
        if not line.strip():
            left_out["missing"].append(cluster)
            continue
        try:
            values = parse_numbers(line, cluster + 1, width)
        except ValueError as error:
            raise _centroids_error(str(error)) from None
        if not np.isfinite(values).all():
            left_out["not_finite"].append(cluster)
            continue
        centroid, deviation = _normalize(values.reshape(n_timepoints, -1), tolerance)
        if centroid is None:
            left_out["flat"].append(cluster)
            continue
        kept[cluster] = centroid
        if deviation > tolerance:
            renormalized[cluster] = deviation
    faults = {name: tuple(clusters) for name, clusters in left_out.items()}
    report = CentroidReport(n_clusters, tuple(kept), renormalized, **faults)
    if not kept:
        raise _centroids_error(str(report)[:-1])
    centroids = np.stack(list(kept.values()))
    return (centroids if n_channels is not None else centroids[:, :, 0]), report


def _normalize(values: Float64Array, tolerance: float) -> tuple[Float64Array | None, float]:
    """Return the z-normalized channels (None if all are constant), and their largest deviation before."""
    # Scaling by a power of two is exact, and afterward squares cannot overflow.
    scaled = np.ldexp(values, -np.frexp(np.abs(values).max(axis=0))[1])
    scaled -= scaled.mean(axis=0)
    scaled -= scaled.mean(axis=0)  # once more, for the rounding of the first mean
    std = np.sqrt((scaled * scaled).mean(axis=0))
    varies = std > 8 * np.finfo(np.float64).eps
    if not varies.any():
        return None, 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        deviations = np.maximum(np.abs(values.mean(axis=0)), np.abs(values.std(axis=0) - 1.0))
    # A constant channel among others counts as normalized if it is zero.
    deviations = np.where(varies, np.nan_to_num(deviations, nan=np.inf), np.abs(values).max(axis=0))
    deviation = float(deviations.max())
    if deviation <= tolerance:
        return values, deviation
    return np.where(varies, scaled / np.where(varies, std, 1.0), 0.0), deviation


def _list_clusters(clusters: tuple[int, ...]) -> str:
    return f"Cluster{'s' if len(clusters) > 1 else ''} {listing(clusters, limit=_MAX_LISTED)}"


def _centroids_error(problem: str) -> ArtifactError:
    return ArtifactError(
        f"The file of centroids cannot be used: {problem}. "
        "Look at the log of the training job, and check the number of rows and columns of its data."
    )
