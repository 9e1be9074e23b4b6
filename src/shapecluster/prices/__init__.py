"""Daily prices: read from files, downloaded from Yahoo, and cleaned.

```
_load      load_prices, load_sectors     _frames    turns files with dates as rows into tickers as rows
_fetch     fetch_prices                  _download  rounds of parallel downloads, until a deadline
                                         _yahoo     one download through yfinance, and its errors
                                         _cache     earlier downloads on disk
_clean     clean_prices                  _suspects  finds bad prints, jumps and flat stretches
                                         _cleaning_report  the list of changes
```
"""

from __future__ import annotations

from shapecluster.prices._clean import clean_prices
from shapecluster.prices._fetch import fetch_prices
from shapecluster.prices._load import load_prices, load_sectors

__all__ = ["clean_prices", "fetch_prices", "load_prices", "load_sectors"]
