"""Accepted forms of input, converted to `Portfolios`."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import pandas as pd
from scipy import sparse

from shapecluster._sklearn_compat import BaseEstimator, validate_data
from shapecluster._text import listing
from shapecluster._typing import ArrayLike
from shapecluster.portfolios._portfolios import Portfolios

PortfoliosLike: TypeAlias = Portfolios | pd.DataFrame | ArrayLike | sparse.sparray | sparse.spmatrix


def as_portfolios(
    estimator: BaseEstimator, X: PortfoliosLike, *, reset: bool, first_id: int = 0
) -> tuple[Portfolios, bool]:
    """Convert input to `Portfolios`, and report whether its tickers and traders are matched by name.

    Parameters
    ----------
    estimator : estimator
        The owner of the input. It gets `n_features_in_` and `feature_names_in_` if X is a matrix.
    X : Portfolios, DataFrame, or array-like or sparse matrix of shape (n_traders, n_tickers)
        A DataFrame with a column TRADER_ID is a table of portfolios. Any other has traders as its index and
        tickers as its columns.
    reset : bool
        True in `fit`. False: a matrix must have the columns seen in `fit`.
    first_id : int
        The id of the first trader of a matrix without names.
    """
    if isinstance(X, Portfolios):
        return X, True
    if isinstance(X, pd.DataFrame) and "trader_id" in [str(column).strip().lower() for column in X.columns]:
        return Portfolios.from_frame(X), True
    matrix = validate_data(
        estimator, X, reset=reset, accept_sparse="csr", dtype=[np.float64, np.float32], ensure_all_finite=True
    )
    minimum = matrix.min() if matrix.shape[0] else 0
    if minimum < 0:
        # The first words are scikit-learn's own: its estimator checks look for them.
        raise ValueError(
            f"Negative values in data passed to {type(estimator).__name__}: a quantity is at least 0. "
            f"Got {minimum} instead."
        )
    tickers = getattr(estimator, "feature_names_in_", None)
    ids = X.index if isinstance(X, pd.DataFrame) else np.arange(first_id, first_id + matrix.shape[0])
    return Portfolios(matrix, tickers, ids), False


def append_traders(before: Portfolios, new: Portfolios) -> Portfolios:
    """Both tables, one below the other; tickers that only the new traders hold become the last columns."""
    ids = pd.Index(before.trader_ids)
    repeated = pd.Index(new.trader_ids).intersection(ids)
    if len(repeated):
        raise ValueError(
            f"new traders need ids of their own, but these are in the data already: {listing(repeated)}."
        )
    known = pd.Index(before.tickers)
    added = new.tickers[known.get_indexer(pd.Index(new.tickers)) < 0]
    tickers = np.concatenate([before.tickers, added])
    columns = pd.Index(tickers).get_indexer(pd.Index(new.tickers))
    below = sparse.csr_matrix(
        (new.matrix.data, columns[new.matrix.indices], new.matrix.indptr), (len(new), len(tickers))
    )
    old = before.matrix
    above = sparse.csr_matrix((old.data, old.indices, old.indptr), (len(before), len(tickers)))
    # As lists, because NumPy would turn numbers into text where both occur. `Portfolios` refuses that.
    ids_of_all = [*before.trader_ids.tolist(), *new.trader_ids.tolist()]
    return Portfolios(sparse.vstack([above, below], format="csr"), tickers, ids_of_all)
