"""What a training job was told: its hyperparameters, its channels, and the instances it runs on."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shapecluster.container._paths import Root

_MOST_BYTES = 1 << 24
_CHANNEL = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class InputChannel:
    """Where the files of a channel are, and what is in them.

    Attributes
    ----------
    name : str
        How the job calls it.
    folder : Path
        All files in it are one matrix.
    content_type : str
        As the job gave it; empty if it did not.
    """

    name: str
    folder: Path
    content_type: str


@dataclass(frozen=True)
class JobConfiguration:
    """What a training job was told.

    Attributes
    ----------
    hyperparameters : dict of str to str
        As strings.
    channels : dict of str to InputChannel
        By name.
    """

    hyperparameters: dict[str, str]
    channels: dict[str, InputChannel]

    def train_channel(self, others: set[str]) -> InputChannel:
        """The channel `train`, or the only one beside those that have another meaning."""
        main = [name for name in self.channels if name not in others]
        wrong = [name for name in main if name != "train"]
        if main == ["train"] or len(main) == 1:
            return self.channels[main[0]]
        if not main:
            raise ValueError("There is no data to train on: the job must have a channel 'train'.")
        raise ValueError(
            f"The channels of this algorithm are 'train' and, if you like, {', '.join(sorted(others))}. "
            f"Got {', '.join(map(repr, wrong))} as well."
            if "train" in main
            else f"Which channel holds the training data? Call it 'train'. Got {', '.join(map(repr, main))}."
        )


def read_job(root: Root) -> JobConfiguration:
    """Read the configuration that the platform wrote.

    Raises
    ------
    ValueError
        If it cannot be read, or asks for what this program does not do.
    """
    _check_hosts(_read(root.config("resourceconfig.json")))
    hyperparameters = _read(root.config("hyperparameters.json"))
    for name, value in hyperparameters.items():
        if not isinstance(value, str):
            raise ValueError(f"The hyperparameter {name} must be a string. Got {value!r} instead.")
    path = root.config("inputdataconfig.json")
    told = _read(path)
    if not path.exists() and root.data.is_dir():  # run by hand: the folders say enough
        told = {entry.name: {} for entry in sorted(root.data.iterdir()) if entry.is_dir()}
    return JobConfiguration(
        hyperparameters, {name: _channel(name, value, root) for name, value in told.items()}
    )


def _channel(name: str, told: Any, root: Root) -> InputChannel:
    if not isinstance(told, Mapping) or not _CHANNEL.fullmatch(name):
        raise ValueError(f"inputdataconfig.json: the channel {name!r} is not as the platform writes it.")
    mode = told.get("TrainingInputMode") or "File"
    if mode not in ("File", "FastFile"):
        raise ValueError(
            f"Channel {name!r}: this program reads files (TrainingInputMode File or FastFile). "
            f"Got {mode!r} instead."
        )
    wrapper = told.get("RecordWrapperType") or "None"
    if wrapper != "None":
        raise ValueError(f"Channel {name!r}: RecordWrapperType must be None. Got {wrapper!r} instead.")
    return InputChannel(name, root.data / name, str(told.get("ContentType") or ""))


def _check_hosts(resources: Mapping[str, Any]) -> None:
    hosts = resources.get("hosts")
    if isinstance(hosts, list) and len(hosts) > 1:
        raise ValueError(
            f"This program trains on one instance, with all of its cores. Got {len(hosts)} instances: "
            "set the instance count to 1."
        )


def _read(path: Path) -> dict[str, Any]:
    """A JSON object; empty if there is no such file."""
    try:
        if not path.exists():
            return {}
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES:,} bytes")
        value = json.loads(path.read_text("utf-8"))
        if not isinstance(value, dict):
            raise ValueError("it must be a JSON object")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"The job's configuration {path.name} cannot be read: {error}.") from None
    return value
