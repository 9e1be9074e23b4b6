"""Names for array types that many annotations use."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray: TypeAlias = NDArray[np.floating[Any]]
"""float32 or float64; functions keep the type of their input unless they say otherwise."""

ComplexArray: TypeAlias = NDArray[np.complexfloating[Any, Any]]
Float64Array: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.intp]
BoolArray: TypeAlias = NDArray[np.bool_]

DType: TypeAlias = np.dtype[np.floating[Any]]

__all__ = ["ArrayLike", "BoolArray", "ComplexArray", "DType", "Float64Array", "FloatArray", "IntArray"]
