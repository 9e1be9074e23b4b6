"""The universe of ShapeNeighbors: its series, their names, and queries prepared like them."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from shapecluster._core.sbd.shapes import Shapes, shapes_of, with_spectra
from shapecluster._sklearn_compat import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    Interval,
    StrOptions,
    TransformerMixin,
)
from shapecluster._typing import BoolArray, DType, Float64Array, FloatArray
from shapecluster._validation import SeriesData, all_or_nothing, check_series, warn_flat
from shapecluster.neighbors._answers import store_names


class ShapeUniverse(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """The parameters of a search, and the series to search. A subclass searches them."""

    missing: Literal["error", "mask"]
    n_features_in_: int
    n_samples_fit_: int
    series_names_in_: np.ndarray[tuple[int], np.dtype[np.object_]]
    _shapes: Shapes
    _observed: BoolArray

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "max_shift": [None, Interval(Integral, 0, None, closed="left")],
        "missing": [StrOptions({"error", "mask"})],
        "min_overlap": [Interval(Real, 0, 1, closed="both")],
        "n_jobs": [None, Integral],
    }

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
        """Store the universe of series.

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
            For input that is no set of series; the message names the ticker.
        """
        self._validate_params()
        data = self._check(X, reset=True)
        self._shapes, self._observed = self._prepare(data, self.max_shift, data.values.dtype)
        if self._shapes.flat.all():
            raise ValueError(
                f"{type(self).__name__}: no series of X ever moves, so there is no shape to find."
            )
        self.n_samples_fit_ = len(data.values)
        store_names(self, data.names)
        return self

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Name the columns of the graph.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Only its length is checked.

        Returns
        -------
        names : ndarray of str
            Names of the series of the universe, or "shapeneighbors0", "shapeneighbors1" and so on if it has
            none.
        """
        numbered: NDArray[np.object_] = super().get_feature_names_out(input_features)
        names = getattr(self, "series_names_in_", None)
        return numbered if names is None else np.array([str(name) for name in names], dtype=object)

    @property
    def _n_features_out(self) -> int:
        return self.n_samples_fit_

    def _cast(self, sbd: Float64Array) -> FloatArray:
        """Round distances to the precision of the universe."""
        return sbd.astype(self._shapes.dtype, copy=False)

    def _queries(self, X: Any) -> Shapes:
        """Check and prepare queries; None stands for the universe."""
        return self._shapes if X is None else self._like_universe(self._check(X, reset=False))[0]

    def _check(self, X: Any, *, reset: bool) -> SeriesData:
        data = check_series(self, X, reset=reset, allow_nan=self.missing == "mask", allow_3d=True)
        if not reset and data.channels_first.shape[1:] != self._shapes.unit.shape[1:]:
            raise ValueError(
                f"X has {data.channels_first.shape[1]} channels, but {type(self).__name__} was fitted with "
                f"{self._shapes.unit.shape[1]}."
            )
        return data

    def _like_universe(self, data: SeriesData) -> tuple[Shapes, BoolArray]:
        """Prepare series as the universe: with the same window and precision."""
        # The window of the last fit: a `max_shift` that is set later waits for the next one.
        return self._prepare(data, self._shapes.window, self._shapes.unit.dtype)

    def _prepare(self, data: SeriesData, max_shift: int | None, dtype: DType) -> tuple[Shapes, BoolArray]:
        """Normalize series, and mark the values that were observed."""
        shapes = shapes_of(data.channels_first, max_shift, dtype)
        if shapes.flat.any():
            warn_flat(self, data, shapes.flat, "are at distance 1 from all others")
        return shapes, ~np.isnan(data.channels_first)

    def _names(self) -> Any:
        names = getattr(self, "series_names_in_", None)
        return np.arange(self.n_samples_fit_) if names is None else names

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        if "_shapes" in state:  # spectra are three quarters of the size, and soon made again
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
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
