"""What may be called a portfolio: names, or names with weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from shapecluster._typing import Float64Array


def names_and_weights(portfolio: Any) -> tuple[list[Any], Float64Array]:
    """What a portfolio holds, and how much of it; equal weights where it does not say."""
    if isinstance(portfolio, pd.Series) and pd.api.types.is_numeric_dtype(portfolio):
        portfolio = dict(portfolio.items()) if portfolio.index.is_unique else list(portfolio.index)
    if isinstance(portfolio, Mapping):
        try:
            return list(portfolio), np.array([float(weight) for weight in portfolio.values()])
        except (TypeError, ValueError):
            raise ValueError(
                f"portfolio weights must be numbers. Got {list(portfolio.values())} instead."
            ) from None
    if isinstance(portfolio, (str, pd.DataFrame)) or not isinstance(portfolio, Iterable):
        raise ValueError(
            "portfolio must be names, or names with weights (a mapping or a Series). Got "
            f"{portfolio if isinstance(portfolio, str) else type(portfolio).__name__!r} instead."
        )
    names = list(portfolio)
    return names, np.ones(len(names))
