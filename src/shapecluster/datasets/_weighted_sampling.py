"""Successive draws without replacement, for very many rows at once.

Row i draws one ticker after the other, each with a chance in proportion to its weight among those that
the row has not drawn yet, as ``Generator.choice(replace=False, p=...)`` does. Two procedures with this
law share the work:

- Draw *with* replacement and pass over repeats. What a repeat would have been is the next new ticker, so
  the first h distinct tickers of such a sequence are h successive draws. Cheap while h is small beside the
  number of tickers: a dozen random numbers a row instead of one per ticker.
- Give every ticker an exponential arrival time of rate equal to its weight and keep the h earliest
  (Efraimidis and Spirakis). By lack of memory this also finishes a row that has some tickers already,
  over the rest of the tickers. Rows whose repeats were too many are finished so, never drawn anew, which
  would favor sequences with few repeats; and where rows hold much of the market, they are drawn so from
  the start.

Random numbers are taken row by row, so no result depends on the size of the blocks.

References
----------
P. S. Efraimidis and P. G. Spirakis (2006). Weighted random sampling with a reservoir. Information
Processing Letters 97(5), 181-185. A. J. Walker (1977). An efficient method for generating discrete random
variables with general distributions. ACM Transactions on Mathematical Software 3(3), 253-256.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import pdtrc

from shapecluster._typing import Float64Array, IntArray

Codes: TypeAlias = NDArray[np.signedinteger[Any]]
"""Numbers of tickers; `n_tickers` stands for none, and sorts last."""

_BLOCK_CELLS = 1 << 18  # cells of a block of rows: a few MB of temporaries, which stay in cache
# Rough costs, whose ratios decide how many draws with replacement a row gets: one draw (a random number, its
# ticker, its place in the sort), one comparison of two draws, one exponential arrival.
_DRAW_COST, _COMPARISON_COST, _ARRIVAL_COST = 25.0, 0.5, 12.0


@dataclass(frozen=True)
class Popularity:
    """How likely tickers are, for each kind of trader.

    Attributes
    ----------
    shares, log_weights : ndarray of shape (n_kinds, n_tickers)
        The weights as shares that sum to 1 in each row, and their logarithms up to a constant.
    accept, other : ndarray of shape (n_kinds * n_tickers,)
        Walker's tables: of the draws that fall on a ticker, the share that stay there, and the ticker that
        has the rest.
    """

    shares: Float64Array
    log_weights: Float64Array
    accept: Float64Array
    other: Codes

    @property
    def n_tickers(self) -> int:
        return int(self.shares.shape[1])

    @property
    def dtype(self) -> Any:
        """What `Codes` of so many tickers are kept in."""
        return self.other.dtype

    @classmethod
    def of(cls, weights: Float64Array) -> Popularity:
        """Tables for weights of shape (n_kinds, n_tickers)."""
        shares = weights / weights.sum(axis=1, keepdims=True)
        with np.errstate(divide="ignore"):
            log_weights = np.log(weights)
        tables = [_walker(row) for row in shares]
        accept = np.concatenate([accept for accept, _ in tables])
        other = np.concatenate([other for _, other in tables])
        return cls(shares, log_weights, accept, other.astype(_dtype(weights.shape[1])))


def _dtype(n_tickers: int) -> Any:
    """The smallest integers that hold all tickers and the sign for none."""
    return np.min_scalar_type(-n_tickers - 1)


def _walker(shares: Float64Array) -> tuple[Float64Array, IntArray]:
    """Walker's tables by Vose's method."""
    n = len(shares)
    accept, other = shares * n, np.arange(n)
    small = [i for i in range(n) if accept[i] < 1.0]
    large = [i for i in range(n) if accept[i] >= 1.0]
    while small and large:
        poor, rich = small.pop(), large[-1]
        other[poor] = rich
        accept[rich] -= 1.0 - accept[poor]
        if accept[rich] < 1.0:
            small.append(large.pop())
    for left in (*small, *large):  # 1 but for rounding; what has no weight must never stay
        if shares[left] > 0:
            accept[left] = 1.0
        else:
            other[left] = int(np.argmax(shares))
    return accept, other


class RaggedRows:
    """Rows of different lengths, one after the other in one array, read and written as tables.

    Parameters
    ----------
    slots : ndarray of int of shape (n_rows,)
        The length of each row.
    n_tickers : int
        The sign for none, which every cell holds at first.
    dtype : dtype
        Of the cells.
    """

    def __init__(self, slots: IntArray, n_tickers: int, dtype: Any) -> None:
        self.slots, self.n_tickers = slots, n_tickers
        self.starts = np.concatenate([[0], np.cumsum(slots)])
        self.cells: Codes = np.full(self.starts[-1], n_tickers, dtype=dtype)

    def __getitem__(self, rows: IntArray) -> Codes:
        """Some rows as a table as wide as the longest, filled up with the sign for none."""
        room = np.arange(self.slots[rows].max(initial=0)) < self.slots[rows][:, None]
        table = np.full(room.shape, self.n_tickers, dtype=self.cells.dtype)
        table[room] = self.cells[self._places(rows, room)]
        return table

    def __setitem__(self, rows: IntArray, table: Codes) -> None:
        """Fill some rows from a table of sorted rows, as far as they reach."""
        room = np.arange(table.shape[1]) < self.slots[rows][:, None]
        self.cells[self._places(rows, room)] = table[room]

    def _places(self, rows: IntArray, room: NDArray[np.bool_]) -> IntArray:
        places: IntArray = (self.starts[rows][:, None] + np.arange(room.shape[1]))[room]
        return places


def draw(
    wanted: IntArray,
    slots: IntArray,
    kinds: IntArray,
    popularity: Popularity,
    streams: tuple[np.random.Generator, np.random.Generator],
) -> RaggedRows:
    """Draw `wanted[i]` distinct tickers for each row.

    Parameters
    ----------
    wanted, slots : ndarray of int of shape (n_rows,)
        How many tickers each row draws, and the room it has; what does not fit is dropped.
    kinds : ndarray of int of shape (n_rows,)
        The row of `popularity.shares` that each row draws by.
    popularity : Popularity
        The weights.
    streams : tuple of two Generators
        For draws with replacement, and for what is finished by arrival times.

    Returns
    -------
    RaggedRows
        The tickers of each row, increasing; room that is left holds `n_tickers`.
    """
    n_rows, n_tickers = len(wanted), popularity.n_tickers
    width = _draws_with_replacement(popularity.shares, int(wanted.max()))
    rows = RaggedRows(slots, n_tickers, popularity.dtype)
    short = [] if width else [np.arange(n_rows)]
    for part in blocks(n_rows if width else 0, width):
        drawn, got = _first_distinct(wanted[part], kinds[part], width, popularity, streams[0])
        block = np.arange(part.start, part.stop)
        rows[block] = drawn
        short.append(block[got < wanted[part]])
    unfinished = np.concatenate(short)
    for part in blocks(len(unfinished), n_tickers):
        block = unfinished[part]
        some = rows[block]
        need = wanted[block] - np.sum(some < n_tickers, axis=1)
        rows[block] = joined(
            some, earliest_others(some, need, kinds[block], popularity, streams[1]), need, n_tickers
        )
    return rows


def _first_distinct(
    wanted: IntArray, kinds: IntArray, width: int, popularity: Popularity, rng: np.random.Generator
) -> tuple[Codes, IntArray]:
    """The first distinct tickers of `width` draws with replacement, sorted, and how many they are."""
    n = popularity.n_tickers
    place = rng.random((len(wanted), width))
    place *= n
    column = place.astype(popularity.dtype)
    place -= column
    cell = column + (kinds * n)[:, None]
    drawn = np.where(place < popularity.accept[cell], column, popularity.other[cell])
    turns = np.ascontiguousarray(drawn.T)  # one turn of all rows a line: long inner loops
    fresh = np.ones(turns.shape, dtype=bool)
    for turn in range(1, width):
        fresh[turn] = (turns[:turn] != turns[turn]).all(axis=0)
    fresh &= np.cumsum(fresh, axis=0, dtype=np.int16) <= wanted
    turns[~fresh] = n
    return np.sort(turns.T, axis=1), fresh.sum(axis=0)


def earliest_others(
    held: Codes, need: IntArray, kinds: IntArray, popularity: Popularity, rng: np.random.Generator
) -> Codes:
    """The next `need[i]` successive draws of rows that hold `held[i]`, in the order of drawing.

    Returns
    -------
    ndarray of shape (n_rows, need.max())
        Only the first `need[i]` entries of row i count.
    """
    n, most = popularity.n_tickers, int(need.max(initial=0))
    arrival = np.full((len(need), n + 1), np.inf)  # the last column takes the sign for none
    with np.errstate(divide="ignore"):
        arrival[:, :n] = np.log(rng.standard_exponential((len(need), n)))
    arrival[:, :n] -= popularity.log_weights[kinds]  # in logarithms no weight is too small to arrive
    np.put_along_axis(arrival, held.astype(np.intp), np.inf, axis=1)
    first = np.argpartition(arrival, min(most, n), axis=1)[:, :most]
    order = np.argsort(np.take_along_axis(arrival, first, axis=1), axis=1)
    return np.take_along_axis(first, order, axis=1).astype(popularity.dtype)


def joined(held: Codes, more: Codes, need: IntArray, n_tickers: int) -> Codes:
    """Rows that hold what they held and the first `need[i]` of `more[i]`, sorted."""
    row, turn = np.nonzero(np.arange(more.shape[1]) < need[:, None])
    both = np.concatenate([held, np.full_like(more, n_tickers)], axis=1)
    both[row, held.shape[1] + turn] = more[row, turn]
    return np.sort(both, axis=1)


def blocks(n_rows: int, n_columns: int) -> Iterator[slice]:
    """Slices of rows such that a table of one of them fits in cache."""
    size = max(1, _BLOCK_CELLS // max(n_columns, 1))
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


def _draws_with_replacement(shares: Float64Array, wanted: int) -> int:
    """How many draws with replacement make `wanted` distinct tickers cheapest; 0: none, arrivals do it all.

    More draws leave fewer rows short of `wanted`. How many, is estimated by a Poisson law for the number of
    repeats; the estimate decides about time, never about the law of what is drawn.
    """
    n_tickers = shares.shape[1]
    best, cheapest = 0, _ARRIVAL_COST * n_tickers
    for width in range(wanted, 8 * wanted + 9):
        repeats = width - (1.0 - (1.0 - shares) ** width).sum(axis=1)
        short = float(pdtrc(width - wanted, repeats).max())
        cost = _DRAW_COST * width + _COMPARISON_COST * width**2 + short * _ARRIVAL_COST * n_tickers
        if cost < cheapest:
            best, cheapest = width, cost
    return best
