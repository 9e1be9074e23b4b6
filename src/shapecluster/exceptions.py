"""Errors and warnings that shapecluster raises beside Python's own and scikit-learn's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ArtifactError",
    "FlatSeriesWarning",
    "MissingPricesError",
    "MissingPricesWarning",
    "PriceFileError",
    "SweepWarning",
]


class ArtifactError(ValueError):
    """Bytes from outside are not what they should be: a model, a data file, a request or an answer.

    The message says what is wrong with them and where, and what to do next. Nothing of them was used.
    """


class FlatSeriesWarning(UserWarning):
    """Some series never move, so they have no shape; the message names them."""


class SweepWarning(UserWarning):
    """The chosen number of clusters deserves a second look; the message says why."""


class PriceFileError(ValueError):
    """A file could not be read as prices; the message says where and why."""


class MissingPricesWarning(UserWarning):
    """Some of the requested prices are missing; the message lists them with their reasons."""


class MissingPricesError(RuntimeError):
    """Some of the requested prices could not be fetched.

    Attributes
    ----------
    missing : dict of str to str
        The reason for each ticker that is missing.
    prices : pandas.DataFrame
        Everything that did arrive, tickers as rows; may be empty.
    """

    def __init__(self, message: str, *, missing: Mapping[str, str], prices: pd.DataFrame) -> None:
        super().__init__(message)
        self.missing = dict(missing)
        self.prices = prices
