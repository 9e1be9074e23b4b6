"""An index as one file, and back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shapecluster._core.index.inverted_lists import InvertedLists
from shapecluster.exceptions import ArtifactError
from shapecluster.formats import read_arrays, write_arrays
from shapecluster.neighbors._faiss import lists_for
from shapecluster.neighbors._spaces import METRICS

if TYPE_CHECKING:
    from shapecluster.neighbors._index_rows import IndexedRows

KIND = "shapecluster index"


def save_index(index: IndexedRows, path: str | os.PathLike[str]) -> None:
    """Write a fitted index; see `ClusterIndex.save`."""
    metric, cells = index._metric, index._cells
    arrays = {"centres": metric.centers, "starts": cells.starts, "ids": cells.ids, "reach": cells.reach}
    arrays |= metric.arrays(index._space.rows)
    settings = {
        "metric": metric.name,
        "metric_settings": metric.settings,
        "n_probe": index.n_probe_,
        "n_neighbors": int(index.n_neighbors),
        "next_id": index._next_id,
    }
    names = getattr(index, "series_names_in_", None)
    if names is not None:
        settings["names"], told = _told(names)
        arrays |= told
    write_arrays(path, KIND, settings, arrays)


def load_index(index: IndexedRows, path: str | os.PathLike[str]) -> None:
    """Give an unfitted index what a file holds; see `ClusterIndex.load`."""
    file = read_arrays(path, KIND)
    settings, arrays = file.settings, file.arrays
    try:
        kind = METRICS[settings["metric"]]
        metric = kind(arrays["centres"], None, **settings["metric_settings"])
        rows = metric.rows_of(arrays)
        n_rows = int(rows.shape[0]) if hasattr(rows, "shape") else len(rows)
        cells = InvertedLists(arrays["starts"].astype(np.intp), arrays["ids"], arrays["reach"])
        _check(cells, n_rows, len(metric.centers))
        if metric.width(rows) != metric.centers.shape[1:]:
            raise ValueError(f"rows of shape {metric.width(rows)} are not as the centers")
        metric.dtype = rows.dtype
        index.n_neighbors, index.n_probe = int(settings["n_neighbors"]), int(settings["n_probe"])
        index.metric = index.metric_ = metric.name
        index.n_probe_, index._next_id = index.n_probe, int(settings["next_id"])
        index._metric, index._cells = metric, cells
        index.n_samples_fit_, index.n_features_in_ = n_rows, int(metric.centers.shape[1])
        index._space = metric.space(rows, 1)
        index._lists = lists_for(index.backend, index._space, cells)
        if "names" in settings:
            index.series_names_in_ = _names(settings["names"], arrays, n_rows)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ArtifactError(
            f"The file is whole, but holds no index that this version can use: {error!r}. Make it anew."
        ) from error


def _check(cells: InvertedLists, n_rows: int, n_cells: int) -> None:
    starts = cells.starts
    if len(starts) != n_cells + 1 or starts[0] != 0 or starts[-1] != n_rows or (np.diff(starts) < 0).any():
        raise ValueError("the cells do not add up to the rows")
    if not len(cells.ids) == len(cells.reach) == n_rows or len(np.unique(cells.ids)) != n_rows:
        raise ValueError("there is not one id for each row")


def _told(names: NDArray[np.object_]) -> tuple[str, dict[str, NDArray[Any]]]:
    """Names as arrays: integers as they are, strings as UTF-8 one after the other."""
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


def _names(kind: str, arrays: dict[str, NDArray[Any]], n_rows: int) -> NDArray[np.object_]:
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
