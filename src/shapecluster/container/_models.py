"""What serving knows of a model: how wide a row is, and which cluster is nearest to it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from shapecluster._typing import Float64Array, FloatArray
from shapecluster.cluster._euclidean import nearest, squared_distances
from shapecluster.cluster._local import LocalKShape
from shapecluster.container import _kmeans, _kshape
from shapecluster.container._artifacts import CENTROIDS, DESCRIPTION, MODEL
from shapecluster.exceptions import ArtifactError
from shapecluster.formats import Predictions, decode_centroids, decode_ndarrays, read_member

logger = logging.getLogger("shapecluster.container")

_MOST_BYTES = 1 << 29
_FLOAT32_ROUNDING = 4e-6  # of mean and standard deviation in a center that was normalized in float32

_ModelReader = Callable[[str], bytes]


class ServedModel(Protocol):
    """A model that is ready to answer; several threads may ask it at once."""

    @property
    def algorithm(self) -> str:
        """Its name: "k-shape" or "k-means"."""

    @property
    def n_features(self) -> int:
        """How many values a row must have."""

    def predict(self, rows: Float64Array) -> Predictions:
        """The nearest cluster of each row, and how far it is; ValueError for rows that have none."""


@dataclass(frozen=True, eq=False)
class KShapeModel:
    """Centers of k-Shape; the distance is SBD."""

    estimator: LocalKShape
    n_features: int
    algorithm: str = _kshape.ALGORITHM

    def predict(self, rows: Float64Array) -> Predictions:
        """The nearest center of each row under SBD."""
        centers = self.estimator.cluster_centers_
        nearest = self.estimator._assigned(rows.reshape(len(rows), *centers.shape[1:]))
        return Predictions(nearest.labels, 1.0 - nearest.ncc)


@dataclass(frozen=True, eq=False)
class KMeansModel:
    """Centers of K-Means; the distance is Euclidean, and not squared."""

    centers: FloatArray
    algorithm: str = _kmeans.ALGORITHM

    @property
    def n_features(self) -> int:
        """How many values a row must have."""
        return int(self.centers.shape[1])

    def predict(self, rows: Float64Array) -> Predictions:
        """The nearest center of each row."""
        bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if len(bad):
            raise ValueError(f"Row {bad[0]} holds NaN or infinity: K-Means takes finite numbers only.")
        labels = nearest(rows, self.centers)
        return Predictions(labels, np.sqrt(squared_distances(rows, self.centers, labels)))


def load_model(source: Path) -> ServedModel:
    """Read a model once: from a folder of its files, from model.tar.gz, or from a folder with that in it.

    Raises
    ------
    ArtifactError
        If there is no model that this program knows, or it is damaged.
    """
    archive = source / "model.tar.gz" if source.is_dir() else source
    inside = archive.is_file() and not (source / DESCRIPTION).is_file()
    read = _in_archive(archive) if inside else _in_folder(source)
    description = _description(source, read)
    if description.get("algorithm") == _kshape.ALGORITHM:
        return _k_shape(read(CENTROIDS), description)
    return _k_means(read(f"{MODEL.rpartition('-')[0]}-*"))


def _k_shape(text: bytes, description: dict[str, Any]) -> KShapeModel:
    try:
        parameters = description["parameters"]
        k, m, d = parameters["n_clusters"], description["n_timepoints"], description["n_channels"]
        dtype = {"float32": np.float32, "float64": np.float64}[description["dtype"]]
        if not all(type(size) is int and 0 < size < 2**31 for size in (k, m, 1 if d is None else d)):
            raise ValueError("its sizes are none")
        estimator = LocalKShape(k, max_shift=parameters["max_shift"], missing=parameters["missing"])
        estimator._validate_params()
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{DESCRIPTION} does not describe a k-Shape model ({error!r}): serve models that this program "
            "trained."
        ) from None
    tolerance = _FLOAT32_ROUNDING if dtype is np.float32 else 1e-12
    centers, report = decode_centroids(text, k, m, n_channels=d, tolerance=tolerance)
    if not report.complete:
        raise ArtifactError(f"The model's centroids are not complete: {report} Train it again.")
    estimator.cluster_centers_ = centers.astype(dtype)
    estimator.n_features_in_ = m
    return KShapeModel(estimator, m * (d or 1))


def _k_means(data: bytes) -> KMeansModel:
    arrays = decode_ndarrays(data).arrays
    if not arrays or arrays[0].ndim != 2 or not arrays[0].size or arrays[0].dtype.kind != "f":
        raise ArtifactError(f"Array 0 of {MODEL} must be the matrix of centers. Train the model again.")
    centers = arrays[0]
    if not np.isfinite(centers).all():
        raise ArtifactError(f"The centers in {MODEL} must be finite. Train the model again.")
    return KMeansModel(centers)


def _description(source: Path, read: _ModelReader) -> dict[str, Any]:
    """What the model says of itself, which the built-in K-Means does not do.

    A model of another version is served, with a warning.
    """
    try:
        data = read(DESCRIPTION)
    except ArtifactError:  # nothing, or damaged as a whole, which the next file to be read tells
        logger.info("%s has no %s", source, DESCRIPTION)
        return {}
    try:
        described = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{DESCRIPTION} cannot be read: {error}. Train the model again.") from None
    if not isinstance(described, dict):
        raise ArtifactError(f"{DESCRIPTION} must be a JSON object. Train the model again.")
    ours = version("shapecluster")
    if described.get("library") != ours:
        logger.warning("the model is of shapecluster %s, and this is %s", described.get("library"), ours)
    return described


def _in_folder(folder: Path) -> _ModelReader:
    def read(pattern: str) -> bytes:
        names = sorted(path.name for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
        for name in names:
            if fnmatchcase(name, pattern):
                with (folder / name).open("rb") as file:
                    data = file.read(_MOST_BYTES + 1)
                if len(data) > _MOST_BYTES:
                    raise ArtifactError(f"{name} must have at most {_MOST_BYTES:,} bytes, and has more.")
                return data
        raise ArtifactError(
            f"The model must hold a file {pattern!r}. Got {', '.join(map(repr, names)) or 'nothing'} in "
            f"{folder} instead: check that it comes from this program."
        )

    return read


def _in_archive(path: Path) -> _ModelReader:
    def read(pattern: str) -> bytes:
        return read_member(path, pattern, max_bytes=_MOST_BYTES).data

    return read
