from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from shapecluster._arrays import joined, rank_in_group, runs, take


class Pairs(NamedTuple):
    rows: np.ndarray
    values: np.ndarray


def test_entries_stay_together_when_parts_are_joined_and_selected():
    whole = joined([Pairs(np.array([1, 2]), np.array([0.1, 0.2])), Pairs(np.array([3]), np.array([0.3]))])
    assert isinstance(whole, Pairs)
    for selected in (np.array([2, 0]), np.array([True, False, True])):
        some = take(whole, selected)
        np.testing.assert_allclose(some.values, some.rows / 10)
    assert take(whole, slice(1, 3)).rows.tolist() == [2, 3]


@pytest.mark.parametrize("values", [[], [0], [0, 0, 2, 5, 5, 5]])
def test_runs_cover_sorted_values_group_by_group(values):
    groups = np.array(values, dtype=np.intp)
    parts = [groups[run] for run in runs(groups)]
    assert [part[0] for part in parts] == sorted(set(values))
    assert all((part == part[0]).all() for part in parts)
    assert sum(map(len, parts)) == len(values)
    np.testing.assert_array_equal(rank_in_group(groups), [i for part in parts for i in range(len(part))])
