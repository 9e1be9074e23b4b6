"""Weighted sampling without replacement (successive draws), vectorized over very many rows.

Row i draws one ticker after another. The chance of each ticker is in proportion to its weight among the
tickers that the row has not drawn yet, as in ``Generator.choice(replace=False, p=...)``. Two procedures with
this distribution share the work:

- Draw *with* replacement and skip repeats. The first h distinct tickers of such a sequence are h successive
  draws. This is cheap while h is small relative to the number of tickers: a row needs a dozen random numbers
  instead of one per ticker.
- Give every ticker an exponential arrival time with its weight as the rate, and keep the h earliest
  (Efraimidis and Spirakis). The exponential distribution has no memory, so this procedure also completes a
  row that holds some tickers already.

Rows with too many repeats are completed by arrival times. Drawing them anew would change the distribution,
because it would favor sequences with few repeats. If rows hold much of the market, arrival times draw all of
them from the start.

Random numbers are consumed row by row, so results do not depend on the block size.

References
----------
P. S. Efraimidis and P. G. Spirakis (2006). Weighted random sampling with a reservoir. Information
Processing Letters 97(5), 181-185. A. J. Walker (1977). An efficient method for generating discrete random
variables with general distributions. ACM Transactions on Mathematical Software 3(3), 253-256.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import pdtrc

from shapecluster._core.sbd.blocks import row_blocks
from shapecluster._typing import Float64Array, IntArray

Codes: TypeAlias = NDArray[np.signedinteger[Any]]
"""Ticker numbers; the number `n_tickers` is padding, and sorts last."""

BLOCK_CELLS = 1 << 18
"""Cells per block of rows: temporaries of a few MB, which stay in cache."""

# Rough costs: one draw (a random number, its ticker, its place in the sort), one comparison of two draws, one
# exponential arrival time. Their ratios decide how many draws with replacement a row gets.
_DRAW_COST, _COMPARISON_COST, _ARRIVAL_COST = 25.0, 0.5, 12.0


class Popularity(NamedTuple):
    """Weights of the tickers for each kind of trader, and the tables to draw by them.

    Attributes
    ----------
    shares, log_weights : ndarray of shape (n_kinds, n_tickers)
        Weights as shares that sum to 1 in each row, and their logarithms up to a constant.
    accept, alias : ndarray of shape (n_kinds * n_tickers,)
        Tables of Walker's alias method. A uniform draw of a ticker is accepted with this probability, else
        its alias is taken. `alias` has the type of `Codes` for this number of tickers.
    """

    shares: Float64Array
    log_weights: Float64Array
    accept: Float64Array
    alias: Codes

    @property
    def n_tickers(self) -> int:
        return int(self.shares.shape[1])

    @classmethod
    def from_weights(cls, weights: Float64Array) -> Popularity:
        """Build the tables for weights of shape (n_kinds, n_tickers)."""
        shares = weights / weights.sum(axis=1, keepdims=True)
        with np.errstate(divide="ignore"):  # a weight of 0 has the logarithm -inf, and never arrives
            log_weights = np.log(weights)
        accept, alias = (np.concatenate(tables) for tables in zip(*map(_alias_table, shares), strict=True))
        # The smallest signed integers that hold all ticker numbers and the padding.
        return cls(shares, log_weights, accept, alias.astype(np.min_scalar_type(-weights.shape[1] - 1)))


def _alias_table(shares: Float64Array) -> tuple[Float64Array, IntArray]:
    """Walker's tables by Vose's method."""
    n = len(shares)
    accept, alias = shares * n, np.arange(n)
    small = [i for i in range(n) if accept[i] < 1.0]
    large = [i for i in range(n) if accept[i] >= 1.0]
    while small and large:
        low, high = small.pop(), large[-1]
        alias[low] = high
        accept[high] -= 1.0 - accept[low]
        if accept[high] < 1.0:
            small.append(large.pop())
    # The rest is 1 up to rounding, except for weights of 0, which must never be accepted.
    for left in (*small, *large):
        if shares[left] > 0:
            accept[left] = 1.0
        else:
            alias[left] = int(np.argmax(shares))
    return accept, alias


def sample_rows(
    wanted: IntArray,
    width: int,
    kinds: IntArray,
    popularity: Popularity,
    streams: tuple[np.random.Generator, np.random.Generator],
) -> Codes:
    """Draw `wanted[i]` distinct tickers for each row.

    Parameters
    ----------
    wanted : ndarray of int of shape (n_rows,)
        Number of tickers that each row draws.
    width : int
        Number of columns of the result. Draws that do not fit are dropped.
    kinds : ndarray of int of shape (n_rows,)
        The row of `popularity.shares` by which each row draws.
    popularity : Popularity
        The weights.
    streams : tuple of two Generators
        For draws with replacement, and for arrival times.

    Returns
    -------
    ndarray of shape (n_rows, width)
        The tickers of each row, increasing, with padding `n_tickers` at the end.
    """
    n_rows, n_tickers = len(wanted), popularity.n_tickers
    n_draws = _best_number_of_draws(popularity.shares, int(wanted.max()))
    rows = np.full((n_rows, width), n_tickers, dtype=popularity.alias.dtype)
    incomplete = [] if n_draws else [np.arange(n_rows)]
    for part in row_blocks(n_rows if n_draws else 0, n_draws, BLOCK_CELLS):
        drawn, n_distinct = _first_distinct(wanted[part], kinds[part], n_draws, popularity, streams[0])
        rows[part, :n_draws] = drawn[:, :width]
        incomplete.append(part.start + np.flatnonzero(n_distinct < wanted[part]))
    unfinished = np.concatenate(incomplete)
    for part in row_blocks(len(unfinished), n_tickers, BLOCK_CELLS):
        block = unfinished[part]
        held = rows[block]
        need = wanted[block] - np.sum(held < n_tickers, axis=1)
        more = next_by_arrival(held, need, kinds[block], popularity, streams[1])
        rows[block] = merge_rows(held, more, need, n_tickers)[:, :width]
    return rows


def _first_distinct(
    wanted: IntArray, kinds: IntArray, n_draws: int, popularity: Popularity, rng: np.random.Generator
) -> tuple[Codes, IntArray]:
    """The first distinct tickers of `n_draws` draws with replacement, sorted, and their number."""
    n = popularity.n_tickers
    # The integer part of one random number chooses the column, the rest decides between it and its alias.
    place = rng.random((len(wanted), n_draws))
    place *= n
    column = place.astype(popularity.alias.dtype)
    place -= column
    cell = column + (kinds * n)[:, None]
    drawn = np.where(place < popularity.accept[cell], column, popularity.alias[cell])
    # Transposed to one draw of all rows per line, so that NumPy's inner loops are long.
    draws = np.ascontiguousarray(drawn.T)
    fresh = np.ones(draws.shape, dtype=bool)
    for number in range(1, n_draws):
        fresh[number] = (draws[:number] != draws[number]).all(axis=0)
    fresh &= np.cumsum(fresh, axis=0, dtype=np.int16) <= wanted
    draws[~fresh] = n
    return np.sort(draws.T, axis=1), fresh.sum(axis=0)


def next_by_arrival(
    held: Codes, need: IntArray, kinds: IntArray, popularity: Popularity, rng: np.random.Generator
) -> Codes:
    """The next `need[i]` successive draws of rows that hold `held[i]`, in the order of drawing.

    Returns
    -------
    ndarray of shape (n_rows, need.max())
        Only the first `need[i]` entries of row i are valid.
    """
    n, max_need = popularity.n_tickers, int(need.max(initial=0))
    arrival = np.full((len(need), n + 1), np.inf)  # the last column belongs to the padding
    # Logarithms of arrival times, because a tiny weight would make the time itself infinite.
    with np.errstate(divide="ignore"):
        arrival[:, :n] = np.log(rng.standard_exponential((len(need), n)))
    arrival[:, :n] -= popularity.log_weights[kinds]
    np.put_along_axis(arrival, held.astype(np.intp), np.inf, axis=1)
    # A partial sort first: `need` is small relative to the number of tickers.
    first = np.argpartition(arrival, min(max_need, n), axis=1)[:, :max_need]
    order = np.argsort(np.take_along_axis(arrival, first, axis=1), axis=1)
    return np.take_along_axis(first, order, axis=1).astype(popularity.alias.dtype)


def merge_rows(held: Codes, more: Codes, need: IntArray, n_tickers: int) -> Codes:
    """Rows with the tickers of `held[i]` and the first `need[i]` of `more[i]`, sorted."""
    row, at = np.nonzero(np.arange(more.shape[1]) < need[:, None])
    both = np.concatenate([held, np.full_like(more, n_tickers)], axis=1)
    both[row, held.shape[1] + at] = more[row, at]
    return np.sort(both, axis=1)


def _best_number_of_draws(shares: Float64Array, wanted: int) -> int:
    """The number of draws with replacement that makes `wanted` distinct tickers cheapest.

    0 means that arrival times draw all. More draws leave fewer rows incomplete; a Poisson distribution of
    the number of repeats estimates how many. The estimate affects time only, never the distribution.
    """
    n_tickers = shares.shape[1]
    best, lowest_cost = 0, _ARRIVAL_COST * n_tickers
    for n_draws in range(wanted, 8 * wanted + 9):
        n_repeats = n_draws - (1.0 - (1.0 - shares) ** n_draws).sum(axis=1)
        incomplete = float(pdtrc(n_draws - wanted, n_repeats).max())
        cost = _DRAW_COST * n_draws + _COMPARISON_COST * n_draws**2 + incomplete * _ARRIVAL_COST * n_tickers
        if cost < lowest_cost:
            best, lowest_cost = n_draws, cost
    return best
