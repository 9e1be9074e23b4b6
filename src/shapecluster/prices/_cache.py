"""The cache of downloaded prices: one parquet file per ticker and range, written atomically.

A file has the days, their prices, and the time at which they were stored. It has checksums: a file that is
damaged is named in the log and downloaded again.
"""

from __future__ import annotations

import logging
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import pandas as pd

from shapecluster._files import atomic_write
from shapecluster._optional import import_optional

logger = logging.getLogger(__name__)

_PROVISIONAL = timedelta(minutes=15)
"""How long prices of a range that has not ended yet are used: long enough to continue after a crash."""

CacheDir = str | os.PathLike[str] | None | Literal["auto"]


class PriceCache:
    """Prices of one range by ticker, in a folder; empty without a folder, or when the folder fails.

    Parameters
    ----------
    cache_dir : path, "auto" or None
        The folder of the files, created with the first file. "auto" is the platform's cache folder. None: no
        cache.
    start, end : date
        The range; both days are included.
    auto_adjust : bool
        Whether prices are adjusted for dividends.
    """

    def __init__(self, cache_dir: CacheDir, start: date, end: date, auto_adjust: bool) -> None:
        self._folder = _folder(cache_dir)
        self._start, self._end = start, end
        self._range = f"{start}-{end}-{'adjusted' if auto_adjust else 'raw'}"

    def load(self, ticker: str) -> pd.Series[Any] | None:
        """Return the prices of a ticker by day, or None when there are no valid ones."""
        if self._folder is None:
            return None
        path = self._path(self._folder, ticker)
        try:
            table = pd.read_parquet(path, engine="pyarrow", page_checksum_verification=True)
            prices = table.loc[str(self._start) : str(self._end), ticker.upper()]
            stored = table["stored"].iloc[0]
            if len(prices) < len(table):  # checksums do not cover the description of the columns
                raise ValueError("it has days outside the range")
            age = datetime.now(UTC) - stored
        except FileNotFoundError:
            return None
        except Exception as error:  # pyarrow raises errors of many classes
            logger.warning("The cached prices in %s are damaged (%s): fetching them again.", path, error)
            return None
        # The last day must have ended in every time zone; one more day, for late corrections.
        is_final = self._end < stored.date() - timedelta(days=1)
        return prices if is_final or timedelta(0) <= age <= _PROVISIONAL else None

    def store(self, ticker: str, prices: pd.Series[Any]) -> None:
        """Store prices by day; the first error of the folder is logged and disables the cache."""
        if self._folder is None:
            return
        table = pd.DataFrame({ticker.upper(): prices, "stored": datetime.now(UTC)})
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with atomic_write(self._path(self._folder, ticker)) as file:
                table.to_parquet(file, engine="pyarrow", write_page_checksum=True)
        except OSError as error:
            logger.warning("Prices are not cached: %s cannot be written (%s).", self._folder, error)
            self._folder = None

    def _path(self, folder: Path, ticker: str) -> Path:
        """A name that every file system allows, also for tickers such as ^GSPC, CON or BRK-B.

        Yahoo ignores case, so the cache does too.
        """
        return folder / f"prices-{quote(ticker.upper(), safe='')}-{self._range}.parquet"


def _folder(cache_dir: CacheDir) -> Path | None:
    if cache_dir is None:
        return None
    if cache_dir == "":
        raise ValueError("cache_dir of fetch_prices must be a folder, 'auto' or None. Got '' instead.")
    import_optional("pyarrow", extra="market", needed_for="Caching fetched prices")
    if cache_dir != "auto":
        return Path(cache_dir).expanduser()
    platformdirs = import_optional("platformdirs", extra="market", needed_for="Caching fetched prices")
    return Path(platformdirs.user_cache_dir("shapecluster")) / "prices"
