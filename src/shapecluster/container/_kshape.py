"""Training k-Shape: `LocalKShape` on the channels of a job, with checkpoints."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from shapecluster._typing import FloatArray
from shapecluster.cluster._local import LocalKShape
from shapecluster.container._artifacts import CENTROIDS, write_artifact
from shapecluster.container._channels import ChannelRows, read_rows
from shapecluster.container._checkpoints import Checkpoints, fingerprint
from shapecluster.container._configuration import JobConfiguration
from shapecluster.container._files import write_json
from shapecluster.container._paths import Root
from shapecluster.container._signals import Terminated
from shapecluster.formats import decode_hyperparameters, encode_centroids
from shapecluster.formats.hyperparameters import HyperparameterType, either, integer, number, one_of

logger = logging.getLogger("shapecluster.container")

ALGORITHM = "k-shape"
OTHER_CHANNELS = {"init", "weights"}

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
# What the result follows from; the others say how the data lie and how the work is done.
_OF_THE_FIT = ("n_clusters", "init", "n_init", "max_iter", "tol", "max_shift", "missing", "random_state")
# Without a word from the job every step is in the log.
_DEFAULTS: dict[str, Any] = {
    **{name: value for name, value in LocalKShape().get_params().items() if name in _OF_THE_FIT},
    "n_jobs": None,
    "verbose": 1,
    "checkpoint_every": 10,
}

_WORTH_THREADS = 1 << 20  # bytes of series from which on all cores are quicker than one


@dataclass(frozen=True, eq=False)
class _FitInput:
    """The channels of a job, as `fit` takes them."""

    rows: ChannelRows
    values: FloatArray  # with an axis of channels where the job has one
    weights: FloatArray | None
    centers: FloatArray | None

    @property
    def X(self) -> Any:
        """The series, under their names where they have any."""
        if self.rows.names is None or self.values.ndim == 3:
            return self.values
        return pd.DataFrame(self.values, index=pd.Index(self.rows.names, dtype=object), copy=False)


def train(job: JobConfiguration, root: Root) -> None:
    """Train, and leave the model and its metrics below the root."""
    parameters = _parameters(job)
    data = _read(job, parameters)
    of_the_fit = {name: parameters[name] for name in _OF_THE_FIT}
    mark = fingerprint(
        of_the_fit | {"n_channels": parameters.get("n_channels")}, (data.values, data.weights, data.centers)
    )
    keeper = Checkpoints(root.checkpoints, mark, parameters["checkpoint_every"])
    model = _fit(data, parameters, keeper)
    of_the_fit["random_state"] = model.random_state
    write_artifact(
        root,
        ALGORITHM,
        {CENTROIDS: encode_centroids(model.cluster_centers_)},
        of_the_fit,
        n_iter=int(model.n_iter_),
        inertia=model.inertia_,
        dtype=str(data.values.dtype),
        n_timepoints=int(data.values.shape[1]),
        n_channels=parameters.get("n_channels"),
    )
    write_json(root.metrics, {"train:ssd": model.inertia_, "train:n_iter": int(model.n_iter_)})
    logger.info("done: inertia %.17g after %d iterations", model.inertia_, model.n_iter_)


def _fit(data: _FitInput, parameters: Mapping[str, Any], keeper: Checkpoints) -> LocalKShape:
    """Fit from the beginning or from the checkpoint; the seed is drawn here where the job gives none."""
    saved = keeper.load()
    seed = parameters["random_state"]
    if seed is None:
        seed = secrets.randbelow(2**32) if saved is None else saved.seed
    keeper.seed = seed
    given = {name: parameters[name] for name in (*_OF_THE_FIT, "n_jobs", "verbose")}
    model = LocalKShape(**given).set_params(random_state=seed)
    if model.n_jobs is None and data.values.nbytes >= _WORTH_THREADS:
        model.set_params(n_jobs=-1)  # the instance has nothing else to do, and the result is the same
    if data.centers is not None:
        model.set_params(init=data.centers)
    try:
        if saved is not None:
            logger.info("going on from the checkpoint")
            try:
                return model._fit_watched(data.X, data.weights, keeper.after_step, saved.arrays)
            except ValueError as error:  # if it is the data, the fit from the beginning says so again
                logger.warning("no way on from the checkpoint (%s): training starts anew", error)
        return model._fit_watched(data.X, data.weights, keeper.after_step)
    except Terminated:
        keeper.save()
        raise


def _parameters(job: JobConfiguration) -> dict[str, Any]:
    """All parameters: those that the job gave, checked, and what the others are by default."""
    given = decode_hyperparameters(job.hyperparameters, HYPERPARAMETERS)
    if "k" in given:
        k = given.pop("k")
        if given.setdefault("n_clusters", k) != k:
            raise ValueError(
                f"k and n_clusters are two names for the number of clusters. Got {k} and "
                f"{given['n_clusters']}: give one of them."
            )
    if ("init" in job.channels) != (given.get("init", "channel") == "channel"):
        if "init" in job.channels:
            raise ValueError(
                f"The channel 'init' holds centers to start from, but the hyperparameter init is "
                f"{given['init']!r}. Set it to 'channel', or leave the channel out."
            )
        if "init" in given:
            raise ValueError("init='channel' needs a channel 'init' with one row for each cluster.")
    elif "init" in job.channels:
        given["init"] = "channel"
    return _DEFAULTS | given


def _read(job: JobConfiguration, parameters: Mapping[str, Any]) -> _FitInput:
    """Read the channels, and check what their numbers must be before a fit begins."""
    train = job.train_channel(OTHER_CHANNELS)
    rows = read_rows(train, label_size=parameters.get("label_size"))
    rows.check_numbers(allow_nan=parameters["missing"] == "mask")
    n_clusters, n_series = parameters["n_clusters"], len(rows.values)
    if n_series < n_clusters:
        raise ValueError(
            f"There are {n_series} series in channel {train.name!r}, fewer than n_clusters={n_clusters}. "
            "Ask for fewer clusters, or check that the channel has all of its files."
        )
    n_channels = parameters.get("n_channels")
    values = _with_channels(rows, n_channels)
    centers = weights = None
    if "init" in job.channels:
        start = read_rows(job.channels["init"])
        start.check_numbers()
        centers = _with_channels(start, n_channels).astype(values.dtype)
        expected = (n_clusters, *values.shape[1:])
        if centers.shape != expected:
            raise ValueError(
                f"Channel 'init' must have one row for each cluster, as wide as the series: {expected}. "
                f"Got {centers.shape} instead."
            )
    if "weights" in job.channels:
        weights = _weights(read_rows(job.channels["weights"]), rows)
    return _FitInput(rows, values, weights, centers)


def _with_channels(rows: ChannelRows, n_channels: int | None) -> FloatArray:
    """The rows as they are, or as timepoints by channels."""
    if n_channels is None:
        return rows.values
    width = rows.values.shape[1]
    if width % n_channels:
        raise ValueError(
            f"Channel {rows.channel!r}: rows of {width} values do not divide into n_channels={n_channels}: "
            "a row is timepoint by timepoint, its channels side by side."
        )
    return rows.values.reshape(len(rows.values), width // n_channels, n_channels)


def _weights(weights: ChannelRows, rows: ChannelRows) -> FloatArray:
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
