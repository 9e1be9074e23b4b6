"""Historical analogues: which past windows of any stock look like today's, and what followed them."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pandas as pd

from shapecluster._sklearn_compat import (
    BaseEstimator,
    Interval,
    MetaEstimatorMixin,
    StrOptions,
    check_is_fitted,
    check_random_state,
)
from shapecluster._validation import all_or_nothing, check_series
from shapecluster.analogues._price_panel import Panel
from shapecluster.analogues._results import Analogues, Outcomes, summary_of, table_of
from shapecluster.analogues._search import Past, Queries
from shapecluster.analogues._windows import LEVELS, RETURNS, Windows, followed, futures, gather
from shapecluster.cluster import MiniBatchLocalKShape
from shapecluster.neighbors._index import ClusterIndex
from shapecluster.neighbors._recall import Recall, recall_of

if TYPE_CHECKING:
    from typing import Self

_MOST_CELLS = 512  # a fit takes as long as it has cells
_SAMPLE = 40  # windows for each cell that a clusterer is fitted on, at least
_LEAST_SAMPLE = 1000


class HistoricalAnalogues(MetaEstimatorMixin, BaseEstimator):
    """Ask which past windows of any stock look like a stock's last one, and what followed them.

    Every rolling window of every stock is put into a `ClusterIndex` under the shape-based distance. Windows
    that overlap are near-copies of each other, so an answer leaves out the windows of the query's own
    ticker around it, and takes one window of every other episode.

    Parameters
    ----------
    window : int, default=126
        Days in a window.
    step : int, default=1
        Days from one indexed window to the next, counted from the first day. A query need not lie on them.
    horizon : int, default=21
        Days after a window in which is looked at what followed.
    exclusion : int or "half", default="half"
        Windows of one ticker whose last days are at most so many days apart are one episode: of
        these the nearest is answered, and none that is in the episode of the query. "half" is half a window.
    before : {"end", "start"}, default="end"
        Which windows are past: those that ended before the query's last day, or, stricter, before its first
        day. With "end", windows of other tickers may lie in the same months as the query: contemporaries,
        with the same market and news.
    values : {"levels", "returns"}, default="levels"
        What is compared: prices, as one sees them in a chart, or their daily log returns.
    max_shift : int or None, default=0
        Days by which a window may be moved to fit the query; None for any number. 0 compares day by day (SBD
        is one minus the correlation then), and loses nothing with `step=1`, for each window is in the index
        at every day already. A window that is moved leaves out the last days of itself or the query.
    clusterer : estimator or None, default=None
        Gives the cells of the index. One that is fitted, on windows as `values` says, is used as it stands;
        another is fitted on a random sample; its own `max_shift` holds. None is a MiniBatchLocalKShape of one
        pass, with as many clusters as the root of the number of windows, at most 512.
    n_probe : int, default=32
        Cells looked at when a query does not say.
    random_state : int, RandomState instance or None, default=None
        Draws the samples of `fit` and `recall`.
    n_jobs : int or None, default=None
        Threads: None is 1, -1 all cores. Answers do not depend on it.

    Attributes
    ----------
    index_ : ClusterIndex
        The index of all windows.
    n_windows_ : int
        Number of windows in it.
    left_out_ : DataFrame of shape (n_tickers, 2)
        By ticker, how many windows are not in it: `missing`, for a day without a price; `flat`, for no move.
    prices_ : DataFrame of shape (n_tickers, n_days)
        The prices, with what `update` added.
    n_features_in_ : int
        Number of days seen in `fit`.

    See Also
    --------
    ClusterIndex : The index, for rows of any kind.
    ShapeNeighbors : The nearest stocks over one period, without a look at the past.
    shapecluster.plotting.AnaloguesDisplay : A picture of an answer.

    Notes
    -----
    Kept are the prices, one row of float32 for each window, as the index needs it, and some bytes more: 505
    stocks of 1,259 days make half a million windows of 126 days, which take 280 MB, and half as much again
    for screening. `fit` takes about twice that while it works.

    Nothing after the last day of a query decides which windows are eligible, how far they are or what is said
    to have followed. The cells come from all windows, later ones too: they decide no distance, only which
    windows are looked at, and with `exact=True` not even that.

    An answer is found by the nearest windows, of which those in the episode of a nearer one are dropped;
    where this leaves too few, it is asked again without the episodes found.

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
    >>> answer = past.analogues(prices.index[0], n=5)
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
        "values": [StrOptions({LEVELS, RETURNS})],
        "max_shift": [None, Interval(Integral, 0, None, closed="left")],
        "clusterer": "no_validation",  # type: ignore[dict-item] # what scikit-learn writes for any estimator
        "n_probe": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "n_jobs": [None, Integral],
    }

    index_: ClusterIndex
    left_out_: pd.DataFrame
    n_features_in_: int
    _panel: Panel
    _windows: Windows
    _outcomes: Outcomes

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
        panel = Panel(data.values.astype(np.float64), names, days, self.window, self.values)
        windows, left_out = self._counted(panel, 0)
        if not len(windows):
            raise ValueError(
                f"prices must have {self.window} prices in a row, without a gap, of a stock that moves. Got "
                f"{len(days)} days instead, in which {left_out['missing'].sum()} windows have gaps and "
                f"{left_out['flat'].sum()} do not move."
            )
        self.index_ = self._new_index(len(windows)).fit(panel.gathered(windows))
        self.left_out_ = left_out
        self._keep(panel, windows)
        return self

    @all_or_nothing
    def update(self, prices: pd.DataFrame) -> Self:
        """Add new days.

        Parameters
        ----------
        prices : DataFrame of shape (n_tickers, n_new_days)
            Prices of the days after those that are known, of the same tickers in any order; NaN where
            there is none. The cells of the index stay as they are.

        Returns
        -------
        self : HistoricalAnalogues
            With the new days, and the windows that end on them.

        Raises
        ------
        ValueError
            For other tickers than those of `fit`, and for days that are not after the known ones.
        """
        check_is_fitted(self)
        old = self._panel
        if not isinstance(prices, pd.DataFrame):
            raise TypeError(
                f"prices must be a DataFrame, tickers as rows. Got {type(prices).__name__} instead."
            )
        data = check_series(_FeatureCountStub(), prices, reset=True, allow_nan=True, min_timepoints=1)
        panel = old.extended(data.values.astype(np.float64), prices.index, prices.columns)
        windows, left_out = self._counted(panel, len(old.days))
        if len(windows):
            self.index_.add(panel.gathered(windows))
        self.left_out_ = self.left_out_ + left_out
        self._keep(panel, self._windows.joined(windows))
        return self

    def analogues(
        self,
        query: Any,
        n: int = 10,
        *,
        as_of: Any = None,
        n_probe: int | None = None,
        exact: bool = False,
    ) -> Analogues:
        """Find the past windows that look like one, and what followed them.

        Parameters
        ----------
        query : str, int or array-like of shape (window,)
            A ticker, whose last window is meant, or the one that ends at `as_of`; or `window` prices of
            whatever else.
        n : int, default=10
            Number of analogues. Fewer are answered where there are not as many episodes.
        as_of : date, str or int, default=None
            The query's last day: the last one on or before this date. Nothing after it is looked at. None is
            the last complete window of a ticker, and for prices from elsewhere a time after all days, so
            that every window is past.
        n_probe : int, default=None
            Cells looked at; None takes those of the index.
        exact : bool, default=False
            Whether to look at every window, or all that bounds leave open, and not at the nearest cells only.

        Returns
        -------
        Analogues
            `table`, `summary`, and what a picture takes.

        Raises
        ------
        ValueError
            For a ticker that is not known or has no complete window there, for other numbers of prices, and
            for a date before all days.
        """
        check_is_fitted(self)
        n = _positive("n", n)
        panel, past = self._panel, self._past()
        asked = panel.asked(query, as_of)
        hits = past.find(Queries(asked.window, panel.compared(asked.prices)), n, n_probe=n_probe, exact=exact)
        found = self._windows.at(hits.ids)
        counts = past.eligible(asked.window)(np.zeros(1, dtype=np.intp), np.arange(len(self._windows)))
        paths = futures(panel.prices, found, self.horizon, asked.known)
        table = table_of(panel, found, paths)
        table.insert(3, "sbd", hits.values)
        table.insert(4, "shift", hits.shifts)
        summary, same_dates = summary_of(panel, found, self._outcomes, counts, self.horizon, asked.known)
        is_dated = int(asked.window.ends[0]) == asked.known
        days = panel.days[asked.known - self.window + 1 : asked.known + 1]
        days = days if is_dated else pd.RangeIndex(self.window)
        return Analogues(
            table=table,
            summary=summary,
            query=pd.Series(asked.prices, index=days, name=asked.name),
            as_of=panel.days[asked.known],
            windows=pd.DataFrame(gather(panel.prices, found, self.window)),
            paths=pd.DataFrame(paths, columns=np.arange(1, self.horizon + 1)),
            same_dates=same_dates,
        )

    def recall(
        self, n: int = 10, *, as_of: Any = None, n_probe: int | None = None, sample: int = 100
    ) -> Recall:
        """Measure the share of the true analogues that are found, with all exclusions on.

        Parameters
        ----------
        n : int, default=10
            Analogues of each query.
        as_of : date, str or int, default=None
            Ask as of this day, for tickers drawn at random. None draws windows of any ticker and day,
            each asked as of its own last day.
        n_probe : int, default=None
            Cells looked at; None takes those of the index.
        sample : int, default=100
            Number of queries.

        Returns
        -------
        Recall
            `recall`, its standard `error`, and `n_queries`: those that have any analogue.

        Notes
        -----
        The true analogues are those among all eligible windows. One that is missed counts as missed, though
        another window of its episode may stand in its place.
        """
        check_is_fitted(self)
        n, sample = _positive("n", n), _positive("sample", sample)
        windows = self._windows
        if as_of is not None:
            windows = self._panel.ending(np.array([self._panel.position(as_of)])).windows
        drawn = check_random_state(self.random_state).permutation(len(windows))[:sample]
        windows = windows.at(np.sort(drawn))
        queries = Queries(windows, self._panel.gathered(windows))
        past = self._past()
        found = past.find(queries, n, n_probe=n_probe)
        true = past.find(queries, n, exact=True)
        if not len(true.ids):
            raise ValueError(
                "No query of the sample has an eligible window before it. Ask for a later as_of."
            )
        return recall_of(found, true, len(windows))

    @property
    def n_windows_(self) -> int:
        """Number of windows in the index."""
        return len(self._windows)

    @property
    def prices_(self) -> pd.DataFrame:
        """The prices, with what `update` added."""
        return self._panel.frame()

    def _new_index(self, n_windows: int) -> ClusterIndex:
        clusterer = self.clusterer
        if clusterer is None:
            n_cells = max(1, min(_MOST_CELLS, int(n_windows**0.5)))
            seed = check_random_state(self.random_state).randint(2**31)
            clusterer = MiniBatchLocalKShape(
                n_cells, max_iter=1, max_shift=self.max_shift, random_state=seed, n_jobs=self.n_jobs
            )
        sample = max(_LEAST_SAMPLE, _SAMPLE * int(getattr(clusterer, "n_clusters", 1)))
        return ClusterIndex(
            clusterer,
            n_probe=self.n_probe,
            metric="sbd",
            train_size=min(n_windows, sample),
            random_state=self.random_state,
            n_jobs=self.n_jobs,
        )

    def _keep(self, panel: Panel, windows: Windows) -> None:
        self._panel, self._windows = panel, windows
        # The base rate over half a million windows is asked for with every question, so it is made once.
        values = followed(panel.prices, windows, self.horizon, len(panel.days) - 1)
        self._outcomes = Outcomes(windows.ends, values)

    def _past(self) -> Past:
        exclusion = self.window // 2 if self.exclusion == "half" else self.exclusion
        lead = 0 if self.before == "end" else self.window - 1
        return Past(self.index_, self._windows, exclusion, lead)

    def _counted(self, panel: Panel, first: int) -> tuple[Windows, pd.DataFrame]:
        """The windows to be indexed from a day on, and how many of each ticker are left out."""
        counted = panel.on_grid(self.step, first)
        left_out = {"missing": counted.n_missing, "flat": counted.n_flat}
        return counted.windows, pd.DataFrame(left_out, index=panel.tickers)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.positive_only = True
        return tags


class _FeatureCountStub(BaseEstimator):
    """Stands for an estimator that has seen no prices yet: the number of new days is free."""


def _positive(name: str, value: Any) -> int:
    if not isinstance(value, Integral) or int(value) < 1:
        raise ValueError(f"{name} must be a positive integer. Got {value!r} instead.")
    return int(value)
