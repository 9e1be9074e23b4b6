"""Where each parameter of `SageMakerKShape` goes: to the job, into a channel, or nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from shapecluster.formats import encode_hyperparameters
from shapecluster.remote._job import Job
from shapecluster.remote._platform import Platform

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


class Listing(NamedTuple):
    """What an algorithm of the Marketplace takes.

    Attributes
    ----------
    arn : str
        Which one.
    hyperparameters : mapping of str to mapping
        For each name what DescribeAlgorithm says of it.
    channel : str
        Where the training data goes.
    """

    arn: str
    hyperparameters: Mapping[str, Mapping[str, Any]]
    channel: str


def find_listing(platform: Platform, arn: str, job: Job) -> Listing:
    """Ask what an algorithm takes.

    Raises
    ------
    ValueError
        When the ARN is none of an algorithm in this region, or the job asks for what it does not support.
    """
    parts = arn.split(":")
    if len(parts) < 6 or parts[0] != "arn" or parts[2] != "sagemaker":
        raise ValueError(
            "algorithm_arn must look like 'arn:aws:sagemaker:<region>:<account>:algorithm/<name>'. "
            f"Got {arn!r} instead."
        )
    if platform.kind == "aws" and parts[3] != platform.region:
        raise ValueError(
            f"algorithm_arn must be of the session's region, {platform.region}. Got one of {parts[3]} "
            "instead: the listing has an ARN for each region."
        )
    return read_listing(platform.call("sagemaker.describe_algorithm", AlgorithmName=arn), arn, job)


def read_listing(description: Mapping[str, Any], arn: str, job: Job) -> Listing:
    """Take from DescribeAlgorithm what a job must keep to, before it is billed.

    Raises
    ------
    ValueError
        When the job asks for a machine or a channel that the algorithm does not support.
    """
    training = description["TrainingSpecification"]
    machines = training.get("SupportedTrainingInstanceTypes", [])
    if machines and job.instance_type not in machines:
        raise ValueError(
            f"instance_type of Job must be one that the algorithm supports: {', '.join(sorted(machines))}. "
            f"Got {job.instance_type!r} instead."
        )
    if job.instance_count > 1 and not training.get("SupportsDistributedTraining", False):
        raise ValueError(
            f"instance_count of Job must be 1: the algorithm {arn} runs on one machine. "
            f"Got {job.instance_count} instead."
        )
    names = {str(one["Name"]): one for one in training.get("SupportedHyperParameters", [])}
    unknown = sorted(set(job.hyperparameters) - set(names))
    if unknown:
        raise ValueError(
            f"hyperparameters of Job must be such as the algorithm has: {', '.join(sorted(names))}. "
            f"Got {', '.join(unknown)} instead."
        )
    channels = training.get("TrainingChannels", [])
    channel = _channel(channels, arn, job.channel)
    for one in channels:
        types = one.get("SupportedContentTypes", [])
        if one["Name"] == channel and types and _CSV not in types:
            raise ValueError(
                f"algorithm_arn must be of an algorithm that takes {_CSV} in its channel {channel!r}. "
                f"Got {arn!r}, which takes {', '.join(types)}, instead."
            )
        if one["Name"] != channel and one.get("IsRequired", False):
            raise ValueError(
                f"algorithm_arn must be of an algorithm that needs no channel but {channel!r}. "
                f"Got {arn!r}, which needs {one['Name']!r} as well, instead."
            )
    return Listing(arn, names, channel)


def _channel(channels: list[Mapping[str, Any]], arn: str, wanted: str | None) -> str:
    names = [str(one["Name"]) for one in channels]
    required = [str(one["Name"]) for one in channels if one.get("IsRequired", False)]
    if wanted is not None:
        if wanted not in names:
            raise ValueError(
                f"channel of Job must be one of the algorithm's: {', '.join(names)}. Got {wanted!r} instead."
            )
        return wanted
    if len(required) == 1:
        return required[0]
    if len(names) == 1:
        return names[0]
    raise ValueError(
        f"channel of Job must say which of the channels of {arn} takes the series: {', '.join(names)}. "
        "Got None instead."
    )


def for_container(parameters: Mapping[str, Any], n_channels: int | None) -> dict[str, str]:
    """The hyperparameters that our own container gets."""
    sent = {name: parameters[name] for name, place in PARAMETERS.items() if place == "sent"}
    if not isinstance(sent["init"], str):
        sent["init"] = "channel"
    return encode_hyperparameters({**sent, "n_channels": n_channels})


def for_listing(
    parameters: Mapping[str, Any], defaults: Mapping[str, Any], listing: Listing, owner: str
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


def check_listed(sent: Mapping[str, str], listing: Listing, owner: str) -> None:
    """Check hyperparameters as the service would, but before anything is staged.

    Raises
    ------
    ValueError
        When one is missing that the algorithm requires, or one is out of its range.
    """
    for name, told in listing.hyperparameters.items():
        if name in sent:
            expected = _beyond(sent[name], told.get("Range", {}))
            if expected:
                here = "n_clusters" if name in _NAMES_OF_K else name
                raise ValueError(
                    f"{here} of {owner} must be {expected}, as the algorithm {listing.arn} has it. "
                    f"Got {sent[name]} instead."
                )
        elif told.get("IsRequired", False) and "DefaultValue" not in told:
            raise ValueError(
                f"hyperparameters of Job must hold {name!r}, which the algorithm {listing.arn} requires. "
                "Got none."
            )


def _beyond(text: str, told: Mapping[str, Any]) -> str | None:
    """What a value must be and is not; None where it is."""
    if "CategoricalParameterRangeSpecification" in told:
        values = told["CategoricalParameterRangeSpecification"]["Values"]
        return None if text in values else f"one of {', '.join(values)}"
    for kind in ("IntegerParameterRangeSpecification", "ContinuousParameterRangeSpecification"):
        if kind in told:
            low, high = told[kind]["MinValue"], told[kind]["MaxValue"]
            with suppress(ValueError):
                if float(low) <= float(text) <= float(high):
                    return None
            return f"from {low} to {high}"
    return None


def has_label_column(listing: Listing) -> bool:
    """Whether the first column of the data holds the names of the series."""
    return _LABEL_SIZE in listing.hyperparameters


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _is_default(value: Any, default: Any) -> bool:
    return type(value) is type(default) and bool(value == default)


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, (str, int, float, type(None))) else type(value).__name__
