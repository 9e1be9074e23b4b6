"""Train k-Shape: fit `LocalKShape` to the channels of a job, with checkpoints."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from shapecluster._typing import FloatArray
from shapecluster.cluster._local import FIT_PARAMETERS, LocalKShape
from shapecluster.container._checkpoints import CheckpointStore, fit_fingerprint
from shapecluster.container._files import CENTROIDS_FILE, CHECKPOINTS, write_results
from shapecluster.container._input import ChannelData, JobInput, read_channel
from shapecluster.container._signals import Terminated
from shapecluster.formats import decode_hyperparameters, encode_centroids
from shapecluster.formats.hyperparameters import HyperparameterType, either, integer, number, one_of

logger = logging.getLogger("shapecluster.container")

ALGORITHM = "k-shape"
OPTIONAL_CHANNELS = {"init", "weights"}

HYPERPARAMETERS: dict[str, HyperparameterType] = {
    "n_clusters": integer(1),
    "k": integer(1),
    "init": one_of("k-shape++", "random", "channel"),
    "n_init": either(one_of("auto"), integer(1)),
    "max_iter": integer(1),
    "tol": number(0),
    "max_shift": integer(0),
    "missing": one_of("error", "mask"),
    "random_state": integer(0, 2**32 - 1),
    "n_jobs": either(integer(1), integer(None, -1)),
    "verbose": integer(0),
    "label_size": integer(0, 1),
    "n_channels": integer(1),
    "checkpoint_every": integer(1),
}
# Every step is logged by default, unlike in the estimator: the log is the only view of a running job.
_DEFAULTS: dict[str, Any] = {
    **{name: value for name, value in LocalKShape().get_params().items() if name in FIT_PARAMETERS},
    "n_jobs": None,
    "verbose": 1,
    "checkpoint_every": 10,
}

_MIN_THREADED_BYTES = 1 << 20  # of series; below, starting threads costs more than it saves


class TrainingData(NamedTuple):
    """The channels of a job as arguments of `fit`.

    Attributes
    ----------
    values : ndarray of shape (n_series, n_timepoints) or (n_series, n_timepoints, n_channels)
        The channel `train`.
    weights : ndarray of shape (n_series,) or None
        The channel `weights`.
    centers : ndarray of shape (n_clusters, *values.shape[1:]) or None
        The channel `init`.
    names : list of str or None
        The names of the series.
    """

    values: FloatArray
    weights: FloatArray | None
    centers: FloatArray | None
    names: list[str] | None


def train(job: JobInput) -> None:
    """Train, and write the model and its metrics."""
    parameters = _parameters(job)
    n_channels = parameters.get("n_channels")
    data = _read_channels(job, parameters)
    fit_parameters = {name: parameters[name] for name in FIT_PARAMETERS}
    fingerprint = fit_fingerprint(fit_parameters | {"n_channels": n_channels}, data[:3])
    checkpoints = CheckpointStore(job.root / CHECKPOINTS, fingerprint, parameters["checkpoint_every"])
    model = _fit(data, parameters, checkpoints)
    fit_parameters["random_state"] = model.random_state
    write_results(
        job.root,
        ALGORITHM,
        {CENTROIDS_FILE: encode_centroids(model.cluster_centers_)},
        fit_parameters,
        {"train:ssd": model.inertia_, "train:n_iter": int(model.n_iter_)},
        n_iter=int(model.n_iter_),
        inertia=model.inertia_,
        dtype=str(data.values.dtype),
        n_timepoints=int(data.values.shape[1]),
        n_channels=n_channels,
    )
    logger.info("done: inertia %.17g after %d iterations", model.inertia_, model.n_iter_)


def _fit(data: TrainingData, parameters: Mapping[str, Any], checkpoints: CheckpointStore) -> LocalKShape:
    """Fit from the beginning or from the checkpoint, with a random seed if the job states none."""
    saved_seed, snapshot = checkpoints.load() or (None, None)
    seed = parameters["random_state"]
    if seed is None:
        # Drawn here and saved with each checkpoint: a resumed fit must draw the same numbers.
        seed = secrets.randbelow(2**32) if saved_seed is None else saved_seed
    checkpoints.seed = seed
    model = LocalKShape(**{name: parameters[name] for name in (*FIT_PARAMETERS, "n_jobs", "verbose")})
    model.set_params(random_state=seed)
    if model.n_jobs is None and data.values.nbytes >= _MIN_THREADED_BYTES:
        model.set_params(n_jobs=-1)  # the instance runs only this program, and the result is the same
    if data.centers is not None:
        model.set_params(init=data.centers)
    X: FloatArray | pd.DataFrame = data.values
    if data.names is not None and data.values.ndim == 2:  # so that messages show the names
        X = pd.DataFrame(data.values, index=pd.Index(data.names, dtype=object), copy=False)
    try:
        if snapshot is not None:
            logger.info("resuming from the checkpoint")
            try:
                return model._fit_with_snapshots(X, data.weights, checkpoints.after_step, snapshot)
            except ValueError as error:  # if the data are invalid, the second fit raises it again
                logger.warning("the checkpoint cannot be resumed (%s): training starts anew", error)
        return model._fit_with_snapshots(X, data.weights, checkpoints.after_step)
    except Terminated:
        checkpoints.save()
        raise


def _parameters(job: JobInput) -> dict[str, Any]:
    """Return all parameters: the valid hyperparameters of the job, and defaults for the others."""
    given = decode_hyperparameters(job.hyperparameters, HYPERPARAMETERS)
    if "k" in given:
        k = given.pop("k")
        if given.setdefault("n_clusters", k) != k:
            raise ValueError(
                f"k and n_clusters are two names for the number of clusters. Got {k} and "
                f"{given['n_clusters']}: give one of them."
            )
    # The channel alone implies the hyperparameter; if both are given they must agree.
    if "init" not in job.channels:
        if given.get("init") == "channel":
            raise ValueError("init='channel' needs a channel 'init' with one row for each cluster.")
    elif given.setdefault("init", "channel") != "channel":
        raise ValueError(
            f"The channel 'init' holds centers to start from, but the hyperparameter init is "
            f"{given['init']!r}. Set it to 'channel', or remove the channel."
        )
    return _DEFAULTS | given


def _read_channels(job: JobInput, parameters: Mapping[str, Any]) -> TrainingData:
    """Read the channels, and check that they match the parameters and each other."""
    rows = read_channel(job, job.train_channel(OPTIONAL_CHANNELS), label_size=parameters.get("label_size"))
    rows.check_numbers(allow_nan=parameters["missing"] == "mask")
    rows.check_count("n_clusters", parameters["n_clusters"])
    n_channels = parameters.get("n_channels")
    values = _with_channels(rows, n_channels)
    centers = weights = None
    if "init" in job.channels:
        start = read_channel(job, "init")
        start.check_numbers()
        centers = _with_channels(start, n_channels).astype(values.dtype)
        expected = (parameters["n_clusters"], *values.shape[1:])
        if centers.shape != expected:
            raise ValueError(
                f"Channel 'init' must have one row for each cluster, as wide as the series: {expected}. "
                f"Got {centers.shape} instead."
            )
    if "weights" in job.channels:
        weights = _weights(read_channel(job, "weights"), rows)
    return TrainingData(values, weights, centers, rows.names)


def _with_channels(rows: ChannelData, n_channels: int | None) -> FloatArray:
    """Return the rows as series, with an axis of channels if `n_channels` is given."""
    if n_channels is None:
        return rows.values
    width = rows.values.shape[1]
    if width % n_channels:
        raise ValueError(
            f"Channel {rows.channel!r}: rows of {width} values cannot be split into n_channels={n_channels}. "
            "A row holds its timepoints one after the other, each with its channels side by side."
        )
    return rows.values.reshape(len(rows.values), width // n_channels, n_channels)


def _weights(weights: ChannelData, rows: ChannelData) -> FloatArray:
    if weights.values.shape != (len(rows.values), 1):
        raise ValueError(
            f"Channel 'weights' must have one column, and a row for each of the {len(rows.values)} series. "
            f"Got shape {weights.values.shape} instead."
        )
    if weights.names is not None and rows.names is not None and weights.names != rows.names:
        pairs = zip(weights.names, rows.names, strict=True)
        first = next(row for row, (own, expected) in enumerate(pairs) if own != expected)
        raise ValueError(
            f"Channel 'weights' must name the series in the order of the data. "
            f"Got {weights.names[first]!r} in row {first + 1} instead of {rows.names[first]!r}."
        )
    weights.check_numbers()
    return weights.values[:, 0].astype(np.float64)
