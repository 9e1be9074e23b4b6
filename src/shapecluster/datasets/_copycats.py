"""Groups of traders who copy one another: who copies whom, how closely, and the copying itself."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral, Real

import numpy as np

from shapecluster._typing import IntArray
from shapecluster.datasets._weighted_sampling import Popularity, RaggedRows, blocks, earliest_others, joined


@dataclass(frozen=True)
class Copycats:
    """Groups of traders who copy one another, for `make_portfolios` to plant.

    A group is a leader, whose portfolio is like everybody's, and traders who copy it: exactly, or with a few
    tickers sold and bought. How many of each, is drawn for each copy from all numbers that `match` and
    the bounds on holdings allow, each as likely; none at all is always among them.

    Parameters
    ----------
    n_groups : int
        Number of groups. No trader is in two.
    size : int or tuple of (int, int), default=5
        Traders in a group, the leader among them; or the least and the most, both included, uniform.
    match : float, default=1.0
        The least share of tickers that a copy and its leader have in common (Jaccard: shared tickers over
        the tickers of either), above 0. With 0.9, portfolios below nine tickers can only be copied
        exactly. Two copies of one leader may match each other less.

    Raises
    ------
    ValueError
        For numbers out of these ranges.

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
        _require("n_groups", self.n_groups, _is_whole(self.n_groups, 1), "a whole number of at least 1")
        size = self.size if isinstance(self.size, tuple) else (self.size, self.size)
        holds = len(size) == 2 and all(_is_whole(end, 2) for end in size) and size[0] <= size[1]
        _require("size", self.size, holds, "at least 2: a whole number, or two, the smaller first")
        holds = isinstance(self.match, Real) and not isinstance(self.match, bool) and 0 < self.match <= 1
        _require("match", self.match, holds, "a number above 0 and at most 1")

    @property
    def sizes(self) -> tuple[int, int]:
        """The least and the most traders in a group."""
        return self.size if isinstance(self.size, tuple) else (self.size, self.size)


def _require(name: str, value: object, holds: bool, expected: str) -> None:
    if not holds:
        raise ValueError(f"The {name!r} parameter of Copycats must be {expected}. Got {value!r} instead.")


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


@dataclass(frozen=True)
class CopyPlan:
    """Who copies whom.

    Attributes
    ----------
    group : ndarray of int of shape (n_traders,)
        Number of each trader's group, -1 for none.
    copies, leaders : ndarray of int of shape (n_copies,)
        Each trader who copies, and whom.
    sold, bought : ndarray of int of shape (n_copies,)
        How many tickers the copy leaves out, and how many it adds.
    """

    group: IntArray
    copies: IntArray
    leaders: IntArray
    sold: IntArray
    bought: IntArray

    @classmethod
    def empty(cls, n_traders: int) -> CopyPlan:
        """Nobody copies."""
        none = np.zeros(0, dtype=np.intp)
        return cls(np.full(n_traders, -1), none, none, none, none)


def plan_copies(
    copycats: Copycats,
    counts: IntArray,
    limits: tuple[int, int, int],
    streams: tuple[np.random.Generator, np.random.Generator],
) -> CopyPlan:
    """Choose groups and edits.

    Parameters
    ----------
    copycats : Copycats
        How many, and how close.
    counts : ndarray of int of shape (n_traders,)
        How many tickers each trader would hold.
    limits : tuple of (int, int, int)
        The least and the most holdings, and the tickers that there are.
    streams : tuple of two Generators
        For the groups and for the edits.

    Raises
    ------
    ValueError
        If there are not enough traders.
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
    chance = streams[1].random(len(copies))
    for held in np.unique(counts[leaders]):
        options = np.array(_edits(int(held), copycats.match, limits))
        rows = np.flatnonzero(counts[leaders] == held)
        edits[rows] = options[(chance[rows] * len(options)).astype(np.intp)]
    return CopyPlan(group, copies, leaders, edits[:, 0], edits[:, 1])


def _edits(held: int, match: float, limits: tuple[int, int, int]) -> list[tuple[int, int]]:
    """Numbers of tickers sold and bought after which a copy of `held` tickers still matches."""
    low, high, n_tickers = limits
    least = Fraction(str(float(match)))  # 0.9 as it is written, not as it is stored
    return [
        (sold, bought)
        for sold in range(held)
        for bought in range(n_tickers - held + 1)
        if low <= held - sold + bought <= high and held - sold >= least * (held + bought)
    ]


def copy_leaders(
    rows: RaggedRows,
    plan: CopyPlan,
    kinds: IntArray,
    popularity: Popularity,
    streams: tuple[np.random.Generator, np.random.Generator],
) -> None:
    """Write the copies: what the leader holds, less what is sold, and what is bought by popularity."""
    n_tickers, widest = rows.n_tickers, int(rows.slots.max())
    selling, buying = bool(plan.sold.any()), bool(plan.bought.any())
    for part in blocks(len(plan.copies), n_tickers):
        theirs = rows[plan.leaders[part]]
        kept = theirs
        if selling:
            lot = streams[0].random((len(theirs), widest))[:, : theirs.shape[1]]
            lot[theirs == n_tickers] = 2.0  # what is not held cannot be sold
            turn = np.argsort(np.argsort(lot, axis=1), axis=1)
            kept = np.sort(np.where(turn < plan.sold[part][:, None], n_tickers, theirs), axis=1)
        if buying:
            bought = plan.bought[part]
            more = earliest_others(theirs, bought, kinds[plan.copies[part]], popularity, streams[1])
            kept = joined(kept, more, bought, n_tickers)
        rows[plan.copies[part]] = kept
