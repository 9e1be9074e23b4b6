"""What `make_market` accepts, parameter by parameter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd

_LEAST_DAYS_WITH_DEFECTS = 20  # a halt or a bad print needs days around it

_Rule = tuple[Callable[[Any], bool], str]


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_real(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_date(value: Any) -> bool:
    try:
        date = pd.Timestamp(value)
    except (TypeError, ValueError):
        return False
    return not pd.isna(date) and date.tz is None


def _whole(least: int) -> _Rule:
    return lambda v: _is_whole(v) and v >= least, f"an integer of at least {least}"


def _range_of(is_kind: Callable[[Any], bool], what: str, least: int) -> _Rule:
    def holds(value: Any) -> bool:
        ends = isinstance(value, (tuple, list)) and len(value) == 2 and all(map(is_kind, value))
        return ends and least <= value[0] <= value[1] < np.inf

    return holds, f"two {what} of at least {least}, the smaller first"


_NOT_NEGATIVE: _Rule = (lambda v: _is_real(v) and 0 <= v < np.inf, "a finite number of at least 0")
_RULES: dict[str, _Rule] = {
    "n_stocks": _whole(1),
    "n_sectors": _whole(1),
    "n_days": _whole(2),
    "beta_mean": (lambda v: _is_real(v) and abs(v) < np.inf, "a finite number"),
    "beta_std": _NOT_NEGATIVE,
    "market_vol": _NOT_NEGATIVE,
    "sector_vol": _NOT_NEGATIVE,
    "own_vol": _NOT_NEGATIVE,
    "df": (lambda v: _is_real(v) and v > 2, "a number above 2, so that the variance is finite"),
    "max_lag": _whole(0),
    "vol_clustering": _NOT_NEGATIVE,
    "vol_persistence": (lambda v: _is_real(v) and 0 <= v < 1, "a number from 0 up to, not including, 1"),
    "n_pairs": _whole(0),
    "pair_vol": _NOT_NEGATIVE,
    "n_late": _whole(0),
    "n_halts": _whole(0),
    "halt_days": _range_of(_is_whole, "integers", 1),
    "halt_kind": (lambda v: v in ("flat", "missing", "mixed"), "'flat', 'missing' or 'mixed'"),
    "n_bad_prints": _whole(0),
    "bad_print_size": _range_of(_is_real, "numbers", 0),
    "start": (_is_date, "a date without a time zone"),
    "random_state": (
        lambda v: (
            v is None
            or isinstance(v, (np.random.Generator, np.random.RandomState))
            or (_is_whole(v) and v >= 0)
        ),
        "None, an integer of at least 0, or a NumPy Generator or RandomState",
    ),
}


def validate(parameters: Mapping[str, Any]) -> None:
    """Hold every parameter of `make_market` against its rule."""

    def require(name: str, holds: bool, expected: str) -> None:
        if not holds:
            raise ValueError(f"make_market: {name} must be {expected}. Got {parameters[name]!r} instead.")

    for name, (rule, expected) in _RULES.items():
        require(name, rule(parameters[name]), expected)
    n_stocks = parameters["n_stocks"]
    for name in ("n_sectors", "n_late", "n_halts", "n_bad_prints"):
        require(name, parameters[name] <= n_stocks, f"at most n_stocks = {n_stocks}")
    if any(parameters[name] for name in ("n_late", "n_halts", "n_bad_prints")):
        least = _LEAST_DAYS_WITH_DEFECTS
        require(
            "n_days",
            parameters["n_days"] >= least,
            f"at least {least} with late listings, halts or bad prints",
        )
