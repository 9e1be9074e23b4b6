"""Parameters and machines of a Marketplace algorithm by its listing, checked before anything is billed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shapecluster._text import listing
from shapecluster.exceptions import NotSubscribedError
from shapecluster.remote._job import Job
from shapecluster.remote._polling import JobClient

_ARN = re.compile(r"arn:(aws[a-z-]*):sagemaker:([a-z0-9-]+):(\d*):algorithm/([\w.-]+)", re.ASCII)
_MOST_SHOWN = 10


@dataclass(frozen=True)
class Hyperparameter:
    """One hyperparameter of an algorithm.

    Attributes
    ----------
    name : str
        Its name.
    kind : str
        "Integer", "Continuous", "Categorical" or "FreeText".
    required : bool
        Whether it must be given; False for one with a default.
    low, high : float
        Range of a number.
    values : tuple of str
        Allowed values of a categorical one; empty where any is allowed.
    """

    name: str
    kind: str = "FreeText"
    required: bool = False
    low: float = -math.inf
    high: float = math.inf
    values: tuple[str, ...] = ()

    def problem(self, value: str) -> str | None:
        """A description of the valid values, if this one is not valid; else None."""
        if self.kind == "Categorical":
            return None if not self.values or value in self.values else f"one of {', '.join(self.values)}"
        if self.kind not in {"Integer", "Continuous"}:
            return None
        try:
            number = float(int(value)) if self.kind == "Integer" else float(value)
        except ValueError:
            number = math.nan
        if self.low <= number <= self.high:
            return None
        return f"{'an integer' if self.kind == 'Integer' else 'a number'} from {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class ChannelSpec:
    """One channel of an algorithm.

    Attributes
    ----------
    name : str
        Its name.
    required : bool
        Whether it must be given.
    content_types : tuple of str
        Allowed media types of its files; empty where any is allowed.
    """

    name: str
    required: bool
    content_types: tuple[str, ...] = ()


@dataclass(frozen=True)
class Algorithm:
    """The listing of a Marketplace algorithm.

    Attributes
    ----------
    arn : str
        Its ARN.
    hyperparameters : dict of str to Hyperparameter
        By name.
    channels : dict of str to ChannelSpec
        By name.
    training_types : tuple of str
        Instance types that it trains on; empty where any will do.
    distributed : bool
        Whether it trains on several machines.
    """

    arn: str
    hyperparameters: dict[str, Hyperparameter]
    channels: dict[str, ChannelSpec]
    training_types: tuple[str, ...] = ()
    distributed: bool = False

    def training_channel(self, job: Job) -> ChannelSpec:
        """The channel for the training data: the job's choice, the required one, or the only one.

        Raises
        ------
        ValueError
            When the job names a channel that does not exist, or none where there are several.
        """
        if job.channel is not None:
            if job.channel not in self.channels:
                raise ValueError(
                    f"channel of Job must be one of the algorithm's: {_shortened(self.channels)}. "
                    f"Got {job.channel!r} instead."
                )
            return self.channels[job.channel]
        # Listings name their training channel as they like; the required one is never for tests.
        required = [channel for channel in self.channels.values() if channel.required]
        candidates = required or list(self.channels.values())
        if len(candidates) != 1:
            raise ValueError(
                f"channel of Job must say which one of the algorithm's channels is for training: "
                f"{_shortened(self.channels)}. Got None instead."
            )
        return candidates[0]

    def check(self, hyperparameters: Mapping[str, str], job: Job) -> None:
        """Check hyperparameters and machines, which the program would refuse after minutes of billing.

        Raises
        ------
        ValueError
            When a hyperparameter is unknown, missing or out of its range; when the algorithm does not run on
            such a machine, or on so many.
        """
        unknown = sorted(set(hyperparameters) - set(self.hyperparameters))
        if unknown:
            raise ValueError(
                f"The algorithm does not know the hyperparameters {unknown}: it knows "
                f"{_shortened(self.hyperparameters)}."
            )
        missing = [
            h.name for h in self.hyperparameters.values() if h.required and h.name not in hyperparameters
        ]
        if missing:
            raise ValueError(
                f"The algorithm needs the hyperparameters {missing}: give them by Job(hyperparameters=...)."
            )
        for name, value in hyperparameters.items():
            expected = self.hyperparameters[name].problem(value)
            if expected:
                raise ValueError(f"The hyperparameter {name!r} must be {expected}. Got {value!r} instead.")
        if self.training_types and job.instance_type not in self.training_types:
            raise ValueError(
                "instance_type of Job must be one that the algorithm trains on: "
                f"{_shortened(self.training_types)}. Got {job.instance_type!r} instead."
            )
        if job.instance_count > 1 and not self.distributed:
            raise ValueError(
                f"instance_count of Job must be 1: the algorithm trains on one machine. "
                f"Got {job.instance_count} instead."
            )


def describe_algorithm(client: JobClient, arn: str) -> Algorithm:
    """Read the listing of a Marketplace algorithm.

    Raises
    ------
    ValueError
        When this is not the ARN of an algorithm, or one of another region.
    NotSubscribedError
        When the account has no subscription.
    InvalidRequestError, NotFoundError, AccessError
        When the service refuses the call.
    """
    match = _ARN.fullmatch(arn) if isinstance(arn, str) else None
    if match is None:
        raise ValueError(
            "algorithm_arn must look like 'arn:aws:sagemaker:<region>:<account>:algorithm/<name>', as the "
            f"Marketplace shows it for a region. Got {arn!r} instead."
        )
    # A rehearsal has no region of its own, and takes the ARN of any.
    platform = client.platform
    if platform.kind == "aws" and match.group(2) != platform.region:
        raise ValueError(
            f"algorithm_arn must be of the session's region, {platform.region!r}: the Marketplace shows one "
            f"for each region. Got one of {match.group(2)!r} instead."
        )
    answer = client.call("sagemaker.describe_algorithm", AlgorithmName=arn)
    status = answer.get("AlgorithmStatus", "Completed")
    if status != "Completed":
        raise NotSubscribedError(
            f"The algorithm {arn} is in status {status!r}, and cannot be used: look at its listing on the "
            "Marketplace.",
            operation="sagemaker.describe_algorithm",
            code=status,
        )
    training = answer["TrainingSpecification"]
    hyperparameters = [_hyperparameter(entry) for entry in training.get("SupportedHyperParameters", [])]
    channels = [
        ChannelSpec(
            entry["Name"], bool(entry.get("IsRequired", False)), tuple(entry.get("SupportedContentTypes", ()))
        )
        for entry in training.get("TrainingChannels", [])
    ]
    return Algorithm(
        arn,
        {hyperparameter.name: hyperparameter for hyperparameter in hyperparameters},
        {channel.name: channel for channel in channels},
        tuple(training.get("SupportedTrainingInstanceTypes", ())),
        bool(training.get("SupportsDistributedTraining", False)),
    )


def _hyperparameter(entry: Mapping[str, Any]) -> Hyperparameter:
    bounds = entry.get("Range", {})
    numbers = {
        **bounds.get("IntegerParameterRangeSpecification", {}),
        **bounds.get("ContinuousParameterRangeSpecification", {}),
    }
    return Hyperparameter(
        name=entry["Name"],
        kind=entry.get("Type", "FreeText"),
        # Some listings mark hyperparameters with a default as required.
        required=bool(entry.get("IsRequired", False)) and entry.get("DefaultValue") is None,
        low=_number(numbers.get("MinValue"), -math.inf),
        high=_number(numbers.get("MaxValue"), math.inf),
        values=tuple(bounds.get("CategoricalParameterRangeSpecification", {}).get("Values", ())),
    )


def _number(text: Any, otherwise: float) -> float:
    """A bound; a seller's text that is not a number bounds nothing."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return otherwise


def _shortened(names: Any) -> str:
    return listing(sorted(names), limit=_MOST_SHOWN) or "none"
