"""Parameters of `SageMakerKShape` as hyperparameters of a job, and checks of a Marketplace listing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from shapecluster._validation import SeriesData
from shapecluster.formats import encode_hyperparameters
from shapecluster.remote._client import Algorithm, ChannelSpec

# Where each parameter of `LocalKShape` goes. "sent": as a hyperparameter to this package's container, and to
# a Marketplace algorithm whose listing has it; else it must be at its default. "local": it is not sent.
PARAMETERS: dict[str, str] = {
    "n_clusters": "sent",
    "init": "sent",
    "n_init": "sent",
    "max_iter": "sent",
    "tol": "sent",
    "max_shift": "sent",
    "missing": "sent",
    "random_state": "sent",
    "n_jobs": "local",
    "verbose": "local",
}

# Listings name the number of clusters in different ways; the first that is listed is used.
_NAMES_OF_K = ("k", "n_clusters", "num_clusters")
_LABEL_SIZE = "label_size"
_CSV = "text/csv"


def check_channels(algorithm: Algorithm, channel: ChannelSpec) -> None:
    """Check that the algorithm takes CSV in its training channel, and needs no other channel.

    Raises
    ------
    ValueError
        When it does not.
    """
    if channel.content_types and _CSV not in channel.content_types:
        raise ValueError(
            f"algorithm_arn must be of an algorithm that takes {_CSV} in its channel {channel.name!r}. "
            f"Got {algorithm.arn!r}, which takes {', '.join(channel.content_types)}, instead."
        )
    for other in algorithm.channels.values():
        if other.required and other.name != channel.name:
            raise ValueError(
                f"algorithm_arn must be of an algorithm that needs no channel but {channel.name!r}. "
                f"Got {algorithm.arn!r}, which needs {other.name!r} as well, instead."
            )


def check_series(data: SeriesData, *, weighted: bool, owner: str) -> None:
    """Check that the data is what Marketplace algorithms take.

    Raises
    ------
    ValueError
        For weights, several channels, or missing values.
    """
    why = "for an algorithm of the Marketplace"
    if weighted:
        raise ValueError(f"sample_weight of {owner} must be None {why}, which takes no weights.")
    if data.values.ndim == 3:
        raise ValueError(f"X of {owner} must have two axes {why}. Got shape {data.values.shape} instead.")
    incomplete = np.isnan(data.values).any(axis=1)
    if incomplete.any():
        raise ValueError(
            f"X of {owner} must be complete {why}. Got NaN in {data.name(int(incomplete.argmax()))}."
        )


def container_hyperparameters(parameters: Mapping[str, Any], n_channels: int | None) -> dict[str, str]:
    """The hyperparameters for this package's container."""
    sent = {name: parameters[name] for name, place in PARAMETERS.items() if place == "sent"}
    if not isinstance(sent["init"], str):
        sent["init"] = "channel"  # an array exceeds the length of a hyperparameter
    return encode_hyperparameters({**sent, "n_channels": n_channels})


def listing_hyperparameters(
    parameters: Mapping[str, Any], defaults: Mapping[str, Any], listing: Algorithm, owner: str
) -> dict[str, str]:
    """The hyperparameters for a Marketplace algorithm: only those that its listing has.

    Raises
    ------
    ValueError
        When a parameter that is not listed differs from its default.
    """
    k_name = next((name for name in _NAMES_OF_K if name in listing.hyperparameters), None)
    if k_name is None:
        raise ValueError(
            f"algorithm_arn of {owner} must be a clustering algorithm with a hyperparameter k. Got "
            f"{listing.arn!r}, which has {', '.join(sorted(listing.hyperparameters)) or 'none'}, instead."
        )
    sent: dict[str, Any] = {k_name: parameters["n_clusters"]}
    if has_label_column(listing):
        sent[_LABEL_SIZE] = 1
    for name, place in PARAMETERS.items():
        if place != "sent" or name == "n_clusters":
            continue
        value = _plain(parameters[name])
        if name in listing.hyperparameters and isinstance(value, (str, int, float, type(None))):
            sent[name] = value
        elif not _is_default(value, defaults[name]):
            raise ValueError(
                f"{name} of {owner} must be at its default, {defaults[name]!r}: the algorithm {listing.arn} "
                f"has no such hyperparameter. Got {_shown(parameters[name])} instead."
            )
    return encode_hyperparameters(sent)


def has_label_column(listing: Algorithm) -> bool:
    """Whether the first column of the data holds the names of the series."""
    return _LABEL_SIZE in listing.hyperparameters


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _is_default(value: Any, default: Any) -> bool:
    return type(value) is type(default) and bool(value == default)


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, (str, int, float, type(None))) else type(value).__name__
