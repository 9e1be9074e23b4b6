"""Methods and attributes that a sweep delegates to its best estimator."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sklearn import get_config
from sklearn.utils.metadata_routing import process_routing

from shapecluster._pipelines import last_step
from shapecluster._sklearn_compat import OutputContainer, available_if, check_is_fitted
from shapecluster._validation import check_output_container
from shapecluster.model_selection._contract import clusterer_input

if TYPE_CHECKING:
    from typing import Self

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from shapecluster._typing import ArrayLike, Float64Array, FloatArray, IntArray


def _best_has(name: str, *, of_clusterer: bool = False) -> Callable[[BestEstimatorMixin], bool]:
    """Offer a method if the best estimator has it; before `fit`, if the estimator has it."""

    def check(sweep: BestEstimatorMixin) -> bool:
        estimator = getattr(sweep, "best_estimator_", sweep.estimator)
        # The estimator's own AttributeError gives the reason, so False would say less.
        getattr(last_step(estimator) if of_clusterer else estimator, name)
        return True

    return check


class BestEstimatorMixin:
    """Methods and attributes of `best_estimator_`, as far as it has them."""

    estimator: Any
    best_estimator_: Any

    if TYPE_CHECKING:

        def fit(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> Self: ...

    @available_if(_best_has("predict"))
    def predict(self, X: Any) -> IntArray:
        """Assign rows to the clusters of the best fit.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix
            As in `fit`.

        Returns
        -------
        labels : ndarray of shape (n_rows,)
            Cluster of each row.
        """
        labels: IntArray = self._best().predict(X)
        return labels

    @available_if(_best_has("transform"))
    def transform(self, X: Any) -> FloatArray | pd.DataFrame:
        """Measure the distances of rows to the centers of the best fit.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix
            As in `fit`.

        Returns
        -------
        distances : ndarray or DataFrame of shape (n_rows, best_k_)
            Result of the best estimator's `transform`.
        """
        distances: FloatArray | pd.DataFrame = self._best().transform(X)
        return distances

    @available_if(_best_has("transform"))
    def fit_transform(
        self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> FloatArray | pd.DataFrame:
        """Fit, and measure the distances of the same rows to the centers of the best fit.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix
            As in `fit`.
        y : object, default=None
            As in `fit`.
        sample_weight : array-like of shape (n_rows,), default=None
            As in `fit`.

        Returns
        -------
        distances : ndarray or DataFrame of shape (n_rows, best_k_)
            Result of the best estimator's `transform`.
        """
        return self.fit(X, y, sample_weight).transform(X)

    @available_if(_best_has("score"))
    def score(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Score rows under the best fit: minus their SSD for k-Shape and K-Means.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix
            As in `fit`.
        y : object, default=None
            Passed on.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows.

        Returns
        -------
        score : float
            Greater is better.
        """
        params: dict[str, Any] = {}
        if sample_weight is not None:
            params = {"sample_weight": sample_weight}
            if get_config()["enable_metadata_routing"]:
                params = process_routing(self, "score", **params).estimator.score
        return float(self._best().score(X, y, **params))

    @available_if(_best_has("get_feature_names_out"))
    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Name the columns of `transform`.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Passed on to the best estimator.

        Returns
        -------
        names : ndarray of str objects
            Names that the best estimator gives them.
        """
        names: NDArray[np.object_] = self._best().get_feature_names_out(input_features)
        return names

    @available_if(_best_has("centers_in_units", of_clusterer=True))
    def centers_in_units(self, X: Any) -> Float64Array:
        """Scale the centers of the best fit to the level and movement of their members.

        Parameters
        ----------
        X : array-like or DataFrame
            Rows in the units wanted. With a Pipeline: rows as in `fit`, which its first steps transform.

        Returns
        -------
        centers : ndarray of shape (best_k_, n_timepoints[, n_channels])
            Result of the best clusterer's `centers_in_units`. With a Pipeline, the units are those of its
            last step's input: log returns for ``make_pipeline(LogReturns(), LocalKShape())``.
        """
        best = self._best()
        centers: Float64Array = last_step(best).centers_in_units(clusterer_input(best, X))
        return centers

    @available_if(_best_has("labels_frame", of_clusterer=True))
    def labels_frame(self) -> pd.DataFrame:
        """Return the cluster of each row of `fit` in the best fit, by name.

        Returns
        -------
        frame : DataFrame
            Result of the best clusterer's `labels_frame`.
        """
        frame: pd.DataFrame = last_step(self._best()).labels_frame()
        return frame

    @available_if(_best_has("members", of_clusterer=True))
    def members(self) -> dict[int, list[Any]]:
        """List the members of each cluster of the best fit, by name.

        Returns
        -------
        members : dict of int to list
            Result of the best clusterer's `members`.
        """
        members: dict[int, list[Any]] = last_step(self._best()).members()
        return members

    def set_output(self, *, transform: OutputContainer | None = None) -> Self:
        """Choose the container that `transform` returns.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None, default=None
            As for scikit-learn's transformers; None changes nothing.

        Returns
        -------
        self : KSweep
            The sweep itself.

        Raises
        ------
        ValueError
            If `transform` is none of these.
        """
        check_output_container(transform, type(self).__name__)
        if transform is not None:
            self._sklearn_output_config = {"transform": transform}  # `clone` copies this attribute
            if hasattr(self, "best_estimator_"):
                self.best_estimator_.set_output(transform=transform)
        return self

    @property
    def labels_(self) -> IntArray:
        """Cluster of each row in the best fit."""
        labels: IntArray = last_step(self._best()).labels_
        return labels

    @property
    def cluster_centers_(self) -> FloatArray:
        """Centers of the best fit."""
        centers: FloatArray = last_step(self._best()).cluster_centers_
        return centers

    @property
    def inertia_(self) -> float:
        """SSD of the best fit."""
        return float(last_step(self._best()).inertia_)

    @property
    def n_features_in_(self) -> int:
        """Number of columns of X."""
        return int(self._best().n_features_in_)

    @property
    def feature_names_in_(self) -> NDArray[np.object_]:
        """Names of the columns of X."""
        names: NDArray[np.object_] = self._best().feature_names_in_
        return names

    def _best(self) -> Any:
        check_is_fitted(self)
        return self.best_estimator_
