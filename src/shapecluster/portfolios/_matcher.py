"""The search for traders with matching portfolios."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shapecluster._core.matching.criterion import MatchCriterion, MatchMetric
from shapecluster._core.matching.distinct import distinct_portfolios
from shapecluster._core.matching.pairs import expand_to_traders, identical_trader_pairs, matching_pairs
from shapecluster._core.matching.search import find_matches
from shapecluster._sklearn_compat import BaseEstimator, Interval, StrOptions, check_is_fitted
from shapecluster._typing import Float64Array, IntArray, is_integer
from shapecluster._validation import all_or_nothing
from shapecluster.portfolios._portfolios import Portfolios
from shapecluster.portfolios._query import (
    PortfoliosLike,
    append_traders,
    as_portfolios,
    empty_match_table,
    external_portfolio,
    known_trader,
    match_table,
)

if TYPE_CHECKING:
    from typing import Self


class PortfolioMatcher(BaseEstimator):
    """Find traders with matching portfolios.

    The search is exact: it returns all matches and nothing else.

    Parameters
    ----------
    min_match : float or Fraction, default=0.9
        Minimum similarity of a match, above 0 and at most 1. A float means the shortest decimal number that
        it prints as: 0.9 is 9/10. For 2/3, pass ``Fraction(2, 3)``.
    metric : {"jaccard", "containment", "overlap", "cosine"}, default="jaccard"
        Measure of similarity. The query holds *a* tickers, the other trader *b*, and both share *s*:

        - "jaccard": s / (a + b - s), the share of all tickers that either holds.
        - "containment": s / a, the share of the query's holdings. It is not symmetric.
        - "overlap": s / min(a, b), the share of the smaller portfolio.
        - "cosine": s / sqrt(a b).
    quantities : bool, default=False
        Whether quantities count. To compare portfolio weights, divide each row by its sum first. With x the
        quantities of the query and y those of the other trader, the metrics are:

        - "jaccard": sum(min(x, y)) / sum(max(x, y)), also known as Ruzicka similarity.
        - "containment": sum(min(x, y)) / sum(x).
        - "overlap": sum(min(x, y)) / min(sum(x), sum(y)).
        - "cosine": sum(x y) over the product of the norms of x and y.

    Attributes
    ----------
    portfolios_ : Portfolios
        The portfolios to search, with `tickers` and `trader_ids`.
    groups_ : ndarray of int of shape (n_traders,)
        Traders with equal numbers have identical portfolios; -1 stands for an empty portfolio.
    n_features_in_ : int
        Number of tickers.
    feature_names_in_ : ndarray of str of shape (n_tickers,)
        Columns. Defined only if X is a DataFrame of traders x tickers.

    See Also
    --------
    shapecluster.portfolios.Portfolios : The table of holdings.
    ShapeNeighbors : Stocks with similar prices, instead of traders.

    Notes
    -----
    Without quantities, thresholds are compared in whole numbers: 9 shared tickers of 10 are a match of 0.9,
    however 1 - 0.9 is rounded. With quantities, sums are rounded, and a match may fall short of `min_match`
    by one part in 10^12.

    An empty portfolio matches no other portfolio, not even an empty one. (scikit-learn's Jaccard distance of
    two empty rows is 0.)

    `matches` counts shared holdings with an inverted index, among portfolios whose size allows a match.
    `match_pairs` groups identical portfolios, and compares groups that share enough of their rarest tickers
    [1]_, [2]_.

    References
    ----------
    .. [1] S. Chaudhuri, V. Ganti, R. Kaushik: A primitive operator for similarity joins in data cleaning.
       ICDE 2006.
    .. [2] J. Wang, G. Li, J. Feng: Can we beat the prefix filtering? An adaptive framework for similarity
       join and search. SIGMOD 2012.

    Examples
    --------
    >>> from shapecluster import PortfolioMatcher
    >>> from shapecluster.portfolios import Portfolios
    >>> held = Portfolios(
    ...     [[1, 1, 1, 0], [1, 1, 1, 1], [0, 0, 1, 1]],
    ...     tickers=["AAPL", "KO", "MSFT", "XOM"],
    ...     trader_ids=["ann", "bob", "eve"],
    ... )
    >>> matcher = PortfolioMatcher(min_match=0.7).fit(held)
    >>> matcher.matches("ann")
      trader  match            shared missing   extra
    0    bob   0.75  (AAPL, KO, MSFT)      ()  (XOM,)
    >>> matcher.matches(["KO", "AAPL", "XOM"])["trader"].tolist()
    ['bob']
    >>> matcher.match_pairs()
      trader_a trader_b  match
    0      ann      bob   0.75
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "min_match": [Fraction, Interval(Real, 0, 1, closed="right")],
        "metric": [StrOptions({"jaccard", "containment", "overlap", "cosine"})],
        "quantities": ["boolean"],
    }

    metric: MatchMetric
    portfolios_: Portfolios
    groups_: IntArray
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

    def __init__(
        self,
        min_match: float | Fraction = 0.9,
        *,
        metric: MatchMetric = "jaccard",
        quantities: bool = False,
    ) -> None:
        self.min_match = min_match
        self.metric = metric
        self.quantities = quantities

    @all_or_nothing
    def fit(self, X: PortfoliosLike, y: object = None) -> Self:
        """Store the portfolios to search.

        Parameters
        ----------
        X : Portfolios, DataFrame, or array-like or sparse matrix of shape (n_traders, n_tickers)
            The holdings. A DataFrame with a column TRADER_ID is read by `Portfolios.from_frame`. Any other
            has traders as its index and tickers as its columns. In a matrix, values above 0 are holdings,
            and trader ids are row numbers.
        y : None
            Ignored.

        Returns
        -------
        self : PortfolioMatcher
            The fitted estimator.

        Raises
        ------
        ValueError
            If quantities are negative or infinite, or if names are repeated.
        """
        self._validate_params()
        self._index(*as_portfolios(self, X, reset=True))
        return self

    @all_or_nothing
    def partial_fit(self, X: PortfoliosLike, y: object = None) -> Self:
        """Add new traders; results equal those of one fit of all traders.

        The cost is that of one fit of all traders, so add many at a time.

        Parameters
        ----------
        X : Portfolios, DataFrame, or array-like or sparse matrix of shape (n_traders, n_tickers)
            As in `fit`. Portfolios and tables may hold new tickers. A matrix must have the columns of the
            first one, and its trader ids continue the row numbers.
        y : None
            Ignored.

        Returns
        -------
        self : PortfolioMatcher
            The fitted estimator.

        Raises
        ------
        ValueError
            If a trader is in the data already, and as in `fit`.
        """
        if not hasattr(self, "portfolios_"):
            return self.fit(X)
        self._validate_params()
        new, named = as_portfolios(self, X, reset=False, first_id=len(self.portfolios_))
        self._index(append_traders(self.portfolios_, new), named)
        return self

    def matches(
        self, trader: int | str | Iterable[str] | Mapping[str, float] | pd.Series[float]
    ) -> pd.DataFrame:
        """Find all traders who match a trader or an external portfolio.

        Parameters
        ----------
        trader : int or str, or iterable of tickers, or mapping or Series of ticker to quantity
            The query: a trader id, or a portfolio. With ``quantities=True``, a portfolio must have
            quantities. Tickers outside the data count as holdings that no trader shares.

        Returns
        -------
        matches : DataFrame
            One row per match, in order of decreasing similarity, then in the order of the data. Columns:

            - `trader`: the trader id. The queried trader is left out.
            - `match`: the similarity, at least `min_match`.
            - `shared`: tickers that both hold (a tuple).
            - `missing`: tickers that only the query holds.
            - `extra`: tickers that only this trader holds.

            The table of an empty portfolio has no rows.

        Raises
        ------
        KeyError
            If there is no such trader.
        ValueError
            If a portfolio repeats a ticker or lacks its quantities, or if a quantity is negative.

        Warns
        -----
        UserWarning
            If a portfolio holds tickers outside the data.
        """
        # `check_is_fitted` alone would take a fifth of the time of a call.
        if not hasattr(self, "portfolios_"):
            check_is_fitted(self)
        if isinstance(trader, Iterable) and not isinstance(trader, (str, bytes)):
            query = external_portfolio(trader, self.portfolios_, self._criterion)
        else:
            query = known_trader(trader, self.portfolios_, self._distinct)
        if not query.weight:
            return self._empty_table.copy()
        holdings = query.columns, query.quantities, query.weight
        groups, similarity = find_matches(self._distinct, self._criterion, *holdings, query.group)
        return match_table(query, groups, similarity, self.portfolios_, self._distinct, self._empty_table)

    def match_pairs(self, *, max_pairs: int = 20_000_000) -> pd.DataFrame:
        """Find all pairs of traders who match.

        Parameters
        ----------
        max_pairs : int, default=20_000_000
            Maximum number of pairs. One million pairs need about 100 MB while they are collected.
            n identical portfolios alone make n (n - 1) / 2 pairs; `groups_` describes them in less memory.

        Returns
        -------
        pairs : DataFrame
            One row per pair, in the order of the data: by the first trader, then by the second. Columns:

            - `trader_a`, `trader_b`: the trader ids. With the metric "containment", a is the query, and a
              pair is listed in one direction or in both. Else a comes before b in the data.
            - `match`: the similarity, at least `min_match`.

        Raises
        ------
        ValueError
            If there are more than `max_pairs` pairs. The message says how many there are.
        """
        check_is_fitted(self)
        if not is_integer(max_pairs) or max_pairs < 0:
            raise ValueError(f"max_pairs must be an integer of at least 0. Got {max_pairs!r} instead.")
        first, second, similarity = self._distinct_pairs()
        sizes = self._distinct.group_sizes
        directions = 2 if self._criterion.metric == "containment" else 1
        # Pairs are counted before they are made, because they may not fit in memory.
        n_pairs = int((sizes[first] * sizes[second]).sum() + directions * (sizes * (sizes - 1) // 2).sum())
        if n_pairs > max_pairs:
            raise ValueError(
                f"{n_pairs} pairs of traders match, and max_pairs is {max_pairs}. Raise max_pairs if the "
                "memory is enough, or raise min_match. groups_ lists the traders with identical portfolios."
            )
        a, b, pair = expand_to_traders(self._distinct, first, second)
        same_a, same_b = identical_trader_pairs(self._distinct)
        if directions == 2:
            # `_distinct_pairs` returns both directions already, so only identical portfolios lack one.
            same_a, same_b = np.concatenate([same_a, same_b]), np.concatenate([same_b, same_a])
        a, b = np.concatenate([a, same_a]), np.concatenate([b, same_b])
        similarity = np.concatenate([similarity[pair], np.ones(len(same_a))])
        if directions == 1:
            a, b = np.minimum(a, b), np.maximum(a, b)
        order = np.argsort(a * len(self.portfolios_) + b)
        ids = self.portfolios_.trader_ids
        return pd.DataFrame(
            {"trader_a": ids[a[order]], "trader_b": ids[b[order]], "match": similarity[order]}, copy=False
        )

    def _distinct_pairs(self) -> tuple[IntArray, IntArray, Float64Array]:
        """Pairs of distinct portfolios that match, in both directions for an asymmetric metric."""
        criterion, weights = self._criterion, self._distinct.weights
        first, second, shared = matching_pairs(self._distinct, criterion)
        if criterion.metric == "containment":
            first, second = np.concatenate([first, second]), np.concatenate([second, first])
            shared = np.concatenate([shared, shared])
            # `matching_pairs` returns pairs that match in at least one direction.
            enough = shared >= criterion.min_shared(weights[first], weights[second])
            first, second, shared = first[enough], second[enough], shared[enough]
        return first, second, criterion.similarity(shared, weights[first], weights[second])

    def _index(self, portfolios: Portfolios, named: bool) -> None:
        """Build the inverted index and everything else that searches use."""
        # The criterion is stored, so that parameters set later count from the next fit on.
        self._criterion = MatchCriterion(self.metric, _as_decimal(self.min_match), self.quantities)
        self._distinct = distinct_portfolios(portfolios.matrix, self._criterion)
        if not np.isfinite(self._distinct.weights[-1:]).all():  # the heaviest comes last
            trader = portfolios.trader_ids[self._distinct.traders[-1]]
            raise ValueError(f"the quantities of trader {trader} are too large to be added up.")
        self._empty_table = empty_match_table(portfolios)
        self.portfolios_ = portfolios
        self.groups_ = self._distinct.group_of_trader
        if named:
            # No matrix went through scikit-learn's checks, which would have set and removed these.
            self.n_features_in_ = len(portfolios.tickers)
            if hasattr(self, "feature_names_in_"):
                del self.feature_names_in_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        return tags


def _as_decimal(min_match: float | Fraction) -> Fraction:
    """The fraction that a number prints as."""
    # `Fraction(0.9)` would be the binary number below or above 9/10, which 9 shared of 10 may not reach.
    threshold = Fraction(min_match if isinstance(min_match, (int, Fraction)) else str(min_match))
    if not 0 < threshold <= 1:  # scikit-learn's intervals do not accept fractions
        raise ValueError(
            "The 'min_match' parameter of PortfolioMatcher must be above 0 and at most 1. "
            f"Got {min_match!r} instead."
        )
    return threshold
