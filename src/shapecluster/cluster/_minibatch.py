"""k-Shape by mini-batches: for series that arrive over time, and for more than fit into memory."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from shapecluster._core.kshape.run import FitSettings, Iterate, assign_refill_empty, best_run, participating
from shapecluster._core.kshape.seeding import k_shape_plus_plus, random_rows
from shapecluster._core.kshape.sketch import MiniBatchState, advance_batch, initial_state
from shapecluster._core.sbd.normalize import znormalize
from shapecluster._core.sbd.shapes import Shapes, materialize
from shapecluster._sklearn_compat import Interval, check_random_state
from shapecluster._threads import n_threads
from shapecluster._typing import ArrayLike, Float64Array, InitialCenters, IntArray
from shapecluster._validation import SeriesData, all_or_nothing
from shapecluster._warnings import warn_user
from shapecluster.cluster._base import BaseShapeClusterer
from shapecluster.cluster._early_stopping import EarlyStopping, movement

if TYPE_CHECKING:
    from typing import Self

logger = logging.getLogger("shapecluster")

_SPARE_BYTES = 1 << 24  # for prepared series; the others are prepared again for each batch
_FIRST_ITERATIONS = 5  # of k-Shape on the first sample: seeds are single series and align others badly
_RANDOM_RUNS = 3


class MiniBatchLocalKShape(BaseShapeClusterer):
    """Cluster series by shape with k-Shape, one mini-batch at a time.

    As `sklearn.cluster.MiniBatchKMeans` for k-means: `fit` draws random mini-batches of an array that may lie
    in a file (`numpy.memmap`), and `partial_fit` takes series as they arrive. A sketch of at most twelve rows
    summarizes the earlier members of each cluster, so old series need not be kept.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters.
    init : {"k-shape++", "random"} or array-like of shape (n_clusters, n_timepoints[, n_channels]), \
default="k-shape++"
        First centers: series far from each other, series drawn at random, or given centers. Drawn series
        come from a sample of `init_size`, and a few iterations of k-Shape on that sample refine them.
    max_iter : int, default=100
        Maximum number of passes of `fit` over X.
    batch_size : int, default=1024
        Maximum number of series in a mini-batch of `fit`. `partial_fit` takes all its series as one.
    tol : float, default=0.0
        After a first pass, `fit` stops when a mini-batch moves the centers by no more than this. Measured is
        the mean squared distance between old and new centers at unit norm. 0 never stops it.
    max_no_improvement : int or None, default=10
        After a first pass, `fit` stops when so many mini-batches in a row have not lowered the smoothed
        inertia. None never stops it.
    init_size : int or None, default=None
        Size of the sample for drawing first centers and comparing states. None is three mini-batches, and
        at least 3 * n_clusters.
    n_init : int or "auto", default="auto"
        Number of sets of first centers that are tried; those of least inertia on the sample are used.
        "auto" is 3 for `init="random"`, else 1. Given centers are tried once for any value.
    max_shift : int or None, default=None
        Largest shift in timepoints. None allows all; 0 makes SBD one minus the Pearson correlation.
    missing : {"error", "mask"}, default="error"
        Meaning of NaN: an error, or a value that was not observed. With "mask" each series is normalized
        over its observed values and counts as zero elsewhere.
    random_state : int, RandomState instance or None, default=None
        Seeds first centers, mini-batches and reassignments; an int makes the result reproducible.
    n_jobs : int or None, default=None
        Threads: None is 1, -1 all cores. The result does not depend on it.
    verbose : int, default=0
        Above 0, each mini-batch is logged (level INFO, logger "shapecluster").

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_clusters, n_timepoints[, n_channels])
        Centers, z-normalized per channel; float32 when the first input was, else float64.
    labels_ : ndarray of shape (n_series,)
        Cluster of each series of `fit`, or of the last batch; equals `predict` of the same series.
    shifts_ : ndarray of shape (n_series,)
        Timepoints by which each of these series trails its own center.
    sbd_ : ndarray of shape (n_series,)
        Distance of each of these series to its own center, float64; 1 for flat series.
    inertia_ : float
        Sum over these series of weight times squared SBD to the own center (SSD), in float64.
    n_steps_ : int
        Mini-batches processed.
    counts_ : ndarray of shape (n_clusters,)
        Weight of the series behind each center: all series so far (`partial_fit`), or about those of the
        last pass (`fit`). A reassigned cluster gets the smallest count of the others, as in MiniBatchKMeans.
    n_iter_ : int
        Number of passes over X that were begun. Set by `fit` only.
    n_correlations_ : int
        Pairs of series and center that were transformed, without those of the first centers.
    n_features_in_ : int
        Number of timepoints.
    series_names_in_ : ndarray of shape (n_series,)
        Names of the series of `fit`, or of the last batch. Defined only when that was a DataFrame.

    Warns
    -----
    FlatSeriesWarning
        Some series are constant; they take no part in the centers.
    ConvergenceWarning
        `fit` found fewer distinct shapes than clusters.
    RuntimeWarning
        `init_size` is below `n_clusters`; it is taken as 3 * n_clusters.

    See Also
    --------
    LocalKShape : Uses all series in every iteration; better if they fit into memory.

    Notes
    -----
    A mini-batch is assigned to the centers exactly. The aligned members are added to the sketch of their
    cluster, at most 12 rows that summarize all members so far (Frequent Directions). The leading right
    singular vector of the sketch is the new center. The sketch keeps a bound on its own error. Members keep
    the shift that they had when they arrived; this is the cost compared with `LocalKShape`. In `partial_fit`
    all earlier batches count alike. `fit` sees each series again in every pass, so the weights in a sketch
    decay by the share of X that a mini-batch is. With one mini-batch that holds all of X, a pass equals one
    iteration of k-Shape.

    `fit` sees every series at least once, in a new order for each pass. It keeps the centers, of those after
    each pass and after the last mini-batch, with the least inertia on the sample of `init_size`. It then
    assigns all of X to them: `labels_`, `shifts_`, `sbd_` and `inertia_` are exact for these centers. If the
    sample is all of X, first centers are compared too, and `inertia_` is never above theirs. A cluster that
    is empty at the end takes the series farthest from its own center.

    During the passes, a cluster with less than 1 % of the weight of the largest one restarts from a random
    series of the mini-batch. `fit` checks this after every 10 * n_clusters series, and whenever a cluster is
    empty.

    In addition to X, `fit` holds a block of 16 MB, one mini-batch, the sample, and about 100 bytes per
    series. X is not copied if it is an array of float32 or float64, in memory or in a file. Anything else is
    first converted as a whole. With missing values, one byte per value is needed temporarily.

    References
    ----------
    J. Paparrizos and L. Gravano, "k-Shape: Efficient and Accurate Clustering of Time Series", SIGMOD 2015.

    D. Sculley, "Web-scale k-means clustering", WWW 2010.

    M. Ghashami, E. Liberty, J. M. Phillips and D. P. Woodruff, "Frequent Directions: Simple and
    Deterministic Matrix Sketching", SIAM Journal on Computing 45(5), 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from shapecluster import MiniBatchLocalKShape
    >>> rng = np.random.default_rng(0)
    >>> t = np.linspace(0, 4 * np.pi, 60)
    >>> def batch():
    ...     kind = np.arange(40) % 2
    ...     return np.where(kind[:, None], np.sin(t), t) + 0.1 * rng.normal(size=(40, 60))
    >>> model = MiniBatchLocalKShape(n_clusters=2, random_state=0)
    >>> for _ in range(5):
    ...     model = model.partial_fit(batch())
    >>> model.n_steps_, model.counts_.tolist()
    (5, [100.0, 100.0])
    >>> len(set(model.predict(batch())[::2]))
    1
    """

    _parameter_constraints: ClassVar[dict[str, list[Any] | str]] = {
        **BaseShapeClusterer._parameter_constraints,
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_no_improvement": [None, Interval(Integral, 1, None, closed="left")],
        "init_size": [None, Interval(Integral, 1, None, closed="left")],
    }

    n_steps_: int
    counts_: Float64Array

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: InitialCenters = "k-shape++",
        max_iter: int = 100,
        batch_size: int = 1024,
        tol: float = 0.0,
        max_no_improvement: int | None = 10,
        init_size: int | None = None,
        n_init: int | Literal["auto"] = "auto",
        max_shift: int | None = None,
        missing: Literal["error", "mask"] = "error",
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.tol = tol
        self.max_no_improvement = max_no_improvement
        self.init_size = init_size
        self.n_init = n_init
        self.max_shift = max_shift
        self.missing = missing
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @all_or_nothing
    def fit(self, X: Any, y: None = None, sample_weight: ArrayLike | None = None) -> Self:
        """Cluster series by random mini-batches of them.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_series, n_timepoints[, n_channels])
            Series as rows. An array of float32 or float64 is never copied as a whole, so it may be a
            `numpy.memmap`.
        y : None
            Ignored; here for Pipelines.
        sample_weight : array-like of shape (n_series,), default=None
            Weight of each series in centers and inertia; None weighs all alike.

        Returns
        -------
        self : MiniBatchLocalKShape
            The fitted estimator.

        Raises
        ------
        ValueError
            For input that cannot be clustered: NaN or infinity, fewer series than clusters, no series
            that moves, names that repeat, dates out of order. The message names the ticker.
        """
        self._validate_params()
        data = self._check(X, reset=True)
        weights = self._weights(sample_weight, data)
        self._check_size(len(data.values))
        x = self._shapes(data, data.values.dtype, spare=_SPARE_BYTES)
        taking_part = self._taking_part(x, weights)
        self._random_state = check_random_state(self.random_state)
        first, sample = self._first_state(data, x, weights)
        # The best state saw every series in batches; labels and inertia of all need one more pass.
        best = self._best_of_passes(x, weights, first, sample)
        self._state, found = self._assign_all(x, weights, best)
        self.counts_ = self._state.counts
        self._store(found, data)
        self._warn_of_empty_clusters(taking_part)
        return self

    @all_or_nothing
    def partial_fit(self, X: Any, y: None = None, sample_weight: ArrayLike | None = None) -> Self:
        """Update the centers with one mini-batch.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_series, n_timepoints[, n_channels])
            Series as rows. The first batch also provides the first centers, so it must hold at least
            `n_clusters` series that move. After `fit`, a batch goes on from its centers.
        y : None
            Ignored; here for Pipelines.
        sample_weight : array-like of shape (n_series,), default=None
            Weight of each series in centers and inertia; None weighs all alike.

        Returns
        -------
        self : MiniBatchLocalKShape
            The updated estimator.

        Raises
        ------
        ValueError
            For a batch that cannot be used: NaN or infinity, other timepoints or channels than before,
            too few series that move in the first. The centers then stay as they were.
        """
        self._validate_params()
        first = not hasattr(self, "_state")
        if not first and len(self._state.centers) != self.n_clusters:
            raise ValueError(
                f"n_clusters must not change between batches: there are {len(self._state.centers)} centers. "
                f"Got n_clusters={self.n_clusters} instead. Call fit, or start with a clone."
            )
        data = self._check(X, reset=first)
        weights = self._weights(sample_weight, data)
        batch = self._shapes(data, data.values.dtype if first else self._state.centers.dtype)
        if first:
            n_moving = np.count_nonzero(participating(batch, weights))
            if n_moving < self.n_clusters:
                raise ValueError(
                    f"{type(self).__name__}: the first batch must hold at least n_clusters={self.n_clusters} "
                    f"series that move and have a positive weight. Got {n_moving} of {len(batch)} instead. "
                    "Start with a larger batch."
                )
            self._random_state = check_random_state(self.random_state)
            self._state, _ = self._first_state(data, batch, weights)
            self.n_steps_ = self.n_correlations_ = 0
        # Checked before the batch draws random numbers, which an error could not take back.
        with np.errstate(over="ignore"):
            total = self._state.counts.sum() + weights.sum()
        if not np.isfinite(total):
            raise ValueError(
                "sample_weight must have a finite sum over all batches. Got weights of up to "
                f"{weights.max()} in this one."
            )
        self._state, _, n_advancing = advance_batch(
            self._state, batch, weights, self._random_state, n_threads=n_threads(self.n_jobs)
        )
        found, n_assigning = self._assign(batch, self._state.centers, weights)
        self.counts_ = self._state.counts
        self.n_steps_ += 1
        self.n_correlations_ += n_advancing + n_assigning
        self._store(found, data)
        return self

    def _sample(self, rows: IntArray) -> IntArray:
        """Sample of `init_size` of the series that take part, for drawing first centers."""
        size = self.init_size
        if size is None:
            size = max(3 * min(self.batch_size, len(rows)), 3 * self.n_clusters)
        elif size < self.n_clusters:
            warn_user(
                self,
                f"init_size={size} should not be below n_clusters={self.n_clusters}. It is taken as "
                "3 * n_clusters.",
                RuntimeWarning,
            )
            size = 3 * self.n_clusters
        return rows if size >= len(rows) else np.sort(self._random_state.choice(rows, size, replace=False))

    def _first_state(
        self, data: SeriesData, x: Shapes, weights: Float64Array
    ) -> tuple[MiniBatchState, IntArray]:
        """State at given centers, or at the best that a sample offers; and the rows of the sample."""
        sample, k = self._sample(np.flatnonzero(participating(x, weights))), self.n_clusters
        if not isinstance(self.init, str):
            return initial_state(znormalize(self._given_centers(data))), sample
        sampled, sample_weights = materialize(x, sample), weights[sample]
        draw = random_rows if self.init == "random" else k_shape_plus_plus
        starts = [lambda: draw(sampled, k, sample_weights, self._random_state).start(k)] * self._n_runs(
            _RANDOM_RUNS
        )
        settings = FitSettings(max_iter=_FIRST_ITERATIONS, n_threads=n_threads(self.n_jobs))
        return initial_state(best_run(sampled, starts, sample_weights, settings).best.centers), sample

    def _best_of_passes(
        self, x: Shapes, weights: Float64Array, state: MiniBatchState, sample: IntArray
    ) -> MiniBatchState:
        """Process mini-batches until the stopping rule says so; return the best state between passes."""
        rows, rng = np.flatnonzero(participating(x, weights)), self._random_state
        n_batches, threads = math.ceil(len(rows) / self.batch_size), n_threads(self.n_jobs)
        progress = EarlyStopping(n_batches, self.tol, self.max_no_improvement)
        self.n_correlations_ = 0

        def sample_inertia(state: MiniBatchState) -> float:
            found, n_correlations = self._assign(x[sample], state.centers, weights[sample])
            self.n_correlations_ += n_correlations
            return found.inertia

        # First centers look too good on a smaller sample, because they were fitted to it.
        best, least = state, sample_inertia(state) if len(sample) == len(rows) else math.inf
        for step in range(self.max_iter * n_batches):
            n_passes, position = divmod(step, n_batches)
            if position == 0:
                batches = np.array_split(rng.permutation(rows), n_batches)
            batch = np.sort(batches[position])  # files are read in their order
            decay = 1.0 if n_passes == 0 else 1.0 - 1.0 / n_batches
            before = state.centers
            state, ssd, n_correlations = advance_batch(
                state, materialize(x, batch), weights[batch], rng, decay=decay, n_threads=threads
            )
            self.n_correlations_ += n_correlations
            stopped = progress.stopped(ssd / weights[batch].sum(), movement(before, state.centers))
            if self.verbose:
                logger.info("mini-batch %d: smoothed mean inertia %.6g", step + 1, progress.smoothed)
            if stopped or position == n_batches - 1:
                now = sample_inertia(state)
                best, least = (state, now) if now < least else (best, least)
            if stopped:
                break
        self.n_steps_, self.n_iter_ = step + 1, n_passes + 1
        return best

    def _assign_all(
        self, x: Shapes, weights: Float64Array, state: MiniBatchState
    ) -> tuple[MiniBatchState, Iterate]:
        """Assign all series; a cluster that would be empty is restarted."""
        settings = FitSettings(n_threads=n_threads(self.n_jobs), keep="none")
        found, _, n_correlations = assign_refill_empty(x, state.centers, weights, settings)
        self.n_correlations_ += n_correlations
        new = np.flatnonzero((found.centers != state.centers).any(axis=(1, 2)))
        return replace(state.restarted(new, found.centers[new]), centers=found.centers), found
