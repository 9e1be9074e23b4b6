"""All pairs of portfolios that match, found by prefix filtering instead of comparing all pairs.

The tickers have a fixed order, the rarest first. Suppose that two portfolios of sizes a and b share at least
t tickers. Then for each level l they share at least l of their first a - t + l and b - t + l tickers [1]_.
These first tickers are the *prefix* of level l. The index lists each portfolio under every subset of l
tickers of its prefix, and only portfolios with a common subset are compared.

A higher level lists each portfolio under more subsets and leaves fewer pairs to compare. The level rises
until the next index costs more than the comparisons that are left. At the highest level, l = t, nearly every
pair found is a match.

.. [1] J. Wang, G. Li, J. Feng: Can we beat the prefix filtering? SIGMOD 2012.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from shapecluster._arrays import joined, positions_in, take
from shapecluster._core.matching.criterion import MatchCriterion, Weight, Weights
from shapecluster._core.matching.distinct import DistinctPortfolios, row_sums
from shapecluster._typing import Float64Array, IntArray

_PAIRS_PER_BLOCK = 1 << 18  # compared at a time: it bounds the memory of a comparison
_MAX_BANDS = 32  # each band builds an index of its own
_MAX_SUBSETS = 256  # per portfolio and index: it bounds the memory of an index
_QUANTITY_LEVEL = 2  # with quantities, the number of tickers that must be shared is unknown, so it is fixed
_INDEX_COST = 1.0  # of listing a portfolio under one subset, in comparisons of a pair


class MatchingPairs(NamedTuple):
    """Pairs of rows of `DistinctPortfolios`, the lower row first, and the weight that both hold."""

    lighter: IntArray
    heavier: IntArray
    shared: Weights


class PrefixIndex(NamedTuple):
    """Portfolios listed under subsets of their prefixes: parallel arrays of rows and of subset keys."""

    rows: IntArray
    keys: NDArray[np.uint64]


def matching_pairs(distinct: DistinctPortfolios, criterion: MatchCriterion) -> MatchingPairs:
    """Find all pairs of distinct portfolios of which at least one matches the other."""
    join = _PrefixJoin(distinct, criterion)
    found = [MatchingPairs(np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0))]
    for left, right in _weight_bands(distinct, criterion):
        for left_index, right_index in join.indexes(left, right):
            for i, j in _pairs_with_common_key(left_index, right_index, left, right):
                shared = join.shared_weights(i, j)
                enough = shared >= criterion.min_shared_either_way(distinct.weights[i], distinct.weights[j])
                found.append(take(MatchingPairs(i, j, shared), enough))
    pairs = joined(found)
    return pairs if criterion.uses_quantities else pairs._replace(shared=pairs.shared.astype(np.int64))


def _weight_bands(distinct: DistinctPortfolios, criterion: MatchCriterion) -> Iterator[tuple[slice, slice]]:
    """Rows of similar weight, each with the rows at or above them that can match them."""
    weights = distinct.weights
    edges = np.flatnonzero(np.diff(weights, prepend=-1))
    if len(edges) > _MAX_BANDS:
        edges = np.unique(np.linspace(0, len(weights), _MAX_BANDS, endpoint=False).astype(np.intp))
    for start, stop in pairwise([*edges, len(weights)]):
        lightest, heaviest = weights[start : start + 1], weights[stop - 1 : stop]
        first = start
        same_size = not criterion.uses_quantities and lightest == heaviest
        if same_size and heaviest <= criterion.min_shared(lightest, lightest):
            # Two sets of this size match only if they are identical, and identical ones are one row.
            first = stop
        # The lighter portfolio as the query allows the most, so its range is the range of the pair.
        last = distinct.range_of_weights(0, criterion.weight_range(heaviest[0])[1])[1]
        if first < last:
            yield slice(start, stop), slice(first, last)


class _PrefixJoin:
    """Builds prefix indexes of distinct portfolios, and compares pairs with a common subset."""

    def __init__(self, distinct: DistinctPortfolios, criterion: MatchCriterion) -> None:
        self.criterion = criterion
        self.weights = distinct.weights
        self.rows = distinct.rows
        holders = np.bincount(distinct.rows.indices, minlength=distinct.rows.shape[1])
        rank = np.empty(len(holders), dtype=distinct.rows.indices.dtype)
        rank[np.argsort(holders, kind="stable")] = np.arange(len(holders))
        # The same rows with tickers renumbered by rarity, so that a prefix is a slice.
        self.by_rarity = distinct.rows.copy()
        self.by_rarity.indices = rank[self.by_rarity.indices]
        self.by_rarity.has_sorted_indices = False
        self.by_rarity.sort_indices()
        self.sizes = np.diff(self.by_rarity.indptr)
        # A subset's key is the sum of its tickers' keys. Equal keys of different subsets cost a comparison.
        self.ticker_keys = np.random.default_rng(0).integers(2**64, size=len(holders), dtype=np.uint64)

    def shared_weights(self, i: IntArray, j: IntArray) -> Float64Array:
        """Shared weight of each pair of rows."""
        a, b = self.rows[i], self.rows[j]
        # For sets, the product of two ones is also their minimum.
        product = not self.criterion.uses_quantities or self.criterion.metric == "cosine"
        return row_sums(a.multiply(b) if product else a.minimum(b))

    def indexes(self, left: slice, right: slice) -> Iterator[tuple[PrefixIndex, PrefixIndex]]:
        """Indexes of both sides; every matching pair has a common key in exactly one pair of indexes."""
        lightest = self.weights[left.start : left.start + 1]
        if self.criterion.uses_quantities:
            return self._quantity_indexes(left, right, lightest[0])
        left_weights, right_weights = self.weights[left], self.weights[right]
        # The lightest partner of each row needs the least shared weight, which makes the longest prefix.
        needed = (
            self.criterion.min_shared_either_way(
                left_weights, np.maximum(left_weights, self.weights[right.start])
            ),
            self.criterion.min_shared_either_way(
                np.broadcast_to(lightest, right_weights.shape), right_weights
            ),
        )
        slack = left_weights - needed[0], right_weights - needed[1]
        highest = max(int(needed[0].min()), int(needed[1].min()))
        level = 1
        while True:
            indexes = (
                self._prefix_index(left, slack[0], level),
                self._prefix_index(right, slack[1], level),
            )
            if level >= highest or not _next_prefix_level_is_cheaper(*indexes, slack, level):
                return iter([indexes])
            level += 1

    def _quantity_indexes(
        self, left: slice, right: slice, lightest: Weight
    ) -> Iterator[tuple[PrefixIndex, PrefixIndex]]:
        """Indexes at the level of quantities, and at level 1 for rows that fewer tickers can make match."""
        level = _QUANTITY_LEVEL
        left_slack = self._quantity_slack(left, level)
        right_slack = self._quantity_slack(right, level, lightest)
        yield self._prefix_index(left, left_slack, level), self._prefix_index(right, right_slack, level)
        # Rows with a slack of -1 are in no index above. Each of their pairs is found once: first the pairs
        # with such a row on the left, then those with such a row on the right only.
        left_single, right_single = self._quantity_slack(left, 1), self._quantity_slack(right, 1, lightest)
        left_few = np.where(left_slack < 0, left_single, -1)
        left_others = np.where(left_slack < 0, -1, left_single)
        right_few = np.where(right_slack < 0, right_single, -1)
        yield self._prefix_index(left, left_few, 1), self._prefix_index(right, right_single, 1)
        yield self._prefix_index(left, left_others, 1), self._prefix_index(right, right_few, 1)

    def _prefix_index(self, rows: slice, slack: IntArray, level: int) -> PrefixIndex:
        """List rows under every subset of `level` of their first `slack + level` tickers."""
        lengths = np.where(slack < 0, 0, np.minimum(slack + level, self.sizes[rows]))
        parts = [PrefixIndex(np.zeros(0, np.intp), np.zeros(0, np.uint64))]
        # Rows with prefixes of one length make a rectangular array, so a loop over subsets is enough.
        for length in np.unique(lengths[lengths >= level]):
            chosen = np.flatnonzero(lengths == length) + rows.start
            prefixes = self.by_rarity.indices[self.by_rarity.indptr[chosen][:, None] + np.arange(length)]
            columns = np.ascontiguousarray(self.ticker_keys[prefixes].T)
            for subset in combinations(columns, level):
                parts.append(PrefixIndex(chosen, np.add.reduce(subset)))
        return joined(parts)

    def _quantity_slack(self, rows: slice, level: int, lightest: Weight | None = None) -> IntArray:
        """Prefix length minus `level` of each row, with quantities.

        Two rows that match share at least `level` tickers of their prefixes. With fewer, the largest
        quantities of the row together with all behind the prefix would weigh too little. The slack is -1 if
        fewer than `level` tickers can make a match. `lightest` is the minimum weight of the rows' partners,
        for metrics that depend on the lighter portfolio.
        """
        slack = np.full(rows.stop - rows.start, -1, dtype=np.intp)
        for size in np.unique(self.sizes[rows]):
            chosen = np.flatnonzero(self.sizes[rows] == size)
            data = self.by_rarity.data[self.by_rarity.indptr[chosen + rows.start][:, None] + np.arange(size)]
            if self.criterion.metric == "cosine":
                data = data * data
            from_here = np.cumsum(data[:, ::-1], axis=1)[:, ::-1]
            weight = from_here[:, 0]
            if lightest is not None and self.criterion.metric in ("overlap", "containment"):
                weight = np.minimum(weight, lightest)
            enough = weight * self.criterion.min_match_share()
            largest = np.sort(data, axis=1)[:, ::-1][:, : level - 1].sum(axis=1)
            length = 1 + np.sum(from_here[:, 1:] + largest[:, None] >= enough[:, None], axis=1)
            slack[chosen] = np.where(largest >= enough, -1, np.maximum(length - level, 0))
        return slack


def _pairs_with_common_key(
    left_index: PrefixIndex, right_index: PrefixIndex, left: slice, right: slice
) -> Iterator[tuple[IntArray, IntArray]]:
    """Pairs of a row of `left` and a later row of `right` with a common key, each once, block by block."""
    keys, key_numbers = np.unique(right_index.keys, return_inverse=True)
    if not len(keys):
        return
    at = np.minimum(keys.searchsorted(left_index.keys), len(keys) - 1)
    known = keys[at] == left_index.keys
    a = _incidence(left_index.rows[known] - left.start, at[known], (left.stop - left.start, len(keys)))
    b = _incidence(key_numbers, right_index.rows - right.start, (len(keys), right.stop - right.start))
    work = a @ np.diff(b.indptr).astype(np.int64)
    for block in _blocks_by_work(work, _PAIRS_PER_BLOCK):
        # The sparse product lists each pair once, however many keys it has in common.
        together = a[block] @ b
        i = np.repeat(np.arange(block.start, block.stop), np.diff(together.indptr)) + left.start
        j = together.indices.astype(np.intp) + right.start
        later = i < j
        i, j = i[later], j[later]
        # A single row can have more pairs than a block holds.
        for start in range(0, len(i), _PAIRS_PER_BLOCK):
            part = slice(start, start + _PAIRS_PER_BLOCK)
            yield i[part], j[part]


def _next_prefix_level_is_cheaper(
    left_index: PrefixIndex, right_index: PrefixIndex, slack: tuple[IntArray, IntArray], level: int
) -> bool:
    """Whether an index of the next level costs less than the comparisons that this level leaves."""
    n_entries = sum(_n_subsets(side, level + 1) for side in slack)
    if max(math.comb(int(side.max(initial=0)) + level + 1, level + 1) for side in slack) > _MAX_SUBSETS:
        return False
    keys, counts = np.unique(right_index.keys, return_counts=True)
    if not len(keys):
        return False
    at = np.minimum(keys.searchsorted(left_index.keys), len(keys) - 1)
    n_comparisons = int(counts[at][keys[at] == left_index.keys].sum())
    return n_comparisons > _INDEX_COST * n_entries


def _n_subsets(slack: IntArray, level: int) -> int:
    """Number of entries of an index: a row has one per subset of `level` of its slack + level tickers."""
    counts = np.bincount(slack[slack >= 0])
    return sum(int(count) * math.comb(extra + level, level) for extra, count in enumerate(counts))


def _incidence(rows: IntArray, columns: IntArray, shape: tuple[int, int]) -> Any:
    """1 where a row has a key; more if two of its subsets have the same key, which is rare."""
    return sparse.csr_matrix((np.ones(len(rows), dtype=np.int32), (rows, columns)), shape=shape)


def _blocks_by_work(work: NDArray[np.int64], max_work: int) -> Iterator[slice]:
    """Blocks of consecutive rows with at most `max_work` in total, or with one row."""
    done = np.concatenate([[0], np.cumsum(work)])
    start = int(np.searchsorted(done, 0, side="right")) - 1  # skips leading rows without work
    while start < len(work):
        stop = max(start + 1, int(np.searchsorted(done, done[start] + max_work, side="right")) - 1)
        yield slice(start, stop)
        start = stop


def expand_to_traders(
    distinct: DistinctPortfolios, first: IntArray, second: IntArray
) -> tuple[IntArray, IntArray, IntArray]:
    """Pairs of traders, one from group `first[p]` and one from group `second[p]`; and p of each pair."""
    sizes = distinct.group_sizes
    n_pairs = sizes[first] * sizes[second]
    pair = np.repeat(np.arange(len(first)), n_pairs)
    at = positions_in(np.zeros_like(n_pairs), n_pairs)
    n_second = sizes[second][pair]
    a = distinct.traders[distinct.starts[first[pair]] + at // n_second]
    b = distinct.traders[distinct.starts[second[pair]] + at % n_second]
    return a, b, pair


def identical_trader_pairs(distinct: DistinctPortfolios) -> tuple[IntArray, IntArray]:
    """All pairs of traders with identical portfolios, the earlier trader first."""
    later = np.arange(1, len(distinct.traders) + 1)
    ends = np.repeat(distinct.starts[1:], distinct.group_sizes)
    first = np.repeat(later - 1, ends - later)
    return distinct.traders[first], distinct.traders[positions_in(later, ends)]
