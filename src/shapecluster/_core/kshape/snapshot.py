"""The progress of a fit as plain arrays, from which another process can go on.

Bounds are left out. They are computed again as the fit goes on. That changes how many pairs are transformed
and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapecluster._core.kshape.assignment import Assigned
from shapecluster._core.kshape.run import ClusterRun, FitProgress, Iterate, RunState
from shapecluster._core.sbd.correlation import Assignment
from shapecluster._core.sbd.shapes import Shapes, shapes_of

_DIGEST_BYTES = 32
# The keys are those of checkpoints that older versions wrote.
_KEYS = {"centers": "centres", "labels": "labels", "shifts": "shifts", "sbd": "sbd", "inertia": "inertia"}
_REASONS = (None, "unchanged", "cycle", "no gain", "max_iter")


def to_arrays(progress: FitProgress) -> dict[str, NDArray[Any]]:
    """Convert progress to arrays for `from_arrays`; they share memory with it.

    Parameters
    ----------
    progress : FitProgress
        With the state of a run.
    """
    state, found = progress.state, progress.best
    if state is None:
        raise ValueError("There is a snapshot only after a step.")
    arrays: dict[str, NDArray[Any]] = {"n_done": np.array(progress.n_done)}
    for name in ("n_iter", "n_correlations", "anchor", "stalled"):
        arrays[name] = np.array(getattr(state, name))
    arrays["stopped"] = np.array(_REASONS.index(state.stopped))
    arrays["seen"] = np.frombuffer(b"".join(sorted(state.seen)), dtype=np.uint8).reshape(-1, _DIGEST_BYTES)
    iterates = {"current": state.current, "best": state.best, "previous": state.previous}
    if found is not None:
        iterates["found"] = found.best
        arrays["found.n_iter"] = np.array(found.n_iter)
        arrays["found.n_correlations"] = np.array(found.n_correlations)
        arrays["found.stopped"] = np.array(_REASONS.index(found.stopped))
    for owner, iterate in iterates.items():
        if iterate is not None:
            for name, key in _KEYS.items():
                arrays[f"{owner}.{key}"] = np.asarray(getattr(iterate, name))
    return arrays


def from_arrays(arrays: Mapping[str, NDArray[Any]], x: Shapes, n_clusters: int) -> FitProgress:
    """Convert arrays of `to_arrays` back to the progress of a fit.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        From `to_arrays`.
    x : Shapes
        The series of the fit.
    n_clusters : int
        Number of clusters of the fit.

    Raises
    ------
    ValueError
        If the arrays are not a snapshot of such a fit.
    """
    read = _SnapshotReader(arrays, x, n_clusters)
    current = read.iterate("current")
    nearest = Assignment(current.labels, current.shifts, 1.0 - current.sbd)
    unknown = np.zeros(len(x), dtype=np.float32)
    seen = read.array("seen", np.uint8, (None, _DIGEST_BYTES))
    state = RunState(
        current=current,
        best=read.iterate("best"),
        previous=read.iterate("previous") if "previous.labels" in arrays else None,
        n_iter=read.count("n_iter"),
        n_correlations=read.count("n_correlations"),
        anchor=float(read.array("anchor", np.float64, ())),
        stalled=read.count("stalled"),
        seen=frozenset(row.tobytes() for row in seen),
        stopped=read.reason("stopped"),
        assigned=Assigned(shapes_of(current.centers, x.window), nearest, unknown, None, 0),
    )
    n_done = read.count("n_done")
    if (n_done > 0) != ("found.labels" in arrays):
        raise ValueError(f"{n_done} runs are over, which does not fit the results that there are.")
    found = None
    if n_done:
        stopped = read.reason("found.stopped")
        if stopped is None:
            raise ValueError("A run that is over must have stopped.")
        counts = (read.count("found.n_iter"), read.count("found.n_correlations"))
        found = ClusterRun(read.iterate("found"), *counts, stopped)
    return FitProgress(n_done, found, state)


class _SnapshotReader:
    """Reads arrays by name, and checks their types and shapes."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], x: Shapes, n_clusters: int) -> None:
        self.arrays, self.x, self.n_clusters = arrays, x, n_clusters

    def array(self, name: str, dtype: Any, shape: tuple[int | None, ...]) -> NDArray[Any]:
        """The array of that name; None in `shape` allows any length."""
        if name not in self.arrays:
            raise ValueError(f"{name} is missing.")
        array = self.arrays[name]
        fits = len(shape) == array.ndim and all(n in (None, array.shape[i]) for i, n in enumerate(shape))
        if not fits or array.dtype != dtype:
            raise ValueError(f"{name} must have shape {shape}. Got {array.shape} of {array.dtype} instead.")
        return array

    def count(self, name: str) -> int:
        number = int(self.array(name, np.intp, ()))
        if number < 0:
            raise ValueError(f"{name} must not be negative. Got {number} instead.")
        return number

    def reason(self, name: str) -> str | None:
        """Why a run stopped; None if it has not."""
        code = self.count(name)
        if code >= len(_REASONS):
            raise ValueError(f"{name} must be at most {len(_REASONS) - 1}. Got {code} instead.")
        return _REASONS[code]

    def iterate(self, owner: str) -> Iterate:
        n_series = (len(self.x),)
        centers_shape = (self.n_clusters, self.x.n_channels, self.x.n_timepoints)
        labels = self.array(f"{owner}.labels", np.intp, n_series)
        shifts = self.array(f"{owner}.shifts", np.intp, n_series)
        if labels.min() < 0 or labels.max() >= self.n_clusters or np.abs(shifts).max() > self.x.window:
            raise ValueError(f"{owner}: labels and shifts are out of range.")
        centers = self.array(f"{owner}.centres", self.x.dtype, centers_shape)
        sbd = self.array(f"{owner}.sbd", np.float64, n_series)
        inertia = float(self.array(f"{owner}.inertia", np.float64, ()))
        if not (np.isfinite(centers).all() and np.isfinite(sbd).all() and np.isfinite(inertia)):
            raise ValueError(f"{owner}: all numbers must be finite.")
        return Iterate(centers, labels, shifts, sbd, inertia)
