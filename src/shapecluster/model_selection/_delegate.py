"""What a sweep does through its best estimator, once it has chosen one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pandas as pd
from sklearn import get_config
from sklearn.utils.metadata_routing import process_routing

from shapecluster._sklearn_compat import available_if, check_is_fitted
from shapecluster.model_selection._contract import last_step

if TYPE_CHECKING:
    from typing import Self

    from shapecluster._typing import ArrayLike, IntArray


_OUTPUTS = ("default", "pandas", "polars", None)


def _best_has(name: str, *, of_clusterer: bool = False) -> Callable[[BestEstimatorMixin], bool]:
    """Offer a method where the best estimator has it; before `fit`, where the estimator has it."""

    def check(sweep: BestEstimatorMixin) -> bool:
        estimator = getattr(sweep, "best_estimator_", sweep.estimator)
        getattr(last_step(estimator) if of_clusterer else estimator, name)  # its AttributeError says it all
        return True

    return check


class BestEstimatorMixin:
    """Methods and attributes of `best_estimator_`, offered where it has them."""

    estimator: Any
    best_estimator_: Any

    if TYPE_CHECKING:

        def fit(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> Self: ...

    @available_if(_best_has("predict"))
    def predict(self, X: Any) -> Any:
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
        return self._best().predict(X)

    @available_if(_best_has("transform"))
    def transform(self, X: Any) -> Any:
        """Measure the distances of rows to the centers of the best fit.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix
            As in `fit`.

        Returns
        -------
        distances : ndarray or DataFrame of shape (n_rows, best_k_)
            What the best estimator's `transform` gives.
        """
        return self._best().transform(X)

    @available_if(_best_has("transform"))
    def fit_transform(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> Any:
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
            What the best estimator's `transform` gives.
        """
        return self.fit(X, y, sample_weight).transform(X)

    @available_if(_best_has("score"))
    def score(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> Any:
        """Score rows under the best fit; for k-Shape and K-Means, minus their SSD.

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
        best = self._best()
        if sample_weight is None:
            return best.score(X, y)
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(self, "score", sample_weight=sample_weight)
            return best.score(X, y, **routed.estimator.score)
        return best.score(X, y, sample_weight=sample_weight)

    @available_if(_best_has("get_feature_names_out"))
    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """Name the columns of `transform`.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Passed on.

        Returns
        -------
        names : ndarray of str
            As the best estimator names them.
        """
        return self._best().get_feature_names_out(input_features)

    @available_if(_best_has("labels_frame", of_clusterer=True))
    def labels_frame(self) -> pd.DataFrame:
        """Tell for each row of `fit` its cluster in the best fit, by name.

        Returns
        -------
        frame : DataFrame
            What the best clusterer's `labels_frame` gives.
        """
        frame: pd.DataFrame = last_step(self._best()).labels_frame()
        return frame

    @available_if(_best_has("members", of_clusterer=True))
    def members(self) -> dict[int, list[Any]]:
        """List the members of each cluster of the best fit, by name.

        Returns
        -------
        members : dict of int to list
            What the best clusterer's `members` gives.
        """
        members: dict[int, list[Any]] = last_step(self._best()).members()
        return members

    def set_output(self, *, transform: str | None = None) -> Self:
        """Choose the container that `transform` returns.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None, default=None
            As scikit-learn's transformers take it; None changes nothing.

        Returns
        -------
        self : KSweep
            The sweep itself.

        Raises
        ------
        ValueError
            If `transform` is none of these.
        """
        if transform not in _OUTPUTS:
            raise ValueError(
                f"{type(self).__name__}.set_output: transform must be one of "
                f"{', '.join(map(repr, _OUTPUTS))}. Got {transform!r} instead."
            )
        if transform is not None:
            self._sklearn_output_config = {"transform": transform}  # where `clone` looks for it
            if hasattr(self, "best_estimator_"):
                self.best_estimator_.set_output(transform=transform)
        return self

    @property
    def labels_(self) -> IntArray:
        """Cluster of each row in the best fit."""
        labels: IntArray = last_step(self._best()).labels_
        return labels

    @property
    def cluster_centers_(self) -> Any:
        """Centers of the best fit."""
        return last_step(self._best()).cluster_centers_

    @property
    def inertia_(self) -> float:
        """SSD of the best fit."""
        return float(last_step(self._best()).inertia_)

    @property
    def n_features_in_(self) -> int:
        """Number of columns of X."""
        return int(self._best().n_features_in_)

    @property
    def feature_names_in_(self) -> Any:
        """Names of the columns of X."""
        return self._best().feature_names_in_

    def _best(self) -> Any:
        check_is_fitted(self)
        return self.best_estimator_
