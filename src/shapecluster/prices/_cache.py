"""The cache of downloaded prices: one small text file per ticker and range, written atomically.

A file is one line of JSON (its contents, and a checksum of everything) followed by one line per day. Any
editor can read it, and nothing is unpickled. A file that does not match its checksum is named in the log and
downloaded again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import numpy as np
import pandas as pd

from shapecluster._files import atomic_write
from shapecluster._optional import import_optional
from shapecluster._tables import days

logger = logging.getLogger(__name__)

_FORMAT = 1
_PROVISIONAL = timedelta(minutes=15)
"""How long prices of a range that has not ended yet are used: long enough to continue after a crash."""

CacheDir = str | os.PathLike[str] | None | Literal["auto"]


@dataclass(frozen=True)
class Slot:
    """The ticker and range of one file."""

    ticker: str
    start: date
    end: date
    auto_adjust: bool

    @property
    def file_name(self) -> str:
        """A name that every file system allows, also for tickers such as ^GSPC, CON or BRK-B."""
        kind = "adjusted" if self.auto_adjust else "raw"
        return f"prices-{quote(self.ticker, safe='')}-{self.start}-{self.end}-{kind}.csv"


class PriceCache:
    """Prices by ticker and range in a folder; empty without a folder, or when the folder fails.

    Parameters
    ----------
    folder : path or None
        The folder of the files, created with the first file. None: no cache.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def load(self, slot: Slot, *, now: datetime) -> pd.Series[Any] | None:
        """Return prices by day, or None when there are no valid ones; `now` is in UTC."""
        if self._folder is None:
            return None
        path = self._folder / slot.file_name
        try:
            header, body = path.read_bytes().split(b"\n", 1)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            logger.warning("The cached prices in %s cannot be read (%s): fetching them again.", path, error)
            return None
        try:
            about = json.loads(header)
            if about.pop("sha256") != _checksum(about, body) or about["slot"] != _described(slot):
                raise ValueError("the checksum does not match")
            prices = _parse(body)
            stored = datetime.fromisoformat(about["stored"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            logger.warning("The cached prices in %s are damaged (%s): fetching them again.", path, error)
            return None
        if is_final(slot.end, stored) or timedelta(0) <= now - stored <= _PROVISIONAL:
            return prices
        return None

    def store(self, slot: Slot, prices: pd.Series[Any], *, now: datetime) -> None:
        """Store prices by day; the first error of the folder is logged and disables the cache."""
        if self._folder is None:
            return
        # repr() of a float is exact: values read back equal those downloaded, bit for bit.
        lines = [
            f"{day.date()},{price!r}\n" for day, price in zip(prices.index, prices.tolist(), strict=True)
        ]
        body = "".join(lines).encode()
        about: dict[str, Any] = {"format": _FORMAT, "slot": _described(slot), "stored": now.isoformat()}
        header = json.dumps(about | {"sha256": _checksum(about, body)}).encode()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with atomic_write(self._folder / slot.file_name) as file:
                file.write(header + b"\n" + body)
        except OSError as error:
            logger.warning("Prices are not cached: %s cannot be written (%s).", self._folder, error)
            self._folder = None


def cache_folder(cache_dir: CacheDir) -> Path | None:
    """Return the folder that an argument names: "auto" is the platform's cache folder, None is no cache."""
    if cache_dir is None:
        return None
    if cache_dir == "":
        raise ValueError("cache_dir of fetch_prices must be a folder, 'auto' or None. Got '' instead.")
    if cache_dir != "auto":
        return Path(cache_dir).expanduser()
    platformdirs = import_optional("platformdirs", extra="market", needed_for="Caching fetched prices")
    return Path(platformdirs.user_cache_dir("shapecluster")) / "prices"


def is_final(end: date, stored: datetime) -> bool:
    """Whether the last day of a range had ended in every time zone when its prices were stored."""
    return end < stored.date() - timedelta(days=1)  # one more day, for late corrections


def _described(slot: Slot) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, date) else value for name, value in asdict(slot).items()}


def _checksum(about: dict[str, Any], body: bytes) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode() + b"\n" + body).hexdigest()


def _parse(body: bytes) -> pd.Series[Any]:
    rows = [line.split(",") for line in body.decode("ascii").splitlines()]
    return pd.Series(
        np.array([float(price) for _, price in rows], dtype=np.float64),
        index=days(np.array([day for day, _ in rows], dtype="datetime64[ns]")),
    )
