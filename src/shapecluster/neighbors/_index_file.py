"""The file of an index: parts of a fitted index to bytes, and back."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapecluster._core.index.inverted_lists import InvertedLists
from shapecluster._core.index.search import Space
from shapecluster.exceptions import ArtifactError
from shapecluster.formats import read_arrays, write_arrays
from shapecluster.neighbors._index_metrics import METRICS, IndexMetric

KIND = "shapecluster index"


@dataclass(frozen=True)
class IndexParts:
    """Everything that a file keeps of a fitted index.

    Attributes
    ----------
    metric : IndexMetric
        The metric with the centers.
    cells : InvertedLists
        The stored order of the rows.
    space : Space
        The rows in that order, ready to be searched.
    n_probe, n_neighbors : int
        Defaults of a query.
    next_id : int
        Id of the next row that is added.
    names : ndarray of object, shape (n_rows,), or None
        Names of the rows, by id.
    """

    metric: IndexMetric
    cells: InvertedLists
    space: Space
    n_probe: int
    n_neighbors: int
    next_id: int
    names: NDArray[np.object_] | None


def write_index(path: str | os.PathLike[str], parts: IndexParts) -> None:
    """Write the parts of an index to a file; see `ClusterIndex.save`."""
    metric, cells = parts.metric, parts.cells
    # The keys of the format do not change with the names in the code: old files stay readable.
    arrays = {"centres": metric.centers, "starts": cells.starts, "ids": cells.ids}
    arrays["reach"] = cells.center_distance
    arrays |= metric.to_arrays(parts.space.rows)
    settings: dict[str, Any] = {
        "metric": metric.name,
        "metric_settings": metric.settings,
        "n_probe": parts.n_probe,
        "n_neighbors": parts.n_neighbors,
        "next_id": parts.next_id,
    }
    if parts.names is not None:
        settings["names"], name_arrays = _encode_names(parts.names)
        arrays |= name_arrays
    write_arrays(path, KIND, settings, arrays)


def read_index(path: str | os.PathLike[str]) -> IndexParts:
    """Read the parts of an index from a file; see `ClusterIndex.load`."""
    file = read_arrays(path, KIND)
    settings, arrays = file.settings, file.arrays
    try:
        kind = METRICS[settings["metric"]]
        metric = kind(arrays["centres"], None, **settings["metric_settings"])
        rows = metric.from_arrays(arrays)
        n_rows = int(rows.shape[0]) if hasattr(rows, "shape") else len(rows)
        cells = InvertedLists(arrays["starts"].astype(np.intp), arrays["ids"], arrays["reach"])
        _check_cells(cells, n_rows, len(metric.centers))
        if metric.row_shape(rows) != metric.centers.shape[1:]:
            raise ValueError(f"rows of shape {metric.row_shape(rows)} are not as the centers")
        metric.dtype = rows.dtype
        return IndexParts(
            metric=metric,
            cells=cells,
            space=metric.space(rows, 1),
            n_probe=int(settings["n_probe"]),
            n_neighbors=int(settings["n_neighbors"]),
            next_id=int(settings["next_id"]),
            names=_decode_names(settings["names"], arrays, n_rows) if "names" in settings else None,
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        # The checksum was right, so another version wrote this file, or someone else.
        raise ArtifactError(
            f"The file is not damaged, but holds no index that this version can use: {error!r}. Fit and save "
            "the index again."
        ) from error


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
