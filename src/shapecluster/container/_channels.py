"""The data of a job: all files of a channel's folder, in the order of their names, as one matrix."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shapecluster._typing import FloatArray
from shapecluster._validation import listing
from shapecluster.container._configuration import InputChannel
from shapecluster.exceptions import ArtifactError
from shapecluster.formats import NamedRows, decode_rows, media_type, read_csv, read_recordio

logger = logging.getLogger("shapecluster.container")

_GZIP = b"\x1f\x8b"
_MOST_BYTES = 1 << 40  # what an instance cannot hold fails for lack of memory, and says so
_MOST_ROW_BYTES = 1 << 27


@dataclass(frozen=True, eq=False)
class ChannelRows:
    """The rows of a channel.

    Attributes
    ----------
    channel : str
        Its name.
    values : ndarray of shape (n_rows, n_values)
        float32 or float64, as the data are.
    names : list of str or None
        The first column, where it holds names.
    files : list of (str, int)
        The files in their order, and how many rows each has.
    """

    channel: str
    values: FloatArray
    names: list[str] | None
    files: list[tuple[str, int]]

    def where(self, row: int) -> str:
        """How to call a row in a message: its name, or its place in a file, counted from 1."""
        if self.names is not None:
            return repr(self.names[row])
        for file, n_rows in self.files:
            if row < n_rows:
                return f"row {row + 1} of {file}"
            row -= n_rows
        raise IndexError(row)

    def check_numbers(self, *, allow_nan: bool = False) -> None:
        """Refuse infinity, and NaN unless it is allowed, naming the rows."""
        bad = np.isinf(self.values) if allow_nan else ~np.isfinite(self.values)
        rows = np.flatnonzero(bad.any(axis=1))
        if len(rows):
            what = "infinite values" if allow_nan else "NaN or infinite values"
            places = listing(f"{self.where(int(r))} ({int(bad[r].sum())} of {bad.shape[1]})" for r in rows)
            raise ValueError(
                f"Channel {self.channel!r} has {what} in {places}. Fill or drop them before training."
            )


def read_rows(channel: InputChannel, *, label_size: int | None = None) -> ChannelRows:
    """Read a channel.

    Parameters
    ----------
    channel : InputChannel
        Where, and in what format.
    label_size : int, default=None
        1: the first column of CSV is the name of the row. What the content type says goes before.

    Raises
    ------
    ValueError
        If there is no row, or a file cannot be read: it is named.
    """
    content_type = channel.content_type
    if not content_type:
        content_type = "text/csv"
        logger.info("channel %r has no content type: text/csv is assumed", channel.name)
    try:
        media = media_type(content_type)
    except ValueError as error:
        raise ValueError(f"Channel {channel.name!r}: {error}") from None
    said = _label_size(channel.name, content_type)
    if said is None:
        said = label_size or 0
    elif label_size is not None and label_size != said:
        raise ValueError(
            f"Channel {channel.name!r}: label_size is {said} in the content type and {label_size} as a "
            "hyperparameter. Give it once."
        )
    if said and media != "text/csv":
        logger.warning("label_size=1 is for text/csv; channel %r is %s", channel.name, media)
    blocks: list[tuple[str, NamedRows | FloatArray]] = []
    width: int | None = None
    for path in _files(channel):
        name = path.relative_to(channel.folder).as_posix()
        try:
            block = _read_file(path, media, said, width)
        except ArtifactError as error:
            raise ArtifactError(f"Channel {channel.name!r}, file {name}: {error}") from error
        width = _values(block).shape[1] if len(_values(block)) else width
        blocks.append((name, block))
    return _joined(channel, blocks)


def _joined(channel: InputChannel, blocks: list[tuple[str, Any]]) -> ChannelRows:
    """The rows of all files that have any."""
    blocks = [(name, block) for name, block in blocks if len(_values(block))]
    if not blocks:
        raise ValueError(
            f"Channel {channel.name!r} has no data: no file with a row below input/data/{channel.name}. "
            "Check the S3 prefix of the channel."
        )
    parts = [_values(block) for _, block in blocks]
    values = parts[0] if len(parts) == 1 else np.concatenate(parts)  # float64 if any file is
    names: list[str] | None = None
    if all(isinstance(block, NamedRows) and block.names is not None for _, block in blocks):
        names = [name for _, block in blocks for name in block.names]
    rows = ChannelRows(channel.name, values, names, [(name, len(_values(block))) for name, block in blocks])
    told = (channel.name, *values.shape, values.dtype, len(blocks))
    logger.info("channel %r: %d rows of %d values (%s) from %d files", *told)
    return rows


def _files(channel: InputChannel) -> list[Path]:
    if not channel.folder.is_dir():
        raise ValueError(
            f"Channel {channel.name!r} has no data: there is no folder input/data/{channel.name}."
        )
    found = [path for path in channel.folder.rglob("*") if path.is_file()]
    return sorted(found, key=lambda path: path.relative_to(channel.folder).as_posix())


def _read_file(path: Path, media: str, label_size: int, width: int | None) -> NamedRows | FloatArray:
    with path.open("rb") as file:
        if file.read(2) == _GZIP:
            raise ArtifactError("it is compressed with gzip. Upload it uncompressed.")
        file.seek(0)
        limits = {"max_bytes": _MOST_BYTES}
        if media == "text/csv":
            return read_csv(
                file,
                label_size=1 if label_size else 0,
                n_timepoints=width,
                max_line_bytes=_MOST_ROW_BYTES,
                **limits,
            )
        if media == "application/x-recordio-protobuf":
            found = read_recordio(file, n_features=width, max_record_bytes=_MOST_ROW_BYTES, **limits).values
            return found.astype(np.float32 if found.dtype == np.float32 else np.float64, copy=False)
        return decode_rows(file.read(), media, n_timepoints=width, **limits)


def _values(block: NamedRows | FloatArray) -> FloatArray:
    return block.values if isinstance(block, NamedRows) else block


def _label_size(channel: str, content_type: str) -> int | None:
    """What the parameter label_size of a content type says; None without one."""
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "label_size":
            if value.strip() not in ("0", "1"):
                raise ValueError(
                    f"Channel {channel!r}: label_size of the content type must be 0 or 1. "
                    f"Got {value.strip()!r} instead."
                )
            return int(value)
    return None
