"""Data of the benchmarks: real prices, random walks, and the inertia by which all libraries are judged."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shapecluster.metrics import sbd_distances
from shapecluster.prices import load_prices


def data_folder(name: str) -> Path:
    """Return a folder of real data, "market" or "ucr", which are not part of the repository."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SHAPECLUSTER_TEST_DATA", beside)) / name
    if not folder.is_dir():
        sys.exit(f"There is no {folder}: set SHAPECLUSTER_TEST_DATA to the folder of market/ and ucr/.")
    return folder


def panel() -> pd.DataFrame:
    """Daily closes of panel A, with stocks as rows."""
    return load_prices(data_folder("market") / "panel_a_sp500_close_2013_2018.parquet")


def factor_walks(
    n_series: int, n_timepoints: int, *, seed: int = 0, dtype: Any = np.float64, n_factors: int = 10
) -> np.ndarray:
    """Random walks: each is a mixture of common factors, which are random walks too, plus its own walk.

    Rows are drawn in blocks, so that a million rows need hardly more memory than the result.
    """
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n_factors, n_timepoints)).cumsum(axis=1)
    walks = np.empty((n_series, n_timepoints), dtype=dtype)
    for start in range(0, n_series, 4096):
        rows = slice(start, min(start + 4096, n_series))
        loadings = rng.normal(size=(rows.stop - start, n_factors))
        own = rng.normal(size=(rows.stop - start, n_timepoints)).cumsum(axis=1)
        walks[rows] = loadings @ factors + own
    return walks


def z_scores(X: np.ndarray) -> np.ndarray:
    """Rows with zero mean and unit standard deviation, as the peers expect them."""
    return (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True)


def inertia_of(X: np.ndarray, centers: np.ndarray) -> float:
    """Sum over the series of SBD^2 to the nearest center, in float64 for the centers of any library."""
    if not np.isfinite(centers).all():
        return float("nan")
    sbd = sbd_distances(X.astype(np.float64), centers.astype(np.float64)).min(axis=1)
    return float((sbd * sbd).sum())
