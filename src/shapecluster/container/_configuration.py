"""The configuration of a training job: its hyperparameters, its channels, and its instances."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shapecluster.container._paths import ContainerPaths

_MAX_BYTES = 1 << 24
# No slash and no leading dot: the name becomes the name of a folder.
_CHANNEL_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class InputChannel:
    """A channel of the job: where its files are, and their format.

    Attributes
    ----------
    name : str
        The name of the channel.
    folder : Path
        The folder of its files.
    content_type : str
        The content type in the configuration of the job, or an empty string.
    """

    name: str
    folder: Path
    content_type: str


@dataclass(frozen=True)
class JobConfiguration:
    """The hyperparameters and channels of a training job.

    Attributes
    ----------
    hyperparameters : dict of str to str
        The hyperparameters as strings.
    channels : dict of str to InputChannel
        The channels by name.
    """

    hyperparameters: dict[str, str]
    channels: dict[str, InputChannel]

    def train_channel(self, optional: set[str]) -> InputChannel:
        """Return the channel `train`, or the only one that is not among the `optional` ones."""
        candidates = [name for name in self.channels if name not in optional]
        unknown = [name for name in candidates if name != "train"]
        if candidates == ["train"] or len(candidates) == 1:
            return self.channels[candidates[0]]
        if not candidates:
            raise ValueError("There is no data to train on: the job must have a channel 'train'.")
        raise ValueError(
            f"The channels of this algorithm are 'train' and optionally {', '.join(sorted(optional))}. "
            f"Got {', '.join(map(repr, unknown))} as well."
            if "train" in candidates
            else "Which channel holds the training data? Call it 'train'. "
            f"Got {', '.join(map(repr, candidates))}."
        )


def read_configuration(paths: ContainerPaths) -> JobConfiguration:
    """Read the configuration that the platform wrote.

    Raises
    ------
    ValueError
        If a file cannot be read, or asks for a feature that this program lacks.
    """
    _check_hosts(_read_object(paths.config("resourceconfig.json")))
    hyperparameters = _read_object(paths.config("hyperparameters.json"))
    for name, value in hyperparameters.items():
        if not isinstance(value, str):
            raise ValueError(f"The hyperparameter {name} must be a string. Got {value!r} instead.")
    path = paths.config("inputdataconfig.json")
    settings = _read_object(path)
    # A job that is started by hand may have no such file: then every folder of data is a channel.
    if not path.exists() and paths.data.is_dir():
        settings = {entry.name: {} for entry in sorted(paths.data.iterdir()) if entry.is_dir()}
    channels = {name: _channel(name, value, paths) for name, value in settings.items()}
    return JobConfiguration(hyperparameters, channels)


def _channel(name: str, settings: Any, paths: ContainerPaths) -> InputChannel:
    if not isinstance(settings, Mapping) or not _CHANNEL_NAME.fullmatch(name):
        raise ValueError(f"inputdataconfig.json: {name!r} is not a valid channel. Check how it was written.")
    mode = settings.get("TrainingInputMode") or "File"
    if mode not in ("File", "FastFile"):
        raise ValueError(
            f"Channel {name!r}: this program reads files (TrainingInputMode File or FastFile). "
            f"Got {mode!r} instead."
        )
    wrapper = settings.get("RecordWrapperType") or "None"
    if wrapper != "None":
        raise ValueError(f"Channel {name!r}: RecordWrapperType must be None. Got {wrapper!r} instead.")
    return InputChannel(name, paths.data / name, str(settings.get("ContentType") or ""))


def _check_hosts(resources: Mapping[str, Any]) -> None:
    hosts = resources.get("hosts")
    # Each of several instances would fit its own model and overwrite those of the others.
    if isinstance(hosts, list) and len(hosts) > 1:
        raise ValueError(
            f"This program trains on one instance, with all of its cores. Got {len(hosts)} instances: "
            "set the instance count to 1."
        )


def _read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object; an absent file is an empty one."""
    try:
        if not path.exists():
            return {}
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"it has more than {_MAX_BYTES:,} bytes")
        value = json.loads(path.read_text("utf-8"))
        if not isinstance(value, dict):
            raise ValueError("it must be a JSON object")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"The job's configuration {path.name} cannot be read: {error}.") from None
    return value
