"""Names for array types that many annotations use, and the one check for integers."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import ArrayLike as ArrayLike
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

FloatArray: TypeAlias = NDArray[np.floating[Any]]
"""float32 or float64; functions keep the type of their input unless they say otherwise."""

ComplexArray: TypeAlias = NDArray[np.complexfloating[Any, Any]]
Float64Array: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.intp]
BoolArray: TypeAlias = NDArray[np.bool_]

DType: TypeAlias = np.dtype[np.floating[Any]]

InitialCenters: TypeAlias = (
    Literal["k-shape++", "random"]
    | NDArray[Any]
    | "pd.DataFrame"
    | Sequence[Sequence[float]]
    | Sequence[Sequence[Sequence[float]]]
)
"""How k-Shape starts: by a method, or at given centers. Not ArrayLike, which takes any other string."""


def is_integer(value: object) -> TypeGuard[int]:
    """Whether a value is an integer of Python or NumPy; True and False, which pass for 1 and 0, are not."""
    return isinstance(value, Integral) and not isinstance(value, bool)
