"""Matches of portfolios by their definition, pair by pair, in fractions."""

from __future__ import annotations

from fractions import Fraction
from math import sqrt

FORGIVEN = Fraction(1, 10**12)  # of what is needed, where quantities are summed in floating point


def matches(mine, yours, metric, threshold, *, quantities=False):
    """Whether `yours` matches `mine`, two rows of holdings."""
    mine, yours = _amounts(mine, quantities), _amounts(yours, quantities)
    if not any(mine) or not any(yours):
        return False
    enough = 1 - FORGIVEN if quantities else 1
    threshold = Fraction(threshold)
    if metric == "cosine":
        inner, squares = _cosine_parts(mine, yours)
        return inner**2 >= (threshold * enough) ** 2 * squares
    shared = sum(map(min, mine, yours))
    if metric == "jaccard":  # shared / (all - shared) >= threshold
        return shared >= threshold / (1 + threshold) * (sum(mine) + sum(yours)) * enough
    return shared >= threshold * _whole(mine, yours, metric) * enough


def match(mine, yours, metric, *, quantities=False):
    """How well `yours` matches `mine`, as a float."""
    mine, yours = _amounts(mine, quantities), _amounts(yours, quantities)
    if metric == "cosine":
        inner, squares = _cosine_parts(mine, yours)
        return sqrt(inner**2 / squares)
    return float(sum(map(min, mine, yours)) / _whole(mine, yours, metric))


def all_matches(rows, metric, threshold, *, quantities=False):
    """All (who asks, who matches)."""
    return {
        (i, j)
        for i, mine in enumerate(rows)
        for j, yours in enumerate(rows)
        if i != j and matches(mine, yours, metric, threshold, quantities=quantities)
    }


def _amounts(row, quantities):
    return [Fraction(float(x)) if quantities else Fraction(int(x > 0)) for x in row]


def _whole(mine, yours, metric):
    if metric == "jaccard":
        return sum(map(max, mine, yours))
    return sum(mine) if metric == "containment" else min(sum(mine), sum(yours))


def _cosine_parts(mine, yours):
    inner = sum(x * y for x, y in zip(mine, yours, strict=True))
    return inner, sum(x * x for x in mine) * sum(y * y for y in yours)
