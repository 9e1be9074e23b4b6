"""Read a trained model from its files, and predict with it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from shapecluster._text import listing
from shapecluster._typing import Float64Array
from shapecluster.cluster._euclidean import nearest, squared_distances
from shapecluster.cluster._local import LocalKShape
from shapecluster.container import _kmeans, _kshape
from shapecluster.container._files import CENTROIDS_FILE, DESCRIPTION_FILE, NDARRAYS_FILE, parse_object
from shapecluster.exceptions import ArtifactError
from shapecluster.formats import Predictions, decode_centroids, decode_ndarrays, read_member

logger = logging.getLogger("shapecluster.container")

_MAX_BYTES = 1 << 29
# Bounds the rounding of mean and standard deviation in a center that was normalized in this type. Within it,
# decoding keeps the bits of the center, and serving answers as training did.
_ROUNDING = {"float32": 4e-6, "float64": 1e-12}


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A trained model.

    Attributes
    ----------
    algorithm : str
        "k-shape" or "k-means".
    n_features : int
        The number of values per row.
    predict : callable
        Returns the nearest cluster of each row and its distance: SBD, or Euclidean and not squared. It raises
        ValueError for invalid rows. Several threads may call it at once.
    """

    algorithm: str
    n_features: int
    predict: Callable[[Float64Array], Predictions]


def load_model(source: Path) -> ServedModel:
    """Load a model, for predictions in this process or for `application`.

    Parameters
    ----------
    source : Path
        A folder with the files of a model, a model.tar.gz, or a folder with one.

    Returns
    -------
    ServedModel
        The model, with `algorithm`, `n_features` and `predict(rows)`.

    Raises
    ------
    ArtifactError
        If there is no model of a known algorithm, or it is damaged.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from shapecluster.container import load_model
    >>> from shapecluster.formats import encode_ndarrays
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     centers = np.array([[0, 0], [3, 4]], dtype=np.float32)
    ...     _ = pathlib.Path(folder, "model_algo-1").write_bytes(encode_ndarrays([centers]))
    ...     model = load_model(pathlib.Path(folder))
    >>> model.predict(np.array([[3.0, 3.0]])).distance_to_cluster
    array([1.])
    """
    description = _read_description(source)
    if description.get("algorithm") == _kshape.ALGORITHM:
        return _k_shape_model(_read_file(source, CENTROIDS_FILE), description)
    # The built-in algorithm may end the name of its file in another number.
    return _k_means_model(_read_file(source, f"{NDARRAYS_FILE.rpartition('-')[0]}-*"))


def _k_shape_model(text: bytes, description: dict[str, Any]) -> ServedModel:
    try:
        parameters = description["parameters"]
        k, m, d = parameters["n_clusters"], description["n_timepoints"], description["n_channels"]
        dtype, tolerance = description["dtype"], _ROUNDING[description["dtype"]]
        if not all(type(size) is int and 0 < size < 2**31 for size in (k, m, 1 if d is None else d)):
            raise ValueError("its sizes must be positive integers")
        estimator = LocalKShape(k, max_shift=parameters["max_shift"], missing=parameters["missing"])
        estimator._validate_params()
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{DESCRIPTION_FILE} does not describe a k-Shape model ({error!r}): serve models "
            "that this program trained."
        ) from None
    centers, report = decode_centroids(text, k, m, n_channels=d, tolerance=tolerance)
    if not report.complete:
        raise ArtifactError(f"The model's centroids are incomplete: {report} Train it again.")
    estimator.cluster_centers_ = centers.astype(dtype)
    estimator.n_features_in_ = m

    def predict(rows: Float64Array) -> Predictions:
        found = estimator._assigned(rows.reshape(len(rows), *estimator.cluster_centers_.shape[1:]))
        return Predictions(found.labels, found.sbd)

    return ServedModel(_kshape.ALGORITHM, m * (d or 1), predict)


def _k_means_model(data: bytes) -> ServedModel:
    centers = next(iter(decode_ndarrays(data).arrays), np.empty(0))
    if centers.ndim != 2 or not centers.size or centers.dtype.kind != "f" or not np.isfinite(centers).all():
        raise ArtifactError(
            f"Array 0 of {NDARRAYS_FILE} must be the matrix of centers, with finite numbers. "
            f"Got shape {centers.shape} of {centers.dtype} instead: train the model again."
        )

    def predict(rows: Float64Array) -> Predictions:
        invalid = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if len(invalid):
            raise ValueError(f"Row {invalid[0]} holds NaN or infinity: K-Means accepts finite numbers only.")
        labels = nearest(rows, centers)
        return Predictions(labels, np.sqrt(squared_distances(rows, centers, labels)))

    return ServedModel(_kmeans.ALGORITHM, int(centers.shape[1]), predict)


def _read_description(source: Path) -> dict[str, Any]:
    """Read the description of the model; it is empty for the built-in K-Means.

    A model of another version gives a warning.
    """
    try:
        data = _read_file(source, DESCRIPTION_FILE)
    except ArtifactError:  # absent; if the whole archive is damaged, the next read raises again
        logger.info("%s has no %s", source, DESCRIPTION_FILE)
        return {}
    description = parse_object(data, DESCRIPTION_FILE)
    trained, installed = description.get("library"), version("shapecluster")
    if trained != installed:
        logger.warning("the model was trained by shapecluster %s, and this is %s", trained, installed)
    return description


def _read_file(source: Path, pattern: str) -> bytes:
    """Return the content of the first file of a model whose name matches a pattern."""
    archive = source / "model.tar.gz" if source.is_dir() else source
    # Unpacked files win over an archive next to them: SageMaker unpacks the archive before it starts serving.
    if archive.is_file() and not (source / DESCRIPTION_FILE).is_file():
        return read_member(archive, pattern, max_bytes=_MAX_BYTES).data
    files = sorted(path for path in source.iterdir() if path.is_file()) if source.is_dir() else []
    for path in files:
        if fnmatchcase(path.name, pattern):
            if path.stat().st_size > _MAX_BYTES:
                raise ArtifactError(f"{path.name} must have at most {_MAX_BYTES:,} bytes, and has more.")
            return path.read_bytes()
    found = listing(repr(path.name) for path in files) or "nothing"
    raise ArtifactError(
        f"The model must hold a file {pattern!r}. Got {found} in {source} instead: check that it comes from "
        "this program."
    )
