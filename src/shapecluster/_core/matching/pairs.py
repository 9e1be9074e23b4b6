"""All pairs of portfolios that match, without comparing all pairs.

Tickers are put in an order, the rarest first. Two portfolios of sizes a and b that share at least t tickers
share at least l of their first a - t + l and b - t + l tickers [1]_. So both are filed under each l of these
first ones, and only portfolios filed together are compared. A larger l files a portfolio under more, and
compares less: l grows until comparing what is left costs less than filing anew. The largest l files
portfolios under all that they may share, and then nearly everything found is a match.

.. [1] J. Wang, G. Li, J. Feng: Can we beat the prefix filtering? SIGMOD 2012.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from shapecluster._core.matching.criterion import Masses, MatchCriterion
from shapecluster._core.matching.distinct import Distinct, row_sums
from shapecluster._typing import Float64Array, IntArray

BLOCK_PAIRS = 1 << 18
"""Pairs that are compared at a time."""

_MAX_BANDS = 32
_MOST_SUBSETS = 256  # under which one portfolio is filed
_TICKERS_OF_QUANTITIES = 2  # at a time, where quantities count
_FILED_PER_COMPARED = 1.0  # what filing under one more subset costs, in comparisons


@dataclass(frozen=True)
class Filed:
    """Portfolios under subsets of their holdings: parallel arrays of rows and of keys of the subsets."""

    rows: IntArray
    keys: NDArray[np.uint64]


def matching_pairs(
    distinct: Distinct, rule: MatchCriterion, block_pairs: int = BLOCK_PAIRS
) -> tuple[IntArray, IntArray, Masses]:
    """Find all pairs of distinct portfolios of which at least one matches the other.

    Parameters
    ----------
    distinct : Distinct
        Portfolios.
    rule : MatchCriterion
        What matches.
    block_pairs : int
        Pairs that are compared at a time. The answer does not depend on it.

    Returns
    -------
    lighter, heavier : ndarray of shape (n_pairs,)
        Distinct portfolios, the one of lower number first.
    shared : ndarray of shape (n_pairs,)
        The mass that they share.
    """
    join = _Join(distinct, rule)
    found = [(np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0))]
    for left, right in _bands(distinct, rule):
        for i, j in join.candidates(left, right, block_pairs):
            shared = join.shared(i, j)
            enough = shared >= rule.needed_either_way(distinct.masses[i], distinct.masses[j])
            found.append((i[enough], j[enough], shared[enough]))
    lighter, heavier, shared = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return lighter, heavier, shared if rule.weighted else shared.astype(np.int64)


def _bands(distinct: Distinct, rule: MatchCriterion) -> Iterator[tuple[slice, slice]]:
    """Rows of about one mass, and the rows from there on that may match them."""
    masses = distinct.masses
    edges = np.flatnonzero(np.diff(masses, prepend=-1))
    if len(edges) > _MAX_BANDS:
        edges = np.unique(np.linspace(0, len(masses), _MAX_BANDS, endpoint=False).astype(np.intp))
    for start, stop in pairwise([*edges, len(masses)]):
        lightest, heaviest = masses[start : start + 1], masses[stop - 1 : stop]
        first = start
        if not rule.weighted and lightest == heaviest <= rule.needed(lightest, lightest):
            first = stop  # of one size, they would have to be identical
        # Either may ask, and the lighter one is the more generous: its window is that of both.
        last = distinct.rows_between(0, rule.window(heaviest[0])[1])[1]
        if first < last:
            yield slice(start, stop), slice(first, last)


class _Join:
    """Files portfolios, and compares those that are filed together."""

    def __init__(self, distinct: Distinct, rule: MatchCriterion) -> None:
        self.rule = rule
        self.masses = distinct.masses
        self.compared = distinct.rows
        holders = np.bincount(distinct.rows.indices, minlength=distinct.rows.shape[1])
        rank = np.empty(len(holders), dtype=distinct.rows.indices.dtype)
        rank[np.argsort(holders, kind="stable")] = np.arange(len(holders))
        self.rows = distinct.rows.copy()
        self.rows.indices = rank[self.rows.indices]
        self.rows.has_sorted_indices = False
        self.rows.sort_indices()
        self.sizes = np.diff(self.rows.indptr)
        self.keys = np.random.default_rng(0).integers(2**64, size=len(holders), dtype=np.uint64)

    def candidates(self, left: slice, right: slice, block_pairs: int) -> Iterator[tuple[IntArray, IntArray]]:
        """Pairs of a row of `left` and a later one of `right` that may match; each pair once."""
        for mine, theirs in self._filings(left, right):
            yield from _filed_together(mine, theirs, left, right, block_pairs)

    def shared(self, i: IntArray, j: IntArray) -> Float64Array:
        """What pairs of rows share."""
        a, b = self.compared[i], self.compared[j]
        product = not self.rule.weighted or self.rule.metric == "cosine"
        return row_sums(a.multiply(b) if product else a.minimum(b))

    def _filings(self, left: slice, right: slice) -> Iterator[tuple[Filed, Filed]]:
        """Both sides, filed so that all pairs that match are together in one filing, and in one only."""
        lightest = self.masses[left.start : left.start + 1]
        if self.rule.weighted:
            return self._filings_of_quantities(left, right, lightest[0])
        own, other = self.masses[left], self.masses[right]
        needed = (
            self.rule.needed_either_way(own, np.maximum(own, self.masses[right.start])),
            self.rule.needed_either_way(np.broadcast_to(lightest, other.shape), other),
        )
        spare = own - needed[0], other - needed[1]
        top = max(int(needed[0].min()), int(needed[1].min()))
        level = 1
        while True:
            filed = self._filed(left, spare[0], level), self._filed(right, spare[1], level)
            if level >= top or not _pays(*filed, spare, level):
                return iter([filed])
            level += 1

    def _filings_of_quantities(
        self, left: slice, right: slice, lightest: float
    ) -> Iterator[tuple[Filed, Filed]]:
        """Under several tickers at a time, but rows of which fewer may be enough under single ones."""
        level = _TICKERS_OF_QUANTITIES
        mine, theirs = self._spare_of(left, level), self._spare_of(right, level, lightest)
        yield self._filed(left, mine, level), self._filed(right, theirs, level)
        single = self._spare_of(left, 1), self._spare_of(right, 1, lightest)
        every, few = self._filed(right, single[1], 1), np.where(theirs < 0, single[1], -1)
        yield self._filed(left, np.where(mine < 0, single[0], -1), 1), every
        yield self._filed(left, np.where(mine < 0, -1, single[0]), 1), self._filed(right, few, 1)

    def _filed(self, rows: slice, spare: IntArray, level: int) -> Filed:
        """Rows under every `level` of their first `spare + level` tickers."""
        lengths = np.where(spare < 0, 0, np.minimum(spare + level, self.sizes[rows]))
        found_rows, found_keys = [np.zeros(0, np.intp)], [np.zeros(0, np.uint64)]
        for length in np.unique(lengths[lengths >= level]):
            chosen = np.flatnonzero(lengths == length) + rows.start
            first = self.rows.indices[self.rows.indptr[chosen][:, None] + np.arange(length)]
            codes = np.ascontiguousarray(self.keys[first].T)
            for subset in combinations(codes, level):
                found_rows.append(chosen)
                found_keys.append(np.add.reduce(subset))
        return Filed(np.concatenate(found_rows), np.concatenate(found_keys))

    def _spare_of(self, rows: slice, level: int, lightest: float | None = None) -> IntArray:
        """How many tickers beyond `level` have to be taken from the front, the rarest, of each row.

        Two rows that match share `level` of those in front: with fewer, even the heaviest of the row together
        with all that come behind would not be enough. -1 where fewer may be enough in any case. `lightest`
        is the least mass of those who may match the rows, where that is what counts.
        """
        spare = np.full(rows.stop - rows.start, -1, dtype=np.intp)
        for size in np.unique(self.sizes[rows]):
            chosen = np.flatnonzero(self.sizes[rows] == size)
            data = self.rows.data[self.rows.indptr[chosen + rows.start][:, None] + np.arange(size)]
            if self.rule.metric == "cosine":
                data = data * data
            from_here = np.cumsum(data[:, ::-1], axis=1)[:, ::-1]
            counted = from_here[:, 0]
            if lightest is not None and self.rule.metric in ("overlap", "containment"):
                counted = np.minimum(counted, lightest)
            enough = counted * self.rule.prefix_share()
            heaviest = np.sort(data, axis=1)[:, ::-1][:, : level - 1].sum(axis=1)
            front = 1 + np.sum(from_here[:, 1:] + heaviest[:, None] >= enough[:, None], axis=1)
            spare[chosen] = np.where(heaviest >= enough, -1, np.maximum(front - level, 0))
        return spare


def _filed_together(
    mine: Filed, theirs: Filed, left: slice, right: slice, block_pairs: int
) -> Iterator[tuple[IntArray, IntArray]]:
    """Rows of both sides that have a subset in common, block by block."""
    subsets, filed_at = np.unique(theirs.keys, return_inverse=True)
    if not len(subsets):
        return
    at = np.minimum(subsets.searchsorted(mine.keys), len(subsets) - 1)
    known = subsets[at] == mine.keys
    a = _incidence(mine.rows[known] - left.start, at[known], (left.stop - left.start, len(subsets)))
    b = _incidence(filed_at.ravel(), theirs.rows - right.start, (len(subsets), right.stop - right.start))
    work = a @ np.diff(b.indptr).astype(np.int64)
    for block in _blocks_of(work, block_pairs):
        together = a[block] @ b
        i = np.repeat(np.arange(block.start, block.stop), np.diff(together.indptr)) + left.start
        j = together.indices.astype(np.intp) + right.start
        later = i < j
        i, j = i[later], j[later]
        for start in range(0, len(i), block_pairs):
            part = slice(start, start + block_pairs)
            yield i[part], j[part]


def _pays(mine: Filed, theirs: Filed, spare: tuple[IntArray, IntArray], level: int) -> bool:
    """Whether filing under one more ticker costs less than comparing all that are filed together now."""
    after = sum(_subsets(side, level + 1) for side in spare)
    if max(math.comb(int(side.max(initial=0)) + level + 1, level + 1) for side in spare) > _MOST_SUBSETS:
        return False
    subsets, counts = np.unique(theirs.keys, return_counts=True)
    if not len(subsets):
        return False
    at = np.minimum(subsets.searchsorted(mine.keys), len(subsets) - 1)
    together = int(counts[at][subsets[at] == mine.keys].sum())
    return together > _FILED_PER_COMPARED * after


def _subsets(spare: IntArray, level: int) -> int:
    counts = np.bincount(spare[spare >= 0])
    return sum(int(count) * math.comb(extra + level, level) for extra, count in enumerate(counts))


def _incidence(rows: IntArray, columns: IntArray, shape: tuple[int, int]) -> Any:
    """1 where a row is filed; 2 or more where two of its subsets have one key, which is rare."""
    return sparse.csr_matrix((np.ones(len(rows), dtype=np.int32), (rows, columns)), shape=shape)


def _blocks_of(work: NDArray[np.int64], most: int) -> Iterator[slice]:
    """Consecutive rows with at most so much work together, or one row; rows without work are left out."""
    done = np.concatenate([[0], np.cumsum(work)])
    start = int(np.searchsorted(done, 0, side="right")) - 1
    while start < len(work):
        stop = max(start + 1, int(np.searchsorted(done, done[start] + most, side="right")) - 1)
        yield slice(start, stop)
        start = stop


def traders_of_pairs(
    distinct: Distinct, first: IntArray, second: IntArray
) -> tuple[IntArray, IntArray, IntArray]:
    """All traders who hold `first[p]`, each with all who hold `second[p]`; and p itself."""
    counts = distinct.counts
    pair = np.repeat(np.arange(len(first)), counts[first] * counts[second])
    at = _within(counts[first] * counts[second])
    others = counts[second][pair]
    a = distinct.traders[distinct.starts[first[pair]] + at // others]
    b = distinct.traders[distinct.starts[second[pair]] + at % others]
    return a, b, pair


def traders_of_one_kind(distinct: Distinct) -> tuple[IntArray, IntArray]:
    """All pairs of traders who hold the same, the earlier one first."""
    counts = distinct.counts
    later = np.repeat(counts, counts) - 1 - _within(counts)  # in one group, behind each trader
    at = np.repeat(np.arange(len(later)), later)
    return distinct.traders[at], distinct.traders[at + 1 + _within(later)]


def _within(counts: IntArray) -> IntArray:
    """0 to count - 1, for one count after the other."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) - np.repeat(ends - counts, counts)
