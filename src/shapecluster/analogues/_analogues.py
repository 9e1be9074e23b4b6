"""HistoricalAnalogues: past windows that look like today's, and the returns after them."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd

from shapecluster._arrays import joined, take
from shapecluster._pipelines import split_clusterer
from shapecluster._sklearn_compat import (
    BaseEstimator,
    Interval,
    MetaEstimatorMixin,
    StrOptions,
    check_is_fitted,
    check_random_state,
)
from shapecluster._typing import Float64Array
from shapecluster._validation import all_or_nothing, check_series
from shapecluster.analogues._price_panel import PricePanel
from shapecluster.analogues._results import Analogues, BaseRate, make_answer
from shapecluster.analogues._search import PastWindows
from shapecluster.analogues._windows import Windows, forward_returns
from shapecluster.cluster import MiniBatchLocalKShape
from shapecluster.neighbors._answers import check_count, check_flags
from shapecluster.neighbors._index import ClusterIndex
from shapecluster.neighbors._recall import Recall, measure_recall

_MAX_CELLS = 512  # the time of a fit grows with the number of cells
# A clusterer is fitted on at least so many windows for each cell, and in all.
_SAMPLE_PER_CELL, _MIN_SAMPLE = 40, 1000


class HistoricalAnalogues(MetaEstimatorMixin, BaseEstimator):
    """Find past windows of any stock that look like a stock's last one, and the returns after them.

    A `ClusterIndex` holds every rolling window of every stock under the shape-based distance. Overlapping
    windows are near copies of each other. An answer therefore excludes the windows of the query's own ticker
    around it, and has one window of every other episode.

    Parameters
    ----------
    window : int, default=126
        Number of days in a window.
    step : int, default=1
        Number of days from one indexed window to the next, counted from the first day. A query may end on
        any day.
    horizon : int, default=21
        Number of days after a window whose returns are reported.
    exclusion : int or "half", default="half"
        Windows of one ticker whose last days are at most so many days apart are one episode. An answer has
        the nearest window of an episode, and none from the episode of the query. "half" is half a window.
    before : {"end", "start"}, default="end"
        Which windows are past: those that ended before the query's last day, or, stricter, before its first
        day. With "end", windows of other tickers may share months with the query, and so its market and news.
    values : {"levels", "returns"}, default="levels"
        The values that are compared: prices, as in a chart, or their daily log returns.
    max_shift : int or None, default=0
        Largest number of days by which a window may be shifted to fit the query; None for any number. 0
        compares day by day: SBD is then one minus the correlation. With `step=1` this loses nothing, because
        the index has a window for every day. A shift leaves out the last days of the window or the query.
    clusterer : estimator or None, default=None
        Its centers define the cells of the index: a shape clusterer, or a Pipeline that ends in one. A fitted
        one, on windows of `values`, is used as it is; otherwise a clone is fitted on a random sample. Its own
        `max_shift` holds. None is a MiniBatchLocalKShape of one pass, with the square root of the number of
        windows as its number of clusters, at most 512.
    n_probe : int, default=32
        Default number of cells that a query scans.
    random_state : int, RandomState instance or None, default=None
        Seed of the samples of `fit` and `recall`.
    n_jobs : int or None, default=None
        Number of threads: None is 1, -1 all cores. Answers do not depend on it.

    Attributes
    ----------
    index_ : ClusterIndex
        The index of all windows.
    n_windows_ : int
        Number of windows in it.
    left_out_ : DataFrame of shape (n_tickers, 2)
        Number of windows of each ticker that are not in it: `missing` have a day without a price, `flat` have
        no move.
    prices_ : DataFrame of shape (n_tickers, n_days)
        The prices, with the days that `update` added.
    n_features_in_ : int
        Number of days seen in `fit`.

    See Also
    --------
    ClusterIndex : The index, for rows of any kind.
    ShapeNeighbors : The nearest stocks over one period.
    shapecluster.plotting.AnaloguesDisplay : A picture of an answer.

    Notes
    -----
    The estimator keeps the prices and one float32 row for each window. 505 stocks of 1,259 days have half a
    million windows of 126 days: these take 280 MB, and half as much again for screening. `fit` needs about
    twice that.

    Nothing after the last day of a query decides which windows are eligible, how far they are, or which
    returns are reported. The cells come from all windows, later ones too. They decide no distance: they
    decide which windows are scanned, and with `exact=True` not even that.

    A search drops each window in the episode of a nearer one. If too few are left, it searches again without
    the episodes found.

    References
    ----------
    J. Paparrizos and L. Gravano, "k-Shape: Efficient and Accurate Clustering of Time Series", SIGMOD 2015;
    for trivial matches between overlapping windows, J. Lin, E. Keogh, S. Lonardi and P. Patel, "Finding
    Motifs in Time Series", Workshop on Temporal Data Mining, KDD 2002.

    Examples
    --------
    >>> from shapecluster import HistoricalAnalogues
    >>> from shapecluster.datasets import make_market
    >>> prices = make_market(n_stocks=20, n_sectors=4, n_days=300, random_state=0).prices
    >>> past = HistoricalAnalogues(window=40, horizon=10, random_state=0).fit(prices)
    >>> answer = past.analogues(prices.index[0], n_neighbors=5)
    >>> answer.table.columns.tolist()
    ['ticker', 'start', 'end', 'sbd', 'shift', 'followed', 'n_followed']
    >>> answer.summary.index.tolist()
    ['analogues', 'same dates', 'all windows']
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "window": [Interval(Integral, 3, None, closed="left")],
        "step": [Interval(Integral, 1, None, closed="left")],
        "horizon": [Interval(Integral, 1, None, closed="left")],
        "exclusion": [StrOptions({"half"}), Interval(Integral, 0, None, closed="left")],
        "before": [StrOptions({"end", "start"})],
        "values": [StrOptions({"levels", "returns"})],
        "max_shift": [None, Interval(Integral, 0, None, closed="left")],
        "clusterer": "no_validation",  # type: ignore[dict-item] # what scikit-learn writes for any estimator
        "n_probe": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "n_jobs": [None, Integral],
    }

    exclusion: int | Literal["half"]
    before: Literal["end", "start"]
    values: Literal["levels", "returns"]
    index_: ClusterIndex
    left_out_: pd.DataFrame
    n_features_in_: int
    _panel: PricePanel
    _windows: Windows
    _outcomes: Float64Array

    def __init__(
        self,
        window: int = 126,
        *,
        step: int = 1,
        horizon: int = 21,
        exclusion: int | Literal["half"] = "half",
        before: Literal["end", "start"] = "end",
        values: Literal["levels", "returns"] = "levels",
        max_shift: int | None = 0,
        clusterer: Any = None,
        n_probe: int = 32,
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.window = window
        self.step = step
        self.horizon = horizon
        self.exclusion = exclusion
        self.before = before
        self.values = values
        self.max_shift = max_shift
        self.clusterer = clusterer
        self.n_probe = n_probe
        self.random_state = random_state
        self.n_jobs = n_jobs

    @all_or_nothing
    def fit(self, prices: Any, y: None = None) -> Self:
        """Index all windows.

        Parameters
        ----------
        prices : array-like or DataFrame of shape (n_tickers, n_days)
            Prices, tickers as rows and days as columns. Windows with a missing price (NaN) are left out and
            counted in `left_out_`.
        y : None
            Ignored.

        Returns
        -------
        self : HistoricalAnalogues
            The fitted estimator.

        Raises
        ------
        ValueError
            For prices that are not positive, and when no window is complete.
        """
        self._validate_params()
        data = check_series(self, prices, reset=True, allow_nan=True)
        names = pd.RangeIndex(len(data.values)) if data.names is None else data.names
        days = pd.RangeIndex(data.values.shape[1]) if data.timepoints is None else data.timepoints
        panel = PricePanel(data.values.astype(np.float64), names, days, self.window, self.values)
        windows, left_out = panel.windows_on_grid(self.step, 0)
        if not len(windows.ends):
            raise ValueError(
                f"prices must have {self.window} prices in a row, without a gap, of a stock that moves. Got "
                f"{len(days)} days instead, in which {left_out['missing'].sum()} windows have gaps and "
                f"{left_out['flat'].sum()} do not move."
            )
        self.index_ = self._new_index(len(windows.ends)).fit(panel.values_of(windows))
        self.left_out_ = left_out
        self._store(panel, windows)
        return self

    @all_or_nothing
    def update(self, prices: pd.DataFrame) -> Self:
        """Add new days.

        Parameters
        ----------
        prices : DataFrame of shape (n_tickers, n_new_days)
            Prices of the days after the known ones, of the same tickers in any order. NaN is a missing price.
            The cells of the index stay as they are.

        Returns
        -------
        self : HistoricalAnalogues
            The estimator with the new days, and the windows that end on them.

        Raises
        ------
        ValueError
            For other tickers than those of `fit`, and for days that are not after the known ones.
        TypeError
            For prices that are no DataFrame.
        """
        check_is_fitted(self)
        old = self._panel
        if not isinstance(prices, pd.DataFrame):
            raise TypeError(
                f"prices must be a DataFrame, tickers as rows. Got {type(prices).__name__} instead."
            )
        # Another estimator, which has no number of features: `update` takes any number of days.
        data = check_series(type(self)(), prices, reset=True, allow_nan=True, min_timepoints=1)
        panel = old.extend(data.values.astype(np.float64), prices.index, prices.columns)
        windows, left_out = panel.windows_on_grid(self.step, len(old.days))
        if len(windows.ends):  # with a step, new days may complete no window
            self.index_.add(panel.values_of(windows))
        self.left_out_ = self.left_out_ + left_out
        self._store(panel, joined([self._windows, windows]))
        return self

    def analogues(
        self,
        query: Any,
        n_neighbors: int = 10,
        *,
        as_of: Any = None,
        n_probe: int | None = None,
        exact: bool = False,
    ) -> Analogues:
        """Find the past windows that look like one, and the returns after them.

        Parameters
        ----------
        query : str, int or array-like of shape (window,)
            A ticker, for its last window or the one that ends at `as_of`; or `window` prices of anything
            else.
        n_neighbors : int, default=10
            Number of analogues. An answer has fewer if there are fewer episodes.
        as_of : date, str or int, default=None
            The query's last day: the last one on or before this date. No later price is used. None takes the
            last complete window of a ticker. External prices without a date come after all days, so that
            every window is past.
        n_probe : int, default=None
            Number of cells to scan; None takes that of the index.
        exact : bool, default=False
            Whether to scan every window that bounds leave open, and not the nearest cells only.

        Returns
        -------
        Analogues
            `table`, `summary`, and the data of a picture.

        Raises
        ------
        ValueError
            For a ticker that is not known or has no complete window there, for other numbers of prices, and
            for a date before all days.
        """
        check_is_fitted(self)
        check_flags(exact=exact)
        n_neighbors = check_count("n_neighbors", n_neighbors)
        past, wanted = self._past_windows(), self._panel.resolve(query, as_of)
        values = self._panel.query_values(wanted.prices)
        hits = past.search(wanted.window, values, n_neighbors, n_probe=n_probe, exact=exact)
        eligible = past.eligible(wanted.window)(np.zeros(1, dtype=np.intp), np.arange(self.n_windows_))
        every = BaseRate(self._windows, self._outcomes, eligible)
        return make_answer(self._panel, wanted, hits, every, self.horizon)

    def recall(
        self,
        n_neighbors: int = 10,
        *,
        as_of: Any = None,
        n_probe: int | None = None,
        n_samples: int = 100,
    ) -> Recall:
        """Measure the share of the true analogues that a search finds, with all exclusions.

        Parameters
        ----------
        n_neighbors : int, default=10
            Analogues of each query.
        as_of : date, str or int, default=None
            Last day of the queries, whose tickers are drawn at random. None draws windows of any ticker and
            day.
        n_probe : int, default=None
            Number of cells to scan; None takes that of the index.
        n_samples : int, default=100
            Number of queries that are drawn.

        Returns
        -------
        Recall
            `recall`, its standard `error`, and `n_queries`: those that have any analogue.

        Notes
        -----
        The true analogues are those of an exact search. One that is missed counts as missed even if another
        window of its episode is found.
        """
        check_is_fitted(self)
        n_neighbors = check_count("n_neighbors", n_neighbors)
        n_samples = check_count("n_samples", n_samples)
        windows = self._windows
        if as_of is not None:
            windows = self._panel.windows_ending(np.array([self._panel.day_position(as_of)])).windows
        drawn = check_random_state(self.random_state).permutation(len(windows.ends))[:n_samples]
        windows = take(windows, np.sort(drawn))
        values, past = self._panel.values_of(windows), self._past_windows()
        found = past.search(windows, values, n_neighbors, n_probe=n_probe)
        true = past.search(windows, values, n_neighbors, exact=True)
        if not len(true.ids):
            raise ValueError(
                "No query of the sample has an eligible window before it. Ask for a later as_of."
            )
        return measure_recall(found, true, len(windows.ends))

    @property
    def n_windows_(self) -> int:
        """Number of windows in the index."""
        return len(self._windows.ends)

    @property
    def prices_(self) -> pd.DataFrame:
        """The prices, with the days that `update` added."""
        return pd.DataFrame(self._panel.prices, index=self._panel.tickers, columns=self._panel.days)

    def _new_index(self, n_windows: int) -> ClusterIndex:
        clusterer = self.clusterer
        if clusterer is None:
            n_cells = max(1, min(_MAX_CELLS, int(n_windows**0.5)))
            # Not the RandomState itself, from which the index draws its sample.
            seed = check_random_state(self.random_state).randint(2**31)
            clusterer = MiniBatchLocalKShape(
                n_cells, max_iter=1, max_shift=self.max_shift, random_state=seed, n_jobs=self.n_jobs
            )
        n_clusters = int(getattr(split_clusterer(clusterer)[1], "n_clusters", 1))
        return ClusterIndex(
            clusterer,
            n_probe=self.n_probe,
            metric="sbd",
            train_size=min(n_windows, max(_MIN_SAMPLE, _SAMPLE_PER_CELL * n_clusters)),
            random_state=self.random_state,
            n_jobs=self.n_jobs,
        )

    def _store(self, panel: PricePanel, windows: Windows) -> None:
        self._panel, self._windows = panel, windows
        # Every answer reports the base rate over all windows, which may be half a million: computed once.
        last = len(panel.days) - 1
        returns = forward_returns(panel.prices, windows, self.horizon, last, first=self.horizon)
        self._outcomes = returns[:, 0]

    def _past_windows(self) -> PastWindows:
        exclusion = self.window // 2 if self.exclusion == "half" else self.exclusion
        lead = 0 if self.before == "end" else self.window - 1
        return PastWindows(self.index_, self._windows, exclusion, lead)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.positive_only = True
        return tags
