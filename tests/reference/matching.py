"""Matching portfolios by definition: every pair, in exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import sqrt

TOLERANCE = Fraction(1, 10**12)  # relative; with quantities, the library adds floats


def matches(query, other, metric, threshold, *, quantities=False):
    """Whether the row of holdings `other` matches the row `query`."""
    query, other = _quantities(query, quantities), _quantities(other, quantities)
    if not any(query) or not any(other):
        return False
    enough = 1 - TOLERANCE if quantities else 1
    threshold = Fraction(threshold)
    if metric == "cosine":
        inner, squares = _cosine_parts(query, other)
        return inner**2 >= (threshold * enough) ** 2 * squares
    shared = sum(map(min, query, other))
    if metric == "jaccard":  # shared / (all - shared) >= threshold
        return shared >= threshold / (1 + threshold) * (sum(query) + sum(other)) * enough
    return shared >= threshold * _total(query, other, metric) * enough


def match(query, other, metric, *, quantities=False):
    """Similarity of `query` to `other`, as a float."""
    query, other = _quantities(query, quantities), _quantities(other, quantities)
    if metric == "cosine":
        inner, squares = _cosine_parts(query, other)
        return sqrt(inner**2 / squares)
    return float(sum(map(min, query, other)) / _total(query, other, metric))


def all_matches(rows, metric, threshold, *, quantities=False):
    """All pairs of (query, match)."""
    return {
        (i, j)
        for i, query in enumerate(rows)
        for j, other in enumerate(rows)
        if i != j and matches(query, other, metric, threshold, quantities=quantities)
    }


def _quantities(row, quantities):
    return [Fraction(float(x)) if quantities else Fraction(int(x > 0)) for x in row]


def _total(query, other, metric):
    if metric == "jaccard":
        return sum(map(max, query, other))
    return sum(query) if metric == "containment" else min(sum(query), sum(other))


def _cosine_parts(query, other):
    inner = sum(x * y for x, y in zip(query, other, strict=True))
    return inner, sum(x * x for x in query) * sum(y * y for y in other)
