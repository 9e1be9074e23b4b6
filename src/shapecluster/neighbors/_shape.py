"""Nearest neighbors under the shape-based distance, and look-alikes of a portfolio."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pandas as pd
from scipy import sparse

from shapecluster._core.sbd.correlation import align_all
from shapecluster._core.sbd.nearest import nearest_rows
from shapecluster._core.sbd.overlap import Overlap, overlap_correlation
from shapecluster._core.sbd.shapes import Shapes, shapes_of, take, with_spectra
from shapecluster._sklearn_compat import BaseEstimator, Interval, StrOptions, check_is_fitted
from shapecluster._threads import n_threads
from shapecluster._typing import BoolArray, DType, Float64Array, FloatArray, IntArray
from shapecluster._validation import (
    SeriesData,
    all_or_nothing,
    check_series,
    listing,
    names_and_weights,
    warn_flat,
)

if TYPE_CHECKING:
    from typing import Self

_MEASURES = ["sbd", "lag", "correlation", "coverage"]
_CANCELED = 64  # so many roundings of what was added up are no shape


class ShapeNeighbors(BaseEstimator):
    """Find the series that look most like others, under the shape-based distance.

    Parameters
    ----------
    n_neighbors : int, default=5
        Number of neighbors when a query does not say.
    max_shift : int or None, default=None
        Largest shift in timepoints; None allows all.
    missing : {"error", "mask"}, default="error"
        What NaN means: an error, or a value that was not observed. With "mask", `similar` ranks by the
        correlation over jointly observed timepoints, since SBD counts every missing value against a
        pair.
    min_overlap : float, default=0.2
        With `missing="mask"`: the share of the timepoints that a pair must have observed jointly to be
        ranked by `similar`.
    n_jobs : int or None, default=None
        Threads: None is 1, -1 all cores. Answers do not depend on it.

    Attributes
    ----------
    n_features_in_ : int
        Number of timepoints.
    n_samples_fit_ : int
        Number of series in the universe.
    series_names_in_ : ndarray of shape (n_samples_fit_,)
        Names of the series (tickers). Defined only when the universe is a DataFrame.

    See Also
    --------
    shapecluster.metrics.sbd_distances : The distances themselves.

    Examples
    --------
    >>> from shapecluster import ShapeNeighbors
    >>> from shapecluster.datasets import make_market
    >>> from shapecluster.preprocessing import LogReturns
    >>> prices = make_market(n_stocks=30, n_sectors=3, random_state=0).prices
    >>> model = ShapeNeighbors(max_shift=2).fit(LogReturns().fit_transform(prices))
    >>> model.similar(list(prices.index[:2]), 3).shape
    (6, 6)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "max_shift": [None, Interval(Integral, 0, None, closed="left")],
        "missing": [StrOptions({"error", "mask"})],
        "min_overlap": [Interval(Real, 0, 1, closed="both")],
        "n_jobs": [None, Integral],
    }

    n_features_in_: int
    n_samples_fit_: int
    series_names_in_: np.ndarray[tuple[int], np.dtype[np.object_]]

    def __init__(
        self,
        n_neighbors: int = 5,
        *,
        max_shift: int | None = None,
        missing: Literal["error", "mask"] = "error",
        min_overlap: float = 0.2,
        n_jobs: int | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.max_shift = max_shift
        self.missing = missing
        self.min_overlap = min_overlap
        self.n_jobs = n_jobs

    @all_or_nothing
    def fit(self, X: Any, y: None = None) -> Self:
        """Take in the universe of series.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_series, n_timepoints[, n_channels])
            Series as rows; a DataFrame has tickers as its index.
        y : None
            Ignored.

        Returns
        -------
        self : ShapeNeighbors
            The fitted estimator.

        Raises
        ------
        ValueError
            For input that is no such set of series; the message names the ticker.
        """
        self._validate_params()
        data = self._check(X, reset=True)
        self._shapes, self._observed = self._prepare(data, self.max_shift, data.values.dtype)
        if self._shapes.flat.all():
            raise ValueError(
                f"{type(self).__name__}: no series of X ever moves, so there is no shape to find."
            )
        self.n_samples_fit_ = len(data.values)
        if data.names is not None:
            self.series_names_in_ = np.asarray(data.names, dtype=object)
        elif hasattr(self, "series_names_in_"):
            del self.series_names_in_
        return self

    def kneighbors(
        self,
        X: Any = None,
        n_neighbors: int | None = None,
        return_distance: bool = True,
        *,
        return_shift: bool = False,
    ) -> IntArray | tuple[FloatArray | IntArray, ...]:
        """Find the nearest series of the universe.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_queries, n_timepoints[, n_channels]), default=None
            Series to look for. None asks for each series of the universe, which is then not its own
            neighbor.
        n_neighbors : int, default=None
            Number of neighbors; None takes the estimator's.
        return_distance : bool, default=True
            Whether to return the distances.
        return_shift : bool, default=False
            Whether to return the shifts.

        Returns
        -------
        sbd : ndarray of shape (n_queries, n_neighbors)
            Distances in increasing order; where they are equal to the last bit (of float64, before they are
            rounded for a float32 universe), the lower row comes first. Only with `return_distance`.
        indices : ndarray of shape (n_queries, n_neighbors)
            Rows of the universe.
        shifts : ndarray of shape (n_queries, n_neighbors)
            Timepoints by which the query trails its neighbor. Only with `return_shift`.
        """
        check_is_fitted(self)
        k = self.n_neighbors if n_neighbors is None else n_neighbors
        available = self.n_samples_fit_ - (X is None)
        if not isinstance(k, Integral):
            raise TypeError(f"n_neighbors must be an integer. Got {k!r} instead.")
        if not 1 <= k <= available:
            raise ValueError(
                f"Expected 1 <= n_neighbors <= {available}, the number of series to choose from, but "
                f"n_neighbors = {k!r}, n_samples_fit = {self.n_samples_fit_}."
            )
        data = None if X is None else self._check(X, reset=False)
        queries = self._shapes if data is None else self._like_universe(data)[0]
        found = nearest_rows(queries, self._shapes, int(k), own=X is None, n_threads=n_threads(self.n_jobs))
        sbd = (1.0 - found.ncc).astype(queries.dtype, copy=False)
        answer = (sbd, found.rows, found.shifts)
        chosen = [
            a for a, wanted in zip(answer, (return_distance, True, return_shift), strict=True) if wanted
        ]
        return tuple(chosen) if len(chosen) > 1 else found.rows

    def kneighbors_graph(
        self,
        X: Any = None,
        n_neighbors: int | None = None,
        mode: Literal["connectivity", "distance"] = "connectivity",
    ) -> sparse.csr_matrix:
        """Make the graph of nearest neighbors.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_queries, n_timepoints[, n_channels]), default=None
            As in `kneighbors`.
        n_neighbors : int, default=None
            As in `kneighbors`.
        mode : {"connectivity", "distance"}, default="connectivity"
            Whether edges weigh 1 or their SBD.

        Returns
        -------
        graph : sparse CSR matrix of shape (n_queries, n_samples_fit_)
            One row per query.
        """
        if mode not in ("connectivity", "distance"):
            raise ValueError(f'mode must be "connectivity" or "distance". Got {mode!r} instead.')
        answer = self.kneighbors(X, n_neighbors)
        sbd, indices = answer[0], answer[1]
        n_queries, k = indices.shape
        weights = sbd.ravel() if mode == "distance" else np.ones(indices.size)
        starts = np.arange(0, indices.size + 1, k)
        return sparse.csr_matrix((weights, indices.ravel(), starts), shape=(n_queries, self.n_samples_fit_))

    def similar(
        self, portfolio: Iterable[Any] | Mapping[Any, float], n: int | None = None, *, basket: bool = False
    ) -> pd.DataFrame:
        """Find the look-alikes of the stocks of a portfolio, which are never stocks it holds.

        Parameters
        ----------
        portfolio : iterable of names, or mapping or Series of name to weight
            Holdings, by their names in the universe (row numbers when it had none). Weights matter to
            the basket only; they may be negative.
        n : int, default=None
            Look-alikes per holding; None takes `n_neighbors`.
        basket : bool, default=False
            Compare with the portfolio as a whole instead: the weighted mean of its z-normalized series.

        Returns
        -------
        look_alikes : DataFrame
            One row per holding and look-alike, best first, with columns

            - `holding`: the name, or "basket".
            - `look_alike`: the name of a series that is not in the portfolio.
            - `sbd`: shape-based distance.
            - `lag`: timepoints (trading days) by which the look-alike trails the holding.
            - `correlation`: Pearson correlation at that lag, over jointly observed timepoints.
            - `coverage`: share of all timepoints that are jointly observed at that lag.

            Ranked by `sbd`; with `missing="mask"` by `correlation` times the share of the timepoints that
            the lag leaves, among pairs with a coverage of at least `min_overlap`. Flat series are
            nobody's look-alike.

        Raises
        ------
        ValueError
            When names are unknown (all of them are listed), repeated, or leave nothing to choose from, or
            when the series of a basket cancel each other.

        Warns
        -----
        FlatSeriesWarning
            When a holding never moves.
        """
        check_is_fitted(self)
        held, weights = self._holdings(portfolio)
        candidates = np.setdiff1d(np.flatnonzero(~self._shapes.flat), held)
        n = self.n_neighbors if n is None else n
        if not len(candidates):
            raise ValueError("portfolio must leave series that move to choose from. It holds all of them.")
        if not isinstance(n, Integral) or not 1 <= n <= len(candidates):
            raise ValueError(
                f"n must be from 1 to {len(candidates)}, the number of series that move and are not in "
                f"the portfolio. Got {n!r} instead."
            )
        names = self._names()
        if basket:
            queries, observed = self._like_universe(self._basket(held, weights))
            labels = ["basket"]
        else:
            queries, observed = take(self._shapes, held), self._observed[held]
            labels = [names[row] for row in held]
            if queries.flat.any():
                flat = SeriesData(queries.unit, pd.Index(labels))
                warn_flat(self, flat, queries.flat, "nothing is like them: all others are at distance 1")
        aligned = align_all(take(self._shapes, candidates), queries, n_threads=n_threads(self.n_jobs))
        blocks = []
        for i, label in enumerate(labels):
            sbd, shifts = 1.0 - aligned.ncc[:, i], aligned.shifts[:, i]
            overlap = overlap_correlation(
                self._shapes.unit[candidates],
                self._observed[candidates],
                queries.unit[i],
                observed[i],
                shifts,
            )
            order = self._rank(sbd, shifts, overlap)[:n]
            columns = (sbd, shifts, overlap.correlation, overlap.coverage)
            block = {"holding": [label] * len(order), "look_alike": names[candidates[order]]}
            block |= dict(zip(_MEASURES, (column[order] for column in columns), strict=True))
            blocks.append(pd.DataFrame(block))
        return pd.concat(blocks, ignore_index=True)

    def _rank(self, sbd: Float64Array, shifts: IntArray, overlap: Overlap) -> IntArray:
        """Best first; under a mask SBD punishes what was not observed, so correlation decides there.

        What is lost to the lag still counts against a pair, as it does in SBD.
        """
        if self.missing == "error":
            return np.argsort(sbd, kind="stable")
        lost = np.abs(shifts) / self.n_features_in_
        worth = overlap.correlation - lost * np.abs(overlap.correlation)
        order: IntArray = np.argsort(-worth, kind="stable")
        return order[overlap.coverage[order] >= self.min_overlap]

    def _holdings(self, portfolio: Any) -> tuple[IntArray, Float64Array]:
        """Rows and weights of the holdings; whatever is wrong with the names is said at once."""
        names, weights = names_and_weights(portfolio)
        if not names:
            raise ValueError("portfolio must name at least one series. Got none instead.")
        rows: IntArray = pd.Index(self._names()).get_indexer(pd.Index(names, dtype=object))
        unknown = [name for name, row in zip(names, rows, strict=True) if row < 0]
        if unknown:
            raise ValueError(
                f"portfolio names series that the universe does not have: {listing(unknown, limit=50)}."
            )
        repeated = pd.Index(names)[pd.Index(names).duplicated()].unique()
        if len(repeated):
            raise ValueError(f"portfolio names these series more than once: {listing(repeated)}.")
        if isinstance(portfolio, (set, frozenset)):  # its own order is none
            rows = np.sort(rows)
        return rows, weights

    def _basket(self, held: IntArray, weights: Float64Array) -> SeriesData:
        """The portfolio as one series: weighted mean of its z-normalized series, where any is observed."""
        if not np.isfinite(weights).all() or not weights.any():
            raise ValueError(f"portfolio weights must be finite and not all 0. Got {weights} instead.")
        observed = self._observed[held]
        z_units = np.sqrt(observed.sum(axis=-1, keepdims=True)) * self._shapes.unit[held]
        weights = weights[:, None, None] / np.abs(weights).max()
        total = (observed * np.abs(weights)).sum(axis=0)
        mean = (z_units * weights).sum(axis=0)
        size = (np.abs(z_units) * np.abs(weights)).sum(axis=0)
        if (np.abs(mean) <= _CANCELED * np.finfo(z_units.dtype).eps * size.max()).all():
            raise ValueError(
                "portfolio has no shape as a whole: its holdings cancel each other, or are flat."
            )
        mean = np.divide(mean, total, out=np.full(mean.shape, np.nan), where=total > 0)
        return SeriesData(np.ascontiguousarray(mean.T)[None].astype(self._shapes.unit.dtype))

    def _check(self, X: Any, *, reset: bool) -> SeriesData:
        data = check_series(self, X, reset=reset, allow_nan=self.missing == "mask", allow_3d=True)
        if not reset and data.channels_first.shape[1:] != self._shapes.unit.shape[1:]:
            raise ValueError(
                f"X has {data.channels_first.shape[1]} channels, but {type(self).__name__} was fitted with "
                f"{self._shapes.unit.shape[1]}."
            )
        return data

    def _like_universe(self, data: SeriesData) -> tuple[Shapes, BoolArray]:
        """Series prepared as the universe was: the same window, the same precision."""
        return self._prepare(data, self._shapes.window, self._shapes.unit.dtype)

    def _prepare(self, data: SeriesData, max_shift: int | None, dtype: DType) -> tuple[Shapes, BoolArray]:
        """Normalized series, and what was observed of them."""
        shapes = shapes_of(data.channels_first, max_shift, dtype)
        if shapes.flat.any():
            warn_flat(self, data, shapes.flat, "are at distance 1 from all others")
        return shapes, ~np.isnan(data.channels_first)

    def _names(self) -> Any:
        names = getattr(self, "series_names_in_", None)
        return np.arange(self.n_samples_fit_) if names is None else names

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        if "_shapes" in state:  # spectra are three quarters of it, and soon made again
            shapes = state["_shapes"]
            state = {**state, "_shapes": replace(shapes, spectra=None)}
        return dict(state)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_shapes" in state:
            self._shapes = with_spectra(state["_shapes"])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.missing == "mask"
        return tags
