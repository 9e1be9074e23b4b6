"""Read a channel: all files of its folder, in the order of their names, as one matrix."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from shapecluster._text import listing
from shapecluster._typing import FloatArray
from shapecluster.container._configuration import InputChannel
from shapecluster.exceptions import ArtifactError
from shapecluster.formats import NamedRows, decode_rows, media_type, read_csv, read_recordio

logger = logging.getLogger("shapecluster.container")

_GZIP_MAGIC = b"\x1f\x8b"
# The user's own data need no limit: a channel beyond the memory fails with that reason.
_MAX_BYTES = 1 << 40
_MAX_ROW_BYTES = 1 << 27


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
    blocks: list[tuple[str, NamedRows | FloatArray]] = []
    width: int | None = None
    for path in _channel_files(channel):
        name = path.relative_to(channel.folder).as_posix()
        try:
            block = _read_file(path, media, declared, width)
        except ArtifactError as error:
            raise ArtifactError(f"Channel {channel.name!r}, file {name}: {error}") from error
        width = _values(block).shape[1] if len(_values(block)) else width
        blocks.append((name, block))
    return _concatenate(channel, blocks)


def _concatenate(channel: InputChannel, blocks: list[tuple[str, NamedRows | FloatArray]]) -> ChannelData:
    blocks = [(file, block) for file, block in blocks if len(_values(block))]
    if not blocks:
        raise ValueError(
            f"Channel {channel.name!r} has no data: no file with a row below input/data/{channel.name}. "
            "Check the S3 prefix of the channel."
        )
    parts = [_values(block) for _, block in blocks]
    # One part is used as it is: concatenate would copy the whole channel. Of mixed types it makes float64.
    values = parts[0] if len(parts) == 1 else np.concatenate(parts)
    named = [block.names for _, block in blocks if isinstance(block, NamedRows) and block.names is not None]
    names = [name for part in named for name in part] if len(named) == len(blocks) else None
    data = ChannelData(channel.name, values, names, [(file, len(_values(block))) for file, block in blocks])
    logger.info(
        "channel %r: %d rows of %d values (%s) from %d files",
        channel.name,
        *values.shape,
        values.dtype,
        len(blocks),
    )
    return data


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
) -> NamedRows | FloatArray:
    with path.open("rb") as file:
        if file.read(2) == _GZIP_MAGIC:
            raise ArtifactError("it is compressed with gzip. Upload it uncompressed.")
        file.seek(0)
        if media == "text/csv":
            return read_csv(
                file,
                label_size=label_size,
                n_timepoints=width,
                max_bytes=_MAX_BYTES,
                max_line_bytes=_MAX_ROW_BYTES,
            )
        if media == "application/x-recordio-protobuf":
            values = read_recordio(
                file, n_features=width, max_bytes=_MAX_BYTES, max_record_bytes=_MAX_ROW_BYTES
            ).values
            # int32 tensors become float64, which represents each of their values exactly.
            return values.astype(np.float32 if values.dtype == np.float32 else np.float64, copy=False)
        return decode_rows(file.read(), media, n_timepoints=width, max_bytes=_MAX_BYTES)


def _values(block: NamedRows | FloatArray) -> FloatArray:
    return block.values if isinstance(block, NamedRows) else block


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
