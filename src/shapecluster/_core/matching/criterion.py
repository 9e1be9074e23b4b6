"""When two portfolios match.

A portfolio has a *mass*: the number of its holdings or, where quantities count, their sum. What two
portfolios share has a mass as well, and every metric says how much of it a pair needs. For sets these are
whole numbers, so that nothing is rounded before it is decided.
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


Masses: TypeAlias = NDArray[Any]
"""int64 for sets, float64 for quantities."""


TOLERANCE = 1e-12
"""With quantities, sums are rounded: so much less than what is needed, relatively, is still enough."""


_WIDEST = 2**62  # products beyond this are taken in Python's own integers


_SLACK = 1e-9  # windows and prefixes are wider than they need be by this, which covers all rounding


@dataclass(frozen=True)
class MatchCriterion:
    """When one portfolio matches another.

    Attributes
    ----------
    metric : {"jaccard", "containment", "overlap", "cosine"}
        How a match is measured.
    threshold : Fraction
        The least match that counts, above 0 and at most 1.
    weighted : bool
        Whether quantities count.
    """

    metric: MatchMetric
    threshold: Fraction
    weighted: bool = False

    def needed(self, a: Masses, b: Masses) -> Masses:
        """The least mass that portfolios of mass `a` (who asks) and `b` must share, pair by pair."""
        if self.weighted:
            return self._needed_weight(a, b) * (1.0 - TOLERANCE)
        p, q = self.threshold.numerator, self.threshold.denominator
        if self.metric == "jaccard":  # q I >= p (a + b - I)
            return _ceil_divide(a + b, p, p + q)
        if self.metric == "containment":
            return _ceil_divide(a + np.zeros_like(b), p, q)
        if self.metric == "overlap":
            return _ceil_divide(np.minimum(a, b), p, q)
        return _ceil_root(a * b, p * p, q * q)

    def needed_either_way(self, a: Masses, b: Masses) -> Masses:
        """The same, for a pair of which either may ask; never falls when `a` or `b` grows."""
        return self.needed(np.minimum(a, b), np.maximum(a, b))

    def match(self, shared: Masses, a: Masses, b: Masses) -> Float64Array:
        """How well `a` is matched by `b`, from 0 to 1."""
        if self.metric == "jaccard":
            whole = a + b - shared
        elif self.metric == "containment":
            whole = a + np.zeros_like(b)
        elif self.metric == "overlap":
            whole = np.minimum(a, b)
        else:
            whole = np.sqrt(np.multiply(a, b, dtype=np.float64))
        return np.asarray(np.minimum(shared / whole, 1.0), dtype=np.float64)

    def window(self, mass: Any) -> tuple[Any, Any]:
        """No portfolio lighter or heavier than this matches one that has this mass and asks.

        Who matches it shares at least the first of these two masses with it. 0 or None: there is no bound.
        """
        if self.metric == "overlap" or (self.metric == "cosine" and self.weighted):
            return 0, None
        lightest: Any
        heaviest: Any
        if self.weighted:
            s = float(self.threshold)
            lightest, heaviest = s * mass * (1.0 - _SLACK), mass / s * (1.0 + _SLACK)
        else:
            power = 2 if self.metric == "cosine" else 1
            p, q = self.threshold.numerator**power, self.threshold.denominator**power
            lightest, heaviest = -(-p * int(mass) // q), q * int(mass) // p
        return lightest, None if self.metric == "containment" else heaviest

    def prefix_share(self) -> float:
        """With quantities: a part of a portfolio below this share of its mass cannot make a match alone.

        The lighter of the two, of `overlap` and `containment`, or either, of the others. Mass is the squared
        quantity for the cosine, where |x_part . y| <= |x_part| |y|.
        """
        s = float(self.threshold)
        return (s * s if self.metric == "cosine" else s) * (1.0 - _SLACK)

    def _needed_weight(self, a: Masses, b: Masses) -> Masses:
        s = float(self.threshold)
        if self.metric == "jaccard":
            return s / (1.0 + s) * (a + b)
        if self.metric == "containment":
            return s * (a + np.zeros_like(b))
        if self.metric == "overlap":
            return s * np.minimum(a, b)
        return np.asarray(s * np.sqrt(a * b))


def _times(values: Masses, factor: int) -> NDArray[Any]:
    """Integers times a factor, in Python's own where 64 bits do not hold them."""
    wide = factor * int(np.max(values, initial=1)) > _WIDEST
    return np.asarray(values).astype(object if wide else np.int64) * factor


def _ceil_divide(values: NDArray[Any], p: int, q: int) -> NDArray[np.int64]:
    """The least integers that are not below values * p / q."""
    return np.asarray(-(-_times(values, p) // q), dtype=np.int64)


def _ceil_root(values: NDArray[Any], p: int, q: int) -> NDArray[np.int64]:
    """The least integers whose squares are not below values * p / q."""
    below = (_times(values, p) - 1) // q
    if below.dtype == object:
        return np.asarray(np.frompyfunc(math.isqrt, 1, 1)(below), dtype=np.int64) + 1
    root: NDArray[np.int64] = np.sqrt(below.astype(np.float64)).astype(np.int64)
    root -= root * root > below
    root += (root + 1) * (root + 1) <= below
    return root + 1
