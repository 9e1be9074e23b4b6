"""The input of a job: its hyperparameters, and its channels, each of which is read as one matrix."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from shapecluster._text import listing
from shapecluster._typing import FloatArray
from shapecluster.container._files import CONFIGURATION, DATA, parse_object
from shapecluster.exceptions import ArtifactError
from shapecluster.formats import decode_rows, media_type, read_csv, read_recordio
from shapecluster.formats._parsers import content_parameters

logger = logging.getLogger("shapecluster.container")

_MAX_CONFIGURATION = 1 << 24  # bytes
# No slash and no leading dot: the name becomes the name of a folder.
_CHANNEL_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_GZIP_MAGIC = b"\x1f\x8b"
# The user's own data need no limit: a channel beyond the memory fails with that reason.
_MAX_BYTES = 1 << 40
_MAX_ROW_BYTES = 1 << 27


@dataclass(frozen=True)
class JobInput:
    """A training job as the platform configured it.

    Attributes
    ----------
    root : Path
        The folder that contains the input and the output.
    hyperparameters : dict of str to str
        The hyperparameters as strings.
    channels : dict of str to str
        The content type of each channel by its name; an empty string if the configuration has none.
    """

    root: Path
    hyperparameters: dict[str, str]
    channels: dict[str, str]

    def train_channel(self, optional: set[str]) -> str:
        """Return the name of the channel to train on: the only one that is not among the `optional` ones."""
        candidates = [name for name in self.channels if name not in optional]
        if len(candidates) != 1:
            raise ValueError(
                f"A job of this algorithm must have a channel 'train', and may have "
                f"{', '.join(sorted(optional))}. "
                f"Got {', '.join(map(repr, candidates)) or 'no channel to train on'} instead."
            )
        return candidates[0]


def read_job(root: Path) -> JobInput:
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
    channels = {name: _content_type(name, value) for name, value in settings.items()}
    return JobInput(root, hyperparameters, channels)


def _content_type(name: str, settings: Any) -> str:
    """Check the configuration of a channel, and return its content type."""
    if not isinstance(settings, Mapping) or not _CHANNEL_NAME.fullmatch(name):
        raise ValueError(f"inputdataconfig.json: {name!r} is not a valid channel. Check how it was written.")
    for key, readable in (("TrainingInputMode", ("File", "FastFile")), ("RecordWrapperType", ("None",))):
        value = settings.get(key) or readable[0]
        if value not in readable:
            raise ValueError(
                f"Channel {name!r}: this program needs files that are not wrapped. "
                f"{key} must be {' or '.join(readable)}. Got {value!r} instead."
            )
    return str(settings.get("ContentType") or "")


def _read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object; an absent file is an empty one."""
    if not path.exists():
        return {}
    if path.stat().st_size > _MAX_CONFIGURATION:
        raise ValueError(f"{path.name} must have at most {_MAX_CONFIGURATION:,} bytes, and has more.")
    return parse_object(path.read_bytes(), path.name)


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


def read_channel(job: JobInput, name: str, *, label_size: Literal[0, 1] | None = None) -> ChannelData:
    """Read a channel.

    Parameters
    ----------
    job : JobInput
        The job, which has the channel.
    name : str
        The name of the channel.
    label_size : {0, 1}, default=None
        1: the first column of CSV is the name of the row. The content type may state it instead.

    Raises
    ------
    ValueError
        If the channel has no row, or a file cannot be read. The message names the file.
    """
    content_type = job.channels[name]
    if not content_type:
        content_type = "text/csv"
        logger.info("channel %r has no content type: it is read as text/csv", name)
    try:
        media = media_type(content_type)
        label_size = _label_size(content_type, label_size)
    except ValueError as error:
        raise ValueError(f"Channel {name!r}: {error}") from None
    if label_size and media != "text/csv":
        logger.warning("label_size=1 is for text/csv; channel %r is %s", name, media)
    parts: list[FloatArray] = []
    names: list[str] = []
    files: list[tuple[str, int]] = []
    width: int | None = None
    folder = job.root / DATA / name
    # By the text of the path, so that the order of rows is the same on every platform.
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    for file, path in sorted(paths.items()):
        try:
            values, row_names = _read_file(path, media, label_size, width)
        except ArtifactError as error:
            raise ArtifactError(f"Channel {name!r}, file {file}: {error}") from error
        if len(values):
            width = values.shape[1]
            parts.append(values)
            names += row_names or ()
            files.append((file, len(values)))
    if not parts:
        absent = "no file with a row below" if folder.is_dir() else "there is no folder"
        raise ValueError(
            f"Channel {name!r} has no data: {absent} input/data/{name}. Check the S3 prefix of the channel."
        )
    # One part is used as it is: concatenate would copy the whole channel. Of mixed types it makes float64.
    values = parts[0] if len(parts) == 1 else np.concatenate(parts)
    n_rows, width = values.shape
    logger.info(f"channel {name!r}: {n_rows} rows of {width} values ({values.dtype}) from {len(parts)} files")
    return ChannelData(name, values, names or None, files)


def _label_size(content_type: str, hyperparameter: Literal[0, 1] | None) -> Literal[0, 1]:
    """Return the number of columns of names, which the content type or a hyperparameter may state."""
    stated = [value for key, value in content_parameters(content_type) if key == "label_size"]
    if not stated:
        return hyperparameter or 0
    if stated[0] not in ("0", "1"):
        raise ValueError(f"label_size of the content type must be 0 or 1. Got {stated[0]!r} instead.")
    if hyperparameter not in (None, int(stated[0])):
        raise ValueError(
            f"label_size is {stated[0]} in the content type and {hyperparameter} as a hyperparameter. "
            "Give it once."
        )
    return 1 if stated[0] == "1" else 0


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
