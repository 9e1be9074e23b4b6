"""Contract of the shape clusterers: the methods that follow from fitted centers."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning

from shapecluster._core.kshape.assignment import assign
from shapecluster._core.kshape.run import Iterate, inertia, participating
from shapecluster._core.sbd.correlation import align_all
from shapecluster._core.sbd.normalize import standardize, unit_rows
from shapecluster._core.sbd.shapes import SPARE_BYTES, Shapes, materialize, shapes_of
from shapecluster._sklearn_compat import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    Interval,
    StrOptions,
    TransformerMixin,
    check_array,
    check_is_fitted,
    clone,
)
from shapecluster._threads import n_threads
from shapecluster._typing import (
    ArrayLike,
    BoolArray,
    DType,
    Float64Array,
    FloatArray,
    InitialCenters,
    IntArray,
)
from shapecluster._validation import SeriesData, check_series, check_weights, warn_flat
from shapecluster._warnings import warn_user

if TYPE_CHECKING:
    from typing import Self


class BaseShapeClusterer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator, ABC):
    """Base of the estimators that cluster series by shape.

    A subclass has the parameters of `_parameter_constraints`, and its `fit` calls `_store`. The methods here
    need only the centers.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any] | str]] = {
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "init": [StrOptions({"k-shape++", "random"}), "array-like"],
        "n_init": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_shift": [None, Interval(Integral, 0, None, closed="left")],
        "missing": [StrOptions({"error", "mask"})],
        "random_state": ["random_state"],
        "n_jobs": [None, Integral],
        "verbose": ["verbose"],
    }

    n_clusters: int
    init: InitialCenters
    n_init: int | Literal["auto"]
    max_shift: int | None
    missing: Literal["error", "mask"]
    n_jobs: int | None

    cluster_centers_: FloatArray
    labels_: IntArray
    shifts_: IntArray
    sbd_: Float64Array
    inertia_: float
    n_iter_: int
    n_correlations_: int
    n_features_in_: int
    series_names_in_: np.ndarray[tuple[int], np.dtype[np.object_]]

    @abstractmethod
    def fit(self, X: Any, y: None = None, sample_weight: ArrayLike | None = None) -> Self:
        """Compute the centers."""

    def predict(self, X: Any) -> IntArray:
        """Find the nearest center of each series.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_series, n_timepoints[, n_channels])
            Series as rows, with as many timepoints as in `fit`; dates may differ.

        Returns
        -------
        labels : ndarray of shape (n_series,)
            Index of the nearest center; 0 for flat series, with a warning.
        """
        return self._assigned(X).labels

    def transform(self, X: Any) -> FloatArray | pd.DataFrame:
        """Measure the shape-based distance of each series to every center.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_series, n_timepoints[, n_channels])
            Series as rows, with as many timepoints as in `fit`.

        Returns
        -------
        sbd : ndarray or DataFrame of shape (n_series, n_clusters)
            In [0, 1], or [0, 2] with `max_shift`; 1 for flat series. A DataFrame with the same index
            when X is one.
        """
        data = self._check(X, reset=False)
        centers = shapes_of(self._centers(), self.max_shift)
        aligned = align_all(self._shapes(data), centers, n_threads=n_threads(self.n_jobs))
        # The distances are in the dtype of the input, as scikit-learn's transformers keep it.
        sbd = (1.0 - aligned.ncc).astype(data.values.dtype, copy=False)
        if data.names is None:
            return sbd
        return pd.DataFrame(sbd, index=data.names, columns=self.get_feature_names_out())

    def score(self, X: Any, y: None = None, sample_weight: ArrayLike | None = None) -> float:
        """Opposite of the SSD of series under the fitted centers; greater is better.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_series, n_timepoints[, n_channels])
            Series as rows.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_series,), default=None
            Weight of each series; None weighs all alike.

        Returns
        -------
        score : float
            Minus the weighted sum of squared SBD to the nearest centers.
        """
        return -self._assigned(X, sample_weight).inertia

    def labels_frame(self) -> pd.DataFrame:
        """Table of the series of `fit` with their cluster, shift and distance.

        Returns
        -------
        frame : DataFrame
            Indexed by series name; the index keeps the name that it has in X, else "series". Columns:
            `cluster`, `shift` (timepoints by which the series trails its center) and `sbd`.
        """
        self._check_is_fitted()
        columns = {"cluster": self.labels_, "shift": self.shifts_, "sbd": self.sbd_}
        return pd.DataFrame(columns, index=pd.Index(self._names(), name=self._axis_name))

    def members(self) -> dict[int, list[Any]]:
        """List the series of each cluster, nearest to the center first.

        Returns
        -------
        members : dict of int to list
            Names if `fit` got a DataFrame, else row numbers. Every cluster has an entry.
        """
        self._check_is_fitted()
        names = self._names()
        order = np.argsort(self.sbd_, kind="stable")
        return {
            label: [names[row] for row in order if self.labels_[row] == label]
            for label in range(len(self.cluster_centers_))
        }

    def centers_in_units(self, X: Any) -> Float64Array:
        """Scale each center to the level and movement of its members, in their own units.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_series, n_timepoints[, n_channels])
            Any number of series, in the units of the result (such as prices). Each counts for its nearest
            center.

        Returns
        -------
        centers : ndarray of shape (n_clusters, n_timepoints[, n_channels])
            Center times the members' median standard deviation plus their median mean; NaN for a
            cluster that has no member in X.
        """
        data = self._check(X, reset=False)
        shapes = self._shapes(data)
        found, _ = self._assign(shapes, self._centers(), np.ones(len(shapes)))
        # Medians, so that one stock at a very high price does not set the scale of its cluster.
        _, mean, std, _ = standardize(data.channels_first)
        centers = np.full(self.cluster_centers_.shape, np.nan)
        for label, center in enumerate(self.cluster_centers_):
            members = (found.labels == label) & ~shapes.flat
            if members.any():
                centers[label] = _median(mean[members]) + _median(std[members]) * center
        return centers

    @property
    def _n_features_out(self) -> int:
        return len(self.cluster_centers_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.missing == "mask"
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _distances_between(self, X: Any) -> Callable[[IntArray, IntArray], Float64Array]:
        """Prepare series, and return a function that measures the SBD between rows at given positions.

        `KSweep` computes the silhouette with it. A flat series is at distance 1 from itself, too.
        """
        data = clone(self)._check(X, reset=True)  # a clone, so that `n_features_in_` stays as it is
        threads = n_threads(self.n_jobs)
        shapes = shapes_of(data.channels_first, self.max_shift, spare=SPARE_BYTES, n_threads=threads)

        def distances(first: IntArray, second: IntArray) -> Float64Array:
            # The second ones are few and transformed once; the first ones are taken block by block.
            return 1.0 - align_all(shapes[first], materialize(shapes, second), n_threads=threads).ncc

        return distances

    def _check_is_fitted(self) -> None:
        check_is_fitted(self)

    def _check(self, X: Any, *, reset: bool) -> SeriesData:
        """Check series: those of a fit if `reset`, else new ones, which must be as those of the fit."""
        if not reset:
            self._check_is_fitted()
        data = check_series(self, X, reset=reset, allow_nan=self.missing == "mask", allow_3d=True)
        if not reset and data.values.shape[2:] != self.cluster_centers_.shape[2:]:
            raise ValueError(
                f"X has {_channels(data.values.shape)}, but {type(self).__name__} was fitted with "
                f"{_channels(self.cluster_centers_.shape)}."
            )
        return data

    def _shapes(
        self, data: SeriesData, dtype: DType | None = None, *, spare: int = SPARE_BYTES, warn: bool = True
    ) -> Shapes:
        """Prepare checked series in the precision of the centers; warn with the names of flat ones."""
        dtype = self.cluster_centers_.dtype if dtype is None else dtype
        shapes = shapes_of(
            data.channels_first, self.max_shift, dtype, spare=spare, n_threads=n_threads(self.n_jobs)
        )
        if warn and shapes.flat.any():
            warn_flat(self, data, shapes.flat, "get label 0 and distance 1")
        return shapes

    def _assigned(self, X: Any, sample_weight: ArrayLike | None = None) -> Iterate:
        """Assign new series to the fitted centers."""
        data = self._check(X, reset=False)
        weights = self._weights(sample_weight, data)
        return self._assign(self._shapes(data), self._centers(), weights)[0]

    def _assign(self, x: Shapes, centers: FloatArray, weights: Float64Array) -> tuple[Iterate, int]:
        """Assign prepared series to centers; also return the number of pairs that were transformed."""
        # One assignment: no later one could use its bounds.
        targets = shapes_of(centers, self.max_shift)
        assigned = assign(x, targets, keep=False, n_threads=n_threads(self.n_jobs))
        labels, shifts, ncc = assigned.nearest
        sbd = 1.0 - ncc
        return Iterate(centers, labels, shifts, sbd, inertia(sbd, weights)), assigned.n_correlations

    def _centers(self) -> FloatArray:
        """The fitted centers in the layout of the core."""
        return SeriesData(self.cluster_centers_).channels_first

    def _weights(self, sample_weight: ArrayLike | None, data: SeriesData) -> Float64Array:
        if sample_weight is None:  # also for each `predict`, where scikit-learn's check would take longest
            return np.ones(len(data.values))
        weights = check_weights(sample_weight, data.values, type(self).__name__, data.name)
        # Finite weights can have an infinite sum, which would make the inertia infinite.
        with np.errstate(over="ignore"):
            total = weights.sum()
        if not np.isfinite(total):
            raise ValueError(f"sample_weight must have a finite sum. Got a largest entry of {weights.max()}.")
        return weights

    def _names(self) -> Any:
        return getattr(self, "series_names_in_", np.arange(len(self.labels_)))

    def _check_size(self, n_series: int) -> None:
        """Raise ValueError if there are fewer series than clusters."""
        if n_series < self.n_clusters:
            raise ValueError(
                f"n_samples={n_series} should be >= n_clusters={self.n_clusters}: there are fewer series "
                "than clusters."
            )

    def _taking_part(self, shapes: Shapes, weights: Float64Array) -> BoolArray:
        """Flags of the series that take part in a fit; raise ValueError if there are none."""
        taking_part = participating(shapes, weights)
        if not taking_part.any():
            raise ValueError(
                f"{type(self).__name__}: no series of X (with a positive weight) ever moves, so there is no "
                "shape to cluster."
            )
        return taking_part

    def _given_centers(self, data: SeriesData) -> FloatArray:
        """Check the array `init`, and return it in the layout of the core."""
        centers = check_array(
            self.init, dtype=data.values.dtype, allow_nd=True, ensure_all_finite=False, input_name="init"
        )
        expected = (self.n_clusters, *data.values.shape[1:])
        if centers.shape != expected:
            raise ValueError(
                f"init must have one center per cluster, with the timepoints of X: shape {expected}. "
                f"Got shape {centers.shape} instead."
            )
        if not np.isfinite(centers).all():
            raise ValueError("init must be finite. Got NaN or infinity instead.")
        given = SeriesData(centers).channels_first
        flat = np.flatnonzero(unit_rows(given).flat)
        if len(flat):
            raise ValueError(f"init must hold centers that move. Got a flat center {flat[0]} instead.")
        return given

    def _n_runs(self, if_random: int) -> int:
        """Number of runs that `n_init` stands for: "auto" is `if_random` for first centers at random."""
        if self.n_init != "auto":
            return self.n_init
        return if_random if self.init == "random" else 1

    def _store_names(self, data: SeriesData) -> None:
        """Keep the names of the series, and drop those of an earlier fit."""
        self._axis_name = "series" if data.names is None or data.names.name is None else data.names.name
        vars(self).pop("series_names_in_", None)
        if data.names is not None:
            self.series_names_in_ = np.asarray(data.names, dtype=object)

    def _store(self, found: Iterate, data: SeriesData) -> None:
        """Store centers, and the series that are assigned to them, as fitted attributes."""
        centers = found.centers.transpose(0, 2, 1) if data.values.ndim == 3 else found.centers[:, 0]
        self.cluster_centers_ = np.ascontiguousarray(centers)
        self.labels_, self.shifts_, self.sbd_ = found.labels, found.shifts, found.sbd
        self.inertia_ = found.inertia
        self._store_names(data)

    def _warn_of_empty_clusters(self, taking_part: BoolArray) -> None:
        """Warn if some fitted clusters have no members."""
        # Flat series have label 0 and would make an empty cluster 0 look like one with members.
        n_found, n_clusters = len(np.unique(self.labels_[taking_part])), len(self.cluster_centers_)
        if n_found < n_clusters:
            warn_user(
                self,
                f"number of distinct clusters ({n_found}) found smaller than n_clusters ({n_clusters}). "
                "Possibly due to fewer distinct shapes than clusters in X.",
                ConvergenceWarning,
            )


def _median(values: Float64Array) -> Float64Array:
    """Median over series for each channel; NaN for a channel without any value."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        return np.asarray(np.nanmedian(values, axis=0))


def _channels(shape: tuple[int, ...]) -> str:
    return "no channel axis" if len(shape) == 2 else f"{shape[2]} channels"
