"""KSweep: one estimator, many numbers of clusters, and which of them to take."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar

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
from shapecluster.model_selection._contract import (
    check_estimator,
    check_ks,
    check_takes_weights,
    n_rows,
    prefix,
)
from shapecluster.model_selection._criteria import CRITERIA
from shapecluster.model_selection._delegate import BestEstimatorMixin
from shapecluster.model_selection._findings import (
    SweepFindings,
    check_criterion_applies,
    find,
    rows_to_measure,
    silhouettes,
    weights_of_rows,
)
from shapecluster.model_selection._fits import Fit, Task, fits

if TYPE_CHECKING:
    from typing import Self

    import numpy as np
    import pandas as pd

    from shapecluster._typing import ArrayLike, Float64Array, IntArray

logger = logging.getLogger("shapecluster")


@dataclass(frozen=True)
class SweepProgress:
    """What a `callback` of `KSweep` is told when the fit for one k has ended.

    Attributes
    ----------
    k : int
        Number of clusters of that fit.
    ssd : float
        Its sum of squared distances.
    seconds : float
        Wall time that it took. Where the estimator fits all ks in one go, sharing work, as `LocalKShape`
        does: time since the fit before ended, or since the start.
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

    Every fit is a separate one: `clone(estimator).set_params(n_clusters=k).fit(X)`, with the same result
    to the last bit. What several criteria choose is told side by side, because none of them is safe
    alone. The chosen fit is kept, and the sweep then works like it: `predict`, `transform`, `labels_`.

    Parameters
    ----------
    estimator : estimator
        A clusterer with a parameter `n_clusters` that sets `inertia_`, such as `LocalKShape`, `KMeans` or
        `MiniBatchKMeans`, or a Pipeline whose last step is one. It is cloned, never changed.
    k : iterable of int, default=(2, 3, ..., 20)
        Numbers of clusters to try, without repetition, at least 1 and at most the number of rows. They
        are tried in increasing order.
    criterion : {"ssd", "elbow", "silhouette"}, default="ssd"
        What decides on `best_k_`. "ssd": the least sum of squared distances. "elbow": where the fall of
        the SSD slows down most (Kneedle). "silhouette": the greatest mean silhouette in the estimator's
        own metric. The others are computed and told as well.
    n_jobs : int or None, default=None
        Fits that run side by side, in threads: None is 1, -1 all cores. The distances for the silhouette
        use as many, unless the estimator has its own `n_jobs`. The result does not depend on it.
    callback : callable or None, default=None
        Called with a `SweepProgress` as each k ends, in the calling thread and by increasing k. Left out
        of pickles and deep copies.
    silhouette_sample_size : int or None, default=1000
        Most rows to compute the silhouette on: its cost grows with the square of their number. A larger X
        is sampled once for all k. None takes all rows, 0 leaves the silhouette out.
    keep_estimators : bool, default=True
        Whether to keep the fit of every k in `estimators_`, which holds n_rows labels for each.
    random_state : int, RandomState instance or None, default=0
        Seeds the sample of the silhouette, and nothing else: the fits go by `estimator`'s own.

    Attributes
    ----------
    best_k_ : int
        The choice of `criterion`; that of "ssd" where `criterion` finds none, with a warning.
    best_params_ : dict
        `best_k_` under the parameter's name, for `estimator.set_params`.
    best_estimator_ : estimator
        The fit with `best_k_` clusters.
    ssd_k_ : int
        The k of least SSD.
    elbow_k_ : int or None
        The elbow of the SSD curve; None when it has none.
    silhouette_k_ : int or None
        The k of greatest silhouette; None when no k gave two clusters, or it was not computed.
    near_ties_ : dict of str to list of int
        For each criterion, the other ks that are nearly as good as its choice: an SSD within 1 % of the
        least, an elbow score within 0.03 or a silhouette within 0.01 of the greatest.
    results_ : DataFrame
        Indexed by `k`, increasing, with columns `ssd`, `elbow` (how far the scaled SSD curve sags below the
        straight line between its ends), `silhouette`, `n_iter`, `seconds`, `chosen_by` and `near_tie`
        (the criteria that choose this k, or nearly do, separated by ", ").
    estimators_ : dict of int to estimator
        The fit of every k, when `keep_estimators=True`.
    silhouette_sample_ : ndarray of shape (n_sampled,)
        Positions of the rows that the silhouette was computed on.
    labels_ : ndarray of shape (n_rows,)
        Cluster of each row in the best fit.
    cluster_centers_ : ndarray
        Centers of the best fit.
    inertia_ : float
        SSD of the best fit.
    n_features_in_ : int
        Number of columns of X, where the best estimator knows it.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns of X, where the best estimator knows them.

    Warns
    -----
    SweepWarning
        The least SSD is at the largest k tried, so the criterion "ssd" says little; or the criterion found
        no k, and the least SSD was taken. The message says what the other criteria chose.

    See Also
    --------
    shapecluster.LocalKShape : The clusterer that this is made for.
    sklearn.model_selection.GridSearchCV : Tuning by cross-validation, where there is something to predict.

    Notes
    -----
    With a Pipeline, SSD is the last step's `inertia_`, and the silhouette is computed on what the last step
    sees. All steps are fitted again for every k, unless the last one can share work between ks, as
    `LocalKShape` can: then they are fitted once, and copied.

    The silhouette needs the distances between all pairs of its rows, once, after the last fit. With
    `LocalKShape` they may take as long as all fits: for 1000 series of 504 days some 4 s on one core, as
    much as k from 2 to 20. The log (level INFO, logger "shapecluster") says when they begin.

    When `estimator` has an integer as `random_state`, so does every fit. When it has a `RandomState`
    instance, every fit starts from the state that it has now, as any clone does, and leaves it there. With
    None, fits draw from NumPy's global state: they are neither repeatable nor equal to separate ones.

    `sample_weight` counts in the SSD as the estimator says. In the silhouette it weighs the mean distances
    to clusters and the mean over rows, so that a row of weight 0 has no influence.

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
        "estimator": "no_validation",  # needs more than a type: see check_estimator
        "k": "no_validation",  # see check_ks
        "criterion": [StrOptions(set(CRITERIA))],
        "n_jobs": [None, Integral],
        "callback": [None, callable],
        "silhouette_sample_size": [
            None,
            Interval(Integral, 0, 1, closed="left"),  # which is 0
            Interval(Integral, 2, None, closed="left"),
        ],
        "keep_estimators": ["boolean"],
        "random_state": ["random_state"],
    }

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
        k: Iterable[int] = tuple(range(2, 21)),  # a range is no default that scikit-learn's checks allow
        *,
        criterion: str = "ssd",
        n_jobs: int | None = None,
        callback: Callable[[SweepProgress], object] | None = None,
        silhouette_sample_size: int | None = 1000,
        keep_estimators: bool = True,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.estimator = estimator
        self.k = k
        self.criterion = criterion
        self.n_jobs = n_jobs
        self.callback = callback
        self.silhouette_sample_size = silhouette_sample_size
        self.keep_estimators = keep_estimators
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the estimator for every k, and choose.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix
            Whatever the estimator takes; passed on untouched.
        y : object, default=None
            Passed on when it is not None, for steps of a Pipeline that want it.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows, passed on to the estimator, or to the last step of a Pipeline. With
            scikit-learn's metadata routing they go where they were requested.

        Returns
        -------
        self : KSweep
            The fitted sweep.

        Raises
        ------
        ValueError
            For a `k` that cannot be tried or weights that are negative or all zero, before anything is
            fitted; and when a fit fails, in which case the message says for which k.
        TypeError
            When `estimator` or `k` is of the wrong kind.
        """
        self._validate_params()
        check_estimator(self.estimator, type(self).__name__)
        ks = check_ks(self.k, n_rows(X), type(self).__name__)
        check_criterion_applies(self.criterion, ks, self.silhouette_sample_size, type(self).__name__)
        weights = None if sample_weight is None else weights_of_rows(sample_weight, X, type(self).__name__)
        task = Task(self._template(), X, y, sample_weight, self._fit_params(sample_weight))
        with closing(fits(task, ks, self.n_jobs)) as ended:  # whatever happens, no fit is left running
            done = list(self._watched(ended, len(ks)))
        self._choose(done, X, weights)
        return self

    def get_metadata_routing(self) -> Any:
        """Say that metadata goes on to the estimator.

        Returns
        -------
        routing : MetadataRouter
            As scikit-learn's metadata routing uses it.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit").add(caller="score", callee="score")
        return MetadataRouter(owner=type(self).__name__).add(estimator=self.estimator, method_mapping=mapping)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        theirs = get_tags(self.estimator)
        tags.input_tags = deepcopy(theirs.input_tags)
        tags.transformer_tags = deepcopy(theirs.transformer_tags)
        tags.array_api_support = theirs.array_api_support
        tags.non_deterministic = theirs.non_deterministic
        return tags

    def __getstate__(self) -> dict[str, Any]:
        # A callback is often a lambda or holds a progress bar, neither of which can be pickled.
        state: Any = super().__getstate__()
        return {**state, "callback": None}

    def _template(self) -> Any:
        template = clone(self.estimator)
        output = getattr(self, "_sklearn_output_config", None)
        return template if output is None else template.set_output(**output)

    def _fit_params(self, sample_weight: ArrayLike | None) -> dict[str, Any]:
        """Say under which name the estimator's `fit` takes the weights."""
        if sample_weight is None:
            return {}
        check_takes_weights(self.estimator, type(self).__name__)
        if get_config()["enable_metadata_routing"]:
            return dict(process_routing(self, "fit", sample_weight=sample_weight).estimator.fit)
        return {f"{prefix(self.estimator)}sample_weight": sample_weight}

    def _watched(self, ended: Iterator[Fit], total: int) -> Iterator[Fit]:
        """Report each fit as it ends."""
        for done, fit in enumerate(ended, start=1):
            logger.info("k = %d: SSD %.6g in %.2f s (%d of %d)", fit.k, fit.ssd, fit.seconds, done, total)
            if self.callback is not None:
                self.callback(SweepProgress(fit.k, fit.ssd, fit.seconds, done, total))
            yield fit

    def _choose(self, done: list[Fit], X: Any, weights: Float64Array | None) -> None:
        """Set every fitted attribute, from the fits by increasing k."""
        rows = rows_to_measure(n_rows(X), weights, self.silhouette_sample_size, self.random_state)
        findings = find(done, silhouettes(done, X, rows, weights, self.n_jobs))
        self._warn(findings)
        chosen = findings.chosen[self.criterion]
        self.best_k_ = findings.least_ssd if chosen is None else chosen
        self.best_params_ = {f"{prefix(self.estimator)}n_clusters": self.best_k_}
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
        """Say when the choice is no finding about the data."""
        others = findings.others(self.criterion)
        tried, least = findings.table.index, findings.least_ssd
        if findings.chosen[self.criterion] is None:
            text = (
                f"the criterion {self.criterion!r} found no k among those tried, so the one of least SSD was "
                f"taken, k = {least}. Of the other criteria, {others}."
            )
        elif self.criterion == "ssd" and len(tried) > 1 and least == tried[-1]:
            text = (
                f"the least SSD is at k = {least}, simply the largest k tried: SSD falls with k almost "
                f"always, so this says little about the data. Of the other criteria, {others}. See results_, "
                "or choose by one of them (criterion=...)."
            )
        else:
            return
        warn_user(self, text, SweepWarning)
