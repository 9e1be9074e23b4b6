"""k-Shape by mini-batches: for series that arrive over time, and for more than fit into memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from shapecluster._core.kshape.assignment import assign
from shapecluster._core.kshape.run import ClusterRun, FitSettings, best_run, inertia, participating
from shapecluster._core.kshape.seeding import Start, k_shape_plus_plus, random_rows
from shapecluster._core.kshape.sketch import MiniBatchState, advance_batch, initial_state
from shapecluster._core.sbd.correlation import Assignment
from shapecluster._core.sbd.normalize import znormalize
from shapecluster._core.sbd.shapes import Shapes, materialize, shapes_of
from shapecluster._sklearn_compat import Interval, StrOptions, check_random_state
from shapecluster._threads import n_threads
from shapecluster._typing import ArrayLike, Float64Array, InitialCenters, IntArray
from shapecluster._validation import SeriesData, all_or_nothing
from shapecluster._warnings import warn_user
from shapecluster.cluster._base import BaseShapeClusterer
from shapecluster.cluster._local import LocalKShape
from shapecluster.cluster._minibatch_loop import BatchSource, run_passes

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

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "init": [StrOptions({"k-shape++", "random"}), "array-like"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_no_improvement": [None, Interval(Integral, 1, None, closed="left")],
        "init_size": [None, Interval(Integral, 1, None, closed="left")],
        "n_init": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "max_shift": [None, Interval(Integral, 0, None, closed="left")],
        "missing": [StrOptions({"error", "mask"})],
        "random_state": ["random_state"],
        "n_jobs": [None, Integral],
        "verbose": ["verbose"],
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
        threads = n_threads(self.n_jobs)
        x = self._shapes(data, data.values.dtype, spare=_SPARE_BYTES)
        source = BatchSource(x, weights, FitSettings(max_iter=self.max_iter, n_threads=threads, keep="none"))
        taking_part = self._taking_part(x, weights)
        rng = check_random_state(self.random_state)
        rows = np.flatnonzero(taking_part)
        sample = self._sample(rows, rng)
        first = self._initial_state(data, materialize(x, sample), weights[sample], rng)
        history = run_passes(
            source,
            first,
            rows,
            sample,
            rng,
            batch_size=self.batch_size,
            tol=self.tol,
            max_no_improvement=self.max_no_improvement,
            verbose=bool(self.verbose),
        )
        # The best state saw every series in batches; labels and inertia of all need one more pass.
        state, best = source.assign(history.state)
        run = ClusterRun(best, history.n_passes, source.n_correlations, history.stopped)
        self._store(run, data, taking_part)
        self._store_state(state, rng, history.n_steps)
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
        rng = check_random_state(self.random_state) if first else self._random_state
        before = self._state_from_first_batch(data, batch, weights, rng) if first else self._state
        # Checked before anything changes, so that a batch that raises leaves the model as it was.
        with np.errstate(over="ignore"):
            total = before.counts.sum() + weights.sum()
        if not np.isfinite(total):
            raise ValueError(
                "sample_weight must have a finite sum over all batches. Got weights of up to "
                f"{weights.max()} in this one."
            )
        threads = n_threads(self.n_jobs)
        state, _, n_correlations = advance_batch(before, batch, weights, rng, n_threads=threads)
        centers = shapes_of(state.centers, self.max_shift)
        assigned = assign(batch, centers, keep=False, n_threads=threads)
        n_correlations += assigned.n_correlations
        self.n_correlations_ = n_correlations + (0 if first else self.n_correlations_)
        self._store_batch(state, assigned.nearest, weights, data)
        self._store_state(state, rng, 1 if first else self.n_steps_ + 1)
        return self

    def _state_from_first_batch(
        self, data: SeriesData, batch: Shapes, weights: Float64Array, rng: np.random.RandomState
    ) -> MiniBatchState:
        """Stream with first centers out of its first batch."""
        rows = np.flatnonzero(participating(batch, weights))
        if len(rows) < self.n_clusters:
            raise ValueError(
                f"{type(self).__name__}: the first batch must hold at least n_clusters={self.n_clusters} "
                f"series that move and have a positive weight. Got {len(rows)} of {len(batch)} instead. "
                "Start with a larger batch."
            )
        sample = self._sample(rows, rng)
        return self._initial_state(data, materialize(batch, sample), weights[sample], rng)

    def _sample(self, rows: IntArray, rng: np.random.RandomState) -> IntArray:
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
        return rows if size >= len(rows) else np.sort(rng.choice(rows, size, replace=False))

    def _initial_state(
        self, data: SeriesData, sample: Shapes, weights: Float64Array, rng: np.random.RandomState
    ) -> MiniBatchState:
        """Stream that starts at given centers, or at the best of those that a sample offers."""
        if not isinstance(self.init, str):
            centers = LocalKShape(self.n_clusters, init=self.init)._given_centers(data)
            return initial_state(znormalize(centers))
        threads = n_threads(self.n_jobs)
        settings = FitSettings(max_iter=_FIRST_ITERATIONS, n_threads=threads)
        starts = self._starts(sample, weights, rng)
        return initial_state(best_run(sample, starts, weights, settings).best.centers)

    def _starts(
        self, sample: Shapes, weights: Float64Array, rng: np.random.RandomState
    ) -> Iterator[Callable[[], Start]]:
        """A function for each of `n_init` tries that draws first centers from the sample."""
        n_runs = self.n_init
        if n_runs == "auto":
            n_runs = _RANDOM_RUNS if self.init == "random" else 1
        draw = random_rows if self.init == "random" else k_shape_plus_plus
        for _ in range(n_runs):
            yield lambda: draw(sample, self.n_clusters, weights, rng).start(self.n_clusters)

    def _store_batch(
        self, state: MiniBatchState, nearest: Assignment, weights: Float64Array, data: SeriesData
    ) -> None:
        """Store the result of the last batch as fitted attributes."""
        centers = state.centers.transpose(0, 2, 1) if data.values.ndim == 3 else state.centers[:, 0]
        self.cluster_centers_ = np.ascontiguousarray(centers)
        self.labels_, self.shifts_, self.sbd_ = nearest.labels, nearest.shifts, 1.0 - nearest.ncc
        self.inertia_ = inertia(self.sbd_, weights)
        self._store_names(data)

    def _store_state(self, state: MiniBatchState, rng: np.random.RandomState, n_steps: int) -> None:
        """Store what the next batch needs."""
        self._state, self._random_state = state, rng
        self.n_steps_, self.counts_ = n_steps, state.counts
