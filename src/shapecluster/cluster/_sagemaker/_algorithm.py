"""Where each parameter of `SageMakerKShape` goes: to the job, into a channel, or nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

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


class Listing(NamedTuple):
    """What an algorithm of the Marketplace takes.

    Attributes
    ----------
    arn : str
        Which one.
    hyperparameters : frozenset of str
        Their names.
    channel : str
        Where the training data goes.
    """

    arn: str
    hyperparameters: frozenset[str]
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
    names = frozenset(str(one["Name"]) for one in training.get("SupportedHyperParameters", []))
    unknown = sorted(set(job.hyperparameters) - names)
    if unknown:
        raise ValueError(
            f"hyperparameters of Job must be such as the algorithm has: {', '.join(sorted(names))}. "
            f"Got {', '.join(unknown)} instead."
        )
    return Listing(arn, names, _channel(training.get("TrainingChannels", []), arn, job.channel))


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
        if name in listing.hyperparameters and isinstance(parameters[name], (str, int, float, type(None))):
            sent[name] = parameters[name]
        elif not _is_default(parameters[name], defaults[name]):
            raise ValueError(
                f"{name} of {owner} must be at its default, {defaults[name]!r}: the algorithm {listing.arn} "
                f"has no such hyperparameter. Got {_shown(parameters[name])} instead."
            )
    return encode_hyperparameters(sent)


def has_label_column(listing: Listing) -> bool:
    """Whether the first column of the data holds the names of the series."""
    return _LABEL_SIZE in listing.hyperparameters


def _is_default(value: Any, default: Any) -> bool:
    return type(value) is type(default) and bool(value == default)


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, (str, int, float, type(None))) else type(value).__name__
