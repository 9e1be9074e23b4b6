"""Where each parameter of `SageMakerKShape` goes: to the job, into a channel, or nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from shapecluster._validation import SeriesData
from shapecluster.formats import encode_hyperparameters
from shapecluster.remote._marketplace import Algorithm, ChannelSpec

# What becomes of each parameter of `LocalKShape`. "sent": to our container as a hyperparameter, and to an
# algorithm of the Marketplace if its listing has it, else it must be at its default. "local": only used here.
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

_NAMES_OF_K = ("k", "n_clusters", "num_clusters")
_LABEL_SIZE = "label_size"
_CSV = "text/csv"


def check_channels(algorithm: Algorithm, channel: ChannelSpec) -> None:
    """Refuse an algorithm that the series cannot be handed to.

    Raises
    ------
    ValueError
        When its training channel takes no CSV, or it needs another channel as well.
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
    """Refuse what no algorithm of the Marketplace takes.

    Raises
    ------
    ValueError
        For weights, channels and missing values.
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


def for_container(parameters: Mapping[str, Any], n_channels: int | None) -> dict[str, str]:
    """The hyperparameters that our own container gets."""
    sent = {name: parameters[name] for name, place in PARAMETERS.items() if place == "sent"}
    if not isinstance(sent["init"], str):
        sent["init"] = "channel"
    return encode_hyperparameters({**sent, "n_channels": n_channels})


def for_listing(
    parameters: Mapping[str, Any], defaults: Mapping[str, Any], listing: Algorithm, owner: str
) -> dict[str, str]:
    """The hyperparameters that an algorithm of the Marketplace gets: those it lists, and no other.

    Raises
    ------
    ValueError
        When a parameter that it does not list is not at its default.
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
