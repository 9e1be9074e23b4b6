"""The input of a job: its hyperparameters, and its channels, each of which is read as one matrix."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from shapecluster._text import listing
from shapecluster._typing import FloatArray
from shapecluster.container._files import CONFIGURATION, DATA
from shapecluster.exceptions import ArtifactError
from shapecluster.formats import decode_rows, media_type, read_csv, read_recordio

logger = logging.getLogger("shapecluster.container")

_MAX_CONFIGURATION = 1 << 24  # bytes
# No slash and no leading dot: the name becomes the name of a folder.
_CHANNEL_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_GZIP_MAGIC = b"\x1f\x8b"
# The user's own data need no limit: a channel beyond the memory fails with that reason.
_MAX_BYTES = 1 << 40
_MAX_ROW_BYTES = 1 << 27


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
        if len(candidates) != 1:
            raise ValueError(
                f"A job of this algorithm must have a channel 'train', and may have "
                f"{', '.join(sorted(optional))}. "
                f"Got {', '.join(map(repr, candidates)) or 'no channel to train on'} instead."
            )
        return self.channels[candidates[0]]


def read_configuration(root: Path) -> JobConfiguration:
    """Read the configuration that the platform wrote.

    Raises
    ------
    ValueError
        If a file cannot be read, or asks for a feature that this program lacks.
    """
    folder, data = root / CONFIGURATION, root / DATA
    hosts = _read_object(folder / "resourceconfig.json").get("hosts")
    # Each of several instances would fit its own model and overwrite those of the others.
    if isinstance(hosts, list) and len(hosts) > 1:
        raise ValueError(
            f"This program trains on one instance, with all of its cores. Got {len(hosts)} instances: "
            "set the instance count to 1."
        )
    hyperparameters = _read_object(folder / "hyperparameters.json")
    for name, value in hyperparameters.items():
        if not isinstance(value, str):
            raise ValueError(f"The hyperparameter {name} must be a string. Got {value!r} instead.")
    path = folder / "inputdataconfig.json"
    settings = _read_object(path)
    # A job that is started by hand may have no such file: then every folder of data is a channel.
    if not path.exists() and data.is_dir():
        settings = {entry.name: {} for entry in sorted(data.iterdir()) if entry.is_dir()}
    channels = {name: _channel(data / name, name, value) for name, value in settings.items()}
    return JobConfiguration(hyperparameters, channels)


def _channel(folder: Path, name: str, settings: Any) -> InputChannel:
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
    return InputChannel(name, folder, str(settings.get("ContentType") or ""))


def _read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object; an absent file is an empty one."""
    try:
        if not path.exists():
            return {}
        if path.stat().st_size > _MAX_CONFIGURATION:
            raise ValueError(f"it has more than {_MAX_CONFIGURATION:,} bytes")
        value = json.loads(path.read_text("utf-8"))
        if not isinstance(value, dict):
            raise ValueError("it must be a JSON object")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"The job's configuration {path.name} cannot be read: {error}.") from None
    return value


@dataclass(frozen=True, eq=False)
class ChannelData:
    """The rows of a channel.

    Attributes
    ----------
    channel : str
        The name of the channel.
    values : ndarray of shape (n_rows, n_values)
        The rows, in float32 or float64 as in the files.
    names : list of str or None
        The first column, if it holds names.
    files : list of (str, int)
        The files in their order, with the number of rows in each.
    """

    channel: str
    values: FloatArray
    names: list[str] | None
    files: list[tuple[str, int]]

    def describe_row(self, row: int) -> str:
        """Return the name of a row, or its place in a file counted from 1, for a message."""
        if self.names is not None:
            return repr(self.names[row])
        for file, n_rows in self.files:
            if row < n_rows:
                return f"row {row + 1} of {file}"
            row -= n_rows
        raise IndexError(row)

    def check_count(self, name: str, n_clusters: int) -> None:
        """Raise if there are fewer rows than clusters; `name` is the hyperparameter."""
        if len(self.values) < n_clusters:
            raise ValueError(
                f"There are {len(self.values)} rows in channel {self.channel!r}, fewer than "
                f"{name}={n_clusters}. "
                "Ask for fewer clusters, or check that the channel has all of its files."
            )

    def check_numbers(self, *, allow_nan: bool = False) -> None:
        """Raise for infinity, and for NaN unless it is allowed; the message names the rows."""
        invalid = np.isinf(self.values) if allow_nan else ~np.isfinite(self.values)
        rows = np.flatnonzero(invalid.any(axis=1))
        if len(rows):
            fault = "infinite values" if allow_nan else "NaN or infinite values"
            width = invalid.shape[1]
            places = listing(
                f"{self.describe_row(int(r))} ({int(invalid[r].sum())} of {width})" for r in rows
            )
            raise ValueError(
                f"Channel {self.channel!r} has {fault} in {places}. Fill or drop them before training."
            )


def read_channel(channel: InputChannel, *, label_size: Literal[0, 1] | None = None) -> ChannelData:
    """Read a channel.

    Parameters
    ----------
    channel : InputChannel
        The folder of the channel and its format.
    label_size : {0, 1}, default=None
        1: the first column of CSV is the name of the row. The content type may state it instead.

    Raises
    ------
    ValueError
        If the channel has no row, or a file cannot be read. The message names the file.
    """
    content_type = channel.content_type
    if not content_type:
        content_type = "text/csv"
        logger.info("channel %r has no content type: it is read as text/csv", channel.name)
    try:
        media = media_type(content_type)
    except ValueError as error:
        raise ValueError(f"Channel {channel.name!r}: {error}") from None
    declared = _declared_label_size(channel.name, content_type)
    if declared is None:
        declared = label_size or 0
    elif label_size is not None and label_size != declared:
        raise ValueError(
            f"Channel {channel.name!r}: label_size is {declared} in the content type and {label_size} as a "
            "hyperparameter. Give it once."
        )
    if declared and media != "text/csv":
        logger.warning("label_size=1 is for text/csv; channel %r is %s", channel.name, media)
    blocks: list[tuple[str, FloatArray, list[str] | None]] = []
    width: int | None = None
    for path in _channel_files(channel):
        file = path.relative_to(channel.folder).as_posix()
        try:
            values, names = _read_file(path, media, declared, width)
        except ArtifactError as error:
            raise ArtifactError(f"Channel {channel.name!r}, file {file}: {error}") from error
        if len(values):
            width = values.shape[1]
            blocks.append((file, values, names))
    if not blocks:
        raise ValueError(
            f"Channel {channel.name!r} has no data: no file with a row below input/data/{channel.name}. "
            "Check the S3 prefix of the channel."
        )
    return _concatenate(channel, blocks)


def _concatenate(
    channel: InputChannel, blocks: list[tuple[str, FloatArray, list[str] | None]]
) -> ChannelData:
    parts = [values for _, values, _ in blocks]
    # One part is used as it is: concatenate would copy the whole channel. Of mixed types it makes float64.
    values = parts[0] if len(parts) == 1 else np.concatenate(parts)
    named = all(names is not None for _, _, names in blocks)
    names = [name for _, _, names in blocks for name in names or ()] if named else None
    n_rows, width = values.shape
    logger.info(
        f"channel {channel.name!r}: {n_rows} rows of {width} values ({values.dtype}) from {len(blocks)} files"
    )
    return ChannelData(channel.name, values, names, [(file, len(part)) for file, part, _ in blocks])


def _channel_files(channel: InputChannel) -> list[Path]:
    if not channel.folder.is_dir():
        raise ValueError(
            f"Channel {channel.name!r} has no data: there is no folder input/data/{channel.name}."
        )
    files = [path for path in channel.folder.rglob("*") if path.is_file()]
    # By the text of the path, so that the order of rows is the same on every platform.
    return sorted(files, key=lambda path: path.relative_to(channel.folder).as_posix())


def _read_file(
    path: Path, media: str, label_size: Literal[0, 1], width: int | None
) -> tuple[FloatArray, list[str] | None]:
    """Return the rows of a file, and their names if they have any."""
    with path.open("rb") as file:
        if file.read(2) == _GZIP_MAGIC:
            raise ArtifactError("it is compressed with gzip. Upload it uncompressed.")
        file.seek(0)
        if media == "text/csv":
            rows = read_csv(
                file,
                label_size=label_size,
                n_timepoints=width,
                max_bytes=_MAX_BYTES,
                max_line_bytes=_MAX_ROW_BYTES,
            )
            return rows.values, rows.names
        if media == "application/x-recordio-protobuf":
            values = read_recordio(
                file, n_features=width, max_bytes=_MAX_BYTES, max_record_bytes=_MAX_ROW_BYTES
            ).values
            # int32 tensors become float64, which represents each of their values exactly.
            return values.astype(np.float32 if values.dtype == np.float32 else np.float64, copy=False), None
        return decode_rows(file.read(), media, n_timepoints=width, max_bytes=_MAX_BYTES), None


def _declared_label_size(channel: str, content_type: str) -> Literal[0, 1] | None:
    """Return the parameter label_size of a content type, or None."""
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "label_size":
            if value.strip() not in ("0", "1"):
                raise ValueError(
                    f"Channel {channel!r}: label_size of the content type must be 0 or 1. "
                    f"Got {value.strip()!r} instead."
                )
            return 1 if value.strip() == "1" else 0
    return None
