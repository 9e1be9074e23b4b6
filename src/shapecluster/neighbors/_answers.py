"""Answers of neighbor searches in scikit-learn's form, and checks of their arguments."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapecluster._arrays import take
from shapecluster._core.index.collect import Hits
from shapecluster._typing import Float64Array, FloatArray, IntArray, is_integer


def check_count(name: str, value: Any) -> int:
    """Check a positive integer."""
    count = _as_integer(name, value)
    if count < 1:
        raise ValueError(f"Expected 1 <= {name}. Got {count} instead.")
    return count


def check_n_neighbors(value: Any, available: int, n_samples_fit: int) -> int:
    """Check a number of neighbors against the number of rows to choose from."""
    count = _as_integer("n_neighbors", value)
    if not 1 <= count <= available:
        raise ValueError(
            f"Expected 1 <= n_neighbors <= {available}, the number of rows to choose from. Got n_neighbors = "
            f"{count}, n_samples_fit = {n_samples_fit} instead."
        )
    return count


def _as_integer(name: str, value: Any) -> int:
    # True would pass for 1: a caller who counts arguments wrongly must hear of it.
    if not is_integer(value):
        raise TypeError(f"{name} must be an integer. Got {value!r} instead.")
    return int(value)


def check_radius(radius: Any) -> float:
    """Check a radius."""
    if not isinstance(radius, Real) or isinstance(radius, bool) or not float(radius) >= 0:
        raise ValueError(f"radius must be a number that is not negative. Got {radius!r} instead.")
    return float(radius)


def check_flags(**flags: Any) -> None:
    """Check options that are True or False: a number in the place of one is a miscounted argument."""
    for name, value in flags.items():
        if not isinstance(value, (bool, np.bool_)):
            raise TypeError(f"{name} must be True or False. Got {value!r} instead.")


def store_names(estimator: Any, names: Any) -> None:
    """Keep the names of the rows in `series_names_in_`, and none of an earlier fit if there are none."""
    vars(estimator).pop("series_names_in_", None)
    if names is not None:
        estimator.series_names_in_ = np.asarray(names, dtype=object)


def radius_answer(
    hits: Hits,
    n_queries: int,
    cast: Callable[[Float64Array], FloatArray],
    *,
    return_distance: bool,
    sort_results: bool,
) -> NDArray[np.object_] | tuple[NDArray[np.object_], NDArray[np.object_]]:
    """Return the hits of a radius search as one array of distances and ids for each query."""
    if not sort_results:
        hits = take(hits, np.lexsort((hits.ids, hits.queries)))
    bounds = np.searchsorted(hits.queries, np.arange(1, n_queries))
    ids = _ragged(hits.ids, bounds)
    return (_ragged(cast(hits.distances), bounds), ids) if return_distance else ids


def _ragged(values: NDArray[Any], bounds: IntArray) -> NDArray[np.object_]:
    parts = np.split(values, bounds)
    # Not np.array(parts), which makes one matrix of parts that are equally long.
    out: NDArray[np.object_] = np.empty(len(parts), dtype=object)
    out[:] = parts
    return out
