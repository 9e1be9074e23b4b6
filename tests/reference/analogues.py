"""Historical analogues, one pair of windows at a time."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tests.reference.sbd import best, unit


class Found(NamedTuple):
    row: int
    end: int
    sbd: float
    shift: int
    followed: float


def analogues(
    prices: np.ndarray,
    query: np.ndarray,
    n: int,
    *,
    own: int | None,
    end: int,
    known: int,
    step: int = 1,
    horizon: int = 21,
    exclusion: int = 0,
    before: str = "end",
    values: str = "levels",
    max_shift: int | None = None,
) -> list[Found]:
    """The best past windows of the panel; of overlapping ones, only the best counts."""
    window = len(query)
    asked = unit(_compared(query, values))
    candidates = []
    for row, series in enumerate(prices):
        for last in range(window - 1, len(series), step):
            past = series[last - window + 1 : last + 1]
            if np.isnan(past).any() or (past == past[0]).all():
                continue
            if last >= (end if before == "end" else end - window + 1):
                continue
            if row == own and abs(last - end) <= exclusion:
                continue
            ncc, shift = best(asked, unit(_compared(past, values)), max_shift, eps=2.0**-23)
            later = last + horizon
            followed = series[later] / series[last] - 1 if later <= known else math.nan
            candidates.append(Found(row, last, 1 - ncc, shift, followed))
    chosen: list[Found] = []
    for found in sorted(candidates, key=lambda c: (c.sbd, c.row, c.end)):
        if len(chosen) < n and not any(
            c.row == found.row and abs(c.end - found.end) <= exclusion for c in chosen
        ):
            chosen.append(found)
    return chosen


def _compared(prices: np.ndarray, values: str) -> np.ndarray:
    return prices if values == "levels" else np.diff(np.log(prices))
