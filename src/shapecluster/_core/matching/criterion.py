"""The criterion by which two portfolios match.

A portfolio has a *weight*: the number of its holdings or, with quantities, the sum of its quantities. The
*shared weight* of two portfolios is the weight of what both hold. Each metric asks for a minimum shared
weight. For sets, this minimum is a whole number, so no rounding can change a decision.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shapecluster._typing import Float64Array

MatchMetric: TypeAlias = Literal["jaccard", "containment", "overlap", "cosine"]
Weights: TypeAlias = NDArray[Any]
"""int64 for sets, float64 for quantities."""
Weight: TypeAlias = int | float | np.number[Any]

TOLERANCE = 1e-12
"""Relative shortfall of shared weight that still counts as a match, because float sums are rounded."""

_MAX_INT64_PRODUCT = 2**62  # half of what int64 holds, because `_ceil_sqrt` squares the root + 1
_SLACK = 1e-9  # relative; far above the rounding of any sum here, and too small to admit many candidates


@dataclass(frozen=True)
class MatchCriterion:
    """When one portfolio matches another.

    Attributes
    ----------
    metric : {"jaccard", "containment", "overlap", "cosine"}
        The measure of similarity.
    threshold : Fraction
        The minimum similarity of a match, above 0 and at most 1.
    uses_quantities : bool
        Whether quantities count. False: portfolios are sets of tickers.
    """

    metric: MatchMetric
    threshold: Fraction
    uses_quantities: bool = False

    def min_shared(self, a: Weights, b: Weights) -> Weights:
        """Minimum shared weight at which a query of weight `a` is matched by a portfolio of weight `b`."""
        whole = self._whole(a, b)
        if self.uses_quantities:
            s = float(self.threshold)
            least = np.sqrt(whole) if self.metric == "cosine" else whole
            return np.asarray((s / (1.0 + s) if self.metric == "jaccard" else s) * least * (1.0 - TOLERANCE))
        p, q = self.threshold.numerator, self.threshold.denominator
        if self.metric == "cosine":
            return _ceil_sqrt(whole, p * p, q * q)
        # For Jaccard q I >= p (a + b - I), with I the shared weight.
        return _ceil_divide(whole, p, p + q if self.metric == "jaccard" else q)

    def min_shared_either_way(self, a: Weights, b: Weights) -> Weights:
        """Minimum shared weight when either portfolio may be the query; it never decreases in `a` or `b`."""
        return self.min_shared(np.minimum(a, b), np.maximum(a, b))

    def similarity(self, shared: Weights, a: Weights, b: Weights) -> Float64Array:
        """Similarity of a query of weight `a` to portfolios of weight `b`, from 0 to 1."""
        whole = self._whole(a, b)
        if self.metric == "jaccard":
            whole = whole - shared
        elif self.metric == "cosine":
            whole = np.sqrt(whole)
        return np.asarray(np.minimum(shared / whole, 1.0), dtype=np.float64)

    def weight_range(self, weight: Weight) -> tuple[Weight, Weight | None]:
        """Minimum and maximum weight of a portfolio that can match a query of this weight.

        The minimum is also the minimum shared weight of any match. A minimum of 0 and a maximum of None mean
        that there is no bound.
        """
        if self.metric == "overlap" or (self.metric == "cosine" and self.uses_quantities):
            return 0, None
        low: Weight
        high: Weight
        if self.uses_quantities:
            s = float(self.threshold)
            low, high = s * weight * (1.0 - _SLACK), weight / s * (1.0 + _SLACK)
        else:
            power = 2 if self.metric == "cosine" else 1
            # Python's integers, because powers of numerator and denominator can exceed 64 bits.
            p, q = self.threshold.numerator**power, self.threshold.denominator**power
            low, high = -(-p * int(weight) // q), q * int(weight) // p
        return low, None if self.metric == "containment" else high

    def min_match_share(self) -> float:
        """Share of a portfolio's weight below which a part of its holdings cannot make a match alone.

        It applies to quantities only. For "overlap" and "containment" it applies to the lighter portfolio,
        for the other metrics to both. For the cosine, weights are squared quantities, because
        ``|x_part . y| <= |x_part| |y|``.
        """
        s = float(self.threshold)
        return (s * s if self.metric == "cosine" else s) * (1.0 - _SLACK)

    def _whole(self, a: Weights, b: Weights) -> Weights:
        """What the shared weight is a share of: for Jaccard counted twice, for the cosine squared."""
        if self.metric == "jaccard":
            return a + b
        if self.metric == "containment":
            return a + np.zeros_like(b)
        return np.minimum(a, b) if self.metric == "overlap" else a * b


def _multiply(values: Weights, factor: int) -> NDArray[Any]:
    """Integers times a factor, as Python's integers if 64 bits cannot hold the products."""
    # Thresholds such as Fraction("0.7071067811865476") have denominators near 2**53.
    wide = factor * int(np.max(values, initial=1)) > _MAX_INT64_PRODUCT
    return np.asarray(values).astype(object if wide else np.int64) * factor


def _ceil_divide(values: NDArray[Any], p: int, q: int) -> NDArray[np.int64]:
    """Smallest integers that are at least values * p / q."""
    # Floor division of the negated number rounds up without a detour through floats.
    return np.asarray(-(-_multiply(values, p) // q), dtype=np.int64)


def _ceil_sqrt(values: NDArray[Any], p: int, q: int) -> NDArray[np.int64]:
    """Smallest integers whose squares are at least values * p / q."""
    below = (_multiply(values, p) - 1) // q
    if below.dtype == object:
        return np.asarray(np.frompyfunc(math.isqrt, 1, 1)(below), dtype=np.int64) + 1
    root: NDArray[np.int64] = np.sqrt(below.astype(np.float64)).astype(np.int64)
    # The float root of an int64 can be off by one in either direction.
    root -= root * root > below
    root += (root + 1) * (root + 1) <= below
    return root + 1
