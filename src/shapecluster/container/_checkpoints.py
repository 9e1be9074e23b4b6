"""How far a job has come, kept where the platform saves it, so that a restarted job goes on from there.

One file: plain arrays and JSON in an .npz, written at once or not at all, with a fingerprint of everything
that the result follows from. What does not fit, or cannot be read, is passed over with a warning.
"""

from __future__ import annotations

import hashlib
import json
import logging
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from shapecluster.container._files import write_with
from shapecluster.container._signals import raise_if_asked

logger = logging.getLogger("shapecluster.container")

NAME = "k-shape.npz"
_HEAD = "checkpoint"
_VERSIONS = ("shapecluster", "numpy", "scipy")  # each may change the last bits of a result

Arrays = dict[str, NDArray[Any]]


def fingerprint(parameters: Mapping[str, Any], arrays: Iterable[NDArray[Any] | None]) -> str:
    """What identifies a fit: its parameters, its arrays to the last bit, and the versions that compute it."""
    versions = {name: version(name) for name in _VERSIONS}
    digest = hashlib.sha256(json.dumps([versions, dict(parameters)], sort_keys=True).encode())
    for array in arrays:
        if array is None:
            digest.update(b"none;")
        else:
            digest.update(f"{array.dtype.str} {array.shape};".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Saved:
    """What a checkpoint holds.

    Attributes
    ----------
    seed : int
        Of the fit, where the job was given none.
    arrays : dict of str to ndarray
        Its snapshot.
    """

    seed: int
    arrays: Arrays


class Checkpoints:
    """Checkpoints of one job, after every so many steps and when it is asked to end.

    Parameters
    ----------
    folder : Path
        Where to keep them. Nothing is kept where it does not exist.
    mark : str
        The fingerprint of the fit.
    every : int
        Steps from one checkpoint to the next.
    """

    def __init__(self, folder: Path, mark: str, every: int) -> None:
        self.folder, self.mark, self.every = folder, mark, every
        self.seed = 0
        self._last: Arrays | None = None
        self._unsaved = 0

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / NAME

    def load(self) -> Saved | None:
        """The last checkpoint of this very fit, or None; why not is said in a warning."""
        if not self.path.is_file():
            return None
        try:
            head, arrays = _read(self.path)
            mark, seed = str(head["fingerprint"]), int(head["seed"])
        except Exception as error:  # whatever is wrong with the file, the job can start anew
            logger.warning("the checkpoint cannot be read (%s): training starts from the beginning", error)
            return None
        if mark != self.mark:
            logger.warning(
                "the checkpoint belongs to other data, parameters or versions: training starts from the "
                "beginning"
            )
            return None
        return Saved(seed, arrays)

    def after_step(self, arrays: Arrays) -> None:
        """Remember a snapshot, save it if it is time to, and end if that was asked for."""
        self._last = arrays
        self._unsaved += 1
        if self._unsaved >= self.every:
            self.save()
        raise_if_asked()

    def save(self) -> None:
        """Save the last snapshot, unless that is done, or there is none or nowhere to save it."""
        if self._last is None or not self._unsaved or not self.folder.is_dir():
            return
        head = {"fingerprint": self.mark, "seed": self.seed}
        arrays = {_HEAD: np.frombuffer(json.dumps(head).encode(), dtype=np.uint8), **self._last}
        write_with(self.path, partial(_write, arrays))
        self._unsaved = 0
        logger.info("checkpoint saved")


def _write(arrays: Arrays, file: BinaryIO) -> None:
    np.savez(file, **arrays)  # type: ignore[arg-type]  # its stub takes the names for options


def _read(path: Path) -> tuple[dict[str, Any], Arrays]:
    with zipfile.ZipFile(path) as archive:  # stored as they are, arrays take no more memory than the file
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise ValueError("it is compressed")
    with np.load(path, allow_pickle=False) as file:
        arrays: Arrays = {name: file[name] for name in file.files}
    head = json.loads(arrays.pop(_HEAD).tobytes())
    if not isinstance(head, dict):
        raise ValueError("it has no fingerprint")
    return head, arrays
