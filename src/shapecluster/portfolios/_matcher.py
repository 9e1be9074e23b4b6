"""Traders whose portfolios match."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pandas as pd

from shapecluster._core.matching.criterion import MatchCriterion
from shapecluster._core.matching.distinct import Distinct, distinct_holdings
from shapecluster._core.matching.pairs import matching_pairs, traders_of_one_kind, traders_of_pairs
from shapecluster._core.matching.search import Postings, search
from shapecluster._sklearn_compat import BaseEstimator, Interval, StrOptions, check_is_fitted
from shapecluster._typing import Float64Array, IntArray
from shapecluster._validation import all_or_nothing
from shapecluster.portfolios._inputs import as_portfolios, joined
from shapecluster.portfolios._portfolios import Portfolios
from shapecluster.portfolios._query import insider, outsider
from shapecluster.portfolios._results import answer, answer_of_nobody

if TYPE_CHECKING:
    from typing import Self


class PortfolioMatcher(BaseEstimator):
    """Find the traders whose holdings match.

    Every answer is exact: all matches that there are, and nothing else.

    Parameters
    ----------
    min_match : float or Fraction, default=0.9
        The least match that counts, above 0 and at most 1. A float means the shortest decimal number that
        denotes it: 0.9 is 9/10. For 2/3, give ``Fraction(2, 3)``.
    metric : {"jaccard", "containment", "overlap", "cosine"}, default="jaccard"
        What is measured, where the asker holds *a* tickers, the other *b*, and both *s* of them:

        - "jaccard": s / (a + b - s), the share of all that either holds.
        - "containment": s / a, the share of the asker's holdings. It has a direction.
        - "overlap": s / min(a, b), the share of the smaller one's holdings.
        - "cosine": s / sqrt(a b).
    quantities : bool, default=False
        Whether it counts how much is held, and not only what. With x the quantities of the asker and y those
        of the other, it is then sum(min(x, y)) over sum(max(x, y)) (Jaccard, also known as Ruzicka), over
        sum(x) (containment) or over min(sum(x), sum(y)) (overlap); and sum(x y) over the product of the norms
        (cosine). To compare weights, divide each row by its sum first.

    Attributes
    ----------
    portfolios_ : Portfolios
        What is searched, with `tickers` and `trader_ids`.
    groups_ : ndarray of int of shape (n_traders,)
        Traders with equal numbers hold exactly the same; -1 stands for an empty portfolio.
    n_features_in_ : int
        Number of tickers.
    feature_names_in_ : ndarray of str of shape (n_tickers,)
        Columns. Defined only when X is a DataFrame of traders x tickers.

    See Also
    --------
    shapecluster.portfolios.Portfolios : What many traders hold.
    ShapeNeighbors : Stocks that look alike, instead of traders.

    Notes
    -----
    Without quantities, thresholds are compared in whole numbers: 9 shared of 10 are a match of 0.9, which in
    floating point would depend on how 1 - 0.9 is rounded. With quantities, sums are rounded, and what is
    shared may fall short of what `min_match` asks by a part in 10^12.

    An empty portfolio shares nothing, so it matches nobody and nobody matches it, not even another empty one.
    (scikit-learn's Jaccard distance of two empty rows is 0.)

    `matches` counts holdings along an inverted index, among portfolios whose size allows a match.
    `match_pairs` puts identical portfolios together and compares those that share enough of their rarest
    tickers [1]_, [2]_.

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

    portfolios_: Portfolios
    groups_: IntArray
    n_features_in_: int

    def __init__(
        self,
        min_match: float | Fraction = 0.9,
        *,
        metric: Literal["jaccard", "containment", "overlap", "cosine"] = "jaccard",
        quantities: bool = False,
    ) -> None:
        self.min_match = min_match
        self.metric = metric
        self.quantities = quantities

    @all_or_nothing
    def fit(self, X: Any, y: None = None) -> Self:
        """Take in the portfolios to search.

        Parameters
        ----------
        X : Portfolios, DataFrame, or array-like or sparse matrix of shape (n_traders, n_tickers)
            Who holds what. A DataFrame with a column TRADER_ID is read by `Portfolios.from_frame`; any other
            has traders as its index and tickers as its columns. In a matrix, what is above 0 is held, and
            traders are numbered from 0.
        y : None
            Ignored.

        Returns
        -------
        self : PortfolioMatcher
            The fitted estimator.

        Raises
        ------
        ValueError
            For negative or infinite quantities, names that repeat, or what is no such table.
        """
        self._validate_params()
        self._search_in(*as_portfolios(self, X, reset=True))
        return self

    @all_or_nothing
    def partial_fit(self, X: Any, y: None = None) -> Self:
        """Add new traders to those that are there; the answers are those of a fit of all together.

        It costs as much as a fit of all together, so add many at a time.

        Parameters
        ----------
        X : Portfolios, DataFrame, or array-like or sparse matrix of shape (n_traders, n_tickers)
            As in `fit`. Portfolios and tables may hold tickers that are new. A matrix must have the columns
            of the first one; the numbers of its traders go on where those before end.
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
        new, named = as_portfolios(self, X, reset=False, n_before=len(self.portfolios_))
        self._search_in(joined(self.portfolios_, new), named)
        return self

    def matches(self, trader: Any) -> pd.DataFrame:
        """Find everyone who matches one trader, or a portfolio from outside.

        Parameters
        ----------
        trader : int or str, or iterable of tickers, or mapping or Series of ticker to quantity
            A trader's id; or a portfolio, with its quantities when these count. Tickers that nobody in the
            data holds count as holdings that are not shared.

        Returns
        -------
        matches : DataFrame
            One row per match, the best first and otherwise in the order of the data, with columns

            - `trader`: the id; never the trader who asks.
            - `match`: how well this trader's portfolio matches, at least `min_match`.
            - `shared`: tickers that both hold (a tuple).
            - `missing`: what the asker holds and this trader does not.
            - `extra`: what this trader holds and the asker does not.

            Without rows when nobody matches, which is so for an empty portfolio.

        Raises
        ------
        KeyError
            If there is no such trader.
        ValueError
            If a portfolio names a ticker twice or lacks its quantities, or a quantity is negative.

        Warns
        -----
        UserWarning
            When a portfolio holds tickers that are not in the data.
        """
        if not hasattr(self, "portfolios_"):  # asking scikit-learn takes a fifth of the time of an answer
            check_is_fitted(self)
        outside = isinstance(trader, Iterable) and not isinstance(trader, (str, bytes))
        asker = (
            outsider(trader, self.portfolios_, self._rule)
            if outside
            else insider(trader, self.portfolios_, self._distinct)
        )
        found, match = np.zeros(0, dtype=np.intp), np.zeros(0)
        if asker.mass:
            found, match = search(
                self._distinct,
                self._postings,
                self._rule,
                asker.columns,
                asker.amounts,
                asker.mass,
                asker.number,
            )
        return answer(asker, found, match, self.portfolios_, self._distinct, self._nobody)

    def match_pairs(self, *, max_pairs: int = 20_000_000) -> pd.DataFrame:
        """Find all pairs of traders who match.

        Parameters
        ----------
        max_pairs : int, default=20_000_000
            The most pairs that may be returned; a million take about 100 MB while they are put together.
            Where many traders hold the same, pairs are many: n equal portfolios are n (n - 1) / 2 of them.
            `groups_` tells those in less space.

        Returns
        -------
        pairs : DataFrame
            One row per pair, in the order of the data by its first trader, then by its second, with columns

            - `trader_a`, `trader_b`: the ids. With the metric "containment", a is who asks, and a pair may
              stand there in both directions or in one; else a comes before b in the data.
            - `match`: how well they match, at least `min_match`.

        Raises
        ------
        ValueError
            If there are more than `max_pairs`; the message says how many.
        """
        check_is_fitted(self)
        if not isinstance(max_pairs, Integral) or max_pairs < 0:
            raise ValueError(f"max_pairs must be an integer of at least 0. Got {max_pairs!r} instead.")
        first, second, match = self._distinct_pairs()
        counts = self._distinct.counts
        directions = 2 if self._rule.metric == "containment" else 1
        n_pairs = int(
            (counts[first] * counts[second]).sum() + directions * (counts * (counts - 1) // 2).sum()
        )
        if n_pairs > max_pairs:
            raise ValueError(
                f"{n_pairs} pairs of traders match, and max_pairs is {max_pairs}. Raise it if there is "
                "memory, or raise min_match; groups_ says who holds exactly the same."
            )
        a, b, pair = traders_of_pairs(self._distinct, first, second)
        same = traders_of_one_kind(self._distinct)
        match = np.concatenate([match[pair], np.ones(len(same[0]))])
        a, b = np.concatenate([a, same[0]]), np.concatenate([b, same[1]])
        if directions == 2:
            a, b = np.concatenate([a, same[1]]), np.concatenate([b, same[0]])
            match = np.concatenate([match, np.ones(len(same[0]))])
        else:
            a, b = np.minimum(a, b), np.maximum(a, b)
        order = np.argsort(a * len(self.portfolios_) + b)
        ids = self.portfolios_.trader_ids
        return pd.DataFrame(
            {"trader_a": ids[a[order]], "trader_b": ids[b[order]], "match": match[order]}, copy=False
        )

    def _distinct_pairs(self) -> tuple[IntArray, IntArray, Float64Array]:
        """Pairs of distinct portfolios that match, in both directions where these differ."""
        rule, masses = self._rule, self._distinct.masses
        lighter, heavier, shared = matching_pairs(self._distinct, rule)
        if rule.metric != "containment":
            return lighter, heavier, rule.match(shared, masses[lighter], masses[heavier])
        first, second = np.concatenate([lighter, heavier]), np.concatenate([heavier, lighter])
        shared = np.concatenate([shared, shared])
        enough = shared >= rule.needed(masses[first], masses[second])
        first, second, shared = first[enough], second[enough], shared[enough]
        return first, second, rule.match(shared, masses[first], masses[second])

    def _search_in(self, portfolios: Portfolios, named: bool) -> None:
        """Make everything that answers are found with."""
        self._rule = MatchCriterion(self.metric, _as_decimal(self.min_match), self.quantities)
        self._distinct = distinct_holdings(portfolios.matrix, self._rule)
        _refuse_infinite(self._distinct, portfolios)
        self._postings = Postings.of(self._distinct, self._rule)
        self._nobody = answer_of_nobody(portfolios)
        self.portfolios_ = portfolios
        self.groups_ = self._distinct.of_trader
        if named:
            self.n_features_in_ = len(portfolios.tickers)
            if hasattr(self, "feature_names_in_"):
                del self.feature_names_in_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        return tags


def _as_decimal(min_match: Any) -> Fraction:
    """The fraction that a number reads as."""
    threshold = Fraction(min_match if isinstance(min_match, (int, Fraction)) else str(min_match))
    if not 0 < threshold <= 1:  # scikit-learn's intervals do not know fractions
        raise ValueError(
            "The 'min_match' parameter of PortfolioMatcher must be above 0 and at most 1. "
            f"Got {min_match!r} instead."
        )
    return threshold


def _refuse_infinite(distinct: Distinct, portfolios: Portfolios) -> None:
    """Quantities are finite; their sums may not be."""
    heaviest = distinct.masses[-1:]
    if len(heaviest) and not np.isfinite(heaviest[0]):
        trader = portfolios.trader_ids[distinct.traders[-1]]
        raise ValueError(f"the quantities of trader {trader} are too large to be added up.")
