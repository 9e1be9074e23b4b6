"""What may be called the portfolios of many traders, brought into one form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from shapecluster._sklearn_compat import BaseEstimator, validate_data
from shapecluster._validation import listing
from shapecluster.portfolios._portfolios import Portfolios


def as_portfolios(
    estimator: BaseEstimator, X: Any, *, reset: bool, n_before: int = 0
) -> tuple[Portfolios, bool]:
    """Portfolios of whatever form, and whether their columns have names of their own.

    Parameters
    ----------
    estimator : estimator
        Whose input this is; gets `n_features_in_` and `feature_names_in_` when X is a matrix.
    X : Portfolios, DataFrame, or array-like or sparse matrix of shape (n_traders, n_tickers)
        A DataFrame with a column TRADER_ID is a table of portfolios; any other has traders as its index and
        tickers as its columns.
    reset : bool
        True in `fit`. False: a matrix must have the columns that were seen in `fit`.
    n_before : int
        The number that the first trader of a matrix without names gets.
    """
    if isinstance(X, Portfolios):
        return X, True
    named = isinstance(X, pd.DataFrame)
    if named and "trader_id" in [str(column).strip().lower() for column in X.columns]:
        return Portfolios.from_frame(X), True
    matrix = validate_data(
        estimator, X, reset=reset, accept_sparse="csr", dtype=[np.float64, np.float32], ensure_all_finite=True
    )
    _refuse_negative(estimator, matrix)
    tickers = getattr(estimator, "feature_names_in_", None)
    ids = X.index if named else np.arange(n_before, n_before + matrix.shape[0])
    return Portfolios(matrix, tickers, ids), False


def _refuse_negative(estimator: BaseEstimator, matrix: Any) -> None:
    least = matrix.min() if matrix.shape[0] else 0
    if least < 0:
        raise ValueError(
            f"Negative values in data passed to {type(estimator).__name__}: a quantity is at least 0. "
            f"Got {least} instead."
        )


def joined(before: Portfolios, new: Portfolios) -> Portfolios:
    """Both one below the other; tickers that only the new ones know come last."""
    ids = pd.Index(before.trader_ids)
    repeated = pd.Index(new.trader_ids).intersection(ids)
    if len(repeated):
        raise ValueError(
            f"new traders need names of their own, but these are in the data already: {listing(repeated)}."
        )
    known = pd.Index(before.tickers)
    added = new.tickers[known.get_indexer(pd.Index(new.tickers)) < 0]
    tickers = np.concatenate([before.tickers, added])
    columns = pd.Index(tickers).get_indexer(pd.Index(new.tickers))
    below = sparse.csr_matrix(
        (new.matrix.data, columns[new.matrix.indices], new.matrix.indptr), (len(new), len(tickers))
    )
    above = before.matrix.copy()
    above.resize(len(before), len(tickers))
    names = [*before.trader_ids.tolist(), *new.trader_ids.tolist()]
    return Portfolios(sparse.vstack([above, below], format="csr"), tickers, names)
