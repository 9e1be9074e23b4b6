"""Look-alikes of a portfolio: its holdings, the portfolio as one series, and the ranking of candidates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shapecluster._core.sbd.correlation import align_all
from shapecluster._core.sbd.overlap import Overlap, overlap_correlation
from shapecluster._core.sbd.shapes import Shapes, materialize
from shapecluster._text import listing
from shapecluster._threads import n_threads
from shapecluster._typing import BoolArray, Float64Array, IntArray, is_integer
from shapecluster._validation import SeriesData, names_and_weights, warn_flat
from shapecluster.neighbors._universe import ShapeUniverse

# A sum below so many rounding errors of its terms is no shape.
_CANCELED = 64


def find_look_alikes(universe: ShapeUniverse, portfolio: Any, n: Any, *, basket: bool) -> pd.DataFrame:
    """Find the look-alikes of a portfolio; see `ShapeNeighbors.similar`."""
    shapes, names = universe._shapes, universe._names()
    held, weights = _find_holdings(portfolio, names)
    # A flat series is at distance 1, which would rank it above series that move the other way.
    candidates = np.setdiff1d(np.flatnonzero(~shapes.flat), held)
    if not len(candidates):
        raise ValueError("portfolio must leave series that move to choose from. It holds all of them.")
    if not is_integer(n) or not 1 <= n <= len(candidates):
        raise ValueError(
            f"n_neighbors must be from 1 to {len(candidates)}, the number of series that move and are "
            f"not in the portfolio. Got {n!r} instead."
        )
    if basket:
        labels = ["basket"]
        queries, observed = universe._like_universe(_basket_of(shapes, universe._observed, held, weights))
    else:
        labels = [names[row] for row in held]
        queries, observed = materialize(shapes, held), universe._observed[held]
        if queries.flat.any():
            flat = SeriesData(queries.unit, pd.Index(labels))
            warn_flat(universe, flat, queries.flat, "are at distance 1 from all others")
    # The candidates are aligned to the holdings: the shift is then the lag by which they trail.
    others = materialize(shapes, candidates)
    aligned = align_all(others, queries, n_threads=n_threads(universe.n_jobs))
    tables = []
    for i, label in enumerate(labels):
        sbd, lag = 1.0 - aligned.ncc[:, i], aligned.shifts[:, i]
        overlap = overlap_correlation(
            others.unit, universe._observed[candidates], queries.unit[i], observed[i], lag
        )
        if universe.missing == "mask":
            best = _rank_by_correlation(overlap, lag, universe.n_features_in_, universe.min_overlap)[:n]
        else:
            best = np.argsort(sbd, kind="stable")[:n]
        columns = {"holding": [label] * len(best), "look_alike": names[candidates[best]]}
        measures = {"sbd": sbd, "lag": lag, **overlap._asdict()}
        tables.append(pd.DataFrame(columns | {name: values[best] for name, values in measures.items()}))
    return pd.concat(tables, ignore_index=True)


def _find_holdings(portfolio: Any, universe: NDArray[Any]) -> tuple[IntArray, Float64Array]:
    """Return rows and weights of the holdings; errors list all wrong names at once.

    Parameters
    ----------
    portfolio : str, int, iterable of names, or mapping or Series of name to weight
        One name, or several.
    universe : ndarray of shape (n_series,)
        Names of the series to choose from.
    """
    if isinstance(portfolio, str) or is_integer(portfolio):
        portfolio = [portfolio]
    names, weights = names_and_weights(portfolio)
    if not names:
        raise ValueError("portfolio must name at least one series. Got none instead.")
    rows: IntArray = pd.Index(universe).get_indexer(pd.Index(names, dtype=object))
    unknown = [name for name, row in zip(names, rows, strict=True) if row < 0]
    if unknown:
        raise ValueError(
            f"portfolio names series that the universe does not have: {listing(unknown, limit=50)}."
        )
    repeated = pd.Index(names)[pd.Index(names).duplicated()].unique()
    if len(repeated):
        raise ValueError(f"portfolio names these series more than once: {listing(repeated)}.")
    if isinstance(portfolio, (set, frozenset)):  # their order changes from process to process
        rows = np.sort(rows)
    return rows, weights


def _basket_of(shapes: Shapes, observed: BoolArray, held: IntArray, weights: Float64Array) -> SeriesData:
    """Compute the portfolio as one series: the weighted mean of the z-normalized series that are observed.

    Parameters
    ----------
    shapes : Shapes
        The universe.
    observed : ndarray of bool, shape (n_series, n_channels, n_timepoints)
        Which of its values were observed.
    held : ndarray of shape (n_holdings,)
        Rows of the holdings.
    weights : ndarray of shape (n_holdings,)
        Weights, which may be negative.
    """
    if not np.isfinite(weights).all() or not weights.any():
        raise ValueError(f"portfolio weights must be finite and not all 0. Got {weights} instead.")
    is_observed = observed[held]
    # Unit rows have norm one; z-scores of n observed values have norm sqrt(n).
    z_scores = np.sqrt(is_observed.sum(axis=-1, keepdims=True)) * shapes.unit[held]
    weights = weights[:, None, None] / np.abs(weights).max()
    total = (is_observed * np.abs(weights)).sum(axis=0)
    mean = (z_scores * weights).sum(axis=0)
    size = (np.abs(z_scores) * np.abs(weights)).sum(axis=0)
    if (np.abs(mean) <= _CANCELED * np.finfo(z_scores.dtype).eps * size.max()).all():
        raise ValueError("portfolio has no shape as a whole: its holdings cancel each other, or are flat.")
    mean = np.divide(mean, total, out=np.full(mean.shape, np.nan), where=total > 0)
    return SeriesData(np.ascontiguousarray(mean.T)[None].astype(shapes.unit.dtype))


def _rank_by_correlation(
    overlap: Overlap, shifts: IntArray, n_timepoints: int, min_overlap: float
) -> IntArray:
    """Rank candidates by correlation over jointly observed timepoints, the best first.

    SBD counts every missing value against a pair, so it does not rank series that were listed late. Values
    that a shift pushes out of the window still count against a pair, as in SBD.
    """
    lost = np.abs(shifts) / n_timepoints
    score = overlap.correlation - lost * np.abs(overlap.correlation)
    order: IntArray = np.argsort(-score, kind="stable")
    return order[overlap.coverage[order] >= min_overlap]
