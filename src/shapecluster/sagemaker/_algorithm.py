"""Parameters of `SageMakerKShape` as hyperparameters of a job, and checks of a Marketplace listing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from shapecluster._validation import SeriesData
from shapecluster.cluster._local import FIT_PARAMETERS
from shapecluster.formats import encode_hyperparameters
from shapecluster.remote._client import Algorithm, ChannelSpec
from shapecluster.sagemaker._files import CSV

# Listings name the number of clusters in different ways; the first that is listed is used.
_NAMES_OF_K = ("k", "n_clusters", "num_clusters")
_LABEL_SIZE = "label_size"


def check_channels(algorithm: Algorithm, channel: ChannelSpec) -> None:
    """Check that the algorithm takes CSV in its training channel, and needs no other channel.

    Raises
    ------
    ValueError
        When it does not.
    """
    if channel.content_types and CSV not in channel.content_types:
        raise ValueError(
            f"algorithm_arn must be of an algorithm that takes {CSV} in its channel {channel.name!r}. "
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
    sent = {name: parameters[name] for name in FIT_PARAMETERS}
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
    for name in FIT_PARAMETERS[1:]:
        value, default = parameters[name], defaults[name]
        if isinstance(value, np.generic):
            value = value.item()
        scalar = isinstance(value, (str, int, float, type(None)))
        if name in listing.hyperparameters and scalar:
            sent[name] = value
        elif type(value) is not type(default) or value != default:
            raise ValueError(
                f"{name} of {owner} must be at its default, {default!r}: the algorithm {listing.arn} has no "
                f"such hyperparameter. Got {repr(value) if scalar else type(value).__name__} instead."
            )
    return encode_hyperparameters(sent)


def has_label_column(listing: Algorithm) -> bool:
    """Whether the first column of the data holds the names of the series."""
    return _LABEL_SIZE in listing.hyperparameters
