"""Groups of traders who copy a leader: the plan of who copies whom, and the copying itself."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral, Real

import numpy as np

from shapecluster._core.sbd.blocks import row_blocks
from shapecluster._typing import IntArray, is_integer
from shapecluster.datasets._parameters import is_range, require
from shapecluster.datasets._weighted_sampling import (
    BLOCK_CELLS,
    Codes,
    Popularity,
    merge_rows,
    next_by_arrival,
)


@dataclass(frozen=True)
class Copycats:
    """Groups of traders who copy a leader, for `make_portfolios`.

    The leader of a group draws a portfolio as every other trader does. The other traders of the group copy
    it exactly, or sell and buy a few of its tickers. For each copy, the numbers of sales and purchases are
    drawn uniformly from all that `match` and the limits on holdings allow, including none.

    Parameters
    ----------
    n_groups : int
        Number of groups. Each trader belongs to one group at most.
    size : int or tuple of (int, int), default=5
        Number of traders in a group, including the leader. A tuple is a range with both ends included, from
        which sizes are drawn uniformly.
    match : float, default=1.0
        Minimum Jaccard similarity of a copy and its leader (shared tickers over the tickers of either), above
        0. With 0.9, portfolios of fewer than nine tickers can only be copied exactly. Two copies of one
        leader may be less similar to each other.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> from shapecluster.datasets import Copycats
    >>> Copycats(n_groups=50, size=(2, 6), match=0.8)
    Copycats(n_groups=50, size=(2, 6), match=0.8)
    """

    n_groups: int
    size: int | tuple[int, int] = 5
    match: float = 1.0

    def __post_init__(self) -> None:
        n_groups, size, match = self.n_groups, self.size, self.match
        holds = is_integer(n_groups) and n_groups >= 1
        require(holds, "Copycats", "n_groups", "be a whole number of at least 1", repr(n_groups))
        expected = "be at least 2: a whole number, or two, the smaller first"
        require(is_range(self.sizes, Integral, 2), "Copycats", "size", expected, repr(size))
        holds = isinstance(match, Real) and not isinstance(match, bool) and 0 < match <= 1
        require(holds, "Copycats", "match", "be a number above 0 and at most 1", repr(match))

    @property
    def sizes(self) -> tuple[int, int]:
        """Minimum and maximum number of traders in a group."""
        return self.size if isinstance(self.size, tuple) else (self.size, self.size)


@dataclass(frozen=True)
class CopyPlan:
    """Who copies whom.

    Attributes
    ----------
    group : ndarray of int of shape (n_traders,)
        Group of each trader; -1 for none.
    copies, leaders : ndarray of int of shape (n_copies,)
        The traders who copy, and their leaders.
    sold, bought : ndarray of int of shape (n_copies,)
        Number of tickers that each copy leaves out, and number that it adds.
    """

    group: IntArray
    copies: IntArray
    leaders: IntArray
    sold: IntArray
    bought: IntArray

    @classmethod
    def empty(cls, n_traders: int) -> CopyPlan:
        """A plan without copies."""
        none = np.zeros(0, dtype=np.intp)
        return cls(np.full(n_traders, -1), none, none, none, none)


def plan_copies(
    copycats: Copycats,
    counts: IntArray,
    limits: tuple[int, int, int],
    streams: tuple[np.random.Generator, np.random.Generator],
) -> CopyPlan:
    """Choose the groups and the edits of their copies.

    Parameters
    ----------
    copycats : Copycats
        The number, sizes and similarity of the groups.
    counts : ndarray of int of shape (n_traders,)
        Number of tickers that each trader would hold without copycats.
    limits : tuple of (int, int, int)
        Minimum and maximum number of holdings, and number of tickers.
    streams : tuple of two Generators
        For the groups and for the edits.

    Raises
    ------
    ValueError
        If there are too few traders.
    """
    low, high = copycats.sizes
    if copycats.n_groups * high > len(counts):
        raise ValueError(
            f"The 'copycats' parameter of make_portfolios asks for {copycats.n_groups} groups of up to "
            f"{high} traders, and no trader is in two. Got n_traders = {len(counts)} instead of at least "
            f"{copycats.n_groups * high}."
        )
    sizes = streams[0].integers(low, high + 1, copycats.n_groups)
    members = streams[0].permutation(len(counts))[: sizes.sum()]
    numbers = np.repeat(np.arange(copycats.n_groups), sizes)
    group = np.full(len(counts), -1)
    group[members] = numbers
    first = np.cumsum(sizes) - sizes
    is_copy = np.ones(len(members), dtype=bool)
    is_copy[first] = False
    copies, leaders = members[is_copy], members[first][numbers[is_copy]]

    edits = np.zeros((len(copies), 2), dtype=np.intp)
    # One draw per copy before the loop, so that the order of the loop does not matter.
    chance = streams[1].random(len(copies))
    for held in np.unique(counts[leaders]):
        options = np.array(_allowed_edits(int(held), copycats.match, limits))
        rows = np.flatnonzero(counts[leaders] == held)
        edits[rows] = options[(chance[rows] * len(options)).astype(np.intp)]
    return CopyPlan(group, copies, leaders, edits[:, 0], edits[:, 1])


def _allowed_edits(held: int, match: float, limits: tuple[int, int, int]) -> list[tuple[int, int]]:
    """Numbers of sales and purchases after which a copy of `held` tickers still matches."""
    low, high, n_tickers = limits
    lowest = Fraction(str(float(match)))  # 9/10 for 0.9, not the nearest binary number
    return [
        (sold, bought)
        for sold in range(held)
        for bought in range(n_tickers - held + 1)
        if low <= held - sold + bought <= high and held - sold >= lowest * (held + bought)
    ]


def write_copies(
    rows: Codes,
    plan: CopyPlan,
    kinds: IntArray,
    popularity: Popularity,
    streams: tuple[np.random.Generator, np.random.Generator],
) -> None:
    """Write the copies: the leader's tickers without those sold, and purchases drawn by popularity."""
    n_tickers = popularity.n_tickers
    selling, buying = bool(plan.sold.any()), bool(plan.bought.any())
    for part in row_blocks(len(plan.copies), n_tickers, BLOCK_CELLS):
        copied = rows[plan.leaders[part]]
        kept = copied
        if selling:
            draws = streams[0].random(copied.shape)
            draws[copied == n_tickers] = 2.0  # above all draws: padding is never sold
            rank = np.argsort(np.argsort(draws, axis=1), axis=1)
            kept = np.sort(np.where(rank < plan.sold[part][:, None], n_tickers, copied), axis=1)
        if buying:
            bought = plan.bought[part]
            # Purchases avoid all tickers of the leader, also those that were sold.
            more = next_by_arrival(copied, bought, kinds[plan.copies[part]], popularity, streams[1])
            kept = merge_rows(kept, more, bought, n_tickers)
        rows[plan.copies[part]] = kept[:, : rows.shape[1]]
