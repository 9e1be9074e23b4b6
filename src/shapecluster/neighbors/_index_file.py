"""The file of an index: the attributes of a fitted index to bytes, and back."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapecluster._core.index.inverted_lists import InvertedLists
from shapecluster.exceptions import ArtifactError
from shapecluster.formats import read_arrays, write_arrays
from shapecluster.neighbors._index_metrics import METRICS

KIND = "shapecluster index"


def write_index(path: str | os.PathLike[str], attributes: Mapping[str, Any]) -> None:
    """Write the attributes of a fitted index to a file; see `ClusterIndex.save`."""
    metric, cells = attributes["_metric"], attributes["_cells"]
    # The keys of the format do not change with the names in the code: old files stay readable.
    arrays = {"centres": metric.centers, "starts": cells.starts, "ids": cells.ids}
    arrays["reach"] = cells.center_distance
    arrays |= metric.to_arrays(attributes["_space"].rows)
    settings: dict[str, Any] = {
        "metric": metric.name,
        "metric_settings": metric.settings,
        "n_probe": attributes["n_probe_"],
        "n_neighbors": int(attributes["n_neighbors"]),
        "next_id": attributes["_next_id"],
    }
    if "series_names_in_" in attributes:
        settings["names"], name_arrays = _encode_names(attributes["series_names_in_"])
        arrays |= name_arrays
    write_arrays(path, KIND, settings, arrays)


def read_index(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the attributes of a fitted index from a file; see `ClusterIndex.load`."""
    file = read_arrays(path, KIND)
    settings, arrays = file.settings, file.arrays
    try:
        kind = METRICS[settings["metric"]]
        metric = kind(arrays["centres"], None, **settings["metric_settings"])
        rows = metric.from_arrays(arrays)
        cells = InvertedLists(arrays["starts"].astype(np.intp), arrays["ids"], arrays["reach"])
        _check_cells(cells, rows.shape[0], len(metric.centers))
        if metric.row_shape(rows) != metric.centers.shape[1:]:
            raise ValueError(f"rows of shape {metric.row_shape(rows)} are not as the centers")
        metric.dtype = rows.dtype
        attributes: dict[str, Any] = {
            "metric": metric.name,
            "metric_": metric.name,
            "n_neighbors": int(settings["n_neighbors"]),
            "n_probe": int(settings["n_probe"]),
            "n_probe_": int(settings["n_probe"]),
            "n_samples_fit_": len(cells.ids),
            "n_features_in_": int(metric.centers.shape[1]),
            "_transformers": [],
            "_metric": metric,
            "_cells": cells,
            "_space": metric.space(rows, 1),
            "_next_id": int(settings["next_id"]),
        }
        if "names" in settings:
            attributes["series_names_in_"] = _decode_names(settings["names"], arrays, rows.shape[0])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        # The checksum was right, so another version wrote this file, or someone else.
        raise ArtifactError(
            f"The file is not damaged, but holds no index that this version can use: {error!r}. Fit and save "
            "the index again."
        ) from error
    return attributes


def _check_cells(cells: InvertedLists, n_rows: int, n_cells: int) -> None:
    starts = cells.starts
    if len(starts) != n_cells + 1 or starts[0] != 0 or starts[-1] != n_rows or (np.diff(starts) < 0).any():
        raise ValueError("the cells do not add up to the rows")
    if not len(cells.ids) == len(cells.center_distance) == n_rows or len(np.unique(cells.ids)) != n_rows:
        raise ValueError("there is not one id for each row")


def _encode_names(names: NDArray[np.object_]) -> tuple[str, dict[str, NDArray[Any]]]:
    """Encode names as arrays: integers as such, strings as UTF-8 without separators."""
    if all(isinstance(name, (int, np.integer)) for name in names):
        return "integers", {"names": names.astype(np.int64)}
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong:
        raise TypeError(
            f"Names of rows must be strings or integers to be saved. Got {wrong[0]!r} instead: use "
            "X.index = X.index.map(str) before fit."
        )
    encoded = [name.encode() for name in names]
    ends = np.cumsum([len(name) for name in encoded], dtype=np.int64)
    return "strings", {"names": np.frombuffer(b"".join(encoded), dtype=np.uint8), "name_ends": ends}


def _decode_names(kind: str, arrays: dict[str, NDArray[Any]], n_rows: int) -> NDArray[np.object_]:
    names = np.empty(n_rows, dtype=object)
    if kind == "integers":
        names[:] = arrays["names"].tolist()
        return names
    text, ends = arrays["names"].tobytes(), arrays["name_ends"].tolist()
    if len(ends) != n_rows:
        raise ValueError("there is not one name for each row")
    starts = [0, *ends[:-1]]
    names[:] = [text[start:end].decode() for start, end in zip(starts, ends, strict=True)]
    return names
