"""KSweep: fit an estimator for many numbers of clusters, and choose one of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn import get_config
from sklearn.base import clone
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing

from shapecluster._sklearn_compat import (
    BaseEstimator,
    ClusterMixin,
    Interval,
    MetaEstimatorMixin,
    StrOptions,
)
from shapecluster._warnings import warn_user
from shapecluster.exceptions import SweepWarning
from shapecluster.metrics._silhouette_values import draw_rows
from shapecluster.model_selection._contract import (
    check_estimator,
    check_ks,
    check_takes_weights,
    n_rows,
    parameter_prefix,
)
from shapecluster.model_selection._criteria import CHOICES, CriterionName, check_criterion_applies
from shapecluster.model_selection._delegate import BestEstimatorMixin
from shapecluster.model_selection._findings import (
    SweepFindings,
    apply_criteria,
    mean_silhouettes,
    weights_of_rows,
)
from shapecluster.model_selection._fits import Fit, SweepTask, fits

if TYPE_CHECKING:
    from typing import Self

    import pandas as pd

    from shapecluster._typing import ArrayLike, Float64Array, IntArray

logger = logging.getLogger("shapecluster")


@dataclass(frozen=True)
class SweepProgress:
    """Argument of a `progress` function of `KSweep`: the fit for one k, which has ended.

    Attributes
    ----------
    k : int
        Number of clusters of that fit.
    ssd : float
        Its sum of squared distances.
    seconds : float
        Wall time that it took. If the estimator fits all ks in one call, as `LocalKShape` does: time since
        the previous fit ended, or since the start.
    done : int
        Fits that have ended, this one included.
    total : int
        Fits of the sweep.
    """

    k: int
    ssd: float
    seconds: float
    done: int
    total: int


class KSweep(BestEstimatorMixin, MetaEstimatorMixin, ClusterMixin, BaseEstimator):
    """Fit an estimator for many numbers of clusters, and choose one of them.

    Every fit equals `clone(estimator).set_params(n_clusters=k).fit(X)` to the last bit. `KSweep` reports
    the choices of all criteria, because none of them is reliable alone. It keeps the chosen fit and
    delegates to it: `predict`, `transform`, `labels_`.

    Parameters
    ----------
    estimator : estimator
        A clusterer with a parameter `n_clusters` that sets `inertia_`, such as `LocalKShape`, `KMeans` or
        `MiniBatchKMeans`, or a Pipeline whose last step is one, also a nested one. It is cloned, never
        changed.
    k : iterable of int, default=(2, 3, ..., 20)
        Numbers of clusters to try, each once, from 1 to the number of rows. `KSweep` tries them in
        increasing order.
    criterion : {"ssd", "elbow", "silhouette"}, default="ssd"
        Rule that chooses `best_k_`. "ssd": the minimum sum of squared distances. "elbow": the k after which
        the SSD falls much more slowly (Kneedle). "silhouette": the maximum mean silhouette in the
        estimator's own metric. The other criteria are computed and reported, too.
    n_jobs : int or None, default=None
        Number of fits that run side by side in threads: None is 1, -1 is all cores. The distances for the
        silhouette use as many threads, unless the estimator has its own `n_jobs`. The result does not
        depend on it.
    progress : callable or None, default=None
        Called with a `SweepProgress` as each k ends, in the calling thread and by increasing k. Pickles and
        deep copies do not contain it.
    n_samples : int or None, default=1000
        Number of rows that the mean silhouette is estimated from. Each of them is compared with all rows.
        They are drawn once for all k. None takes all rows; 0 leaves the silhouette out.
    keep_estimators : bool, default=True
        Whether to keep the fit of every k in `estimators_`, with n_rows labels each.
    random_state : int, RandomState instance or None, default=0
        Seeds the sample of the silhouette only. The fits use the `random_state` of `estimator`.

    Attributes
    ----------
    best_k_ : int
        The choice of `criterion`. If it finds none, the k of minimum SSD, with a warning.
    best_params_ : dict
        `best_k_` under the parameter's name, for `estimator.set_params`.
    best_estimator_ : estimator
        The fit with `best_k_` clusters.
    ssd_k_ : int
        The k of minimum SSD.
    elbow_k_ : int or None
        The elbow of the SSD curve; None if it has none.
    silhouette_k_ : int or None
        The k of maximum silhouette; None if no k gave two clusters, or it was not computed.
    near_ties_ : dict of str to list of int
        For each criterion, the other ks that are nearly as good as its choice. Limits: an SSD within 1 % of
        the minimum, an elbow score within 0.03 and a silhouette within 0.01 of the maximum.
    results_ : DataFrame
        Indexed by `k`, increasing, with columns `ssd`, `elbow`, `silhouette`, `n_iter`, `seconds`,
        `chosen_by` and `near_tie`. `elbow` is how far the scaled SSD curve lies below the straight line
        between its ends. The last two name the criteria that choose this k, or nearly do, separated by ", ".
    estimators_ : dict of int to estimator
        The fit of every k, if `keep_estimators=True`.
    silhouette_sample_ : ndarray of shape (n_sampled,)
        Positions of the rows that the mean silhouette was estimated from.
    labels_ : ndarray of shape (n_rows,)
        Cluster of each row in the best fit.
    cluster_centers_ : ndarray
        Centers of the best fit.
    inertia_ : float
        SSD of the best fit.
    n_features_in_ : int
        Number of columns of X, if the best estimator has it.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns of X, if the best estimator has them.

    Warns
    -----
    SweepWarning
        The minimum SSD is at the largest k tried, so the criterion "ssd" says little. Or the criterion found
        no k, and the k of minimum SSD was taken. The message lists the choices of the other criteria.

    See Also
    --------
    shapecluster.LocalKShape : The clusterer that this is made for.
    shapecluster.metrics.sampled_silhouette : The mean silhouette of one clustering, with its standard error.
    sklearn.model_selection.GridSearchCV : Tuning by cross-validation, for estimators that predict a target.

    Notes
    -----
    With a Pipeline, the SSD is the last step's `inertia_`, and the silhouette is computed on the input of
    the last step. All steps are fitted again for every k, unless the last one can share work between ks, as
    `LocalKShape` can. Then the other steps are fitted once, and copied.

    The silhouette needs n_samples * n_rows distances, measured once after the last fit (half as many if all
    rows are sampled). With `LocalKShape` they may take as long as all fits. For 1000 series of 504 days they
    take about 4 s on one core, as much as k from 2 to 20. Ten times the rows take about 20 times as long. The
    log (level INFO, logger "shapecluster") says when they begin. Memory does not grow with their number.

    If `estimator` has an integer as `random_state`, so does every fit. If it has a `RandomState` instance,
    every fit starts from its present state, as any clone does, and leaves it unchanged. With None, fits draw
    from NumPy's global state. Then they are neither repeatable nor equal to separate fits.

    The estimator defines how `sample_weight` counts in the SSD. In the silhouette it weights the mean
    distances to clusters and the mean over rows, so that a row of weight 0 has no influence.

    References
    ----------
    V. Satopaa, J. Albrecht, D. Irwin and B. Raghavan, "Finding a 'Kneedle' in a Haystack: Detecting Knee
    Points in System Behavior", ICDCS Workshops 2011.

    P. J. Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation of cluster
    analysis", Journal of Computational and Applied Mathematics 20, 1987.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import make_blobs
    >>> from shapecluster.model_selection import KSweep
    >>> X, _ = make_blobs(n_samples=200, centers=4, cluster_std=0.5, random_state=3)
    >>> sweep = KSweep(KMeans(random_state=0), k=range(2, 9), criterion="silhouette").fit(X)
    >>> sweep.best_k_, sweep.elbow_k_, sweep.silhouette_k_, sweep.ssd_k_
    (4, 4, 4, 8)
    >>> sweep.results_.loc[3:5, ["elbow", "silhouette"]].round(2)
       elbow  silhouette
    k
    3   0.46        0.71
    4   0.65        0.87
    5   0.49        0.74
    >>> sweep.predict(X[:3]) == sweep.labels_[:3]
    array([ True,  True,  True])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any] | str]] = {
        "estimator": "no_validation",  # `check_estimator` looks at more than its type
        "k": "no_validation",  # `check_ks` compares it with the number of rows
        "criterion": [StrOptions(set(CHOICES))],
        "n_jobs": [None, Integral],
        "progress": [None, callable],
        "n_samples": [
            None,
            Interval(Integral, 0, 1, closed="left"),  # 0 only
            Interval(Integral, 2, None, closed="left"),
        ],
        "keep_estimators": ["boolean"],
        "random_state": ["random_state"],
    }

    criterion: CriterionName
    best_k_: int
    best_params_: dict[str, int]
    best_estimator_: Any
    ssd_k_: int
    elbow_k_: int | None
    silhouette_k_: int | None
    near_ties_: dict[str, list[int]]
    results_: pd.DataFrame
    estimators_: dict[int, Any]
    silhouette_sample_: IntArray

    def __init__(
        self,
        estimator: Any,
        k: Iterable[int] = tuple(range(2, 21)),  # scikit-learn's checks do not allow a range as a default
        *,
        criterion: CriterionName = "ssd",
        n_jobs: int | None = None,
        progress: Callable[[SweepProgress], object] | None = None,
        n_samples: int | None = 1000,
        keep_estimators: bool = True,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.estimator = estimator
        self.k = k
        self.criterion = criterion
        self.n_jobs = n_jobs
        self.progress = progress
        self.n_samples = n_samples
        self.keep_estimators = keep_estimators
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the estimator for every k, and choose.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix
            Rows in any form that the estimator takes; passed on unchanged.
        y : object, default=None
            Passed on if it is not None, for steps of a Pipeline that need it.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows, passed on to the estimator, or to the last step of a Pipeline. With
            scikit-learn's metadata routing, they go to the steps that request them.

        Returns
        -------
        self : KSweep
            The fitted sweep.

        Raises
        ------
        ValueError
            If `k` cannot be tried, or weights are negative or all zero: both before anything is fitted. If a
            fit fails; the message names its k. If distances for the silhouette overflow float64.
        TypeError
            If `estimator` or `k` is of the wrong kind.
        """
        self._validate_params()
        check_estimator(self.estimator, type(self).__name__)
        ks = check_ks(self.k, n_rows(X), type(self).__name__)
        check_criterion_applies(self.criterion, ks, self.n_samples, type(self).__name__)
        weights = None if sample_weight is None else weights_of_rows(sample_weight, X, type(self).__name__)
        task = SweepTask(self._template(), X, y, sample_weight, self._fit_params(sample_weight))
        done: list[Fit] = []
        # If `progress` raises, closing cancels the fits that have not begun.
        with closing(fits(task, ks, self.n_jobs)) as ended:
            for fit in ended:
                done.append(fit)
                self._report(fit, len(done), len(ks))
        self._choose(done, X, weights)
        return self

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the routing of metadata: all of it goes to the estimator.

        Returns
        -------
        routing : MetadataRouter
            Routing in the form that scikit-learn uses.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit").add(caller="score", callee="score")
        return MetadataRouter(owner=type(self).__name__).add(estimator=self.estimator, method_mapping=mapping)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags = deepcopy(inner.input_tags)
        tags.transformer_tags = deepcopy(inner.transformer_tags)
        tags.array_api_support = inner.array_api_support
        tags.non_deterministic = inner.non_deterministic
        return tags

    def __getstate__(self) -> dict[str, Any]:
        # `progress` is often a lambda or holds a progress bar, and neither can be pickled.
        state: Any = super().__getstate__()
        return {**state, "progress": None}

    def _template(self) -> Any:
        template = clone(self.estimator)
        output = getattr(self, "_sklearn_output_config", None)
        return template if output is None else template.set_output(**output)

    def _fit_params(self, sample_weight: ArrayLike | None) -> dict[str, Any]:
        """Return the weights under the name that the estimator's `fit` takes them by."""
        if sample_weight is None:
            return {}
        check_takes_weights(self.estimator, type(self).__name__)
        if get_config()["enable_metadata_routing"]:
            return dict(process_routing(self, "fit", sample_weight=sample_weight).estimator.fit)
        return {f"{parameter_prefix(self.estimator)}sample_weight": sample_weight}

    def _report(self, fit: Fit, done: int, total: int) -> None:
        """Log a fit that has ended, and pass it to `progress`."""
        logger.info("k = %d: SSD %.6g in %.2f s (%d of %d)", fit.k, fit.ssd, fit.seconds, done, total)
        if self.progress is not None:
            self.progress(SweepProgress(fit.k, fit.ssd, fit.seconds, done, total))

    def _choose(self, done: list[Fit], X: Any, weights: Float64Array | None) -> None:
        """Set every fitted attribute from the fits, which come by increasing k."""
        candidates = np.arange(n_rows(X)) if weights is None else np.flatnonzero(weights > 0)
        rows = draw_rows(candidates, self.n_samples, self.random_state)
        findings = apply_criteria(done, mean_silhouettes(done, X, rows, weights, self.n_jobs))
        # Warned before any attribute is set: as an error, the warning leaves the sweep unfitted.
        self._warn(findings)
        chosen = findings.chosen[self.criterion]
        self.best_k_ = findings.minimum_ssd if chosen is None else chosen
        self.best_params_ = {f"{parameter_prefix(self.estimator)}n_clusters": self.best_k_}
        for name, k in findings.chosen.items():
            setattr(self, f"{name}_k_", k)
        self.near_ties_ = findings.near
        self.results_ = findings.table
        self.silhouette_sample_ = rows
        self.best_estimator_ = next(fit.estimator for fit in done if fit.k == self.best_k_)
        if self.keep_estimators:
            self.estimators_ = {fit.k: fit.estimator for fit in done}
        elif hasattr(self, "estimators_"):
            del self.estimators_

    def _warn(self, findings: SweepFindings) -> None:
        """Warn if the choice says little about the data."""
        others = findings.other_choices(self.criterion)
        tried, k = findings.table.index, findings.minimum_ssd
        if findings.chosen[self.criterion] is None:
            text = (
                f"the criterion {self.criterion!r} found no k among those tried, so the k of minimum SSD was "
                f"taken, k = {k}. Other criteria: {others}."
            )
        elif self.criterion == "ssd" and len(tried) > 1 and k == tried[-1]:
            text = (
                f"the minimum SSD is at k = {k}, the largest k tried. SSD almost always falls as k grows, so "
                f"this says little about the data. Other criteria: {others}. See results_, or choose by one "
                "of them (criterion=...)."
            )
        else:
            return
        warn_user(self, text, SweepWarning)
