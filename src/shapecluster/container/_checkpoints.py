"""Checkpoints: the state of a fit in a folder that the platform preserves, so that a restarted job resumes.

A checkpoint is one .npz file of plain arrays and JSON, written atomically, with a fingerprint of everything
that determines the result. A checkpoint of another fit or a damaged one is ignored with a warning.
"""

from __future__ import annotations

import hashlib
import json
import logging
import zipfile
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shapecluster._files import atomic_write
from shapecluster.container._signals import raise_if_terminated

logger = logging.getLogger("shapecluster.container")

FILE_NAME = "k-shape.npz"
_HEADER_KEY = "checkpoint"
_VERSIONED = ("shapecluster", "numpy", "scipy")  # another release may change the last bits of a result

SnapshotArrays: TypeAlias = dict[str, NDArray[Any]]


def fit_fingerprint(parameters: Mapping[str, Any], arrays: Iterable[NDArray[Any] | None]) -> str:
    """Hash the parameters of a fit, its arrays bit for bit, and the versions of the libraries."""
    versions = {name: version(name) for name in _VERSIONED}
    digest = hashlib.sha256(json.dumps([versions, dict(parameters)], sort_keys=True).encode())
    for array in arrays:
        if array is None:
            digest.update(b"none;")
        else:
            # Type and shape too: the same bytes as another matrix are other data.
            digest.update(f"{array.dtype.str} {array.shape};".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


class CheckpointStore:
    """Save and load the checkpoint of one job.

    Parameters
    ----------
    folder : Path
        The folder of the checkpoint. Nothing is saved if it does not exist.
    fingerprint : str
        The fingerprint of the fit.
    interval : int
        The number of steps from one checkpoint to the next.

    Attributes
    ----------
    seed : int
        The seed to save; the job sets it before the fit.
    """

    def __init__(self, folder: Path, fingerprint: str, interval: int) -> None:
        self.folder, self.fingerprint, self.interval = folder, fingerprint, interval
        self.seed = 0
        self._latest: SnapshotArrays | None = None
        self._n_unsaved = 0  # steps since the last checkpoint

    @property
    def path(self) -> Path:
        """The file of the checkpoint."""
        return self.folder / FILE_NAME

    def load(self) -> tuple[int, SnapshotArrays] | None:
        """Return seed and snapshot of this fit, or None, with a warning if the file cannot be used."""
        if not self.path.is_file():
            return None
        try:
            header, arrays = _read_checkpoint(self.path)
            fingerprint, seed = str(header["fingerprint"]), int(header["seed"])
        except Exception as error:  # after any fault of the file, the job can start from the beginning
            logger.warning("the checkpoint cannot be read (%s): training starts from the beginning", error)
            return None
        if fingerprint != self.fingerprint:
            logger.warning(
                "the checkpoint belongs to other data, parameters or versions: training starts from the "
                "beginning"
            )
            return None
        return seed, arrays

    def after_step(self, arrays: SnapshotArrays) -> None:
        """Keep a snapshot, save it if the interval is over, and raise `Terminated` after a SIGTERM."""
        self._latest = arrays
        self._n_unsaved += 1
        if self._n_unsaved >= self.interval:
            self.save()
        raise_if_terminated()

    def save(self) -> None:
        """Save the latest snapshot, unless it is saved already or there is no folder."""
        if self._latest is None or not self._n_unsaved or not self.folder.is_dir():
            return
        header = json.dumps({"fingerprint": self.fingerprint, "seed": self.seed})
        # The JSON travels as bytes, because text arrays and objects are never loaded.
        arrays = {_HEADER_KEY: np.frombuffer(header.encode(), dtype=np.uint8), **self._latest}
        with atomic_write(self.path) as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]  # the stub mistakes the names for options
        self._n_unsaved = 0
        logger.info("checkpoint saved")


def _read_checkpoint(path: Path) -> tuple[dict[str, Any], SnapshotArrays]:
    with zipfile.ZipFile(path) as archive:
        # Uncompressed arrays take no more memory than the file; compressed ones could take any amount.
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise ValueError("it is compressed")
    with np.load(path, allow_pickle=False) as file:
        arrays: SnapshotArrays = {name: file[name] for name in file.files}
    header = json.loads(arrays.pop(_HEADER_KEY).tobytes())
    if not isinstance(header, dict):
        raise ValueError("it has no fingerprint")
    return header, arrays
