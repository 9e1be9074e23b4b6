"""Synthetic portfolios with known truth: popularity, home sectors and planted copycats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, Literal, TypeAlias, TypedDict, Unpack, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from shapecluster._sklearn_compat import Interval, StrOptions, validate_params
from shapecluster._text import listing
from shapecluster._typing import ArrayLike, Float64Array, IntArray
from shapecluster.datasets._copycats import Copycats, CopyPlan, plan_copies, write_copies
from shapecluster.datasets._lab import LAB_SECTORS, LAB_TICKERS
from shapecluster.datasets._parameters import (
    AT_LEAST_1,
    RANDOM_STATE,
    RandomSource,
    require,
    spawn_generators,
)
from shapecluster.datasets._weighted_sampling import Codes, Popularity, sample_rows
from shapecluster.portfolios._portfolios import Portfolios, check_tickers

PopularityLike: TypeAlias = "Literal['uniform', 'zipf'] | Sequence[float] | NDArray[Any] | pd.Series[float]"
SectorsLike: TypeAlias = "Literal['lab'] | Mapping[str, str] | pd.Series[str] | ArrayLike | None"

# One generator per feature, so that copycats change no other trader. The order determines the result of a
# seed: new features go to the end.
_FEATURES = ("counts", "homes", "draws", "arrivals", "groups", "edits", "sales", "purchases")


class _Options(TypedDict, total=False):
    """The parameters of `make_portfolios` by keyword, but for `return_truth`."""

    min_holdings: int
    max_holdings: int
    popularity: PopularityLike
    sectors: SectorsLike
    sector_tilt: float
    copycats: Copycats | None
    random_state: RandomSource


@overload
def make_portfolios(
    n_traders: int = ...,
    tickers: ArrayLike | None = ...,
    *,
    return_truth: Literal[False] = ...,
    **options: Unpack[_Options],
) -> Portfolios: ...


@overload
def make_portfolios(
    n_traders: int = ...,
    tickers: ArrayLike | None = ...,
    *,
    return_truth: Literal[True],
    **options: Unpack[_Options],
) -> tuple[Portfolios, pd.DataFrame]: ...


@overload
def make_portfolios(
    n_traders: int = ...,
    tickers: ArrayLike | None = ...,
    *,
    return_truth: bool,
    **options: Unpack[_Options],
) -> Portfolios | tuple[Portfolios, pd.DataFrame]: ...


@validate_params(
    {
        "n_traders": AT_LEAST_1,
        "tickers": ["array-like", None],
        "min_holdings": AT_LEAST_1,
        "max_holdings": AT_LEAST_1,
        "popularity": [StrOptions({"uniform", "zipf"}), "array-like"],
        "sectors": [StrOptions({"lab"}), Mapping, "array-like", None],
        "sector_tilt": [Interval(Real, 0, None, closed="neither")],
        "copycats": [Copycats, None],
        "return_truth": ["boolean"],
        "random_state": RANDOM_STATE,
    },
    prefer_skip_nested_validation=True,
)
def make_portfolios(
    n_traders: int = 100_000,
    tickers: ArrayLike | None = None,
    *,
    min_holdings: int = 3,
    max_holdings: int = 10,
    popularity: PopularityLike = "uniform",
    sectors: SectorsLike = None,
    sector_tilt: float = 4.0,
    copycats: Copycats | None = None,
    return_truth: bool = False,
    random_state: RandomSource = None,
) -> Portfolios | tuple[Portfolios, pd.DataFrame]:
    """Draw the portfolios of many traders.

    Each trader holds a number of tickers that is uniform on min_holdings..max_holdings, both ends included.
    The tickers are drawn one after another without replacement. The chance of each is in proportion to its
    weight, as in ``Generator.choice(replace=False, p=...)``.

    Parameters
    ----------
    n_traders : int, default=100_000
        Number of traders. Their ids are the numbers from 0.
    tickers : array-like of str of shape (n_tickers,), default=None
        The tickers to draw from. None: the 99 tickers of the lab.
    min_holdings, max_holdings : int, default=3 and 10
        Minimum and maximum number of tickers that a trader holds.
    popularity : {"uniform", "zipf"} or array-like of shape (n_tickers,), default="uniform"
        Weight of each ticker. "zipf": 1, 1/2, 1/3 and so on in the order of `tickers`. A Series is matched by
        ticker. A ticker of weight 0 is never held.
    sectors : "lab", mapping, Series or array-like of str of shape (n_tickers,), default=None
        Sector of each ticker. A mapping or a Series is matched by ticker. Each trader then has a home sector,
        drawn in proportion to the sum of its weights. "lab": the sectors of the lab's tickers. None: no home
        sectors.
    sector_tilt : float, default=4.0
        Factor on the weights of the tickers in a trader's home sector.
    copycats : Copycats, default=None
        Groups of traders who copy a leader; see `Copycats`.
    return_truth : bool, default=False
        Whether to return the home sectors and the groups of copycats, too.
    random_state : int, Generator, RandomState or None, default=None
        Source of randomness. An int gives the same portfolios each time.

    Returns
    -------
    portfolios : Portfolios
        The holdings.
    truth : DataFrame of shape (n_traders, 3)
        Only with ``return_truth=True``. Indexed by trader, with the columns `home` (the home sector; None
        without sectors), `group` (the group of copycats; -1 for none) and `leader` (whether the trader leads
        a group).

    Raises
    ------
    ValueError
        If a parameter is out of its range or contradicts another one. The message names the parameter.

    See Also
    --------
    Portfolios : The table of holdings, and how to write it to a file.

    Notes
    -----
    Every feature has a random generator of its own, so copycats change no other trader. Results do not depend
    on block sizes. While it runs, the function needs about three times the memory of the result.

    A trader needs about 15 random numbers if max_holdings is small relative to the number of tickers. Tickers
    are then drawn with replacement and repeats are skipped, which gives the same distribution.

    Examples
    --------
    >>> from shapecluster.datasets import Copycats, make_portfolios
    >>> make_portfolios(random_state=0)
    Portfolios(100000 traders, 99 tickers, 3 to 10 holdings each)
    >>> held, truth = make_portfolios(
    ...     1000, copycats=Copycats(n_groups=5, size=3), sectors="lab", return_truth=True, random_state=0
    ... )
    >>> truth[truth["group"] == 2]
                      home  group  leader
    TRADER_ID
    217        Health Care      2   False
    602        Health Care      2    True
    648        Health Care      2   False
    >>> held[217].index.tolist() == held[602].index.tolist()
    True
    """
    names = check_tickers(LAB_TICKERS if tickers is None else tickers)
    weights = _weights(popularity, names)
    homes, kinds = _sectors(sectors, names, lab=tickers is None)
    expected = f"be at least min_holdings = {min_holdings}"
    _require(max_holdings >= min_holdings, "max_holdings", expected, max_holdings)
    n_available = int(np.count_nonzero(weights))
    expected = f"be at most the number of tickers with a weight above 0, which is {n_available}"
    _require(max_holdings <= n_available, "max_holdings", expected, max_holdings)
    streams = spawn_generators(random_state, _FEATURES)

    counts = streams["counts"].integers(min_holdings, max_holdings + 1, n_traders)
    by_kind = weights[None, :]
    kind = np.zeros(n_traders, dtype=np.intp)
    if homes:
        by_kind = np.where(np.arange(len(homes))[:, None] == kinds, sector_tilt, 1.0) * weights
        chances = np.bincount(kinds, weights, minlength=len(homes))
        kind = streams["homes"].choice(len(homes), size=n_traders, p=chances / chances.sum())
    plan = CopyPlan.empty(n_traders)
    if copycats is not None:
        limits = (min_holdings, max_holdings, n_available)
        plan = plan_copies(copycats, counts, limits, (streams["groups"], streams["edits"]))

    weights_of_kinds = Popularity.from_weights(by_kind)
    # Copies draw like all others and are overwritten, so that all others keep their random numbers.
    lengths = counts.copy()
    lengths[plan.copies] = counts[plan.leaders] - plan.sold + plan.bought
    width = int(lengths.max())
    rows = sample_rows(counts, width, kind, weights_of_kinds, (streams["draws"], streams["arrivals"]))
    kind[plan.copies] = kind[plan.leaders]
    write_copies(rows, plan, kind, weights_of_kinds, (streams["sales"], streams["purchases"]))
    portfolios = Portfolios(_matrix(rows, len(names)), names)
    if not return_truth:
        return portfolios
    return portfolios, _truth(portfolios, [homes[number] for number in kind] if homes else None, plan)


def _matrix(rows: Codes, n_tickers: int) -> sparse.csr_matrix:
    """Holdings of 1 for rows of tickers with padding."""
    held = rows < n_tickers
    starts = np.concatenate([[0], np.cumsum(held.sum(axis=1))])
    # K-Means of scikit-learn accepts indices of 32 bits only.
    dtype: type[np.signedinteger[Any]] = np.int32 if starts[-1] < 2**31 else np.int64
    parts = np.ones(starts[-1]), rows[held].astype(dtype), starts.astype(dtype)
    return sparse.csr_matrix(parts, (len(rows), n_tickers))


def _truth(portfolios: Portfolios, homes: list[str] | None, plan: CopyPlan) -> pd.DataFrame:
    leader = np.zeros(len(portfolios), dtype=bool)
    leader[plan.leaders] = True
    columns = {"home": homes, "group": plan.group, "leader": leader}
    return pd.DataFrame(columns, index=pd.Index(portfolios.trader_ids, name="TRADER_ID"))


def _weights(popularity: PopularityLike, tickers: NDArray[np.object_]) -> Float64Array:
    """The weight of each ticker."""
    if isinstance(popularity, str):
        ranks = np.arange(1, len(tickers) + 1, dtype=np.float64)
        return np.ones(len(tickers)) if popularity == "uniform" else 1.0 / ranks
    if isinstance(popularity, pd.Series):
        popularity = _by_ticker(popularity.to_dict(), tickers, "popularity")
    weights = np.array(popularity, dtype=np.float64)
    expected = f"have a weight for each of the {len(tickers)} tickers"
    _require(weights.shape == tickers.shape, "popularity", expected, f"shape {weights.shape}")
    expected = "be weights that are finite and not negative"
    for ticker, weight in zip(tickers, weights, strict=True):
        _require(np.isfinite(weight) and weight >= 0, "popularity", expected, f"{weight} for {ticker!r}")
    # Keeps sums of weights from overflowing; `tiny` prevents 0 / 0 if no ticker has a weight.
    weights /= max(weights.max(), np.finfo(np.float64).tiny)
    return weights


def _sectors(sectors: SectorsLike, tickers: NDArray[np.object_], *, lab: bool) -> tuple[list[str], IntArray]:
    """The sorted names of the sectors, and the sector number of each ticker; both empty without sectors."""
    if sectors is None:
        return [], np.zeros(0, dtype=np.intp)
    if isinstance(sectors, str):
        if not lab:
            raise ValueError(
                "sectors='lab' of make_portfolios needs the lab's tickers. Got other tickers: pass the "
                "sector of each."
            )
        sectors = LAB_SECTORS
    if isinstance(sectors, Mapping | pd.Series):
        sectors = _by_ticker(dict(sectors), tickers, "sectors")
    names: list[Any] = list(sectors)  # type: ignore[arg-type]  # ArrayLike has scalars, which raised above
    expected = f"have a sector for each of the {len(tickers)} tickers"
    _require(len(names) == len(tickers), "sectors", expected, len(names))
    unnamed = [ticker for ticker, name in zip(tickers, names, strict=True) if not isinstance(name, str)]
    if unnamed:
        raise ValueError(
            "The 'sectors' parameter of make_portfolios must be names (text). It has other values for "
            f"{listing(unnamed)}."
        )
    found, numbers = np.unique(np.array(names), return_inverse=True)
    return [str(name) for name in found], numbers


def _by_ticker(values: Mapping[Any, Any], tickers: NDArray[np.object_], parameter: str) -> list[Any]:
    missing = [ticker for ticker in tickers if ticker not in values]
    if missing:
        raise ValueError(f"The {parameter!r} parameter of make_portfolios lacks {listing(missing)}.")
    return [values[ticker] for ticker in tickers]


def _require(holds: bool | np.bool_, name: str, expected: str, got: object) -> None:
    require(holds, "make_portfolios", name, expected, got)
