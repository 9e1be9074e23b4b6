"""Train K-Means with scikit-learn, under the names and ranges of SageMaker's built-in algorithm.

The built-in algorithm reads the data once, in mini-batches, into more centers than requested, and reduces
these by Lloyd's method. This program applies Lloyd's method to all rows. Hyperparameters of the first half
are therefore checked against their ranges and have no effect.
"""

from __future__ import annotations

import logging
import uuid
from typing import Any

import numpy as np
from sklearn.cluster import KMeans

from shapecluster._typing import FloatArray
from shapecluster.cluster._euclidean import label_rows
from shapecluster.container._files import NDARRAYS_FILE, write_results
from shapecluster.container._input import ChannelData, JobInput, read_channel
from shapecluster.formats import decode_hyperparameters, encode_ndarrays
from shapecluster.formats.hyperparameters import (
    BOOLEAN,
    JSON,
    HyperparameterType,
    either,
    integer,
    number,
    one_of,
)

logger = logging.getLogger("shapecluster.container")

ALGORITHM = "k-means"
OPTIONAL_CHANNELS = {"test"}

HYPERPARAMETERS: dict[str, HyperparameterType] = {
    "k": integer(1),
    "feature_dim": integer(1),
    "local_lloyd_max_iter": integer(1),
    "local_lloyd_tol": number(0, 1),
    "local_lloyd_num_trials": either(one_of("auto"), integer(1)),
    "local_lloyd_init_method": one_of("random", "kmeans++"),
    "eval_metrics": JSON,
    # These control the built-in's pass over mini-batches or its reader, which this program does not have.
    "mini_batch_size": integer(1),
    "epochs": integer(1),
    "init_method": one_of("random", "kmeans++"),
    "extra_center_factor": either(one_of("auto"), integer(1)),
    "half_life_time_size": integer(0),
    "force_dense": BOOLEAN,
}
_DEFAULTS: dict[str, Any] = {
    "local_lloyd_max_iter": 300,
    "local_lloyd_tol": 1e-4,
    "local_lloyd_num_trials": "auto",
    "local_lloyd_init_method": "kmeans++",
    "eval_metrics": ["msd"],
}
_INIT = {"random": "random", "kmeans++": "k-means++"}
_AUTO_TRIALS = 5
_RANDOM_STATE = 0  # the built-in has no hyperparameter for it; the same data give the same model


def train(job: JobInput) -> None:
    """Train, and write the model and its metrics."""
    parameters = _parameters(job)
    rows = _read_rows(job, job.train_channel(OPTIONAL_CHANNELS), parameters["feature_dim"])
    rows.check_count("k", parameters["k"])
    test = _read_rows(job, "test", parameters["feature_dim"]) if "test" in job.channels else None
    trials = parameters["local_lloyd_num_trials"]
    model = KMeans(
        parameters["k"],
        init=_INIT[parameters["local_lloyd_init_method"]],
        n_init=_AUTO_TRIALS if trials == "auto" else trials,
        max_iter=parameters["local_lloyd_max_iter"],
        tol=parameters["local_lloyd_tol"],
        random_state=_RANDOM_STATE,
        copy_x=False,  # the float32 rows are a copy already
    ).fit(_as_float32(rows))
    centers = np.ascontiguousarray(model.cluster_centers_, dtype=np.float32)
    # Of the float32 centers that are written, so that serving them reproduces it.
    _, inertia = label_rows(rows.values, centers)
    metrics = {"train:ssd": inertia}
    if test is not None:
        _, ssd = label_rows(test.values, centers)
        values = {"msd": ssd / len(test.values), "ssd": ssd}
        for name in parameters["eval_metrics"]:
            metrics[f"test:{name}"] = values[name]
            # The built-in's form: SageMaker's metric definitions find it in the log by a regex.
            logger.info("#quality_metric: host=algo-1, test %s <loss>=%.17g", name, values[name])
    state = f"state_{uuid.uuid4()}"
    write_results(
        job.root,
        ALGORITHM,
        {NDARRAYS_FILE: encode_ndarrays([centers]), state: b'{"n_iter": %d}\n' % model.n_iter_},
        parameters,
        metrics,
        n_iter=int(model.n_iter_),
        inertia=inertia,
        dtype="float32",
        feature_dim=parameters["feature_dim"],
    )
    logger.info("done: inertia %.17g after %d iterations", inertia, model.n_iter_)


def _parameters(job: JobInput) -> dict[str, Any]:
    parameters = _DEFAULTS | decode_hyperparameters(job.hyperparameters, HYPERPARAMETERS)
    missing = [name for name in ("k", "feature_dim") if name not in parameters]
    if missing:
        raise ValueError(
            f"K-Means needs k and feature_dim as hyperparameters. Got no {' and no '.join(missing)}."
        )
    metrics = parameters["eval_metrics"]
    if not isinstance(metrics, list) or not metrics or any(name not in ("msd", "ssd") for name in metrics):
        raise ValueError(
            'eval_metrics must be ["msd"], ["ssd"] or ["msd", "ssd"]. '
            f"Got {job.hyperparameters['eval_metrics']!r} instead."
        )
    return parameters


def _read_rows(job: JobInput, channel: str, width: int) -> ChannelData:
    rows = read_channel(job, channel)
    if rows.values.shape[1] != width:
        raise ValueError(
            f"Channel {rows.channel!r} must have feature_dim={width} values per row. "
            f"Got {rows.values.shape[1]} instead."
        )
    rows.check_numbers()
    return rows


def _as_float32(rows: ChannelData) -> FloatArray:
    """Convert the rows to the precision of the built-in algorithm."""
    with np.errstate(over="ignore"):
        values = rows.values.astype(np.float32)
    too_large = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(too_large):
        raise ValueError(
            f"Channel {rows.channel!r} has numbers beyond float32 in {rows.describe_row(int(too_large[0]))}. "
            "Scale the data."
        )
    return values
