"""k-Shape on this machine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from shapecluster._core.kshape.extraction import HELD_BYTES
from shapecluster._core.kshape.run import FitProgress, FitSettings, best_run, memory_plan
from shapecluster._core.kshape.seeding import Seeds, Start, k_shape_plus_plus, random_rows
from shapecluster._core.kshape.snapshot import from_arrays, to_arrays
from shapecluster._core.sbd.shapes import Shapes
from shapecluster._sklearn_compat import check_random_state, clone
from shapecluster._threads import n_threads
from shapecluster._typing import ArrayLike, BoolArray, Float64Array, InitialCenters
from shapecluster._validation import SeriesData, all_or_nothing
from shapecluster._warnings import with_user_line
from shapecluster.cluster._base import BaseShapeClusterer

if TYPE_CHECKING:
    from typing import Self

logger = logging.getLogger("shapecluster")

FIT_PARAMETERS = ("n_clusters", "init", "n_init", "max_iter", "tol", "max_shift", "missing", "random_state")
"""The parameters that determine the result of `LocalKShape`; the others say how the work is done."""

_RANDOM_RUNS = 10


@dataclass(frozen=True)
class _Prepared:
    """Input that is prepared for clustering, into any number of clusters."""

    data: SeriesData
    shapes: Shapes
    weights: Float64Array
    taking_part: BoolArray  # the other series only get labels
    settings: FitSettings
    seeds: list[Seeds] | None = None  # for each run, enough for the largest k of a path


class LocalKShape(BaseShapeClusterer):
    """Cluster series by shape with k-Shape.

    The distance is the shape-based distance (SBD): one minus the largest normalized cross-correlation over
    all shifts in time. Every series is z-normalized here, in `fit` and in `predict` alike, so its level and
    scale never matter. It does matter whether you pass prices or returns.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters.
    init : {"k-shape++", "random"} or array-like of shape (n_clusters, n_timepoints[, n_channels]), \
default="k-shape++"
        First centers: series far from each other (greedy k-means++ under SBD^2), series drawn at random,
        or given centers.
    n_init : int or "auto", default="auto"
        Number of runs; the one of least inertia is kept. "auto" is 10 for `init="random"`, else 1. Given
        centers are run once for any value.
    max_iter : int, default=100
        Largest number of iterations of one run.
    tol : float, default=1e-6
        A run stops when the best inertia has not fallen by this share within 5 iterations.
    max_shift : int or None, default=None
        Largest shift in timepoints. None allows all; 0 makes SBD one minus the Pearson correlation.
    missing : {"error", "mask"}, default="error"
        Meaning of NaN: an error, or a value that was not observed. With "mask" each series is normalized
        over its observed values and counts as zero elsewhere.
    random_state : int, RandomState instance or None, default=None
        Seeds the choice of first centers; an int makes the result reproducible.
    n_jobs : int or None, default=None
        Threads: None is 1, -1 all cores. The result does not depend on it.
    verbose : int, default=0
        Above 0, each iteration is logged (level INFO, logger "shapecluster").

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_clusters, n_timepoints[, n_channels])
        Centers, z-normalized per channel; float32 for float32 input, else float64.
    labels_ : ndarray of shape (n_series,)
        Cluster of each series; equals `predict` of the same series. Flat series have label 0.
    shifts_ : ndarray of shape (n_series,)
        Timepoints by which each series trails its own center.
    sbd_ : ndarray of shape (n_series,)
        Distance of each series to its own center, float64; 1 for flat series.
    inertia_ : float
        Sum over the series of weight times squared SBD to the own center (SSD), in float64.
    n_iter_ : int
        Iterations of the best run.
    n_correlations_ : int
        Pairs that were transformed in the best run, including those of centers with each other, without
        those for choosing the first centers.
    n_features_in_ : int
        Number of timepoints.
    series_names_in_ : ndarray of shape (n_series,)
        Names of the series (tickers). Defined only when `X` is a DataFrame.

    Warns
    -----
    FlatSeriesWarning
        Some series are constant; they take no part in the centers.
    ConvergenceWarning
        There are fewer distinct shapes than clusters.

    Notes
    -----
    k-Shape alternates between two steps: it assigns every series to its nearest center, and extracts every
    center from its members. The first step costs at most O(n k m log m), because bounds spare most pairs.
    The objective is not monotone, so `fit` keeps the best iterate: centers, and the assignment to exactly
    those centers. A run ends when labels and shifts no longer change, when labels and shifts return to an
    earlier state, or by `tol` and `max_iter`. An empty cluster takes the series farthest from its own center.

    Correlations that differ by less than 16 eps log2(L) are ties, with L the length of the transforms. The
    smallest shift wins, then the positive one, and among centers the lowest index. Results are the same to
    the last bit for any number of threads.

    References
    ----------
    J. Paparrizos and L. Gravano, "k-Shape: Efficient and Accurate Clustering of Time Series", SIGMOD
    2015; "Fast and Accurate Time-Series Clustering", ACM TODS 42(2), 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from shapecluster import LocalKShape
    >>> t = np.linspace(0, 4 * np.pi, 60)
    >>> waves = [np.sin(t + lag) * scale for lag in (0.0, 0.3) for scale in (1.0, 50.0)]
    >>> ramps = [np.maximum(t - start, 0.0) for start in (3.0, 4.0)]
    >>> model = LocalKShape(n_clusters=2, random_state=0).fit(waves + ramps)
    >>> sorted(int(row) for row in model.members()[model.labels_[0]])
    [0, 1, 2, 3]
    >>> bool((model.labels_ == model.predict(waves + ramps)).all())
    True
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: InitialCenters = "k-shape++",
        n_init: int | Literal["auto"] = "auto",
        max_iter: int = 100,
        tol: float = 1e-6,
        max_shift: int | None = None,
        missing: Literal["error", "mask"] = "error",
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.max_shift = max_shift
        self.missing = missing
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Any, y: None = None, sample_weight: ArrayLike | None = None) -> Self:
        """Cluster series.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_series, n_timepoints[, n_channels])
            Series as rows: a DataFrame has tickers as its index and dates as its columns. float32 stays
            float32, everything else is computed in float64.
        y : None
            Ignored; here for Pipelines.
        sample_weight : array-like of shape (n_series,), default=None
            Weight of each series in centers and inertia; None weighs all alike.

        Returns
        -------
        self : LocalKShape
            The fitted estimator.

        Raises
        ------
        ValueError
            For input that cannot be clustered: NaN or infinity, fewer series than clusters, only constant
            series, names that repeat, dates out of order. The message names the ticker.
        """
        return self._fit_with_snapshots(X, sample_weight)

    @all_or_nothing
    def _fit_with_snapshots(
        self,
        X: Any,
        sample_weight: ArrayLike | None,
        save_snapshot: Callable[[dict[str, NDArray[Any]]], None] | None = None,
        snapshot: Mapping[str, NDArray[Any]] | None = None,
    ) -> Self:
        """Fit, pass a snapshot to `save_snapshot` after each step, and go on from one if it is given.

        With an int as `random_state`, a fit that goes on from a snapshot ends like an uninterrupted one, bit
        for bit except for `n_correlations_`. A snapshot of another fit raises ValueError.
        """
        self._validate_params()
        return self._fit_prepared(self._prepare(X, sample_weight, self.n_clusters), save_snapshot, snapshot)

    def _fit_path(
        self, X: Any, ks: list[int], *, sample_weight: ArrayLike | None = None, n_jobs: int | None = None
    ) -> Iterator[LocalKShape]:
        """Fit a clone for each k, in order; the fits share spectra and seeds, which do not depend on k.

        The seeds of k-shape++ for k are the first k of those for the largest k, so every fit equals a
        separate one. `n_jobs` fits run at the same time on threads.
        """
        self._validate_params()
        prepared = self._prepare(X, sample_weight, max(ks))
        if isinstance(self.init, str) and self.init == "k-shape++":
            # A k above the number of series is an error of its own fit, not of the seeding.
            most = min(max(ks), len(prepared.data.values))
            prepared = replace(prepared, seeds=[draw(most) for draw in self._draws(prepared)])
        # Clones, so that each k has a fitted estimator of its own.
        models: list[LocalKShape] = [clone(self).set_params(n_clusters=k) for k in ks]
        threads = n_threads(n_jobs)
        # Fits at the same time share the memory for aligned members.
        held = max(HELD_BYTES, prepared.settings.held_bytes // threads)
        prepared = replace(prepared, settings=replace(prepared.settings, held_bytes=held))
        fit_model = partial(LocalKShape._fit_prepared, prepared=prepared)
        if threads == 1:
            yield from map(fit_model, models)
            return
        pool = ThreadPoolExecutor(threads)
        try:
            yield from pool.map(with_user_line(fit_model), models)
        finally:  # after Ctrl-C no further fit starts, and running ones are not waited for
            pool.shutdown(wait=False)

    def _prepare(self, X: Any, sample_weight: ArrayLike | None, n_clusters: int) -> _Prepared:
        """Check the input, then normalize and transform it as far as memory allows."""
        data = self._check(X, reset=True)
        weights = self._weights(sample_weight, data)
        n_series, threads = len(data.values), n_threads(self.n_jobs)
        # A path shares this preparation, so the plan must hold for its largest number of clusters.
        spare, keep = memory_plan(n_series, min(n_clusters, n_series), data.values.nbytes, threads)
        shapes = self._shapes(data, data.values.dtype, spare=spare)
        held = max(HELD_BYTES, (spare - shapes.kept_bytes) // threads)
        settings = FitSettings(
            max_iter=self.max_iter, tol=self.tol, n_threads=threads, keep=keep, held_bytes=held
        )
        return _Prepared(data, shapes, weights, self._taking_part(shapes, weights), settings)

    def _fit_prepared(
        self,
        prepared: _Prepared,
        save_snapshot: Callable[[dict[str, NDArray[Any]]], None] | None = None,
        snapshot: Mapping[str, NDArray[Any]] | None = None,
    ) -> Self:
        n_series, self.n_features_in_ = prepared.data.values.shape[:2]
        self._check_size(n_series)
        x, weights = prepared.shapes, prepared.weights

        def after_step(progress: FitProgress) -> None:
            state = progress.state
            if self.verbose and state is not None:
                why = f" ({state.stopped})" if state.stopped else ""
                now, best = state.current.inertia, state.best.inertia
                logger.info("iteration %d: inertia %.6g, best %.6g%s", state.n_iter, now, best, why)
            if save_snapshot is not None:
                save_snapshot(to_arrays(progress))

        progress = None if snapshot is None else from_arrays(snapshot, x, self.n_clusters)
        run = best_run(x, self._starts(prepared), weights, prepared.settings, after_step, progress)
        self._store(run.best, prepared.data)
        self.n_iter_, self.n_correlations_ = run.n_iter, run.n_correlations
        self._warn_of_empty_clusters(prepared.taking_part)
        return self

    def _starts(self, prepared: _Prepared) -> Iterator[Callable[[], Start]]:
        """A function for each run that makes its start; the work is done when it is called."""
        k = self.n_clusters
        if not isinstance(self.init, str):
            yield lambda: Start(self._given_centers(prepared.data))
        elif prepared.seeds is not None:
            for seeds in prepared.seeds:
                yield partial(seeds.start, k)
        else:
            for draw in self._draws(prepared):
                yield partial(_draw_start, draw, k)

    def _draws(self, prepared: _Prepared) -> Iterator[Callable[[int], Seeds]]:
        """A function for each run that draws a given number of seeds."""
        rng = check_random_state(self.random_state)
        settings = prepared.settings
        draw: Callable[..., Seeds] = random_rows
        if self.init == "k-shape++":
            draw = partial(k_shape_plus_plus, keep=settings.keep == "all", n_threads=settings.n_threads)
        for _ in range(self._n_runs(_RANDOM_RUNS)):
            # A generator for each run: its seeds do not depend on how much the runs before it drew.
            run_rng = np.random.RandomState(rng.randint(np.iinfo(np.int32).max))
            yield partial(draw, prepared.shapes, weights=prepared.weights, rng=run_rng)


def _draw_start(draw: Callable[[int], Seeds], n_clusters: int) -> Start:
    return draw(n_clusters).start(n_clusters)
