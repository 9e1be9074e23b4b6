"""Parallel arrays in named tuples, and positions within sorted groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np

from shapecluster._typing import BoolArray, IntArray

_Arrays = TypeVar("_Arrays", bound=NamedTuple)


def take(arrays: _Arrays, selected: IntArray | BoolArray | slice) -> _Arrays:
    """Select the same entries of every array of a named tuple."""
    return arrays._make(array[selected] for array in arrays)


def joined(parts: Sequence[_Arrays]) -> _Arrays:
    """Concatenate named tuples array by array; there must be at least one."""
    return parts[0]._make(np.concatenate(column) for column in zip(*parts, strict=True))


def rank_in_group(groups: IntArray) -> IntArray:
    """Count the entries before each one in its own group; `groups` is sorted."""
    return np.arange(len(groups)) - np.searchsorted(groups, groups)


def positions_in(first: IntArray, stop: IntArray) -> IntArray:
    """Concatenate the positions of several ranges; those with `stop` <= `first` are empty."""
    sizes = np.maximum(stop - first, 0)
    ends = np.cumsum(sizes)
    positions: IntArray = np.arange(sizes.sum()) + np.repeat(first - (ends - sizes), sizes)
    return positions


def runs(values: IntArray) -> Iterator[slice]:
    """Yield the ranges of equal values; `values` is sorted, and not negative."""
    starts = np.flatnonzero(np.diff(values, prepend=-1))
    for start, stop in pairwise([*starts.tolist(), len(values)]):
        yield slice(start, stop)
