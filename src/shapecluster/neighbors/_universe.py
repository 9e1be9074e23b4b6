"""The universe of ShapeNeighbors: its series, their names, and queries prepared like them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from shapecluster._core.sbd.shapes import Shapes, shapes_of, with_spectra
from shapecluster._sklearn_compat import BaseEstimator
from shapecluster._typing import BoolArray, DType, Float64Array, FloatArray
from shapecluster._validation import SeriesData, all_or_nothing, check_series, warn_flat
from shapecluster.neighbors._answers import store_names

if TYPE_CHECKING:
    from typing import Self


class ShapeUniverse(BaseEstimator, ABC):
    """Hold the series to search. A subclass searches them."""

    max_shift: int | None
    missing: Literal["error", "mask"]

    n_features_in_: int
    n_samples_fit_: int
    series_names_in_: np.ndarray[tuple[int], np.dtype[np.object_]]
    _shapes: Shapes
    _observed: BoolArray

    @abstractmethod
    def __init__(self) -> None:
        """Store parameters."""

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
        return tags
