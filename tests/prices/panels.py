"""Small panels of prices, and what a cleaning report says about them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from shapecluster.prices._cleaning_report import CleaningReport

NAN = np.nan


def frame(rows: dict[str, list[float]], start: str = "2020-02-03", dtype: type = np.float64) -> pd.DataFrame:
    length = len(next(iter(rows.values())))
    columns = pd.DatetimeIndex(pd.bdate_range(start, periods=length).to_numpy(), name="date")
    index = pd.Index(list(rows), name="ticker")
    return pd.DataFrame(np.array(list(rows.values()), dtype=dtype), index=index, columns=columns)


def market(
    rng: np.random.Generator, n_stocks: int = 30, n_days: int = 300, *, own: float = 0.015
) -> pd.DataFrame:
    """Calm prices: nothing to flag."""
    returns = 0.01 * rng.standard_normal(n_days) + own * rng.standard_normal((n_stocks, n_days))
    names = [f"S{row}" for row in range(n_stocks)]
    return frame(dict(zip(names, 100 * np.exp(returns.cumsum(axis=1)), strict=True)))


def noted(report: CleaningReport, *columns: str) -> list[tuple]:
    """What the report says, without the remark that a short series cannot be judged."""
    events = report.events[report.events["kind"] != "not screened"]
    return list(events[list(columns)].itertuples(index=False, name=None))
