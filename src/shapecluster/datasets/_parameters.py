"""Parameters of the generators: checks of one and of several together, and what `random_state` becomes.

Each feature of a simulation has a random generator of its own, so features can be switched on one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from numbers import Integral, Real
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from shapecluster._sklearn_compat import Interval, StrOptions

RandomSource: TypeAlias = int | np.random.Generator | np.random.RandomState | None
"""Values that `random_state` accepts."""

_MIN_DAYS_WITH_DEFECTS = 20  # a halt or a bad print needs days of trading around it

_AT_LEAST_0 = [Interval(Integral, 0, None, closed="left")]
AT_LEAST_1 = [Interval(Integral, 1, None, closed="left")]
_SPREAD = [Interval(Real, 0, None, closed="left")]
RANDOM_STATE = [*_AT_LEAST_0, np.random.Generator, np.random.RandomState, None]

MARKET: dict[str, list[Any]] = {
    "n_stocks": AT_LEAST_1,
    "n_sectors": AT_LEAST_1,
    "n_days": [Interval(Integral, 2, None, closed="left")],
    "beta_mean": [Interval(Real, None, None, closed="neither")],
    "beta_std": _SPREAD,
    "market_vol": _SPREAD,
    "sector_vol": _SPREAD,
    "own_vol": _SPREAD,
    "df": [Interval(Real, 2, None, closed="right")],  # so that the variance is finite
    "max_lag": _AT_LEAST_0,
    "vol_clustering": _SPREAD,
    "vol_persistence": [Interval(Real, 0, 1, closed="left")],
    "n_pairs": _AT_LEAST_0,
    "pair_vol": _SPREAD,
    "n_late": _AT_LEAST_0,
    "n_halts": _AT_LEAST_0,
    "halt_days": [tuple, list],
    "halt_kind": [StrOptions({"flat", "missing", "mixed"})],
    "n_bad_prints": _AT_LEAST_0,
    "bad_print_size": [tuple, list],
    "start": [str, date, np.datetime64],  # Timestamps are dates
    "random_state": RANDOM_STATE,
}


def require(holds: bool | np.bool_, owner: str, name: str, expected: str, got: object) -> None:
    """Raise a ValueError about a parameter unless a condition holds."""
    if not holds:
        raise ValueError(f"The {name!r} parameter of {owner} must {expected}. Got {got} instead.")


def is_range(value: object, kind: type, lowest: float) -> bool:
    """Whether a value is a pair of finite numbers of at least `lowest`, the smaller first."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        return False
    both = all(isinstance(end, kind) and not isinstance(end, bool) for end in value)
    return both and bool(lowest <= value[0] <= value[1] < np.inf)


def check_market(parameters: Mapping[str, Any]) -> None:
    """Check parameters of `make_market` that depend on each other."""

    def check(name: str, holds: bool, expected: str) -> None:
        require(holds, "make_market", name, f"be {expected}", repr(parameters[name]))

    n_stocks, n_days = parameters["n_stocks"], parameters["n_days"]
    for name in ("n_sectors", "n_late", "n_halts", "n_bad_prints"):
        check(name, parameters[name] <= n_stocks, f"at most n_stocks = {n_stocks}")
    if any(parameters[name] for name in ("n_late", "n_halts", "n_bad_prints")):
        fewest = _MIN_DAYS_WITH_DEFECTS
        check("n_days", n_days >= fewest, f"at least {fewest} with late listings, halts or bad prints")
    halt_days, size = parameters["halt_days"], parameters["bad_print_size"]
    check("halt_days", is_range(halt_days, Integral, 1), "two integers of at least 1, the smaller first")
    check("bad_print_size", is_range(size, Real, 0), "two numbers of at least 0, the smaller first")
    if parameters["n_halts"]:
        longest = n_days - 2  # stocks trade before and after a halt
        check("halt_days", halt_days[1] <= longest, f"at most n_days - 2 = {longest}")
    check("start", _is_date(parameters["start"]), "a date without a time zone")


def _is_date(value: Any) -> bool:
    try:
        day = pd.Timestamp(value)
    except ValueError:
        return False
    return not pd.isna(day) and day.tz is None


def spawn_generators(random_state: RandomSource, features: Sequence[str]) -> dict[str, np.random.Generator]:
    """Return an independent generator for each feature. Their order determines the result of a seed."""
    entropy: int | list[int] | None
    if isinstance(random_state, np.random.Generator):
        entropy = random_state.integers(2**32, size=4).tolist()
    elif isinstance(random_state, np.random.RandomState):
        entropy = random_state.randint(2**32, size=4, dtype=np.uint64).tolist()
    else:
        entropy = random_state
    children = np.random.SeedSequence(entropy).spawn(len(features))
    # PCG64 by name, because NumPy may change the generator behind `default_rng`.
    return {
        feature: np.random.Generator(np.random.PCG64(child))
        for feature, child in zip(features, children, strict=True)
    }
